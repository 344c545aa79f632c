/*
 * proxy.h: the header of the PROXY protocol, version 2, strictly. Pure.
 *
 * A balancer sends it once, before the client's first byte. Read exactly as many bytes as are asked
 * for: what follows them is the client's.
 */
#ifndef WARREN_GATEWAY_EDGE_PROXY_H
#define WARREN_GATEWAY_EDGE_PROXY_H

#include "common/base.h"
#include "common/net.h"

#define PROXY_FIXED 16        /* bytes that tell how many follow */
#define PROXY_HEADER_MAX 1024 /* bytes in all; longer ones are refused */

enum proxy_answer {
    PROXY_MORE = 1,   /* not whole yet */
    PROXY_CLIENT = 2, /* `client` is who speaks */
    PROXY_LOCAL = 3,  /* the balancer speaks for itself, or for a client without a TCP address */
};

/* Judges the first `size` bytes, of which none is behind the header. `*need` is how many there have
 * to be in all. PROXY_MORE, PROXY_CLIENT, PROXY_LOCAL (also for the protocol's other families: UDP,
 * Unix sockets), or -EPROTO: this is no such header, is of another version, of a family that the
 * protocol does not have, cut, too long, or its checksum is wrong. */
int proxy_read(const uint8_t *at, size_t size, size_t *need, struct net_addr *client) MUST_CHECK;

#endif
