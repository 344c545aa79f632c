/* member.c: counts the broadcasters, claims partitions and gives them away. */
#include <inttypes.h>
#include <stdio.h>

#include "broadcaster/worker_internal.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

#define PERIOD_MS 250    /* between two counts, a quarter more or less */
#define SOON_MS 1        /* between two claims */
#define ANSWER_MS 1000   /* a log that does not answer for so long holds up no other claim */
#define LOST_PAUSE_MS 50 /* until a partition that somebody else has is claimed again */
/* How long the log of a cluster may owe an answer. */
#define PATIENCE_MIN_MS 3000
#define PATIENCE_MAX_MS 40000
#define PATIENCE_FORGET_MS 60000 /* a connection without trouble begins anew */
#define PROBES_MAX 32            /* partitions looked at for one claim */
#define BROKEN_PAUSE_MS 1000     /* until a partition that broke is claimed again */
#define LOOK_MS 1000             /* between two looks for what gateways use */
#define TAG_SIZE (ID_MAX + 24)
#define TAG_MEMBER "member" /* behind our id: the consumer that makes us count */
#define TAG_NOTICES "notices"

static const char *member_tag(const struct worker *w, const char *what, char tag[TAG_SIZE])
{
    int size = snprintf(tag, TAG_SIZE, "%s/%s", w->conf->id, what);

    assert(size > 0 && size < TAG_SIZE);
    return tag;
}

static int consume(struct worker *w, const char *queue, const char *what, bool exclusive)
{
    char tag[TAG_SIZE];
    const struct mq_consume c = {
        .queue = queue,
        .tag = member_tag(w, what, tag),
        .no_ack = true,
        .exclusive = exclusive,
        .stream_offset = -1,
    };
    int rc = mq_consume(w->mq, CHANNEL_MEMBER, &c);

    return rc == MQ_REFUSED ? worker_trouble(w, "%s: %s", queue, mq_error(w->mq)) : rc;
}

int member_join(struct worker *w)
{
    char name[TOPOLOGY_NAME_SIZE];
    int rc = consume(w, topology_name(name, &w->topology, "broadcasters"), TAG_MEMBER, false);

    return rc != MQ_OK
               ? rc
               : consume(w, topology_name_id(name, &w->topology, "broadcaster", w->conf->id),
                         TAG_NOTICES, true);
}

/* The queue went with its node. What is owned has nothing to do with it. MQ_OK also when the broker
 * does not let us have it yet. */
static int rejoin(struct worker *w)
{
    int rc = topology_declare_broadcaster(w->mq, CHANNEL_CONTROL, &w->topology, w->conf->id,
                                          w->reason, sizeof(w->reason));

    if (rc == MQ_REFUSED) {
        return MQ_OK;
    }
    if (rc == MQ_OK) { /* a new channel: what was said on the old one, of the old queue, is void */
        rc = worker_reopen(w, CHANNEL_MEMBER);
        rc = rc == MQ_OK ? member_join(w) : rc;
    }
    w->is_member_lost = rc != MQ_OK;
    return rc;
}

/* Consumers of a queue. MQ_REFUSED: it is not there. */
static int count_consumers(struct worker *w, const char *queue, uint32_t *consumers)
{
    const struct mq_queue q = {.name = queue, .passive = true};

    *consumers = 0;
    return mq_queue_declare(w->mq, CHANNEL_COUNT, &q, NULL, consumers);
}

/* While the queue is away, the last count stands. */
static int count_broadcasters(struct worker *w)
{
    char name[TOPOLOGY_NAME_SIZE];
    uint32_t count = 0;
    int rc = w->is_member_lost ? rejoin(w) : MQ_OK;

    if (rc == MQ_OK && !w->is_member_lost) {
        rc = count_consumers(w, topology_name(name, &w->topology, "broadcasters"), &count);
    }
    if (rc == MQ_REFUSED) {
        w->is_member_lost = true;
        return MQ_OK;
    }
    if (rc == MQ_OK && count > 0 && count != w->share.broadcasters) {
        w->share.broadcasters = count;
        uint32_t target = share_target(w->share.partitions, count);
        stat_set(&w->metrics->broadcasters, count);
        stat_set(&w->metrics->target, target);
        log_info("members changed broadcasters=%" PRIu32 " target=%" PRIu32 " held=%" PRIu32, count,
                 target, share_held(&w->share));
    }
    return rc;
}

