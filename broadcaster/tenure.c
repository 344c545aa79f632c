/* tenure.c: one partition that we hold: its channels on the broker and its machine. */
#include "broadcaster/tenure.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "broadcaster/tenure_internal.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"

#define ERA_MS 60000 /* rooms wait so long to be forgotten, and the log for a checkpoint of it */
#define NACKS_MAX 20 /* in a row; then the channel may hang on a queue's dead leader */

/* The machine keeps times in the log, for other processes to read: they are those of the calendar.
 */
static int64_t now_ms(void)
{
    return clock_wall_ms();
}

int tenure_break(struct tenure *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(t->trouble, sizeof(t->trouble), format, args);
    va_end(args);
    return TENURE_BROKEN;
}

struct tenure *tenure_new(struct tenure_env *env, uint32_t partition)
{
    const struct broadcaster_conf *conf = env->conf;
    struct partition_conf pc = {
        .number = partition,
        .partitions = (uint32_t)conf->partitions,
        .owner = conf->id,
        .rules = &conf->rules,
        .key_window_ms = conf->rules.idempotency_window_ms,
        .keys_max = (size_t)conf->keys,
        .memory_max = (size_t)conf->memory,
        .rooms_max = (size_t)conf->rooms_max,
        .era_ms = ERA_MS,
        .lease_ms = PARTITION_LEASE_MS,
        .checkpoint_bytes = (size_t)conf->checkpoint_bytes,
        .checkpoint_far = (size_t)(conf->log_max_bytes - 2 * TOPOLOGY_SEGMENT_BYTES) / 2,
    };
    struct tenure *t = mem_new(struct tenure);

    hash_random(&pc.seed, sizeof(pc.seed));
    t->env = env;
    t->partition = partition;
    t->start_ms = clock_mono_ms();
    t->actions_last = &t->actions;
    t->machine = partition_new(&pc, &env->metrics->partition, now_ms());
    stat_set(&env->metrics->each[partition].is_held, 1);
    stat_add(&env->metrics->held, 1);
    return t;
}

void tenure_rules_changed(struct tenure *t)
{
    partition_rules_changed(t->machine, t->env->conf->rules.idempotency_window_ms);
}

struct tenure *tenure_free(struct tenure *t)
{
    if (t != NULL) {
        struct metrics *m = t->env->metrics;
        stat_set(&m->each[t->partition].is_held, 0);
        stat_sub(&m->held, 1);
        stat_sub(&m->owned, t->state == PARTITION_OWNED);
        while (t->actions != NULL) {
            struct partition_action *a = t->actions;
            t->actions = a->next;
            partition_action_done(a);
        }
        partition_free(t->machine);
        mem_free(t);
    }
    return NULL;
}

const char *tenure_trouble(const struct tenure *t)
{
    return t->trouble;
}

int64_t tenure_append_age_ms(const struct tenure *t)
{
    return t->in_flight ? (clock_mono_us() - t->append_us) / 1000 : -1;
}

/* Until the partition is served it is always the log that has the word: it owes a confirm, or what
 * stands in it up to our own claim or marker. */
int64_t tenure_log_silence_ms(const struct tenure *t)
{
    enum partition_state state = partition_state(t->machine);
    bool is_starting = state == PARTITION_CLAIMING || state == PARTITION_REPLAYING;
    int64_t silence_ms = is_starting && t->is_reading ? clock_mono_ms() - t->log_ms : -1;

    return t->in_flight ? tenure_append_age_ms(t) : silence_ms;
}

enum partition_state tenure_state(const struct tenure *t)
{
    return partition_state(t->machine);
}

static void note_state(struct tenure *t)
{
    enum partition_state state = partition_state(t->machine);

    if (state == t->state) {
        return;
    }
    if (state == PARTITION_OWNED) {
        stat_add(&t->env->metrics->owned, 1);
        histogram_add(&t->env->metrics->takeover_us, 1000 * (clock_mono_ms() - t->start_ms));
        log_info("partition owned partition=%" PRIu32 " term=%" PRIu64
                 " rooms=%zu replayed=%" PRIu64 " ms=%" PRId64,
                 t->partition, partition_term(t->machine), partition_rooms(t->machine), t->log_read,
                 clock_mono_ms() - t->start_ms);
    } else if (t->state == PARTITION_OWNED) {
        stat_sub(&t->env->metrics->owned, 1);
    }
    t->state = state;
}

static void note_filled(struct tenure *t)
{
    if (!t->is_filled && t->state == PARTITION_OWNED && partition_is_filled(t->machine)) {
        t->is_filled = true;
        log_info("partition has its history partition=%" PRIu32 " read=%" PRIu64 " ms=%" PRId64,
                 t->partition, t->log_read, clock_mono_ms() - t->start_ms);
    }
}

