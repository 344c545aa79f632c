/*
 * session.c: the states of one client and what its frames mean; session_io.c has the socket.
 */
#include "gateway/session/session.h"

#include <utlist.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/dialect/connecting.h"
#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/hook/asking.h"
#include "gateway/room/rooms.h"
#include "gateway/session/notices.h"
#include "gateway/session/sessions_internal.h"
#include "gateway/session/users.h"
#include "gateway/ws/frame.h"

/* Which moves exist. Anything else is our bug, not the peer's. */
static const uint8_t session_moves[] = {
    [SESSION_OPEN] = 1 << SESSION_CLOSING | 1 << SESSION_DEAD,
    [SESSION_CLOSING] = 1 << SESSION_DEAD,
    [SESSION_DEAD] = 0,
};

static void session_stop_waiting(struct session *s)
{
    users_leave(s->gateway->users, s);
    s->awaits_pong = false;
    deadline_stop(&s->ping);
    deadline_stop(&s->wait);
    deadline_stop(&s->expiry);
}

void session_enter(struct session *s, enum session_state next)
{
    struct sessions *all = s->gateway->sessions;

    assert(session_moves[s->state] & 1 << next);
    s->state = (uint8_t)next;
    switch (next) {
    case SESSION_OPEN:
        break;
    case SESSION_CLOSING: /* the close frame has to leave, the peer's has to come */
        connecting_end(s);
        asking_end(s);
        rooms_leave_all(s);
        session_stop_waiting(s);
        session_let_go(s); /* its close frame is behind what waits */
        deadline_start(&all->close_wait, &s->wait);
        session_mark_dirty(s);
        break;
    case SESSION_DEAD:
        connecting_end(s);
        asking_end(s);
        rooms_leave_all(s);
        session_stop_waiting(s);
        session_unstrain(s);
        ev_io_stop(s->gateway->loop, &s->io);
        DL_DELETE(all->all, s);
        LL_PREPEND(all->dead, s);
        stat_add(&s->gateway->metrics.closed[s->reason], 1);
        log_debug("session closed session=%s peer=%s reason=%s", s->client, s->peer,
                  close_label(s->reason));
        break;
    }
}

static void session_end(struct session *s, enum close_reason reason, uint16_t code,
                        const char *text)
{
    if (s->state != SESSION_OPEN) {
        return; /* two causes in one turn: the first one is the reason */
    }
    s->reason = (uint8_t)reason;
    notices_disconnect(s->gateway->notices, s, code, text);
    if (reason == CLOSE_PEER_GONE) {
        session_enter(s, SESSION_DEAD);
        return;
    }
    if (reason == CLOSE_SLOW) {
        /* Nobody reads: what is queued would only keep the memory. Only a frame that has begun must
         * be finished, so the queue is kept when something of it has left; close_wait_ms bounds its
         * life. */
        if (s->out.head_sent == 0) {
            outq_deinit(&s->out);
        }
    }
    outq_take(&s->out, frame_close(code, text));
    session_enter(s, SESSION_CLOSING);
}

void session_close(struct session *s, enum close_reason reason)
{
    session_end(s, reason, close_code(reason), close_text(reason));
}

void session_close_with(struct session *s, uint16_t code, const char *text)
{
    const struct codec *codec = session_codec(s);

    assert(text[0] != '\0');
    if (s->state == SESSION_OPEN && s->is_connected && codec != NULL) {
        struct buf *out = session_reply(s); /* not every proxy hands a close frame on */

        codec->push_disconnect(out, code, text);
        session_send_reply(s, out);
    }
    session_end(s, CLOSE_FORCE_DISCONNECT, code, text);
}

void session_mark_dirty(struct session *s)
{
    if (!s->is_dirty) {
        s->is_dirty = true;
        s->next_dirty = s->gateway->sessions->dirty;
        s->gateway->sessions->dirty = s;
    }
}

/* An empty queue takes any frame. */
static bool session_is_behind(const struct session *s, const struct blob *frame)
{
    return s->out.bytes > 0 && s->out.bytes + frame->size > (uint64_t)s->gateway->conf->out_queue;
}

/* Much came for it in one turn: it is slow only if its socket takes no more. That something waited
 * after the last flush does not tell: it may have been more than a turn's share. */
static void session_catch_up(struct session *s, const struct blob *frame)
{
    uint64_t written = OUTQ_TURN_BYTES;

    while (s->state == SESSION_OPEN && session_is_behind(s, frame) && written >= OUTQ_TURN_BYTES) {
        uint64_t before = s->out.bytes;

        session_flush(s);
        written = before - s->out.bytes;
    }
}

/* False: there was no room for it, and the session is closed. */
static bool session_queue(struct session *s, struct blob *frame)
{
    if (session_is_behind(s, frame)) {
        session_catch_up(s, frame);
        if (s->state != SESSION_OPEN) {
            return false;
        }
        if (session_is_behind(s, frame)) {
            limit_met(&s->gateway->metrics.limits, LIMIT_OUT_QUEUE);
            session_close(s, CLOSE_SLOW);
            return false;
        }
    }
    outq_add(&s->out, frame);
    session_mark_dirty(s);
    return true;
}

void session_send_frame(struct session *s, struct blob *frame)
{
    if (s->state != SESSION_OPEN) {
        return;
    }
    if (s->connecting != NULL) {
        connecting_hold(s, frame);
        return;
    }
    (void)session_queue(s, frame);
}

/* While the socket takes nothing, only the newest pong waits (RFC 6455 5.5.3). */
static void session_answer_ping(struct session *s, struct slice data)
{
    struct blob *pong = frame_pong(data);
    bool is_blocked = (s->io.events & EV_WRITE) != 0;

    if (is_blocked && outq_replace(&s->out, pong)) {
        stat_add(&s->gateway->metrics.pongs_replaced, 1);
    } else if (session_queue(s, pong)) {
        outq_mark(&s->out);
    }
    blob_unref(pong);
}

