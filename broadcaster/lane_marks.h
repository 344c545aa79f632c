/*
 * lane_marks.h: how far each lane has come in one partition.
 *
 * A lane is one life of a gateway, named by its boot id; its batches are
 * numbered upward. A batch at or below the number is a duplicate. A lane that
 * was silent for LANE_LIFE_MS is forgotten: its gateway sends nothing again that is
 * older. What the broker kept meanwhile may come later than that, though, and clocks
 * may be set: so only time counts in which an owner was there and looked.
 */
#ifndef WARREN_BROADCASTER_LANE_MARKS_H
#define WARREN_BROADCASTER_LANE_MARKS_H

#include "common/base.h"
#include "common/hash.h"
#include "proto/limits.h"

#define LANE_MARKS_LEAP_MS 60000 /* nobody looked for longer, or the clock was set */
#define LANE_MARKS_MAX 65536u    /* of too many the idlest are forgotten early */

struct lane_mark {
    UT_hash_handle hh;
    struct lane_mark *prev, *next; /* links: order of activity, the idlest first */
    uint64_t numbered;             /* last batch whose records were numbered */
    uint64_t confirmed;            /* last batch that is confirmed in the log */
    int64_t active_ms;
    char boot[BOOT_SIZE];
};

struct lane_marks {
    struct lane_mark *by_boot; /* owns */
    struct lane_mark *idlest;
    int64_t looked_ms; /* of the last tick */
};

/* The lane's mark, or NULL. `boot` has BOOT_SIZE bytes. */
struct lane_mark *lane_marks_find(const struct lane_marks *l, struct slice boot);

/* The lane's mark, at 0 if it is new; active now. */
struct lane_mark *lane_marks_get(struct lane_marks *l, struct slice boot, int64_t now_ms);

/* All of them are as good as active now. */
void lane_marks_settle(struct lane_marks *l, int64_t now_ms);

/* Forgets lanes that are idle for too long, or too many, and have nothing on its way. Call it
 * often. How many were too many. */
size_t lane_marks_tick(struct lane_marks *l, int64_t now_ms);

/* Forgets all. */
void lane_marks_clear(struct lane_marks *l);

/* Takes "<boot>:<batch>" off `rest`, a list divided by spaces. False at its end or when it is none.
 */
bool lane_marks_next(struct slice *rest, struct slice *boot, uint64_t *batch);

#endif
