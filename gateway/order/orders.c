/*
 * orders.c: see orders.h: one walk over all sessions for each order; orders are rare.
 */
#include "gateway/order/orders.h"

#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/order/control.h"
#include "gateway/room/rooms.h"
#include "gateway/session/session_ops.h"
#include "gateway/session/sessions.h"
#include "gateway/token/revoked.h"
#include "proto/json.h"

#define CODE_MIN 3000 /* of a close frame: RFC 6455, 7.4.2, for libraries and applications */
#define CODE_MAX 4999

bool order_is_momentary(enum order_kind kind)
{
    switch (kind) {
    case ORDER_DISCONNECT:
    case ORDER_SUBSCRIBE:
    case ORDER_UNSUBSCRIBE:
    case ORDER_REFRESH:
        return true;
    case ORDER_HELLO:
    case ORDER_BAN:
    case ORDER_UNBAN:
    case ORDER_MUTE:
    case ORDER_UNMUTE:
    case ORDER_REVOKE:
    case ORDER_CLOSE:
    case ORDER_OPEN:
    case ORDER_DELETE:
    case ORDER_HISTORY_REMOVE:
    case ORDER_KINDS:
        break;
    }
    return false;
}

static struct ops_who who_of(const struct order *o)
{
    return (struct ops_who){
        .user = o->user, .has_user = o->user.size > 0, .client = o->client, .spared = o->whitelist};
}

/* A close frame's code and words: what SDKs read meaning into is not said. */
static void disconnect(struct gateway *g, const struct order *o)
{
    bool has_code = o->code >= CODE_MIN && o->code <= CODE_MAX;
    uint16_t code = has_code ? (uint16_t)o->code : close_code(CLOSE_FORCE_DISCONNECT);
    const char *words = close_words(code);
    const struct ops_who who = who_of(o);
    char text[REASON_MAX + 1];
    struct buf reason = BUF_EMPTY;

    json_unescape(&reason, o->reason);
    if (reason.size == 0 || reason.size > REASON_MAX ||
        json_is_valid(buf_slice(&reason), JSON_DEPTH_MAX)) {
        buf_clear(&reason);
        buf_add_slice(&reason,
                      slice_of(words != NULL ? words : close_text(CLOSE_FORCE_DISCONNECT)));
    }
    memcpy(text, reason.at, reason.size);
    text[reason.size] = '\0';
    buf_deinit(&reason);
    ops_disconnect(g->sessions, &who, code, text);
}

static void subscribe(struct gateway *g, const struct order *o)
{
    const struct ops_who who = who_of(o);
    const struct ops_subscribe how = {
        .data = o->data,
        .info = o->info,
        .expires_s = o->until / 1000,
        .join_leave = o->join_leave,
    };

    ops_subscribe(g->sessions, &who, o->room, &how);
}

static void refresh(struct gateway *g, const struct order *o)
{
    const struct ops_who who = who_of(o);

    if (o->expired) {
        ops_disconnect(g->sessions, &who, close_code(CLOSE_EXPIRED), close_text(CLOSE_EXPIRED));
    } else {
        ops_refresh(g->sessions, &who, o->until / 1000);
    }
}

/* To those who are meant. Nobody is by an order that names nobody. */
static void tell_sessions(struct gateway *g, const struct order *o)
{
    const struct ops_who who = who_of(o);

    if (o->user.size == 0 && o->client.size == 0) {
        return;
    }
    if (o->kind == ORDER_DISCONNECT) {
        disconnect(g, o);
    } else if (o->kind == ORDER_SUBSCRIBE) {
        subscribe(g, o);
    } else if (o->kind == ORDER_UNSUBSCRIBE) {
        bool has_code = o->code >= UNSUBSCRIBE_SERVER && o->code < CODE_MIN;
        uint32_t code = has_code ? (uint32_t)o->code : UNSUBSCRIBE_SERVER;

        ops_unsubscribe(g->sessions, &who, o->room, code, unsubscribe_words(code));
    } else {
        assert(o->kind == ORDER_REFRESH);
        refresh(g, o);
    }
}

/* Texts are decoded there. A token whose end is not told is remembered for ever. */
static void revoke_tokens(struct gateway *g, const struct order *o)
{
    struct buf text = BUF_EMPTY;
    int r = 0;

    json_unescape(&text, o->token.size > 0 ? o->token : o->user);
    if (o->token.size > 0) {
        r = revoked_add_token(g->revoked, buf_slice(&text), o->until / 1000);
    } else if (o->user.size > 0) {
        r = revoked_add_user(g->revoked, buf_slice(&text), o->before, o->until / 1000);
    } else {
        revoked_add_all(g->revoked, o->before);
    }
    buf_deinit(&text);
    stat_add(&g->metrics.orders_refused, r != 0);
}

static void ban_one(struct session *s, void *user)
{
    struct gateway *g = user;

    if (control_is_banned(g->control, s->identity, s->peer)) {
        session_close(s, CLOSE_PERMISSION_DENIED);
    }
}

static void leave_closed(struct session *s, void *user)
{
    const struct order *o = user;
    struct subscription *sub = rooms_find(s, o->room);

    if (sub != NULL) {
        subscription_end(sub, UNSUBSCRIBE_SERVER, "room closed");
    }
}

void orders_apply(struct gateway *g, const struct order *o)
{
    struct order copy = *o;

    switch (o->kind) {
    case ORDER_DISCONNECT:
    case ORDER_SUBSCRIBE:
    case ORDER_UNSUBSCRIBE:
    case ORDER_REFRESH:
        tell_sessions(g, o);
        break;
    case ORDER_BAN:
        sessions_each(g->sessions, ban_one, g);
        break;
    case ORDER_CLOSE:
        sessions_each(g->sessions, leave_closed, &copy);
        break;
    case ORDER_REVOKE:
        revoke_tokens(g, o);
        break;
    case ORDER_DELETE:
    case ORDER_HISTORY_REMOVE:
        rooms_history_changed(g->rooms);
        break;
    case ORDER_HELLO:
    case ORDER_UNBAN:
    case ORDER_MUTE: /* looked at with each publish */
    case ORDER_UNMUTE:
    case ORDER_OPEN:
    case ORDER_KINDS:
        break;
    }
}
