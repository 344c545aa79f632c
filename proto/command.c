/*
 * command.c: the commands of Centrifuge clients and their members, told once
 * in two tables; read in one pass.
 *
 * Whatever is wrong with a member is remembered and the reading goes on, for
 * the id may come last.
 */
#include "proto/command.h"

#include "proto/json.h"
#include "proto/scan.h"

#define ON(method) (1u << COMMAND_##method)
#define IN_SINCE (1u << 31) /* the object `since` of history */
#define IN_SUB (1u << 30)   /* a member of `subs` of connect */

static const struct {
    struct slice name;
    enum command_method method;
} methods[] = {
#define METHOD(method, name, command_number, reply_number)                                         \
    {{name, sizeof(name) - 1}, COMMAND_##method},
#include "proto/method.def"
};

enum kind {
    KIND_TEXT,     /* slice, unescaped */
    KIND_RAW,      /* slice of JSON */
    KIND_FLAG,     /* bool */
    KIND_OFFSET,   /* uint64_t */
    KIND_U32,      /* uint32_t */
    KIND_I64,      /* int64_t */
    KIND_SINCE,    /* an object to be read after its parent */
    KIND_OBJECT,   /* slice of JSON: an object */
    KIND_IS_THERE, /* bool: an object was there */
};

static const struct field {
    struct slice name;
    uint32_t where; /* bits of ON(method), IN_SINCE */
    enum kind kind;
    size_t at; /* in struct command */
} fields[] = {
#define FIELD(name, kind, member, where)                                                           \
    {                                                                                              \
        {name, sizeof(name) - 1}, where, KIND_##kind, offsetof(struct command, member)             \
    }
    FIELD("channel", TEXT, channel,
          ON(PUBLISH) | ON(SUBSCRIBE) | ON(UNSUBSCRIBE) | ON(PRESENCE) | ON(PRESENCE_STATS) |
              ON(HISTORY) | ON(SUB_REFRESH)),
    FIELD("data", RAW, data, ON(PUBLISH) | ON(CONNECT) | ON(SUBSCRIBE) | ON(SEND) | ON(RPC)),
    FIELD("idempotency_key", TEXT, key, ON(PUBLISH)),
    FIELD("token", TEXT, token, ON(CONNECT) | ON(SUBSCRIBE) | ON(REFRESH) | ON(SUB_REFRESH)),
    FIELD("name", TEXT, name, ON(CONNECT)),
    FIELD("version", TEXT, version, ON(CONNECT)),
    FIELD("subs", OBJECT, subs, ON(CONNECT)),
    FIELD("method", TEXT, name, ON(RPC)),
    FIELD("recover", FLAG, recover, ON(SUBSCRIBE) | IN_SUB),
    FIELD("epoch", TEXT, epoch, ON(SUBSCRIBE) | IN_SINCE | IN_SUB),
    FIELD("offset", OFFSET, offset, ON(SUBSCRIBE) | IN_SINCE | IN_SUB),
    FIELD("positioned", FLAG, positioned, ON(SUBSCRIBE)),
    FIELD("recoverable", FLAG, recoverable, ON(SUBSCRIBE)),
    FIELD("join_leave", FLAG, join_leave, ON(SUBSCRIBE)),
    FIELD("flag", U32, flag, ON(SUBSCRIBE)),
    FIELD("type", U32, type, ON(SUBSCRIBE)),
    FIELD("delta", TEXT, delta, ON(SUBSCRIBE)),
    FIELD("tf", IS_THERE, has_filter, ON(SUBSCRIBE)),
    FIELD("since", SINCE, has_since, ON(HISTORY)),
    FIELD("limit", I64, limit, ON(HISTORY)),
    FIELD("reverse", FLAG, reverse, ON(HISTORY)),
#undef FIELD
};

struct reader {
    struct scan scan;
    struct command *out;
    struct buf *texts;
    size_t texts_max;   /* all unescaped texts together take no more */
    struct slice since; /* raw, empty when absent */
    bool is_bad;
};

/* The keys of one object. */
struct keys {
    struct slice at[COMMAND_MEMBERS_MAX];
    size_t count;
};

/* False: it was there before, or there are too many. */
static bool keys_add(struct reader *r, struct keys *k, struct slice key)
{
    for (size_t i = 0; i < k->count; i++) {
        if (slice_equal(k->at[i], key)) {
            return false;
        }
    }
    if (k->count == COMMAND_MEMBERS_MAX) {
        r->out->is_wide = true;
        return false;
    }
    k->at[k->count++] = key;
    return true;
}

static const struct field *field_of(struct slice key, uint32_t where)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if ((fields[i].where & where) != 0 && slice_equal(fields[i].name, key)) {
            return &fields[i];
        }
    }
    return NULL;
}