/* What gateways use and may not make: anew, if somebody has deleted it or it went with its node.
 * MQ_OK also when the broker does not let us yet. */
static int keep_shared(struct worker *w, int64_t now_ms)
{
    enum topology_found found;

    if (now_ms < w->look_ms) {
        return MQ_OK;
    }
    w->look_ms = now_ms + LOOK_MS;
    int rc = topology_find_shared(w->mq, CHANNEL_COUNT, &w->topology, &found);
    if (rc == MQ_OK && found != TOPOLOGY_WHOLE) {
        rc = topology_declare_shared(w->mq, CHANNEL_CONTROL, &w->topology, w->reason,
                                     sizeof(w->reason));
        if (rc == MQ_OK) {
            log_warn("what gateways use was not there: made anew");
        } else {
            log_warn("what gateways use is not there and cannot be made error=%s",
                     log_quote(w->reason, strlen(w->reason)));
        }
    }
    return rc == MQ_REFUSED ? MQ_OK : rc;
}

/* Tells all broadcasters that a partition is free. */
static int send_notice(struct worker *w, uint32_t partition)
{
    char name[TOPOLOGY_NAME_SIZE], scratch[ID_MAX * 2];
    struct message m = {
        .type = MESSAGE_RELEASED,
        .has = HAS_PARTITION | HAS_OWNER,
        .partition = partition,
        .owner = slice_of(w->conf->id),
        .time_ms = clock_wall_ms(),
    };
    struct mq_props props = {0};

    message_to_props(&m, slice_of(w->app_id), scratch, &props);
    int rc = mq_publish(w->mq, CHANNEL_MEMBER, topology_name(name, &w->topology, "owner"), "all",
                        false, &props, SLICE_NONE);
    return rc == MQ_LOST ? MQ_LOST : MQ_OK;
}

/* Gives the lock back and tells the others. */
static int end_tenure(struct worker *w, uint32_t partition)
{
    struct tenure *t = w->tenures[partition];
    int rc = tenure_close(t);

    dead_forget(&w->dead, partition);
    w->tenures[partition] = tenure_free(t);
    w->share.holds[partition] = SHARE_NONE;
    return rc == MQ_OK ? send_notice(w, partition) : rc;
}

int member_judge(struct worker *w, uint32_t partition, int answer)
{
    if (answer == TENURE_RELEASED) {
        int rc = end_tenure(w, partition);
        if (rc == MQ_OK) {
            stat_add(&w->metrics->releases, 1);
            log_info("partition released partition=%" PRIu32, partition);
            w->is_give_due = true;
        }
        return rc;
    }
    if (answer == TENURE_BROKEN) {
        const char *trouble = tenure_trouble(w->tenures[partition]);
        stat_add(&w->metrics->losses, 1);
        log_warn("partition given up partition=%" PRIu32 " reason=%s", partition,
                 log_quote(trouble, strlen(trouble)));
        w->is_topology_stale = true;
        w->period_ms = 0; /* if its input was deleted, it is missed */
        w->share.claim_after_ms[partition] = clock_mono_ms() + BROKEN_PAUSE_MS;
        return end_tenure(w, partition);
    }
    return answer;
}

/* MQ_OK also when somebody else was faster. */
static int claim(struct worker *w, uint32_t partition)
{
    int rc = topology_claim(w->mq, CHANNEL_CLAIM, &w->topology, partition);

    if (rc == MQ_REFUSED && mq_error_code(w->mq) == 405) {
        stat_add(&w->metrics->lost_races, 1);
        w->race_ms = clock_mono_ms();
        w->share.claim_after_ms[partition] = w->race_ms + LOST_PAUSE_MS;
        log_debug("partition is taken partition=%" PRIu32, partition);
        return MQ_OK;
    }
    if (rc == MQ_REFUSED) {
        return worker_trouble(w, "lock of partition %" PRIu32 ": %s", partition, mq_error(w->mq));
    }
    if (rc != MQ_OK) {
        return rc;
    }
    stat_add(&w->metrics->claims, 1);
    log_info("partition claimed partition=%" PRIu32, partition);
    w->tenures[partition] = tenure_new(&w->env, partition);
    w->share.holds[partition] = SHARE_STARTING;
    return member_judge(w, partition, tenure_start(w->tenures[partition]));
}

