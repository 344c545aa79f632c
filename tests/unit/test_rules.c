/* test_rules.c: which rule a room goes by, and what a section about a namespace may say. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/mem.h"
#include "proto/rules.h"
#include "tests/unit/random.h"

static char error[RULES_ERROR_SIZE];

/* The defaults as the table of settings would have made them. */
static struct rules begin(void)
{
    static char everybody[] = "*", everyone[] = "everyone", nobody[] = "none", hidden[] = "hidden",
                moderator[] = "moderator";

    error[0] = '\0';
    return (struct rules){.defaults = {.subscribe = everybody,
                                       .publish = everybody,
                                       .presence_for = everybody,
                                       .history_for = everybody,
                                       .audience = everyone,
                                       .hidden = nobody,
                                       .muted = hidden,
                                       .moderators = moderator,
                                       .events = nobody,
                                       .echo = true,
                                       .presence = true,
                                       .history_size = 100,
                                       .history_ttl_ms = 86400000}};
}

static int set(struct rules *r, const char *name, const char *key, const char *value)
{
    return rules_set(r, "room", name, key, value, error, sizeof(error));
}

static void settle(struct rules *r)
{
    assert_int_equal(rules_settle(r, error, sizeof(error)), 0);
}

static void a_section_is_about_the_name_up_to_the_first_colon(void **state)
{
    static const struct {
        const char *room;
        int64_t history_size;
    } cases[] = {
        {"support", 1},     {"support:", 1},  {"support:a", 1},   {"support:a:b", 1},
        {"sup", 2},         {"sup:port", 2},  {"supporter", 100}, {"suppor", 100},
        {"su", 100},        {"Support", 100}, {":support", 100},  {"a:support", 100},
        {"support.x", 100}, {"z", 100},       {"!", 100},
    };
    struct rules r = begin();
    (void)state;

    assert_int_equal(set(&r, "support", "history_size", "1"), 0);
    assert_int_equal(set(&r, "sup", "history_size", "2"), 0);
    settle(&r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct rule *rule = rules_find(&r, slice_of(cases[i].room));
        if (rule->history_size != cases[i].history_size) {
            fail_msg("%s has %" PRId64, cases[i].room, rule->history_size);
        }
    }
    rules_deinit(&r);
}

static void what_a_section_does_not_say_is_as_the_defaults_have_it_in_the_end(void **state)
{
    static char admin[] = "admin";
    struct rules r = begin();
    (void)state;

    assert_int_equal(set(&r, "a", "publish", "agent, moderator"), 0);
    assert_int_equal(set(&r, "b", "presence", "no"), 0);
    assert_int_equal(set(&r, "c", "history_ttl", "5m"), 0);
    r.defaults.subscribe = admin; /* [room] came later */
    r.defaults.history_size = 7;
    settle(&r);
    const struct rule *a = rules_find(&r, SLICE_LIT("a:1"));
    const struct rule *b = rules_find(&r, SLICE_LIT("b:1"));
    const struct rule *c = rules_find(&r, SLICE_LIT("c:1"));
    assert_string_equal(a->publish, "agent, moderator");
    assert_string_equal(a->subscribe, "admin");
    assert_true(a->presence && !b->presence && c->presence);
    assert_string_equal(b->publish, "*");
    assert_int_equal(a->history_size, 7);
    assert_int_equal(a->history_ttl_ms, 86400000);
    assert_int_equal(c->history_ttl_ms, 300000);
    assert_int_equal(rules_history_ttl_min_ms(&r), 300000);
    assert_ptr_equal(rules_find(&r, SLICE_LIT("d")), &r.defaults);
    rules_deinit(&r);
}

