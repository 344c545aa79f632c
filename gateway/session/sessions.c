/*
 * sessions.c: births, timeouts, the flush at the end of a turn, deaths.
 */
#include "gateway/session/sessions.h"

#include <stdio.h>
#include <utlist.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/net.h"
#include "gateway/dialect/dialect.h"
#include "gateway/edge/crowd.h"
#include "gateway/edge/transport.h"
#include "gateway/gateway.h"
#include "gateway/hook/asking.h"
#include "gateway/room/rooms.h"
#include "gateway/session/sessions_internal.h"
#include "gateway/token/revoked.h"
#include "gateway/ws/frame.h"

#define EXPIRY_LOOK_MS 1000
#define PACE_MS 50 /* between two looks at those who spoke too fast */
#define REST_MS 1  /* others have their turn, and there is a next one */

static void on_ping_due(struct deadline_queue *q, struct deadline *d)
{
    struct session *s = container_of(d, struct session, ping);
    struct sessions *all = s->gateway->sessions;

    (void)q;
    deadline_start(&all->ping, d);
    if (s->is_held) {
        return; /* its answer would not be read */
    }
    stat_add(&s->gateway->metrics.pings, 1);
    session_send_frame(s, all->ping_frames[s->native_pings ? DIALECT_PLAIN : s->dialect]);
    if (s->state == SESSION_OPEN && !s->awaits_pong) {
        s->awaits_pong = true;
        deadline_start(&all->pong, &s->wait);
    }
}

static void on_pong_due(struct deadline_queue *q, struct deadline *d)
{
    struct session *s = container_of(d, struct session, wait);

    if (session_is_paced(s) || s->is_held) {
        deadline_start(q, d); /* its pong may be among what we have not read yet */
        return;
    }
    limit_met(&s->gateway->metrics.limits, LIMIT_PONG);
    session_close(s, CLOSE_NO_PONG);
}

static void on_stale_due(struct deadline_queue *q, struct deadline *d)
{
    struct session *s = container_of(d, struct session, wait);

    if (s->connecting != NULL || asking_is_open(s)) {
        deadline_start(q, d); /* it did its part in time: the answer takes a time of its own */
        return;
    }
    limit_met(&s->gateway->metrics.limits, LIMIT_STALE);
    session_close(s, CLOSE_STALE);
}

static void on_close_due(struct deadline_queue *q, struct deadline *d)
{
    struct session *s = container_of(d, struct session, wait);

    (void)q;
    limit_met(&s->gateway->metrics.limits, LIMIT_CLOSE_WAIT);
    net_close_resets(s->io.fd); /* who may be gone leaves nothing behind, here or in the kernel */
    session_enter(s, SESSION_DEAD);
}

/* When the token's end ends the session; 0: never. Who can refresh it is given some time to. */
static int64_t session_ends_s(const struct session *s)
{
    int64_t grace_s = s->refreshes ? s->gateway->conf->refresh_wait_ms / 1000 : 0;

    return s->identity->expires_s != 0 ? s->identity->expires_s + grace_s : 0;
}

static bool has_grants(const struct session *s)
{
    const struct subscription *sub = s->subscriptions;

    while (sub != NULL && (sub->grant == NULL || sub->grant->expires_s == 0)) {
        sub = sub->next_of_session;
    }
    return sub != NULL;
}

void session_watch_expiry(struct session *s)
{
    if (deadline_waits(&s->expiry)) {
        return; /* whoever refreshes something again and again does not put it off */
    }
    if (s->state == SESSION_OPEN && (session_ends_s(s) != 0 || has_grants(s))) {
        deadline_start(&s->gateway->sessions->expiry, &s->expiry);
    }
}

/* When the subscription ends; 0: never. Only a token can be refreshed: what a hook let in asks
 * again. */
static int64_t subscription_ends_s(const struct subscription *sub)
{
    bool by_hook = sub->cause == ROOMS_BY_COMMAND && !sub->by_token;
    int64_t grace_s = by_hook ? 0 : sub->session->gateway->conf->refresh_wait_ms / 1000;

    return sub->grant != NULL && sub->grant->expires_s != 0 ? sub->grant->expires_s + grace_s : 0;
}

