/*
 * libraries.h: what libraries must be told before they are used.
 */
#ifndef WARREN_GATEWAY_LIBRARIES_H
#define WARREN_GATEWAY_LIBRARIES_H

/* Before anything else is done with tokens, OpenSSL or jansson: from here on these, too, end the
 * process when memory is exhausted (common/mem.h), and take no good token for a bad one. */
void libraries_init(void);

#endif
