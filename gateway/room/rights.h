/*
 * rights.h: what a session may do in a room, as far as its name and its rule decide.
 *
 * `$...`: only with a subscription token. `...#ann,bob`: only for these users.
 * Otherwise the rule of its namespace says who may.
 */
#ifndef WARREN_GATEWAY_ROOM_RIGHTS_H
#define WARREN_GATEWAY_ROOM_RIGHTS_H

#include "common/base.h"

struct session;

/* True if the room's name asks for a token. */
bool room_needs_token(struct slice room);

/* Whether it may subscribe without a token for the room. `room` is room_is_valid(). */
bool session_may_subscribe(const struct session *s, struct slice room);

/* Whether it may publish there. */
bool session_may_publish(struct session *s, struct slice room);

/* Its roles or the rules have changed: takes away the subscriptions that these do not allow any
 * more. What a token or the server gave stays. It may be closed when this returns (plain). */
void session_check_rooms(struct session *s);

#endif