/* Whether nobody serves the partition. A count of an active consumer is all that a quorum queue
 * gives, and all that is needed: nobody consumes without the lock. */
static int probe(struct worker *w, uint32_t partition, bool *is_free)
{
    char name[TOPOLOGY_NAME_SIZE];
    uint32_t consumers;
    int rc = count_consumers(w, topology_name_of(name, &w->topology, "in", partition), &consumers);

    *is_free = rc == MQ_OK && consumers == 0;
    if (rc == MQ_REFUSED && mq_error_code(w->mq) == 404) {
        log_warn("the input of a partition is not there: making it anew partition=%" PRIu32,
                 partition);
        w->is_topology_stale = true;
        return MQ_OK;
    }
    return rc == MQ_REFUSED ? worker_trouble(w, "%s: %s", name, mq_error(w->mq)) : rc;
}

/* Claims one of what is missing, among those that nobody serves. `is_claimed`: there may be more to
 * do. */
static int claim_one(struct worker *w, int64_t now_ms, bool *is_claimed)
{
    uint32_t order[PARTITIONS_MAX];
    size_t count = share_candidates(&w->share, now_ms, order);

    *is_claimed = false;
    for (size_t i = 0; i < MIN(count, PROBES_MAX); i++) {
        bool is_free;
        int rc = probe(w, order[i], &is_free);
        if (rc == MQ_OK && is_free) {
            *is_claimed = true;
            rc = claim(w, order[i]);
        }
        if (rc != MQ_OK || *is_claimed) {
            return rc;
        }
    }
    return MQ_OK;
}

/* A partition begins with an append. In an alarm that is the last thing which the broker reads, and
 * a request behind it would hang: one claim at a time, each when the log has answered the last. */
static bool is_claim_answered(const struct worker *w)
{
    for (uint32_t p = 0; p < w->share.partitions; p++) {
        if (w->share.holds[p] == SHARE_STARTING) {
            int64_t age_ms = tenure_append_age_ms(w->tenures[p]);
            if (age_ms >= 0 && age_ms < ANSWER_MS) {
                return false;
            }
        }
    }
    return true;
}

/* After a node of a cluster died, a channel may wait for a stream for half a minute or for ever. On
 * another connection, to the next node, it is served, by us or by whoever claims it first; or there
 * is no majority: so each time we have more patience. */
static int judge_logs(struct worker *w, int64_t now_ms)
{
    if (!w->topology.is_quorum || w->env.is_blocked) {
        return MQ_OK;
    }
    if (w->patience_ms == 0 || now_ms - w->connected_ms > PATIENCE_FORGET_MS) {
        w->patience_ms = PATIENCE_MIN_MS;
    }
    for (uint32_t p = 0; p < w->share.partitions; p++) {
        int64_t age_ms = w->tenures[p] != NULL ? tenure_log_silence_ms(w->tenures[p]) : -1;
        if (MIN(age_ms, now_ms - w->open_ms) > w->patience_ms) {
            w->patience_ms = MIN(2 * w->patience_ms, PATIENCE_MAX_MS);
            stat_add(&w->metrics->silent_logs, 1);
            return worker_trouble(
                w, "the log of partition %" PRIu32 " has not answered for %" PRId64 " ms", p,
                age_ms);
        }
    }
    return MQ_OK;
}

/* Until the next period. One whose owner died is locked a little longer than its queue has a
 * consumer, while the broker clears up: a claim that came too early is soon repeated. */
static int64_t pause_ms(struct worker *w, int64_t now_ms)
{
    if (w->is_claiming) {
        return SOON_MS;
    }
    bool is_racing = w->race_ms != 0 && now_ms - w->race_ms <= 2 * LOST_PAUSE_MS;
    return is_racing && share_missing(&w->share) > 0 ? LOST_PAUSE_MS
                                                     : share_jitter(&w->share, PERIOD_MS);
}

