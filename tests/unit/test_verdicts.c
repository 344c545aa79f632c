/*
 * test_verdicts.c: which tokens are remembered, and what that saves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"
#include "gateway/token/jwt.h"
#include "gateway/token/verdicts.h"
#include "tests/unit/key_pems.h"

#define NOW 1000000

static struct metrics metrics;

static void a_token_is_known_until_it_expires_and_no_other_is(void **state)
{
    (void)state;
    struct verdicts *v = verdicts_new(100, &metrics);

    assert_false(verdicts_has(v, SLICE_LIT("a.b.c"), NOW));
    verdicts_add(v, SLICE_LIT("a.b.c"), NOW + 10);
    assert_true(verdicts_has(v, SLICE_LIT("a.b.c"), NOW));
    assert_true(verdicts_has(v, SLICE_LIT("a.b.c"), NOW + 9));
    assert_false(verdicts_has(v, SLICE_LIT("a.b.c"), NOW + 10));
    assert_false(verdicts_has(v, SLICE_LIT("a.b.d"), NOW));
    assert_false(verdicts_has(v, SLICE_LIT("a.b."), NOW));
    assert_false(verdicts_has(v, SLICE_LIT(""), NOW));
    verdicts_clear(v);
    assert_false(verdicts_has(v, SLICE_LIT("a.b.c"), NOW));
    assert_null(verdicts_free(v));
    assert_null(verdicts_free(NULL));
}

static void without_room_nothing_is_remembered(void **state)
{
    (void)state;
    struct verdicts *v = verdicts_new(0, &metrics);

    verdicts_add(v, SLICE_LIT("a.b.c"), NOW + 10);
    assert_false(verdicts_has(v, SLICE_LIT("a.b.c"), NOW));
    v = verdicts_free(v);
}

static void the_memory_is_bounded_and_the_newest_is_in_it(void **state)
{
    (void)state;
    struct verdicts *v = verdicts_new(64, &metrics);
    char token[32];
    int known = 0;

    for (int i = 0; i < 1000; i++) {
        int size = snprintf(token, sizeof(token), "token.%d", i);
        struct slice t = {token, (size_t)size};

        verdicts_add(v, t, NOW + 10 + i);
        assert_true(verdicts_has(v, t, NOW));
    }
    for (int i = 0; i < 1000; i++) {
        int size = snprintf(token, sizeof(token), "token.%d", i);
        known += verdicts_has(v, (struct slice){token, (size_t)size}, NOW);
    }
    assert_int_equal(known, 64);
    v = verdicts_free(v);
}

static enum jwt_verdict check(const struct keys *keys, struct verdicts *v, struct slice token,
                              int64_t now_s)
{
    const struct claims_rules any = {"", "", 10, 0};
    const struct jwt_terms terms = {keys, v, "", any, any};
    struct jwt_claims claims;
    enum jwt_verdict verdict = jwt_check(&terms, JWT_CONNECTION, token, now_s, &claims, NULL);

    assert_int_equal(claims.user[0] != '\0', verdict == JWT_GOOD);
    return verdict;
}

static void a_signature_is_checked_once_and_everything_else_each_time(void **state)
{
    (void)state;
    const struct keys_source none = {"", "", "", "", NULL};
    char error[KEYS_ERROR_SIZE];
    struct keys *keys = keys_load(&none, error, sizeof(error));
    struct keys *no_keys = keys_load(&none, error, sizeof(error));
    struct key *key =
        key_from_private_pem(ALGORITHM_COUNT, slice_of(pem_p256_private), error, sizeof(error));
    struct verdicts *v = verdicts_new(64, &metrics);
    const struct jwt_order order = {"ann", "", NULL, 0, "", "", "", 60};
    struct buf token = BUF_EMPTY;
    uint64_t hits = stat_get(&metrics.verdicts_hit);

    assert_non_null(key);
    assert_int_equal(jwt_mint(key, "", &order, NOW, &token), 0);
    assert_int_equal(keys_add(keys, SLICE_NONE, key, error, sizeof(error)), 0);
    struct slice t = buf_slice(&token);

    assert_int_equal(check(no_keys, v, t, NOW), JWT_INVALID);
    assert_int_equal(check(keys, v, t, NOW), JWT_GOOD);
    assert_int_equal(stat_get(&metrics.verdicts_hit), hits);
    assert_int_equal(check(no_keys, v, t, NOW), JWT_GOOD); /* no key was asked */
    assert_int_equal(check(keys, v, t, NOW + 59), JWT_GOOD);
    assert_int_equal(stat_get(&metrics.verdicts_hit), hits + 2);
    assert_int_equal(check(keys, v, t, NOW - 11), JWT_INVALID); /* issued in the future */
    assert_int_equal(check(keys, v, t, NOW + 70), JWT_EXPIRED);
    token.at[token.size - 5] = token.at[token.size - 5] == 'A' ? 'B' : 'A';
    assert_int_equal(check(no_keys, v, t, NOW), JWT_INVALID);
    assert_int_equal(check(keys, v, t, NOW), JWT_INVALID);
    assert_int_equal(check(keys, v, t, NOW), JWT_INVALID); /* bad ones are not remembered as good */
    buf_deinit(&token);
    v = verdicts_free(v);
    keys_free(keys);
    keys_free(no_keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_known_until_it_expires_and_no_other_is),
        cmocka_unit_test(without_room_nothing_is_remembered),
        cmocka_unit_test(the_memory_is_bounded_and_the_newest_is_in_it),
        cmocka_unit_test(a_signature_is_checked_once_and_everything_else_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
