/*
 * plain.c: the plain dialect: one room, bare JSON objects both ways.
 *
 * Whoever opens /ws?room=lobby is in that room; until it has entered, what it
 * says waits in its socket. Each text message is a JSON
 * object that is published there; each record of the room arrives as the bare
 * object. A known user's name replaces what the object says as `username`. A
 * string `id` is the publish's idempotency key.
 * With ?events=1 it is told more, in objects with `event`: that it has entered, who comes and goes,
 * and what the backend says to it.
 * Errors are objects too: {"error":{"code":100,"message":"..."}}. The members `event` and `error`
 * at the top are ours alone: a record that has one is told as {"event":"publication","data":..},
 * through whatever door it came, so that nobody can speak in our name. Nothing is refused for it.
 */
#include "common/clock.h"
#include "gateway/bus/lanes.h"
#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/hook/asking.h"
#include "gateway/room/permits.h"
#include "gateway/session/sessions_internal.h"
#include "gateway/ws/frame.h"
#include "proto/json.h"
#include "proto/room.h"

/* `chan_info` and `expires_s` are what the backend says about the subscription. */
static void go_in(struct session *s, struct slice room, struct slice chan_info, int64_t expires_s)
{
    const struct rooms_entry entry = {.cause = ROOMS_BY_COMMAND,
                                      .wants_moves = s->wants_events,
                                      .info = chan_info,
                                      .expires_s = expires_s};
    int r = rooms_enter(s, room, &entry);

    assert(r == 0 || r == ROOMS_FULL); /* it is its first room, and rooms_max is at least 1 */
    if (r == ROOMS_FULL) {
        session_send_error(s, 0, REPLY_LIMIT_EXCEEDED);
        session_close(s, CLOSE_BAD_REQUEST);
    } else if (s->subscriptions != NULL && s->subscriptions->joining != NULL) {
        session_hold(s); /* what it says now, it is to hear */
    }
}

static bool may_go_in(struct session *s, struct slice room)
{
    if (permits_subscribe(s, room)) {
        return true;
    }
    session_send_error(s, 0, REPLY_PERMISSION_DENIED);
    session_close(s, CLOSE_BAD_REQUEST);
    return false;
}

void plain_let_in(struct session *s, struct slice room, const struct hook_answer *a)
{
    struct hook_subscribe granted;
    struct buf info = BUF_EMPTY;

    if (hook_result_subscribe(a->result, &granted) != 0) {
        asking_complain(s, HOOK_SUBSCRIBE, 0, "bad result");
    } else if (may_go_in(s, room)) {
        claim_add_info(&info, granted.info);
        go_in(s, room, buf_slice(&info), granted.expires_s);
    }
    buf_deinit(&info);
}

/* It is known who it is. */
static void enter(struct session *s, struct slice room)
{
    if (!may_go_in(s, room)) {
        return;
    }
    if (rules_find(&s->gateway->conf->rules, room)->hook_subscribe) {
        session_hold(s);
        asking_ask(s, HOOK_SUBSCRIBE, room, 0, &(struct hook_question){.channel = room});
    } else {
        go_in(s, room, SLICE_NONE, 0);
    }
}

void plain_admitted(struct session *s, struct slice room, const struct hook_answer *a)
{
    if (!asking_take_identity(s, 0, a)) {
        return;
    }
    session_connected(s);
    if (session_is_open(s)) {
        enter(s, room);
    }
}

void plain_open(struct session *s, struct slice room)
{
    assert(room_is_valid(room)); /* the request was refused otherwise */
    if (s->identity != NULL) {
        enter(s, room);
        return;
    }
    session_hold(s);
    asking_ask(s, HOOK_CONNECT, room, 0, &(struct hook_question){.channel = room});
}

void plain_entered(const struct subscription *sub)
{
    struct session *s = sub->session;

    if (s->wants_events) {
        struct buf *out = session_reply(s);

        reply_plain_entered(out, (struct slice){sub->room->name, sub->room->name_size});
        session_send_text(s, buf_slice(out));
    }
    session_watch_expiry(s); /* the backend may have said when it ends, whatever the token does */
}

/* The object's `id`, if it is a string. Whatever else stands there is the publisher's business. */
static struct slice key_of(struct slice object)
{
    struct slice id = json_get(object, "id");

    return json_is_string(id) ? json_inside(id) : SLICE_NONE;
}

static struct slice room_of(const struct session *s)
{
    const struct room *room = s->subscriptions->room;

    return (struct slice){room->name, room->name_size};
}

