/*
 * tries.h: how many bad tokens each address has shown lately, or connections it has begun.
 *
 * Whoever shows too many in a window is not listened to for the rest of it, so
 * that guessing is slow and costs no checks of signatures. Addresses count as in
 * crowd.h. The table has a fixed size: of more addresses than it holds some are
 * forgotten early.
 */
#ifndef WARREN_GATEWAY_EDGE_TRIES_H
#define WARREN_GATEWAY_EDGE_TRIES_H

#include "common/base.h"
#include "common/net.h"

#define TRIES_WINDOW_MS 10000
#define TRIES_PLACES 4096

struct tries;

/* `max` bad tokens of an address in a window; 0: any number. */
struct tries *tries_new(int64_t max) MUST_CHECK;
/* Accepts NULL; returns NULL. */
struct tries *tries_free(struct tries *t);

/* A bad token of that address. */
void tries_add(struct tries *t, const struct net_addr *a, int64_t now_ms);

/* Whether it has shown so many that no more of them are looked at. */
bool tries_is_over(const struct tries *t, const struct net_addr *a, int64_t now_ms) MUST_CHECK;

#endif
