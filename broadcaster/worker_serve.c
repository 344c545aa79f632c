/* worker_serve.c: the loop of the worker's thread while it is connected. */
#include <inttypes.h>

#include "broadcaster/worker_internal.h"
#include "common/clock.h"
#include "common/log.h"

#define EVENTS_PER_TURN 64 /* before clocks are looked at again */

static int on_return(struct worker *w, const struct mq_event *e)
{
    int64_t partition;

    if (!mq_props_get_number(&e->props, "partition", &partition) || partition < 0 ||
        partition >= w->share.partitions || w->tenures[partition] == NULL) {
        return MQ_OK;
    }
    stat_add(&w->metrics->gateways_gone, 1);
    log_debug("gateway is gone partition=%" PRId64 " gateway=%s", partition,
              log_quote(e->key.at, e->key.size));
    return member_judge(w, (uint32_t)partition,
                        tenure_on_gateway_gone(w->tenures[partition], e->key));
}

static int on_dead_event(struct worker *w, const struct mq_event *e)
{
    uint32_t partition;
    uint64_t tag;

    dead_on_event(&w->dead, e, clock_mono_ms());
    while (dead_next_copied(&w->dead, &partition, &tag)) {
        struct tenure *t = w->tenures[partition];
        int rc = t != NULL ? member_judge(w, partition, tenure_on_copied(t, tag)) : MQ_OK;
        if (rc != MQ_OK) {
            return rc;
        }
    }
    return MQ_OK;
}

static void set_blocked(struct worker *w, bool is_blocked)
{
    w->env.is_blocked = is_blocked;
    stat_set(&w->metrics->blocked, is_blocked);
    if (w->stop_ms == 0) {
        atomic_store(&w->readiness, is_blocked ? WORKER_BLOCKED : WORKER_READY);
    }
    if (is_blocked) {
        log_warn("broker takes no publishes reason=%s",
                 log_quote(mq_error(w->mq), strlen(mq_error(w->mq))));
    } else {
        log_info("broker takes publishes again");
        w->open_ms = clock_mono_ms();
        w->tick_ms = 0;
    }
}

static int on_shared_channel(struct worker *w, const struct mq_event *e, int64_t now_ms)
{
    if (e->kind == MQ_CHANNEL_CLOSED) {
        return worker_trouble(w, "channel %u closed: %s", e->channel, mq_error(w->mq));
    }
    switch (e->channel) {
    case CHANNEL_DELIVER:
        return e->kind == MQ_RETURN ? on_return(w, e) : MQ_OK;
    case CHANNEL_MEMBER:
        return member_on_event(w, e, now_ms);
    case CHANNEL_DEAD:
        return on_dead_event(w, e);
    default:
        return MQ_OK;
    }
}

static int on_event(struct worker *w, const struct mq_event *e, int64_t now_ms)
{
    if (e->kind == MQ_BLOCKED || e->kind == MQ_UNBLOCKED) {
        set_blocked(w, e->kind == MQ_BLOCKED);
        return MQ_OK;
    }
    if (e->channel < TENURE_CHANNEL_FIRST) {
        return on_shared_channel(w, e, now_ms);
    }
    uint32_t partition = (uint32_t)(e->channel - TENURE_CHANNEL_FIRST) / TENURE_CHANNELS;
    assert(partition < w->share.partitions);
    struct tenure *t = w->tenures[partition];
    return t != NULL ? member_judge(w, partition, tenure_on_event(t, e)) : MQ_OK;
}

static int tick(struct worker *w, int64_t now_ms)
{
    int rc = MQ_OK;

    w->tick_ms = now_ms + TENURE_TICK_MS;
    for (uint32_t p = 0; p < w->share.partitions && rc == MQ_OK; p++) {
        if (w->tenures[p] != NULL) {
            rc = member_judge(w, p, tenure_tick(w->tenures[p]));
        }
    }
    w->is_give_due = true;
    return rc;
}

