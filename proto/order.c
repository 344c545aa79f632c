/*
 * order.c: the members of an order, told once; written and read by that table.
 */
#include "proto/order.h"

#include "proto/members.h"

static const struct {
    const char *name;
    unsigned has; /* what must be there */
} kinds[] = {
#define ORDER(name, text, has) [ORDER_##name] = {text, has},
#include "proto/order.def"
};

const char *order_name(enum order_kind kind)
{
    assert(kind < ORDER_KINDS);
    return kinds[kind].name;
}

static bool read_kind(struct scan *s, void *object)
{
    struct order *o = object;
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

/* In the order in which they are written. */
static const struct member_row rows[] = {
    {"do", MEMBER_OWN, sizeof("do") - 1, offsetof(struct order, kind), 0},
#define MEMBER(name, kind, max) MEMBER_ROW(struct order, name, kind, max),
    /* clang-format off */
    MEMBER(user, TEXT, USER_MAX)
    MEMBER(client, PLAIN, ID_MAX)
    MEMBER(room, ROOM, ROOM_NAME_MAX)
    MEMBER(epoch, PLAIN, EPOCH_MAX)
    MEMBER(offset, U64, OFFSET_MAX)
    MEMBER(address, PLAIN, ADDRESS_MAX)
    MEMBER(token, TEXT, TOKEN_ID_MAX)
    MEMBER(code, U64, UINT16_MAX)
    MEMBER(reason, TEXT, REASON_MAX)
    MEMBER(data, VALUE, PAYLOAD_CEILING)
    MEMBER(info, OBJECT, INFO_MAX)
    MEMBER(until, I64, 0)
    MEMBER(before, I64, 0)
    MEMBER(expired, FLAG, 0)
    MEMBER(join_leave, FLAG, 0)
    MEMBER(whitelist, VALUE, ORDER_CLIENTS_MAX)
#undef MEMBER
    /* clang-format on */
};

#define HAS_DO (1u << 0)

static_assert(ARRAY_LEN(rows) <= MEMBERS_MAX, "a word can hold which members were there");

static const struct member_table table = {rows, ARRAY_LEN(rows), read_kind};

void order_encode(struct buf *out, const struct order *o)
{
    struct slice name = slice_of(order_name(o->kind));
    size_t size = ARRAY_LEN(rows) * MEMBER_FRAMING + sizeof("}\n") + name.size + o->user.size +
                  o->client.size + o->room.size + o->epoch.size + o->address.size + o->token.size +
                  o->reason.size + o->data.size + o->info.size + o->whitelist.size;
    char *start = buf_reserve(out, size), *to = start;

    to = put_lit(to, "{\"do\":\"");
    to = put_slice(to, name);
    *to++ = '"';
    to = members_put(to, &table, o, 0);
    to = put_lit(to, "}\n");
    buf_grew(out, (size_t)(to - start));
}

/* Says to whom, or to what, it applies. */
static bool is_whole(const struct order *o)
{
    unsigned has = (o->user.size > 0 ? ORDER_HAS_USER : 0u) |
                   (o->room.size > 0 ? ORDER_HAS_ROOM : 0u) |
                   (o->epoch.size > 0 && o->offset > 0 ? ORDER_HAS_POSITION : 0u);
    bool is_ban = o->kind == ORDER_BAN || o->kind == ORDER_UNBAN;

    return (has & kinds[o->kind].has) == kinds[o->kind].has &&
           (!is_ban || (o->user.size > 0) != (o->address.size > 0));
}

int order_next(struct slice *rest, struct order *out)
{
    struct slice left = *rest;
    unsigned seen;

    if (left.size == 0) {
        return ORDER_END;
    }
    *out = (struct order){.kind = ORDER_HELLO};
    if (!members_next(&left, &table, out, &seen) || (seen & HAS_DO) == 0 || !is_whole(out)) {
        return ORDER_BAD;
    }
    *rest = left;
    return 0;
}
