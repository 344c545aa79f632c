/*
 * test_identity.c: who a session is, and what rules let it do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/token/identity.h"

static const struct jwt_claims ann = {
    .user = "ann",
    .name = "Ann",
    .roles = {"moderator", "staff"},
    .role_count = 2,
    .expires_s = 7,
};

static void claims_become_an_identity(void **state)
{
    (void)state;
    struct identity *i = identity_new(&ann);

    assert_true(i->is_known);
    assert_string_equal(i->user, "ann");
    assert_string_equal(i->name, "Ann");
    assert_string_equal(i->roles[0], "moderator");
    assert_string_equal(i->roles[1], "staff");
    assert_null(i->roles[2]);
    assert_int_equal(i->expires_s, 7);
    assert_null(identity_free(i));
}

static void nobody_is_anonymous(void **state)
{
    (void)state;
    struct identity *i = identity_new(NULL);

    assert_false(i->is_known);
    assert_string_equal(i->user, "");
    assert_string_equal(i->name, "");
    assert_null(i->roles);
    assert_int_equal(i->expires_s, 0);
    assert_null(identity_free(i));
    assert_null(identity_free(NULL));
}

static void names_are_ready_to_stand_in_json(void **state)
{
    (void)state;
    static const struct jwt_claims odd = {.user = "a\"b\\c", .name = "\xc3\x85 \"x\""};
    struct identity *i = identity_new(&odd);

    assert_string_equal(i->user, "a\\\"b\\\\c");
    assert_string_equal(i->name, "\xc3\x85 \\\"x\\\"");
    assert_null(i->roles);
    identity_free(i);
}

static void a_rule_admits_those_who_have_one_of_its_roles(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        bool known, anonymous, without_roles; /* who may */
    } cases[] = {
        {"*", true, true, true},
        {"none", false, false, false},
        {"", false, false, false},
        {" , ", false, false, false},
        {"moderator", true, false, false},
        {"staff", true, false, false},
        {"admin,moderator", true, false, false},
        {"admin moderator", true, false, false},
        {" admin ,\tstaff ", true, false, false},
        {"admin", false, false, false},
        {"mod", false, false, false},
        {"moderators", false, false, false},
        {"Moderator", false, false, false},
        {"moderator2,staff2", false, false, false},
        {"*,admin", false, false, false}, /* a star is a rule, not a role */
    };
    static const struct jwt_claims bob = {.user = "bob", .name = "bob"};
    struct identity *known = identity_new(&ann);
    struct identity *without_roles = identity_new(&bob);
    struct identity *anonymous = identity_new(NULL);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(identity_may(known, cases[i].rule), cases[i].known);
        assert_int_equal(identity_may(without_roles, cases[i].rule), cases[i].without_roles);
        assert_int_equal(identity_may(anonymous, cases[i].rule), cases[i].anonymous);
    }
    identity_free(known);
    identity_free(without_roles);
    identity_free(anonymous);
}

static void a_role_named_like_a_rule_gives_nothing(void **state)
{
    (void)state;
    static const struct jwt_claims sly = {
        .user = "sly", .name = "sly", .roles = {"none", "*", "a,staff"}, .role_count = 3};
    struct identity *i = identity_new(&sly);

    assert_false(identity_may(i, "none"));
    assert_false(identity_may(i, "staff"));
    assert_false(identity_may(i, "a"));
    identity_free(i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_become_an_identity),
        cmocka_unit_test(nobody_is_anonymous),
        cmocka_unit_test(names_are_ready_to_stand_in_json),
        cmocka_unit_test(a_rule_admits_those_who_have_one_of_its_roles),
        cmocka_unit_test(a_role_named_like_a_rule_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
