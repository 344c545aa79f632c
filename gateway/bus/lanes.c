/*
 * lanes.c: see lanes.h: the batch in doubt, and the one that fills behind it.
 */
#include "gateway/bus/lanes.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/api/api.h"
#include "gateway/bus/bus.h"
#include "gateway/bus/raw.h"
#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/session/sessions.h"
#include "proto/room.h"

#define OPEN_KEPT_MAX 65536 /* bytes of a batch's buffer kept for the next batch */
#define LANES_RETRY_MS 200  /* between two attempts with a batch that the broker refused */

/* One record's publisher, until it is told. */
struct waiter {
    struct publish_origin origin;
    uint32_t size; /* bytes of the record in its batch */
    int64_t since_us;
};

struct waiters {
    struct waiter *at; /* owns */
    uint32_t count, capacity;
};

struct lane {
    uint64_t number;        /* of the batch in doubt, or of the last one */
    struct bus_out *batch;  /* owns: in doubt, and here (not with the bus) */
    bool is_in_doubt;       /* there is a batch in doubt, here or with the bus */
    int64_t retry_ms;       /* batch is here: send it again then */
    int64_t doubt_ms;       /* since when it is in doubt */
    struct waiters doubted; /* the publishers of the batch in doubt */
    struct buf open;        /* the next batch's records */
    struct waiters waiting; /* their publishers */
};

struct lanes {
    struct gateway *gateway; /* borrowed */
    bool is_up;
    uint32_t count;
    size_t waiting;
    struct lane of_partition[];
};

struct lanes *lanes_new(struct gateway *g)
{
    uint32_t count = (uint32_t)g->conf->partitions;
    struct lanes *l = mem_zalloc(1, sizeof(*l) + count * sizeof(struct lane));

    l->gateway = g;
    l->count = count;
    return l;
}

static void waiters_free(struct waiters *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        mem_free(w->at[i].origin.raw);
    }
    mem_free(w->at);
}

struct lanes *lanes_free(struct lanes *l)
{
    if (l == NULL) {
        return NULL;
    }
    for (uint32_t p = 0; p < l->count; p++) {
        struct lane *lane = &l->of_partition[p];

        if (lane->batch != NULL) {
            bus_out_free(lane->batch);
        }
        buf_deinit(&lane->open);
        waiters_free(&lane->doubted);
        waiters_free(&lane->waiting);
    }
    mem_free(l);
    return NULL;
}

static void waiters_add(struct waiters *w, const struct waiter *one)
{
    if (w->count == w->capacity) {
        w->capacity = MAX(4u, w->capacity * 2);
        w->at = mem_realloc(w->at, w->capacity * sizeof(w->at[0]));
    }
    w->at[w->count++] = *one;
}

static void lanes_count(struct lanes *l, int64_t change)
{
    l->waiting = (size_t)((int64_t)l->waiting + change);
    stat_set(&l->gateway->metrics.publishes_waiting, l->waiting);
}

/* One of our doors let through what it should not. */
static void note_bad(struct lanes *l, const struct record *r)
{
    static struct log_limit limit;

    stat_add(&l->gateway->metrics.publishes_refused_bad, 1);
    if (log_allowed(&limit)) {
        log_error("publish not readable room=%.*s session=%.*s info=%zu chan_info=%zu payload=%zu",
                  SLICE_ARG(r->room), SLICE_ARG(r->client), r->info.size, r->chan_info.size,
                  r->payload.size);
    }
}

int lanes_publish(struct lanes *l, const struct record *r, const struct publish_origin *origin)
{
    struct lane *lane = &l->of_partition[room_partition(r->room, l->count)];
    size_t before = lane->open.size;

    uint32_t share = origin->raw != NULL ? 2 : 1;

    if (before >= BATCH_BYTES_MAX / share || lane->waiting.count >= BATCH_RECORDS_MAX / share) {
        stat_add(&l->gateway->metrics.publishes_refused_full, origin->raw == NULL);
        limit_met(&l->gateway->metrics.limits, LIMIT_BATCH);
        return LANES_FULL;
    }
    if (!record_encode_checked(&lane->open, r)) {
        note_bad(l, r);
        return LANES_BAD;
    }
    waiters_add(&lane->waiting, &(struct waiter){
                                    .origin = *origin,
                                    .size = (uint32_t)(lane->open.size - before),
                                    .since_us = clock_mono_us(),
                                });
    stat_add(&l->gateway->metrics.publishes, 1);
    struct session *s = sessions_find(l->gateway->sessions, origin->session);
    if (s != NULL) {
        s->unanswered++;
    }
    lanes_count(l, 1);
    return 0;
}

