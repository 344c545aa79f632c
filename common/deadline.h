/*
 * deadline.h: many equal timeouts, one timer.
 *
 * All members of a queue wait equally long, so they sit in the order of their
 * deadlines and only the first one needs the timer. Adding, renewing and
 * removing cost a few pointer writes. No member needs a watcher of its own.
 */
#ifndef WARREN_COMMON_DEADLINE_H
#define WARREN_COMMON_DEADLINE_H

#include <ev.h>

#include "common/base.h"

struct deadline {
    struct deadline *prev, *next; /* links; NULL while not waiting */
    int64_t due_ms;               /* clock_mono_ms() */
};

struct deadline_queue {
    struct deadline head; /* ring; head.next is due first */
    ev_timer timer;
    struct ev_loop *loop; /* borrowed */
    int64_t wait_ms;
    void (*on_due)(struct deadline_queue *q, struct deadline *d); /* d has been removed before */
};

/* `on_due` is called from the loop, once for each member whose time is over; it may start, stop and
 * free members. `wait_ms` is above 0. */
void deadline_queue_init(struct deadline_queue *q, struct ev_loop *loop, int64_t wait_ms,
                         void (*on_due)(struct deadline_queue *q, struct deadline *d));
/* Nobody may be waiting any more. */
void deadline_queue_deinit(struct deadline_queue *q);

/* Starts to wait, or starts again if already waiting in this queue. */
void deadline_start(struct deadline_queue *q, struct deadline *d);

/* Stops waiting; legal for one that is not waiting. */
void deadline_stop(struct deadline *d);

static inline bool deadline_waits(const struct deadline *d)
{
    return d->next != NULL;
}

#endif
