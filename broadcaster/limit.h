/*
 * limit.h: the limits of limit.def as an enum: each is counted whenever it is met.
 */
#ifndef WARREN_BROADCASTER_LIMIT_H
#define WARREN_BROADCASTER_LIMIT_H

#include "common/base.h"
#include "common/limit.h"
#include "common/stats.h"

enum owner_limit {
#define LIMIT(name, ...) OWNER_LIMIT_##name,
#define SHARE(name, ...) OWNER_LIMIT_##name,
#define FIXED(name, ...) OWNER_LIMIT_##name,
#define LOGGED(name, ...) OWNER_LIMIT_##name,
#include "broadcaster/limit.def"
    OWNER_LIMITS
};

struct owner_limits {
    stat_value met[OWNER_LIMITS]; /* by the worker's thread; ADMIN_* by the main one */
};

static inline void owner_limit_met(struct owner_limits *l, enum owner_limit limit)
{
    stat_add(&l->met[limit], 1);
}

/* The table, in the order of the enum: for --limits, and to print what was met. */
extern const struct limit_table broadcaster_limits;

#endif
