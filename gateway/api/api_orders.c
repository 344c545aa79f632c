/*
 * api_orders.c: what the API tells all gateways: sessions to end, rooms to leave, bans and mutes.
 *
 * A method is answered when all gateways have obeyed (sends.h), or with how many have not yet.
 */
#include "common/clock.h"
#include "gateway/api/api_internal.h"
#include "gateway/edge/address.h"
#include "gateway/gateway.h"
#include "gateway/order/control.h"
#include "gateway/token/granted.h"
#include "proto/json.h"
#include "proto/order.h"
#include "proto/record.h"
#include "proto/room.h"

#define TTL_MAX_S (INT64_C(100) * 365 * 86400)

/* `kick` is another word: out of a room, or out altogether. */
static enum order_kind kind_of(const struct task *t, const struct order *o)
{
    if (strcmp(t->method->name, "kick") == 0) {
        return o->room.size > 0 ? ORDER_UNSUBSCRIBE : ORDER_DISCONNECT;
    }
    for (int i = 0; i < ORDER_KINDS; i++) {
        if (strcmp(t->method->name, order_name((enum order_kind)i)) == 0) {
            return (enum order_kind)i;
        }
    }
    assert(false);
    return ORDER_HELLO;
}

/* When it ends: "ttl" in seconds, or "until" (refresh: "expire_at") in seconds since 1970. */
static bool read_end(struct slice params, struct order *o)
{
    int64_t ttl = 0, until = 0;

    if (!param_i64(params, "ttl", &ttl) || !param_i64(params, "until", &until) ||
        !param_i64(params, "expire_at", &until) || ttl < 0 || until < 0 || ttl > TTL_MAX_S ||
        until > INT64_MAX / 1000 || (ttl > 0 && until > 0)) {
        return false;
    }
    o->until = ttl > 0 ? clock_wall_ms() + ttl * 1000 : until * 1000;
    return true;
}

/* Centrifugo: "disconnect":{"code":..,"reason":".."}; here also without that object. */
static bool read_disconnect(struct slice params, struct buf *scratch, struct order *o)
{
    struct slice nested = json_get(params, "disconnect");
    struct slice from = json_is_object(nested) ? nested : params;
    int64_t code = 0;
    bool is_good = param_i64(from, "code", &code) &&
                   param_escaped(from, "reason", REASON_MAX, scratch, &o->reason);

    o->code = (uint64_t)code;
    return is_good && (code == 0 || (code >= 2000 && code <= 4999));
}

static bool read_raw(struct slice params, struct buf *scratch, struct order *o)
{
    o->join_leave = override_wants_moves(json_get(params, "override"));
    return param_value(params, "info", "b64info", scratch, &o->info) &&
           param_value(params, "data", "b64data", scratch, &o->data) &&
           param_clients(params, "whitelist", scratch, &o->whitelist) &&
           (o->info.size == 0 || record_info_is_valid(o->info)) && o->data.size <= PAYLOAD_MAX;
}

/* Can be written without escapes. */
static bool is_plain(struct slice text)
{
    return text_is_clean(text) && (text.size == 0 || (memchr(text.at, '"', text.size) == NULL &&
                                                      memchr(text.at, '\\', text.size) == NULL));
}

static bool read_order(struct slice params, struct buf *scratch, struct order *o)
{
    return param_escaped(params, "user", USER_MAX, scratch, &o->user) &&
           param_text(params, "client", ID_MAX, scratch, &o->client) && is_plain(o->client) &&
           param_text(params, "channel", ROOM_NAME_MAX, scratch, &o->room) &&
           (o->room.size == 0 || room_is_valid(o->room)) &&
           param_text(params, "address", ADDRESS_MAX, scratch, &o->address) &&
           is_plain(o->address) &&
           param_escaped(params, "token", TOKEN_ID_MAX, scratch, &o->token) &&
           param_i64(params, "before", &o->before) && param_bool(params, "expired", &o->expired) &&
           read_end(params, o) && read_disconnect(params, scratch, o) &&
           read_raw(params, scratch, o);
}

/* Whether it says whom or what it means. */
static bool is_whole(const struct order *o)
{
    bool has_user = o->user.size > 0;
    bool has_who = has_user || o->client.size > 0;
    struct address a;

    switch (o->kind) {
    case ORDER_DISCONNECT:
    case ORDER_REFRESH:
        return has_who;
    case ORDER_SUBSCRIBE:
    case ORDER_UNSUBSCRIBE:
        return has_who && o->room.size > 0;
    case ORDER_BAN:
    case ORDER_UNBAN:
        return has_user != (o->address.size > 0) && (has_user || address_read(&a, o->address));
    case ORDER_MUTE:
    case ORDER_UNMUTE:
        return has_user;
    case ORDER_CLOSE:
    case ORDER_OPEN:
        return o->room.size > 0;
    case ORDER_REVOKE: /* one of the two, or all tokens that were made before */
        return has_user ? o->token.size == 0 : o->token.size > 0 || o->before > 0;
    case ORDER_HELLO:
    case ORDER_DELETE: /* these two: see api_removals.c */
    case ORDER_HISTORY_REMOVE:
    case ORDER_KINDS:
        break;
    }
    return false;
}

void api_send_order(struct task *t, const struct order *o)
{
    int r = control_send(t->api->gateway->control, o, t->id);

    if (r != 0) {
        task_fail(t, r == CONTROL_FULL  ? REPLY_LIMIT_EXCEEDED
                     : r == CONTROL_BAD ? REPLY_BAD_REQUEST
                                        : REPLY_INTERNAL);
    } /* else on_ordered() of api.c */
}

void api_order(struct task *t, struct slice params)
{
    struct buf scratch = BUF_EMPTY;
    struct order o = {.kind = ORDER_HELLO};

    params_reserve(params, &scratch);
    bool is_good = read_order(params, &scratch, &o);
    o.kind = kind_of(t, &o);
    if (o.kind == ORDER_REVOKE && o.user.size > 0 && o.before == 0) {
        o.before = clock_wall_ms() / 1000 + 1; /* all that there are */
    }
    if (!params_are_served(t->method->name, params)) {
        task_fail(t, REPLY_NOT_AVAILABLE);
    } else if (!is_good || !is_whole(&o)) {
        task_fail(t, REPLY_BAD_REQUEST);
    } else {
        api_send_order(t, &o);
    }
    buf_deinit(&scratch);
}