/* Hands the batch in doubt to the bus. */
static void lane_send(struct lanes *l, struct lane *lane)
{
    struct bus_out *batch = lane->batch;

    assert(lane->is_in_doubt);
    batch->sent_us = clock_mono_us();
    if (bus_send(l->gateway->bus, batch)) {
        lane->batch = NULL;
        stat_add(&l->gateway->metrics.batches_sent, 1);
    } else {
        lane->retry_ms = clock_mono_ms() + LANES_RETRY_MS;
    }
}

/* Makes a batch of what has gathered. */
static void lane_close_batch(struct lanes *l, uint32_t p)
{
    struct lane *lane = &l->of_partition[p];
    struct bus_out *batch = mem_new(struct bus_out);
    struct waiters empty = lane->doubted;

    assert(!lane->is_in_doubt);
    assert(lane->doubted.count == 0);
    batch->target = BUS_TO_INPUT;
    batch->body = blob_copy(lane->open.at, lane->open.size);
    batch->message = (struct message){
        .type = MESSAGE_PUBLISH,
        .has = HAS_PARTITION | HAS_GATEWAY | HAS_BOOT | HAS_BATCH | HAS_RECORDS,
        .partition = p,
        .gateway = slice_of(l->gateway->conf->id),
        .boot = slice_of(l->gateway->boot),
        .batch = ++lane->number,
        .records = lane->waiting.count,
        .time_ms = clock_wall_ms(),
    };
    if (lane->open.capacity > OPEN_KEPT_MAX) {
        buf_deinit(&lane->open); /* a burst is no reason to keep the memory */
    }
    buf_clear(&lane->open);
    lane->doubted = lane->waiting;
    lane->waiting = empty;
    lane->is_in_doubt = true;
    lane->doubt_ms = clock_mono_ms();
    lane->batch = batch;
}

void lanes_flush(struct lanes *l)
{
    for (uint32_t p = 0; l->is_up && p < l->count; p++) {
        struct lane *lane = &l->of_partition[p];

        if (!lane->is_in_doubt && lane->waiting.count > 0) {
            lane_close_batch(l, p);
            lane_send(l, lane);
        }
    }
}

void lanes_up(struct lanes *l)
{
    l->is_up = true;
    for (uint32_t p = 0; p < l->count; p++) {
        l->of_partition[p].retry_ms = 0;
    }
    lanes_tick(l);
}

void lanes_down(struct lanes *l)
{
    l->is_up = false;
}

/* Says how it went, if the session is still there. */
static void waiter_tell(struct lanes *l, const struct waiter *w, bool ok)
{
    struct session *s = sessions_find(l->gateway->sessions, w->origin.session);

    if (w->origin.raw != NULL) {
        raws_published(l->gateway->raws, w->origin.raw);
    } else if (w->origin.call != 0) {
        api_published(l->gateway->api, w->origin.call, ok);
    } else if (s != NULL) {
        assert(s->unanswered > 0);
        s->unanswered--;
        dialect_published(s, w->origin.command_id,
                          !ok                ? NOT_PUBLISHED
                          : w->origin.is_rpc ? PUBLISHED_BY_RPC
                                             : PUBLISHED);
    }
}

static void lane_confirmed(struct lanes *l, struct lane *lane)
{
    struct gateway *g = l->gateway;
    int64_t now = clock_mono_us();

    for (uint32_t i = 0; i < lane->doubted.count; i++) {
        const struct waiter *w = &lane->doubted.at[i];

        histogram_add(&g->metrics.publish_us, now - w->since_us);
        waiter_tell(l, w, true);
    }
    stat_add(&g->metrics.publishes_confirmed, lane->doubted.count);
    lanes_count(l, -(int64_t)lane->doubted.count);
    lane->doubted.count = 0;
    lane->is_in_doubt = false;
}

