/*
 * rooms_internal.h: what rooms.c, fanout.c and recent.c share and nobody else sees.
 */
#ifndef WARREN_GATEWAY_ROOMS_INTERNAL_H
#define WARREN_GATEWAY_ROOMS_INTERNAL_H

#include <inttypes.h>

#include "common/buf.h"
#include "gateway/rooms.h"

#define ROOMS_RECOVER_MAX 300 /* records in one recovery: as SDKs expect */

struct rooms {
    struct gateway *gateway;    /* borrowed */
    struct room *by_name;       /* owns: uthash */
    struct room **of_partition; /* owns: lists */
    struct deadline_queue wait; /* subscriptions that are not answered */
    struct buf scratch;         /* publications while they are put together */
    /* Scratch of the fan-out: the records of one message, and for each the next one of its room. */
    struct record *records;
    int32_t *links;
    const struct record **run;
    struct room **touched;
    size_t capacity;
};

/* Frees a room that nobody is in and nobody walks. */
void room_free_if_empty(struct rooms *all, struct room *room);

/* Asks the owner for what came after `since`, unless an answer that covers it is on its way. */
void rooms_ask_owner(struct rooms *all, struct room *room, uint64_t since);

/* recent.c: keeps a run of records, within the limits of the settings. */
void recents_keep(struct room *room, const struct record *const *run, size_t count,
                  int64_t records_max, int64_t bytes_max);

/* Appends the publications after `since` up to `top`, comma-separated (behind what is there).
 * False, with the buffer as it was, when the room's memory does not hold all of them or they are
 * more than ROOMS_RECOVER_MAX. */
bool recents_add(const struct room *room, uint64_t since, uint64_t top, struct buf *out);

void recents_free(struct room *room);

#endif
