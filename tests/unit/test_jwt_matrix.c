/*
 * test_jwt_matrix.c: of all pairs of a key and a token exactly the honest one is good.
 *
 * Each algorithm has its key here. The first matrix is (key that checks) x (key
 * that signs) x (algorithm that the token claims), the second one (key) x
 * (claimed algorithm) x (mutation). RS* and PS256 share one RSA key on purpose.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"
#include "gateway/token/base64.h"
#include "gateway/token/jwt.h"
#include "tests/unit/key_pems.h"

#define NOW 1000000
#define SECRET_16 "0123456789abcdef"
#define SECRET SECRET_16 SECRET_16 SECRET_16 SECRET_16
#define PAYLOAD "{\"sub\":\"ann\",\"exp\":1000100}"

/* What a header can claim: all algorithms, and others. */
static const char *const claimed[] = {
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256",  "ES256", "ES384",
    "ES512", "EdDSA", "none",  "None",  "",      "PS384", "ES256K", "hs256", "Ed25519",
};

static struct key *private_keys[ALGORITHM_COUNT];
static struct keys *rings[ALGORITHM_COUNT]; /* one key each */

static const char *private_pem(enum algorithm a)
{
    static const char *const pems[ALGORITHM_COUNT] = {
        [ALGORITHM_RS256] = pem_rsa_private,  [ALGORITHM_RS384] = pem_rsa_private,
        [ALGORITHM_RS512] = pem_rsa_private,  [ALGORITHM_PS256] = pem_rsa_private,
        [ALGORITHM_ES256] = pem_p256_private, [ALGORITHM_ES384] = pem_p384_private,
        [ALGORITHM_ES512] = pem_p521_private, [ALGORITHM_EDDSA] = pem_ed25519_private,
    };

    return pems[a];
}

static const char *public_pem(enum algorithm a)
{
    static const char *const pems[ALGORITHM_COUNT] = {
        [ALGORITHM_RS256] = pem_rsa_public,  [ALGORITHM_RS384] = pem_rsa_public,
        [ALGORITHM_RS512] = pem_rsa_public,  [ALGORITHM_PS256] = pem_rsa_public,
        [ALGORITHM_ES256] = pem_p256_public, [ALGORITHM_ES384] = pem_p384_public,
        [ALGORITHM_ES512] = pem_p521_public, [ALGORITHM_EDDSA] = pem_ed25519_public,
    };

    return pems[a];
}

static const struct keys_source nothing = {
    .hmac_key = "", .public_key_file = "", .public_key_algorithm = "", .jwks_file = ""};

static int make_keys(void **state)
{
    (void)state;
    char error[KEYS_ERROR_SIZE];

    for (int i = 0; i < ALGORITHM_COUNT; i++) {
        enum algorithm a = (enum algorithm)i;
        struct key *checks;

        if (algorithm_is_hmac(a)) {
            private_keys[i] = key_from_secret(a, slice_of(SECRET), error, sizeof(error));
            checks = key_from_secret(a, slice_of(SECRET), error, sizeof(error));
        } else {
            private_keys[i] =
                key_from_private_pem(a, slice_of(private_pem(a)), error, sizeof(error));
            checks = key_from_public_pem(a, slice_of(public_pem(a)), error, sizeof(error));
            assert_false(key_can_sign(checks));
        }
        assert_non_null(private_keys[i]);
        assert_non_null(checks);
        assert_true(key_can_sign(private_keys[i]));
        rings[i] = keys_load(&nothing, error, sizeof(error));
        assert_non_null(rings[i]);
        assert_int_equal(keys_add(rings[i], SLICE_NONE, checks, error, sizeof(error)), 0);
    }
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    for (int i = 0; i < ALGORITHM_COUNT; i++) {
        private_keys[i] = key_free(private_keys[i]);
        rings[i] = keys_free(rings[i]);
    }
    return 0;
}

static enum jwt_verdict check(const struct keys *keys, struct slice token)
{
    const struct claims_rules any = {"", "", 10, 0};
    const struct jwt_terms terms = {
        .keys = keys, .type = "", .connection = any, .subscription = any};
    struct jwt_claims claims;

    return jwt_check(&terms, JWT_CONNECTION, token, NOW, &claims, NULL);
}

static void add_text(struct buf *out, const char *algorithm)
{
    struct buf header = BUF_EMPTY;

    buf_addf(&header, "{\"alg\":\"%s\"}", algorithm);
    base64url_encode(out, header.at, header.size);
    buf_add_char(out, '.');
    base64url_encode(out, PAYLOAD, strlen(PAYLOAD));
    buf_deinit(&header);
}

