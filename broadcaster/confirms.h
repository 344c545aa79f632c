/*
 * confirms.h: which publishes on one channel the broker has answered, in whatever order it does.
 *
 * Publishes are numbered 1, 2, 3 ... as AMQP numbers them. The broker answers
 * for one, or for all up to one; it answers each once, but not in order.
 */
#ifndef WARREN_BROADCASTER_CONFIRMS_H
#define WARREN_BROADCASTER_CONFIRMS_H

#include "common/base.h"

struct confirms {
    uint64_t sent;    /* the last number given */
    uint64_t settled; /* all up to this one are answered */
    uint64_t ahead;   /* how many above it are */
    bool *early;      /* owns: answered though above `settled`, at number % capacity */
    size_t capacity;  /* 0, or a power of two: at least sent - settled */
};

/* Frees; all zeros is a good beginning, and what this leaves. */
void confirms_deinit(struct confirms *c);

/* The number of the next publish. */
uint64_t confirms_add(struct confirms *c);

/* An answer. How many publishes it is for that had none; 0 for a number that was never given. */
uint64_t confirms_take(struct confirms *c, uint64_t number, bool multiple);

/* How many are not answered. */
uint64_t confirms_open(const struct confirms *c);

#endif
