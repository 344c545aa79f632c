/* tenure_do.c: carries out what a partition's machine wants done. */
#include <inttypes.h>
#include <stdio.h>

#include "broadcaster/tenure_internal.h"
#include "common/clock.h"
#include "common/log.h"

#define LOG_PREFETCH 500 /* see TENURE_LOG_ACK_EVERY */
#define GENTLE_PREFETCH 32

static_assert(LOG_PREFETCH > 2 * TENURE_LOG_ACK_EVERY, "the log's consumer never runs dry");

uint16_t tenure_channel(const struct tenure *t, enum lane lane)
{
    return (uint16_t)(TENURE_CHANNEL(t->partition) + lane);
}

int tenure_judge(struct tenure *t, const char *what, int rc)
{
    return rc == MQ_REFUSED ? tenure_break(t, "%s: %s", what, mq_error(t->env->mq)) : rc;
}

const char *tenure_consumer(const struct tenure *t, const char *what, char tag[TENURE_TAG_SIZE])
{
    int size =
        snprintf(tag, TENURE_TAG_SIZE, "%s/%s.%" PRIu32, t->env->conf->id, what, t->partition);

    assert(size > 0 && size < TENURE_TAG_SIZE);
    return tag;
}

int tenure_open_lane(struct tenure *t, enum lane lane)
{
    int rc = mq_channel_open(t->env->mq, tenure_channel(t, lane),
                             lane == LANE_APPEND || lane == LANE_EVENTS);

    t->is_open[lane] = rc == MQ_OK;
    return tenure_judge(t, "channel", rc);
}

int tenure_close_lane(struct tenure *t, enum lane lane)
{
    if (!t->is_open[lane]) {
        return MQ_OK;
    }
    t->is_open[lane] = false;
    return mq_channel_close(t->env->mq, tenure_channel(t, lane));
}

/* The management page shows a stream's consumer for ever if its channel is closed under it. The
 * channel is closed all the same, for what is on its way from it must not come any more. */
int tenure_stop_reading(struct tenure *t)
{
    char tag[TENURE_TAG_SIZE];

    if (!t->is_reading) {
        return MQ_OK;
    }
    t->is_reading = false;
    int rc = tenure_judge(
        t, "log",
        mq_cancel(t->env->mq, tenure_channel(t, LANE_LOG), tenure_consumer(t, "log", tag)));
    return rc == MQ_OK ? tenure_close_lane(t, LANE_LOG) : rc;
}

/* From `from` ("last"), or from an offset; `is_gentle`: beside other work. */
static int read_log(struct tenure *t, const char *from, int64_t offset, bool is_gentle)
{
    char queue[TOPOLOGY_NAME_SIZE], tag[TENURE_TAG_SIZE];
    const struct mq_consume c = {
        .queue = topology_name_of(queue, t->env->topology, "log", t->partition),
        .tag = tenure_consumer(t, "log", tag),
        .prefetch = is_gentle ? GENTLE_PREFETCH : LOG_PREFETCH,
        .stream_from = from,
        .stream_offset = offset,
    };
    int rc = tenure_stop_reading(t);

    if (rc == MQ_OK) {
        rc = tenure_open_lane(t, LANE_LOG);
    }
    if (rc == MQ_OK) {
        t->log_unacked = 0;
        t->log_ms = clock_mono_ms();
        t->log_ack_every = is_gentle ? GENTLE_PREFETCH / 4 : TENURE_LOG_ACK_EVERY;
        rc = mq_consume(t->env->mq, tenure_channel(t, LANE_LOG), &c);
        t->is_reading = rc == MQ_OK;
        if (rc == MQ_REFUSED && is_gentle) { /* the machine waits for a while, then does without */
            log_warn("log cannot be read back partition=%" PRIu32 " error=%s", t->partition,
                     log_quote(mq_error(t->env->mq), strlen(mq_error(t->env->mq))));
            rc = tenure_close_lane(t, LANE_LOG);
        }
        rc = tenure_judge(t, queue, rc);
    }
    return rc;
}

static int append(struct tenure *t, const struct partition_action *a)
{
    char name[TOPOLOGY_NAME_SIZE], key[TOPOLOGY_KEY_SIZE], scratch[ID_MAX * 2];
    struct mq_props props = {0};

    assert(!t->in_flight);
    message_to_props(&a->message, t->env->app_id, scratch, &props);
    /* Mandatory: the broker confirms what no queue took, too. */
    int rc = mq_publish(t->env->mq, tenure_channel(t, LANE_APPEND),
                        topology_name(name, t->env->topology, "log"),
                        topology_key(key, t->partition), true, &props, buf_slice(&a->body));
    if (rc == MQ_OK) {
        t->published++;
        t->in_flight = true;
        t->is_returned = false;
        t->append_us = clock_mono_us();
    }
    return tenure_judge(t, name, rc);
}

