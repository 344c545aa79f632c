/*
 * reply.c: documents for Centrifuge clients in JSON.
 *
 * Members that are zero or empty are left out, but for those that SDKs insist
 * on. Room names need no escapes (room.h); users come with theirs.
 */
#include "proto/reply.h"

#include "proto/codec.h"
#include "proto/json.h"
#include "proto/put.h"

/* LF between the documents of a message. */
static void separate(struct buf *out)
{
    if (out->size > 0) {
        buf_add_char(out, '\n');
    }
}

/* {"id":N,"<method>":{ and the id is left out when it is 0. */
static void begin(struct buf *out, uint32_t id, const char *method)
{
    separate(out);
    buf_add_char(out, '{');
    if (id > 0) {
        buf_add_lit(out, "\"id\":");
        buf_add_u64(out, id);
        buf_add_char(out, ',');
    }
    buf_add_char(out, '"');
    buf_add_slice(out, slice_of(method));
    buf_add_lit(out, "\":{");
}

static void end(struct buf *out)
{
    buf_add_lit(out, "}}");
}

/* {"id":N,"error":{...}} */
static void write_refusal(struct buf *out, uint32_t id, const struct reply_refusal *r)
{
    begin(out, id, "error");
    buf_add_lit(out, "\"code\":");
    buf_add_u64(out, r->code);
    buf_add_lit(out, ",\"message\":\"");
    json_escape(out, r->text);
    buf_add_char(out, '"');
    if (r->is_temporary) {
        buf_add_lit(out, ",\"temporary\":true");
    }
    if (r->retry_after_s > 0) {
        buf_add_lit(out, ",\"retry_after\":");
        buf_add_u64(out, r->retry_after_s);
    }
    end(out);
}

static void write_error(struct buf *out, uint32_t id, enum reply_error code)
{
    struct reply_error_text e = reply_error_text(code);

    write_refusal(out, id,
                  &(struct reply_refusal){.code = code,
                                          .text = slice_of(e.text),
                                          .is_temporary = e.is_temporary,
                                          .retry_after_s = e.retry_after_s});
}

/* {"id":N,"<method>":{}} */
static void write_empty(struct buf *out, uint32_t id, enum command_method method)
{
    static const char *const names[] = {
#define METHOD(name, text, command, reply) [COMMAND_##name] = text,
#include "proto/method.def"
    };

    assert(method < ARRAY_LEN(names) && names[method] != NULL);
    begin(out, id, names[method]);
    end(out);
}

/* {"id":N,"rpc":{"data":..}} */
static void write_rpc(struct buf *out, uint32_t id, struct slice data)
{
    begin(out, id, "rpc");
    buf_add_lit(out, "\"data\":");
    buf_add_slice(out, data);
    end(out);
}

/* A member, and the comma before it unless it is the first of its object. */
static void add_name(struct buf *out, struct slice name)
{
    if (out->at[out->size - 1] != '{') {
        buf_add_char(out, ',');
    }
    buf_add_char(out, '"');
    buf_add_slice(out, name);
    buf_add_lit(out, "\":");
}

static void add_flag(struct buf *out, struct slice name, bool is_set)
{
    if (is_set) {
        add_name(out, name);
        buf_add_lit(out, "true");
    }
}

/* `expires` never goes without `ttl`: SDKs would refresh in a storm. */
static void add_expiry(struct buf *out, bool expires, uint32_t ttl_s)
{
    if (expires) {
        add_flag(out, SLICE_LIT("expires"), true);
        add_name(out, SLICE_LIT("ttl"));
        buf_add_u64(out, MAX(ttl_s, 1));
    }
}

static void add_raw(struct buf *out, struct slice name, struct slice value)
{
    if (value.size > 0) {
        add_name(out, name);
        buf_add_slice(out, value);
    }
}

static void write_connect(struct buf *out, uint32_t id, const struct reply_connect *r)
{
    begin(out, id, "connect");
    buf_add_lit(out, "\"client\":\"");
    buf_add_slice(out, r->client);
    buf_add_lit(out, "\",\"version\":\"");
    buf_add_slice(out, r->version);
    buf_add_char(out, '"');
    if (r->ping_s > 0) {
        buf_add_lit(out, ",\"ping\":");
        buf_add_u64(out, r->ping_s);
        buf_add_lit(out, ",\"pong\":true");
    }
    add_expiry(out, r->expires, r->ttl_s);
    add_raw(out, SLICE_LIT("data"), r->data);
    if (r->subs.size > 0) {
        buf_add_lit(out, ",\"subs\":{");
        buf_add_slice(out, r->subs);
        buf_add_char(out, '}');
    }
    end(out);
}

/* {"id":N,"refresh":{"client":"..","version":"..","expires":true,"ttl":N}} */
static void write_refresh(struct buf *out, uint32_t id, const struct reply_refresh *r)
{
    begin(out, id, "refresh");
    buf_add_lit(out, "\"client\":\"");
    buf_add_slice(out, r->client);
    buf_add_lit(out, "\",\"version\":\"");
    buf_add_slice(out, r->version);
    buf_add_char(out, '"');
    add_expiry(out, r->expires, r->ttl_s);
    end(out);
}

