/*
 * centrifuge_subscribe.c: rooms and their tokens: subscribe, sub_refresh, unsubscribe.
 *
 * A subscription token decides alone. Without one, the room's name decides, and
 * then its rule (rights.h).
 */
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/dialect/centrifuge_internal.h"
#include "gateway/dialect/connecting.h"
#include "gateway/gateway.h"
#include "gateway/hook/asking.h"
#include "gateway/order/control.h"
#include "gateway/room/permits.h"
#include "gateway/token/verifier.h"
#include "proto/json.h"
#include "proto/room.h"

#define FLAG_STRICT 2 /* error 112 rather than an answer that is not recovered */

static enum jwt_verdict check_token(struct session *s, struct slice token,
                                    struct jwt_claims *claims)
{
    const char *why = "";
    enum jwt_verdict verdict = verifier_check(s->gateway->verifier, JWT_SUBSCRIPTION, token,
                                              clock_wall_ms() / 1000, claims, &why);

    stat_add(verdict == JWT_GOOD ? &s->gateway->metrics.tokens_good
                                 : &s->gateway->metrics.tokens_refused,
             1);
    if (verdict != JWT_GOOD) {
        log_debug("subscription token refused session=%s reason=\"%s\"", s->client, why);
    }
    return verdict;
}

/* A good token, but for somebody or something else. */
static bool is_for(const struct session *s, const struct jwt_claims *claims, struct slice room)
{
    struct slice client = jwt_text(claims, claims->client);

    return slice_equal(jwt_text(claims, claims->channel), room) &&
           identity_is_user(s->identity, claims->user) &&
           (client.size == 0 || slice_equal(client, slice_of(s->client)));
}

static void enter(struct session *s, const struct command *c, const struct rooms_entry *entry)
{
    int r = rooms_enter(s, c->channel, entry);

    if (r != 0) {
        session_send_error(s, c->id,
                           r == ROOMS_ALREADY ? REPLY_ALREADY_SUBSCRIBED : REPLY_LIMIT_EXCEEDED);
    }
}

static void subscribe_with_token(struct session *s, const struct command *c,
                                 struct rooms_entry *entry)
{
    struct jwt_claims claims;
    struct buf info = BUF_EMPTY, data = BUF_EMPTY;

    switch (check_token(s, c->token, &claims)) {
    case JWT_EXPIRED:
        session_send_error(s, c->id, REPLY_TOKEN_EXPIRED);
        return;
    case JWT_INVALID:
        session_send_error(s, c->id, REPLY_PERMISSION_DENIED);
        return;
    case JWT_GOOD:
        break;
    }
    if (!is_for(s, &claims, c->channel)) {
        session_close(s, CLOSE_INVALID_TOKEN);
        return;
    }
    claim_add_info(&info, jwt_text(&claims, claims.info));
    claim_add_raw(&data, jwt_text(&claims, claims.data));
    entry->info = buf_slice(&info);
    entry->data = buf_slice(&data);
    entry->by_token = true;
    entry->expires_s = claims.expires_s;
    entry->issued_s = claims.issued_s;
    entry->token_id = jwt_text(&claims, claims.id);
    entry->moves_granted = override_wants_moves(jwt_text(&claims, claims.override));
    enter(s, c, entry);
    buf_deinit(&info);
    buf_deinit(&data);
}

/* Whether the command is one that we serve; if not, it was answered. */
static bool is_served(struct session *s, const struct command *c)
{
    bool has_odd_delta = c->delta.size > 0 && !slice_equal(c->delta, SLICE_LIT("fossil"));

    if (c->channel.size == 0 || has_odd_delta) {
        session_close(s, CLOSE_BAD_REQUEST);
        return false;
    }
    if (c->type != 0) {
        session_send_error(s, c->id, REPLY_NOT_AVAILABLE);
        return false;
    }
    if (c->has_filter || !dialect_room_is_good(s, c->channel) || c->epoch.size > EPOCH_MAX) {
        session_send_error(s, c->id, REPLY_BAD_REQUEST);
        return false;
    }
    return true;
}

static struct rooms_entry entry_of(const struct command *c)
{
    return (struct rooms_entry){
        .cause = ROOMS_BY_COMMAND,
        .command_id = c->id,
        .since = {.recovers = c->recover,
                  .is_strict = (c->flag & FLAG_STRICT) != 0,
                  .epoch = c->epoch,
                  .offset = c->offset},
        .wants_moves = c->join_leave,
    };
}

static void ask_subscribe(struct session *s, const struct command *c)
{
    struct hook_question q = {.channel = c->channel, .data = c->data};

    if (c->data.size > 0 && !dialect_data_is_good(s, c->data)) {
        session_send_error(s, c->id, REPLY_BAD_REQUEST);
        return;
    }
    asking_ask(s, HOOK_SUBSCRIBE, c->raw, c->id, &q);
}

void centrifuge_let_in(struct session *s, const struct command *c, const struct hook_answer *a)
{
    struct rooms_entry entry = entry_of(c);
    struct hook_subscribe granted;
    struct buf info = BUF_EMPTY, data = BUF_EMPTY;

    if (hook_result_subscribe(a->result, &granted) != 0) {
        asking_complain(s, HOOK_SUBSCRIBE, c->id, "bad result");
        return;
    }
    if (!permits_subscribe(s, c->channel)) { /* any more */
        session_send_error(s, c->id, REPLY_PERMISSION_DENIED);
        return;
    }
    claim_add_info(&info, granted.info);
    claim_add_raw(&data, granted.data);
    entry.info = buf_slice(&info);
    entry.data = buf_slice(&data);
    entry.expires_s = granted.expires_s;
    entry.moves_granted = granted.wants_moves;
    enter(s, c, &entry);
    buf_deinit(&info);
    buf_deinit(&data);
}

