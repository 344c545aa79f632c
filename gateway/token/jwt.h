/*
 * jwt.h: JSON Web Tokens (RFC 7515, 7519, 8725): checks and mints them.
 *
 * One key, one algorithm: the token's `alg` and `kid` only say which of our keys
 * it claims. The payload is read only after the signature is found good.
 * Members of the header that name keys (jku, jwk, x5u, x5c) are not looked at;
 * those that ask for more than a signature (crit, b64, zip, cty, enc) are
 * refused. `now_s` is an argument.
 */
#ifndef WARREN_GATEWAY_TOKEN_JWT_H
#define WARREN_GATEWAY_TOKEN_JWT_H

#include "common/base.h"
#include "common/buf.h"
#include "gateway/token/claims.h"
#include "gateway/token/keys.h"

#define JWT_KEY_MIN 32 /* bytes of the HMAC key for HS256 */

struct verdicts;

/* What tokens are checked by. All borrowed. */
struct jwt_terms {
    const struct keys *keys;
    struct verdicts *verdicts;      /* NULL: nothing is remembered */
    const char *type;               /* `typ` of the header; "": any */
    struct claims_rules connection; /* of a connection token */
    struct claims_rules subscription;
};

enum jwt_verdict {
    JWT_GOOD = 0,
    JWT_INVALID = 1, /* malformed, bad signature, wrong algorithm, key or claims, wrong kind */
    JWT_EXPIRED = 2, /* exp or expire_at is past, or nbf is still ahead */
};

/* Whether it is a good token of that kind; if not, `claims` are zero. `why` (may be NULL) gets a
 * few static words for the log. */
enum jwt_verdict jwt_check(const struct jwt_terms *terms, enum jwt_kind kind, struct slice token,
                           int64_t now_s, struct jwt_claims *claims, const char **why) MUST_CHECK;

/* A token to be made. Texts are UTF-8; "" leaves the claim out. */
struct jwt_order {
    const char *user, *name;
    const char *const *roles;
    size_t role_count;
    const char *audience, *issuer;
    const char *id; /* jti */
    int64_t ttl_s;
};

/* Appends a token signed by a key that can; `key_id` ("": none) is its kid. 0, or -1: nobody would
 * take it (a user, name or role that is no legal text, too many roles). */
int jwt_mint(const struct key *key, const char *key_id, const struct jwt_order *order,
             int64_t now_s, struct buf *out) MUST_CHECK;

#endif
