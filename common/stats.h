/*
 * stats.h: counters, gauges and histograms, and their Prometheus text form.
 *
 * Each metric has one writing thread, which adds with a plain load and store
 * (no bus lock); any thread may read. The tables of metrics live with the
 * services.
 */
#ifndef WARREN_COMMON_STATS_H
#define WARREN_COMMON_STATS_H

#include <stdatomic.h>

#include "common/base.h"
#include "common/buf.h"

typedef _Atomic uint64_t stat_value; /* a counter or a gauge */

static inline void stat_add(stat_value *s, uint64_t n)
{
    atomic_store_explicit(s, atomic_load_explicit(s, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* Counts one time; NULL: nobody wants to know. */
static inline void stat_note(stat_value *s)
{
    if (s != NULL) {
        stat_add(s, 1);
    }
}

static inline void stat_sub(stat_value *s, uint64_t n)
{
    stat_add(s, (uint64_t)0 - n);
}

static inline void stat_set(stat_value *s, uint64_t value)
{
    atomic_store_explicit(s, value, memory_order_relaxed);
}

static inline uint64_t stat_get(const stat_value *s)
{
    return atomic_load_explicit((stat_value *)(uintptr_t)s, memory_order_relaxed);
}

/* Latencies in microseconds: buckets 100 us, 200, 500, 1 ms, ... 10 s, and more. */
#define STATS_BUCKETS 16
struct histogram {
    stat_value buckets[STATS_BUCKETS + 1];
    stat_value sum_us;
};

/* Counts one observation. */
void histogram_add(struct histogram *h, int64_t us);

/* "# HELP name help\n# TYPE name type\n". `type` is "counter", "gauge" or "histogram". */
void stats_head(struct buf *out, const char *name, const char *type, const char *help);

/* "name{labels} value\n"; `labels` is "" or like `reason="slow"` (without braces). */
void stats_line(struct buf *out, const char *name, const char *labels, uint64_t value);

/* The _bucket, _sum (seconds) and _count lines of a histogram, head included. */
void stats_histogram(struct buf *out, const char *name, const char *help,
                     const struct histogram *h);

/* process_resident_memory_bytes, process_open_fds, process_cpu_seconds_total, with the given prefix
 * "warren_gateway"; and process_allocated_bytes where AddressSanitizer counts them anyway: a test
 * sees by it what is not given back. */
void stats_process(struct buf *out, const char *prefix);

#endif