static void end_late_subscriptions(struct session *s, int64_t now_s)
{
    struct subscription *sub = s->subscriptions;

    while (sub != NULL && s->state == SESSION_OPEN) {
        struct subscription *next = sub->next_of_session;

        int64_t ends_s = subscription_ends_s(sub);

        if (sub->joining == NULL && ends_s != 0 && now_s >= ends_s) {
            dialect_unsubscribe(sub, UNSUBSCRIBE_EXPIRED, unsubscribe_words(UNSUBSCRIBE_EXPIRED));
        }
        sub = next;
    }
}

static void on_expiry_due(struct deadline_queue *q, struct deadline *d)
{
    struct session *s = container_of(d, struct session, expiry);
    int64_t now_s = clock_wall_ms() / 1000, ends_s = session_ends_s(s);

    (void)q;
    if (ends_s != 0 && now_s >= ends_s) {
        session_close(s, CLOSE_EXPIRED);
        return;
    }
    end_late_subscriptions(s, now_s);
    session_watch_expiry(s);
}

/* Without a codec: the native ping. */
static struct blob *ping_frame(const struct codec *codec)
{
    if (codec == NULL) {
        return frame_ping();
    }
    return codec->is_binary ? frame_binary(codec->ping) : frame_text(codec->ping);
}

struct sessions *sessions_new(struct gateway *g)
{
    static const int64_t starts[PING_STARTS] = {50, 65, 80, 95}; /* per cent of the interval */
    struct sessions *all = mem_new(struct sessions);
    const struct gateway_conf *conf = g->conf;

    all->gateway = g;
    for (size_t i = 0; i < PING_STARTS; i++) {
        deadline_queue_init(&all->ping_first[i], g->loop, MAX(1, conf->ping_ms * starts[i] / 100),
                            on_ping_due);
    }
    deadline_queue_init(&all->ping, g->loop, conf->ping_ms, on_ping_due);
    deadline_queue_init(&all->pong, g->loop, conf->pong_ms, on_pong_due);
    deadline_queue_init(&all->stale, g->loop, conf->stale_ms, on_stale_due);
    deadline_queue_init(&all->close_wait, g->loop, conf->close_wait_ms, on_close_due);
    deadline_queue_init(&all->paced, g->loop, PACE_MS, sessions_on_pace_due);
    deadline_queue_init(&all->rested, g->loop, REST_MS, sessions_on_pace_due);
    deadline_queue_init(&all->late, g->loop, conf->out_queue_age_ms, sessions_on_late_due);
    deadline_queue_init(&all->expiry, g->loop, EXPIRY_LOOK_MS, on_expiry_due);
    for (size_t i = 0; i < DIALECT_COUNT; i++) {
        all->ping_frames[i] = ping_frame(dialect_codec((enum dialect)i));
    }
    all->ws_loop.limits = (struct ws_limits){
        .message_max = (uint32_t)conf->max_message,
        .fragments_max = (uint32_t)conf->max_fragments,
        .empty_max = (uint32_t)conf->max_empty_fragments,
        .control_max = (uint32_t)conf->max_control_rate,
    };
    return all;
}

struct sessions *sessions_free(struct sessions *all)
{
    struct session *s, *next;

    if (all == NULL) {
        return NULL;
    }
    DL_FOREACH_SAFE (all->all, s, next) {
        s->reason = s->state == SESSION_OPEN ? CLOSE_SHUTDOWN : s->reason;
        session_enter(s, SESSION_DEAD);
    }
    sessions_reap(all);
    assert(all->count == 0);
    ws_loop_deinit(&all->ws_loop);
    for (size_t i = 0; i < PING_STARTS; i++) {
        deadline_queue_deinit(&all->ping_first[i]);
    }
    deadline_queue_deinit(&all->ping);
    deadline_queue_deinit(&all->pong);
    deadline_queue_deinit(&all->stale);
    deadline_queue_deinit(&all->close_wait);
    deadline_queue_deinit(&all->paced);
    deadline_queue_deinit(&all->rested);
    deadline_queue_deinit(&all->late);
    deadline_queue_deinit(&all->expiry);
    for (size_t i = 0; i < DIALECT_COUNT; i++) {
        blob_unref(all->ping_frames[i]);
    }
    buf_deinit(&all->scratch);
    mem_free(all->slots);
    mem_free(all);
    return NULL;
}

