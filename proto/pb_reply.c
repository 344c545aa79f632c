/*
 * pb_reply.c: replies and pushes for Centrifuge clients in Protobuf.
 *
 * Fields stand in the order of their numbers. A list of the codec is its
 * elements, each behind its length: they get their field's number when the list
 * becomes part of a reply, for it is another one in each.
 */
#include "proto/codec_protobuf.h"
#include "proto/json.h"
#include "proto/pb.h"

/* Of Reply and Push, beside those of method.def. */
enum { REPLY_ID = 1, REPLY_ERROR = 2, REPLY_PUSH = 4 };
enum {
    PUSH_CHANNEL = 2,
    PUSH_PUB = 4,
    PUSH_JOIN = 5,
    PUSH_LEAVE = 6,
    PUSH_UNSUBSCRIBE = 7,
    PUSH_MESSAGE = 8,
    PUSH_SUBSCRIBE = 9,
    PUSH_DISCONNECT = 11,
    PUSH_REFRESH = 12
};

static const uint32_t method_numbers[] = {
#define METHOD(name, text, command_number, reply_number) [COMMAND_##name] = reply_number,
#include "proto/method.def"
};

/* A document that is being written: a message, and the one message in it that says something. */
struct document {
    size_t message, body;
};

/* Reply { id, <number> { */
static struct document begin(struct buf *out, uint32_t id, uint32_t number)
{
    struct document d = {.message = pb_open_message(out)};

    pb_add_u64(out, REPLY_ID, id);
    d.body = pb_open(out, number);
    return d;
}

static struct document begin_reply(struct buf *out, uint32_t id, enum command_method method)
{
    assert(method < ARRAY_LEN(method_numbers) && method_numbers[method] != 0);
    return begin(out, id, method_numbers[method]);
}

static void end(struct buf *out, struct document d)
{
    pb_close(out, d.body);
    pb_close(out, d.message);
}

/* The elements of a list, as fields. */
static void add_list(struct buf *out, uint32_t number, struct slice list)
{
    struct slice element;

    while (pb_next_message(&list, &element) == 0) {
        size_t opened = pb_open(out, number); /* also when the element is empty */

        buf_add_slice(out, element);
        pb_close(out, opened);
    }
}

/* The inside of a JSON string. */
static void add_escaped(struct buf *out, uint32_t number, struct slice text)
{
    if (text.size == 0 || memchr(text.at, '\\', text.size) == NULL) {
        pb_add_bytes(out, number, text);
        return;
    }
    size_t opened = pb_open(out, number);
    json_unescape(out, text);
    pb_close(out, opened);
}

/* ClientInfo */
static void add_sender(struct buf *out, uint32_t number, const struct reply_member *m)
{
    size_t opened = pb_open(out, number);

    add_escaped(out, 1, m->user);
    pb_add_bytes(out, 2, m->client);
    pb_add_bytes(out, 3, m->info);
    pb_add_bytes(out, 4, m->chan_info);
    pb_close(out, opened);
}

/* The fields of a Publication. */
static void add_publication(struct buf *out, const struct record *r)
{
    pb_add_bytes(out, 4, r->payload);
    if (record_has_sender(r)) {
        add_sender(out, 5, &(struct reply_member){r->client, r->user, r->info, r->chan_info});
    }
    pb_add_u64(out, 6, r->offset);
    pb_add_u64(out, 9, (uint64_t)r->time);
}

static void write_refusal(struct buf *out, uint32_t id, const struct reply_refusal *r)
{
    struct document d = begin(out, id, REPLY_ERROR);

    pb_add_u64(out, 1, r->code);
    pb_add_bytes(out, 2, r->text);
    pb_add_flag(out, 3, r->is_temporary);
    end(out, d);
}

static void write_error(struct buf *out, uint32_t id, enum reply_error code)
{
    struct reply_error_text e = reply_error_text(code);

    write_refusal(out, id,
                  &(struct reply_refusal){
                      .code = code, .text = slice_of(e.text), .is_temporary = e.is_temporary});
}

static void write_empty(struct buf *out, uint32_t id, enum command_method method)
{
    end(out, begin_reply(out, id, method));
}

