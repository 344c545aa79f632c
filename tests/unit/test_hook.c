/*
 * test_hook.c: what is asked of a backend, what it may answer, and what its settings may be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gateway/hook/ask.h"
#include "gateway/hook/hook.h"
#include "gateway/hook/hooks.h"
#include "proto/limits.h"

#define T24 "aaaaaaaaaaaaaaaaaaaaaaaa"
#define T120 T24 T24 T24 T24 T24

static enum hook_end read_end(const char *body)
{
    struct hook_answer a;
    const char *why = NULL;

    hook_answer_read(&a, slice_of(body), &why);
    assert_int_equal(a.end == HOOK_END_BAD, why != NULL);
    return a.end;
}

static void an_answer_is_a_result_an_error_or_a_disconnect(void **state)
{
    static const struct {
        const char *body;
        enum hook_end end;
    } cases[] = {
        {"{\"result\":{}}", HOOK_END_RESULT},
        {" \n{\"result\":{\"user\":\"ann\"},\"more\":1}\n", HOOK_END_RESULT},
        {"{\"error\":null,\"result\":{}}", HOOK_END_RESULT},
        {"{\"error\":{\"code\":400}}", HOOK_END_ERROR},
        {"{\"error\":{\"code\":1999,\"message\":\"no\",\"temporary\":true}}", HOOK_END_ERROR},
        {"{\"error\":{\"code\":103}}", HOOK_END_ERROR},
        {"{\"error\":{\"code\":1000,\"message\":null},\"result\":{}}", HOOK_END_ERROR},
        {"{\"disconnect\":{\"code\":4000,\"reason\":\"out\"}}", HOOK_END_DISCONNECT},
        {"{\"disconnect\":{\"code\":3000},\"error\":{\"code\":400}}", HOOK_END_DISCONNECT},
        {"{\"error\":{\"code\":500,\"message\":\"" T120 "\"}}", HOOK_END_ERROR},
        {"", HOOK_END_BAD},
        {"null", HOOK_END_BAD},
        {"[]", HOOK_END_BAD},
        {"{}", HOOK_END_BAD},
        {"{\"result\":null}", HOOK_END_BAD},
        {"{\"result\":[]}", HOOK_END_BAD},
        {"{\"result\":true}", HOOK_END_BAD},
        {"{\"result\":{}", HOOK_END_BAD},
        {"{\"result\":{}}{}", HOOK_END_BAD},
        {"{\"result\":{},\"result\":{}}", HOOK_END_BAD},
        {"{\"result\":{\"user\":\"a\",\"user\":\"b\"}}", HOOK_END_BAD},
        {"{\"error\":{}}", HOOK_END_BAD},
        {"{\"error\":\"no\"}", HOOK_END_BAD},
        {"{\"error\":false,\"result\":{}}", HOOK_END_BAD},
        {"{\"error\":{\"code\":0}}", HOOK_END_BAD},
        {"{\"error\":{\"code\":-1}}", HOOK_END_BAD},
        {"{\"error\":{\"code\":\"400\"}}", HOOK_END_BAD},
        {"{\"error\":{\"code\":399}}", HOOK_END_BAD},
        {"{\"error\":{\"code\":2000}}", HOOK_END_BAD},
        {"{\"error\":{\"code\":4294967696}}", HOOK_END_BAD},
        {"{\"error\":{\"code\":400,\"message\":7}}", HOOK_END_BAD},
        {"{\"error\":{\"code\":400,\"message\":\"a\\nb\"}}", HOOK_END_BAD},
        {"{\"error\":{\"code\":400,\"message\":\"" T120 "1234\"}}", HOOK_END_BAD},
        {"{\"error\":{\"code\":400,\"temporary\":1}}", HOOK_END_BAD},
        {"{\"disconnect\":{\"reason\":\"out\"}}", HOOK_END_BAD},
        {"{\"disconnect\":{\"code\":1000}}", HOOK_END_BAD},
        {"{\"disconnect\":{\"code\":2999}}", HOOK_END_BAD},
        {"{\"disconnect\":{\"code\":5000}}", HOOK_END_BAD},
        {"{\"disconnect\":{\"code\":4000,\"reason\":\"{}\"}}", HOOK_END_BAD},
        {"{\"disconnect\":{\"code\":4000,\"reason\":\"42\"}}", HOOK_END_BAD},
        {"{\"disconnect\":{\"code\":4000,\"reason\":\" null \"}}", HOOK_END_BAD},
        {"{\"disconnect\":{\"code\":4000,\"reason\":\"" T120 "1234\"}}", HOOK_END_BAD},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (read_end(cases[i].body) != cases[i].end) {
            fail_msg("%s: is %s", cases[i].body, hook_end_label(read_end(cases[i].body)));
        }
    }
}

static void an_error_keeps_its_code_and_words(void **state)
{
    struct hook_answer a;
    const char *why;
    (void)state;

    hook_answer_read(&a, SLICE_LIT("{\"error\":{\"code\":1000,\"message\":\"n\\u00f6\"}}"), &why);
    assert_int_equal(a.code, 1000);
    assert_string_equal(a.text, "n\xc3\xb6");
    assert_false(a.is_temporary);
    hook_answer_read(&a, SLICE_LIT("{\"error\":{\"code\":401,\"temporary\":true}}"), &why);
    assert_string_equal(a.text, "refused");
    assert_true(a.is_temporary);
    hook_answer_read(&a, SLICE_LIT("{\"disconnect\":{\"code\":4001,\"reason\":\"\"}}"), &why);
    assert_int_equal(a.code, 4001);
    assert_string_equal(a.text, "disconnected");
    hook_answer_read(&a, SLICE_LIT("{\"disconnect\":{\"code\":3009}}"), &why);
    assert_string_equal(a.text, "write error"); /* the protocol has words for its codes */
}

