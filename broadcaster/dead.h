/*
 * dead.h: dead letters: copies of messages that nobody can use, with the reason in a header.
 *
 * The copy goes to the exchange PREFIX.dead on a channel with confirms, and only
 * then may the original be acked: dead_next_copied() tells of it. Body,
 * properties and headers are kept; added are `reason`, and `key`, with
 * which it was published.
 *
 * What the broker refuses is published again after a pause that grows; a channel
 * that brings nothing but refusals is to be opened anew.
 *
 * Letters waiting for their confirm are bounded in bytes; dead_add() refuses
 * what goes above, and the caller rejects the original, which then gets there
 * without a reason.
 */
#ifndef WARREN_BROADCASTER_DEAD_H
#define WARREN_BROADCASTER_DEAD_H

#include "broadcaster/metrics.h"
#include "common/base.h"
#include "common/mq.h"
#include "common/topology.h"

#define DEAD_BYTES_MAX (32 << 20)
#define DEAD_PAUSE_MS 100 /* after the first refusal; doubles */
#define DEAD_PAUSE_MAX_MS 5000
#define DEAD_REFUSALS_MAX                                                                          \
    5 /* pauses in a row; then the channel may hang on a queue's dead leader */

struct dead_letter;

struct dead {
    struct metrics *metrics;   /* borrowed */
    struct dead_letter *first; /* owns; in the order of their publishing */
    struct dead_letter **last;
    size_t bytes;
    uint64_t published; /* on the channel's present life */
    int64_t retry_ms;   /* monotonic: what was refused is not published before */
    int64_t pause_ms;   /* the next one */
    unsigned refusals;  /* pauses since something was taken, or the channel was opened */
};

/* Empty; `metrics` is borrowed. */
void dead_init(struct dead *d, struct metrics *metrics);

/* Forgets all letters: the connection is gone, the originals come again. */
void dead_clear(struct dead *d);

/* Forgets the letters of a partition that we serve no more. */
void dead_forget(struct dead *d, uint32_t partition);

/* Copies `e`, the delivery `tag` of the partition's input. `reason` is static text. False: too much
 * is waiting. Counts the letter in both cases. */
bool dead_add(struct dead *d, uint32_t partition, const struct mq_event *e,
              const char *reason) MUST_CHECK;

/* Publishes what is not published, unless it has to pause. MQ_OK or MQ_LOST. */
int dead_publish(struct dead *d, struct mq *m, uint16_t channel, const struct topology *t,
                 int64_t now_ms) MUST_CHECK;

/* MQ_ACK, MQ_NACK or MQ_CHANNEL_CLOSED on the channel. What is not safe is published again by a
 * later dead_publish(). */
void dead_on_event(struct dead *d, const struct mq_event *e, int64_t now_ms);

/* True if the channel should be opened anew; tell with MQ_CHANNEL_CLOSED that it was. */
bool dead_wants_channel(const struct dead *d);

/* Takes the next letter whose copy is safe; false: none. */
bool dead_next_copied(struct dead *d, uint32_t *partition, uint64_t *tag) MUST_CHECK;

#endif
