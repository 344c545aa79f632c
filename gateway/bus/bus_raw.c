/*
 * bus_raw.c: the consuming thread's part of PREFIX.publish: takes, buries, acks.
 *
 * The queue has one active consumer: the gateway that has it now; the others wait.
 * A good message goes to the loop and comes back when its record is safe; a bad
 * one is copied to PREFIX.dead, with the reason in a header. Only then is it
 * acked. Tags are of one life of the channel: those of an earlier one are void.
 */
#include <stdio.h>

#include "common/log.h"
#include "common/mem.h"
#include "gateway/bus/bus_internal.h"
#include "gateway/bus/raw.h"
#include "gateway/gateway.h"
#include "proto/json.h"

#define CHANNEL_DEAD 7 /* publishes with confirms */

/* A bad message whose copy is not confirmed yet. */
struct raw_letter {
    struct raw_letter *next;
    uint64_t tag, confirm;
};

void bus_raw_done(struct bus *b, struct raw *raw)
{
    raw->node.cost = 0;
    if (!chan_try_put(&b->raw_done, &raw->node)) {
        mem_free(raw); /* the bus ends */
    }
}

void bus_raw_end(struct bus *b)
{
    atomic_store_explicit(&b->raw_ends, true, memory_order_release);
    b->raw_done.wake(b->raw_done.user);
}

static void forget_letters(struct bus *b)
{
    while (b->raw_letters != NULL) {
        struct raw_letter *l = b->raw_letters;

        b->raw_letters = l->next;
        mem_free(l);
    }
    b->raw_copies = 0;
}

void bus_raw_free(struct bus *b)
{
    struct chan_node *node = chan_take(&b->raw_done);

    while (node != NULL) {
        struct chan_node *next = node->next;

        mem_free(node);
        node = next;
    }
    forget_letters(b);
}

int bus_raw_open(struct bus_thread *t)
{
    struct bus *b = t->bus;
    char queue[TOPOLOGY_NAME_SIZE], tag[ID_MAX + 16];

    forget_letters(b);
    b->raw_life++;
    b->raw_is_open = !atomic_load_explicit(&b->raw_ends, memory_order_acquire);
    if (!b->raw_is_open) {
        return MQ_OK;
    }
    topology_name(queue, &b->topology, "publish");
    snprintf(tag, sizeof(tag), "%s/publish", b->gateway->conf->id);
    const struct mq_consume consume = {
        .queue = queue,
        .tag = tag,
        .prefetch = RAW_PREFETCH,
        .stream_offset = -1,
    };
    int r = mq_channel_open(t->mq, CHANNEL_DEAD, true);
    if (r == MQ_OK) {
        r = mq_channel_open(t->mq, BUS_CHANNEL_RAW, false);
    }
    return r == MQ_OK ? mq_consume(t->mq, BUS_CHANNEL_RAW, &consume) : r;
}

/* The copy; its properties are the original's, but for the user, whom the broker would take for
 * us. */
static int publish_copy(struct bus_thread *t, const struct mq_event *e, enum raw_fault fault)
{
    char name[TOPOLOGY_NAME_SIZE];
    const struct mq_props *from = &e->props;
    struct mq_props to = {
        .content_type = from->content_type,
        .type = from->type,
        .app_id = from->app_id,
        .message_id = from->message_id,
        .correlation_id = from->correlation_id,
        .timestamp_s = from->timestamp_s,
        .persistent = true,
    };

    mq_props_text(&to, "reason", slice_of(raw_fault_label(fault)));
    mq_props_text(&to, "key", e->key);
    mq_props_text(&to, "user", from->user_id);
    size_t ours = to.header_count;
    for (size_t i = 0; i < from->header_count && to.header_count < MQ_HEADERS_MAX; i++) {
        struct slice header = from->headers[i].name;

        if (!slice_equal(header, SLICE_LIT("reason")) && !slice_equal(header, SLICE_LIT("key")) &&
            !slice_equal(header, SLICE_LIT("user"))) {
            to.headers[to.header_count++] = from->headers[i];
        }
    }
    topology_name(name, &t->bus->topology, "dead");
    int r = mq_publish(t->mq, CHANNEL_DEAD, name, "", false, &to, e->body);
    if (r == MQ_REFUSED) {
        /* Its headers are larger than a frame together with ours: the reason must do. */
        to.header_count = ours;
        r = mq_publish(t->mq, CHANNEL_DEAD, name, "", false, &to, e->body);
    }
    return r;
}

