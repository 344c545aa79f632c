/*
 * limit.h: the limits of limit.def as an enum: each is counted whenever it is met.
 */
#ifndef WARREN_GATEWAY_LIMIT_H
#define WARREN_GATEWAY_LIMIT_H

#include "common/base.h"
#include "common/limit.h"
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

/* The table, in the order of the enum: for --limits, and to print what was met. */
extern const struct limit_table gateway_limits;

#endif
