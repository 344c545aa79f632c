/*
 * origin.h: which web pages may open WebSockets here (RFC 6455 10.2, RFC 6454).
 *
 * Exact comparison of scheme, host and port; never a prefix or suffix. The list
 * may hold "*" (any page). With `allow_self` an Origin that names the very Host of the
 * request is allowed too.
 */
#ifndef WARREN_GATEWAY_EDGE_ORIGIN_H
#define WARREN_GATEWAY_EDGE_ORIGIN_H

#include "common/base.h"

struct origins; /* owns a parsed list */

/* From a comma- or space-separated list. NULL with `error` filled when an entry is not
 * scheme://host[:port] or "*". */
struct origins *origins_new(const char *list, char *error, size_t size) MUST_CHECK;
struct origins *origins_free(struct origins *o);

/* True if a page of `origin` may connect to `host` (the Host field); `allow_self` admits the same
 * host. */
bool origin_is_allowed(const struct origins *o, struct slice origin, struct slice host,
                       bool allow_self);

/* The same without "*": what a cookie needs to count, for any page's requests carry it. */
bool origin_is_named(const struct origins *o, struct slice origin, struct slice host,
                     bool allow_self);

#endif
