/*
 * bus.c: the loop's side of the bus; bus_threads.c is the other one.
 */
#include "gateway/bus/bus.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/bus/bus_internal.h"
#include "gateway/bus/links.h"
#include "gateway/bus/raw.h"
#include "gateway/bus/surveys.h"
#include "gateway/gateway.h"
#include "gateway/order/control.h"
#include "gateway/session/notices.h"

#define BUS_NEWS_MAX 256 /* messages of the bus handled in one turn of the loop */
/* Bytes of them after which the turn ends: so that a burst does not fill a session's queue before
 * the session has had its turn to write. */
#define BUS_NEWS_BYTES (256 << 10)
#define BUS_GOODBYE_MS 1500 /* for a thread to end its connection politely */

void bus_out_free(struct bus_out *out)
{
    blob_unref(out->body);
    mem_free(out);
}

static void thread_wake(struct bus_thread *t)
{
    while (write(t->event_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0 && errno == EINTR) {
    }
}

static void wake_publisher(void *user)
{
    thread_wake(&((struct bus *)user)->publish);
}

static void wake_consumer(void *user)
{
    thread_wake(&((struct bus *)user)->consume);
}

static void wake_loop(void *user)
{
    struct bus *b = user;

    ev_async_send(b->gateway->loop, &b->wake);
}

bool bus_send(struct bus *b, struct bus_out *out)
{
    out->node.cost = sizeof(*out) + out->body->size;
    return chan_try_put(&b->to_publish, &out->node);
}

uint64_t bus_count(struct bus *b)
{
    uint64_t number = atomic_fetch_add(&b->counts_wanted, 1) + 1;

    wake_consumer(b);
    return number;
}

static bool bus_is_up(const struct bus *b)
{
    return b->publish_is_up && b->consume_is_up;
}

static void bus_switch(struct bus *b, bool from_publisher, bool up)
{
    struct gateway *g = b->gateway;
    bool was_up = bus_is_up(b);

    if (from_publisher) {
        b->publish_is_up = up;
        b->is_blocked = false;
        links_blocked(g->links, false);
        (up ? lanes_up : lanes_down)(g->lanes);
    } else {
        b->consume_is_up = up;
        if (!up) {
            raws_down(g->raws);
        }
    }
    if (up) {
        stat_add(&g->metrics.bus_connects, 1);
    }
    stat_set(&g->metrics.bus_up, bus_is_up(b));
    stat_set(&g->metrics.bus_blocked, b->is_blocked);
    if (bus_is_up(b)) {
        log_info("bus up gateway=%s", g->conf->id);
        links_up(g->links);
        control_up(g->control);
    } else if (was_up) {
        links_down(g->links);
    }
}

static void take_result(struct gateway *g, struct bus_out *out, enum bus_result result)
{
    if (out->target == BUS_TO_CONTROL) {
        control_on_result(g->control, out, result);
    } else if (out->target == BUS_TO_SESSIONS) {
        notices_on_result(g->notices, out, result);
    } else {
        lanes_on_result(g->lanes, out, result);
    }
}

static void bus_take_news(struct bus *b, struct bus_news *news)
{
    struct gateway *g = b->gateway;

    switch (news->kind) {
    case NEWS_UP:
    case NEWS_DOWN:
        bus_switch(b, news->from_publisher, news->kind == NEWS_UP);
        break;
    case NEWS_BLOCKED:
    case NEWS_UNBLOCKED:
        b->is_blocked = news->kind == NEWS_BLOCKED;
        stat_set(&g->metrics.bus_blocked, b->is_blocked);
        links_blocked(g->links, b->is_blocked);
        log_warn("%s", b->is_blocked ? "bus blocked: the broker raised an alarm" : "bus unblocked");
        break;
    case NEWS_RESULT:
        take_result(g, news->batch, news->result);
        break;
    case NEWS_MESSAGE:
        links_on_message(g->links, &news->message);
        blob_unref(news->bytes);
        break;
    case NEWS_CONTROL:
        control_on_message(g->control, &news->message, news->at);
        blob_unref(news->bytes);
        break;
    case NEWS_RAW:
        raws_take(g->raws, news->raw);
        break;
    case NEWS_COUNT:
        surveys_on_count(g->surveys, news->count, news->gateways);
        break;
    case NEWS_FATAL:
        gateway_fail(g);
        break;
    case NEWS_POISON:
        stat_add(&g->metrics.poisoned, 1);
        break;
    }
    mem_free(news);
}

/* At most `max` of a thread's news, and about BUS_NEWS_BYTES; true when more may be there. */
static bool bus_drain(struct bus *b, struct bus_thread *t, size_t max)
{
    size_t bytes = 0;

    for (size_t i = 0; i < max && bytes < BUS_NEWS_BYTES; i++) {
        struct chan_node *node = chan_take_one(&t->to_loop);

        if (node == NULL) {
            return false;
        }
        bytes += node->cost;
        bus_take_news(b, (struct bus_news *)(void *)node);
    }
    return true;
}

static void on_wake(struct ev_loop *loop, ev_async *watcher, int events)
{
    struct bus *b = container_of(watcher, struct bus, wake);

    (void)events;
    /* The publisher's news are few: at most one batch of each partition is with it. */
    bool more = bus_drain(b, &b->publish, SIZE_MAX);
    more = bus_drain(b, &b->consume, BUS_NEWS_MAX) || more;
    if (more) {
        ev_async_send(loop, watcher); /* the sessions have their turn first */
    }
}

static void thread_init(struct bus *b, struct bus_thread *t, const char *role)
{
    t->bus = b;
    t->role = role;
    t->control_at = -1;
    t->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&t->mutex, NULL);
    chan_init(&t->to_loop, BUS_IN_MAX, wake_loop, b);
}

