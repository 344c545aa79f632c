/*
 * users.h: what is limited for all sessions of one user on this gateway: how many they are, and
 * how fast they publish together.
 *
 * Only known users are counted: people without a token share nothing but the lack of it. A user
 * who has left is remembered for as long as his bucket is not full again: coming back
 * gives no new burst.
 */
#ifndef WARREN_GATEWAY_SESSION_USERS_H
#define WARREN_GATEWAY_SESSION_USERS_H

#include "common/base.h"
#include "gateway/session/session.h"

struct gateway;
struct users;

/* Nobody is here. Freed with users_free(), which accepts NULL and returns NULL. */
struct users *users_new(struct gateway *g) MUST_CHECK;
/* See above. */
struct users *users_free(struct users *all);

/* The session has an identity now: it counts for its user. False: the user has as many as may be,
 * or is banned: the session is closing. */
bool users_enter(struct users *all, struct session *s);

/* It counts no more. Once is enough. */
void users_leave(struct users *all, struct session *s);

/* The limits are others now. Sessions that are here stay, however many they are, and count from now
 * on if their user is limited; what was published so far is forgiven. */
void users_reloaded(struct users *all, struct session *s);

/* True if the session's user may publish one more now. */
bool users_admit_publish(const struct users *all, const struct session *s, int64_t now_us);
/* He did. */
void users_count_publish(const struct users *all, struct session *s, int64_t now_us);

/* Users who are remembered, here or not. */
size_t users_count(const struct users *all);

/* Every GATEWAY_TICK_MS: forgets those who left and whose bucket is full. */
void users_tick(struct users *all);

#endif