static void the_protocols_own_errors_are_as_temporary_as_it_says(void **state)
{
    static const struct {
        const char *error;
        bool is_temporary;
    } cases[] = {
        {"{\"error\":{\"code\":100}}", true},
        {"{\"error\":{\"code\":100,\"temporary\":false}}", true},
        {"{\"error\":{\"code\":103}}", false},
        {"{\"error\":{\"code\":103,\"temporary\":true}}", true},
        {"{\"error\":{\"code\":400}}", false},
    };
    struct hook_answer a;
    const char *why;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        hook_answer_read(&a, slice_of(cases[i].error), &why);
        assert_int_equal(a.end, HOOK_END_ERROR);
        assert_int_equal(a.is_temporary, cases[i].is_temporary);
    }
}

static int claims_of(const char *result, struct jwt_claims *claims, bool *is_known)
{
    const char *why = "";

    return hook_result_claims(slice_of(result), 1000, claims, is_known, &why);
}

static void a_result_of_connect_says_who_it_is(void **state)
{
    struct jwt_claims c;
    bool is_known;
    (void)state;

    assert_int_equal(claims_of("{\"user\":\"ann\",\"name\":\"Ann\",\"roles\":[\"a\",\"b\"],"
                               "\"expire_at\":2000,\"info\":{\"x\":1},\"channels\":[\"lobby\"],"
                               "\"subs\":{\"news\":{\"info\":{}}},\"data\":{\"any\":1},\"meta\":1}",
                               &c, &is_known),
                     0);
    assert_true(is_known);
    assert_string_equal(c.user, "ann");
    assert_string_equal(c.name, "Ann");
    assert_int_equal(c.role_count, 2);
    assert_int_equal(c.expires_s, 2000);
    assert_int_equal(c.channel_count, 1);
    assert_true(slice_equal(jwt_text(&c, c.info), SLICE_LIT("{\"x\":1}")));
    assert_true(c.subs.size > 0);
    assert_int_equal(claims_of("{\"user\":\"bob\"}", &c, &is_known), 0);
    assert_int_equal(c.expires_s, 0);
    assert_string_equal(c.name, "bob");
    assert_int_equal(
        claims_of("{\"user\":\"bob\",\"info\":null,\"expire_at\":null}", &c, &is_known), 0);
}

