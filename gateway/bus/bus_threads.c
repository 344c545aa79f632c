/*
 * bus_threads.c: the thread that publishes for the gateway, and what it has in common with the one
 * that consumes (bus_consume.c).
 *
 * Both live the same way: connect with a growing pause between attempts,
 * declare, tell the loop, work until the connection is lost, tell the loop. Only
 * their work differs. They touch nothing of the gateway but its fixed settings.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/bus/bus_internal.h"
#include "gateway/gateway.h"

#define CHANNEL_INPUT 2 /* publishes with confirms */
#define CHANNEL_OWNER 3 /* publishes without */
#define BUS_TAKE_MAX 64 /* messages published between two looks at what the broker says */
/* Refusals of one batch until the channel is opened anew, and of which number after that. */
#define BUS_REOPEN_FIRST 3
#define BUS_REOPEN_EVERY 25
#define BUS_SESSIONS_MS 1000 /* between two looks for PREFIX.sessions while it is not there */

struct bus_news *bus_news_new(const struct bus_thread *t, enum bus_news_kind kind)
{
    struct bus_news *news = mem_new(struct bus_news);

    news->kind = kind;
    news->from_publisher = t == &t->bus->publish;
    return news;
}

void bus_tell(struct bus_thread *t, struct bus_news *news)
{
    news->node.cost = 0;
    if (!chan_put(&t->to_loop, &news->node)) {
        if (news->batch != NULL) {
            bus_out_free(news->batch);
        }
        mem_free(news);
    }
}

static void tell_result(struct bus_thread *t, struct bus_out *batch, enum bus_result result)
{
    struct bus_news *news = bus_news_new(t, NEWS_RESULT);

    news->batch = batch;
    news->result = result;
    bus_tell(t, news);
}

void bus_progress(struct bus_thread *t)
{
    atomic_store_explicit(&t->progress_ms, clock_mono_ms(), memory_order_relaxed);
}

bool bus_stops(struct bus_thread *t)
{
    return atomic_load_explicit(&t->stops, memory_order_acquire);
}

void bus_event_clear(struct bus_thread *t)
{
    uint64_t ignored;

    while (read(t->event_fd, &ignored, sizeof(ignored)) < 0 && errno == EINTR) {
    }
}

/* Full jitter: somewhere between nothing and twice as long as the last time. */
void bus_pause_before_retry(struct bus_thread *t)
{
    uint32_t r;
    int64_t top = BUS_BACKOFF_MIN_MS << MIN(t->attempts, 6u);
    int64_t until;

    hash_random(&r, sizeof(r));
    top = MIN(top, BUS_BACKOFF_MAX_MS);
    until = clock_mono_ms() + BUS_BACKOFF_MIN_MS / 2 + (int64_t)(r % (uint32_t)top);
    t->attempts++;
    while (!bus_stops(t)) {
        int64_t left = until - clock_mono_ms();
        struct pollfd fd = {.fd = t->event_fd, .events = POLLIN};

        if (left <= 0) {
            return;
        }
        if (poll(&fd, 1, (int)left) > 0) {
            bus_event_clear(t);
            poll(NULL, 0,
                 (int)MIN(left, 20)); /* woken for messages that have to wait: do not spin */
        }
    }
}

static void set_mq(struct bus_thread *t, struct mq *mq)
{
    pthread_mutex_lock(&t->mutex);
    t->mq = mq;
    pthread_mutex_unlock(&t->mutex);
}

void bus_disconnect(struct bus_thread *t)
{
    struct mq *mq = t->mq;

    atomic_store_explicit(&t->progress_ms, 0, memory_order_relaxed);
    set_mq(t, NULL);
    mq_close(mq);
}

void bus_complain(struct bus_thread *t, const char *what, const char *error)
{
    if (t->attempts == 0 && !bus_stops(t)) {
        log_warn("bus lost role=%s what=%s reason=%s", t->role, what,
                 log_quote(error, strlen(error)));
    }
}

static void tell_foreign(struct bus_thread *t, const char *error)
{
    log_error("%s", error);
    bus_tell(t, bus_news_new(t, NEWS_FATAL));
}

