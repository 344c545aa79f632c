/*
 * centrifuge_publish.c: publish, and the methods of rpc.
 */
#include <inttypes.h>

#include "common/clock.h"
#include "gateway/bus/lanes.h"
#include "gateway/dialect/centrifuge_internal.h"
#include "gateway/hook/asking.h"
#include "gateway/room/permits.h"
#include "gateway/room/rooms.h"
#include "proto/json.h"
#include "proto/room.h"

/* Nothing is in the way of it any more. */
static void publish(struct session *s, const struct command *c, bool is_rpc, struct slice data)
{
    struct buf info = BUF_EMPTY, payload = BUF_EMPTY;

    session_info(s, &info);
    json_add_flat(&payload, data);
    const struct subscription *sub = rooms_find(s, c->channel);
    struct record r = {
        .room = c->channel,
        .user = slice_of(s->identity->user),
        .client = slice_of(s->client),
        .info = buf_slice(&info),
        .chan_info = sub != NULL ? subscription_info(sub) : SLICE_NONE,
        .time = clock_wall_ms(),
        .key = c->key,
        .payload = buf_slice(&payload),
    };
    permits_stamp(s, &r);
    int answer = lanes_publish(
        s->gateway->lanes, &r,
        &(struct publish_origin){.session = s->handle, .command_id = c->id, .is_rpc = is_rpc});
    if (answer != 0) {
        session_send_error(s, c->id, lanes_error(answer));
    }
    buf_deinit(&info);
    buf_deinit(&payload);
}

void centrifuge_publish(struct session *s, const struct command *c, bool is_rpc)
{
    const struct gateway_conf *conf = s->gateway->conf;

    if (!dialect_room_is_good(s, c->channel) || c->data.size == 0 ||
        !dialect_data_is_good(s, c->data) || (c->key.size > 0 && !dialect_key_is_good(s, c->key))) {
        session_send_error(s, c->id, REPLY_BAD_REQUEST);
        return;
    }
    if (!dialect_data_fits(s, c->data)) {
        session_send_error(s, c->id, REPLY_LIMIT_EXCEEDED);
        return;
    }
    int why = permits_publish(s, c->channel, c->data, c->key);
    if (why != PERMITTED) {
        session_send_error(s, c->id, (enum reply_error)why);
        return;
    }
    if (rules_find(&conf->rules, c->channel)->hook_publish) {
        asking_ask(s, HOOK_PUBLISH, c->raw, c->id,
                   &(struct hook_question){.channel = c->channel, .data = c->data});
    } else {
        publish(s, c, is_rpc, c->data);
    }
}

void centrifuge_let_publish(struct session *s, const struct command *c, struct buf *texts,
                            const struct hook_answer *a)
{
    bool is_rpc = c->method == COMMAND_RPC;
    struct slice data = json_get(a->result, "data");
    struct command inner = *c;

    if (is_rpc) {
        int r = command_publish_of(c, texts, &inner);
        assert(r == 0); /* it was, before the question */
        (void)r;
    }
    if (data.size == 0 || slice_equal(data, SLICE_LIT("null"))) {
        data = inner.data;
    }
    int why = permits_publish_now(s, inner.channel, data);
    if (why != PERMITTED) {
        session_send_error(s, c->id, (enum reply_error)why);
    } else {
        publish(s, &inner, is_rpc, data);
    }
}

static void reply_rpc(struct session *s, uint32_t id, struct slice data)
{
    struct buf *out = session_reply(s);

    session_codec(s)->rpc(out, id, data);
    session_send_reply(s, out);
}

/* SDKs' publish() cannot carry an idempotency key: rpc can. */
static void rpc_publish(struct session *s, const struct command *c, struct buf *texts)
{
    struct command inner;

    if (command_publish_of(c, texts, &inner) != 0) {
        session_send_error(s, c->id, REPLY_BAD_REQUEST);
    } else {
        inner.raw = c->raw;
        centrifuge_publish(s, &inner, true);
    }
}

/* {"time":1790000000123}: the gateway's clock, in milliseconds. */
static void rpc_time(struct session *s, const struct command *c, struct buf *texts)
{
    struct buf data = BUF_EMPTY;

    (void)texts;
    buf_addf(&data, "{\"time\":%" PRId64 "}", clock_wall_ms());
    reply_rpc(s, c->id, buf_slice(&data));
    buf_deinit(&data);
}

static void add_list(struct buf *out, const char *name)
{
    buf_addf(out, ",\"%s\":[", name);
}

static void add_text(struct buf *out, bool is_first, struct slice text)
{
    buf_addf(out, "%s\"", is_first ? "" : ",");
    json_escape(out, text);
    buf_add_char(out, '"');
}

/* Who the session is, as the gateway sees it. */
static void rpc_session(struct session *s, const struct command *c, struct buf *texts)
{
    const struct identity *i = s->identity;
    struct buf data = BUF_EMPTY;

    (void)texts;
    buf_addf(&data, "{\"client\":\"%s\",\"user\":\"%s\",\"name\":\"%s\",\"gateway\":\"%s\"",
             s->client, i->user, i->name, s->gateway->conf->id);
    buf_addf(&data, ",\"roles\":%s", i->roles != NULL ? i->roles_list : "[]");
    add_list(&data, "rooms");
    for (struct subscription *sub = s->subscriptions; sub != NULL; sub = sub->next_of_session) {
        add_text(&data, sub == s->subscriptions,
                 (struct slice){sub->room->name, sub->room->name_size});
    }
    buf_add_char(&data, ']');
    if (i->expires_s != 0) {
        buf_addf(&data, ",\"expires_at\":%" PRId64, i->expires_s);
    }
    buf_add_char(&data, '}');
    reply_rpc(s, c->id, buf_slice(&data));
    buf_deinit(&data);
}

static const struct {
    struct slice name;
    void (*serve)(struct session *s, const struct command *c, struct buf *texts);
} methods[] = {
    {{"publish", 7}, rpc_publish},
    {{"time", 4}, rpc_time},
    {{"session", 7}, rpc_session},
};

void centrifuge_rpc(struct session *s, const struct command *c, struct buf *texts)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (slice_equal(c->name, methods[i].name)) {
            methods[i].serve(s, c, texts);
            return;
        }
    }
    session_send_error(s, c->id, REPLY_METHOD_NOT_FOUND);
}
