/*
 * crowd.h: how many connections each address has.
 *
 * An IPv4 address counts by itself, IPv6 by the /64 that one customer has. An address is remembered
 * only while it has connections.
 */
#ifndef WARREN_GATEWAY_EDGE_CROWD_H
#define WARREN_GATEWAY_EDGE_CROWD_H

#include "common/base.h"
#include "common/net.h"

/* What an address counts by. False: it is none of the internet's. */
bool crowd_key(const struct net_addr *a, uint8_t key[NET_IP_SIZE]) MUST_CHECK;

struct crowd;
struct crowd_place; /* an address and its connections */

/* `max` connections of an address; 0: any number. */
struct crowd *crowd_new(int64_t max) MUST_CHECK;
/* Nobody may have a place any more. Accepts NULL; returns NULL. */
struct crowd *crowd_free(struct crowd *all);

/* One more connection of that address. False: it has as many as it may have. `*place` is to be
 * given back with crowd_leave(); it is NULL when nothing is counted. */
bool crowd_enter(struct crowd *all, const struct net_addr *a,
                 struct crowd_place **place) MUST_CHECK;
/* Accepts NULL. */
void crowd_leave(struct crowd_place *place);

/* One of its connections has no whole request yet. False: so many of them are that `max` is reached
 * (0: any number). Accepts NULL, and then answers true. */
bool crowd_knock(struct crowd_place *place, int64_t max) MUST_CHECK;
/* It has now, or goes: after a knock that was let in, and before crowd_leave(). Accepts NULL. */
void crowd_arrived(struct crowd_place *place);

#endif
