/*
 * era.h: the epoch of all rooms of a partition in which nobody has spoken yet.
 *
 * A room has its epoch before its first record, or whoever came too early could
 * not tell one life of its numbers from another. So that this costs no memory
 * and outlives its owner, all rooms of a partition that nobody has spoken in
 * have the same one, the era's, and the log tells it: in the term marker of the
 * owner that began the era, and in every checkpoint.
 *
 * A room that spoke may be forgotten only in a later era than that of its
 * epoch: it would begin anew at the same place. And who owns the partition next
 * must not remember it. So rooms are forgotten by a checkpoint that leaves them
 * out and, if one of them is of the present era, names the next one; when it is
 * confirmed, they go and that era begins. Since a room is idle for long before
 * it is forgotten, eras are as long as history lives, unless there are too many
 * rooms (roster.h).
 *
 * An epoch that is made for a room alone begins with the era's, and so belongs
 * to it.
 */
#ifndef WARREN_BROADCASTER_ERA_H
#define WARREN_BROADCASTER_ERA_H

#include "common/base.h"
#include "proto/limits.h"

#define ERA_SIZE 8 /* characters of its epoch */

struct partition;
struct place;
struct message;
struct buf;

struct era {
    char epoch[ERA_SIZE + 1]; /* "": not known yet */
    char next[ERA_SIZE + 1];  /* as the checkpoint that is written or read names it */
    bool has_idle;            /* rooms wait to be forgotten */
    int64_t told_ms;          /* when the last checkpoint was written, or we took over */
};

/* The room gets a position, at its beginning, if it has none. */
void era_place(struct partition *p, struct place *place);

/* The room's numbers begin anew; it is not forgotten in the meantime. */
void era_renew(struct partition *p, struct place *place);

/* The epoch of a room that is not known. */
struct slice era_epoch(const struct partition *p);

/* True if somebody spoke in the room in the present era, so that its numbers there are taken. */
bool era_holds(const struct partition *p, const struct place *place);

/* True if a checkpoint is wanted, so that rooms can be forgotten. */
bool era_is_due(const struct partition *p, int64_t now_ms);

/* The line of the marker; a new era if none is known. */
void era_mark(struct partition *p, struct buf *body);
/* A valid marker was read. `is_whole`: everything before it that counts is known. */
void era_read_mark(struct partition *p, const struct message *m, bool is_whole);

/* What a checkpoint names: that era begins when it is complete. */
struct slice era_checkpoint(struct partition *p, bool is_next, int64_t now_ms);
bool era_read_checkpoint(struct partition *p, struct slice epoch) MUST_CHECK;
void era_on_checkpoint(struct partition *p);

#endif
