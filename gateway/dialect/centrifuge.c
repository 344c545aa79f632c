/*
 * centrifuge.c: the Centrifuge client protocol v2, whatever its codec: messages come in, commands
 * are given to those who serve them, records and joins become frames.
 */
#include "gateway/bus/questions.h"
#include "gateway/dialect/centrifuge_internal.h"
#include "gateway/dialect/connecting.h"
#include "gateway/hook/asking.h"
#include "gateway/room/permits.h"
#include "gateway/ws/frame.h"
#include "proto/room.h"

#define FRAME_SIZE_MAX 65536 /* a frame takes no further document above this */

void centrifuge_reply_done(struct session *s, uint32_t id, enum command_method method)
{
    struct buf *out = session_reply(s);

    session_codec(s)->empty(out, id, method);
    session_send_reply(s, out);
}

static void do_question(struct session *s, const struct command *c)
{
    const int64_t limit_max = s->gateway->conf->history_limit;
    struct question q = {
        .room = c->channel,
        .session = s->handle,
        .command_id = c->id,
        .epoch = c->epoch,
        .offset = c->offset,
        .has_offset = c->has_since,
        .reverse = c->reverse,
        .limit = c->limit < 0 ? limit_max : MIN(c->limit, limit_max),
    };

    if (!dialect_room_is_good(s, c->channel) || !record_epoch_is_possible(c->epoch)) {
        session_send_error(s, c->id, REPLY_BAD_REQUEST);
        return;
    }
    const struct subscription *sub = rooms_find(s, c->channel);
    if (sub == NULL) {
        session_send_error(s, c->id, REPLY_PERMISSION_DENIED);
        return;
    }
    const struct rule *rule = sub->room->rule;
    if (c->method == COMMAND_HISTORY ? !permits_see_history(s, rule)
                                     : rule->presence && !permits_see_presence(s, rule)) {
        session_send_error(s, c->id, REPLY_PERMISSION_DENIED);
        return;
    }
    if (c->method == COMMAND_HISTORY) {
        q.kind = QUESTION_HISTORY;
        if (c->limit > limit_max) {
            limit_met(&s->gateway->metrics.limits, LIMIT_HISTORY);
        }
    } else if (!rule->presence) {
        session_send_error(s, c->id, REPLY_NOT_AVAILABLE);
        return;
    } else {
        q.kind = c->method == COMMAND_PRESENCE ? QUESTION_PRESENCE : QUESTION_PRESENCE_STATS;
    }
    int r = questions_ask(s->gateway->questions, &q);
    if (r != 0) {
        session_send_error(s, c->id, r < 0 ? REPLY_INTERNAL : REPLY_TOO_MANY_REQUESTS);
    }
}

static void do_pong(struct session *s)
{
    if (!s->awaits_pong) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    session_pong(s);
}

static void do_command(struct session *s, const struct command *c, struct buf *texts)
{
    if (!s->is_connected && c->method != COMMAND_CONNECT) {
        session_close(s, CLOSE_BAD_REQUEST); /* connect comes first */
        return;
    }
    switch (c->method) {
    case COMMAND_PONG:
        do_pong(s);
        break;
    case COMMAND_CONNECT:
        centrifuge_connect(s, c, texts);
        break;
    case COMMAND_SUBSCRIBE:
        centrifuge_subscribe(s, c);
        break;
    case COMMAND_UNSUBSCRIBE:
        centrifuge_leave(s, c);
        break;
    case COMMAND_PUBLISH:
        centrifuge_publish(s, c, false);
        break;
    case COMMAND_PRESENCE:
    case COMMAND_PRESENCE_STATS:
    case COMMAND_HISTORY:
        do_question(s, c);
        break;
    case COMMAND_SEND:
        break;         /* nobody to give it to, and no reply either */
    case COMMAND_PING: /* of another version of the protocol */
        session_send_error(s, c->id, REPLY_NOT_AVAILABLE);
        break;
    case COMMAND_REFRESH:
        centrifuge_refresh(s, c);
        break;
    case COMMAND_SUB_REFRESH:
        centrifuge_sub_refresh(s, c);
        break;
    case COMMAND_RPC:
        centrifuge_rpc(s, c, texts);
        break;
    case COMMAND_UNKNOWN:
        session_close(s, CLOSE_BAD_REQUEST);
        break;
    }
}

