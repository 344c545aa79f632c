/*
 * metrics.c: prints what metrics.def names, and the tables by reason and status.
 */
#include "gateway/metrics.h"

#include <stdio.h>

#include "gateway/sight.h"

static void print_by_reason(const struct metrics *m, struct buf *out)
{
    char labels[64];

    stats_head(out, "warren_gateway_sessions_closed_total", "counter",
               "Sessions ended, by reason.");
    for (size_t i = 0; i < CLOSE_REASON_COUNT; i++) {
        snprintf(labels, sizeof(labels), "reason=\"%s\"", close_label((enum close_reason)i));
        stats_line(out, "warren_gateway_sessions_closed_total", labels, stat_get(&m->closed[i]));
    }
    stats_head(out, "warren_gateway_records_kept_back_total", "counter",
               "Times that a session was not given a record, by the rule that decided it.");
    for (size_t i = 0; i < ARRAY_LEN(m->kept_back); i++) {
        snprintf(labels, sizeof(labels), "rule=\"%s\"", sight_label((enum audience_rule)i));
        stats_line(out, "warren_gateway_records_kept_back_total", labels,
                   stat_get(&m->kept_back[i]));
    }
    stats_head(out, "warren_gateway_denied_total", "counter",
               "What was refused to sessions by rules and limits.");
    for (size_t i = 0; i < PERMIT_COUNT; i++) {
        snprintf(labels, sizeof(labels), "what=\"%s\"", permit_label((enum permit)i));
        stats_line(out, "warren_gateway_denied_total", labels, stat_get(&m->denied[i]));
    }
    stats_head(out, "warren_gateway_amqp_publishes_dead_total", "counter",
               "Messages of other programs that could be no record, by reason.");
    for (size_t i = RAW_GOOD + 1; i < RAW_FAULTS; i++) {
        snprintf(labels, sizeof(labels), "reason=\"%s\"", raw_fault_label((enum raw_fault)i));
        stats_line(out, "warren_gateway_amqp_publishes_dead_total", labels,
                   stat_get(&m->raw_dead[i]));
    }
    stats_head(out, "warren_gateway_errors_total", "counter",
               "Error replies, by the code of the client protocol.");
    for (size_t i = 0; i < METRICS_ERRORS; i++) {
        snprintf(labels, sizeof(labels), "code=\"%zu\"", METRICS_ERROR_FIRST + i);
        stats_line(out, "warren_gateway_errors_total", labels, stat_get(&m->errors[i]));
    }
    stats_head(out, "warren_gateway_requests_refused_total", "counter",
               "Requests that were not upgraded, by status.");
    for (size_t i = 0; i < ARRAY_LEN(m->refused); i++) {
        if (stat_get(&m->refused[i]) > 0) {
            snprintf(labels, sizeof(labels), "status=\"%zu\"", i);
            stats_line(out, "warren_gateway_requests_refused_total", labels,
                       stat_get(&m->refused[i]));
        }
    }
}

static void print_hooks(const struct metrics *m, struct buf *out)
{
    char labels[64];

    stats_head(out, "warren_gateway_hooks_asked_total", "counter",
               "Questions to the backend, by hook.");
    for (int i = 0; i < HOOK_COUNT; i++) {
        snprintf(labels, sizeof(labels), "hook=\"%s\"", hook_label((enum hook)i));
        stats_line(out, "warren_gateway_hooks_asked_total", labels, stat_get(&m->hooks_asked[i]));
    }
    stats_head(out, "warren_gateway_hook_breaker_open", "gauge",
               "1 while nobody is asked because the backend has failed too often, by hook.");
    for (int i = 0; i < HOOK_COUNT; i++) {
        snprintf(labels, sizeof(labels), "hook=\"%s\"", hook_label((enum hook)i));
        stats_line(out, "warren_gateway_hook_breaker_open", labels, stat_get(&m->hook_open[i]));
    }
    stats_head(out, "warren_gateway_hook_ends_total", "counter",
               "How questions ended, and why others were not asked, by hook.");
    for (int i = 0; i < HOOK_COUNT; i++) {
        for (int k = 0; k < HOOK_ENDS; k++) {
            snprintf(labels, sizeof(labels), "hook=\"%s\",end=\"%s\"", hook_label((enum hook)i),
                     hook_end_label((enum hook_end)k));
            stats_line(out, "warren_gateway_hook_ends_total", labels,
                       stat_get(&m->hook_ends[i][k]));
        }
    }
    stats_histogram(out, "warren_gateway_hook_seconds",
                    "From a question to the backend to its answer.", &m->hook_us);
}

void metrics_print(const struct metrics *m, struct buf *out)
{
#define METRIC(field, name, type, help)                                                            \
    stats_head(out, "warren_gateway_" name, type, help);                                           \
    stats_line(out, "warren_gateway_" name, "", stat_get(&m->field));
#include "gateway/metrics.def"
    print_by_reason(m, out);
    print_hooks(m, out);
    stats_histogram(out, "warren_gateway_publish_seconds",
                    "From accepting a publish to the broker's confirm.", &m->publish_us);
    stats_histogram(out, "warren_gateway_delivery_seconds",
                    "From a record's acceptance anywhere to its fan-out here.", &m->delivery_us);
}