static session_handle slot_take(struct sessions *all, struct session *s)
{
    if (all->first_free == all->slot_count) {
        uint32_t more = MAX(64u, all->slot_count);

        all->slots = mem_realloc(all->slots, (all->slot_count + more) * sizeof(all->slots[0]));
        for (uint32_t i = all->slot_count; i < all->slot_count + more; i++) {
            all->slots[i] = (struct session_slot){NULL, 0, i + 1};
        }
        all->slot_count += more;
    }
    uint32_t index = all->first_free;
    struct session_slot *slot = &all->slots[index];

    all->first_free = slot->next_free;
    slot->session = s;
    slot->generation++;
    return (uint64_t)slot->generation << 32 | index;
}

static void slot_give(struct sessions *all, session_handle handle)
{
    uint32_t index = (uint32_t)handle;

    all->slots[index].session = NULL;
    all->slots[index].next_free = all->first_free;
    all->first_free = index;
}

struct session *sessions_find(struct sessions *all, session_handle handle)
{
    uint32_t index = (uint32_t)handle;

    if (handle == 0 || index >= all->slot_count ||
        all->slots[index].generation != (uint32_t)(handle >> 32)) {
        return NULL;
    }
    return all->slots[index].session;
}

/* Random, in the shape of a UUID. */
static void client_id_make(char out[CLIENT_ID_SIZE + 1])
{
    uint8_t r[16];

    hash_random(r, sizeof(r));
    snprintf(out, CLIENT_ID_SIZE + 1,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
             r[2], r[3], r[4], r[5], (r[6] & 0x0f) | 0x40, r[7], (r[8] & 0x3f) | 0x80, r[9], r[10],
             r[11], r[12], r[13], r[14], r[15]);
}

void sessions_open(struct sessions *all, const struct session_opening *o)
{
    struct session *s = mem_new(struct session);

    s->gateway = all->gateway;
    s->handle = slot_take(all, s);
    s->identity = o->identity;
    s->dialect = (uint8_t)o->dialect;
    s->wants_events = o->wants_events;
    s->native_pings = o->native_pings || dialect_codec(o->dialect) == NULL;
    s->variant = (uint8_t)session_variant(o->dialect, o->window);
    s->state = SESSION_OPEN;
    s->ws = WS_IDLE;
    s->ws.may_packed = o->window != 0;
    s->out = OUTQ_EMPTY;
    s->opened_ms = clock_mono_ms();
    s->io.fd = o->fd;
    s->tls = o->tls;
    s->place = o->place;
    client_id_make(s->client);
    snprintf(s->peer, sizeof(s->peer), "%s", o->peer);
    DL_APPEND(all->all, s);
    all->count++;
    stat_add(&all->gateway->metrics.sessions_opened, 1);
    stat_set(&all->gateway->metrics.sessions, all->count);
    log_debug("session opened session=%s peer=%s", s->client, s->peer);

    outq_take(&s->out, o->answer);
    session_mark_dirty(s);
    session_begin(s);
    if (session_codec(s) != NULL) {
        deadline_start(&all->stale, &s->wait);
    } else if (s->identity != NULL) {
        session_connected(s);
    } else {
        deadline_start(&all->stale, &s->wait); /* plain, and the backend is to say who it is */
    }
    asking_pass_on(s, o->headers);
    if (s->dialect == DIALECT_PLAIN && session_is_open(s)) {
        plain_open(s, o->room);
    }
    if (o->early.size > 0) {
        all->inflated = 0;
        session_take_bytes(s, o->early.at, o->early.size);
    }
}

