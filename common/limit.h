/*
 * limit.h: the limits that somebody outside can meet: a service's table of them, for people to read
 * and with a counter for each.
 *
 * The rows are those of the service's limit.def, in its order: see common/limit.def.
 */
#ifndef WARREN_COMMON_LIMIT_H
#define WARREN_COMMON_LIMIT_H

#include "common/base.h"
#include "common/buf.h"
#include "common/log.h"
#include "common/stats.h"

enum limit_unit { LIMIT_UNIT_COUNT, LIMIT_UNIT_BYTES, LIMIT_UNIT_MS };

struct limit_row {
    const char *section, *key; /* of the setting that it goes by; "" for what goes by none */
    const char *label; /* "section.key" of a setting, a name without a dot of what is none */
    enum limit_unit unit;
    int64_t value; /* of what goes by no setting */
    const char *what, *answer;
    int tally; /* of the log, an enum log_tally; else -1 */
};

/* A row from the arguments of each macro of limit.def, but for its NAME. */
#define LIMIT_ROW_SETTING(section, key, what, answer)                                              \
    {                                                                                              \
        section, key, section "." key, LIMIT_UNIT_COUNT, 0, what, answer, -1                       \
    }
#define LIMIT_ROW_SHARE(label, section, key, what, answer)                                         \
    {                                                                                              \
        section, key, label, LIMIT_UNIT_COUNT, 0, what, answer, -1                                 \
    }
#define LIMIT_ROW_FIXED(label, unit, value, what, answer)                                          \
    {                                                                                              \
        "", "", label, LIMIT_UNIT_##unit, value, what, answer, -1                                  \
    }
#define LIMIT_ROW_LOGGED(label, unit, value, tally, what, answer)                                  \
    {                                                                                              \
        "", "", label, LIMIT_UNIT_##unit, value, what, answer, tally                               \
    }

struct limit_table {
    const struct limit_row *rows;
    size_t count;
    const char *family; /* name of the metric */
    /* The default of a setting, in the notation of the settings. */
    const char *(*fallback)(const char *section, const char *key);
};

/* For --limits: name, default, of what, and what whoever meets it gets. */
void limit_table_print(const struct limit_table *t);

/* Appends the counters, one for each row, in Prometheus' text form. */
void limit_table_print_met(const struct limit_table *t, const stat_value *met, struct buf *out);

#endif