static void count_latency(struct tenure *t, uint64_t before, uint64_t tag)
{
    int64_t now_us = clock_mono_us();
    uint64_t first = MAX(before + 1, tag > ACKS_OPEN_MAX ? tag - ACKS_OPEN_MAX + 1 : 1);

    for (uint64_t i = first; i <= tag; i++) {
        histogram_add(&t->env->metrics->input_us, now_us - t->arrived_us[i % ACKS_OPEN_MAX]);
    }
}

int tenure_settle(struct tenure *t)
{
    uint16_t channel = tenure_channel(t, LANE_INPUT);
    uint64_t tag, before = t->acks.settled;
    int rc = MQ_OK;

    while (rc == MQ_OK && !t->env->is_blocked) {
        switch (acks_next(&t->acks, &tag)) {
        case ACKS_NOTHING:
            return MQ_OK;
        case ACKS_ALL_UP_TO:
            count_latency(t, before, tag);
            before = tag;
            rc = mq_ack(t->env->mq, channel, tag, true);
            break;
        case ACKS_ONE:
            rc = mq_ack(t->env->mq, channel, tag, false);
            break;
        case ACKS_REJECT:
            rc = mq_reject(t->env->mq, channel, tag);
            break;
        }
    }
    return rc;
}

/* To one gateway, or to all of them. */
static int send(struct tenure *t, const struct partition_action *a, const char *key, bool mandatory)
{
    char name[TOPOLOGY_NAME_SIZE], scratch[ID_MAX * 2];
    struct mq_props props = {0};

    message_to_props(&a->message, t->env->app_id, scratch, &props);
    int rc = mq_publish(t->env->mq, t->env->deliver_channel,
                        topology_name(name, t->env->topology, "gateways"), key, mandatory, &props,
                        buf_slice(&a->body));
    if (rc == MQ_REFUSED) {
        log_error("message cannot be sent partition=%" PRIu32 " gateway=%s error=%s", t->partition,
                  log_quote(key, strlen(key)),
                  log_quote(mq_error(t->env->mq), strlen(mq_error(t->env->mq))));
        return MQ_OK;
    }
    return rc;
}

/* To other programs. Nobody need listen, so the channel is opened for the first one only. */
static int send_event(struct tenure *t, const struct partition_action *a)
{
    char name[TOPOLOGY_NAME_SIZE];
    const struct mq_props props = {
        .content_type = SLICE_LIT("application/json"),
        .type = slice_of(a->event),
        .app_id = t->env->app_id,
        .persistent = true,
    };
    int rc = t->is_open[LANE_EVENTS] ? MQ_OK : tenure_open_lane(t, LANE_EVENTS);

    if (rc == MQ_OK) {
        rc = tenure_judge(t, a->texts.at,
                          mq_publish(t->env->mq, tenure_channel(t, LANE_EVENTS),
                                     topology_name(name, t->env->topology, "events"), a->texts.at,
                                     false, &props, buf_slice(&a->body)));
    }
    return rc;
}

int tenure_act(struct tenure *t, const struct partition_action *a)
{
    switch (a->kind) {
    case PARTITION_READ_LAST:
        return read_log(t, "last", -1, false);
    case PARTITION_READ_FROM:
        return read_log(t, NULL, (int64_t)a->offset, a->is_gentle);
    case PARTITION_STOP_READING:
        return tenure_stop_reading(t);
    case PARTITION_APPEND:
        return append(t, a);
    case PARTITION_CONSUME:
        return tenure_begin_input(t);
    case PARTITION_ACK:
        acks_done(&t->acks, a->tag);
        return tenure_settle(t);
    case PARTITION_DEAD:
        return tenure_settle(t); /* see take_actions() */
    case PARTITION_SEND:
        return send(t, a, a->gateway, true);
    case PARTITION_ANNOUNCE:
        return send(t, a, "all", false);
    case PARTITION_EVENT:
        return send_event(t, a);
    case PARTITION_STOP_INPUT:
        return tenure_stop_input(t);
    case PARTITION_RELEASE:
        return TENURE_RELEASED;
    case PARTITION_SUPERSEDED:
        return tenure_break(t, "a higher term is in the log");
    }
    return tenure_break(t, "unknown action %d", (int)a->kind);
}
