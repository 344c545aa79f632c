/*
 * reply_plain.c: what clients of the plain dialect are told.
 */
#include <inttypes.h>

#include "proto/json.h"
#include "proto/reply.h"

void reply_plain_error(struct buf *out, enum reply_error code)
{
    struct reply_error_text e = reply_error_text(code);

    reply_plain_refusal(out, &(struct reply_refusal){.code = code,
                                                     .text = slice_of(e.text),
                                                     .is_temporary = e.is_temporary,
                                                     .retry_after_s = e.retry_after_s});
}

void reply_plain_refusal(struct buf *out, const struct reply_refusal *r)
{
    buf_addf(out, "{\"error\":{\"code\":%u,\"message\":\"", r->code);
    json_escape(out, r->text);
    buf_addf(out, "\"%s", r->is_temporary ? ",\"temporary\":true" : "");
    if (r->retry_after_s > 0) {
        buf_addf(out, ",\"retry_after\":%" PRIu32, r->retry_after_s);
    }
    buf_add_lit(out, "}}");
}

void reply_plain_move(struct buf *out, const struct reply_move *m)
{
    buf_addf(out, "{\"event\":\"%s\",\"user\":\"", m->left ? "leave" : "join");
    buf_add_slice(out, m->member.user);
    buf_add_lit(out, "\",\"client\":\"");
    buf_add_slice(out, m->member.client);
    buf_add_char(out, '"');
    if (m->member.info.size > 0) {
        buf_add_lit(out, ",\"info\":");
        buf_add_slice(out, m->member.info);
    }
    buf_add_char(out, '}');
}

void reply_plain_message(struct buf *out, struct slice data)
{
    buf_add_lit(out, "{\"event\":\"message\",\"data\":");
    buf_add_slice(out, data);
    buf_add_char(out, '}');
}

void reply_plain_entered(struct buf *out, struct slice room)
{
    buf_add_lit(out, "{\"event\":\"entered\",\"room\":\"");
    buf_add_slice(out, room);
    buf_add_lit(out, "\"}");
}

/* A key may be written with escapes, and stands for the same name. */
static bool key_is(struct slice key, struct slice name)
{
    if (memchr(key.at, '\\', key.size) == NULL) {
        return slice_equal(key, name);
    }
    struct buf plain = BUF_EMPTY;
    json_unescape(&plain, key);
    bool is_same = slice_equal(buf_slice(&plain), name);
    buf_deinit(&plain);
    return is_same;
}

bool reply_plain_looks_ours(struct slice payload)
{
    struct json_object o;
    struct json_member m;

    /* Most have neither word in them, and nothing that could be another way to write it. */
    if (memmem(payload.at, payload.size, "event\"", 6) == NULL &&
        memmem(payload.at, payload.size, "error\"", 6) == NULL &&
        memchr(payload.at, '\\', payload.size) == NULL) {
        return false;
    }
    if (!json_object_open(&o, payload)) {
        return false;
    }
    while (json_object_next(&o, &m)) {
        if (key_is(m.key, SLICE_LIT("event")) || key_is(m.key, SLICE_LIT("error"))) {
            return true;
        }
    }
    return false;
}

void reply_plain_publication(struct buf *out, struct slice payload)
{
    buf_add_lit(out, "{\"event\":\"publication\",\"data\":");
    buf_add_slice(out, payload);
    buf_add_char(out, '}');
}

static void add_username(struct buf *out, struct slice user)
{
    buf_add_char(out, '"');
    buf_add_slice(out, user);
    buf_add_char(out, '"');
}

void plain_with_username(struct buf *out, struct slice payload, struct slice user)
{
    const char *at = payload.at; /* what is before it was written */
    const char *last = payload.at + payload.size;
    struct json_object o;
    struct json_member m;
    bool was_there = false, is_empty = true;

    if (user.size == 0) {
        json_add_flat(out, payload);
        return;
    }
    size_t start = out->size;
    bool is_object = json_object_open(&o, payload);
    assert(is_object);
    while (json_object_next(&o, &m)) {
        is_empty = false;
        if (key_is(m.key,
                   SLICE_LIT("username"))) { /* every one: readers differ in whom they believe */
            json_add_flat(out, (struct slice){at, (size_t)(m.value.at - at)});
            add_username(out, user);
            at = m.value.at + m.value.size;
            was_there = true;
        }
    }
    if (!was_there) {
        at = (const char *)memchr(at, '{', payload.size) + 1;
        buf_add_lit(out, "{\"username\":");
        add_username(out, user);
        if (!is_empty) {
            buf_add_char(out, ',');
        }
    }
    json_add_flat(out, (struct slice){at, (size_t)(last - at)});
    assert(out->size > start);
}
