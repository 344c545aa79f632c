/*
 * pb_command.c: the commands of Centrifuge clients in Protobuf.
 *
 * Which field of which command is what, told once in a table, as command.c does
 * for JSON; and as there, whatever is wrong with a field is remembered and the
 * reading goes on, for the id may come last. A field that may be there once and
 * is there twice is wrong, whatever others make of it.
 */
#include "proto/codec_protobuf.h"

#include "proto/json.h"
#include "proto/pb.h"

#define ON(method) (1u << COMMAND_##method)
#define IN_SINCE (1u << 31) /* the message `since` of history */
#define IN_SUB (1u << 30)   /* an entry of the map `subs` of connect */
#define NUMBER_ID 1
#define NUMBER_SUBS 3  /* of ConnectRequest: any number of them */
#define NUMBERS_MAX 32 /* of known fields: the seen ones are bits */

enum kind {
    KIND_TEXT,       /* slice: UTF-8 without control characters */
    KIND_JSON,       /* slice of JSON */
    KIND_FLAG,       /* bool */
    KIND_OFFSET,     /* uint64_t */
    KIND_U32,        /* uint32_t */
    KIND_I64,        /* int64_t */
    KIND_SINCE,      /* a message to be read after its parent */
    KIND_IS_MESSAGE, /* bool: a message was there */
};

static const struct field {
    uint32_t where; /* bits of ON(method), IN_SINCE */
    uint32_t number;
    enum kind kind;
    size_t at; /* in struct command */
} fields[] = {
#define FIELD(number, kind, member, where)                                                         \
    {                                                                                              \
        where, number, KIND_##kind, offsetof(struct command, member)                               \
    }
    FIELD(1, TEXT, channel,
          ON(PUBLISH) | ON(SUBSCRIBE) | ON(UNSUBSCRIBE) | ON(PRESENCE) | ON(PRESENCE_STATS) |
              ON(HISTORY) | ON(SUB_REFRESH)),
    FIELD(2, JSON, data, ON(PUBLISH) | ON(CONNECT)),
    FIELD(1, JSON, data, ON(SEND) | ON(RPC)),
    FIELD(8, JSON, data, ON(SUBSCRIBE)),
    FIELD(1, TEXT, token, ON(CONNECT) | ON(REFRESH)),
    FIELD(2, TEXT, token, ON(SUBSCRIBE) | ON(SUB_REFRESH)),
    FIELD(4, TEXT, name, ON(CONNECT)),
    FIELD(2, TEXT, name, ON(RPC)),
    FIELD(5, TEXT, version, ON(CONNECT)),
    FIELD(3, FLAG, recover, ON(SUBSCRIBE) | IN_SUB),
    FIELD(6, TEXT, epoch, ON(SUBSCRIBE) | IN_SUB),
    FIELD(7, OFFSET, offset, ON(SUBSCRIBE) | IN_SUB),
    FIELD(9, FLAG, positioned, ON(SUBSCRIBE)),
    FIELD(10, FLAG, recoverable, ON(SUBSCRIBE)),
    FIELD(11, FLAG, join_leave, ON(SUBSCRIBE)),
    FIELD(12, TEXT, delta, ON(SUBSCRIBE)),
    FIELD(13, IS_MESSAGE, has_filter, ON(SUBSCRIBE)),
    FIELD(14, U32, flag, ON(SUBSCRIBE)),
    FIELD(15, U32, type, ON(SUBSCRIBE)),
    FIELD(7, I64, limit, ON(HISTORY)),
    FIELD(8, SINCE, has_since, ON(HISTORY)),
    FIELD(9, FLAG, reverse, ON(HISTORY)),
    FIELD(1, OFFSET, offset, IN_SINCE),
    FIELD(2, TEXT, epoch, IN_SINCE),
#undef FIELD
};

struct reader {
    struct command *out;
    struct slice since;
    bool is_bad;
};

static const struct field *field_of(uint32_t number, uint32_t where)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (fields[i].number == number && (fields[i].where & where) != 0) {
            return &fields[i];
        }
    }
    return NULL;
}

static enum pb_type type_of(enum kind kind)
{
    switch (kind) {
    case KIND_TEXT:
    case KIND_JSON:
    case KIND_SINCE:
    case KIND_IS_MESSAGE:
        return PB_BYTES;
    case KIND_FLAG:
    case KIND_OFFSET:
    case KIND_U32:
    case KIND_I64:
        break;
    }
    return PB_VARINT;
}

/* One JSON value, without the white space around it. JSON clients get it as it stands. */
static bool set_json(struct slice bytes, struct slice *value)
{
    *value = json_trim(bytes);
    return bytes.size == 0 || json_is_valid(*value, PAYLOAD_DEPTH_MAX);
}

/* False: the value is none of this kind. */
static bool set_field(struct reader *r, const struct field *f, const struct pb_field *value)
{
    void *to = (char *)r->out + f->at;

    switch (f->kind) {
    case KIND_TEXT:
        *(struct slice *)to = value->bytes;
        return text_is_clean(value->bytes);
    case KIND_JSON:
        return set_json(value->bytes, to);
    case KIND_FLAG:
        *(bool *)to = value->value != 0;
        return true;
    case KIND_OFFSET:
        *(uint64_t *)to = value->value;
        return value->value <= OFFSET_MAX;
    case KIND_U32:
        *(uint32_t *)to = (uint32_t)value->value;
        return value->value <= UINT32_MAX;
    case KIND_I64:
        *(int64_t *)to = (int64_t)value->value;
        return true;
    case KIND_SINCE:
        *(bool *)to = true;
        r->since = value->bytes;
        return true;
    case KIND_IS_MESSAGE:
        *(bool *)to = true;
        return true;
    }
    return false;
}

