/*
 * loop.c: see loop.h.
 */
#include "common/loop.h"

#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"

#define LOOP_EXIT_CODE 70 /* as common/mem.h */
#define ALARM_US 2000
#define ALARMS 3 /* the first one may come before the loop sleeps, and shows nothing */
#define PATIENCE_S 5.0

static _Noreturn void end(const char *what)
{
    log_error("the event loop cannot go on: %s: %s", what, strerror(errno));
    _exit(LOOP_EXIT_CODE);
}

static void *resize(void *old, long size)
{
    if (size == 0) {
        mem_free(old);
        return NULL;
    }
    return mem_realloc(old, (size_t)size);
}

static void on_alarm(struct ev_loop *loop, ev_signal *watcher, int events)
{
    int *left = watcher->data;

    (void)events;
    (*left)--;
    if (*left == 0) {
        ev_break(loop, EVBREAK_ONE);
    }
}

static void on_patience_over(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)watcher;
    (void)events;
    ev_break(loop, EVBREAK_ONE);
}

/* libev watches the pipe that wakes it like any other descriptor, and does not notice when the
 * kernel had no memory for that: the loop would be deaf, to SIGTERM too. */
static bool wakes_up(struct ev_loop *loop)
{
    const struct itimerval often = {{0, ALARM_US}, {0, ALARM_US}}, never = {0};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    int left = ALARMS;
    ev_signal alarm;
    ev_timer patience;

    ev_signal_init(&alarm, on_alarm, SIGALRM);
    alarm.data = &left;
    ev_timer_init(&patience, on_patience_over, PATIENCE_S, 0.0);
    ev_signal_start(loop, &alarm);
    ev_timer_start(loop, &patience);
    int rc = setitimer(ITIMER_REAL, &often, NULL);
    assert(rc == 0);
    ev_run(loop, 0);
    rc = setitimer(ITIMER_REAL, &never, NULL);
    assert(rc == 0);
    rc = sigaction(SIGALRM, &ignore, NULL); /* drops one that is late; stopping brings SIG_DFL */
    assert(rc == 0);
    ev_timer_stop(loop, &patience);
    ev_signal_stop(loop, &alarm);
    return left <= 0;
}

struct ev_loop *loop_new(void)
{
    ev_set_allocator(resize);
    ev_set_syserr_cb(end);
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    if (loop == NULL) {
        end("no loop");
    }
    if (!wakes_up(loop)) {
        errno = ENOMEM;
        end("it does not wake up");
    }
    return loop;
}
