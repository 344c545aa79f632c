/*
 * tenure.h: one partition that we hold: its channels on the broker and its machine.
 *
 * A tenure begins when the lock is ours. It feeds the partition's machine with
 * what the broker says on the partition's channels, and carries out what the
 * machine answers, in order. It ends in one of three ways: released in order,
 * broken (then tenure_close() gives the lock back), or with the connection.
 *
 * Channels of partition p, from TENURE_CHANNEL(p) on: input, appends (with
 * confirms), mailbox, log being read, events for other programs (with confirms). What goes to
 * gateways uses one channel of all partitions, so that it stays in order.
 */
#ifndef WARREN_BROADCASTER_TENURE_H
#define WARREN_BROADCASTER_TENURE_H

#include "broadcaster/conf.h"
#include "broadcaster/dead.h"
#include "broadcaster/metrics.h"
#include "broadcaster/partition.h"
#include "common/mq.h"
#include "common/topology.h"

#define TENURE_CHANNEL_FIRST 16
#define TENURE_CHANNELS 5
#define TENURE_CHANNEL(partition) ((uint16_t)(TENURE_CHANNEL_FIRST + TENURE_CHANNELS * (partition)))
static_assert(TENURE_CHANNEL(PARTITIONS_MAX) <= 2047, "all partitions fit one connection");

/* What all tenures of a connection share; borrowed by each. */
struct tenure_env {
    struct mq *mq;
    const struct topology *topology;
    const struct broadcaster_conf *conf;
    struct metrics *metrics;
    struct dead *dead;
    uint16_t deliver_channel; /* to gateways */
    uint16_t control_channel; /* for requests about locks */
    struct slice app_id;
    bool is_blocked; /* the broker takes no publishes: what the machines want done waits */
};

enum tenure_answer {
    TENURE_RELEASED = 10, /* all is done and acked: close it, others may have it */
    TENURE_BROKEN = 11,   /* tenure_trouble() says why: close it, claim anew later */
};

struct tenure;

/* The lock is ours. */
struct tenure *tenure_new(struct tenure_env *env, uint32_t partition) MUST_CHECK;

/* Frees the memory; accepts NULL; returns NULL. The connection is gone, or tenure_close() was
 * called. */
struct tenure *tenure_free(struct tenure *t);

/* The rules of the settings have changed. */
void tenure_rules_changed(struct tenure *t);

/* The verbs answer MQ_OK, MQ_LOST, or a tenure_answer. */

/* Opens the channels and begins. */
int tenure_start(struct tenure *t) MUST_CHECK;

/* An event of one of the partition's channels. */
int tenure_on_event(struct tenure *t, const struct mq_event *e) MUST_CHECK;

/* A message came back: the gateway with this key is gone. */
int tenure_on_gateway_gone(struct tenure *t, struct slice gateway) MUST_CHECK;

/* The copy of a dead letter is safe. */
int tenure_on_copied(struct tenure *t, uint64_t tag) MUST_CHECK;

/* Call every TENURE_TICK_MS, and when `is_blocked` has ended. */
#define TENURE_TICK_MS 50
int tenure_tick(struct tenure *t) MUST_CHECK;

/* Begin to give the partition away. */
int tenure_leave(struct tenure *t) MUST_CHECK;

/* Closes the channels, then gives the lock back. MQ_OK or MQ_LOST. */
int tenure_close(struct tenure *t) MUST_CHECK;

/* Why it is broken. */
const char *tenure_trouble(const struct tenure *t);

/* How long the log has owed a confirm, in ms; -1: it owes none. */
int64_t tenure_append_age_ms(const struct tenure *t);

/* How long the log has owed us anything, a confirm or what a take-over reads, in ms; -1: nothing.
 */
int64_t tenure_log_silence_ms(const struct tenure *t);

/* Of its machine. */
enum partition_state tenure_state(const struct tenure *t);

#endif
