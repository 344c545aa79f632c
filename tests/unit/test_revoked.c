/*
 * test_revoked.c: whose tokens are taken back, for how long, and who is ended by it.
 */
#include "gateway/token/identity.h"
#include "gateway/token/revoked.h"
#include "tests/unit/gateway_kit.h"

#define NOW_S 1000000

static struct metrics metrics;

static struct jwt_claims claims_of(const char *user, const char *id, int64_t issued_s)
{
    struct jwt_claims c = {.issued_s = issued_s};

    snprintf(c.user, sizeof(c.user), "%s", user);
    snprintf(c.name, sizeof(c.name), "%s", user);
    c.id = (struct jwt_text){0, (uint16_t)strlen(id)};
    memcpy(c.texts, id, strlen(id));
    c.texts_size = strlen(id);
    return c;
}

/* The claims and the identity made of them are judged alike. */
static bool is_revoked(const struct revoked *r, const char *user, const char *id, int64_t issued_s)
{
    struct jwt_claims c = claims_of(user, id, issued_s);
    struct identity *i = identity_new(&c);
    bool is = revoked_is(r, &c);

    assert_int_equal(revoked_is_identity(r, i), is);
    identity_free(i);
    return is;
}

static void nobody_is_revoked_at_first(void **state)
{
    (void)state;
    struct revoked *r = revoked_new(&metrics);

    assert_false(is_revoked(r, "ann", "1", 0));
    assert_false(is_revoked(r, "ann", "", 0));
    assert_false(is_revoked(r, "ann", "", -5));
    assert_false(revoked_is_identity(r, identity_new(NULL)));
    assert_false(revoked_take_news(r, NOW_S));
    assert_null(revoked_free(r));
    assert_null(revoked_free(NULL));
}

static void a_token_is_known_by_its_id(void **state)
{
    (void)state;
    struct revoked *r = revoked_new(&metrics);

    assert_int_equal(revoked_add_token(r, SLICE_LIT("id-1"), NOW_S), 0);
    assert_true(is_revoked(r, "ann", "id-1", 5));
    assert_true(is_revoked(r, "bob", "id-1", 0));
    assert_false(is_revoked(r, "ann", "id-2", 5));
    assert_false(is_revoked(r, "ann", "id-", 5));
    assert_false(is_revoked(r, "ann", "id-11", 5));
    assert_false(is_revoked(r, "id-1", "", 5));
    assert_int_equal(revoked_count(r), 1);
    r = revoked_free(r);
}

static void a_user_is_revoked_up_to_a_time(void **state)
{
    (void)state;
    struct revoked *r = revoked_new(&metrics);

    assert_int_equal(revoked_add_user(r, SLICE_LIT("a\"n\\n"), 1000, NOW_S), 0);
    assert_true(is_revoked(r, "a\"n\\n", "1", 999));
    assert_true(is_revoked(r, "a\"n\\n", "", 0)); /* it does not say when it was issued */
    assert_false(is_revoked(r, "a\"n\\n", "1", 1000));
    assert_false(is_revoked(r, "ann", "1", 999));

    /* Said again: the later time counts, in whatever order. */
    assert_int_equal(revoked_add_user(r, SLICE_LIT("a\"n\\n"), 2000, NOW_S), 0);
    assert_int_equal(revoked_add_user(r, SLICE_LIT("a\"n\\n"), 500, NOW_S), 0);
    assert_true(is_revoked(r, "a\"n\\n", "1", 1999));
    assert_false(is_revoked(r, "a\"n\\n", "1", 2000));
    assert_int_equal(revoked_count(r), 1);
    r = revoked_free(r);
}

static void all_tokens_before_a_time_are_revoked(void **state)
{
    (void)state;
    struct revoked *r = revoked_new(&metrics);

    revoked_add_all(r, 1000);
    assert_true(is_revoked(r, "ann", "", 999));
    assert_true(is_revoked(r, "bob", "x", 0));
    assert_false(is_revoked(r, "ann", "", 1000));
    assert_false(revoked_is_identity(r, identity_new(NULL))); /* anonymous: there is no token */
    revoked_add_all(r, 500);
    assert_true(is_revoked(r, "ann", "", 999));
    r = revoked_free(r);
}

static void what_no_token_can_have_is_refused(void **state)
{
    (void)state;
    struct revoked *r = revoked_new(&metrics);
    char text[200];

    memset(text, 'x', sizeof(text));
    assert_int_equal(revoked_add_token(r, SLICE_NONE, 1), REVOKED_BAD);
    assert_int_equal(revoked_add_token(r, SLICE_LIT("a\nb"), 1), REVOKED_BAD);
    assert_int_equal(revoked_add_token(r, (struct slice){text, JWT_ID_MAX + 1}, 1), REVOKED_BAD);
    assert_int_equal(revoked_add_token(r, (struct slice){text, JWT_ID_MAX}, 1), 0);
    assert_int_equal(revoked_add_user(r, SLICE_NONE, 1, 1), REVOKED_BAD);
    assert_int_equal(revoked_add_user(r, SLICE_LIT("\xff"), 1, 1), REVOKED_BAD);
    assert_int_equal(revoked_add_user(r, (struct slice){text, 129}, 1, 1), REVOKED_BAD);
    assert_int_equal(revoked_count(r), 1);
    r = revoked_free(r);
}

