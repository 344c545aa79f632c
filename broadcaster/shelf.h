/*
 * shelf.h: the recent records of a partition's rooms, in memory.
 *
 * One line of records over all rooms, oldest first, bounded in bytes; within it
 * each room has its own run, which has no hole and ends at the room's confirmed
 * position. A record leaves when
 * - the bytes of all are too many and it is the oldest one;
 * - it is older than its room's history may be: at once when it is the oldest one of
 *   all, and in any case before it could be shown (shelf_expire);
 * - its room has `history_size` newer ones, and it is no longer fresh. Fresh records
 *   are what a gateway misses while its owner changes: they stay in any case,
 *   so that a busy room's followers can continue too.
 */
#ifndef WARREN_BROADCASTER_SHELF_H
#define WARREN_BROADCASTER_SHELF_H

#include "broadcaster/roster.h"
#include "common/base.h"
#include "common/stats.h"

#define SHELF_FRESH_MS 10000

/* A record as it stands in the log: both lines. */
struct kept {
    struct kept *older, *newer; /* links: all rooms */
    struct kept *next;          /* link: the next one of its room */
    struct place *place;
    uint64_t offset;
    int64_t time_ms; /* when it was appended */
    uint32_t size;   /* bytes */
    bool is_aged;    /* no longer fresh */
    char bytes[];
};

struct shelf {
    struct kept *oldest, *newest; /* owns */
    struct kept *fresh;           /* the oldest one that is fresh; NULL: none */
    size_t bytes, bytes_max;      /* with overhead */
    stat_value *gauge;            /* borrowed: of bytes, shared with other shelves */
};

static inline struct slice kept_slice(const struct kept *k)
{
    return (struct slice){k->bytes, k->size};
}

/* Puts a record behind all others. It must be its room's confirmed one; if it does not continue the
 * room's run, the run begins anew with it. */
void shelf_add(struct shelf *s, struct place *place, struct slice record, int64_t time_ms);

/* Takes all records of a room off. */
void shelf_clear(struct shelf *s, struct place *place);

/* Takes the records of a room off that are older than its history may be. */
void shelf_expire(struct shelf *s, struct place *place, int64_t now_ms);

/* Lets go of what is too old. */
void shelf_tick(struct shelf *s, int64_t now_ms);

/* True if every record of the room above `offset`, up to its confirmed one, is here. */
bool shelf_covers(const struct place *place, uint64_t offset);

/* The room's oldest record above `offset`, or NULL; the others follow by ->next. */
const struct kept *shelf_after(const struct place *place, uint64_t offset);

#endif
