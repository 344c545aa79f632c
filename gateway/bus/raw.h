/*
 * raw.h: what other programs publish to the exchange PREFIX.publish: a body, and a room as its key.
 *
 * The consuming thread judges each message (bus_raw.c). What can be a record
 * becomes a struct raw here, and is published through the lanes like all else, in
 * the order of the queue within each room. It is acked only after the broker
 * confirmed its batch: until then it is the broker's, and comes again if this
 * gateway dies. Once a lane has a raw record it is never refused; while the
 * lane has no room for it, it is held here. PREFIX.publish gives RAW_PREFETCH
 * messages at once, so that all of this is bounded.
 */
#ifndef WARREN_GATEWAY_BUS_RAW_H
#define WARREN_GATEWAY_BUS_RAW_H

#include "common/base.h"
#include "common/chan.h"

struct gateway;
struct mq_event;
struct raws;

#define RAW_PREFETCH 256 /* messages of PREFIX.publish that a gateway works on at once */

/* One message; one owner at a time: a bus' queue, the held ones, a lane. Freed with mem_free(). */
struct raw {
    struct chan_node node;                 /* first */
    uint64_t tag;                          /* of its delivery, in */
    uint32_t life;                         /* this life of the channel */
    struct slice room, user, key, payload; /* as struct record has them; into `bytes` */
    char bytes[];
};

/* Why a message can be no record; it goes to PREFIX.dead. */
enum raw_fault {
    RAW_GOOD,
#define RAW_FAULT(name, text) RAW_##name,
#include "gateway/bus/raw.def"
    RAW_FAULTS
};

/* The words of the header `reason` and of the metric. */
const char *raw_fault_label(enum raw_fault fault);

/* Makes a raw message of a delivery: RAW_GOOD and `*out`, or why not. */
enum raw_fault raw_read(const struct mq_event *e, size_t max_payload, struct raw **out) MUST_CHECK;

/* The loop's side. Freed with raws_free(), which accepts NULL and returns NULL. */
struct raws *raws_new(struct gateway *g) MUST_CHECK;
/* See above. */
struct raws *raws_free(struct raws *r);

/* A message has come; takes it over. */
void raws_take(struct raws *r, struct raw *raw);

/* End of the turn, before lanes_flush(): gives the lanes what they have room for. */
void raws_flush(struct raws *r);

/* The broker confirmed its batch; takes it over. */
void raws_published(struct raws *r, struct raw *raw);

/* Nobody knows its fate any more; takes it over. It is not acked: it comes again, to whomever. */
void raws_given_up(struct raws *r, struct raw *raw);

/* The connection that consumes is lost: what is held will come again, to whomever. */
void raws_down(struct raws *r);

/* Before the gateway ends: takes no more; what the lanes have is finished, and the rest goes back
 * to the queue, in its old place. */
void raws_end(struct raws *r);

#endif