/* A dead letter is copied here and now, while its delivery is at hand. `e` is the input's delivery
 * that the machine was given last, or NULL. */
static void bury(struct tenure *t, const struct partition_action *a, const struct mq_event *e)
{
    log_warn("message cannot be understood partition=%" PRIu32 " reason=%s", t->partition,
             log_quote(a->reason, strlen(a->reason)));
    if (e != NULL && e->tag == a->tag && dead_add(t->env->dead, t->partition, e, a->reason)) {
        acks_dead(&t->acks, a->tag);
    } else {
        acks_refused(&t->acks, a->tag);
    }
}

static void take_actions(struct tenure *t, const struct mq_event *e)
{
    struct partition_action *a;

    while ((a = partition_next_action(t->machine)) != NULL) {
        if (a->kind == PARTITION_DEAD) {
            bury(t, a, e);
        }
        a->next = NULL;
        *t->actions_last = a;
        t->actions_last = &a->next;
    }
}

static int run_actions(struct tenure *t)
{
    while (t->actions != NULL && !t->env->is_blocked) {
        struct partition_action *a = t->actions;
        t->actions = a->next;
        if (t->actions == NULL) {
            t->actions_last = &t->actions;
        }
        int rc = tenure_act(t, a);
        partition_action_done(a);
        if (rc != MQ_OK) {
            return rc;
        }
    }
    return MQ_OK;
}

/* After anything that the machine was told. */
static int go_on(struct tenure *t, const struct mq_event *e)
{
    take_actions(t, e);
    note_state(t);
    note_filled(t);
    return run_actions(t);
}

int tenure_start(struct tenure *t)
{
    static const enum lane lanes[] = {LANE_INPUT, LANE_APPEND, LANE_MAIL};

    for (size_t i = 0; i < ARRAY_LEN(lanes); i++) {
        int rc = tenure_open_lane(t, lanes[i]);
        if (rc != MQ_OK) {
            return rc;
        }
    }
    return go_on(t, NULL);
}

static void count_limits(struct tenure *t, const struct mq_event *e)
{
    struct owner_limits *l = &t->env->metrics->partition.limits;

    if (e->too_large) {
        owner_limit_met(l, OWNER_LIMIT_AMQP_BODY);
    }
    if (e->props.has_more) {
        owner_limit_met(l, OWNER_LIMIT_AMQP_HEADERS);
    }
}

static int on_input(struct tenure *t, const struct mq_event *e)
{
    bool is_input;

    t->last_input = e->tag;
    t->arrived_us[e->tag % ACKS_OPEN_MAX] = clock_mono_us();
    int rc = tenure_on_spill(t, e, &is_input);
    if (rc != MQ_OK || !is_input) {
        return rc;
    }
    count_limits(t, e);
    if (e->too_large) {
        log_warn("message too large partition=%" PRIu32, t->partition);
        metrics_dead(t->env->metrics, "too large");
        acks_refused(&t->acks, e->tag);
        return tenure_settle(t);
    }
    partition_on_input(t->machine, e, now_ms());
    return go_on(t, e);
}

static int on_log(struct tenure *t, const struct mq_event *e)
{
    count_limits(t, e);
    t->log_read++;
    t->log_ms = clock_mono_ms();
    stat_add(&t->env->metrics->log_messages_read, 1);
    if (++t->log_unacked >= t->log_ack_every) {
        t->log_unacked = 0;
        int rc = mq_ack(t->env->mq, e->channel, e->tag, true);
        if (rc != MQ_OK) {
            return rc;
        }
    }
    if (e->too_large) {
        log_warn("message in the log too large partition=%" PRIu32 " offset=%" PRId64, t->partition,
                 e->stream_offset);
        return MQ_OK;
    }
    partition_on_log(t->machine, e, now_ms());
    return go_on(t, NULL);
}

/* A channel that was opened just after a failover may get nothing but refusals, until it is opened
 * anew. While the broker takes no publishes it takes no requests either: then a tick does it. */
static int reopen_append(struct tenure *t)
{
    if (t->nacks < NACKS_MAX || t->in_flight || t->env->is_blocked) {
        return MQ_OK;
    }
    log_warn("append refused again and again partition=%" PRIu32 ": opening the channel anew",
             t->partition);
    t->nacks = 0;
    t->published = 0;
    int rc = tenure_close_lane(t, LANE_APPEND);
    return rc == MQ_OK ? tenure_open_lane(t, LANE_APPEND) : rc;
}

