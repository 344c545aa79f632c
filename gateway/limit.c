/*
 * limit.c: see limit.h.
 */
#include "gateway/limit.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/log.h"
#include "common/mq.h"
#include "gateway/api/api.h"
#include "gateway/bus/questions.h"
#include "gateway/conf.h"
#include "gateway/edge/conn.h"
#include "gateway/order/standing.h"
#include "gateway/session/session.h"
#include "gateway/token/claims.h"
#include "gateway/token/revoked.h"
#include "gateway/ws/extension.h"
#include "proto/command.h"

enum unit { COUNT, BYTES, MS };

static const struct row {
    const char *section, *key; /* of a setting; section "" of what is none */
    const char *label;
    enum unit unit;
    int64_t value; /* of what is no setting */
    const char *what, *answer;
} rows[LIMIT_COUNT] = {
#define LIMIT(name, section, key, what, answer)                                                    \
    {section, key, section "." key, COUNT, 0, what, answer},
#define FIXED(name, label, unit, value, what, answer) {"", "", label, unit, value, what, answer},
#include "gateway/limit.def"
};

const char *limit_label(enum limit limit)
{
    assert(limit < LIMIT_COUNT);
    return rows[limit].label;
}

/* In the notation of the settings. */
static void print_value(const struct row *row, char *text, size_t size)
{
    if (row->section[0] != '\0') {
        snprintf(text, size, "%s", gateway_conf_default(row->section, row->key));
    } else if (row->unit == MS) {
        snprintf(text, size, "%" PRId64 "s", row->value / 1000);
    } else if (row->unit == BYTES && row->value % (1 << 20) == 0) {
        snprintf(text, size, "%" PRId64 "m", row->value >> 20);
    } else if (row->unit == BYTES && row->value % (1 << 10) == 0) {
        snprintf(text, size, "%" PRId64 "k", row->value >> 10);
    } else {
        snprintf(text, size, "%" PRId64, row->value);
    }
}

void limits_print(void)
{
    char value[32];

    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        print_value(&rows[i], value, sizeof(value));
        printf("%-26s  %-7s  %-60s  %s\n", rows[i].label, value, rows[i].what, rows[i].answer);
    }
}

/* The log counts for itself: it serves all threads, and knows no metrics. */
static uint64_t count_of(const struct limits *l, enum limit limit)
{
    static const enum limit of_log[LOG_TALLIES] = {
        [LOG_TEXTS_CUT] = LIMIT_LOG_TEXT,
        [LOG_LINES_CUT] = LIMIT_LOG_LINE,
        [LOG_LINES_LEFT_OUT] = LIMIT_LOG_BURST,
    };

    for (size_t i = 0; i < LOG_TALLIES; i++) {
        if (of_log[i] == limit) {
            return log_tally((enum log_tally)i);
        }
    }
    return stat_get(&l->met[limit]);
}

void limits_print_met(const struct limits *l, struct buf *out)
{
    static const char family[] = "warren_gateway_limits_met_total";
    char labels[64];

    stats_head(out, family, "counter", "Times that somebody met a limit, by its name.");
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        snprintf(labels, sizeof(labels), "limit=\"%s\"", rows[i].label);
        stats_line(out, family, labels, count_of(l, (enum limit)i));
    }
}
