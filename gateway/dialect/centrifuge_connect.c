/*
 * centrifuge_connect.c: who somebody is: connect and refresh.
 *
 * A token that names rooms (claims `channels` and `subs`) puts the session into
 * them: the reply waits until their positions are known (connecting.h), and
 * tells them together with what was missed since the last time. A refresh
 * does it over: rooms that the new token does not name are left, and those that only
 * it names are entered, both told by pushes.
 */
#include <stdio.h>

#include "common/blob.h"
#include "common/clock.h"
#include "common/log.h"
#include "gateway/dialect/centrifuge_internal.h"
#include "gateway/dialect/connecting.h"
#include "gateway/edge/address.h"
#include "gateway/edge/tries.h"
#include "gateway/hook/asking.h"
#include "gateway/hook/hooks.h"
#include "gateway/order/control.h"
#include "gateway/room/rights.h"
#include "gateway/token/verifier.h"
#include "proto/json.h"
#include "proto/room.h"

#define LIBRARY_NAME_MAX 16
#define LIBRARY_VERSION_MAX 64

uint32_t centrifuge_ttl_s(int64_t expires_s)
{
    int64_t left = expires_s - clock_wall_ms() / 1000;

    return (uint32_t)MIN(MAX(left, 1), INT32_MAX);
}

static void note_bad_token(struct session *s, const char *why)
{
    struct slice address = address_of_peer(s->peer); /* what a balancer names has no port */
    char text[sizeof(s->peer)];
    struct net_addr peer;

    stat_add(&s->gateway->metrics.tokens_refused, 1);
    log_debug("token refused session=%s reason=\"%s\"", s->client, why);
    (void)snprintf(text, sizeof(text), "%.*s", SLICE_ARG(address));
    if (net_parse_ip(&peer, text) == 0) {
        tries_add(s->gateway->tries, &peer, clock_mono_ms());
    }
}

/* A good token of a connect command. When the handshake has said who it is, both must mean the
 * same. NULL: the session was told no. */
static struct identity *good_identity(struct session *s, const struct jwt_claims *claims)
{
    if (s->identity != NULL && !identity_is_user(s->identity, claims->user)) {
        stat_add(&s->gateway->metrics.tokens_refused, 1);
        log_debug("token refused session=%s reason=\"another user\"", s->client);
        session_close(s, CLOSE_BAD_REQUEST);
        return NULL;
    }
    stat_add(&s->gateway->metrics.tokens_good, 1);
    s->refreshes = true;
    return identity_new(claims);
}

/* Looks at the token of a connect command. NULL: the session was told no. */
static struct identity *connect_identity(struct session *s, const struct command *c)
{
    const struct gateway_conf *conf = s->gateway->conf;
    struct jwt_claims claims;
    const char *why = "";

    if (c->token.size == 0) {
        if (conf->anonymous) {
            return identity_new(NULL);
        }
        session_close(s, CLOSE_BAD_REQUEST);
        return NULL;
    }
    switch (verifier_check(s->gateway->verifier, JWT_CONNECTION, c->token, clock_wall_ms() / 1000,
                           &claims, &why)) {
    case JWT_GOOD:
        return good_identity(s, &claims);
    case JWT_EXPIRED:
        stat_add(&s->gateway->metrics.tokens_refused, 1);
        session_send_error(s, c->id, REPLY_TOKEN_EXPIRED);
        s->is_refused = true; /* SDKs close such a connection, or the stale timer does */
        return NULL;
    case JWT_INVALID:
        note_bad_token(s, why);
        session_close(s, CLOSE_INVALID_TOKEN);
        return NULL;
    }
    assert(false);
    return NULL;
}

/* `data` is what the backend has for the client. */
static void reply_connect(struct session *s, uint32_t id, struct slice subs, struct slice data)
{
    struct buf own = BUF_EMPTY;
    struct buf *out = session_reply(s);
    bool expires = s->refreshes && s->identity->expires_s != 0;
    int64_t ping_ms = s->native_pings ? 0 : s->gateway->conf->ping_ms;

    buf_addf(&own, "{\"gateway\":\"%s\"}", s->gateway->conf->id);
    session_codec(s)->connect(out, id,
                              &(struct reply_connect){
                                  .client = slice_of(s->client),
                                  .version = CENTRIFUGE_VERSION,
                                  .ping_s = (uint32_t)((ping_ms + 999) / 1000),
                                  .expires = expires,
                                  .ttl_s = expires ? centrifuge_ttl_s(s->identity->expires_s) : 0,
                                  .data = data.size > 0 ? data : buf_slice(&own),
                                  .subs = subs,
                              });
    buf_deinit(&own);
    session_send_reply(s, out);
}

