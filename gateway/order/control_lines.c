/*
 * control_lines.c: see control_lines.h.
 */
#include "gateway/order/control_lines.h"

bool standing_of(const struct order *o, struct standing_order *to, char text[ADDRESS_MAX + 1])
{
    bool is_user = o->user.size > 0;
    struct address address;

    *to = (struct standing_order){
        .what = o->user,
        .until_ms = o->until > 0 ? o->until : STANDING_FOREVER,
    };
    switch (o->kind) {
    case ORDER_BAN:
    case ORDER_UNBAN:
        to->kind = is_user ? STANDING_BAN_USER : STANDING_BAN_ADDRESS;
        if (!is_user && address_read(&address, o->address)) {
            to->what = address_text(&address, text);
        } else {
            to->what = is_user ? o->user : o->address; /* no address: nobody comes from it */
        }
        to->is_lifted = o->kind == ORDER_UNBAN;
        return true;
    case ORDER_MUTE:
    case ORDER_UNMUTE:
        to->kind = STANDING_MUTE;
        to->room = o->room;
        to->is_lifted = o->kind == ORDER_UNMUTE;
        return true;
    case ORDER_CLOSE:
    case ORDER_OPEN:
        to->kind = STANDING_CLOSED;
        to->what = o->room;
        to->is_lifted = o->kind == ORDER_OPEN;
        return true;
    case ORDER_DELETE:
    case ORDER_HISTORY_REMOVE:
        to->kind = o->kind == ORDER_DELETE ? STANDING_DELETED : STANDING_CLEARED;
        to->what = o->epoch;
        to->room = o->room;
        to->offset = o->offset;
        return true;
    case ORDER_HELLO:
    case ORDER_DISCONNECT:
    case ORDER_SUBSCRIBE:
    case ORDER_UNSUBSCRIBE:
    case ORDER_REFRESH:
    case ORDER_REVOKE:
    case ORDER_KINDS:
        break;
    }
    return false;
}

struct order order_of_standing(const struct standing_order *s)
{
    struct order o = {.until = s->until_ms == STANDING_FOREVER ? 0 : s->until_ms};

    switch (s->kind) {
    case STANDING_BAN_USER:
        o.kind = ORDER_BAN;
        o.user = s->what;
        break;
    case STANDING_BAN_ADDRESS:
        o.kind = ORDER_BAN;
        o.address = s->what;
        break;
    case STANDING_MUTE:
        o.kind = ORDER_MUTE;
        o.user = s->what;
        o.room = s->room;
        break;
    case STANDING_CLOSED:
        o.kind = ORDER_CLOSE;
        o.room = s->what;
        break;
    case STANDING_DELETED:
    case STANDING_CLEARED:
        o.kind = s->kind == STANDING_DELETED ? ORDER_DELETE : ORDER_HISTORY_REMOVE;
        o.room = s->room;
        o.epoch = s->what;
        o.offset = s->offset;
        break;
    case STANDING_KINDS:
        assert(false);
    }
    return o;
}

struct order order_of_revocation(const struct revocation *v)
{
    return (struct order){
        .kind = ORDER_REVOKE,
        .token = v->token,
        .user = v->user,
        .until = v->expires_s * 1000,
        .before = v->before_s,
    };
}