static int bury(struct bus_thread *t, const struct mq_event *e, enum raw_fault fault)
{
    struct bus *b = t->bus;

    stat_add(&b->gateway->metrics.raw_dead[fault], 1);
    log_warn("publish not understood reason=\"%s\" room=%s", raw_fault_label(fault),
             log_quote(e->key.at, e->key.size));
    if (fault == RAW_TOO_LARGE && !e->too_large) {
        limit_met(&b->gateway->metrics.limits, LIMIT_AMQP_PAYLOAD);
    } else if (fault == RAW_NO_JSON && json_check(e->body, PAYLOAD_DEPTH_MAX) == JSON_TOO_DEEP) {
        limit_met(&b->gateway->metrics.limits, LIMIT_AMQP_DEPTH);
    }
    if (e->too_large) {
        limit_met(&b->gateway->metrics.limits, LIMIT_AMQP_BODY);
        /* We have no body to copy: the broker has, and takes it there. */
        return mq_reject(t->mq, BUS_CHANNEL_RAW, e->tag);
    }
    int r = publish_copy(t, e, fault);
    if (r == MQ_OK) {
        struct raw_letter *l = mem_new(struct raw_letter);

        *l = (struct raw_letter){b->raw_letters, e->tag, ++b->raw_copies};
        b->raw_letters = l;
    }
    return r == MQ_REFUSED ? mq_reject(t->mq, BUS_CHANNEL_RAW, e->tag) : r;
}

static int take(struct bus_thread *t, const struct mq_event *e)
{
    struct bus *b = t->bus;
    struct raw *raw;

    stat_add(&b->gateway->metrics.raws_redelivered, e->redelivered);
    if (e->props.has_more) {
        limit_met(&b->gateway->metrics.limits, LIMIT_AMQP_HEADERS);
    }
    enum raw_fault fault = raw_read(e, (size_t)b->gateway->conf->max_payload, &raw);
    if (fault != RAW_GOOD) {
        return bury(t, e, fault);
    }
    struct bus_news *news = bus_news_new(t, NEWS_RAW);
    raw->life = b->raw_life;
    news->raw = raw;
    news->node.cost = raw->node.cost;
    if (!chan_put(&t->to_loop, &news->node)) {
        mem_free(raw);
        mem_free(news);
    }
    return MQ_OK;
}

/* Copies are confirmed: their originals are acked. One that was refused is a reason to begin anew:
 * the original comes again, after a pause. */
static int copies_confirmed(struct bus_thread *t, const struct mq_event *e)
{
    struct raw_letter **link = &t->bus->raw_letters;
    int r = MQ_OK;

    if (e->kind == MQ_NACK) {
        return MQ_LOST;
    }
    while (r == MQ_OK && *link != NULL) {
        struct raw_letter *l = *link;

        if (l->confirm != e->tag && (!e->multiple || l->confirm > e->tag)) {
            link = &l->next;
            continue;
        }
        if (t->bus->raw_is_open) {
            r = mq_ack(t->mq, BUS_CHANNEL_RAW, l->tag, false);
        }
        *link = l->next;
        mem_free(l);
    }
    return r;
}

int bus_raw_on_event(struct bus_thread *t, const struct mq_event *e)
{
    if (e->kind == MQ_DELIVERY) {
        return t->bus->raw_is_open ? take(t, e) : MQ_OK;
    }
    if ((e->kind == MQ_ACK || e->kind == MQ_NACK) && e->channel == CHANNEL_DEAD) {
        return copies_confirmed(t, e);
    }
    return MQ_OK;
}

int bus_raw_settle(struct bus_thread *t)
{
    struct bus *b = t->bus;
    /* In this order: when the loop says that it ends, it has given back all that it will. */
    bool ends = atomic_load_explicit(&b->raw_ends, memory_order_acquire);
    struct chan_node *node = chan_take(&b->raw_done);
    int r = MQ_OK;

    while (node != NULL) {
        struct raw *raw = (struct raw *)(void *)node;

        node = node->next;
        if (r == MQ_OK && b->raw_is_open && raw->life == b->raw_life) {
            r = mq_ack(t->mq, BUS_CHANNEL_RAW, raw->tag, false);
        }
        mem_free(raw);
    }
    if (r == MQ_OK && ends && b->raw_is_open) {
        b->raw_is_open = false;
        r = mq_channel_close(t->mq, BUS_CHANNEL_RAW); /* the rest goes back, to the next one */
    }
    return r;
}