static void as_many_namespaces_as_may_be_are_told_apart(void **state)
{
    struct rules r = begin();
    uint64_t seed = 20260301;
    unsigned order[RULES_NAMES_MAX];
    char name[32], value[16];
    (void)state;

    for (unsigned i = 0; i < RULES_NAMES_MAX; i++) {
        unsigned j = (unsigned)(random_next(&seed) % (i + 1));
        order[i] = order[j];
        order[j] = i;
    }
    for (size_t i = 0; i < RULES_NAMES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "n%u", order[i]);
        (void)snprintf(value, sizeof(value), "%u", order[i]);
        assert_int_equal(set(&r, name, "history_size", value), 0);
    }
    assert_int_equal(set(&r, "onemore", "history_size", "1"), -1);
    assert_string_equal(error, "at most 256 namespaces");
    assert_int_equal(set(&r, "n255", "presence", "no"), 0); /* it is there already */
    settle(&r);
    for (unsigned i = 0; i < RULES_NAMES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "n%u:x", i);
        const struct rule *rule = rules_find(&r, slice_of(name));
        assert_int_equal(rule->history_size, i);
        assert_int_equal(rule->presence, i != 255);
    }
    assert_ptr_equal(rules_find(&r, SLICE_LIT("n256:x")), &r.defaults);
    rules_deinit(&r);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *section, *name, *key, *value, *want;
    } cases[] = {
        {"log", "a", "level", "info", "only [room \"NAME\"] can have a name"},
        {"room", "a:b", "presence", "no", "a namespace is 1 to 40 characters"},
        {"room", "a b", "presence", "no", "a namespace is 1 to 40 characters"},
        {"room", "a*", "presence", "no", "a namespace is 1 to 40 characters"},
        {"room", "", "presence", "no", "a namespace is 1 to 40 characters"},
        {"room", "a2345678901234567890123456789012345678901", "presence", "no",
         "a namespace is 1 to 40 characters"},
        {"room", "a", "presense", "no", "unknown key of a namespace; there are: subscribe publish"},
        {"room", "a", "idempotency_window", "1m", "unknown key of a namespace"},
        {"room", "a", "", "1m", "unknown key of a namespace"},
        {"room", "a", "presence", "maybe", "must be yes or no, not \"maybe\""},
        {"room", "a", "history_size", "-1", "must be a number from 0 to 100000"},
        {"room", "a", "history_size", "100001", "must be a number from 0 to 100000"},
        {"room", "a", "history_ttl", "10", "must be a duration"},
        {"room", "a", "history_ttl", "999ms", "must be a duration"},
        {"room", "a", "publish", "", "must be * or none, or roles"},
        {"room", "a", "publish", " , ", "must be * or none, or roles"},
        {"room", "a", "publish", "* agent", "must be * or none, or roles"},
        {"room", "a", "subscribe", "agent,none", "must be * or none, or roles"},
        {"room", "a", "presence", "no", ""},
        {"room", "a", "presence", "no", "is given twice"},
    };
    struct rules r = begin();
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        error[0] = '\0';
        int answer = rules_set(&r, cases[i].section, cases[i].name, cases[i].key, cases[i].value,
                               error, sizeof(error));
        if (answer != (cases[i].want[0] != '\0' ? -1 : 0) ||
            strncmp(error, cases[i].want, strlen(cases[i].want)) != 0) {
            fail_msg("case %zu: %d %s", i, answer, error);
        }
        assert_null(strchr(error, '\n'));
    }
    settle(&r);
    rules_deinit(&r);
}

static void the_defaults_have_to_name_people_too(void **state)
{
    static char both[] = "none, agent", nobody[] = "";
    struct rules r = begin();
    (void)state;

    r.defaults.publish = both;
    assert_int_equal(rules_settle(&r, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "[room] publish: must be * or none"));
    r = begin();
    r.defaults.subscribe = nobody;
    assert_int_equal(rules_settle(&r, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "[room] subscribe: must be * or none"));
    rules_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_section_is_about_the_name_up_to_the_first_colon),
        cmocka_unit_test(what_a_section_does_not_say_is_as_the_defaults_have_it_in_the_end),
        cmocka_unit_test(as_many_namespaces_as_may_be_are_told_apart),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(the_defaults_have_to_name_people_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