/* expires, and ttl under the next number: the one never goes without the other. */
static void add_expiry(struct buf *out, uint32_t number, bool expires, uint32_t ttl_s)
{
    if (expires) {
        pb_add_flag(out, number, true);
        pb_add_u64(out, number + 1, MAX(ttl_s, 1));
    }
}

static void write_connect(struct buf *out, uint32_t id, const struct reply_connect *r)
{
    struct document d = begin_reply(out, id, COMMAND_CONNECT);

    pb_add_bytes(out, 1, r->client);
    pb_add_bytes(out, 2, r->version);
    add_expiry(out, 3, r->expires, r->ttl_s);
    pb_add_bytes(out, 5, r->data);
    add_list(out, 6, r->subs);
    pb_add_u64(out, 7, r->ping_s);
    pb_add_flag(out, 8, r->ping_s > 0);
    end(out, d);
}

/* RefreshResult */
static void write_refresh(struct buf *out, uint32_t id, const struct reply_refresh *r)
{
    struct document d = begin_reply(out, id, COMMAND_REFRESH);

    pb_add_bytes(out, 1, r->client);
    pb_add_bytes(out, 2, r->version);
    add_expiry(out, 3, r->expires, r->ttl_s);
    end(out, d);
}

static void write_sub_refresh(struct buf *out, uint32_t id, const struct reply_refresh *r)
{
    struct document d = begin_reply(out, id, COMMAND_SUB_REFRESH);

    add_expiry(out, 1, r->expires, r->ttl_s);
    end(out, d);
}

/* The fields of a SubscribeResult. */
static void add_subscribed(struct buf *out, const struct reply_subscribe *r)
{
    add_expiry(out, 1, r->expires, r->ttl_s);
    pb_add_flag(out, 3, r->recoverable);
    pb_add_bytes(out, 6, r->epoch);
    add_list(out, 7, r->publications);
    pb_add_flag(out, 8, r->recovered);
    pb_add_u64(out, 9, r->offset);
    pb_add_flag(out, 10, r->recoverable);
    pb_add_bytes(out, 11, r->data);
    pb_add_flag(out, 12, r->was_recovering);
}

static void write_subscribe(struct buf *out, uint32_t id, const struct reply_subscribe *r)
{
    struct document d = begin_reply(out, id, COMMAND_SUBSCRIBE);

    add_subscribed(out, r);
    end(out, d);
}

/* An entry of a map: the room, SubscribeResult. */
static void write_sub(struct buf *list, struct slice room, const struct reply_subscribe *r)
{
    size_t entry = pb_open_message(list);

    pb_add_bytes(list, 1, room);
    size_t result = pb_open(list, 2);
    add_subscribed(list, r);
    pb_close(list, result);
    pb_close(list, entry);
}

static void write_history(struct buf *out, uint32_t id, const struct reply_history *r)
{
    struct document d = begin_reply(out, id, COMMAND_HISTORY);

    add_list(out, 1, r->publications);
    pb_add_bytes(out, 2, r->epoch);
    pb_add_u64(out, 3, r->offset);
    end(out, d);
}

static void write_presence(struct buf *out, uint32_t id, struct slice members)
{
    struct document d = begin_reply(out, id, COMMAND_PRESENCE);

    add_list(out, 1, members);
    end(out, d);
}

static void write_presence_stats(struct buf *out, uint32_t id, const struct reply_presence_stats *r)
{
    struct document d = begin_reply(out, id, COMMAND_PRESENCE_STATS);

    pb_add_u64(out, 1, r->clients);
    pb_add_u64(out, 2, r->users);
    end(out, d);
}

static void write_rpc(struct buf *out, uint32_t id, struct slice data)
{
    struct document d = begin_reply(out, id, COMMAND_RPC);

    pb_add_bytes(out, 1, data);
    end(out, d);
}

/* Reply { Push { channel, */
static struct document begin_push(struct buf *out, struct slice room)
{
    struct document d = begin(out, 0, REPLY_PUSH);

    pb_add_bytes(out, PUSH_CHANNEL, room);
    return d;
}

