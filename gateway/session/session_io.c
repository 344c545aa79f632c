/*
 * session_io.c: the socket of one client: what is read, when, and how what is queued leaves.
 *
 * Who speaks too fast is not read for a while, who takes too long to read is closed. Both need a
 * little memory, which a session that does neither has not.
 */
#include <errno.h>

#include "common/blob.h"
#include "common/clock.h"
#include "common/mem.h"
#include "gateway/edge/transport.h"
#include "gateway/gateway.h"
#include "gateway/session/sessions_internal.h"

static_assert(SESSION_READ_SIZE >= TRANSPORT_READ_SIZE, "or TLS records stay unseen");

struct session_strain {
    struct session *session; /* borrowed: its owner */
    struct deadline pace;    /* while it is not read */
    struct deadline late;    /* until what is `ahead` has left */
    uint64_t ahead;          /* bytes */
};

static struct session_strain *strain_of(struct session *s)
{
    if (s->strain == NULL) {
        s->strain = mem_new(struct session_strain);
        s->strain->session = s;
    }
    return s->strain;
}

void session_unstrain(struct session *s)
{
    if (s->strain != NULL) {
        deadline_stop(&s->strain->pace);
        deadline_stop(&s->strain->late);
        mem_free(s->strain);
        s->strain = NULL;
    }
}

/* Frees it when nothing waits any more. */
static void strain_settle(struct session *s)
{
    if (!deadline_waits(&s->strain->pace) && !deadline_waits(&s->strain->late)) {
        session_unstrain(s);
    }
}

bool session_is_paced(const struct session *s)
{
    return s->strain != NULL && deadline_waits(&s->strain->pace);
}

static bool bucket_is_full(const struct session *s, int64_t now_ms)
{
    const struct gateway_conf *conf = s->gateway->conf;
    int64_t each_us = MAX(1, 1000000 / MAX(1, conf->message_rate));

    return conf->message_rate > 0 && s->spent_us - now_ms * 1000 > conf->message_burst * each_us;
}

/* What was read before it had to wait. */
static void session_take_early(struct session *s)
{
    struct blob *early = s->early;

    if (early != NULL) {
        s->early = NULL;
        session_take_bytes(s, early->bytes, early->size);
        blob_unref(early);
    }
}

/* `error` is what the socket said, or 0. */
static void session_lose(struct session *s, int error)
{
    if (error == -ETIMEDOUT) {
        limit_met(&s->gateway->metrics.limits, LIMIT_TCP_TIMEOUT);
    }
    if (s->state == SESSION_OPEN) {
        session_close(s, CLOSE_PEER_GONE);
    } else {
        session_enter(s, SESSION_DEAD); /* the peer ended TCP: nobody waits for us */
    }
}

/* One read; false when there is nothing more to read now. */
static bool session_read_once(struct session *s)
{
    struct sessions *all = s->gateway->sessions;
    ssize_t size = transport_read(s->io.fd, s->tls, all->read_buffer, sizeof(all->read_buffer));

    if (size > 0) {
        session_take_bytes(s, all->read_buffer, (size_t)size);
        /* A short read emptied the socket; of TLS it is a record, and there may be others. */
        return s->state != SESSION_DEAD && !s->ws.is_full &&
               ((size_t)size == sizeof(all->read_buffer) || s->tls != NULL);
    }
    if (size == -EAGAIN || size == -EINTR) {
        return size == -EINTR;
    }
    if (size == 0 && s->out.count > 0) {
        session_flush(s); /* who ends its side may still hear what this turn has for it */
    }
    if (s->state != SESSION_DEAD) {
        session_lose(s, (int)size);
    }
    return false;
}

/* A fast talker must not starve its neighbours: what is left brings us back on the next turn. */
static void session_read(struct session *s)
{
    struct metrics *m = &s->gateway->metrics;
    int64_t reads = s->gateway->conf->reads_max;

    while (s->state != SESSION_DEAD && session_read_once(s)) {
        if (--reads <= 0) {
            limit_met(&m->limits, LIMIT_READS);
            return;
        }
    }
}

static void on_io(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct session *s = container_of(watcher, struct session, io);

    (void)loop;
    assert(s->state != SESSION_DEAD);
    if (events & EV_ERROR) {
        session_lose(s, 0); /* common/loop.h: nobody would tell us of it any more */
        return;
    }
    if (events & EV_WRITE) {
        session_mark_dirty(s);
    }
    if ((events & EV_READ) != 0 && !s->ws.is_full) {
        s->gateway->sessions->inflated = 0;
        session_take_early(s);
        if (!s->ws.is_full) {
            session_read(s);
        }
    }
}

void session_begin(struct session *s)
{
    int fd = s->io.fd;

    ev_io_init(&s->io, on_io, fd, EV_READ);
    ev_io_start(s->gateway->loop, &s->io);
}

