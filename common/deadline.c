/*
 * deadline.c: a ring in the order of deadlines, and a timer that nobody hurries.
 *
 * Starting and stopping leave the timer alone. When it fires too early, because
 * the member it was set for has gone or was renewed, it is set again for the one
 * that is due first now. The time of libev is that of the last wake-up and may
 * lie behind; only clock_mono_ms() decides what is due. A timer that starts from
 * libev's time fires early, never late.
 */
#include "common/deadline.h"

#include "common/clock.h"

static bool is_empty(const struct deadline_queue *q)
{
    return q->head.next == &q->head;
}

/* Sets the timer for the first member. */
static void arm(struct deadline_queue *q, int64_t now_ms)
{
    int64_t left_ms = MAX(q->head.next->due_ms - now_ms, 1);

    assert(!is_empty(q));
    ev_timer_set(&q->timer, (double)left_ms / 1000, 0);
    ev_timer_start(q->loop, &q->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct deadline_queue *q = container_of(watcher, struct deadline_queue, timer);
    int64_t now_ms = clock_mono_ms(); /* once: who is started again in on_due() waits anew */

    while (!is_empty(q) && q->head.next->due_ms <= now_ms) {
        struct deadline *d = q->head.next;
        deadline_stop(d);
        q->on_due(q, d);
    }
    if (!is_empty(q) && !ev_is_active(&q->timer)) {
        arm(q, clock_mono_ms());
    }
}

void deadline_queue_init(struct deadline_queue *q, struct ev_loop *loop, int64_t wait_ms,
                         void (*on_due)(struct deadline_queue *q, struct deadline *d))
{
    assert(wait_ms > 0);
    q->head = (struct deadline){.prev = &q->head, .next = &q->head};
    q->loop = loop;
    q->wait_ms = wait_ms;
    q->on_due = on_due;
    ev_timer_init(&q->timer, on_timer, 0, 0);
}

void deadline_queue_deinit(struct deadline_queue *q)
{
    assert(is_empty(q));
    ev_timer_stop(q->loop, &q->timer);
}

void deadline_start(struct deadline_queue *q, struct deadline *d)
{
    int64_t now_ms = clock_mono_ms();

    deadline_stop(d);
    d->due_ms = now_ms + q->wait_ms;
    d->prev = q->head.prev;
    d->next = &q->head;
    d->prev->next = d;
    d->next->prev = d;
    if (!ev_is_active(&q->timer)) {
        arm(q, now_ms);
    }
}

void deadline_stop(struct deadline *d)
{
    if (deadline_waits(d)) {
        d->prev->next = d->next;
        d->next->prev = d->prev;
        d->prev = NULL;
        d->next = NULL;
    }
}