/* Makes what is not there yet. MQ_OK, too, when this account may not: somebody else will. */
static int make_topology(struct bus_thread *t, struct mq *mq, char *error, size_t size)
{
    int r = topology_declare_common(mq, BUS_CHANNEL_DECLARE, &t->bus->topology, error, size);

    if (r == MQ_REFUSED && mq_error_code(mq) == 406) {
        tell_foreign(t, error);
    }
    return r == MQ_REFUSED && mq_error_code(mq) == 403 ? MQ_OK : r;
}

/* Waits until all that both services need is there. An account with no more rights than a gateway
 * needs cannot make it: the first broadcaster does. */
static int await_topology(struct bus_thread *t, struct mq *mq, char *error, size_t size)
{
    bool has_tried = false, has_told = false;

    while (!bus_stops(t)) {
        enum topology_found found;
        int r =
            topology_find_common(mq, BUS_CHANNEL_DECLARE, &t->bus->topology, &found, error, size);

        bus_progress(t);
        if (r == MQ_OK && found == TOPOLOGY_OTHER) {
            tell_foreign(t, error);
            return MQ_REFUSED;
        }
        if (r != MQ_OK || found == TOPOLOGY_WHOLE) {
            return r;
        }
        if (!has_tried) {
            has_tried = true;
            r = make_topology(t, mq, error, size);
            if (r != MQ_OK) {
                return r;
            }
            continue;
        }
        if (!has_told) {
            has_told = true;
            log_info("bus waits role=%s for=broadcaster reason=%s", t->role,
                     log_quote(error, strlen(error)));
        }
        poll(NULL, 0, BUS_BACKOFF_MIN_MS);
    }
    return MQ_LOST;
}

bool bus_connect(struct bus_thread *t, size_t which)
{
    struct bus *b = t->bus;
    char name[ID_MAX + 64], error[TOPOLOGY_ERROR_SIZE];
    struct mq *mq;
    int r;

    snprintf(name, sizeof(name), "warren-gateway %s %s", b->gateway->conf->id, t->role);
    if (mq_open(&mq, b->target[which], name, error, sizeof(error)) != MQ_OK) {
        bus_complain(t, "connect", error);
        return false;
    }
    set_mq(t, mq);
    bus_progress(t);
    r = mq_channel_open(mq, BUS_CHANNEL_DECLARE, false);
    if (r == MQ_OK) {
        r = await_topology(t, mq, error, sizeof(error));
    }
    if (r == MQ_OK) {
        r = topology_bind_control(mq, BUS_CHANNEL_DECLARE, &b->topology, error, sizeof(error));
    }
    if (r != MQ_OK) {
        bus_complain(t, "declare", r == MQ_REFUSED ? error : mq_error(mq));
        bus_disconnect(t);
        return false;
    }
    return true;
}

/* The publishing thread. */

struct publisher {
    struct bus_thread *thread;
    struct bus_out *unconfirmed; /* owns: in the order of their tags */
    uint64_t next_tag;
    bool is_blocked;
    bool must_reopen;    /* the channel of the input */
    bool has_sessions;   /* PREFIX.sessions is there */
    int64_t sessions_ms; /* else: when to look again */
    char exchange[BUS_TARGETS][TOPOLOGY_NAME_SIZE];
    char app_id[ID_MAX + 32];
};

static struct bus_out *next_out(struct bus_out *out)
{
    return (struct bus_out *)(void *)out->node.next;
}

/* The other batches may well be confirmed meanwhile. */
static void count_refusal(struct publisher *p, struct bus_out *out)
{
    out->refusals++;
    if (out->refusals == BUS_REOPEN_FIRST || out->refusals % BUS_REOPEN_EVERY == 0) {
        p->must_reopen = true;
    }
}

static void confirm(struct publisher *p, uint64_t tag, bool multiple, enum bus_result result)
{
    struct bus_out **link = &p->unconfirmed;

    while (*link != NULL && (*link)->tag <= tag) {
        struct bus_out *out = *link;

        if (multiple || out->tag == tag) {
            *link = next_out(out);
            out->node.next = NULL;
            if (result == BUS_REFUSED) {
                count_refusal(p, out);
            }
            tell_result(p->thread, out, result);
        } else {
            link = (struct bus_out **)(void *)&out->node.next;
        }
    }
}