/* {"id":N,"sub_refresh":{"expires":true,"ttl":N}} */
static void write_sub_refresh(struct buf *out, uint32_t id, const struct reply_refresh *r)
{
    begin(out, id, "sub_refresh");
    add_expiry(out, r->expires, r->ttl_s);
    end(out);
}

/* The members of a subscribe result, and of all that are like one. */
static void add_subscribed(struct buf *out, const struct reply_subscribe *r)
{
    add_expiry(out, r->expires, r->ttl_s);
    add_flag(out, SLICE_LIT("recoverable"), r->recoverable);
    add_flag(out, SLICE_LIT("positioned"), r->recoverable);
    if (r->epoch.size > 0) {
        add_name(out, SLICE_LIT("epoch"));
        buf_add_char(out, '"');
        buf_add_slice(out, r->epoch);
        buf_add_char(out, '"');
    }
    if (r->offset > 0) {
        add_name(out, SLICE_LIT("offset"));
        buf_add_u64(out, r->offset);
    }
    add_flag(out, SLICE_LIT("recovered"), r->recovered);
    add_flag(out, SLICE_LIT("was_recovering"), r->was_recovering);
    if (r->publications.size > 0) {
        add_name(out, SLICE_LIT("publications"));
        buf_add_char(out, '[');
        buf_add_slice(out, r->publications);
        buf_add_char(out, ']');
    }
    add_raw(out, SLICE_LIT("data"), r->data);
}

static void write_subscribe(struct buf *out, uint32_t id, const struct reply_subscribe *r)
{
    begin(out, id, "subscribe");
    add_subscribed(out, r);
    end(out);
}

/* "<room>":{..} */
static void write_sub(struct buf *list, struct slice room, const struct reply_subscribe *r)
{
    if (list->size > 0) {
        buf_add_char(list, ',');
    }
    buf_add_char(list, '"');
    buf_add_slice(list, room);
    buf_add_lit(list, "\":{");
    add_subscribed(list, r);
    buf_add_char(list, '}');
}

/* Bytes of a publication and of the push around it, beside texts and payload; the NUL's is for what
 * separates it from the one before. */
#define PUBLICATION_FRAMING                                                                        \
    (sizeof("{'push':{'channel':'','pub':{'data':,'info':{'user':'','client':'','conn_info':,'"    \
            "chan_info':},"                                                                        \
            "'offset':,'time':}}}") +                                                              \
     2 * PUT_DIGITS_MAX)

static size_t publication_size(const struct record *r)
{
    return PUBLICATION_FRAMING + r->room.size + r->user.size + r->client.size + r->info.size +
           r->chan_info.size + r->payload.size;
}

/* {"user":"..","client":"..","conn_info":{..},"chan_info":{..}}: the first two are always there. */
static char *put_sender(char *to, struct slice user, struct slice client, struct slice info,
                        struct slice chan_info)
{
    to = put_lit(to, "{\"user\":\"");
    to = put_slice(to, user);
    to = put_lit(to, "\",\"client\":\"");
    to = put_slice(to, client);
    *to++ = '"';
    if (info.size > 0) {
        to = put_lit(to, ",\"conn_info\":");
        to = put_slice(to, info);
    }
    if (chan_info.size > 0) {
        to = put_lit(to, ",\"chan_info\":");
        to = put_slice(to, chan_info);
    }
    *to++ = '}';
    return to;
}

/* Bytes that put_member() may need. */
static size_t member_size(const struct reply_member *m)
{
    return PUBLICATION_FRAMING + 2 * m->client.size + m->user.size + m->info.size +
           m->chan_info.size;
}

static char *put_member(char *to, const struct reply_member *m)
{
    return put_sender(to, m->user, m->client, m->info, m->chan_info);
}

static char *put_publication(char *to, const struct record *r)
{
    to = put_lit(to, "{\"data\":");
    to = put_slice(to, r->payload);
    if (record_has_sender(r)) {
        to = put_lit(to, ",\"info\":");
        to = put_sender(to, r->user, r->client, r->info, r->chan_info);
    }
    if (r->offset > 0) {
        to = put_lit(to, ",\"offset\":");
        to = put_u64(to, r->offset);
    }
    if (r->time != 0) {
        to = put_lit(to, ",\"time\":");
        to = put_i64(to, r->time);
    }
    *to++ = '}';
    return to;
}

static void write_publication(struct buf *list, const struct record *r)
{
    char *start = buf_reserve(list, publication_size(r)), *to = start;

    if (list->size > 0) {
        *to++ = ',';
    }
    buf_grew(list, (size_t)(put_publication(to, r) - start));
}

/* {"push":{"channel":"..","pub":{..}}} */
static void write_push_record(struct buf *out, const struct record *r)
{
    char *start = buf_reserve(out, publication_size(r)), *to = start;

    if (out->size > 0) {
        *to++ = '\n';
    }
    to = put_lit(to, "{\"push\":{\"channel\":\"");
    to = put_slice(to, r->room);
    to = put_lit(to, "\",\"pub\":");
    to = put_publication(to, r);
    to = put_lit(to, "}}");
    buf_grew(out, (size_t)(to - start));
}