static int on_confirm(struct tenure *t, const struct mq_event *e)
{
    if (e->channel == tenure_channel(t, LANE_EVENTS)) {
        partition_on_event_confirm(t->machine, e->tag, e->multiple, e->kind == MQ_ACK);
        return MQ_OK;
    }
    if (!t->in_flight || e->tag < t->published) {
        return MQ_OK;
    }
    t->in_flight = false;
    if (t->is_returned) {
        return tenure_break(t, "the log has no queue");
    }
    bool is_good = e->kind == MQ_ACK;
    if (is_good) {
        t->nacks = 0;
        histogram_add(&t->env->metrics->append_us, clock_mono_us() - t->append_us);
    } else {
        stat_add(&t->env->metrics->append_nacks, 1);
        t->nacks++;
    }
    partition_on_confirm(t->machine, is_good, now_ms());
    int rc = reopen_append(t);
    return rc == MQ_OK ? go_on(t, NULL) : rc;
}

static int on_delivery(struct tenure *t, const struct mq_event *e)
{
    switch ((enum lane)(e->channel - TENURE_CHANNEL(t->partition))) {
    case LANE_INPUT:
        return on_input(t, e);
    case LANE_LOG:
        return on_log(t, e);
    case LANE_MAIL:
        count_limits(t, e);
        if (!e->too_large) {
            partition_on_mail(t->machine, e, now_ms());
        }
        return go_on(t, NULL);
    case LANE_APPEND:
    case LANE_EVENTS:
        break;
    }
    return MQ_OK;
}

int tenure_on_event(struct tenure *t, const struct mq_event *e)
{
    switch (e->kind) {
    case MQ_DELIVERY:
        return on_delivery(t, e);
    case MQ_ACK:
    case MQ_NACK:
        return on_confirm(t, e);
    case MQ_RETURN:
        t->is_returned = true;
        return MQ_OK;
    case MQ_CANCELLED:
        return tenure_break(t, "the broker ended consumer %.*s", SLICE_ARG(e->consumer));
    case MQ_CHANNEL_CLOSED:
        return tenure_break(t, "channel closed: %s", mq_error(t->env->mq));
    case MQ_BLOCKED:
    case MQ_UNBLOCKED:
        break;
    }
    return MQ_OK;
}

int tenure_on_gateway_gone(struct tenure *t, struct slice gateway)
{
    partition_on_gateway_gone(t->machine, gateway);
    return go_on(t, NULL);
}

int tenure_on_copied(struct tenure *t, uint64_t tag)
{
    acks_copied(&t->acks, tag);
    return tenure_settle(t);
}

/* How long the oldest batch that is not acked has been here. */
static int64_t lag_ms(const struct tenure *t)
{
    if (!t->has_input || t->acks.settled >= t->last_input) {
        return 0;
    }
    return (clock_mono_us() - t->arrived_us[(t->acks.settled + 1) % ACKS_OPEN_MAX]) / 1000;
}

static void show(const struct tenure *t)
{
    struct metrics_each *m = &t->env->metrics->each[t->partition];

    stat_set(&m->state, (uint64_t)t->state);
    stat_set(&m->term, partition_term(t->machine));
    stat_set(&m->rooms, partition_rooms(t->machine));
    stat_set(&m->gateways, partition_gateways(t->machine));
    stat_set(&m->members, partition_members(t->machine));
    stat_set(&m->backlog, partition_backlog(t->machine));
    stat_set(&m->lag_ms, (uint64_t)lag_ms(t));
    stat_set(&m->append_age_ms, (uint64_t)MAX(tenure_append_age_ms(t), 0));
}

int tenure_tick(struct tenure *t)
{
    int rc = MQ_OK;

    if (t->wants_input && !t->has_input && !t->env->is_blocked) {
        rc = tenure_consume_input(t);
    }
    if (rc == MQ_OK) {
        rc = reopen_append(t);
    }
    if (rc == MQ_OK) {
        rc = tenure_settle(t);
    }
    if (rc == MQ_OK) {
        partition_on_tick(t->machine, now_ms());
        rc = go_on(t, NULL);
    }
    show(t);
    return rc;
}

int tenure_leave(struct tenure *t)
{
    partition_leave(t->machine, now_ms());
    return go_on(t, NULL);
}

int tenure_close(struct tenure *t)
{
    struct tenure_env *env = t->env;
    int rc = tenure_stop_reading(t);

    rc = rc == TENURE_BROKEN ? MQ_OK : rc;
    /* The input first: what is not acked is back in its place before anybody can get the lock. */
    for (int lane = LANE_INPUT; lane <= LANE_EVENTS && rc == MQ_OK; lane++) {
        rc = tenure_close_lane(t, (enum lane)lane);
    }
    if (rc == MQ_OK) {
        rc = topology_release(env->mq, env->control_channel, env->topology, t->partition);
    }
    if (rc == MQ_REFUSED) {
        log_warn("lock cannot be given back partition=%" PRIu32 " error=%s", t->partition,
                 log_quote(mq_error(env->mq), strlen(mq_error(env->mq))));
        rc = MQ_OK;
    }
    return rc;
}