static enum command_method method_of(struct slice key)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (slice_equal(methods[i].name, key)) {
            return methods[i].method;
        }
    }
    return COMMAND_UNKNOWN;
}

/* A text without escapes stays where it is. */
static bool set_text(struct reader *r, struct slice value, struct slice *text)
{
    if (!json_is_string(value)) {
        return false;
    }
    *text = json_inside(value);
    if (text->size == 0 || memchr(text->at, '\\', text->size) == NULL) {
        return true;
    }
    if ((r->scan.faults & SCAN_REFUSED) != 0) {
        return false;
    }
    if (r->texts->size == 0) {
        (void)buf_reserve(r->texts, r->texts_max); /* from here on it does not move */
    }
    size_t start = r->texts->size;
    json_unescape(r->texts, *text);
    *text = (struct slice){r->texts->at + start, r->texts->size - start};
    return true;
}

static bool set_u32(struct slice value, uint32_t *number)
{
    uint64_t wide;

    if (!json_u64(value, &wide) || wide > UINT32_MAX) {
        return false;
    }
    *number = (uint32_t)wide;
    return true;
}

/* False: the value is of the wrong kind. */
static bool set_field(struct reader *r, const struct field *f, struct slice value)
{
    void *to = (char *)r->out + f->at;

    switch (f->kind) {
    case KIND_TEXT:
        return set_text(r, value, to);
    case KIND_RAW:
        *(struct slice *)to = value;
        return true;
    case KIND_FLAG:
        return json_bool(value, to);
    case KIND_OFFSET:
        return json_u64(value, to) && *(uint64_t *)to <= OFFSET_MAX;
    case KIND_U32:
        return set_u32(value, to);
    case KIND_I64:
        return json_i64(value, to);
    case KIND_SINCE:
        *(bool *)to = true;
        r->since = value;
        return json_is_object(value);
    case KIND_OBJECT:
        *(struct slice *)to = value;
        return json_is_object(value);
    case KIND_IS_THERE:
        *(bool *)to = true;
        return json_is_object(value);
    }
    return false;
}

/* Reads an object's members. `levels`: of values that are no payload. False: not JSON. */
static bool read_object(struct reader *r, uint32_t where, int levels)
{
    struct keys keys = {.count = 0};
    struct slice key, value;
    bool is_first = true;
    int answer;

    if (!scan_enter(&r->scan)) {
        return false;
    }
    while ((answer = scan_key(&r->scan, &is_first, &key)) == SCAN_MEMBER) {
        const struct field *f = field_of(key, where);
        bool is_payload = f != NULL && f->kind == KIND_RAW;

        if (!scan_value(&r->scan, is_payload ? PAYLOAD_DEPTH_MAX : levels, &value)) {
            return false;
        }
        if (!keys_add(r, &keys, key) || (f != NULL && !set_field(r, f, value))) {
            r->is_bad = true;
        }
    }
    return answer == SCAN_CLOSED;
}

/* What stands at the top: the id, and which method. */
struct top {
    struct keys keys;
    bool has_bad_id;
    size_t known, unknown; /* methods */
};

static bool read_id(struct reader *r, struct top *t, bool is_repeated)
{
    struct slice value;

    if (!scan_value(&r->scan, JSON_DEPTH_MAX - 1, &value)) {
        return false;
    }
    if (is_repeated || !set_u32(value, &r->out->id)) {
        t->has_bad_id = true;
    }
    return true;
}

static bool read_method(struct reader *r, struct top *t, enum command_method method,
                        bool is_repeated)
{
    struct slice ignored;

    if (method == COMMAND_UNKNOWN) {
        t->unknown++;
        return scan_value(&r->scan, JSON_DEPTH_MAX - 1, &ignored);
    }
    if (is_repeated || scan_peek(&r->scan) != '{') {
        t->known += !is_repeated;
        r->out->method = method;
        r->is_bad = true;
        return scan_value(&r->scan, SCAN_LEVELS_MAX, &ignored);
    }
    t->known++;
    r->out->method = method;
    return read_object(r, 1u << method, JSON_DEPTH_MAX - 2);
}