void centrifuge_connect_done(struct session *s)
{
    struct connecting *c = connecting_take(s);

    session_connected(s);
    if (s->state != SESSION_OPEN) {
        connecting_free(c);
        return;
    }
    reply_connect(s, c->command_id, buf_slice(&c->subs),
                  c->data != NULL ? blob_slice(c->data) : SLICE_NONE);
    connecting_release(s, c);
    if (s->state == SESSION_OPEN && c->later.size > 0) {
        centrifuge_on_message(s, buf_slice(&c->later));
    }
    connecting_free(c);
}

#define POSITIONS_MAX (2 * JWT_ROOMS_MAX) /* rooms that a token can name in its two claims */

/* Where the client says it was, of all rooms. */
struct positions {
    size_t count;
    struct command_sub at[POSITIONS_MAX];
};

/* False: they cannot be read. It may name more than there are: rooms of an older token, or that the
 * server put it into later. */
static bool read_positions(const struct session *s, const struct command *c, struct buf *texts,
                           struct positions *p)
{
    struct slice rest = c->subs;
    struct command_sub sub;
    int r;

    p->count = 0;
    while ((r = session_codec(s)->next_sub(&rest, texts, &sub)) == 0) {
        if (sub.epoch.size > EPOCH_MAX) {
            return false;
        }
        if (p->count < ARRAY_LEN(p->at)) {
            p->at[p->count++] = sub;
        }
    }
    return r == COMMAND_END;
}

static struct rooms_since find_position(const struct positions *p, struct slice room)
{
    for (size_t i = 0; i < p->count; i++) {
        if (slice_equal(p->at[i].channel, room)) {
            return (struct rooms_since){
                .recovers = p->at[i].recover, .epoch = p->at[i].epoch, .offset = p->at[i].offset};
        }
    }
    return (struct rooms_since){.recovers = false};
}

/* rooms_enter() has counted it: it may come in another time, with everything else it is here. */
static void note_full(const struct session *s, struct slice room)
{
    static struct log_limit limit;

    if (log_allowed(&limit)) {
        log_warn("full room left out room=%.*s session=%s", SLICE_ARG(room), s->client);
    }
}

/* Enters the rooms that the token names, but for those that are closed or full: the reply does not
 * tell of them, and SDKs take them for left. With `positions` NULL it is in some already. */
static void enter_granted(struct session *s, const struct granted *granted,
                          const struct positions *positions)
{
    for (size_t i = 0; i < granted->count && s->state == SESSION_OPEN; i++) {
        const struct granted_room *g = &granted->at[i];
        struct slice room = slice_of(g->room);
        struct rooms_entry entry = {
            .cause = ROOMS_BY_SERVER,
            .moves_granted = g->wants_moves,
            .by_claim = true,
            .data = slice_of(g->data),
            .info = slice_of(g->info),
        };

        if (control_is_closed(s->gateway->control, room)) {
            continue;
        }
        if (positions != NULL) {
            entry.cause = ROOMS_BY_CONNECT;
            entry.since = find_position(positions, room);
            s->connecting->pending++;
        } else if (rooms_find(s, room) != NULL) {
            continue; /* whoever put it there */
        }
        int r = rooms_enter(s, room, &entry);
        if (r == ROOMS_FULL) {
            note_full(s, room);
            if (positions != NULL) {
                s->connecting->pending--;
            }
        } else if (r != 0) {
            session_close(s, CLOSE_CHANNEL_LIMIT);
        }
    }
}

/* Leaves the rooms that an older token named and this one does not. */
static void leave_ungranted(struct session *s, const struct granted *granted)
{
    struct subscription *sub = s->subscriptions, *next;

    for (; sub != NULL && s->state == SESSION_OPEN; sub = next) {
        struct slice room = {sub->room->name, sub->room->name_size};

        next = sub->next_of_session;
        if (sub->by_claim && !granted_has(granted, room)) {
            subscription_end(sub, UNSUBSCRIBE_SERVER, "server unsubscribe");
        }
    }
}

/* It is known who it is: lets it in. Takes `data` over, what the backend has for the client; NULL:
 * nothing. */
