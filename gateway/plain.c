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
#include "gateway/dialect.h"
#include "gateway/frame.h"
#include "gateway/gateway.h"
#include "gateway/lanes.h"
#include "gateway/permits.h"
#include "gateway/sessions_internal.h"
#include "proto/json.h"
#include "proto/room.h"

void plain_open(struct session *s, struct slice room)
{
    const struct rooms_entry entry = {.cause = ROOMS_BY_COMMAND, .wants_moves = s->wants_events};

    assert(room_is_valid(room)); /* the request was refused otherwise */
    if (!permits_subscribe(s, room)) {
        session_send_error(s, 0, REPLY_PERMISSION_DENIED);
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    int r = rooms_enter(s, room, &entry);
    assert(r == 0 || r == ROOMS_FULL); /* it is its first room, and rooms_max is at least 1 */
    if (r == ROOMS_FULL) {
        session_send_error(s, 0, REPLY_LIMIT_EXCEEDED);
        session_close(s, CLOSE_BAD_REQUEST);
    } else if (s->subscriptions != NULL && s->subscriptions->joining != NULL) {
        session_hold(s); /* what it says now, it is to hear */
    }
}

void plain_entered(const struct subscription *sub)
{
    struct session *s = sub->session;

    if (s->wants_events) {
        struct buf *out = session_reply(s);

        reply_plain_entered(out, (struct slice){sub->room->name, sub->room->name_size});
        session_send_text(s, buf_slice(out));
    }
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

static void plain_publish(struct session *s, struct slice text, struct slice key)
{
    struct buf info = BUF_EMPTY, payload = BUF_EMPTY;

    session_info(s, &info);
    plain_with_username(&payload, text, slice_of(s->identity->name));
    struct record r = {
        .room = room_of(s),
        .user = slice_of(s->identity->user),
        .client = slice_of(s->client),
        .info = buf_slice(&info),
        .time = clock_wall_ms(),
        .key = key,
        .payload = buf_slice(&payload),
    };
    permits_stamp(s, &r);
    if (lanes_publish(s->gateway->lanes, &r, &(struct publish_origin){.session = s->handle}) != 0) {
        session_send_error(s, 0, REPLY_INTERNAL);
    }
    buf_deinit(&info);
    buf_deinit(&payload);
}

void plain_on_text(struct session *s, struct slice text)
{
    struct slice key = SLICE_NONE;

    text = json_trim(text); /* white space around the object is not part of it */
    bool is_good = json_is_valid(text, (int)s->gateway->conf->max_depth) && json_is_object(text);
    if (is_good) {
        key = key_of(text);
        is_good = key.at == NULL || record_key_is_valid(key);
    }
    if (!is_good) {
        session_send_error(s, 0, REPLY_BAD_REQUEST);
    } else if (text.size > (size_t)s->gateway->conf->max_payload) {
        session_send_error(s, 0, REPLY_LIMIT_EXCEEDED);
    } else if (s->subscriptions == NULL) {
        session_send_error(s, 0, REPLY_INTERNAL); /* it could not enter its room in time */
    } else {
        const struct room *room = s->subscriptions->room;
        int why = permits_publish(s, (struct slice){room->name, room->name_size}, text);

        if (why != PERMITTED) {
            session_send_error(s, 0, (enum reply_error)why);
        } else {
            plain_publish(s, text, key);
        }
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
