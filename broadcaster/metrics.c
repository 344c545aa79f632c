/* metrics.c: everything the broadcaster counts. */
#include "broadcaster/metrics.h"

#include <inttypes.h>
#include <stdio.h>

#define PREFIX "warren_broadcaster_"

struct row {
    const char *name, *type, *help;
    size_t at; /* of the value, in the struct that the table is for */
};

static const struct row shell_rows[] = {
#define METRIC(field, name, type, help) {PREFIX name, type, help, offsetof(struct metrics, field)},
#define PARTITION_METRIC(field, name, type, help)
#define EACH_METRIC(field, name, help)
#include "broadcaster/metrics.def"
};

static const struct row partition_rows[] = {
#define METRIC(field, name, type, help)
#define PARTITION_METRIC(field, name, type, help)                                                  \
    {PREFIX name, type, help, offsetof(struct partition_stats, field)},
#define EACH_METRIC(field, name, help)
#include "broadcaster/metrics.def"
};

static const struct row each_rows[] = {
#define METRIC(field, name, type, help)
#define PARTITION_METRIC(field, name, type, help)
#define EACH_METRIC(field, name, help)                                                             \
    {PREFIX name, "gauge", help, offsetof(struct metrics_each, field)},
#include "broadcaster/metrics.def"
};

static uint64_t value_at(const void *base, const struct row *row)
{
    return stat_get((const stat_value *)(const void *)((const char *)base + row->at));
}

void metrics_dead(struct metrics *m, const char *reason)
{
    size_t i = 0;

    while (i + 1 < METRICS_REASONS_MAX) {
        const char *text = atomic_load(&m->dead[i].text);
        if (text == NULL || strcmp(text, reason) == 0) {
            break;
        }
        i++;
    }
    if (atomic_load(&m->dead[i].text) == NULL) {
        atomic_store(&m->dead[i].text, i + 1 < METRICS_REASONS_MAX ? reason : "other");
    }
    stat_add(&m->dead[i].count, 1);
}

static void print_plain(struct buf *out, const void *base, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        stats_head(out, rows[i].name, rows[i].type, rows[i].help);
        stats_line(out, rows[i].name, "", value_at(base, &rows[i]));
    }
}

static void print_each(const struct metrics *m, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(each_rows); i++) {
        stats_head(out, each_rows[i].name, each_rows[i].type, each_rows[i].help);
        for (uint32_t p = 0; p < PARTITIONS_MAX; p++) {
            char labels[32];
            if (stat_get(&m->each[p].is_held) != 0) {
                (void)snprintf(labels, sizeof(labels), "partition=\"%" PRIu32 "\"", p);
                stats_line(out, each_rows[i].name, labels, value_at(&m->each[p], &each_rows[i]));
            }
        }
    }
}

static void print_dead(const struct metrics *m, struct buf *out)
{
    stats_head(out, PREFIX "dead_total", "counter", "Dead letters by reason.");
    for (size_t i = 0; i < METRICS_REASONS_MAX; i++) {
        const char *text = atomic_load((_Atomic(const char *) *)(uintptr_t)&m->dead[i].text);
        char labels[128];
        if (text != NULL) {
            (void)snprintf(labels, sizeof(labels), "reason=\"%s\"", text);
            stats_line(out, PREFIX "dead_total", labels, stat_get(&m->dead[i].count));
        }
    }
}

static void print_narrowed(const struct metrics *m, struct buf *out)
{
    char labels[64];

    stats_head(out, PREFIX "records_narrowed_total", "counter",
               "Records that not everybody in the room may see, by the rule that decided it.");
    for (size_t i = 0; i < AUDIENCE_RULES; i++) {
        (void)snprintf(labels, sizeof(labels), "rule=\"%s\"", audience_word((enum audience_rule)i));
        stats_line(out, PREFIX "records_narrowed_total", labels,
                   stat_get(&m->partition.narrowed[i]));
    }
}

void metrics_print(const struct metrics *m, struct buf *out)
{
    stats_head(out, PREFIX "build_info", "gauge", "The program's version.");
    stats_line(out, PREFIX "build_info", "version=\"" WARREN_VERSION "\"", 1);
    print_plain(out, m, shell_rows, ARRAY_LEN(shell_rows));
    print_plain(out, &m->partition, partition_rows, ARRAY_LEN(partition_rows));
    limit_table_print_met(&broadcaster_limits, m->partition.limits.met, out);
    print_each(m, out);
    print_narrowed(m, out);
    print_dead(m, out);
    stats_histogram(out, PREFIX "append_seconds", "From an append to its confirm.", &m->append_us);
    stats_histogram(out, PREFIX "input_seconds", "From a batch's arrival to its ack.",
                    &m->input_us);
    stats_histogram(out, PREFIX "takeover_seconds", "From a claim to serving the partition.",
                    &m->takeover_us);
    stats_process(out, "warren_broadcaster");
}