static void add_signature(struct buf *out, struct slice signature)
{
    buf_add_char(out, '.');
    base64url_encode(out, signature.at, signature.size);
}

static void only_the_key_itself_under_its_algorithm_makes_a_good_token(void **state)
{
    (void)state;
    int good = 0;

    for (int signer = 0; signer < ALGORITHM_COUNT; signer++) {
        for (size_t c = 0; c < ARRAY_LEN(claimed); c++) {
            struct buf token = BUF_EMPTY, signature = BUF_EMPTY;

            add_text(&token, claimed[c]);
            key_sign(private_keys[signer], buf_slice(&token), &signature);
            add_signature(&token, buf_slice(&signature));
            for (int checks = 0; checks < ALGORITHM_COUNT; checks++) {
                bool is_honest = checks == signer &&
                                 strcmp(claimed[c], algorithm_name((enum algorithm)signer)) == 0;
                bool is_good = check(rings[checks], buf_slice(&token)) == JWT_GOOD;

                if (is_good != is_honest) {
                    fail_msg("key %s, signed by %s, claims %s: %s",
                             algorithm_name((enum algorithm)checks),
                             algorithm_name((enum algorithm)signer), claimed[c],
                             is_good ? "taken" : "refused");
                }
                good += is_good;
            }
            buf_deinit(&token);
            buf_deinit(&signature);
        }
    }
    assert_int_equal(good, ALGORITHM_COUNT);
}

/* Ways to spoil a signature. True if there is such a way for this one; the bytes are in `out`. */
static void flip(struct buf *s, size_t at, int bit)
{
    s->at[at] = (char)(s->at[at] ^ 1 << bit);
}

/* r and s as a DER sequence of two INTEGERs. */
static void to_der(struct buf *s)
{
    struct buf der = BUF_EMPTY;
    size_t half = s->size / 2;

    buf_add_char(&der, 0x30);
    buf_add_char(&der, (char)(2 * (half + 3)));
    for (int i = 0; i < 2; i++) {
        buf_add_char(&der, 0x02);
        buf_add_char(&der, (char)(half + 1));
        buf_add_char(&der, 0);
        buf_add(&der, s->at + (size_t)i * half, half);
    }
    buf_clear(s);
    buf_add_slice(s, buf_slice(&der));
    buf_deinit(&der);
}

static void add_leading_zero_to_both(struct buf *s)
{
    struct buf longer = BUF_EMPTY;
    size_t half = s->size / 2;

    for (int i = 0; i < 2; i++) {
        buf_add_char(&longer, 0);
        buf_add(&longer, s->at + (size_t)i * half, half);
    }
    buf_clear(s);
    buf_add_slice(s, buf_slice(&longer));
    buf_deinit(&longer);
}

#define SIGNATURE_WAYS 18

static void spoil(struct buf *s, int way)
{
    size_t half = s->size / 2;

    switch (way) {
    case 0:
        flip(s, 0, 0);
        break;
    case 1:
        flip(s, 0, 7);
        break;
    case 2:
        flip(s, half, 3);
        break;
    case 3:
        flip(s, s->size - 1, 0);
        break;
    case 4:
        s->size = 0;
        break;
    case 5:
        s->size--;
        break;
    case 6:
        s->size = half;
        break;
    case 7:
        s->size = 1;
        break;
    case 8:
        buf_add_char(s, 0);
        break;
    case 9:
        memset(s->at, 0, s->size);
        break;
    case 10:
        memset(s->at, 0xff, s->size);
        break;
    case 11: /* r = 0 */
        memset(s->at, 0, half);
        break;
    case 12: /* s = 0 */
        memset(s->at + half, 0, s->size - half);
        break;
    case 13: /* s >= n */
        memset(s->at + half, 0xff, s->size - half);
        break;
    case 14: /* r >= n */
        memset(s->at, 0xff, half);
        break;
    case 15:
        add_leading_zero_to_both(s);
        break;
    case 16:
        to_der(s);
        break;
    case 17: /* twice the same */
        buf_add(s, (char[1024]){0}, s->size);
        memmove(s->at + 2 * half, s->at, 2 * half);
        break;
    default:
        fail();
    }
}

#define TEXT_WAYS 16

