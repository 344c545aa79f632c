/*
 * jwt.h: JSON Web Tokens (RFC 7515, 7519, 8725): checks and mints HS256.
 *
 * One key, one algorithm: the token's `alg` is only compared with it. The
 * payload is read only after the signature is found good. `now_s` is an argument.
 */
#ifndef WARREN_GATEWAY_JWT_H
#define WARREN_GATEWAY_JWT_H

#include "common/base.h"
#include "common/buf.h"
#include "gateway/claims.h"

#define JWT_KEY_MIN 32 /* bytes of an HMAC key */
#define JWT_LEEWAY_S 10

struct jwt_key {
    const char *hmac_key; /* borrowed; "" when tokens are not accepted at all */
    const char *audience; /* "" : any */
    const char *issuer;   /* "" : any */
};

enum jwt_verdict {
    JWT_GOOD = 0,
    JWT_INVALID = 1, /* malformed, bad signature, wrong algorithm, key or claims, wrong kind */
    JWT_EXPIRED = 2, /* exp or expire_at is past, or nbf is still ahead */
};

/* Before anything else is done with tokens or OpenSSL: from here on their libraries, too, end the
 * process when memory is exhausted (common/mem.h), and take no good token for a bad one. */
void jwt_init(void);

/* Whether it is a good token of that kind. `why` (may be NULL) gets a few static words for the
 * log. */
enum jwt_verdict jwt_check_kind(const struct jwt_key *key, enum jwt_kind kind, struct slice token,
                                int64_t now_s, struct jwt_claims *claims,
                                const char **why) MUST_CHECK;

/* The same for a connection token. */
enum jwt_verdict jwt_check(const struct jwt_key *key, struct slice token, int64_t now_s,
                           struct jwt_claims *claims, const char **why) MUST_CHECK;

/* Appends a token for the user (and name, if not "") with the roles, valid for `ttl_s` from
 * `now_s`. 0, or -1: the key is too short, or jwt_check() would refuse the token (a user, name or
 * role that is no legal text, too many roles). */
int jwt_mint(const struct jwt_key *key, const char *user, const char *name,
             const char *const *roles, size_t role_count, int64_t ttl_s, int64_t now_s,
             struct buf *out) MUST_CHECK;

#endif
