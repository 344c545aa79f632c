/*
 * line.c: the members of a line, told once; written and read by that table.
 *
 * Rooms, epochs, clients, lanes and keys are written without escapes, so that they
 * can be compared as they stand.
 */
#include "proto/line.h"

#include "proto/members.h"
#include "proto/record.h"

/* clang-format off */
/* In the order in which they are written. */
#define MEMBERS(MEMBER)                 \
    MEMBER(room, ROOM, ROOM_NAME_MAX)   \
    MEMBER(epoch, PLAIN, EPOCH_MAX)     \
    MEMBER(offset, TOLD, OFFSET_MAX)    \
    MEMBER(from, TOLD, OFFSET_MAX)      \
    MEMBER(lane, PLAIN, BOOT_SIZE)      \
    MEMBER(batch, U64, OFFSET_MAX)      \
    MEMBER(client, PLAIN, ID_MAX)       \
    MEMBER(user, TEXT, USER_MAX)        \
    MEMBER(key, KEY, KEY_MAX)           \
    MEMBER(by, PLAIN, ID_MAX)           \
    MEMBER(info, OBJECT, INFO_MAX)      \
    MEMBER(chan_info, OBJECT, INFO_MAX) \
    MEMBER(time, I64, 0)                \
    MEMBER(limit, I64, 0)               \
    MEMBER(reverse, FLAG, 0)            \
    MEMBER(complete, FLAG, 0)           \
    MEMBER(clients, U64, OFFSET_MAX)    \
    MEMBER(users, U64, OFFSET_MAX)      \
    MEMBER(count, FLAG, 0)              \
    MEMBER(moves, FLAG, 0)              \
    MEMBER(again, FLAG, 0)              \
    MEMBER(left, FLAG, 0)
/* clang-format on */

#define PLACE(name, kind, max) PLACE_##name,
#define ROW(name, kind, max) MEMBER_ROW(struct line, name, kind, max),

enum { MEMBERS(PLACE) MEMBERS_COUNT };

static_assert(MEMBERS_COUNT <= MEMBERS_MAX, "a word can hold which members were there");

static const struct member_row rows[] = {MEMBERS(ROW)};
static const struct member_table table = {.rows = rows, .count = MEMBERS_COUNT};

#define HAS_OFFSET (1u << PLACE_offset)
#define HAS_FROM (1u << PLACE_from)

/* A line is about a room or a lane, or tells an epoch alone. */
static bool has_subject(const struct line *l)
{
    return l->room.size > 0 ? l->lane.size == 0 : l->lane.size > 0 || l->epoch.size > 0;
}

void line_encode(struct buf *out, const struct line *l)
{
    size_t size = MEMBERS_COUNT * MEMBER_FRAMING + sizeof("}\n") + l->room.size + l->epoch.size +
                  l->lane.size + l->client.size + l->user.size + l->key.size + l->by.size +
                  l->info.size + l->chan_info.size;
    char *start = buf_reserve(out, size), *to;
    unsigned told = !l->has_offset ? 0 : l->from == l->offset ? HAS_OFFSET : HAS_OFFSET | HAS_FROM;

    assert(has_subject(l));
    to = members_put(start, &table, l, told);
    *start = '{'; /* it was a comma */
    to = put_lit(to, "}\n");
    buf_grew(out, (size_t)(to - start));
}

int line_next(struct slice *rest, struct line *out)
{
    struct slice left = *rest;
    unsigned seen;

    if (left.size == 0) {
        return LINE_END;
    }
    *out = (struct line){.has_offset = false};
    if (!members_next(&left, &table, out, &seen) || !has_subject(out)) {
        return LINE_BAD;
    }
    out->has_offset = (seen & HAS_OFFSET) != 0;
    if ((seen & HAS_FROM) == 0) {
        out->from = out->offset;
    } else if (!out->has_offset) {
        return LINE_BAD;
    }
    *rest = left;
    return 0;
}