/* {"push":{"channel":"..","<kind>":{ */
static void begin_push(struct buf *out, struct slice room, const char *kind)
{
    separate(out);
    buf_add_lit(out, "{\"push\":{");
    if (room.size > 0) {
        buf_add_lit(out, "\"channel\":\"");
        buf_add_slice(out, room);
        buf_add_lit(out, "\",");
    }
    buf_add_char(out, '"');
    buf_add_slice(out, slice_of(kind));
    buf_add_lit(out, "\":{");
}

static void end_push(struct buf *out)
{
    buf_add_lit(out, "}}}");
}

/* {"push":{"channel":"..","unsubscribe":{"code":..,"reason":".."}}}: both are always there. */
static void write_push_unsubscribe(struct buf *out, struct slice room, uint32_t code,
                                   const char *reason)
{
    begin_push(out, room, "unsubscribe");
    buf_add_lit(out, "\"code\":");
    buf_add_u64(out, code);
    buf_add_lit(out, ",\"reason\":\"");
    json_escape(out, slice_of(reason));
    buf_add_char(out, '"');
    end_push(out);
}

/* {"push":{"disconnect":{"code":..,"reason":"..","reconnect":true}}} */
static void write_push_disconnect(struct buf *out, uint32_t code, const char *reason)
{
    begin_push(out, SLICE_NONE, "disconnect");
    buf_add_lit(out, "\"code\":");
    buf_add_u64(out, code);
    buf_add_lit(out, ",\"reason\":\"");
    json_escape(out, slice_of(reason));
    buf_addf(out, "\"%s", reply_comes_back(code) ? ",\"reconnect\":true" : "");
    end_push(out);
}

/* {"push":{"channel":"..","join":{"info":{..}}}} */
static void write_push_move(struct buf *out, const struct reply_move *m)
{
    begin_push(out, m->room, m->left ? "leave" : "join");
    buf_add_lit(out, "\"info\":");
    char *start = buf_reserve(out, member_size(&m->member));
    char *to = put_member(start, &m->member);
    buf_grew(out, (size_t)(to - start));
    end_push(out);
}

/* {"push":{"channel":"..","subscribe":{..}}} */
static void write_push_subscribe(struct buf *out, struct slice room,
                                 const struct reply_subscribe *r)
{
    begin_push(out, room, "subscribe");
    add_subscribed(out, r);
    end_push(out);
}

/* {"push":{"message":{"data":..}}} */
static void write_push_message(struct buf *out, struct slice data)
{
    begin_push(out, SLICE_NONE, "message");
    buf_add_lit(out, "\"data\":");
    buf_add_slice(out, data);
    end_push(out);
}

/* {"push":{"refresh":{"expires":true,"ttl":N}}} */
static void write_push_refresh(struct buf *out, const struct reply_refresh *r)
{
    begin_push(out, SLICE_NONE, "refresh");
    add_expiry(out, r->expires, r->ttl_s);
    end_push(out);
}

/* {"id":N,"history":{"publications":[..],"epoch":"..","offset":N}}: all are always there. */
static void write_history(struct buf *out, uint32_t id, const struct reply_history *r)
{
    begin(out, id, "history");
    buf_add_lit(out, "\"publications\":[");
    buf_add_slice(out, r->publications);
    buf_add_lit(out, "],\"epoch\":\"");
    buf_add_slice(out, r->epoch);
    buf_add_lit(out, "\",\"offset\":");
    buf_add_u64(out, r->offset);
    end(out);
}

/* {"id":N,"presence":{"presence":{..}}} */
static void write_presence(struct buf *out, uint32_t id, struct slice members)
{
    begin(out, id, "presence");
    buf_add_lit(out, "\"presence\":{");
    buf_add_slice(out, members);
    buf_add_char(out, '}');
    end(out);
}

/* "<client>":{"user":"..","client":"..","conn_info":{..}} */
static void write_member(struct buf *list, const struct reply_member *m)
{
    char *start = buf_reserve(list, member_size(m)), *to = start;

    if (list->size > 0) {
        *to++ = ',';
    }
    *to++ = '"';
    to = put_slice(to, m->client);
    to = put_lit(to, "\":");
    to = put_member(to, m);
    buf_grew(list, (size_t)(to - start));
}

/* {"id":N,"presence_stats":{"num_clients":N,"num_users":N}} */
static void write_presence_stats(struct buf *out, uint32_t id, const struct reply_presence_stats *r)
{
    begin(out, id, "presence_stats");
    buf_add_lit(out, "\"num_clients\":");
    buf_add_u64(out, r->clients);
    buf_add_lit(out, ",\"num_users\":");
    buf_add_u64(out, r->users);
    end(out);
}

const struct codec codec_json = {
    .id = CODEC_JSON,
    .is_binary = false,
    .ping = {"{}", 2},
    .next = command_next,
    .next_sub = command_next_sub,
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