/* Why a command was bad, if it was for its size. True. */
static bool count_limits(struct session *s, const struct command *c)
{
    if (c->is_deep) {
        limit_met(&s->gateway->metrics.limits, LIMIT_COMMAND_DEPTH);
    }
    if (c->is_wide) {
        limit_met(&s->gateway->metrics.limits, LIMIT_COMMAND_MEMBERS);
    }
    return true;
}

void centrifuge_on_message(struct session *s, struct slice message)
{
    const struct codec *codec = session_codec(s);
    struct buf texts = BUF_EMPTY;
    struct command c;
    int r = COMMAND_END;

    if (s->is_refused) {
        session_close(s, CLOSE_BAD_REQUEST);
    }
    while (s->state == SESSION_OPEN && !s->is_refused) {
        if (s->connecting != NULL) {
            connecting_keep(s, message); /* nothing is answered before the connect command */
            break;
        }
        const char *at = message.at;

        r = codec->next(&message, &texts, &c);
        if (r == COMMAND_END) {
            break;
        }
        stat_add(&s->gateway->metrics.commands, asking_is_replaying(s) ? 0 : 1);
        c.raw = (struct slice){at, (size_t)(message.at - at)};
        if (r == 0 && asking_holds(s, &c)) {
            asking_keep(s, c.raw);
        } else if (r == 0) {
            do_command(s, &c, &texts);
        } else if (r == COMMAND_BAD && count_limits(s, &c) && s->is_connected && c.id != 0) {
            session_send_error(s, c.id, REPLY_BAD_REQUEST);
        } else {
            session_close(s, CLOSE_BAD_REQUEST);
        }
    }
    buf_deinit(&texts);
}

void centrifuge_published(struct session *s, uint32_t id)
{
    centrifuge_reply_done(s, id, COMMAND_PUBLISH);
}

void centrifuge_published_by_rpc(struct session *s, uint32_t id)
{
    struct buf *out = session_reply(s);

    session_codec(s)->rpc(out, id, SLICE_LIT("{}"));
    session_send_reply(s, out);
}

/* Appends a frame with the message, which is empty then. */
static void add_frame(struct buf *frames, const struct codec *codec, struct buf *message)
{
    if (codec->is_binary) {
        frame_add_binary(frames, buf_slice(message));
    } else {
        frame_add_text(frames, buf_slice(message));
    }
    buf_clear(message);
}

struct blob *centrifuge_frame(const struct codec *codec, const struct record *const *run,
                              size_t count)
{
    struct buf message = BUF_EMPTY, frames = BUF_EMPTY;

    for (size_t i = 0; i < count; i++) {
        if (message.size > FRAME_SIZE_MAX) {
            add_frame(&frames, codec, &message);
        }
        codec->push_record(&message, run[i]);
    }
    add_frame(&frames, codec, &message);
    struct blob *blob = blob_copy(frames.at, frames.size);
    buf_deinit(&message);
    buf_deinit(&frames);
    return blob;
}

struct blob *centrifuge_moves_frame(const struct codec *codec, const struct reply_move *run,
                                    size_t count)
{
    struct buf message = BUF_EMPTY, frames = BUF_EMPTY;

    for (size_t i = 0; i < count; i++) {
        if (message.size > FRAME_SIZE_MAX) {
            add_frame(&frames, codec, &message);
        }
        codec->push_move(&message, &run[i]);
    }
    add_frame(&frames, codec, &message);
    struct blob *blob = blob_copy(frames.at, frames.size);
    buf_deinit(&message);
    buf_deinit(&frames);
    return blob;
}
