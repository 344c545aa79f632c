/*
 * fuzz_jwt.c: tokens: none is good that was not signed here, whatever it says of itself; and what
 * a good one says is within its limits.
 *
 * The input is a token as it comes, and also two lines: a header and a payload, to be signed.
 */
#include "gateway/libraries.h"
#include "gateway/token/base64.h"
#include "gateway/token/jwt.h"
#include "proto/json.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/hmac_sha256.h"

#define NOW_S 1790000000
#define INPUT_MAX 5000 /* bytes: more is signed by nobody */

static char secret[2 * JWT_KEY_MIN + 1]; /* another one in every run: nobody can guess it */
static struct keys *keys;                /* that one */

static enum jwt_verdict check(struct slice token, struct jwt_claims *claims)
{
    const struct claims_rules any = {"", "", 10, 0};
    const struct jwt_terms terms = {
        .keys = keys, .type = "", .connection = any, .subscription = any};
    const char *copy = fuzz_copy(token.at, token.size);
    enum jwt_verdict verdict =
        jwt_check(&terms, JWT_CONNECTION, (struct slice){copy, token.size}, NOW_S, claims, NULL);

    fuzz_free(copy);
    return verdict;
}

static void make_secret(void)
{
    uint8_t bytes[JWT_KEY_MIN];

    if (secret[0] == '\0') {
        libraries_init();
        hash_random(bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes); i++) {
            snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
        }
        char error[KEYS_ERROR_SIZE];
        keys = keys_load(&(struct keys_source){secret, "", "", "", NULL}, error, sizeof(error));
        FUZZ_CHECK(keys != NULL);
    }
}

static void sign(struct slice header, struct slice payload, struct buf *out)
{
    unsigned char mac[SHA256_SIZE];

    base64url_encode(out, header.at, header.size);
    buf_add_char(out, '.');
    base64url_encode(out, payload.at, payload.size);
    hmac_sha256(secret, buf_slice(out), mac);
    buf_add_char(out, '.');
    base64url_encode(out, mac, sizeof(mac));
}

static void check_claims(const struct jwt_claims *c)
{
    FUZZ_CHECK(c->user[0] != '\0' && text_is_clean(slice_of(c->user)));
    FUZZ_CHECK(c->name[0] != '\0' && text_is_clean(slice_of(c->name)));
    FUZZ_CHECK(c->role_count <= JWT_ROLES_MAX);
    for (size_t i = 0; i < c->role_count; i++) {
        FUZZ_CHECK(strlen(c->roles[i]) < JWT_ROLE_SIZE);
    }
}

/* A signed token with one character changed, or cut, or longer, is none. */
static void check_forgeries(struct buf *token, uint64_t seed)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    static struct jwt_claims claims;
    size_t at = (size_t)(random_next(&seed) % token->size);
    char before = token->at[at];

    for (struct fuzz_ways way = fuzz_ways(&seed, 3); way.is < way.end; way.is++) {
        if (way.is == 0) {
            token->at[at] = digits[random_next(&seed) % 64];
            FUZZ_CHECK(token->at[at] == before || check(buf_slice(token), &claims) == JWT_INVALID);
            token->at[at] = before;
        } else if (way.is == 1) {
            FUZZ_CHECK(check((struct slice){token->at, token->size - 1}, &claims) == JWT_INVALID);
        } else {
            token->at[token->size - 1] = digits[random_next(&seed) % 64];
            buf_add_char(token, digits[random_next(&seed) % 64]);
            FUZZ_CHECK(check(buf_slice(token), &claims) == JWT_INVALID);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = {(const char *)data, size}, header, payload;
    const char *end = size > 0 ? memchr(data, '\n', size) : NULL;
    static struct buf token;
    static struct jwt_claims claims; /* they are large */

    if (size > INPUT_MAX) {
        return 0;
    }
    make_secret();
    FUZZ_CHECK(check(input, &claims) == JWT_INVALID);
    header = end != NULL ? (struct slice){input.at, (size_t)(end - input.at)}
                         : SLICE_LIT("{\"alg\":\"HS256\",\"typ\":\"JWT\"}");
    payload = end != NULL ? (struct slice){end + 1, size - header.size - 1} : input;
    buf_clear(&token);
    sign(header, payload, &token);
    if (check(buf_slice(&token), &claims) == JWT_GOOD) {
        check_claims(&claims);
    }
    check_forgeries(&token, fuzz_seed(data, size));
    return 0;
}
