/*
 * limit.c: see limit.h.
 */
#include "common/limit.h"

#include <inttypes.h>
#include <stdio.h>

/* In the notation of the settings. */
static void print_value(const struct limit_table *t, const struct limit_row *row, char *text,
                        size_t size)
{
    if (row->section[0] != '\0') {
        snprintf(text, size, "%s", t->fallback(row->section, row->key));
    } else if (row->unit == LIMIT_UNIT_MS && row->value % 1000 == 0) {
        snprintf(text, size, "%" PRId64 "s", row->value / 1000);
    } else if (row->unit == LIMIT_UNIT_MS) {
        snprintf(text, size, "%" PRId64 "ms", row->value);
    } else if (row->unit == LIMIT_UNIT_BYTES && row->value % (1 << 20) == 0) {
        snprintf(text, size, "%" PRId64 "m", row->value >> 20);
    } else if (row->unit == LIMIT_UNIT_BYTES && row->value % (1 << 10) == 0) {
        snprintf(text, size, "%" PRId64 "k", row->value >> 10);
    } else {
        snprintf(text, size, "%" PRId64, row->value);
    }
}

void limit_table_print(const struct limit_table *t)
{
    char value[32];

    for (size_t i = 0; i < t->count; i++) {
        const struct limit_row *row = &t->rows[i];

        print_value(t, row, value, sizeof(value));
        printf("%-26s  %-7s  %-60s  %s\n", row->label, value, row->what, row->answer);
    }
}

void limit_table_print_met(const struct limit_table *t, const stat_value *met, struct buf *out)
{
    char labels[64];

    stats_head(out, t->family, "counter", "Times that somebody met a limit, by its name.");
    for (size_t i = 0; i < t->count; i++) {
        const struct limit_row *row = &t->rows[i];

        snprintf(labels, sizeof(labels), "limit=\"%s\"", row->label);
        stats_line(out, t->family, labels,
                   row->tally >= 0 ? log_tally((enum log_tally)row->tally) : stat_get(&met[i]));
    }
}