/* Its publisher is told nothing: nobody knows what would be true. */
static void waiter_give_up(struct lanes *l, const struct waiter *w)
{
    struct session *s = sessions_find(l->gateway->sessions, w->origin.session);

    if (w->origin.raw != NULL) {
        raws_given_up(l->gateway->raws, w->origin.raw);
    } else if (w->origin.call == 0 && s != NULL) {
        assert(s->unanswered > 0);
        s->unanswered--;
    }
}

/* The batch in doubt is here, and is not sent again. */
static void lane_give_up(struct lanes *l, uint32_t p)
{
    struct lane *lane = &l->of_partition[p];

    log_warn("batch given up partition=%" PRIu32 " batch=%" PRIu64 " records=%" PRIu32, p,
             lane->number, lane->doubted.count);
    for (uint32_t i = 0; i < lane->doubted.count; i++) {
        waiter_give_up(l, &lane->doubted.at[i]);
    }
    stat_add(&l->gateway->metrics.publishes_given_up, lane->doubted.count);
    lanes_count(l, -(int64_t)lane->doubted.count);
    lane->doubted.count = 0;
    lane->is_in_doubt = false;
    bus_out_free(lane->batch);
    lane->batch = NULL;
}

void lanes_on_result(struct lanes *l, struct bus_out *batch, enum bus_result result)
{
    struct lane *lane = &l->of_partition[batch->message.partition];

    assert(lane->is_in_doubt);
    assert(lane->batch == NULL);
    assert(batch->message.batch == lane->number);
    switch (result) {
    case BUS_CONFIRMED:
        bus_out_free(batch);
        lane_confirmed(l, lane);
        break;
    case BUS_REFUSED:
        stat_add(&l->gateway->metrics.batches_refused, 1);
        limit_met(&l->gateway->metrics.limits, LIMIT_IN_MAX_LENGTH);
        lane->batch = batch;
        lane->retry_ms = clock_mono_ms() + LANES_RETRY_MS;
        break;
    case BUS_LOST:
        lane->batch = batch;
        lane->retry_ms = 0;
        break;
    }
}

/* Refuses those that have waited too long, and moves the others together; the oldest ones are at
 * the front of the open batch. */
static void lane_refuse_late(struct lanes *l, struct lane *lane, int64_t now_us)
{
    int64_t limit_us = l->gateway->conf->publish_wait_ms * 1000;
    struct waiters *w = &lane->waiting;
    uint32_t kept = 0, late;
    size_t from = 0, to = 0;

    if (w->count == 0 || now_us - w->at[0].since_us <= limit_us) {
        return;
    }
    for (uint32_t i = 0; i < w->count; i++) {
        struct waiter one = w->at[i];

        if (one.origin.raw == NULL && now_us - one.since_us > limit_us) {
            limit_met(&l->gateway->metrics.limits, LIMIT_PUBLISH_WAIT);
            waiter_tell(l, &one, false);
        } else {
            memmove(lane->open.at + to, lane->open.at + from, one.size);
            to += one.size;
            w->at[kept++] = one;
        }
        from += one.size;
    }
    assert(from == lane->open.size);
    late = w->count - kept;
    lane->open.size = to;
    w->count = kept;
    stat_add(&l->gateway->metrics.publishes_refused_late, late);
    lanes_count(l, -(int64_t)late);
}

void lanes_tick(struct lanes *l)
{
    int64_t now_ms = clock_mono_ms(), now_us = clock_mono_us();

    for (uint32_t p = 0; p < l->count; p++) {
        struct lane *lane = &l->of_partition[p];

        if (lane->batch != NULL && now_ms - lane->doubt_ms > LANE_DOUBT_MS) {
            lane_give_up(l, p);
        } else if (lane->batch != NULL && l->is_up && now_ms >= lane->retry_ms) {
            stat_add(&l->gateway->metrics.batches_repeated, 1);
            lane_send(l, lane);
        }
        lane_refuse_late(l, lane, now_us);
    }
}

size_t lanes_waiting(const struct lanes *l)
{
    return l->waiting;
}