void centrifuge_subscribe(struct session *s, const struct command *c)
{
    struct rooms_entry entry = entry_of(c);

    if (!is_served(s, c)) {
        return;
    }
    if (c->token.size > 0 && !control_is_closed(s->gateway->control, c->channel)) {
        subscribe_with_token(s, c, &entry);
    } else if (!permits_subscribe(s, c->channel)) {
        session_send_error(s, c->id, REPLY_PERMISSION_DENIED);
    } else if (rules_find(&s->gateway->conf->rules, c->channel)->hook_subscribe &&
               rooms_find(s, c->channel) == NULL) {
        ask_subscribe(s, c);
    } else {
        enter(s, c, &entry);
    }
}

static void sub_refreshed(struct subscription *sub, uint32_t id, const struct jwt_claims *claims)
{
    struct session *s = sub->session;
    struct buf *out = session_reply(s);

    subscription_renew(sub, claims->expires_s, claims->issued_s, jwt_text(claims, claims->id));
    session_watch_expiry(s);
    bool expires = claims->expires_s != 0;
    session_codec(s)->sub_refresh(out, id,
                                  &(struct reply_refresh){
                                      .expires = expires,
                                      .ttl_s = expires ? centrifuge_ttl_s(claims->expires_s) : 0,
                                  });
    session_send_reply(s, out);
}

void centrifuge_sub_refresh(struct session *s, const struct command *c)
{
    struct jwt_claims claims;

    if (c->channel.size > 0 && rooms_find(s, c->channel) == NULL) {
        session_send_error(s, c->id, REPLY_PERMISSION_DENIED);
        return;
    }
    if (c->token.size == 0) {
        session_send_error(s, c->id, REPLY_BAD_REQUEST);
        return;
    }
    switch (check_token(s, c->token, &claims)) {
    case JWT_EXPIRED:
        session_send_error(s, c->id, REPLY_EXPIRED);
        return;
    case JWT_INVALID:
        session_close(s, CLOSE_INVALID_TOKEN);
        return;
    case JWT_GOOD:
        break;
    }
    /* The Python SDK does not say which room: the token does. */
    struct slice room = jwt_text(&claims, claims.channel);
    struct subscription *sub = rooms_find(s, room);

    if (!is_for(s, &claims, c->channel.size > 0 ? c->channel : room)) {
        session_close(s, CLOSE_INVALID_TOKEN);
    } else if (sub == NULL) {
        session_send_error(s, c->id, REPLY_PERMISSION_DENIED);
    } else {
        sub_refreshed(sub, c->id, &claims);
    }
}

void centrifuge_leave(struct session *s, const struct command *c)
{
    struct subscription *sub = rooms_find(s, c->channel);

    if (sub != NULL && sub->joining != NULL && sub->cause == ROOMS_BY_COMMAND) {
        /* Every command has its reply. This one is temporary: an SDK that wants to be in again by
         * now may take it for the answer to that, and must not give up. */
        session_send_error(s, sub->joining->command_id, REPLY_INTERNAL);
        if (s->state != SESSION_OPEN) {
            return; /* it was too slow for that: it has left all rooms */
        }
    }
    if (sub != NULL) {
        rooms_leave(sub);
    }
    /* Also when it was not there: an error would make SDKs reconnect. */
    centrifuge_reply_done(s, c->id, COMMAND_UNSUBSCRIBE);
}

void centrifuge_subscribed(struct subscription *sub, uint64_t offset, bool recovered,
                           struct slice publications)
{
    struct session *s = sub->session;
    const struct codec *codec = session_codec(s);
    struct slice room = {sub->room->name, sub->room->name_size};
    bool ends = sub->grant != NULL && sub->grant->expires_s != 0;
    /* What a hook let in has no token that the SDK could renew: it is told when it is over. */
    bool expires = ends && (sub->by_token || sub->cause != ROOMS_BY_COMMAND);
    const struct reply_subscribe r = {
        .recoverable = true,
        .epoch = slice_of(sub->room->epoch),
        .offset = offset,
        .was_recovering = sub->joining->recovers,
        .recovered = recovered,
        .publications = publications,
        .expires = expires,
        .ttl_s = expires ? centrifuge_ttl_s(sub->grant->expires_s) : 0,
        .data = sub->joining->data != NULL ? blob_slice(sub->joining->data) : SLICE_NONE,
    };

    if (ends) {
        session_watch_expiry(s);
    }
    if (sub->cause == ROOMS_BY_CONNECT) {
        codec->sub(&s->connecting->subs, room, &r);
        connecting_less(s);
        return;
    }
    struct buf *out = session_reply(s);
    if (sub->cause == ROOMS_BY_SERVER) {
        codec->push_subscribe(out, room, &r);
    } else {
        codec->subscribe(out, sub->joining->command_id, &r);
    }
    session_send_reply(s, out);
}

void centrifuge_not_subscribed(struct subscription *sub, enum reply_error why)
{
    if (sub->cause == ROOMS_BY_COMMAND) {
        session_send_error(sub->session, sub->joining->command_id, why);
    } else {
        session_close(sub->session, CLOSE_INTERNAL); /* it comes back and is put in again */
    }
}

void centrifuge_unsubscribe(struct subscription *sub, uint32_t code, const char *reason)
{
    struct session *s = sub->session;
    struct buf *out = session_reply(s);

    session_codec(s)->push_unsubscribe(out, (struct slice){sub->room->name, sub->room->name_size},
                                       code, reason);
    rooms_leave(sub);
    session_send_reply(s, out);
}
