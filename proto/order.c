/*
 * order.c: the members of an order, told once; written and read by that table.
 */
#include "proto/order.h"

#include "proto/json.h"
#include "proto/put.h"
#include "proto/room.h"
#include "proto/scan.h"

enum kind {
    KIND_ROOM,   /* a string as room.h has it */
    KIND_PLAIN,  /* a string without escapes */
    KIND_TEXT,   /* a string: its inside */
    KIND_VALUE,  /* raw JSON */
    KIND_OBJECT, /* likewise, an object */
    KIND_U64,
    KIND_I64,
    KIND_FLAG,
};

/* In the order in which they are written, behind `do`. */
static const struct member {
    const char *name;
    size_t name_size;
    enum kind kind;
    size_t at;    /* in struct order */
    uint64_t max; /* bytes of a slice, or the greatest number */
} members[] = {
#define MEMBER(name, kind, max)                                                                    \
    {#name, sizeof(#name) - 1, KIND_##kind, offsetof(struct order, name), max},
    /* clang-format off */
    MEMBER(user, TEXT, USER_MAX)
    MEMBER(client, PLAIN, ID_MAX)
    MEMBER(room, ROOM, ROOM_NAME_MAX)
    MEMBER(address, PLAIN, ADDRESS_MAX)
    MEMBER(token, TEXT, TOKEN_ID_MAX)
    MEMBER(code, U64, UINT16_MAX)
    MEMBER(reason, TEXT, REASON_MAX)
    MEMBER(data, VALUE, PAYLOAD_CEILING)
    MEMBER(info, OBJECT, INFO_MAX)
    MEMBER(until, I64, 0)
    MEMBER(before, I64, 0)
    MEMBER(expired, FLAG, 0)
#undef MEMBER
    /* clang-format on */
};

static_assert(ARRAY_LEN(members) < 32, "a word can hold which members were there");

static const struct {
    const char *name;
    unsigned has; /* what must be there */
} kinds[] = {
#define ORDER(name, text, has) [ORDER_##name] = {text, has},
#include "proto/order.def"
};

/* Bytes of a member beside its text: name, quotes, colon, comma, the digits of a number. */
#define MEMBER_FRAMING (sizeof(",'address':''") + PUT_DIGITS_MAX)

const char *order_name(enum order_kind kind)
{
    assert(kind < ORDER_KINDS);
    return kinds[kind].name;
}

static inline const void *field_of(const struct order *o, const struct member *m)
{
    return (const char *)o + m->at;
}

static bool is_text(const struct member *m)
{
    return m->kind == KIND_ROOM || m->kind == KIND_PLAIN || m->kind == KIND_TEXT;
}

static bool is_set(const struct order *o, const struct member *m)
{
    switch (m->kind) {
    case KIND_ROOM:
    case KIND_PLAIN:
    case KIND_TEXT:
    case KIND_VALUE:
    case KIND_OBJECT:
        return ((const struct slice *)field_of(o, m))->size > 0;
    case KIND_U64:
        return *(const uint64_t *)field_of(o, m) > 0;
    case KIND_I64:
        return *(const int64_t *)field_of(o, m) != 0;
    case KIND_FLAG:
        return *(const bool *)field_of(o, m);
    }
    return false;
}

static char *put_member(char *to, const struct order *o, const struct member *m)
{
    const void *field = field_of(o, m);

    *to++ = '"';
    to = put_slice(to, (struct slice){m->name, m->name_size});
    to = put_lit(to, "\":");
    switch (m->kind) {
    case KIND_ROOM:
    case KIND_PLAIN:
    case KIND_TEXT:
        *to++ = '"';
        to = put_slice(to, *(const struct slice *)field);
        *to++ = '"';
        return to;
    case KIND_VALUE:
    case KIND_OBJECT:
        return put_slice(to, *(const struct slice *)field);
    case KIND_U64:
        return put_u64(to, *(const uint64_t *)field);
    case KIND_I64:
        return put_i64(to, *(const int64_t *)field);
    case KIND_FLAG:
        return put_lit(to, "true");
    }
    return to;
}

void order_encode(struct buf *out, const struct order *o)
{
    struct slice name = slice_of(order_name(o->kind));
    size_t size =
        name.size + (ARRAY_LEN(members) + 1) * MEMBER_FRAMING + o->data.size + o->info.size;

    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        size += is_text(&members[i]) ? ((const struct slice *)field_of(o, &members[i]))->size : 0;
    }
    char *start = buf_reserve(out, size), *to = start;

    to = put_lit(to, "{\"do\":\"");
    to = put_slice(to, name);
    *to++ = '"';
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (is_set(o, &members[i])) {
            *to++ = ',';
            to = put_member(to, o, &members[i]);
        }
    }
    to = put_lit(to, "}\n");
    buf_grew(out, (size_t)(to - start));
}

