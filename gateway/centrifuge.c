/*
 * centrifuge.c: the Centrifuge client protocol v2: what each command does, whatever its codec.
 */
#include "common/clock.h"
#include "common/log.h"
#include "gateway/dialect.h"
#include "gateway/frame.h"
#include "gateway/gateway.h"
#include "gateway/lanes.h"
#include "gateway/questions.h"
#include "gateway/sessions_internal.h"
#include "gateway/verifier.h"
#include "proto/command.h"
#include "proto/json.h"
#include "proto/room.h"

#define UNSUBSCRIBE_INSUFFICIENT 2500 /* the client subscribes again */
#define HISTORY_LIMIT_MAX 300
#define FLAG_STRICT 2        /* subscribe: error 112 rather than an answer that is not recovered */
#define FRAME_SIZE_MAX 65536 /* a frame takes no further document above this */

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
        stat_add(&s->gateway->metrics.tokens_good, 1);
        return identity_new(&claims);
    case JWT_EXPIRED:
        stat_add(&s->gateway->metrics.tokens_refused, 1);
        session_send_error(s, c->id, REPLY_TOKEN_EXPIRED);
        s->is_refused = true; /* SDKs close such a connection, or the stale timer does */
        return NULL;
    case JWT_INVALID:
        stat_add(&s->gateway->metrics.tokens_refused, 1);
        log_debug("token refused session=%s reason=\"%s\"", s->client, why);
        session_close(s, CLOSE_INVALID_TOKEN);
        return NULL;
    }
    assert(false);
    return NULL;
}

static void do_connect(struct session *s, const struct command *c)
{
    struct buf data = BUF_EMPTY;

    if (s->is_connected) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    if (s->identity == NULL) { /* the handshake brought none */
        s->identity = connect_identity(s, c);
        if (s->identity == NULL) {
            return;
        }
    }
    session_connected(s);
    buf_addf(&data, "{\"gateway\":\"%s\"}", s->gateway->conf->id);
    struct buf *out = session_reply(s);
    session_codec(s)->connect(out, c->id,
                              &(struct reply_connect){
                                  .client = slice_of(s->client),
                                  .version = SLICE_LIT("warren " WARREN_VERSION),
                                  .ping_s = (uint32_t)((s->gateway->conf->ping_ms + 999) / 1000),
                                  .data = buf_slice(&data),
                              });
    buf_deinit(&data);
    session_send_reply(s, out);
}

static const struct rule *rule_of(const struct session *s, struct slice room)
{
    return rules_find(&s->gateway->conf->rules, room);
}

static void do_subscribe(struct session *s, const struct command *c)
{
    const struct rooms_entry entry = {
        .cause = ROOMS_BY_COMMAND,
        .command_id = c->id,
        .since = {.recovers = c->recover,
                  .is_strict = (c->flag & FLAG_STRICT) != 0,
                  .epoch = c->epoch,
                  .offset = c->offset},
        .wants_moves = c->join_leave,
    };

    if (c->channel.size == 0) {
        session_close(s, CLOSE_BAD_REQUEST);
    } else if (c->type != 0) {
        session_send_error(s, c->id, REPLY_NOT_AVAILABLE);
    } else if (c->has_filter || !room_is_valid(c->channel) || c->epoch.size > EPOCH_MAX) {
        session_send_error(s, c->id, REPLY_BAD_REQUEST);
    } else if (!identity_may(s->identity, rule_of(s, c->channel)->subscribe)) {
        session_send_error(s, c->id, REPLY_PERMISSION_DENIED);
    } else {
        int r = rooms_enter(s, c->channel, &entry);

        if (r != 0) {
            session_send_error(
                s, c->id, r == ROOMS_ALREADY ? REPLY_ALREADY_SUBSCRIBED : REPLY_LIMIT_EXCEEDED);
        }
    }
}

static void reply_done(struct session *s, uint32_t id, enum command_method method)
{
    struct buf *out = session_reply(s);

    session_codec(s)->empty(out, id, method);
    session_send_reply(s, out);
}

static void do_unsubscribe(struct session *s, const struct command *c)
{
    struct subscription *sub = rooms_find(s, c->channel);

    if (sub != NULL) {
        rooms_leave(sub);
    }
    /* Also when it was not there: an error would make SDKs reconnect. */
    reply_done(s, c->id, COMMAND_UNSUBSCRIBE);
}

