/*
 * tls_internal.h: what tls.c and tls_pairs.c share and nobody else sees.
 */
#ifndef WARREN_GATEWAY_EDGE_TLS_INTERNAL_H
#define WARREN_GATEWAY_EDGE_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "gateway/edge/tls.h"

/* What a connection begins with; borrowed until the next reload. */
SSL_CTX *tls_default_context(const struct tls *t);

/* Frees the buffer that all peers share. */
void tls_forget_spare(void);

#endif