static void entries_end_with_their_tokens(void **state)
{
    (void)state;
    struct revoked *r = revoked_new(&metrics);

    for (int i = 0; i < 1000; i++) {
        char id[16];
        int size = snprintf(id, sizeof(id), "t%d", i);

        assert_int_equal(revoked_add_token(r, (struct slice){id, (size_t)size}, NOW_S + i % 2), 0);
        assert_int_equal(
            revoked_add_user(r, (struct slice){id, (size_t)size}, 1, i % 2 == 0 ? NOW_S : 0), 0);
    }
    for (int i = 0; i < 20; i++) {
        revoked_tick(r, NOW_S - 1);
    }
    assert_int_equal(revoked_count(r), 2000);
    for (int i = 0; i < 20; i++) {
        revoked_tick(r, NOW_S);
    }
    assert_int_equal(revoked_count(r), 1000);
    assert_false(is_revoked(r, "t0", "t0", 0));
    assert_true(is_revoked(r, "", "t1", 9));
    assert_true(is_revoked(r, "t1", "", 0));
    for (int i = 0; i < 20; i++) {
        revoked_tick(r, INT64_MAX);
    }
    assert_int_equal(revoked_count(r), 500); /* those without an end */
    assert_int_equal(stat_get(&metrics.revocations), 500);
    r = revoked_free(r);
}

static void the_later_end_of_a_token_counts(void **state)
{
    (void)state;
    struct revoked *r = revoked_new(&metrics);

    assert_int_equal(revoked_add_token(r, SLICE_LIT("a"), NOW_S), 0);
    assert_int_equal(revoked_add_token(r, SLICE_LIT("a"), NOW_S - 10), 0);
    assert_int_equal(revoked_add_token(r, SLICE_LIT("b"), NOW_S), 0);
    assert_int_equal(revoked_add_token(r, SLICE_LIT("b"), 0), 0);
    revoked_tick(r, NOW_S - 1);
    assert_int_equal(revoked_count(r), 2);
    revoked_tick(r, NOW_S);
    assert_int_equal(revoked_count(r), 1);
    assert_true(is_revoked(r, "", "b", 0));
    r = revoked_free(r);
}

static void there_is_a_limit_and_known_entries_pass_it(void **state)
{
    (void)state;
    struct revoked *r = revoked_new(&metrics);
    uint64_t before = stat_get(&metrics.revocations_full);
    char id[16];

    for (int i = 0; i < REVOKED_TOKENS_MAX; i++) {
        int size = snprintf(id, sizeof(id), "%d", i);
        assert_int_equal(revoked_add_token(r, (struct slice){id, (size_t)size}, NOW_S), 0);
    }
    assert_int_equal(revoked_add_token(r, SLICE_LIT("x"), NOW_S), REVOKED_FULL);
    assert_int_equal(stat_get(&metrics.revocations_full), before + 1);
    assert_false(is_revoked(r, "", "x", 0));
    assert_int_equal(revoked_add_token(r, SLICE_LIT("7"), NOW_S), 0);
    assert_int_equal(revoked_add_user(r, SLICE_LIT("ann"), 1, NOW_S), 0);
    r = revoked_free(r);
}

static void news_are_told_once_and_not_too_often(void **state)
{
    (void)state;
    struct revoked *r = revoked_new(&metrics);

    assert_int_equal(revoked_add_token(r, SLICE_LIT("a"), 0), 0);
    assert_true(revoked_take_news(r, 1000));
    assert_false(revoked_take_news(r, 5000));
    revoked_add_all(r, 1);
    assert_true(revoked_take_news(r, 5001));
    assert_int_equal(revoked_add_user(r, SLICE_LIT("ann"), 1, 0), 0);
    assert_false(revoked_take_news(r, 5002));
    assert_true(revoked_take_news(r, 5001 + REVOKED_LOOK_MS));
    r = revoked_free(r);
}

static void sessions_that_match_end_and_others_stay(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob, nobody;

    kit_begin(&k);
    k.conf.anonymous = true;
    peer_connect(&ann, &k, "ann");
    peer_connect(&bob, &k, "bob");
    peer_connect(&nobody, &k, "");
    assert_int_equal(revoked_add_user(k.gateway.revoked, SLICE_LIT("ann"), 1, 0), 0);
    peer_expect(&ann, "close 3500 invalid token");
    assert_int_equal(stat_get(&k.gateway.metrics.closed[CLOSE_REVOKED]), 0);
    peer_end(&ann);
    KIT_UNTIL(&k, stat_get(&k.gateway.metrics.closed[CLOSE_REVOKED]) == 1);
    peer_expect_nothing(&bob);
    peer_expect_nothing(&nobody);

    revoked_add_all(k.gateway.revoked, 1);
    peer_expect(&bob, "close 3500 invalid token");
    peer_expect_nothing(&nobody);
    peer_end(&bob);
    peer_end(&nobody);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_revoked_at_first),
        cmocka_unit_test(a_token_is_known_by_its_id),
        cmocka_unit_test(a_user_is_revoked_up_to_a_time),
        cmocka_unit_test(all_tokens_before_a_time_are_revoked),
        cmocka_unit_test(what_no_token_can_have_is_refused),
        cmocka_unit_test(entries_end_with_their_tokens),
        cmocka_unit_test(the_later_end_of_a_token_counts),
        cmocka_unit_test(there_is_a_limit_and_known_entries_pass_it),
        cmocka_unit_test(news_are_told_once_and_not_too_often),
        cmocka_unit_test(sessions_that_match_end_and_others_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
