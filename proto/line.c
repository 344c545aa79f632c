/*
 * line.c: the members of a line, told once; written and read by that table.
 *
 * Rooms, epochs, clients, lanes and keys are written without escapes, so that they
 * can be compared as they stand.
 */
#include "proto/line.h"

#include "proto/json.h"
#include "proto/put.h"
#include "proto/record.h"
#include "proto/room.h"
#include "proto/scan.h"

enum kind {
    KIND_ROOM,   /* a string as room.h has it */
    KIND_KEY,    /* a string as record.h has it */
    KIND_PLAIN,  /* a string without escapes */
    KIND_TEXT,   /* a string: its inside */
    KIND_OBJECT, /* raw JSON */
    KIND_U64,
    KIND_I64,
    KIND_FLAG,
};

/* In the order in which they are written. */
static const struct member {
    const char *name;
    size_t name_size;
    enum kind kind;
    size_t at;    /* in struct line */
    uint64_t max; /* bytes of a slice, or the greatest number */
} members[] = {
#define MEMBER(name, kind, max)                                                                    \
    {#name, sizeof(#name) - 1, KIND_##kind, offsetof(struct line, name), max},
    /* clang-format off */
    MEMBER(room, ROOM, ROOM_NAME_MAX)
    MEMBER(epoch, PLAIN, EPOCH_MAX)
    MEMBER(offset, U64, OFFSET_MAX)
    MEMBER(from, U64, OFFSET_MAX)
    MEMBER(lane, PLAIN, BOOT_SIZE)
    MEMBER(batch, U64, OFFSET_MAX)
    MEMBER(client, PLAIN, ID_MAX)
    MEMBER(user, TEXT, USER_MAX)
    MEMBER(key, KEY, KEY_MAX)
    MEMBER(info, OBJECT, INFO_MAX)
    MEMBER(chan_info, OBJECT, INFO_MAX)
    MEMBER(time, I64, 0)
    MEMBER(limit, I64, 0)
    MEMBER(reverse, FLAG, 0)
    MEMBER(complete, FLAG, 0)
    MEMBER(clients, U64, OFFSET_MAX)
    MEMBER(users, U64, OFFSET_MAX)
    MEMBER(count, FLAG, 0)
    MEMBER(moves, FLAG, 0)
    MEMBER(again, FLAG, 0)
    MEMBER(left, FLAG, 0)
#undef MEMBER
    /* clang-format on */
};

static_assert(ARRAY_LEN(members) <= 32, "a word can hold which members were there");

/* Bytes of a member beside its text: name, quotes, colon, comma, the digits of a number. */
#define MEMBER_FRAMING (sizeof(",'complete':''") + PUT_DIGITS_MAX)

/* The field of a line that a member fills. */
static inline const void *field_of(const struct line *l, const struct member *m)
{
    return (const char *)l + m->at;
}

static bool is_set(const struct line *l, const struct member *m)
{
    switch (m->kind) {
    case KIND_ROOM:
    case KIND_KEY:
    case KIND_PLAIN:
    case KIND_TEXT:
    case KIND_OBJECT:
        return ((const struct slice *)field_of(l, m))->size > 0;
    case KIND_U64:
        if (m->at == offsetof(struct line, offset)) {
            return l->has_offset;
        }
        if (m->at == offsetof(struct line, from)) {
            return l->has_offset && l->from != l->offset;
        }
        return *(const uint64_t *)field_of(l, m) > 0;
    case KIND_I64:
        return *(const int64_t *)field_of(l, m) != 0;
    case KIND_FLAG:
        return *(const bool *)field_of(l, m);
    }
    return false;
}

static char *put_member(char *to, const struct line *l, const struct member *m)
{
    const void *field = field_of(l, m);

    *to++ = '"';
    to = put_slice(to, (struct slice){m->name, m->name_size});
    to = put_lit(to, "\":");
    switch (m->kind) {
    case KIND_ROOM:
    case KIND_KEY:
    case KIND_PLAIN:
    case KIND_TEXT:
        *to++ = '"';
        to = put_slice(to, *(const struct slice *)field);
        *to++ = '"';
        return to;
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

/* A line is about a room or a lane, or tells an epoch alone. */
static bool has_subject(const struct line *l)
{
    return l->room.size > 0 ? l->lane.size == 0 : l->lane.size > 0 || l->epoch.size > 0;
}

void line_encode(struct buf *out, const struct line *l)
{
    size_t size = ARRAY_LEN(members) * MEMBER_FRAMING + l->room.size + l->epoch.size +
                  l->lane.size + l->client.size + l->user.size + l->key.size + l->info.size +
                  l->chan_info.size;
    char *start = buf_reserve(out, size), *to = start;

    assert(has_subject(l));
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (is_set(l, &members[i])) {
            *to = to == start ? '{' : ',';
            to = put_member(to + 1, l, &members[i]);
        }
    }
    to = put_lit(to, "}\n");
    buf_grew(out, (size_t)(to - start));
}

/* The bit of a name, 0 if it is unknown. */
static unsigned bit_of(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (members[i].name_size == name.size && memcmp(members[i].name, name.at, name.size) == 0) {
            return 1u << i;
        }
    }
    return 0;
}

static bool read_member(struct scan *s, const struct member *m, struct line *l)
{
    void *field = (char *)l + m->at;
    struct slice *slice = field, raw;

    switch (m->kind) {
    case KIND_ROOM:
        return scan_plain(s, m->max, slice) && room_is_valid(*slice);
    case KIND_KEY:
        return scan_plain(s, m->max, slice) && record_key_is_valid(*slice);
    case KIND_PLAIN:
        return scan_plain(s, m->max, slice);
    case KIND_TEXT:
        return scan_text(s, m->max, slice);
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

/* All members; `seen` gets their bits. */
static bool read_members(struct scan *s, struct line *l, unsigned *seen)
{
    struct slice key, ignored;
    bool is_first = true;
    int answer;

    while ((answer = scan_key(s, &is_first, &key)) == SCAN_MEMBER) {
        unsigned bit = bit_of(key);

        if ((*seen & bit) != 0) {
            return false; /* twice */
        }
        *seen |= bit;
        if (bit != 0 ? !read_member(s, &members[__builtin_ctz(bit)], l)
                     : !scan_value(s, JSON_DEPTH_MAX - 1, &ignored)) {
            return false;
        }
    }
    return answer == SCAN_CLOSED;
}

int line_next(struct slice *rest, struct line *out)
{
    struct slice left = *rest, line;
    unsigned seen = 0;

    if (left.size == 0) {
        return LINE_END;
    }
    *out = (struct line){.has_offset = false};
    if (!scan_line(&left, &line)) {
        return LINE_BAD;
    }
    struct scan s = scan_of(line);
    if (!scan_enter(&s) || !read_members(&s, out, &seen) || !scan_is_done(&s) ||
        (s.faults & SCAN_REFUSED) != 0 || !has_subject(out)) {
        return LINE_BAD;
    }
    out->has_offset = (seen & bit_of(SLICE_LIT("offset"))) != 0;
    if ((seen & bit_of(SLICE_LIT("from"))) == 0) {
        out->from = out->offset;
    } else if (!out->has_offset) {
        return LINE_BAD;
    }
    *rest = left;
    return 0;
}
