/* test_who.c: texts of settings that name people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/mem.h"
#include "proto/audience.h"
#include "proto/who.h"

static bool has_role(const void *person, struct slice role)
{
    return audience_has(person, role);
}

static void a_text_names_people(void **state)
{
    static const struct {
        const char *text;
        bool is_valid, is_roles; /* as a list of people, as a list of roles */
        bool agent, known, anonymous;
    } cases[] = {
        {"*", true, false, true, true, true},
        {"none", true, true, false, false, false},
        {"agent", true, true, true, false, false},
        {" other,\tagent ", true, true, true, false, false},
        {"agents", true, true, false, false, false},
        {"known", true, false, true, true, false},
        {"anonymous", true, false, false, false, true},
        {"anonymous agent", true, false, true, false, true},
        {"known, anonymous", true, false, true, true, true},
        {"everyone", true, false, false, false, false},
        {"payload x", true, false, false, false, false},
        {"", false, false, false, false, false},
        {" , ", false, false, false, false, false},
        {"* agent", false, false, true, false, false},
        {"none agent", false, false, true, false, false},
        {"a\xff", true, false, false, false, false},
    };
    static const struct audience_names agent = {.at = {{"agent", 5}, {"known!", 6}}, .count = 2};
    static const struct audience_names nothing = {.count = 0};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *text = cases[i].text;

        if (who_is_valid(text) != cases[i].is_valid || who_is_roles(text) != cases[i].is_roles ||
            who_admits(text, true, has_role, &agent) != cases[i].agent ||
            who_admits(text, true, has_role, &nothing) != cases[i].known ||
            who_admits(text, false, has_role, &agent) != cases[i].anonymous) {
            fail_msg("%s", text);
        }
    }
    assert_false(who_admits(NULL, true, has_role, &agent));
}

static void so_many_roles_fit_an_audience_and_no_more(void **state)
{
    struct buf text = BUF_EMPTY;
    (void)state;

    for (size_t i = 0; i < AUDIENCE_NAMES_MAX; i++) {
        buf_addf(&text, "r%zu ", i);
    }
    buf_add_char(&text, '\0');
    assert_true(who_is_roles(text.at));
    text.size--;
    buf_add_lit(&text, "more\0");
    assert_false(who_is_roles(text.at));
    buf_clear(&text);
    for (size_t i = 0; i < ROLE_MAX + 1; i++) {
        buf_add_char(&text, 'r');
    }
    buf_add_char(&text, '\0');
    assert_false(who_is_roles(text.at));
    assert_true(who_is_roles(text.at + 1));
    buf_deinit(&text);
}

static void roles_are_rewritten_as_identities_have_them(void **state)
{
    (void)state;
    char *text = who_rewrite("a\"b,\tc\\d  e");

    assert_string_equal(text, "a\\\"b c\\\\d e");
    mem_free(text);
    assert_null(who_rewrite("agent, moderator"));
    assert_null(who_rewrite(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_names_people),
        cmocka_unit_test(so_many_roles_fit_an_audience_and_no_more),
        cmocka_unit_test(roles_are_rewritten_as_identities_have_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