static void connect_known(struct session *s, uint32_t id, const struct positions *positions,
                          struct blob *data)
{
    if (s->identity->granted == NULL) {
        session_connected(s);
        if (s->state == SESSION_OPEN) {
            reply_connect(s, id, SLICE_NONE, data != NULL ? blob_slice(data) : SLICE_NONE);
        }
        blob_unref(data);
        return;
    }
    if (control_is_banned(s->gateway->control, s->identity, s->peer)) {
        blob_unref(data);
        session_close(s, CLOSE_PERMISSION_DENIED); /* before anybody sees him enter */
        return;
    }
    connecting_begin(s, id);
    s->connecting->data = data;
    session_watch_expiry(s); /* its rooms may keep it waiting longer than its token lives */
    enter_granted(s, s->identity->granted, positions);
    if (s->state == SESSION_OPEN) {
        connecting_less(s);
    }
}

static void ask_connect(struct session *s, const struct command *c)
{
    struct hook_question q = {.name = c->name, .version = c->version, .data = c->data};

    if (c->data.size > 0 && !dialect_data_is_good(s, c->data)) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    asking_ask(s, HOOK_CONNECT, c->raw, c->id, &q);
}

void centrifuge_connect(struct session *s, const struct command *c, struct buf *texts)
{
    struct positions positions;

    if (s->is_connected || c->name.size > LIBRARY_NAME_MAX ||
        c->version.size > LIBRARY_VERSION_MAX || !read_positions(s, c, texts, &positions)) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    if (s->identity == NULL && c->token.size == 0 && hooks_has(s->gateway->conf, HOOK_CONNECT)) {
        ask_connect(s, c);
        return;
    }
    if (s->identity == NULL || c->token.size > 0) {
        struct identity *said = connect_identity(s, c);

        if (said == NULL) {
            return;
        }
        identity_free(s->identity); /* of the handshake: from here on the command's token counts */
        s->identity = said;
    }
    connect_known(s, c->id, &positions, NULL);
}

void centrifuge_admitted(struct session *s, const struct command *c, struct buf *texts,
                         const struct hook_answer *a)
{
    struct positions positions;
    struct buf data = BUF_EMPTY;
    bool is_readable = read_positions(s, c, texts, &positions);

    assert(is_readable); /* it was, before the question */
    (void)is_readable;
    if (asking_take_identity(s, c->id, a)) {
        claim_add_raw(&data, json_get(a->result, "data"));
        connect_known(s, c->id, &positions, data.size > 0 ? blob_copy(data.at, data.size) : NULL);
    }
    buf_deinit(&data);
}

void centrifuge_refreshed_by_server(struct session *s)
{
    int64_t expires_s = s->identity->expires_s;

    /* Who has no token to give cannot refresh, and an end that is past shows by itself. */
    if (!s->refreshes || (expires_s != 0 && expires_s <= clock_wall_ms() / 1000)) {
        return;
    }
    struct buf *out = session_reply(s);
    session_codec(s)->push_refresh(out,
                                   &(struct reply_refresh){
                                       .expires = expires_s != 0,
                                       .ttl_s = expires_s != 0 ? centrifuge_ttl_s(expires_s) : 0,
                                   });
    session_send_reply(s, out);
}

/* The new token is good and of the same user. */
static void refreshed(struct session *s, uint32_t id, const struct jwt_claims *claims)
{
    struct buf *out = session_reply(s);

    s->identity = (identity_free(s->identity), identity_new(claims));
    session_watch_expiry(s);
    bool expires = s->identity->expires_s != 0;
    session_codec(s)->refresh(out, id,
                              &(struct reply_refresh){
                                  .client = slice_of(s->client),
                                  .version = CENTRIFUGE_VERSION,
                                  .expires = expires,
                                  .ttl_s = expires ? centrifuge_ttl_s(s->identity->expires_s) : 0,
                              });
    session_send_reply(s, out);
    session_check_rooms(s); /* its roles may be others */
    leave_ungranted(s, s->identity->granted);
    if (s->identity->granted != NULL) {
        enter_granted(s, s->identity->granted, NULL);
    }
}

/* An error reply would end an SDK's client for good: all that is wrong is a close. */
void centrifuge_refresh(struct session *s, const struct command *c)
{
    struct jwt_claims claims;

    if (!s->refreshes || c->token.size == 0) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    enum jwt_verdict verdict = verifier_check(s->gateway->verifier, JWT_CONNECTION, c->token,
                                              clock_wall_ms() / 1000, &claims, NULL);
    bool is_good = verdict == JWT_GOOD && identity_is_user(s->identity, claims.user);

    stat_add(is_good ? &s->gateway->metrics.tokens_good : &s->gateway->metrics.tokens_refused, 1);
    if (is_good) {
        refreshed(s, c->id, &claims);
    } else {
        session_close(s, verdict == JWT_EXPIRED ? CLOSE_EXPIRED : CLOSE_INVALID_TOKEN);
    }
}
