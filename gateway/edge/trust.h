/*
 * trust.h: which peers are balancers of ours, and whom they say they speak for. Pure.
 *
 * Only what such a peer says about a client's address is believed: a PROXY header (proxy.h) or
 * X-Forwarded-For. Of the latter the right-most address counts that is not a trusted one itself:
 * what stands left of it was said by a stranger.
 */
#ifndef WARREN_GATEWAY_EDGE_TRUST_H
#define WARREN_GATEWAY_EDGE_TRUST_H

#include "common/base.h"
#include "common/http.h"
#include "common/net.h"

struct trust;

/* From a list of addresses and networks, "10.0.0.0/8, ::1". NULL with one line in `error`. */
struct trust *trust_new(const char *list, char *error, size_t size) MUST_CHECK;
/* Accepts NULL; returns NULL. */
struct trust *trust_free(struct trust *t);

/* True for an address of the list. */
bool trust_has(const struct trust *t, const struct net_addr *a) MUST_CHECK;

/* The client's address in the X-Forwarded-For fields that a trusted peer sent; its port is 0.
 * False: there is none that can be believed. */
bool trust_forwarded(const struct trust *t, const struct http_head *h,
                     struct net_addr *client) MUST_CHECK;

#endif