/* All that is unconfirmed is in doubt; all that waits is too, as far as the lanes know. */
static void give_back(struct publisher *p)
{
    struct chan_node *node = chan_take(&p->thread->bus->to_publish);

    confirm(p, UINT64_MAX, true, BUS_LOST);
    while (node != NULL) {
        struct bus_out *out = (struct bus_out *)(void *)node;

        node = node->next;
        out->node.next = NULL;
        if (out->target != BUS_TO_OWNER) {
            tell_result(p->thread, out, BUS_LOST);
        } else {
            bus_out_free(out); /* the link begins anew when the bus is up again */
        }
    }
}

/* What it says of itself; the routing key. */
static const char *describe(const struct publisher *p, const struct bus_out *out,
                            char scratch[ID_MAX * 2], char key[TOPOLOGY_KEY_SIZE],
                            struct mq_props *props)
{
    if (out->target == BUS_TO_SESSIONS) {
        *props = (struct mq_props){.content_type = SLICE_LIT("application/json"),
                                   .type = slice_of(out->event),
                                   .app_id = slice_of(p->app_id),
                                   .persistent = true};
        return out->key;
    }
    message_to_props(&out->message, slice_of(p->app_id), scratch, props);
    return topology_key(key, out->message.partition);
}

/* Publishing to an exchange that is not there would end the channel of the input. A broadcaster of
 * an earlier version has not made it. */
static int find_sessions(struct publisher *p)
{
    int64_t now_ms = clock_mono_ms();

    if (p->has_sessions || now_ms < p->sessions_ms) {
        return MQ_OK;
    }
    p->sessions_ms = now_ms + BUS_SESSIONS_MS;
    int r = mq_exchange_find(p->thread->mq, BUS_CHANNEL_DECLARE, p->exchange[BUS_TO_SESSIONS]);
    p->has_sessions = r == MQ_OK;
    return r == MQ_REFUSED ? MQ_OK : r;
}

static int publish_one(struct publisher *p, struct bus_out *out)
{
    struct mq *mq = p->thread->mq;
    char scratch[ID_MAX * 2], number[TOPOLOGY_KEY_SIZE];
    struct mq_props props;
    bool is_confirmed = out->target != BUS_TO_OWNER;
    const char *key = describe(p, out, scratch, number, &props);

    if (out->target == BUS_TO_SESSIONS) {
        int found = find_sessions(p);
        if (found != MQ_OK || !p->has_sessions) {
            out->node.next = NULL;
            tell_result(p->thread, out, BUS_LOST); /* it waits, and is sent again */
            return found;
        }
    }
    int r = mq_publish(mq, is_confirmed ? CHANNEL_INPUT : CHANNEL_OWNER, p->exchange[out->target],
                       key, false, &props, blob_slice(out->body));
    if (!is_confirmed) {
        bus_out_free(out);
        return r;
    }
    if (r == MQ_REFUSED && out->target == BUS_TO_SESSIONS) { /* its key is none for AMQP */
        out->node.next = NULL;
        tell_result(p->thread, out, BUS_REFUSED);
        return MQ_OK;
    }
    out->tag = p->next_tag++;
    out->node.next = NULL;
    struct bus_out **link = &p->unconfirmed;
    while (*link != NULL) {
        link = (struct bus_out **)(void *)&(*link)->node.next;
    }
    *link = out;
    return r;
}

static int publish_some(struct publisher *p)
{
    for (int i = 0; i < BUS_TAKE_MAX && !p->is_blocked; i++) {
        struct chan_node *node = chan_take_one(&p->thread->bus->to_publish);

        if (node == NULL) {
            return MQ_TIMEOUT; /* nothing left: sleep */
        }
        int r = publish_one(p, (struct bus_out *)(void *)node);
        if (r != MQ_OK) {
            return r;
        }
    }
    return p->is_blocked ? MQ_TIMEOUT : MQ_OK;
}