static void who_has_no_user_is_nobody_and_has_nothing(void **state)
{
    static const char *const nobody[] = {"{}", "{\"user\":\"\"}", "{\"user\":null}",
                                         "{\"data\":{}}"};
    static const char *const too_much[] = {
        "{\"channels\":[\"lobby\"]}", "{\"user\":\"\",\"info\":{}}", "{\"roles\":[\"a\"]}",
        "{\"expire_at\":2000}", "{\"user\":\"\",\"expire_at\":0}"};
    struct jwt_claims c;
    bool is_known = true;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(nobody); i++) {
        assert_int_equal(claims_of(nobody[i], &c, &is_known), 0);
        assert_false(is_known);
    }
    for (size_t i = 0; i < ARRAY_LEN(too_much); i++) {
        assert_int_equal(claims_of(too_much[i], &c, &is_known), HOOK_RESULT_BAD);
    }
}

static void a_result_of_connect_that_makes_no_sense_is_bad(void **state)
{
    static const char *const cases[] = {
        "{\"user\":7}",
        "{\"user\":\"a\\nb\"}",
        "{\"user\":\"" T120 "123456789\"}",
        "{\"user\":\"ann\",\"roles\":\"moderator\"}",
        "{\"user\":\"ann\",\"channels\":[\"no room\"]}",
        "{\"user\":\"ann\",\"channels\":{}}",
        "{\"user\":\"ann\",\"subs\":[\"lobby\"]}",
        "{\"user\":\"ann\",\"expire_at\":\"tomorrow\"}",
        "{\"user\":\"ann\",\"expire_at\":-1}",
    };
    struct jwt_claims c;
    bool is_known;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (claims_of(cases[i], &c, &is_known) != HOOK_RESULT_BAD) {
            fail_msg("taken: %s", cases[i]);
        }
    }
    assert_int_equal(claims_of("{\"user\":\"ann\",\"expire_at\":999}", &c, &is_known),
                     HOOK_RESULT_EXPIRED);
}

static void a_result_of_subscribe_has_info_data_and_an_end(void **state)
{
    static const char *const bad[] = {"{\"info\":7}", "{\"info\":[]}", "{\"expire_at\":-1}",
                                      "{\"expire_at\":\"1\"}", "{\"override\":true}"};
    struct hook_subscribe s;
    (void)state;

    assert_int_equal(hook_result_subscribe(
                         SLICE_LIT("{\"info\":{\"a\":1},\"data\":[],\"expire_at\":5,"
                                   "\"override\":{\"force_push_join_leave\":{\"value\":true}}}"),
                         &s),
                     0);
    assert_true(slice_equal(s.info, SLICE_LIT("{\"a\":1}")));
    assert_true(slice_equal(s.data, SLICE_LIT("[]")));
    assert_int_equal(s.expires_s, 5);
    assert_true(s.wants_moves);
    assert_int_equal(hook_result_subscribe(SLICE_LIT("{\"info\":null,\"data\":null}"), &s), 0);
    assert_int_equal(s.info.size + s.data.size, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(hook_result_subscribe(slice_of(bad[i]), &s), HOOK_RESULT_BAD);
    }
}

static void info_is_as_long_as_others_can_carry_it(void **state)
{
    struct buf result = BUF_EMPTY;
    struct hook_subscribe s;
    (void)state;

    for (int more = 0; more < 2; more++) {
        buf_clear(&result);
        buf_addf(&result, "{\"info\":{\"a\":\"%0*d\"}}", INFO_MAX - 8 + more, 0);
        assert_int_equal(hook_result_subscribe(buf_slice(&result), &s),
                         more == 0 ? 0 : HOOK_RESULT_BAD);
        assert_int_equal(s.info.size, INFO_MAX + more);
    }
    buf_deinit(&result);
}

static void info_is_as_deep_as_others_can_carry_it(void **state)
{
    struct buf result = BUF_EMPTY;
    struct hook_subscribe s;
    (void)state;

    for (int levels = 1; levels < PAYLOAD_DEPTH_MAX; levels++) {
        buf_clear(&result);
        buf_add_lit(&result, "{\"info\":");
        for (int i = 0; i < levels; i++) {
            buf_add_lit(&result, "{\"a\":");
        }
        buf_add_char(&result, '1');
        for (int i = 0; i <= levels; i++) {
            buf_add_char(&result, '}');
        }
        assert_int_equal(hook_result_subscribe(buf_slice(&result), &s),
                         levels <= INFO_DEPTH_MAX ? 0 : HOOK_RESULT_BAD);
    }
    buf_deinit(&result);
}

