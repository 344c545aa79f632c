/*
 * pace.h: a rate with bursts, in one number and without a timer; and going evenly.
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

/* How many of `count` may still be there when `left_ms` of `whole_ms` are left, if they are to go
 * evenly: one after each equal part of the time, the first at its beginning. */
static inline size_t pace_left(size_t count, int64_t left_ms, int64_t whole_ms)
{
    return left_ms <= 0 || whole_ms == 0 ? 0 : (size_t)((int64_t)count * left_ms / whole_ms);
}

#endif
