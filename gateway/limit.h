/*
 * limit.h: the limits of limit.def as an enum: each is counted whenever it is met.
 */
#ifndef WARREN_GATEWAY_LIMIT_H
#define WARREN_GATEWAY_LIMIT_H

#include "common/base.h"
#include "common/stats.h"

enum limit {
#define LIMIT(name, ...) LIMIT_##name,
#define SHARE(name, ...) LIMIT_##name,
#define FIXED(name, ...) LIMIT_##name,
#define LOGGED(name, ...) LIMIT_##name,
#include "gateway/limit.def"
    LIMIT_COUNT
};

struct limits {
    stat_value met[LIMIT_COUNT]; /* by the loop's thread; LIMIT_AMQP_* by the consuming one */
};

static inline void limit_met(struct limits *l, enum limit limit)
{
    stat_add(&l->met[limit], 1);
}

/* "section.key" of a setting, a name without a dot of what is none. */
const char *limit_label(enum limit limit);

/* For --limits: name, default, of what, and what whoever meets it gets. */
void limits_print(void);

/* Appends the counters in Prometheus' text form. */
void limits_print_met(const struct limits *l, struct buf *out);

#endif
