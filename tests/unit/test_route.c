/*
 * test_route.c: paths and parameters as they come from outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/edge/demo.h"
#include "gateway/edge/route.h"

static const struct gateway_conf closed = {.demo = false, .echo = false};
static const struct gateway_conf open = {.demo = true, .echo = true};

static void the_paths_of_the_dialects_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum dialect dialect;
    } cases[] = {
        {"/connection/websocket", DIALECT_CENTRIFUGE},
        {"/ws", DIALECT_PLAIN},
        {"/echo", DIALECT_ECHO},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct route r = route_find(&open, slice_of(cases[i].path));
        assert_int_equal(r.kind, ROUTE_WEBSOCKET);
        assert_int_equal(r.dialect, cases[i].dialect);
    }
}

static void other_spellings_of_a_path_lead_nowhere(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",
        "ws",
        "/ws/",
        "//ws",
        "/WS",
        "/ws/../ws",
        "/./ws",
        "/%77s",
        "/ws%00",
        "/ws;x",
        "/wss",
        "/w",
        "http://chat.example.com/ws",
        "*",
        "/connection",
        "/connection/websocket/",
        "/connection//websocket",
        "/connection/websockets",
        "/demo",
        "/demo/",
        "/demo/token/",
        "/metrics",
        "/live",
    };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (route_find(&open, slice_of(paths[i])).kind != ROUTE_NOWHERE) {
            fail_msg("found: %s", paths[i]);
        }
    }
    assert_int_equal(route_find(&open, (struct slice){"/ws\0", 4}).kind, ROUTE_NOWHERE);
}

static void what_is_switched_off_leads_nowhere(void **state)
{
    (void)state;
    assert_int_equal(route_find(&closed, SLICE_LIT("/echo")).kind, ROUTE_NOWHERE);
    assert_int_equal(route_find(&closed, SLICE_LIT("/demo/token")).kind, ROUTE_NOWHERE);
    assert_int_equal(route_find(&closed, SLICE_LIT("/")).kind, ROUTE_NOWHERE);
    assert_int_equal(route_find(&closed, SLICE_LIT("/ws")).kind, ROUTE_WEBSOCKET);
    assert_int_equal(route_find(&open, SLICE_LIT("/demo/token")).kind, ROUTE_DEMO_TOKEN);
}

static void each_file_of_the_demo_has_its_path(void **state)
{
    (void)state;
    assert_true(demo_files_count > 0);
    for (size_t i = 0; i < demo_files_count; i++) {
        struct route r = route_find(&open, slice_of(demo_files[i].path));
        assert_int_equal(r.kind, ROUTE_PAGE);
        assert_ptr_equal(r.file, &demo_files[i]);
    }
}

static void parameters_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *query, *want; /* NULL: absent */
    } cases[] = {
        {"room=lobby", "lobby"},
        {"room=", ""},
        {"a=1&room=lobby&b=2", "lobby"},
        {"&&room=lobby&", "lobby"},
        {"room=one&room=two", "one"},
        {"room=a%20b+c%2Bd", "a b c+d"},
        {"room=%e2%82%AC", "\xe2\x82\xac"},
        {"room=a=b", "a=b"},
        {"room=a?b#c", "a?b#c"},
        {"", NULL},
        {"room", NULL},
        {"rooms=lobby", NULL},
        {"xroom=lobby", NULL},
        {"Room=lobby", NULL},
        {"r%6fom=lobby", NULL},
        {"a=room=lobby", NULL},
        {";room=lobby", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = BUF_EMPTY;
        int r = route_param(slice_of(cases[i].query), "room", &out);
        assert_int_equal(r, cases[i].want != NULL ? 0 : PARAM_ABSENT);
        if (cases[i].want != NULL) {
            assert_true(slice_equal(buf_slice(&out), slice_of(cases[i].want)));
            assert_true(route_param_is(slice_of(cases[i].query), "room", cases[i].want));
        }
        assert_false(route_param_is(slice_of(cases[i].query), "room", "other"));
        buf_deinit(&out);
    }
    assert_int_equal(route_param(SLICE_NONE, "room", NULL), PARAM_ABSENT);
}

static void broken_escapes_are_malformed_and_leave_nothing_behind(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "room=%",   "room=%4",   "room=a%",     "room=%zz",  "room=%4g",
        "room=%g4", "room=%%41", "room=%4&x=1", "room=% 41",
    };
    struct buf out = BUF_EMPTY;

    buf_add_lit(&out, "kept");
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        assert_int_equal(route_param(slice_of(queries[i]), "room", &out), PARAM_MALFORMED);
        assert_true(slice_equal(buf_slice(&out), SLICE_LIT("kept")));
    }
    assert_int_equal(route_param(SLICE_LIT("room=%00"), "room", &out), 0);
    assert_int_equal(out.size, 5);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_paths_of_the_dialects_are_found),
        cmocka_unit_test(other_spellings_of_a_path_lead_nowhere),
        cmocka_unit_test(what_is_switched_off_leads_nowhere),
        cmocka_unit_test(each_file_of_the_demo_has_its_path),
        cmocka_unit_test(parameters_are_decoded),
        cmocka_unit_test(broken_escapes_are_malformed_and_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
