/*
 * metrics.h: everything the broadcaster counts.
 *
 * The worker's thread writes, but for `aborts`; the main thread prints.
 */
#ifndef WARREN_BROADCASTER_METRICS_H
#define WARREN_BROADCASTER_METRICS_H

#include "broadcaster/partition.h"
#include "common/stats.h"
#include "proto/limits.h"

#define METRICS_REASONS_MAX 32 /* kinds of dead letters told apart; the rest is the last one */

struct metrics_each {
    stat_value is_held;
#define METRIC(field, name, type, help)
#define PARTITION_METRIC(field, name, type, help)
#define EACH_METRIC(field, name, help) stat_value field;
#include "broadcaster/metrics.def"
};

struct metrics_reason {
    _Atomic(const char *) text; /* static text; NULL: not used yet */
    stat_value count;
};

struct metrics {
#define METRIC(field, name, type, help) stat_value field;
#define PARTITION_METRIC(field, name, type, help)
#define EACH_METRIC(field, name, help)
#include "broadcaster/metrics.def"
    struct partition_stats partition;
    struct metrics_each each[PARTITIONS_MAX];
    struct metrics_reason dead[METRICS_REASONS_MAX];
    struct histogram append_us;   /* from an append to its confirm */
    struct histogram input_us;    /* from a batch's arrival to its ack */
    struct histogram takeover_us; /* from a claim to serving the partition */
};

/* Counts a dead letter; `reason` is a static text of this program. */
void metrics_dead(struct metrics *m, const char *reason);

/* Appends all of it in Prometheus' text form. */
void metrics_print(const struct metrics *m, struct buf *out);

#endif
