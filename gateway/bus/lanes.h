/*
 * lanes.h: what sessions published, on its way to the broker.
 *
 * A lane is (boot id, partition). One batch of a lane is in doubt at a time;
 * while it is, the next one fills. A batch once sent is sent again under its
 * number until the broker confirmed it: its records are never refused, for
 * nobody knows their fate. Only when LANE_DOUBT_MS have brought no connection that
 * could tell, it is given up: the owner will not know its number for ever and would take
 * it for new. Its records have no answer then, and the lane goes on with the next number.
 * Records that wait behind it are refused with a
 * temporary error when they wait longer than publish_wait_ms, or are too many.
 * Those of other programs (raw.h) are not: once taken, they wait as long as it takes.
 * They may fill half of a lane, so that the other half is people's.
 */
#ifndef WARREN_GATEWAY_BUS_LANES_H
#define WARREN_GATEWAY_BUS_LANES_H

#include "common/base.h"
#include "gateway/session/session.h"
#include "proto/record.h"

struct gateway;
struct lanes;
struct raw;
struct bus_out;

/* Freed with lanes_free(), which accepts NULL and returns NULL; batches that are with the bus stay
 * the bus'. */
struct lanes *lanes_new(struct gateway *g) MUST_CHECK;
/* See above. */
struct lanes *lanes_free(struct lanes *l);

enum lanes_answer {
    LANES_FULL = 1, /* too much waits: refuse with a temporary error */
    LANES_BAD = 2,  /* the owner would not read it, nor what is in the same batch */
};

/* Whom to tell how it went. */
struct publish_origin {
    session_handle session;
    uint32_t command_id;
    bool is_rpc;     /* it was the rpc `publish` */
    uint64_t call;   /* 0, or a call of the API instead of a session: api_published() is told */
    struct raw *raw; /* owns once taken; NULL, or a raw message instead: raws_published() */
};

/* Appends a record to the open batch of its room's partition. The publisher is told through
 * dialect_published(). 0 or an answer. What the doors check can be read: LANES_BAD is the wall
 * behind them, and is counted and logged. */
int lanes_publish(struct lanes *l, const struct record *r,
                  const struct publish_origin *origin) MUST_CHECK;

/* What a publisher is told of such an answer. */
static inline enum reply_error lanes_error(int answer)
{
    return answer == LANES_BAD ? REPLY_BAD_REQUEST : REPLY_INTERNAL;
}

/* The connection that publishes is up (again) or down. */
void lanes_up(struct lanes *l);
void lanes_down(struct lanes *l);

/* A batch comes back from the bus: confirmed, refused, or in doubt because the connection was lost.
 * Takes it over. */
enum bus_result { BUS_CONFIRMED, BUS_REFUSED, BUS_LOST };
void lanes_on_result(struct lanes *l, struct bus_out *batch, enum bus_result result);

/* End of the turn: sends the open batches of idle lanes. */
void lanes_flush(struct lanes *l);
/* Every GATEWAY_TICK_MS: repeats, and waits that are over. */
void lanes_tick(struct lanes *l);

/* Records that wait for a confirm. */
size_t lanes_waiting(const struct lanes *l);

#endif