static void write_push_record(struct buf *out, const struct record *r)
{
    struct document d = begin_push(out, r->room);
    size_t publication = pb_open(out, PUSH_PUB);

    add_publication(out, r);
    pb_close(out, publication);
    end(out, d);
}

static void write_push_unsubscribe(struct buf *out, struct slice room, uint32_t code,
                                   const char *reason)
{
    struct document d = begin_push(out, room);
    size_t unsubscribe = pb_open(out, PUSH_UNSUBSCRIBE);

    pb_add_u64(out, 2, code);
    pb_add_bytes(out, 3, slice_of(reason));
    pb_close(out, unsubscribe);
    end(out, d);
}

static void write_push_disconnect(struct buf *out, uint32_t code, const char *reason)
{
    struct document d = begin(out, 0, REPLY_PUSH);
    size_t disconnect = pb_open(out, PUSH_DISCONNECT);

    pb_add_u64(out, 1, code);
    pb_add_bytes(out, 2, slice_of(reason));
    pb_add_flag(out, 3, reply_comes_back(code));
    pb_close(out, disconnect);
    end(out, d);
}

static void write_push_move(struct buf *out, const struct reply_move *m)
{
    struct document d = begin_push(out, m->room);
    size_t move = pb_open(out, m->left ? PUSH_LEAVE : PUSH_JOIN);

    add_sender(out, 1, &m->member);
    pb_close(out, move);
    end(out, d);
}

/* The message Subscribe has numbers of its own. */
static void write_push_subscribe(struct buf *out, struct slice room,
                                 const struct reply_subscribe *r)
{
    struct document d = begin_push(out, room);
    size_t subscribe = pb_open(out, PUSH_SUBSCRIBE);

    pb_add_flag(out, 1, r->recoverable);
    pb_add_bytes(out, 4, r->epoch);
    pb_add_u64(out, 5, r->offset);
    pb_add_flag(out, 6, r->recoverable);
    pb_add_bytes(out, 7, r->data);
    pb_close(out, subscribe);
    end(out, d);
}

static void write_push_message(struct buf *out, struct slice data)
{
    struct document d = begin(out, 0, REPLY_PUSH);
    size_t message = pb_open(out, PUSH_MESSAGE);

    pb_add_bytes(out, 1, data);
    pb_close(out, message);
    end(out, d);
}

static void write_push_refresh(struct buf *out, const struct reply_refresh *r)
{
    struct document d = begin(out, 0, REPLY_PUSH);
    size_t refresh = pb_open(out, PUSH_REFRESH);

    add_expiry(out, 1, r->expires, r->ttl_s);
    pb_close(out, refresh);
    end(out, d);
}

static void write_publication(struct buf *list, const struct record *r)
{
    size_t opened = pb_open_message(list);

    add_publication(list, r);
    pb_close(list, opened);
}

/* An entry of a map: the client's id, ClientInfo. */
static void write_member(struct buf *list, const struct reply_member *m)
{
    size_t opened = pb_open_message(list);

    pb_add_bytes(list, 1, m->client);
    add_sender(list, 2, m);
    pb_close(list, opened);
}

const struct codec codec_protobuf = {
    .id = CODEC_PROTOBUF,
    .is_binary = true,
    .ping = {"\0", 1},
    .next = pb_command_next,
    .next_sub = pb_command_next_sub,
    .error = write_error,
    .refusal = write_refusal,
    .empty = write_empty,
    .connect = write_connect,
    .subscribe = write_subscribe,
    .history = write_history,
    .presence = write_presence,
    .presence_stats = write_presence_stats,
    .rpc = write_rpc,
    .refresh = write_refresh,
    .sub_refresh = write_sub_refresh,
    .push_record = write_push_record,
    .push_unsubscribe = write_push_unsubscribe,
    .push_disconnect = write_push_disconnect,
    .push_move = write_push_move,
    .push_subscribe = write_push_subscribe,
    .push_message = write_push_message,
    .push_refresh = write_push_refresh,
    .sub = write_sub,
    .publication = write_publication,
    .member = write_member,
};
