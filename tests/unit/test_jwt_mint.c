/*
 * test_jwt_mint.c: the tokens that we sign are the tokens that we take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"
#include "gateway/token/jwt.h"
#include "tests/unit/tokens.h"

#define NOW 1000000

#define SECRET "0123456789abcdef0123456789abcdef"

static const struct tokens_of ours = {SECRET, "warren", "https://issuer.example"};

static int mint(const char *user, const char *name, const char *const *roles, size_t role_count,
                const char *id, struct buf *out)
{
    struct keys *keys = tokens_keys(SECRET);
    const char *key_id = "";
    const struct key *key = keys_signer(keys, &key_id);
    const struct jwt_order order = {user,          name,        roles, role_count,
                                    ours.audience, ours.issuer, id,    60};
    int r = jwt_mint(key, key_id, &order, NOW, out);

    keys_free(keys);
    return r;
}

/* 129 bytes: more than any text may have. */
static const char too_long[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0";

static void what_is_minted_is_good_until_it_ends(void **state)
{
    (void)state;
    static const char *const roles[] = {"moderator", "staff"};
    struct buf token = BUF_EMPTY;
    struct jwt_claims claims;

    assert_int_equal(mint("ann", "Ann \"\xc3\x85\"", roles, 2, "id \"1\"", &token), 0);
    assert_int_equal(tokens_check(&ours, buf_slice(&token), NOW, &claims, NULL), JWT_GOOD);
    assert_string_equal(claims.user, "ann");
    assert_string_equal(claims.name, "Ann \"\xc3\x85\"");
    assert_int_equal(claims.role_count, 2);
    assert_string_equal(claims.roles[1], "staff");
    assert_int_equal(claims.expires_s, NOW + 60);
    assert_int_equal(claims.issued_s, NOW);
    assert_true(slice_equal(jwt_text(&claims, claims.id), SLICE_LIT("id \"1\"")));
    assert_int_equal(tokens_check(&ours, buf_slice(&token), NOW + 69, &claims, NULL), JWT_GOOD);
    assert_int_equal(tokens_check(&ours, buf_slice(&token), NOW + 70, &claims, NULL), JWT_EXPIRED);
    assert_int_equal(tokens_check(&ours, buf_slice(&token), NOW - 11, &claims, NULL), JWT_INVALID);
    buf_deinit(&token);
}

static void what_would_be_refused_is_not_minted(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a\nb", "\xff", too_long};
    const char *roles[JWT_ROLES_MAX + 1];
    struct buf token = BUF_EMPTY;

    buf_add_lit(&token, "kept");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(mint(bad[i], "", NULL, 0, "", &token), -1);
        assert_int_equal(mint("ann", "", &bad[i], 1, "", &token), -1);
        if (bad[i][0] != '\0') {
            assert_int_equal(mint("ann", bad[i], NULL, 0, "", &token), -1);
            assert_int_equal(mint("ann", "", NULL, 0, bad[i], &token), -1);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        roles[i] = "staff";
    }
    assert_int_equal(mint("ann", "", roles, JWT_ROLES_MAX + 1, "", &token), -1);
    assert_true(slice_equal(buf_slice(&token), SLICE_LIT("kept")));
    buf_deinit(&token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_minted_is_good_until_it_ends),
        cmocka_unit_test(what_would_be_refused_is_not_minted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