static void do_publish(struct session *s, const struct command *c, bool is_rpc)
{
    const struct gateway_conf *conf = s->gateway->conf;
    struct buf info = BUF_EMPTY, payload = BUF_EMPTY;

    if (!room_is_valid(c->channel) || c->data.size == 0 ||
        !json_is_valid(c->data, PAYLOAD_DEPTH_MAX) ||
        (c->key.size > 0 && !record_key_is_valid(c->key))) {
        session_send_error(s, c->id, REPLY_BAD_REQUEST);
        return;
    }
    if (c->data.size > (size_t)conf->max_payload) {
        session_send_error(s, c->id, REPLY_LIMIT_EXCEEDED);
        return;
    }
    if (!identity_may(s->identity, rule_of(s, c->channel)->publish)) {
        session_send_error(s, c->id, REPLY_PERMISSION_DENIED);
        return;
    }
    session_info(s, &info);
    json_add_flat(&payload, c->data);
    const struct record r = {
        .room = c->channel,
        .user = slice_of(s->identity->user),
        .client = slice_of(s->client),
        .info = buf_slice(&info),
        .time = clock_wall_ms(),
        .key = c->key,
        .payload = buf_slice(&payload),
    };
    if (lanes_publish(s->gateway->lanes, &r, &(struct publish_origin){s->handle, c->id, is_rpc}) !=
        0) {
        session_send_error(s, c->id, REPLY_INTERNAL);
    }
    buf_deinit(&info);
    buf_deinit(&payload);
}

/* The only method is publish: SDKs' publish() cannot carry an idempotency key. */
static void do_rpc(struct session *s, const struct command *c, struct buf *texts)
{
    struct command publish;

    if (!slice_equal(c->name, SLICE_LIT("publish"))) {
        session_send_error(s, c->id, REPLY_METHOD_NOT_FOUND);
    } else if (command_publish_of(c, texts, &publish) != 0) {
        session_send_error(s, c->id, REPLY_BAD_REQUEST);
    } else {
        do_publish(s, &publish, true);
    }
}

static void do_question(struct session *s, const struct command *c)
{
    struct question q = {
        .room = c->channel,
        .session = s->handle,
        .command_id = c->id,
        .epoch = c->epoch,
        .offset = c->offset,
        .has_offset = c->has_since,
        .reverse = c->reverse,
        .limit = c->limit < 0 ? HISTORY_LIMIT_MAX : MIN(c->limit, HISTORY_LIMIT_MAX),
    };

    if (!room_is_valid(c->channel) || !record_epoch_is_possible(c->epoch)) {
        session_send_error(s, c->id, REPLY_BAD_REQUEST);
        return;
    }
    const struct subscription *sub = rooms_find(s, c->channel);
    if (sub == NULL) {
        session_send_error(s, c->id, REPLY_PERMISSION_DENIED);
        return;
    }
    if (c->method == COMMAND_HISTORY) {
        q.kind = QUESTION_HISTORY;
    } else if (!sub->room->rule->presence) {
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
        do_connect(s, c);
        break;
    case COMMAND_SUBSCRIBE:
        do_subscribe(s, c);
        break;
    case COMMAND_UNSUBSCRIBE:
        do_unsubscribe(s, c);
        break;
    case COMMAND_PUBLISH:
        do_publish(s, c, false);
        break;
    case COMMAND_PRESENCE:
    case COMMAND_PRESENCE_STATS:
    case COMMAND_HISTORY:
        do_question(s, c);
        break;
    case COMMAND_SEND:
        break; /* nobody to give it to, and no reply either */
    case COMMAND_PING:
    case COMMAND_SUB_REFRESH:
        session_send_error(s, c->id, REPLY_NOT_AVAILABLE);
        break;
    case COMMAND_REFRESH:
        session_close(s, CLOSE_BAD_REQUEST); /* not announced, so not expected */
        break;
    case COMMAND_RPC:
        do_rpc(s, c, texts);
        break;
    case COMMAND_UNKNOWN:
        session_send_error(s, c->id, REPLY_METHOD_NOT_FOUND);
        break;
    }
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
        r = codec->next(&message, &texts, &c);
        if (r == COMMAND_END) {
            break;
        }
        stat_add(&s->gateway->metrics.commands, 1);
        if (r == 0) {
            do_command(s, &c, &texts);
        } else if (r == COMMAND_BAD && s->is_connected && c.id != 0) {
            session_send_error(s, c.id, REPLY_BAD_REQUEST);
        } else {
            session_close(s, CLOSE_BAD_REQUEST);
        }
    }
    buf_deinit(&texts);
}

void centrifuge_subscribed(struct subscription *sub, uint64_t offset, bool recovered,
                           struct slice publications)
{
    struct session *s = sub->session;
    struct buf *out = session_reply(s);

    session_codec(s)->subscribe(out, sub->joining->command_id,
                                &(struct reply_subscribe){
                                    .recoverable = true,
                                    .epoch = slice_of(sub->room->epoch),
                                    .offset = offset,
                                    .was_recovering = sub->joining->recovers,
                                    .recovered = recovered,
                                    .publications = publications,
                                });
    session_send_reply(s, out);
}

void centrifuge_lost(struct subscription *sub)
{
    struct session *s = sub->session;
    struct buf *out = session_reply(s);

    session_codec(s)->push_unsubscribe(out, (struct slice){sub->room->name, sub->room->name_size},
                                       UNSUBSCRIBE_INSUFFICIENT, "insufficient state");
    rooms_leave(sub);
    session_send_reply(s, out);
}

void centrifuge_published(struct session *s, uint32_t id)
{
    reply_done(s, id, COMMAND_PUBLISH);
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