/* Reads the fields of a message. False: not Protobuf. */
static bool read_fields(struct reader *r, struct slice message, uint32_t where)
{
    struct pb_field value;
    uint32_t seen = 0;
    int answer;

    while ((answer = pb_next(&message, &value)) == 0) {
        const struct field *f = field_of(value.number, where);

        if (f == NULL) {
            continue;
        }
        assert(f->number < NUMBERS_MAX);
        if ((seen & 1u << f->number) != 0 || value.type != type_of(f->kind) ||
            !set_field(r, f, &value)) {
            r->is_bad = true;
        }
        seen |= 1u << f->number;
    }
    return answer == PB_END;
}

static enum command_method method_of(uint32_t number)
{
    static const struct {
        uint32_t number;
        enum command_method method;
    } methods[] = {
#define METHOD(name, text, command_number, reply_number) {command_number, COMMAND_##name},
#include "proto/method.def"
    };

    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (methods[i].number == number) {
            return methods[i].method;
        }
    }
    return COMMAND_UNKNOWN;
}

/* What stands at the top: the id, and which method. */
struct top {
    bool has_id, has_bad_id;
    size_t known, unknown; /* methods */
};

static void read_id(struct reader *r, struct top *t, const struct pb_field *value)
{
    if (t->has_id || value->type != PB_VARINT || value->value > UINT32_MAX) {
        t->has_bad_id = true;
    }
    t->has_id = true;
    r->out->id = (uint32_t)value->value;
}

/* False: not Protobuf. */
static bool read_method(struct reader *r, struct top *t, const struct pb_field *value)
{
    enum command_method method = method_of(value->number);

    if (method == COMMAND_UNKNOWN) {
        t->unknown += value->type == PB_BYTES;
        return true;
    }
    t->known++;
    r->out->method = method;
    if (value->type != PB_BYTES) {
        r->is_bad = true;
        return true;
    }
    if (method == COMMAND_CONNECT) {
        r->out->subs = value->bytes;
    }
    return read_fields(r, value->bytes, 1u << method);
}

static int read_command(struct slice message, struct command *out)
{
    struct reader r = {.out = out};
    struct top t = {.known = 0};
    struct pb_field value;
    int answer;

    *out = (struct command){.method = COMMAND_UNKNOWN};
    if (message.size == 0) {
        out->method = COMMAND_PONG;
        return 0;
    }
    while ((answer = pb_next(&message, &value)) == 0) {
        if (value.number == NUMBER_ID) {
            read_id(&r, &t, &value);
        } else if (!read_method(&r, &t, &value)) {
            return COMMAND_MALFORMED;
        }
    }
    if (answer != PB_END || t.has_bad_id || t.known > 1 || (t.known == 0 && t.unknown != 1) ||
        (out->id == 0 && out->method != COMMAND_SEND)) {
        return COMMAND_MALFORMED;
    }
    if (!r.is_bad && !read_fields(&r, r.since, IN_SINCE)) {
        return COMMAND_MALFORMED;
    }
    return r.is_bad ? COMMAND_BAD : 0;
}

/* An entry of a map: the key, the value. False: not Protobuf, or not of these kinds. */
static bool read_entry(struct slice entry, struct slice *key, struct slice *value)
{
    struct pb_field field;
    int answer;

    *key = *value = SLICE_NONE;
    while ((answer = pb_next(&entry, &field)) == 0) {
        if (field.number == 1 || field.number == 2) {
            if (field.type != PB_BYTES) {
                return false;
            }
            *(field.number == 1 ? key : value) = field.bytes;
        }
    }
    return answer == PB_END && text_is_clean(*key);
}

int pb_command_next_sub(struct slice *subs, struct buf *texts, struct command_sub *out)
{
    struct command c = {.method = COMMAND_CONNECT};
    struct reader r = {.out = &c};
    struct pb_field field = {.number = 0};
    struct slice value;
    int answer = 0;

    (void)texts; /* texts stay where they are */
    while (field.number != NUMBER_SUBS && (answer = pb_next(subs, &field)) == 0) {
    }
    if (answer == PB_END) {
        return COMMAND_END;
    }
    if (answer != 0 || field.type != PB_BYTES || !read_entry(field.bytes, &out->channel, &value) ||
        !read_fields(&r, value, IN_SUB) || r.is_bad) {
        return COMMAND_BAD;
    }
    out->epoch = c.epoch;
    out->offset = c.offset;
    out->recover = c.recover;
    return 0;
}

int pb_command_next(struct slice *rest, struct buf *texts, struct command *out)
{
    struct slice message;

    buf_clear(texts); /* texts stay where they are */
    switch (pb_next_message(rest, &message)) {
    case PB_END:
        return COMMAND_END;
    case PB_BROKEN:
        *rest = SLICE_NONE;
        *out = (struct command){.method = COMMAND_UNKNOWN};
        return COMMAND_MALFORMED;
    }
    return read_command(message, out);
}
