/*
 * revoked.h: tokens that are good by themselves and not taken any more.
 *
 * By token id (`jti`), by user, or all: the latter two mean tokens whose `iat` is
 * below a time; a token that does not say when it was issued is older than any.
 * An entry ends when the last token it could mean has ended. Nothing is kept on
 * disk: a gateway that starts again reads it in the control stream (control.h).
 *
 * What is added counts at once for tokens that come, and by the end of the loop's
 * turn (at most REVOKED_LOOK_MS later) for those who are here: a session is closed
 * with 3500 when the token that it has now is meant; a subscription ends when its
 * own token is, with a push of code 2502: of all codes this is the one upon which
 * SDKs forget the token and ask for another. For the loop's thread.
 */
#ifndef WARREN_GATEWAY_TOKEN_REVOKED_H
#define WARREN_GATEWAY_TOKEN_REVOKED_H

#include "common/base.h"
#include "gateway/metrics.h"
#include "gateway/token/claims.h"
#include "gateway/token/identity.h"

#define REVOKED_TOKENS_MAX 100000
#define REVOKED_USERS_MAX 100000
#define REVOKED_LOOK_MS 100

struct revoked;

enum revoked_answer {
    REVOKED_FULL = 1, /* too many entries that have not ended; counted */
    REVOKED_BAD = 2,  /* no id or user that a token could have */
};

/* Nothing is revoked. `m` is borrowed. */
struct revoked *revoked_new(struct metrics *m) MUST_CHECK;
/* Accepts NULL; returns NULL. */
struct revoked *revoked_free(struct revoked *r);

/* The token of that id (decoded text), which ends at `expires_s`. Times are seconds since 1970;
 * `expires_s` 0: it is not known when, so the entry stays for ever. Said again, the later end
 * counts. 0 or an answer. */
int revoked_add_token(struct revoked *r, struct slice id, int64_t expires_s) MUST_CHECK;

/* The tokens of a user (decoded text) issued before `before_s`, the last of which ends at
 * `expires_s`. Said again, the later times count. 0 or an answer. */
int revoked_add_user(struct revoked *r, struct slice user, int64_t before_s,
                     int64_t expires_s) MUST_CHECK;

/* All tokens issued before `before_s`. */
void revoked_add_all(struct revoked *r, int64_t before_s);

/* Whether a token with these good claims is taken back; of a session's identity likewise (those
 * who never had a token are not). */
bool revoked_is(const struct revoked *r, const struct jwt_claims *claims);
bool revoked_is_identity(const struct revoked *r, const struct identity *i);

/* Of a subscription's token: its id (decoded, may be empty), its user (the inside of a JSON
 * string) and when it was issued. */
bool revoked_is_token(const struct revoked *r, struct slice id, struct slice user,
                      int64_t issued_s);

/* What one call of revoked_add_...() told. Texts are insides of JSON strings; without any: all. */
struct revocation {
    struct slice token, user;
    int64_t before_s, expires_s;
};

/* Calls `each` for all that has not ended; slices are valid during the call. */
void revoked_each(const struct revoked *r, int64_t now_s,
                  void (*each)(void *user, const struct revocation *v), void *user);

/* Whether there is anything for revoked_each(); room for one more of a user's, or a token's. */
bool revoked_any(const struct revoked *r);
bool revoked_has_room(const struct revoked *r, bool is_user);

/* How many entries there are. */
size_t revoked_count(const struct revoked *r);

/* Once a tick: forgets entries that have ended, some at a time. */
void revoked_tick(struct revoked *r, int64_t now_s);

/* True if anything was added since this said so, and that is not a moment ago: time to look at the
 * sessions (sessions_end_revoked()). */
bool revoked_take_news(struct revoked *r, int64_t now_ms);

#endif
