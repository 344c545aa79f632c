/*
 * limit.h: the limits of limit.def as an enum: each is counted whenever it is met.
 */
#ifndef WARREN_BROADCASTER_LIMIT_H
#define WARREN_BROADCASTER_LIMIT_H

#include "common/base.h"
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

/* "section.key" of a setting, a name without a dot of what is none. */
const char *owner_limit_label(enum owner_limit limit);

/* For --limits: name, default, of what, and what whoever meets it gets. */
void owner_limits_print(void);

/* Appends the counters in Prometheus' text form. */
void owner_limits_print_met(const struct owner_limits *l, struct buf *out);

#endif