/* Watches for what is to be done: reading unless it is held or too fast, writing if blocked. */
static void session_watch(struct session *s, bool is_blocked)
{
    int events = (s->is_held || session_is_paced(s) ? 0 : EV_READ) | (is_blocked ? EV_WRITE : 0);

    s->ws.is_full = (events & EV_READ) == 0; /* what was read already waits, too */
    if ((s->io.events & (EV_READ | EV_WRITE)) == events) {
        return;
    }
    ev_io_stop(s->gateway->loop, &s->io);
    ev_io_set(&s->io, s->io.fd, events);
    if (events != 0) {
        ev_io_start(s->gateway->loop, &s->io);
    }
    if ((events & EV_READ) != 0 && s->early != NULL) {
        /* Not from here: whoever lets it go on is in the middle of something. */
        ev_feed_event(s->gateway->loop, &s->io, EV_READ);
    }
}

static bool is_blocked(const struct session *s)
{
    return (s->io.events & EV_WRITE) != 0;
}

void session_hold(struct session *s)
{
    assert(s->state == SESSION_OPEN);
    s->is_held = true;
    session_watch(s, is_blocked(s));
}

void session_release(struct session *s)
{
    if (s->state != SESSION_OPEN || !s->is_held || s->is_going) {
        return; /* one that is closing was let go, and nobody watches a dead one */
    }
    s->is_held = false;
    session_watch(s, is_blocked(s));
}

void session_let_go(struct session *s)
{
    s->is_held = false;
    session_unstrain(s);
    session_watch(s, is_blocked(s));
}

/* Nothing is taken until the wait of that queue is over. */
static void session_pause(struct session *s, struct deadline_queue *q)
{
    deadline_start(q, &strain_of(s)->pace);
    session_watch(s, is_blocked(s));
}

/* Too much came: the socket is left alone until the bucket has room again. */
void session_charge(struct session *s, uint64_t count)
{
    const struct gateway_conf *conf = s->gateway->conf;
    int64_t now_ms = s->gateway->sessions->taken_ms;

    if (conf->message_rate == 0 || s->state != SESSION_OPEN) {
        return;
    }
    /* The bucket is the moment at which it will be empty again. */
    int64_t each_us = MAX(1, 1000000 / conf->message_rate);
    s->spent_us = MAX(s->spent_us, now_ms * 1000) + (int64_t)count * each_us;
    if (bucket_is_full(s, now_ms)) {
        stat_add(&s->gateway->metrics.paced, 1);
        limit_met(&s->gateway->metrics.limits, LIMIT_MESSAGE_RATE);
        session_pause(s, &s->gateway->sessions->paced);
    }
}

void session_charge_inflated(struct session *s, size_t size)
{
    struct sessions *all = s->gateway->sessions;

    all->inflated += size;
    if (all->inflated >= SESSION_UNPACK_MAX) {
        limit_met(&s->gateway->metrics.limits, LIMIT_INFLATED);
        session_pause(s, &all->rested);
    }
}

void sessions_on_pace_due(struct deadline_queue *q, struct deadline *d)
{
    struct session *s = container_of(d, struct session_strain, pace)->session;

    (void)q;
    if (bucket_is_full(s, clock_mono_ms())) {
        deadline_start(&s->gateway->sessions->paced, d);
        return;
    }
    session_watch(s, is_blocked(s));
    strain_settle(s);
}

void sessions_on_late_due(struct deadline_queue *q, struct deadline *d)
{
    struct session *s = container_of(d, struct session_strain, late)->session;

    (void)q;
    stat_add(&s->gateway->metrics.out_queue_late, 1);
    limit_met(&s->gateway->metrics.limits, LIMIT_OUT_QUEUE_AGE);
    session_close(s, CLOSE_SLOW);
}

/* The queue was not emptied; `sent` bytes have left just now. What was in it when the wait began
 * has to leave in time: then the wait begins anew, with what is in it then. */
static void session_wait_for_peer(struct session *s, uint64_t sent)
{
    struct session_strain *strain = strain_of(s);

    if (!deadline_waits(&strain->late) || sent >= strain->ahead) {
        strain->ahead = MAX(1, s->out.bytes); /* a TLS record may have left the queue, and wait */
        deadline_start(&s->gateway->sessions->late, &strain->late);
    } else {
        strain->ahead -= sent;
    }
}

void session_flush(struct session *s)
{
    uint64_t before = s->out.bytes;
    int r = transport_flush(s->io.fd, s->tls, &s->out);
    uint64_t sent = before - s->out.bytes;

    stat_add(&s->gateway->metrics.bytes_out, sent);
    if (r == OUTQ_BLOCKED) {
        session_watch(s, true);
        if (s->state == SESSION_OPEN) {
            session_wait_for_peer(s, sent);
        }
        return;
    }
    if (r == OUTQ_DRAINED) {
        session_watch(s, false);
        if (s->strain != NULL) {
            deadline_stop(&s->strain->late);
            strain_settle(s);
        }
        if (s->state == SESSION_CLOSING && s->is_closed_by_peer) {
            /* Both close frames have been exchanged: the server ends TCP (RFC 6455 7.1.1). */
            session_enter(s, SESSION_DEAD);
        } else if (s->state == SESSION_CLOSING && s->ws.is_closed) {
            /* After a violation nothing is understood any more, a close frame neither. */
            int ended = transport_end(s->io.fd, s->tls);
            (void)ended; /* a peer that is gone shows at the next read */
        }
        return;
    }
    session_lose(s, r);
}