void session_free(struct session *s)
{
    struct sessions *all = s->gateway->sessions;

    assert(s->state == SESSION_DEAD);
    assert(s->subscriptions == NULL);
    assert(!s->is_dirty);
    transport_close(s->io.fd, s->tls);
    crowd_leave(s->place);
    slot_give(all, s->handle);
    ws_deinit(&s->ws);
    outq_deinit(&s->out);
    blob_unref(s->early);
    asking_free(s);
    identity_free(s->identity);
    mem_free(s);
    all->count--;
    stat_set(&all->gateway->metrics.sessions, all->count);
}

size_t sessions_count(const struct sessions *all)
{
    return all->count;
}

void sessions_go_on(struct sessions *all)
{
    while (all->ready != NULL) {
        centrifuge_connect_done(all->ready);
    }
}

void sessions_flush(struct sessions *all)
{
    struct session *s = all->dirty;

    all->dirty = NULL;
    while (s != NULL) {
        struct session *next = s->next_dirty;

        s->is_dirty = false;
        s->next_dirty = NULL;
        if (s->state != SESSION_DEAD) {
            session_flush(s);
        }
        s = next;
    }
}

void sessions_reap(struct sessions *all)
{
    struct session *s, *next;

    sessions_flush(all); /* nobody may be freed while on the list */
    s = all->dead;
    all->dead = NULL;
    for (; s != NULL; s = next) {
        next = s->next;
        session_free(s);
    }
}

void sessions_each(struct sessions *all, void (*act)(struct session *s, void *user), void *user)
{
    struct session *s, *next;

    DL_FOREACH_SAFE (all->all, s, next) {
        if (s->state == SESSION_OPEN) {
            act(s, user);
        }
    }
}

/* Of those that are to go: now, or when its publishes are answered. True: it has gone. */
static bool session_goes(struct session *s, bool waits)
{
    bool is_owed = s->unanswered > 0 || asking_holds(s, NULL); /* or the backend is asked */

    if (!is_owed || !waits) {
        session_close(s, CLOSE_SHUTDOWN);
        return true;
    }
    if (!s->is_going) {
        s->is_going = true;
        session_hold(s);
    }
    return false;
}

size_t sessions_drain(struct sessions *all, size_t stay, bool waits)
{
    struct session *s, *next;
    size_t open = 0, going = 0;

    DL_FOREACH (all->all, s) {
        open += s->state == SESSION_OPEN;
        going += s->state == SESSION_OPEN && s->is_going;
    }
    size_t more = open > stay && open - stay > going ? open - stay - going : 0;

    DL_FOREACH_SAFE (all->all, s, next) {
        if (s->state != SESSION_OPEN || (!s->is_going && more == 0)) {
            continue;
        }
        more -= !s->is_going;
        open -= session_goes(s, waits);
    }
    return open;
}

/* How many subscriptions of the session end because their token was revoked. */
static size_t end_revoked_rooms(struct session *s, const struct revoked *r)
{
    struct subscription *sub = s->subscriptions, *next;
    size_t ended = 0;

    for (; sub != NULL && s->state == SESSION_OPEN; sub = next) {
        const struct grant *g = sub->grant;

        next = sub->next_of_session;
        if (sub->by_token &&
            revoked_is_token(r, g->token_id != NULL ? slice_of(g->token_id) : SLICE_NONE,
                             slice_of(s->identity->user), g->issued_s)) {
            subscription_end(sub, UNSUBSCRIBE_INVALIDATED,
                             unsubscribe_words(UNSUBSCRIBE_INVALIDATED));
            ended++;
        }
    }
    return ended;
}

void sessions_end_revoked(struct sessions *all)
{
    const struct revoked *r = all->gateway->revoked;
    struct session *s, *next;
    size_t ended = 0, rooms = 0;

    if (!revoked_take_news(all->gateway->revoked, clock_mono_ms())) {
        return;
    }
    DL_FOREACH_SAFE (all->all, s, next) {
        if (s->state != SESSION_OPEN || s->identity == NULL) {
            continue;
        }
        if (revoked_is_identity(r, s->identity)) {
            session_close(s, CLOSE_REVOKED);
            ended++;
        } else {
            rooms += end_revoked_rooms(s, r);
        }
    }
    if (ended > 0 || rooms > 0) {
        log_info("ended by revocation sessions=%zu subscriptions=%zu", ended, rooms);
    }
}
