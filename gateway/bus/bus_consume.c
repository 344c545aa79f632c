/*
 * bus_consume.c: the thread that consumes for the gateway: deliveries, and the control stream.
 *
 * Deliveries come without acks and in any number; a hole in them heals. The
 * control stream is read from its start, and after a lost connection from behind
 * what was handed over: the loop gets each of its messages once. What other programs
 * publish comes with acks (bus_raw.c). It counts the gateways, too (bus_members.c).
 */
#include <stdio.h>

#include "common/log.h"
#include "common/mem.h"
#include "gateway/bus/bus_internal.h"
#include "gateway/gateway.h"

#define SETTLE_EVERY 32 /* messages: a look for what other programs published costs a lock */
#define CHANNEL_CONSUME 4
#define CHANNEL_CONTROL 5
#define CONTROL_PREFETCH 500 /* messages; each is acked as it is handed over */

static struct slice news_copy(struct blob *bytes, size_t *at, struct slice s)
{
    struct slice copy = {bytes->bytes + *at, s.size};

    if (s.size > 0) {
        memcpy(bytes->bytes + *at, s.at, s.size);
        *at += s.size;
    }
    return copy;
}

static void count_limits(struct bus_thread *t, const struct mq_event *e)
{
    struct limits *l = &t->bus->gateway->metrics.limits;

    if (e->too_large) {
        limit_met(l, LIMIT_AMQP_BODY);
    }
    if (e->props.has_more) {
        limit_met(l, LIMIT_AMQP_HEADERS);
    }
}

/* Waits for room on the way to the loop: then the broker keeps the rest. */
static void hand_over(struct bus_thread *t, const struct mq_event *e)
{
    struct message m;
    const char *why = e->too_large ? "too large" : message_from_event(e, &m);

    count_limits(t, e);
    if (why != NULL) {
        log_warn("message not understood role=consume reason=\"%s\" type=%s", why,
                 log_quote(e->props.type.at, e->props.type.size));
        bus_tell(t, bus_news_new(t, NEWS_POISON));
        return;
    }
    bool is_control = e->channel == CHANNEL_CONTROL;
    struct bus_news *news = bus_news_new(t, is_control ? NEWS_CONTROL : NEWS_MESSAGE);
    size_t at = 0;

    news->at = e->stream_offset;
    news->bytes = blob_new((uint32_t)(m.boot.size + m.owner.size + m.gateway.size + m.body.size));
    news->message = m;
    news->message.boot = news_copy(news->bytes, &at, m.boot);
    news->message.owner = news_copy(news->bytes, &at, m.owner);
    news->message.body = news_copy(news->bytes, &at, m.body);
    news->message.gateway = news_copy(news->bytes, &at, m.gateway);
    news->message.lanes = SLICE_NONE;
    news->node.cost = sizeof(*news) + news->bytes->size;
    if (!chan_put(&t->to_loop, &news->node)) {
        blob_unref(news->bytes);
        mem_free(news);
    }
}

/* Of a message of the control stream: the next one is read behind it. */
static int control_passed(struct bus_thread *t, const struct mq_event *e)
{
    if (e->channel != CHANNEL_CONTROL) {
        return MQ_OK;
    }
    t->control_at = e->stream_offset;
    return mq_ack(t->mq, CHANNEL_CONTROL, e->tag, false);
}

static int take(struct bus_thread *t, const struct mq_event *e)
{
    if (e->kind == MQ_DELIVERY && e->channel == BUS_CHANNEL_MEMBER) {
        return MQ_OK; /* nobody should write there */
    }
    if (e->kind == MQ_DELIVERY && e->channel != BUS_CHANNEL_RAW) {
        hand_over(t, e);
        return control_passed(t, e);
    }
    return bus_raw_on_event(t, e);
}

/* What the loop has for the thread. */
static int settle(struct bus_thread *t)
{
    int r = bus_raw_settle(t);

    return r == MQ_OK ? bus_member_settle(t) : r;
}

static void consumer_work(struct bus_thread *t)
{
    struct mq_event e;
    uint32_t taken = 0; /* since the bus was idle */

    while (!bus_stops(t)) {
        bus_progress(t);
        int r = taken++ % SETTLE_EVERY == 0 ? settle(t) : MQ_OK;

        if (r == MQ_OK) {
            r = mq_next(t->mq, &e, 0);
        }
        if (r == MQ_TIMEOUT) {
            mq_idle_wait(t->mq, t->event_fd, BUS_POLL_MS);
            bus_event_clear(t);
            taken = 0;
            continue;
        }
        if (r == MQ_OK) {
            r = take(t, &e);
        }
        if (r != MQ_OK) {
            return;
        }
        if (e.kind == MQ_CANCELLED && e.channel == BUS_CHANNEL_MEMBER) {
            bus_member_lost(t);
        } else if (e.kind == MQ_CANCELLED || e.kind == MQ_CHANNEL_CLOSED) {
            log_warn("bus consumer cancelled role=consume");
            return;
        }
    }
}

static int control_consume(struct bus_thread *t)
{
    struct bus *b = t->bus;
    char queue[TOPOLOGY_NAME_SIZE], tag[ID_MAX + 16];

    topology_name(queue, &b->topology, "control");
    snprintf(tag, sizeof(tag), "%s/control", b->gateway->conf->id);
    const struct mq_consume consume = {
        .queue = queue,
        .tag = tag,
        .prefetch = CONTROL_PREFETCH,
        .stream_from = t->control_at < 0 ? "first" : NULL,
        .stream_offset = t->control_at + 1,
    };
    int r = mq_channel_open(t->mq, CHANNEL_CONTROL, false);
    return r == MQ_OK ? mq_consume(t->mq, CHANNEL_CONTROL, &consume) : r;
}

static bool consumer_open(struct bus_thread *t)
{
    struct bus *b = t->bus;
    char queue[TOPOLOGY_NAME_SIZE], tag[ID_MAX + 16], error[TOPOLOGY_ERROR_SIZE];
    const char *id = b->gateway->conf->id;

    if (topology_declare_gateway(t->mq, BUS_CHANNEL_DECLARE, &b->topology, id, error,
                                 sizeof(error)) != MQ_OK) {
        bus_complain(t, "declare", error);
        return false;
    }
    topology_name_id(queue, &b->topology, "gateway", id);
    snprintf(tag, sizeof(tag), "%s/deliveries", id);
    const struct mq_consume consume = {
        .queue = queue,
        .tag = tag,
        .no_ack = true,
        .exclusive = true,
        .stream_offset = -1,
    };
    if (mq_channel_open(t->mq, CHANNEL_CONSUME, false) != MQ_OK ||
        mq_consume(t->mq, CHANNEL_CONSUME, &consume) != MQ_OK || control_consume(t) != MQ_OK ||
        bus_raw_open(t) != MQ_OK || bus_member_join(t) != MQ_OK) {
        bus_complain(t, "consume", mq_error(t->mq));
        return false;
    }
    return true;
}

void *bus_consume_run(void *user)
{
    struct bus_thread *t = user;

    while (!bus_stops(t)) {
        if (bus_connect(t, 1)) {
            if (consumer_open(t)) {
                t->attempts = 0;
                bus_tell(t, bus_news_new(t, NEWS_UP));
                consumer_work(t);
                bus_complain(t, "consume", mq_error(t->mq));
                bus_tell(t, bus_news_new(t, NEWS_DOWN));
            }
            bus_disconnect(t);
        }
        if (!bus_stops(t)) {
            bus_pause_before_retry(t);
        }
    }
    return NULL;
}