void session_connected(struct session *s)
{
    struct sessions *all = s->gateway->sessions;
    uint8_t start;

    assert(!s->is_connected);
    assert(s->identity != NULL);
    if (!users_enter(s->gateway->users, s)) {
        return;
    }
    s->is_connected = true;
    deadline_stop(&s->wait); /* stale */
    hash_random(&start, sizeof(start));
    deadline_start(&all->ping_first[start % PING_STARTS], &s->ping);
    session_watch_expiry(s);
    notices_connect(s->gateway->notices, s);
}

void session_pong(struct session *s)
{
    if (s->awaits_pong) {
        s->awaits_pong = false;
        deadline_stop(&s->wait);
        stat_add(&s->gateway->metrics.pongs, 1);
    }
}

/* What the frames of the peer mean. */

static void serve_text(struct session *s, struct slice text)
{
    switch ((enum dialect)s->dialect) {
    case DIALECT_CENTRIFUGE:
        centrifuge_on_message(s, text);
        break;
    case DIALECT_PROTOBUF:
        session_close(s, CLOSE_NOT_BINARY);
        break;
    case DIALECT_PLAIN:
        plain_on_text(s, text);
        break;
    case DIALECT_ECHO:
        session_send_text(s, text);
        break;
    case DIALECT_COUNT:
        assert(false);
    }
}

static void serve_binary(struct session *s, struct slice data)
{
    switch ((enum dialect)s->dialect) {
    case DIALECT_CENTRIFUGE:
    case DIALECT_PLAIN:
        session_close(s, CLOSE_NOT_TEXT);
        break;
    case DIALECT_PROTOBUF:
        centrifuge_on_message(s, data);
        break;
    case DIALECT_ECHO:
        session_take_frames(s, frame_binary(data));
        break;
    case DIALECT_COUNT:
        assert(false);
    }
}

/* A message counts as one, or as many as the commands in it: beyond the rate the next one has to
 * wait, though it has come. */
static void take_message(struct session *s, struct slice message,
                         void (*serve)(struct session *s, struct slice message))
{
    if (s->state != SESSION_OPEN) {
        return;
    }
    struct metrics *m = &s->gateway->metrics;
    uint64_t commands = stat_get(&m->commands);

    stat_add(&m->messages_in, 1);
    serve(s, message);
    session_charge(s, MAX(1, stat_get(&m->commands) - commands));
}

static void on_text(void *user, struct slice text)
{
    take_message(user, text, serve_text);
}

static void on_binary(void *user, struct slice data)
{
    take_message(user, data, serve_binary);
}

static void on_ping(void *user, struct slice data)
{
    struct session *s = user;

    if (s->state == SESSION_OPEN) {
        session_answer_ping(s, data);
    }
}

static void on_pong(void *user)
{
    struct session *s = user;

    if (s->state == SESSION_OPEN && s->native_pings) {
        session_pong(s);
    }
}

static void on_close(void *user, uint16_t code)
{
    struct session *s = user;

    s->is_closed_by_peer = true;
    if (s->state == SESSION_CLOSING) {
        session_mark_dirty(s); /* ends when ours has left: some of it may be in a TLS record yet */
        return;
    }
    if (s->state == SESSION_OPEN) {
        s->reason = CLOSE_PEER_CLOSED;
        notices_disconnect(s->gateway->notices, s, code, close_text(CLOSE_PEER_CLOSED));
        outq_take(&s->out, frame_close(code, ""));
        session_enter(s, SESSION_CLOSING);
    }
}

static void on_violation(void *user, enum close_reason reason)
{
    static const struct {
        enum close_reason reason;
        enum limit limit;
    } limits[] = {
        {CLOSE_TOO_BIG, LIMIT_MAX_MESSAGE},
        {CLOSE_TOO_MANY_FRAGMENTS, LIMIT_MAX_FRAGMENTS},
        {CLOSE_TOO_MANY_EMPTY, LIMIT_MAX_EMPTY_FRAGMENTS},
        {CLOSE_PING_FLOOD, LIMIT_MAX_CONTROL_RATE},
    };
    struct session *s = user;

    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        if (limits[i].reason == reason) {
            limit_met(&s->gateway->metrics.limits, limits[i].limit);
        }
    }
    session_close(s, reason);
}

static int unpack(void *user, struct slice payload, size_t size_max, struct slice *message)
{
    struct session *s = user;

    if (s->state != SESSION_OPEN) {
        *message = SLICE_NONE; /* nobody would hear it */
        return 0;
    }
    int r = compress_undo(&s->gateway->compress, payload, size_max, message);
    if (r == 0) {
        session_charge_inflated(s, message->size);
    }
    return r;
}

static const struct ws_events session_events = {
    .on_text = on_text,
    .on_binary = on_binary,
    .on_ping = on_ping,
    .on_pong = on_pong,
    .on_close = on_close,
    .on_violation = on_violation,
    .unpack = unpack,
};

void session_take_bytes(struct session *s, const char *at, size_t size)
{
    if (s->state == SESSION_DEAD) {
        return;
    }
    struct sessions *all = s->gateway->sessions;

    all->taken_ms = clock_mono_ms();
    size_t taken = ws_feed(&s->ws, &all->ws_loop, at, size, all->taken_ms, &session_events, s);
    stat_add(&s->gateway->metrics.bytes_in, taken);
    if (taken < size) {
        assert(s->early == NULL);
        s->early = blob_copy(at + taken, size - taken);
    }
}