/* Spoils a whole token; `dot` is where its signature begins. */
static void spoil_text(struct buf *t, size_t dot, int way)
{
    static const char *const tails[] = {"=", "==", ".",  ".e30", ".e30.e30", "\n",
                                        " ", "A",  "AA", "AAAA", "+",        "/"};

    if (way < (int)ARRAY_LEN(tails)) {
        buf_add_slice(t, slice_of(tails[way]));
    } else if (way == 12) { /* two parts */
        t->size = dot;
    } else if (way == 13) { /* in the payload */
        flip(t, dot - 3, 0);
    } else if (way == 14) { /* in the header */
        flip(t, 2, 0);
    } else {
        assert_int_equal(way, TEXT_WAYS - 1);
        memmove(t->at + 1, t->at, t->size - 1);
        t->at[0] = ' ';
    }
}

static void each_mutation_spoils_a_token_under_each_claimed_algorithm(void **state)
{
    (void)state;
    int good = 0;

    for (int a = 0; a < ALGORITHM_COUNT; a++) {
        for (size_t c = 0; c < ARRAY_LEN(claimed); c++) {
            for (int way = -1; way < SIGNATURE_WAYS + TEXT_WAYS; way++) {
                struct buf token = BUF_EMPTY, signature = BUF_EMPTY;

                add_text(&token, claimed[c]);
                size_t dot = token.size;
                key_sign(private_keys[a], buf_slice(&token), &signature);
                if (way >= 0 && way < SIGNATURE_WAYS) {
                    spoil(&signature, way);
                }
                add_signature(&token, buf_slice(&signature));
                if (way >= SIGNATURE_WAYS) {
                    spoil_text(&token, dot, way - SIGNATURE_WAYS);
                }
                bool is_honest =
                    way < 0 && strcmp(claimed[c], algorithm_name((enum algorithm)a)) == 0;
                bool is_good = check(rings[a], buf_slice(&token)) == JWT_GOOD;
                if (is_good != is_honest) {
                    fail_msg("key %s, claims %s, mutation %d: %s",
                             algorithm_name((enum algorithm)a), claimed[c], way,
                             is_good ? "taken" : "refused");
                }
                good += is_good;
                buf_deinit(&token);
                buf_deinit(&signature);
            }
        }
    }
    assert_int_equal(good, ALGORITHM_COUNT);
}

/* RFC 8725 2.1: whoever knows the public key must not be able to sign with it. */
static void a_public_key_is_no_secret(void **state)
{
    (void)state;
    for (int a = ALGORITHM_RS256; a < ALGORITHM_COUNT; a++) {
        const char *pem = public_pem((enum algorithm)a);
        struct buf token = BUF_EMPTY, signature = BUF_EMPTY;
        char error[KEYS_ERROR_SIZE];
        struct key *forger = key_from_secret(ALGORITHM_HS256, slice_of(pem), error, sizeof(error));

        add_text(&token, "HS256");
        key_sign(forger, buf_slice(&token), &signature);
        add_signature(&token, buf_slice(&signature));
        assert_int_equal(check(rings[a], buf_slice(&token)), JWT_INVALID);
        key_free(forger);
        buf_deinit(&signature);
        buf_deinit(&token);
    }
}

static void all_keys_together_take_each_honest_token(void **state)
{
    (void)state;
    char error[KEYS_ERROR_SIZE];
    struct keys *all = keys_load(&nothing, error, sizeof(error));

    for (int a = 0; a < ALGORITHM_COUNT; a++) {
        struct key *key =
            algorithm_is_hmac((enum algorithm)a)
                ? key_from_secret((enum algorithm)a, slice_of(SECRET), error, sizeof(error))
                : key_from_public_pem((enum algorithm)a, slice_of(public_pem((enum algorithm)a)),
                                      error, sizeof(error));
        assert_int_equal(keys_add(all, SLICE_NONE, key, error, sizeof(error)), 0);
    }
    for (int a = 0; a < ALGORITHM_COUNT; a++) {
        struct buf token = BUF_EMPTY, signature = BUF_EMPTY;

        add_text(&token, algorithm_name((enum algorithm)a));
        key_sign(private_keys[a], buf_slice(&token), &signature);
        add_signature(&token, buf_slice(&signature));
        assert_int_equal(check(all, buf_slice(&token)), JWT_GOOD);
        buf_deinit(&token);
        buf_deinit(&signature);
    }
    keys_free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_key_itself_under_its_algorithm_makes_a_good_token),
        cmocka_unit_test(each_mutation_spoils_a_token_under_each_claimed_algorithm),
        cmocka_unit_test(a_public_key_is_no_secret),
        cmocka_unit_test(all_keys_together_take_each_honest_token),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
