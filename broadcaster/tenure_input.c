/*
 * tenure_input.c: where a partition's input comes from.
 *
 *     mailbox, spill ──► our marker comes out of the spill ──► input
 *
 * What RabbitMQ has dropped from the head of a classic input is in the spill (see
 * topology.h), and belongs before what is in the input. So the spill is consumed
 * first, and a marker of our own is published to it: when that comes back, all
 * that was there before us has been delivered. What comes into the spill later
 * was rejected from the input, by us or by a policy of the broker's operator: it
 * is rejected once more and so gets to PREFIX.dead.
 *
 * Somebody may delete the input. What gateways publish until it is made anew has
 * no way into it and comes into the spill, too. It is older than all that is in
 * the new input, so it has its place there: taken behind it, it would count as
 * a duplicate, for a later number of its lane had been seen. So an owner that is
 * given such a batch after its marker goes no further: it gives the partition up,
 * and the next one finds the batch in the spill. To be sure to be given it before
 * anything that was published after it, the owner does not consume the input
 * while the broker could hold back anything of the spill.
 */
#include <inttypes.h>
#include <stdio.h>

#include "broadcaster/tenure_internal.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"

#define INPUT_WARN_MS 5000
#define SPILL_PATIENCE_MS 5000 /* for our marker, while nothing else comes */
#define MARKER_TYPE "end"
#define NONCE_SIZE 17 /* 16 hexadecimal digits and a NUL */

static int consume_mail(struct tenure *t)
{
    char queue[TOPOLOGY_NAME_SIZE], tag[TENURE_TAG_SIZE];
    const struct mq_consume c = {
        .queue = topology_name_of(queue, t->env->topology, "owner", t->partition),
        .tag = tenure_consumer(t, "owner", tag),
        .no_ack = true,
        .exclusive = true,
        .stream_offset = -1,
    };

    return tenure_judge(t, queue, mq_consume(t->env->mq, tenure_channel(t, LANE_MAIL), &c));
}

/* The consumer of an owner that died may live on for a moment after its lock: a later tick tries
 * again. The refusal has closed the channel, and what had come from the spill is back in it; when
 * the machine has seen some of that already, it has to begin anew, too. */
static int wait_for_other(struct tenure *t, const char *queue)
{
    int64_t now = clock_mono_ms();

    if (t->spilled > 0) {
        return tenure_break(t, "%s: %s", queue, mq_error(t->env->mq));
    }
    if (t->wants_input_ms != 0 && now - t->wants_input_ms > INPUT_WARN_MS) {
        t->wants_input_ms = 0;
        log_warn("partition waits for its input partition=%" PRIu32 " error=%s", t->partition,
                 log_quote(mq_error(t->env->mq), strlen(mq_error(t->env->mq))));
    }
    t->has_spill = false;
    t->is_spill_over = false;
    t->last_input = 0;
    t->acks = (struct acks){0};
    return MQ_OK;
}

/* `*has` stays false when somebody else still consumes it. */
static int consume(struct tenure *t, const char *what, uint16_t prefetch, bool *has)
{
    char queue[TOPOLOGY_NAME_SIZE], tag[TENURE_TAG_SIZE];
    const struct mq_consume c = {
        .queue = topology_name_of(queue, t->env->topology, what, t->partition),
        .tag = tenure_consumer(t, what, tag),
        .prefetch = prefetch,
        .exclusive = !t->env->topology->is_quorum,
        .stream_offset = -1,
    };
    int rc = mq_consume(t->env->mq, tenure_channel(t, LANE_INPUT), &c);

    *has = rc == MQ_OK;
    if (rc == MQ_REFUSED && mq_error_code(t->env->mq) == 403) {
        return wait_for_other(t, queue);
    }
    return tenure_judge(t, queue, rc);
}

static struct slice nonce_text(uint64_t nonce, char text[NONCE_SIZE])
{
    int size = snprintf(text, NONCE_SIZE, "%016" PRIx64, nonce);

    assert(size == NONCE_SIZE - 1);
    return (struct slice){text, (size_t)size};
}

static int publish_marker(struct tenure *t)
{
    char name[TOPOLOGY_NAME_SIZE], key[TOPOLOGY_KEY_SIZE], nonce[NONCE_SIZE];
    struct mq_props props = {.type = SLICE_LIT(MARKER_TYPE), .app_id = t->env->app_id};

    t->spill_ms = clock_mono_ms();
    hash_random(&t->spill_nonce, sizeof(t->spill_nonce));
    props.correlation_id = nonce_text(t->spill_nonce, nonce);
    int rc = mq_publish(t->env->mq, tenure_channel(t, LANE_INPUT),
                        topology_name(name, t->env->topology, "spill"),
                        topology_key(key, t->partition), false, &props, SLICE_NONE);
    return tenure_judge(t, name, rc);
}

