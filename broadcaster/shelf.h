/*
 * shelf.h: the recent records of a partition's rooms, in memory.
 *
 * Each room has its own run of records, which has no hole and ends at the room's
 * confirmed position. The newest `history_size` of a run are its history, what is
 * older is surplus: it heals gateways that were away, and goes first. Over all rooms there are
 * three lines, each oldest first:
 * - history;
 * - surplus, in the order in which the records ceased to be history. When the
 *   bytes of all are too many the oldest surplus goes, and history only when
 *   there is none: a busy room costs no other one its history;
 * - staged: read back from the log, and older than its room's run. Joined to the
 *   run by shelf_join() when the gap between them is closed.
 * A record that is older than its room's history may be goes too: at once when it
 * is the oldest of its line, in any case before it could be shown (shelf_expire).
 */
#ifndef WARREN_BROADCASTER_SHELF_H
#define WARREN_BROADCASTER_SHELF_H

#include "broadcaster/roster.h"
#include "common/base.h"
#include "common/stats.h"

#define SHELF_STAGED_PART 8 /* this part of the memory is kept free for what is read back */

enum shelf_line { SHELF_HISTORY, SHELF_SURPLUS, SHELF_STAGED, SHELF_LINES };

/* A record as it stands in the log: both lines. */
struct kept {
    struct kept *older, *newer; /* links: its line */
    struct kept *next;          /* link: the next one of its room */
    struct place *place;
    uint64_t offset;
    uint64_t log_at; /* stream offset of its append: exact, or a lower bound if it is our own */
    int64_t time_ms; /* when it was appended */
    uint32_t size;   /* bytes */
    enum shelf_line line;
    char bytes[];
};

struct shelf {
    struct {
        struct kept *oldest, *newest; /* owns */
        size_t bytes;                 /* with overhead */
    } lines[SHELF_LINES];
    size_t bytes_max;
    bool is_filling;       /* what is staged may take all that history leaves */
    bool is_tight;         /* history or staged records had to go for want of room */
    struct place *wanting; /* list: rooms whose older records are looked for in the log */
    stat_value *gauge;     /* borrowed: of bytes, shared with other shelves */
    stat_value *full;      /* borrowed: history that left for want of room */
};

/* One to be put on the shelf: both lines, and where it stands. */
struct shelf_record {
    struct slice bytes;
    uint64_t offset; /* shelf_stage() */
    uint64_t log_at;
    int64_t time_ms;
};

static inline struct slice kept_slice(const struct kept *k)
{
    return (struct slice){k->bytes, k->size};
}

/* Puts a record behind all others. It must be its room's confirmed one; if it does not continue the
 * room's run, the run begins anew with it. */
void shelf_add(struct shelf *s, struct place *place, const struct shelf_record *r);

/* What is more than the room's history may be becomes surplus: its rule has changed, perhaps. What
 * became surplus under another rule is shown as long as it is there. */
void shelf_settle(struct shelf *s, struct place *place);

/* Stages a record of the room's present epoch, read from the log. What does not continue the
 * staged run begins it anew. */
void shelf_stage(struct shelf *s, struct place *place, const struct shelf_record *r);

/* Joins what is staged to the rooms' runs, or drops what does not fit. Rooms that have what they
 * wanted want no more. Memory may be too full afterwards, so that it can be shown what was
 * wanted before shelf_fit(). */
void shelf_join(struct shelf *s);

/* What is too much goes. */
void shelf_fit(struct shelf *s);

/* Drops what is staged. */
void shelf_unstage(struct shelf *s);

/* The room wants its records from `offset` on; 0: none any more. */
void shelf_want(struct shelf *s, struct place *place, uint64_t offset);

/* Forgets all about a room's records. */
void shelf_clear(struct shelf *s, struct place *place);

/* Takes the records of a room off that are older than its history may be. */
void shelf_expire(struct shelf *s, struct place *place, int64_t now_ms);

/* Lets go of what is too old. */
void shelf_tick(struct shelf *s, int64_t now_ms);

/* The offset of the room's oldest record here, or of the next one to come. */
uint64_t shelf_low(const struct place *place);

/* True if every record of the room above `offset`, up to its confirmed one, is here. */
bool shelf_covers(const struct place *place, uint64_t offset);

/* The room's oldest record above `offset`, or NULL; the others follow by ->next. */
const struct kept *shelf_after(const struct place *place, uint64_t offset);

#endif
