/*
 * moves.h: joins and leaves, told to the gateways that want to know.
 *
 * They are gathered and leave at the next tick, one message a gateway. Of a room
 * no more than its rule's moves_max are told in a second: a crowd that comes or
 * goes is not a storm. Each is told once at most.
 */
#ifndef WARREN_BROADCASTER_MOVES_H
#define WARREN_BROADCASTER_MOVES_H

#include "common/base.h"

struct member;
struct partition;

/* The member has come into its room, or is about to leave it. */
void moves_add(struct partition *p, const struct member *m, bool left, int64_t now_ms);

/* At each tick: sends what was gathered. */
void moves_tick(struct partition *p, int64_t now_ms);

#endif
