/*
 * rights.c: see rights.h.
 */
#include "gateway/room/rights.h"

#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/order/control.h"
#include "gateway/room/rooms.h"

bool room_needs_token(struct slice room)
{
    return room.size > 0 && room.at[0] == '$';
}

/* The users that a room's name ends with, behind the last '#'. False: it names none. */
static bool room_users(struct slice room, struct slice *users)
{
    const char *hash = memrchr(room.at, '#', room.size);

    if (hash == NULL) {
        return false;
    }
    *users = (struct slice){hash + 1, (size_t)(room.at + room.size - hash - 1)};
    return true;
}

static bool is_listed(struct slice users, struct slice user)
{
    while (users.size > 0) {
        const char *comma = memchr(users.at, ',', users.size);
        size_t size = comma != NULL ? (size_t)(comma - users.at) : users.size;
        size_t skip = MIN(size + 1, users.size);

        if (user.size > 0 && slice_equal((struct slice){users.at, size}, user)) {
            return true;
        }
        users.at += skip;
        users.size -= skip;
    }
    return false;
}

bool session_may_subscribe(const struct session *s, struct slice room)
{
    struct slice users;

    if (room_needs_token(room) || control_is_closed(s->gateway->control, room)) {
        return false;
    }
    if (room_users(room, &users)) {
        return is_listed(users, slice_of(s->identity->user));
    }
    return identity_may(s->identity, rules_find(&s->gateway->conf->rules, room)->subscribe);
}

bool session_may_publish(struct session *s, struct slice room)
{
    struct slice users;

    if (control_is_closed(s->gateway->control, room)) {
        return false;
    }
    if (room_needs_token(room) && rooms_find(s, room) == NULL) {
        return false; /* whoever is in has shown a token */
    }
    if (!room_needs_token(room) && room_users(room, &users) &&
        !is_listed(users, slice_of(s->identity->user)) && rooms_find(s, room) == NULL) {
        return false;
    }
    return identity_may(s->identity, rules_find(&s->gateway->conf->rules, room)->publish);
}

void session_check_rooms(struct session *s)
{
    struct subscription *sub = s->subscriptions, *next;

    for (; sub != NULL && s->state == SESSION_OPEN; sub = next) {
        next = sub->next_of_session;
        struct slice room = {sub->room->name, sub->room->name_size};

        if (sub->cause == ROOMS_BY_COMMAND && !sub->by_token && !session_may_subscribe(s, room)) {
            subscription_end(sub, UNSUBSCRIBE_SERVER, "permission denied");
        }
    }
}