static void a_question_is_one_object(void **state)
{
    struct buf out = BUF_EMPTY;
    (void)state;

    hook_question_write(&out, &(struct hook_question){.client = "c1",
                                                      .protocol = "json",
                                                      .address = "1.2.3.4:5",
                                                      .user = "a\\\"b",
                                                      .channel = SLICE_LIT("lobby"),
                                                      .name = SLICE_LIT("j\"s"),
                                                      .data = SLICE_LIT("[1]")});
    assert_true(slice_equal(
        buf_slice(&out),
        SLICE_LIT(
            "{\"client\":\"c1\",\"transport\":\"websocket\",\"protocol\":\"json\",\"encoding\":"
            "\"json\",\"address\":\"1.2.3.4:5\",\"user\":\"a\\\"b\",\"channel\":\"lobby\","
            "\"name\":\"j\\\"s\",\"data\":[1]}")));
    buf_deinit(&out);
}

static char empty[] = "";

static struct hooks_conf settings(void)
{
    return (struct hooks_conf){.connect_url = empty,
                               .subscribe_url = empty,
                               .publish_url = empty,
                               .headers = empty,
                               .secret = empty,
                               .ca_file = empty};
}

static void a_url_is_http_or_https_and_no_more(void **state)
{
    static const char *const good[] = {"http://127.0.0.1:80/a?b=c", "https://backend.example",
                                       "http://[::1]:8080/"};
    static const char *const bad[] = {"backend.example",
                                      "ftp://a/",
                                      "file:///etc/passwd",
                                      "http://",
                                      "http://ann:pw@a/",
                                      "http://a/#b",
                                      "gopher://a",
                                      "http://a b/",
                                      "http://a:99999/",
                                      "",
                                      "/x"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(ask_url_is_good(good[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (ask_url_is_good(bad[i])) {
            fail_msg("taken: %s", bad[i]);
        }
    }
}

static void what_the_settings_cannot_mean_is_told(void **state)
{
    static char url[] = "ftp://a/", secret[] = "short", spaced[] = "0123456789 0123456789";
    static char host[] = "Cookie, Host", odd[] = "Coo:kie", ws[] = "sec-websocket-key";
    static char ours[] = "x-warren-secret", none[] = "/dev/null";
    static char ok_list[] = "Cookie, Authorization X-Any";
    char error[HOOKS_ERROR_SIZE];
    (void)state;

    struct hooks_conf c = settings();
    c.headers = ok_list;
    assert_int_equal(hooks_check(&c, error, sizeof(error)), 0);

    struct {
        char **field, *value;
    } bad[] = {{&c.connect_url, url}, {&c.subscribe_url, url}, {&c.publish_url, url},
               {&c.secret, secret},   {&c.secret, spaced},     {&c.headers, host},
               {&c.headers, odd},     {&c.headers, ws},        {&c.headers, ours},
               {&c.ca_file, none}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        c = settings();
        *bad[i].field = bad[i].value;
        error[0] = '\0';
        assert_int_equal(hooks_check(&c, error, sizeof(error)), -1);
        assert_memory_equal(error, "[hooks] ", 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_a_result_an_error_or_a_disconnect),
        cmocka_unit_test(an_error_keeps_its_code_and_words),
        cmocka_unit_test(the_protocols_own_errors_are_as_temporary_as_it_says),
        cmocka_unit_test(a_result_of_connect_says_who_it_is),
        cmocka_unit_test(who_has_no_user_is_nobody_and_has_nothing),
        cmocka_unit_test(a_result_of_connect_that_makes_no_sense_is_bad),
        cmocka_unit_test(a_result_of_subscribe_has_info_data_and_an_end),
        cmocka_unit_test(info_is_as_long_as_others_can_carry_it),
        cmocka_unit_test(info_is_as_deep_as_others_can_carry_it),
        cmocka_unit_test(a_question_is_one_object),
        cmocka_unit_test(a_url_is_http_or_https_and_no_more),
        cmocka_unit_test(what_the_settings_cannot_mean_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
