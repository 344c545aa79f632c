/*
 * metrics.c: prints what metrics.def names, and the tables by reason and status.
 */
#include "gateway/metrics.h"

#include <stdio.h>

#include "gateway/room/sight.h"

/* The line of a family that has one label. */
static void print_one(struct buf *out, const char *family, const char *label, const char *value,
                      const stat_value *number)
{
    char labels[96];

    snprintf(labels, sizeof(labels), "%s=\"%s\"", label, value);
    stats_line(out, family, labels, stat_get(number));
}

static void print_numbered(struct buf *out, const char *family, const char *label, size_t value,
                           const stat_value *number)
{
    char text[24];

    snprintf(text, sizeof(text), "%zu", value);
    print_one(out, family, label, text, number);
}

static void print_by_reason(const struct metrics *m, struct buf *out)
{
    static const char closed[] = "warren_gateway_sessions_closed_total";
    static const char kept_back[] = "warren_gateway_records_kept_back_total";
    static const char denied[] = "warren_gateway_denied_total";
    static const char dead[] = "warren_gateway_amqp_publishes_dead_total";
    static const char errors[] = "warren_gateway_errors_total";
    static const char refused[] = "warren_gateway_requests_refused_total";

    stats_head(out, closed, "counter", "Sessions ended, by reason.");
    for (size_t i = 0; i < CLOSE_REASON_COUNT; i++) {
        print_one(out, closed, "reason", close_label((enum close_reason)i), &m->closed[i]);
    }
    stats_head(out, kept_back, "counter",
               "Times that a session was not given a record, by the rule that decided it.");
    for (size_t i = 0; i < ARRAY_LEN(m->kept_back); i++) {
        print_one(out, kept_back, "rule", sight_label((enum audience_rule)i), &m->kept_back[i]);
    }
    stats_head(out, denied, "counter", "What was refused to sessions by rules and limits.");
    for (size_t i = 0; i < PERMIT_COUNT; i++) {
        print_one(out, denied, "what", permit_label((enum permit)i), &m->denied[i]);
    }
    stats_head(out, dead, "counter",
               "Messages of other programs that could be no record, by reason.");
    for (size_t i = RAW_GOOD + 1; i < RAW_FAULTS; i++) {
        print_one(out, dead, "reason", raw_fault_label((enum raw_fault)i), &m->raw_dead[i]);
    }
    stats_head(out, errors, "counter", "Error replies, by the code of the client protocol.");
    for (size_t i = 0; i < METRICS_ERRORS; i++) {
        print_numbered(out, errors, "code", METRICS_ERROR_FIRST + i, &m->errors[i]);
    }
    stats_head(out, refused, "counter", "Requests that were not upgraded, by status.");
    for (size_t i = 0; i < ARRAY_LEN(m->refused); i++) {
        if (stat_get(&m->refused[i]) > 0) {
            print_numbered(out, refused, "status", i, &m->refused[i]);
        }
    }
}

static void print_hooks(const struct metrics *m, struct buf *out)
{
    static const char asked[] = "warren_gateway_hooks_asked_total";
    static const char open[] = "warren_gateway_hook_breaker_open";
    static const char ends[] = "warren_gateway_hook_ends_total";
    char labels[64];

    stats_head(out, asked, "counter", "Questions to the backend, by hook.");
    for (int i = 0; i < HOOK_COUNT; i++) {
        print_one(out, asked, "hook", hook_label((enum hook)i), &m->hooks_asked[i]);
    }
    stats_head(out, open, "gauge",
               "1 while nobody is asked because the backend has failed too often, by hook.");
    for (int i = 0; i < HOOK_COUNT; i++) {
        print_one(out, open, "hook", hook_label((enum hook)i), &m->hook_open[i]);
    }
    stats_head(out, ends, "counter",
               "How questions ended, and why others were not asked, by hook.");
    for (int i = 0; i < HOOK_COUNT; i++) {
        for (int k = 0; k < HOOK_ENDS; k++) {
            snprintf(labels, sizeof(labels), "hook=\"%s\",end=\"%s\"", hook_label((enum hook)i),
                     hook_end_label((enum hook_end)k));
            stats_line(out, ends, labels, stat_get(&m->hook_ends[i][k]));
        }
    }
    stats_histogram(out, "warren_gateway_hook_seconds",
                    "From a question to the backend to its answer.", &m->hook_us);
}

void metrics_print(const struct metrics *m, struct buf *out)
{
    stats_head(out, "warren_gateway_build_info", "gauge", "The program's version.");
    stats_line(out, "warren_gateway_build_info", "version=\"" WARREN_VERSION "\"", 1);
#define METRIC(field, name, type, help)                                                            \
    stats_head(out, "warren_gateway_" name, type, help);                                           \
    stats_line(out, "warren_gateway_" name, "", stat_get(&m->field));
#include "gateway/metrics.def"
    limit_table_print_met(&gateway_limits, m->limits.met, out);
    print_by_reason(m, out);
    print_hooks(m, out);
    stats_histogram(out, "warren_gateway_publish_seconds",
                    "From accepting a publish to the broker's confirm.", &m->publish_us);
    stats_histogram(out, "warren_gateway_delivery_seconds",
                    "From a record's acceptance anywhere to its fan-out here.", &m->delivery_us);
}