static const struct member *member_of(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (members[i].name_size == name.size && memcmp(members[i].name, name.at, name.size) == 0) {
            return &members[i];
        }
    }
    return NULL;
}

static bool read_kind(struct scan *s, struct order *o)
{
    struct slice name;

    if (!scan_plain(s, ID_MAX, &name)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (slice_equal(name, slice_of(kinds[i].name))) {
            o->kind = (enum order_kind)i;
            return true;
        }
    }
    return false;
}

static bool read_member(struct scan *s, const struct member *m, struct order *o)
{
    void *field = (char *)o + m->at;
    struct slice *slice = field, raw;

    switch (m->kind) {
    case KIND_ROOM:
        return scan_plain(s, m->max, slice) && room_is_valid(*slice);
    case KIND_PLAIN:
        return scan_plain(s, m->max, slice);
    case KIND_TEXT:
        return scan_text(s, m->max, slice);
    case KIND_VALUE:
        return scan_value(s, PAYLOAD_DEPTH_MAX - 1, slice) && slice->size <= m->max;
    case KIND_OBJECT:
        return scan_value(s, JSON_DEPTH_MAX - 1, slice) && json_is_object(*slice) &&
               slice->size <= m->max;
    case KIND_U64:
        return scan_u64(s, field) && *(uint64_t *)field <= m->max;
    case KIND_I64:
        return scan_i64(s, field);
    case KIND_FLAG:
        return scan_value(s, 0, &raw) && json_bool(raw, field);
    }
    return false;
}

#define BIT_DO (1u << 31)

/* All members; `seen` gets the bits of those that are known. */
static bool read_members(struct scan *s, struct order *o, unsigned *seen)
{
    struct slice key, ignored;
    bool is_first = true;
    int answer;

    while ((answer = scan_key(s, &is_first, &key)) == SCAN_MEMBER) {
        const struct member *m = member_of(key);
        unsigned bit = slice_equal(key, SLICE_LIT("do")) ? BIT_DO
                       : m != NULL                       ? 1u << (m - members)
                                                         : 0;

        if ((*seen & bit) != 0) {
            return false; /* twice */
        }
        *seen |= bit;
        bool is_good = bit == BIT_DO ? read_kind(s, o)
                       : m != NULL   ? read_member(s, m, o)
                                     : scan_value(s, JSON_DEPTH_MAX - 1, &ignored);
        if (!is_good) {
            return false;
        }
    }
    return answer == SCAN_CLOSED;
}

/* Says to whom, or to what, it applies. */
static bool is_whole(const struct order *o)
{
    unsigned has =
        (o->user.size > 0 ? ORDER_HAS_USER : 0u) | (o->room.size > 0 ? ORDER_HAS_ROOM : 0u);
    bool is_ban = o->kind == ORDER_BAN || o->kind == ORDER_UNBAN;

    return (has & kinds[o->kind].has) == kinds[o->kind].has &&
           (!is_ban || (o->user.size > 0) != (o->address.size > 0));
}

int order_next(struct slice *rest, struct order *out)
{
    struct slice left = *rest, line;
    unsigned seen = 0;

    if (left.size == 0) {
        return ORDER_END;
    }
    *out = (struct order){.kind = ORDER_HELLO};
    if (!scan_line(&left, &line)) {
        return ORDER_BAD;
    }
    struct scan s = scan_of(line);
    if (!scan_enter(&s) || !read_members(&s, out, &seen) || !scan_is_done(&s) ||
        (s.faults & SCAN_REFUSED) != 0 || (seen & BIT_DO) == 0 || !is_whole(out)) {
        return ORDER_BAD;
    }
    *rest = left;
    return 0;
}