/* Everything that the broker has said. MQ_TIMEOUT: all is read. */
static int publisher_listen(struct publisher *p)
{
    struct mq_event e;
    int r;

    while ((r = mq_next(p->thread->mq, &e, 0)) == MQ_OK) {
        if (e.kind == MQ_ACK || e.kind == MQ_NACK) {
            confirm(p, e.tag, e.multiple, e.kind == MQ_ACK ? BUS_CONFIRMED : BUS_REFUSED);
        } else if (e.kind == MQ_BLOCKED || e.kind == MQ_UNBLOCKED) {
            p->is_blocked = e.kind == MQ_BLOCKED;
            bus_tell(p->thread,
                     bus_news_new(p->thread, p->is_blocked ? NEWS_BLOCKED : NEWS_UNBLOCKED));
        } else if (e.kind == MQ_CHANNEL_CLOSED) {
            log_warn("bus channel closed role=publish reason=%s",
                     log_quote(mq_error(p->thread->mq), strlen(mq_error(p->thread->mq))));
            return MQ_LOST; /* what is unconfirmed on it is in doubt: begin anew */
        }
    }
    return r;
}

/* A channel that was opened just after a failover may hold a queue's dead leader, and bring nothing
 * but refusals of it for seconds: with a new one, the same batch may fare better, unless the queue
 * is full. What the channel owes a confirm is in doubt. */
static int publisher_reopen(struct publisher *p)
{
    struct mq *mq = p->thread->mq;

    log_debug("bus channel opened anew role=publish");
    confirm(p, UINT64_MAX, true, BUS_LOST);
    p->must_reopen = false;
    p->next_tag = 1;
    int r = mq_channel_close(mq, CHANNEL_INPUT);
    return r == MQ_OK ? mq_channel_open(mq, CHANNEL_INPUT, true) : r;
}

static void publisher_work(struct publisher *p)
{
    struct bus_thread *t = p->thread;

    while (!bus_stops(t)) {
        bus_progress(t);
        if (publisher_listen(p) != MQ_TIMEOUT) {
            return;
        }
        if (p->must_reopen && !p->is_blocked && publisher_reopen(p) != MQ_OK) {
            return;
        }
        int r = publish_some(p);
        if (r == MQ_TIMEOUT) {
            mq_idle_wait(t->mq, t->event_fd, BUS_POLL_MS);
            bus_event_clear(t);
        } else if (r != MQ_OK) {
            return;
        }
    }
}

void *bus_publish_run(void *user)
{
    struct bus_thread *t = user;
    struct bus *b = t->bus;
    struct publisher p = {.thread = t};

    topology_name(p.exchange[BUS_TO_INPUT], &b->topology, "in");
    topology_name(p.exchange[BUS_TO_OWNER], &b->topology, "owner");
    topology_name(p.exchange[BUS_TO_CONTROL], &b->topology, "control");
    topology_name(p.exchange[BUS_TO_SESSIONS], &b->topology, "sessions");
    snprintf(p.app_id, sizeof(p.app_id), "warren-gateway/%s", b->gateway->conf->id);
    while (!bus_stops(t)) {
        if (bus_connect(t, 0)) {
            p.has_sessions = false;
            p.sessions_ms = 0;
            if (mq_channel_open(t->mq, CHANNEL_INPUT, true) == MQ_OK &&
                mq_channel_open(t->mq, CHANNEL_OWNER, false) == MQ_OK &&
                find_sessions(&p) == MQ_OK) {
                p.next_tag = 1;
                p.is_blocked = p.must_reopen = false;
                t->attempts = 0;
                bus_tell(t, bus_news_new(t, NEWS_UP));
                publisher_work(&p);
                bus_complain(t, "publish", mq_error(t->mq));
                bus_tell(t, bus_news_new(t, NEWS_DOWN));
            }
            bus_disconnect(t);
        }
        give_back(&p);
        if (!bus_stops(t)) {
            bus_pause_before_retry(t);
        }
    }
    give_back(&p);
    return NULL;
}