/* Nothing is in the way of it any more. */
static void publish(struct session *s, struct slice payload, struct slice key)
{
    struct buf info = BUF_EMPTY;

    session_info(s, &info);
    struct record r = {
        .room = room_of(s),
        .user = slice_of(s->identity->user),
        .client = slice_of(s->client),
        .info = buf_slice(&info),
        .time = clock_wall_ms(),
        .key = key,
        .payload = payload,
    };
    permits_stamp(s, &r);
    int answer =
        lanes_publish(s->gateway->lanes, &r, &(struct publish_origin){.session = s->handle});
    if (answer != 0) {
        session_send_error(s, 0, lanes_error(answer));
    }
    buf_deinit(&info);
}

void plain_let_publish(struct session *s, struct slice text, const struct hook_answer *a)
{
    struct slice data = json_get(a->result, "data");
    struct buf payload = BUF_EMPTY;

    if (s->subscriptions == NULL) {
        session_send_error(s, 0, REPLY_INTERNAL); /* it lost its room meanwhile */
        return;
    }
    if (data.size > 0 && !slice_equal(data, SLICE_LIT("null"))) {
        json_add_flat(&payload, data);
    } else {
        plain_with_username(&payload, text, slice_of(s->identity->name));
    }
    int why = permits_publish_now(s, room_of(s), buf_slice(&payload));
    if (why != PERMITTED) {
        session_send_error(s, 0, (enum reply_error)why);
    } else {
        publish(s, buf_slice(&payload), key_of(text));
    }
    buf_deinit(&payload);
}

/* If it may be published; the backend may have to be asked first. */
static void publish_or_ask(struct session *s, struct slice text, struct slice key)
{
    struct buf payload = BUF_EMPTY;

    plain_with_username(&payload, text, slice_of(s->identity->name));
    /* Whether it fits with the name in it, before its key is remembered. */
    int why = dialect_data_fits(s, buf_slice(&payload)) ? permits_publish(s, room_of(s), text, key)
                                                        : REPLY_LIMIT_EXCEEDED;
    if (why != PERMITTED) {
        session_send_error(s, 0, (enum reply_error)why);
    } else if (s->subscriptions->room->rule->hook_publish) {
        asking_ask(s, HOOK_PUBLISH, text, 0,
                   &(struct hook_question){.channel = room_of(s), .data = buf_slice(&payload)});
    } else {
        publish(s, buf_slice(&payload), key);
    }
    buf_deinit(&payload);
}

void plain_on_text(struct session *s, struct slice text)
{
    struct slice key = SLICE_NONE;

    if (asking_holds(s, NULL)) {
        asking_keep(s, text);
        return;
    }
    text = json_trim(text); /* white space around the object is not part of it */
    bool is_good = dialect_data_is_good(s, text) && json_is_object(text);
    if (is_good) {
        key = key_of(text);
        is_good = key.at == NULL || dialect_key_is_good(s, key);
    }
    if (!is_good) {
        session_send_error(s, 0, REPLY_BAD_REQUEST);
    } else if (!dialect_data_fits(s, text)) {
        session_send_error(s, 0, REPLY_LIMIT_EXCEEDED);
    } else if (s->subscriptions == NULL) {
        session_send_error(s, 0, REPLY_INTERNAL); /* it could not enter its room in time */
    } else {
        publish_or_ask(s, text, key);
    }
}

struct blob *plain_frame(const struct record *const *run, size_t count)
{
    struct buf text = BUF_EMPTY, frames = BUF_EMPTY;

    for (size_t i = 0; i < count; i++) {
        if (reply_plain_looks_ours(run[i]->payload)) {
            buf_clear(&text);
            reply_plain_publication(&text, run[i]->payload);
            frame_add_text(&frames, buf_slice(&text));
        } else {
            frame_add_text(&frames, run[i]->payload);
        }
    }
    struct blob *frame = blob_copy(frames.at, frames.size);
    buf_deinit(&text);
    buf_deinit(&frames);
    return frame;
}

struct blob *plain_moves_frame(const struct reply_move *run, size_t count)
{
    struct buf text = BUF_EMPTY, frames = BUF_EMPTY;

    for (size_t i = 0; i < count; i++) {
        buf_clear(&text);
        reply_plain_move(&text, &run[i]);
        frame_add_text(&frames, buf_slice(&text));
    }
    struct blob *frame = blob_copy(frames.at, frames.size);
    buf_deinit(&text);
    buf_deinit(&frames);
    return frame;
}
