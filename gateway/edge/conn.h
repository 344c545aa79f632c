/*
 * conn.h: a TCP peer until we know what it wants.
 *
 * Takes a trusted balancer's PROXY header, shakes hands (TLS), reads one request head, all of it
 * within handshake_ms; then: answers it and closes
 * (page, refusal), or upgrades and hands the socket to a session. Refusals are
 * JSON with Connection: close; the socket is shut down for writing and read for a moment so that
 * the answer arrives (no RST over unread bytes).
 */
#ifndef WARREN_GATEWAY_EDGE_CONN_H
#define WARREN_GATEWAY_EDGE_CONN_H

#include "common/base.h"

#define CONN_LINGER_MS 1000     /* for the peer to take the answer and go */
#define CONN_LINGER_BYTES 65536 /* thrown away at most */
#define CONN_REFUSING_MAX                                                                          \
    256 /* refused for want of room and not gone yet; more are closed at once */

struct gateway;
struct net_addr;
struct conns; /* all connections in this state, and what they share */

/* Nobody yet. conns_free() closes what is left; it accepts NULL and returns NULL. */
struct conns *conns_new(struct gateway *g) MUST_CHECK;
struct conns *conns_free(struct conns *c);

/* Takes over an accepted, non-blocking socket of `peer`. */
void conns_take(struct conns *c, int fd, const struct net_addr *peer);

/* How many there are, those that are being refused included. */
size_t conns_count(const struct conns *c);

#endif
