/*
 * pace.h: a rate with bursts, in one number and without a timer.
 *
 * The number is when the bucket would be full again; each thing that passes moves
 * it on by one interval. Whoever is never faster than `rate` a second passes always;
 * `burst` of them may come at once.
 */
#ifndef WARREN_GATEWAY_SESSION_PACE_H
#define WARREN_GATEWAY_SESSION_PACE_H

#include "common/base.h"

struct pace {
    int64_t rate;  /* in a second; 0: any */
    int64_t burst; /* at once; at least 1 */
};

/* True if one more may pass now. `full_us` is the caller's memory: 0 at first. */
static inline bool pace_admits(const struct pace *p, int64_t full_us, int64_t now_us)
{
    return p->rate == 0 || MAX(full_us, now_us) - now_us <= (p->burst - 1) * 1000000 / p->rate;
}

/* It has passed. */
static inline void pace_take(const struct pace *p, int64_t *full_us, int64_t now_us)
{
    if (p->rate > 0) {
        *full_us = MAX(*full_us, now_us) + 1000000 / p->rate;
    }
}

#endif
