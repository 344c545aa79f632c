/*
 * rooms_internal.h: what rooms.c, recover.c, fanout.c and recent.c share and nobody else sees.
 */
#ifndef WARREN_GATEWAY_ROOM_ROOMS_INTERNAL_H
#define WARREN_GATEWAY_ROOM_ROOMS_INTERNAL_H

#include <inttypes.h>

#include "common/buf.h"
#include "common/log.h"
#include "gateway/room/rooms.h"
#include "proto/codec.h"

#define ROOMS_RECOVER_MAX 300 /* records in one recovery: as SDKs expect */

/* What was put together last for sessions of one codec. */
struct made {
    struct buf publications; /* a list of the codec */
    /* The records of a room's memory after an offset, up to another one. NULL: something else. */
    const struct room *room;
    uint64_t since, top;
};

struct rooms {
    struct gateway *gateway;     /* borrowed */
    struct room *by_name;        /* owns: uthash */
    struct room **of_partition;  /* owns: lists */
    uint32_t *joining;           /* owns: rooms of each partition without a position */
    struct deadline_queue wait;  /* subscriptions that are not answered */
    struct told *told;           /* owns: joins and leaves */
    struct log_limit lost_lines; /* one for each room would be too much */
    struct made made[CODEC_COUNT];
    /* Scratch of the fan-out: the records of one message, and for each the next one of its room. */
    struct record *records;
    int32_t *links;
    const struct record **run;
    struct room **touched;
    size_t capacity;
};

/* Keeps a room alive while it is walked: a session that ends there leaves all its rooms at once.
 * The last unpin frees a room that nobody is in. */
void room_pin(struct room *room);
void room_unpin(struct rooms *all, struct room *room);

/* The position is known and, if `recovered`, what was missed: the client may be told. The
 * subscription may be gone afterwards. */
void subscription_answer(struct subscription *sub, uint64_t offset, bool recovered,
                         struct slice publications);

/* recover.c: answers a subscription of a live room that told where it was, or asks the owner. */
void subscription_recover(struct rooms *all, struct subscription *sub);

/* It does not wait for the owner's memory any more. */
void joining_unask(struct subscription *sub);

/* The link began anew: what the owner was asked before may be lost. */
void rooms_ask_again(struct rooms *all, struct room *room);

/* recent.c: keeps a run of records, within the limits of the settings. */
void recents_keep(struct room *room, const struct record *const *run, size_t count,
                  int64_t records_max, int64_t bytes_max);

/* Appends the publications after `since` up to `top` that the session may see to a list of its
 * codec; clears `is_common` if there are such as not everybody may see. False, with the list as it
 * was, when the room's memory does not hold all of them or they are more than ROOMS_RECOVER_MAX. */
bool recents_add(const struct room *room, uint64_t since, uint64_t top, const struct session *s,
                 bool *is_common, struct buf *list);

/* The same up to now, as far as the room's rule lets history go back, into the codec's emptied
 * list; cheap for the next one who asks the same. */
bool made_from_recent(struct rooms *all, struct room *room, uint64_t since,
                      const struct session *s);

/* Forgets the room's records. */
void recents_free(struct rooms *all, struct room *room);

#endif
