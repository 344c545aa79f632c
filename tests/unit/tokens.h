/*
 * tokens.h: keys, terms and tokens of one secret, for tests.
 */
#ifndef WARREN_TESTS_UNIT_TOKENS_H
#define WARREN_TESTS_UNIT_TOKENS_H

#include "gateway/token/jwt.h"

/* One key for HS256, without an id; NULL when it is refused. */
static inline struct keys *tokens_load(const char *secret, char error[KEYS_ERROR_SIZE])
{
    return keys_load(
        &(struct keys_source){
            .hmac_key = secret,
            .public_key_file = "",
            .public_key_algorithm = "",
            .jwks_file = "",
        },
        error, KEYS_ERROR_SIZE);
}

/* The same of a good secret. */
static inline struct keys *tokens_keys(const char *secret)
{
    char error[KEYS_ERROR_SIZE];
    struct keys *keys = tokens_load(secret, error);

    assert_non_null(keys);
    return keys;
}

struct tokens_of {
    const char *secret, *audience, *issuer;
};

/* The verdict on a connection token. */
static inline enum jwt_verdict tokens_check(const struct tokens_of *of, struct slice token,
                                            int64_t now_s, struct jwt_claims *claims,
                                            const char **why)
{
    struct keys *keys = tokens_keys(of->secret);
    const struct jwt_terms terms = {
        .keys = keys,
        .type = "",
        .connection = {of->audience, of->issuer, 10, 0},
        .subscription = {of->audience, of->issuer, 10, 0},
    };
    enum jwt_verdict verdict = jwt_check(&terms, JWT_CONNECTION, token, now_s, claims, why);

    keys_free(keys);
    return verdict;
}

/* Appends a token for the user. */
static inline void tokens_mint(const char *secret, const char *user, const char *name,
                               int64_t ttl_s, int64_t now_s, struct buf *out)
{
    struct keys *keys = tokens_keys(secret);
    const char *id = "";
    const struct jwt_order order = {
        .user = user,
        .name = name,
        .audience = "",
        .issuer = "",
        .id = "",
        .ttl_s = ttl_s,
    };

    assert_int_equal(jwt_mint(keys_signer(keys, &id), "", &order, now_s, out), 0);
    keys_free(keys);
}

#endif