int member_period(struct worker *w, int64_t now_ms)
{
    int rc = judge_logs(w, now_ms);

    if (rc != MQ_OK) {
        return rc;
    }
    if (!is_claim_answered(w)) {
        w->period_ms = now_ms + SOON_MS;
        return MQ_OK;
    }
    rc = w->is_claiming ? MQ_OK : count_broadcasters(w);
    if (rc == MQ_OK && !w->is_claiming) {
        rc = keep_shared(w, now_ms);
    }
    w->is_claiming = false;
    if (rc == MQ_OK && share_missing(&w->share) > 0) {
        if (w->is_topology_stale) {
            rc = worker_declare(w);
            w->is_topology_stale = rc != MQ_OK;
        }
        if (rc == MQ_OK) {
            rc = claim_one(w, now_ms, &w->is_claiming);
        }
    }
    w->period_ms = now_ms + pause_ms(w, now_ms);
    return rc;
}

int member_give(struct worker *w)
{
    uint32_t p;

    w->is_give_due = false;
    for (p = 0; p < w->share.partitions; p++) {
        if (w->share.holds[p] == SHARE_STARTING && tenure_state(w->tenures[p]) == PARTITION_OWNED) {
            w->share.holds[p] = SHARE_OWNED;
        }
    }
    while (share_surplus(&w->share, &p)) {
        w->share.holds[p] = SHARE_LEAVING;
        log_debug("partition leaving partition=%" PRIu32, p);
        int rc = member_judge(w, p, tenure_leave(w->tenures[p]));
        if (rc != MQ_OK) {
            return rc;
        }
    }
    return MQ_OK;
}

/* Somebody gave a partition away: for us, if we have less than our share. */
static int on_notice(struct worker *w, const struct mq_event *e, int64_t now_ms)
{
    struct message m;
    const char *error = message_from_event(e, &m);

    if (error != NULL || m.type != MESSAGE_RELEASED || m.partition >= w->share.partitions) {
        log_warn("notice cannot be understood reason=%s", error != NULL ? error : "not for us");
        return MQ_OK;
    }
    if (slice_equal(m.owner, slice_of(w->conf->id))) {
        return MQ_OK;
    }
    uint32_t p = m.partition; /* the event does not outlive the next request */
    stat_add(&w->metrics->notices, 1);
    if (w->env.is_blocked || !is_claim_answered(w)) { /* the next period finds it */
        w->period_ms = now_ms;
        return MQ_OK;
    }
    int rc = count_broadcasters(w);
    if (rc == MQ_OK && share_missing(&w->share) > 0 && w->share.holds[p] == SHARE_NONE &&
        w->share.claim_after_ms[p] <= now_ms) {
        rc = claim(w, p);
    }
    return rc;
}

int member_on_event(struct worker *w, const struct mq_event *e, int64_t now_ms)
{
    char tag[TAG_SIZE];

    if (e->kind == MQ_CANCELLED &&
        slice_equal(e->consumer, slice_of(member_tag(w, TAG_MEMBER, tag)))) {
        w->is_member_lost = true;
        w->period_ms = now_ms;
        return MQ_OK;
    }
    if (e->kind == MQ_CANCELLED) {
        return worker_trouble(w, "the broker ended consumer %.*s", SLICE_ARG(e->consumer));
    }
    if (e->kind != MQ_DELIVERY || w->share.is_stopping ||
        !slice_equal(e->consumer, slice_of(member_tag(w, TAG_NOTICES, tag)))) {
        return MQ_OK;
    }
    return on_notice(w, e, now_ms);
}

int member_leave(struct worker *w)
{
    char tag[TAG_SIZE];

    w->share.is_stopping = true;
    int rc = mq_cancel(w->mq, CHANNEL_MEMBER, member_tag(w, TAG_MEMBER, tag));
    if (rc == MQ_REFUSED) {
        return worker_trouble(w, "cancel: %s", mq_error(w->mq));
    }
    return rc == MQ_OK ? member_give(w) : rc;
}
