/*
 * moves.h: joins and leaves, told to the gateways that want to know.
 *
 * They are gathered and leave at the next tick, one message a gateway. Of a room
 * no more than its rule's moves_max are told in a second: a crowd that comes or
 * goes is not a storm.
 *
 * The last ones are kept for as long as a lease lives: a gateway that attaches and
 * has wanted to know before is told them, for it may have missed them, under the
 * owner before this one or with its last link. It knows what it has heard.
 */
#ifndef WARREN_BROADCASTER_MOVES_H
#define WARREN_BROADCASTER_MOVES_H

#include "common/base.h"
#include "common/buf.h"

#define MOVES_PAST_MAX UINT64_C(256) /* kept */

struct follower;
struct line;
struct member;
struct partition;
struct place;

struct move {
    uint64_t place, client; /* hashes of their names */
    bool left;
    int64_t time_ms;
    struct buf line; /* owns */
};

struct moves_past {
    struct move at[MOVES_PAST_MAX]; /* a ring */
    uint64_t count;                 /* of all that there ever were */
};

/* The member has come into its room, or is about to leave it. */
void moves_add(struct partition *p, const struct member *m, bool left, int64_t now_ms);

/* Somebody of whom this owner has not heard had been in the room, and has left. */
void moves_left_before(struct partition *p, struct place *place, const struct line *line,
                       int64_t now_ms);

/* Tells a gateway what may have passed it by. */
void moves_tell_past(struct partition *p, struct follower *f, const struct place *place,
                     int64_t now_ms);

/* Frees what is kept. */
void moves_past_deinit(struct moves_past *past);

/* At each tick: sends what was gathered. */
void moves_tick(struct partition *p, int64_t now_ms);

#endif
