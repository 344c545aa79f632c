/*
 * share.h: how many partitions this broadcaster should hold, and which: without I/O.
 *
 * There is no election. Every broadcaster counts them all (B) and compares what
 * it holds with its fair share, ceil(P / B). Below it, it claims partitions that
 * nobody serves; above it, and not alone, it gives one away at a time. The
 * broker judges every claim, so that a count which is out of date costs a lost
 * race and never a second owner.
 */
#ifndef WARREN_BROADCASTER_SHARE_H
#define WARREN_BROADCASTER_SHARE_H

#include "common/base.h"
#include "proto/limits.h"

enum share_hold {
    SHARE_NONE,     /* not ours */
    SHARE_STARTING, /* the lock is ours, the log is being read */
    SHARE_OWNED,
    SHARE_LEAVING,
};

struct share {
    uint32_t partitions;
    uint32_t broadcasters; /* at the last count, this one among them; 0: not counted yet */
    bool is_stopping;      /* holds nothing in the end */
    uint64_t random;       /* state of share_random() */
    enum share_hold holds[PARTITIONS_MAX];
    int64_t claim_after_ms[PARTITIONS_MAX]; /* not to be claimed before */
};

/* Holds nothing. `seed` should differ between broadcasters. */
void share_init(struct share *s, uint32_t partitions, uint64_t seed);

/* The connection is gone, and with it all that we held. */
void share_lost_all(struct share *s);

/* ceil(P / B); P when there is nobody to share with. */
uint32_t share_target(uint32_t partitions, uint32_t broadcasters);

/* Partitions that we hold and mean to keep. */
uint32_t share_held(const struct share *s);

/* How many more to claim now. */
uint32_t share_missing(const struct share *s);

/* Partitions worth a claim now, in random order, into `order`; returns how many. */
size_t share_candidates(struct share *s, int64_t now_ms, uint32_t order[PARTITIONS_MAX]);

/* A partition to leave now into `partition`, or false. It is the caller who marks it SHARE_LEAVING.
 * Stopping, it goes on until all are leaving. */
bool share_surplus(struct share *s, uint32_t *partition);

/* `ms`, a quarter more or less, so that broadcasters don't move in step. */
int64_t share_jitter(struct share *s, int64_t ms);

/* A number in 0 .. `below` - 1; `below` is at least 1. For spreading, not for secrets. */
uint64_t share_random(struct share *s, uint64_t below);

#endif