/* Signals belong to the loop's thread. */
static bool thread_start(struct bus_thread *t, void *(*run)(void *))
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    t->is_started = t->event_fd >= 0 && pthread_create(&t->thread, NULL, run, t) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return t->is_started;
}

struct bus *bus_new(struct gateway *g)
{
    const struct gateway_conf *conf = g->conf;
    struct bus *b = mem_new(struct bus);
    char error[BUS_ERROR_SIZE];

    b->gateway = g;
    b->topology = topology_default(conf->amqp_prefix, (uint32_t)conf->partitions,
                                   strcmp(conf->queue_type, "quorum") == 0);
    ev_async_init(&b->wake, on_wake);
    ev_async_start(g->loop, &b->wake);
    chan_init(&b->to_publish, BUS_OUT_MAX, wake_publisher, b);
    chan_init(&b->raw_done, SIZE_MAX, wake_consumer, b);
    thread_init(b, &b->publish, "publish");
    thread_init(b, &b->consume, "consume");
    for (size_t i = 0; i < ARRAY_LEN(b->target); i++) {
        b->target[i] = mq_target_new(conf->amqp_url, conf->amqp_ca_file, error, sizeof(error));
        if (b->target[i] == NULL) {
            log_error("[amqp] url: %s", error);
            return bus_free(b);
        }
    }
    if (!thread_start(&b->publish, bus_publish_run) ||
        !thread_start(&b->consume, bus_consume_run)) {
        log_error("cannot start the bus threads");
        return bus_free(b);
    }
    return b;
}

/* False: it has not ended in that time. */
static bool thread_joins(struct bus_thread *t, int64_t wait_ms)
{
    int64_t until_ms = clock_wall_ms() + wait_ms;
    struct timespec until = {
        .tv_sec = until_ms / 1000,
        .tv_nsec = until_ms % 1000 * 1000000,
    };

    return pthread_timedjoin_np(t->thread, NULL, &until) == 0;
}

static void thread_end(struct bus_thread *t)
{
    atomic_store_explicit(&t->stops, true, memory_order_release);
    chan_close(&t->to_loop);
    if (!t->is_started) {
        return;
    }
    thread_wake(t);
    while (!thread_joins(t, BUS_GOODBYE_MS)) {
        pthread_mutex_lock(&t->mutex);
        if (t->mq != NULL) {
            mq_abort(t->mq); /* it is blocked: a polite close would never come */
        }
        pthread_mutex_unlock(&t->mutex);
    }
}

static void thread_deinit(struct bus_thread *t)
{
    struct chan_node *node = chan_take(&t->to_loop);

    while (node != NULL) {
        struct bus_news *news = (struct bus_news *)(void *)node;

        node = node->next;
        if (news->batch != NULL) {
            bus_out_free(news->batch);
        }
        blob_unref(news->bytes);
        mem_free(news->raw);
        mem_free(news);
    }
    chan_deinit(&t->to_loop);
    pthread_mutex_destroy(&t->mutex);
    if (t->event_fd >= 0) {
        close(t->event_fd);
    }
}

struct bus *bus_free(struct bus *b)
{
    if (b == NULL) {
        return NULL;
    }
    thread_end(&b->publish);
    thread_end(&b->consume);
    ev_async_stop(b->gateway->loop, &b->wake);
    struct chan_node *node = chan_take(&b->to_publish);
    while (node != NULL) {
        struct bus_out *out = (struct bus_out *)(void *)node;

        node = node->next;
        bus_out_free(out);
    }
    chan_deinit(&b->to_publish);
    bus_raw_free(b);
    chan_deinit(&b->raw_done);
    thread_deinit(&b->publish);
    thread_deinit(&b->consume);
    mq_target_free(b->target[0]);
    mq_target_free(b->target[1]);
    mem_free(b);
    return NULL;
}

static void thread_watch(struct bus_thread *t)
{
    pthread_mutex_lock(&t->mutex);
    int64_t progress = atomic_load_explicit(&t->progress_ms, memory_order_relaxed);
    if (t->mq != NULL && progress != 0 && clock_mono_ms() - progress > BUS_STALL_MS) {
        log_warn("bus stalled role=%s: cut off", t->role);
        mq_abort(t->mq);
        atomic_store_explicit(&t->progress_ms, clock_mono_ms(), memory_order_relaxed);
        stat_add(&t->bus->gateway->metrics.bus_aborts, 1);
    }
    pthread_mutex_unlock(&t->mutex);
}

void bus_tick(struct bus *b)
{
    thread_watch(&b->publish);
    thread_watch(&b->consume);
}

const char *bus_not_ready(const struct bus *b)
{
    if (!b->publish_is_up || !b->consume_is_up) {
        return "no connection to RabbitMQ, or no broadcaster has been there yet";
    }
    return b->is_blocked ? "RabbitMQ raised an alarm" : NULL;
}