/* What was asked for from outside. */
static int heed_stop(struct worker *w, int64_t now_ms)
{
    if (!atomic_load(&w->is_asked_to_stop)) {
        return MQ_OK;
    }
    if (w->stop_ms == 0) {
        w->stop_ms = now_ms + WORKER_STOP_MS;
        atomic_store(&w->readiness, WORKER_STOPPING);
        log_info("stopping held=%" PRIu64, stat_get(&w->metrics->held));
    }
    if (!w->share.is_stopping && !w->env.is_blocked) {
        return member_leave(w);
    }
    if (stat_get(&w->metrics->held) == 0) {
        return WORKER_STOPPED;
    }
    if (now_ms >= w->stop_ms) {
        log_warn("partitions could not be given away in time held=%" PRIu64,
                 stat_get(&w->metrics->held));
        return WORKER_STOPPED;
    }
    return MQ_OK;
}

static int publish_dead(struct worker *w, int64_t now_ms)
{
    int rc = MQ_OK;

    if (dead_wants_channel(&w->dead)) {
        log_warn("dead letters refused again and again: opening their channel anew");
        rc = worker_reopen(w, CHANNEL_DEAD);
        dead_on_event(&w->dead, &(struct mq_event){.kind = MQ_CHANNEL_CLOSED}, now_ms);
    }
    if (rc == MQ_OK) {
        rc = dead_publish(&w->dead, w->mq, CHANNEL_DEAD, &w->topology, now_ms);
    }
    return rc;
}

/* Whether it looks at who shares the partitions; a broker that is blocked answers no requests. */
static bool is_looking(const struct worker *w)
{
    return !w->env.is_blocked && w->stop_ms == 0;
}

/* Whatever time has come for. */
static int on_time(struct worker *w, int64_t now_ms)
{
    int rc = heed_stop(w, now_ms);

    worker_heed_reload(w);

    if (rc == MQ_OK && now_ms >= w->tick_ms) {
        rc = tick(w, now_ms);
    }
    if (rc == MQ_OK && !w->env.is_blocked && w->dead.first != NULL) {
        rc = publish_dead(w, now_ms);
    }
    if (rc == MQ_OK && !w->env.is_blocked && w->is_give_due) {
        rc = member_give(w);
    }
    if (rc == MQ_OK && is_looking(w) && now_ms >= w->period_ms) {
        rc = member_period(w, now_ms);
    }
    return rc;
}

static int take_events(struct worker *w, int64_t now_ms, bool *is_idle)
{
    struct mq_event e;

    *is_idle = false;
    for (int i = 0; i < EVENTS_PER_TURN; i++) {
        int rc = mq_next(w->mq, &e, 0);
        if (rc == MQ_TIMEOUT) {
            *is_idle = true;
            return MQ_OK;
        }
        if (rc == MQ_OK) {
            rc = on_event(w, &e, now_ms);
        }
        if (rc != MQ_OK) {
            return rc;
        }
    }
    return MQ_OK;
}

int worker_serve(struct worker *w)
{
    int rc = MQ_OK;

    w->tick_ms = 0;
    w->period_ms = 0;
    while (rc == MQ_OK) {
        bool is_idle;
        int64_t now_ms = clock_mono_ms();
        worker_set_alive(w, now_ms, WORKER_LIVE_MS);
        rc = take_events(w, now_ms, &is_idle);
        if (rc == MQ_OK) {
            rc = on_time(w, clock_mono_ms());
        }
        if (rc == MQ_OK && is_idle) {
            int64_t next_ms = is_looking(w) ? MIN(w->tick_ms, w->period_ms) : w->tick_ms;
            bool is_heeded = w->stop_ms != 0; /* its eventfd stays readable */
            mq_idle_wait(w->mq, is_heeded ? -1 : w->wake_fd,
                         (int)MAX(next_ms - clock_mono_ms(), 0));
        }
    }
    return rc;
}