/* False: not an object, or not JSON. */
static bool read_top(struct reader *r, struct top *t)
{
    struct slice key;
    bool is_first = true;
    int answer;

    if (!scan_enter(&r->scan)) {
        return false;
    }
    while ((answer = scan_key(&r->scan, &is_first, &key)) == SCAN_MEMBER) {
        bool is_repeated = !keys_add(r, &t->keys, key);

        r->is_bad |= is_repeated;
        if (slice_equal(key, SLICE_LIT("id")) ? !read_id(r, t, is_repeated)
                                              : !read_method(r, t, method_of(key), is_repeated)) {
            return false;
        }
    }
    return answer == SCAN_CLOSED && scan_is_done(&r->scan);
}

static void read_since(struct reader *r)
{
    struct reader inner = *r;

    inner.scan = scan_of(r->since);
    bool is_json = read_object(&inner, IN_SINCE, JSON_DEPTH_MAX - 3);
    assert(is_json); /* it was scanned as a value before */
    r->is_bad |= inner.is_bad;
}

static int read_command(struct slice line, struct buf *texts, struct command *out)
{
    struct reader r = {.scan = scan_of(line), .out = out, .texts = texts, .texts_max = line.size};
    struct top t = {.known = 0};

    *out = (struct command){.method = COMMAND_UNKNOWN};
    if (!read_top(&r, &t) || t.has_bad_id) {
        return COMMAND_MALFORMED;
    }
    if (t.keys.count == 0) {
        out->method = COMMAND_PONG;
        return 0;
    }
    if (t.known > 1 || (t.known == 0 && t.unknown != 1) ||
        (out->id == 0 && out->method != COMMAND_SEND)) {
        return COMMAND_MALFORMED;
    }
    out->is_deep = (r.scan.faults & SCAN_DEEP) != 0;
    if (!r.is_bad && (r.scan.faults & SCAN_REFUSED) == 0 && r.since.size > 0) {
        read_since(&r);
    }
    return r.is_bad || (r.scan.faults & SCAN_REFUSED) != 0 ? COMMAND_BAD : 0;
}

int command_publish_of(const struct command *rpc, struct buf *texts, struct command *out)
{
    struct reader r = {
        .scan = scan_of(rpc->data), .out = out, .texts = texts, .texts_max = rpc->data.size};

    *out = (struct command){.method = COMMAND_PUBLISH, .id = rpc->id};
    if (!json_is_object(rpc->data)) {
        return COMMAND_BAD;
    }
    /* It was scanned as a value before, but with room for deeper ones. */
    bool is_good = read_object(&r, ON(PUBLISH), JSON_DEPTH_MAX - 3) && !r.is_bad &&
                   (r.scan.faults & SCAN_REFUSED) == 0;
    return is_good ? 0 : COMMAND_BAD;
}

int command_next_sub(struct slice *subs, struct buf *texts, struct command_sub *out)
{
    struct command c = {.method = COMMAND_CONNECT};
    struct reader r = {.out = &c, .texts = texts, .texts_max = subs->size};
    struct json_object o;
    struct json_member m;

    if (subs->size == 0) {
        return COMMAND_END;
    }
    o = (struct json_object){.at = subs->at, .end = subs->at + subs->size, .first = false};
    if (*subs->at == '{') {
        bool is_object = json_object_open(&o, *subs);
        assert(is_object); /* it was scanned before */
    }
    if (!json_object_next(&o, &m)) {
        *subs = SLICE_NONE;
        return COMMAND_END;
    }
    *subs = (struct slice){o.at, (size_t)(o.end - o.at)};
    if (!json_is_object(m.value) ||
        !set_text(&r, (struct slice){m.key.at - 1, m.key.size + 2}, &out->channel)) {
        return COMMAND_BAD;
    }
    r.scan = scan_of(m.value);
    if (!read_object(&r, IN_SUB, JSON_DEPTH_MAX - 3) || r.is_bad ||
        (r.scan.faults & SCAN_REFUSED) != 0) {
        return COMMAND_BAD;
    }
    out->epoch = c.epoch;
    out->offset = c.offset;
    out->recover = c.recover;
    return 0;
}

int command_next(struct slice *rest, struct buf *texts, struct command *out)
{
    buf_clear(texts);
    while (rest->size > 0) {
        const char *end = memchr(rest->at, '\n', rest->size);
        struct slice line = {rest->at, end != NULL ? (size_t)(end - rest->at) : rest->size};
        size_t taken = line.size + (end != NULL);
        struct scan blank = scan_of(line);

        rest->at += taken;
        rest->size -= taken;
        if (!scan_is_done(&blank)) {
            return read_command(line, texts, out);
        }
    }
    return COMMAND_END;
}