int tenure_consume_input(struct tenure *t)
{
    if (t->env->topology->is_quorum) {
        t->is_spill_over = true;
    } else if (!t->has_spill) {
        int rc = consume(t, "spill", ACKS_SPILL_PREFETCH, &t->has_spill);
        if (rc == MQ_OK && t->has_spill) {
            (void)tenure_consumer(t, "spill", t->spill_tag);
            rc = publish_marker(t);
        }
        return rc;
    }
    bool is_idle = t->acks.settled >= t->last_input; /* the broker holds nothing back for us */
    if (t->is_spill_over) {
        return is_idle ? consume(t, "in", ACKS_PREFETCH, &t->has_input) : MQ_OK; /* a later tick */
    }
    if (is_idle && clock_mono_ms() - t->spill_ms > SPILL_PATIENCE_MS) {
        log_warn("partition waits for the end of its spill partition=%" PRIu32
                 ": asking again, somebody may have purged it",
                 t->partition);
        return publish_marker(t);
    }
    return MQ_OK;
}

int tenure_begin_input(struct tenure *t)
{
    int rc = consume_mail(t);

    if (rc == MQ_OK) {
        t->wants_input = true;
        t->wants_input_ms = clock_mono_ms();
        rc = tenure_consume_input(t);
    }
    return rc;
}

static int stop(struct tenure *t, const char *what, bool *has)
{
    char tag[TENURE_TAG_SIZE];
    bool had = *has;

    *has = false;
    if (!had) {
        return MQ_OK;
    }
    int rc = mq_cancel(t->env->mq, tenure_channel(t, LANE_INPUT), tenure_consumer(t, what, tag));
    return tenure_judge(t, tag, rc);
}

int tenure_stop_input(struct tenure *t)
{
    t->wants_input = false;
    int rc = stop(t, "in", &t->has_input);
    return rc == MQ_OK ? stop(t, "spill", &t->has_spill) : rc;
}

static bool is_from_spill(const struct tenure *t, const struct mq_event *e)
{
    return slice_equal(e->consumer, (struct slice){t->spill_tag, strlen(t->spill_tag)});
}

/* It came by the alternate exchange; what was in the input once comes by PREFIX.spill. */
static bool is_unrouted(const struct tenure *t, const struct mq_event *e)
{
    char name[TOPOLOGY_NAME_SIZE];

    return slice_equal(e->exchange, slice_of(topology_name(name, t->env->topology, "in")));
}

static bool is_marker(const struct mq_event *e)
{
    return slice_equal(e->props.type, SLICE_LIT(MARKER_TYPE));
}

/* All that was there before us has been delivered. */
static int on_end(struct tenure *t)
{
    t->is_spill_over = true;
    if (t->spilled > 0) {
        log_info("partition has its spill partition=%" PRIu32 " batches=%" PRIu64
                 " unrouted=%" PRIu64,
                 t->partition, t->spilled, t->unrouted);
    }
    bool may_ask = !t->env->is_blocked; /* else a tick does it */
    return may_ask && t->wants_input && !t->has_input ? tenure_consume_input(t) : MQ_OK;
}

/* A batch that stands before the input. */
static void count(struct tenure *t, bool is_unrouted)
{
    t->spilled++;
    stat_add(is_unrouted ? &t->env->metrics->unrouted : &t->env->metrics->spilled, 1);
    if (is_unrouted && t->unrouted++ == 0) {
        log_warn("partition takes back what came while its input was not there: somebody had "
                 "deleted it, and what was in it is lost partition=%" PRIu32,
                 t->partition);
    }
}

int tenure_on_spill(struct tenure *t, const struct mq_event *e, bool *is_input)
{
    char nonce[NONCE_SIZE];

    *is_input = !is_from_spill(t, e);
    if (*is_input) {
        return MQ_OK;
    }
    t->spill_ms = clock_mono_ms();
    if (!is_marker(e)) {
        if (!t->is_spill_over) {
            *is_input = true;
            count(t, is_unrouted(t, e));
            return MQ_OK;
        }
        if (is_unrouted(t, e)) {
            return tenure_break(t, "its input was not there");
        }
        acks_refused(&t->acks, e->tag);
        return tenure_settle(t);
    }
    acks_dead(&t->acks, e->tag);
    acks_copied(&t->acks, e->tag);
    int rc = tenure_settle(t);
    /* The marker of an owner that did not live to see it says nothing. */
    bool is_ours = slice_equal(e->props.correlation_id, nonce_text(t->spill_nonce, nonce));
    return rc == MQ_OK && is_ours ? on_end(t) : rc;
}
