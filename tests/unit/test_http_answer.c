/* test_http_answer.c: what a complete head says, and how we answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/http.h"

static void assert_slice(struct slice s, const char *want)
{
    assert_int_equal(s.size, strlen(want));
    assert_memory_equal(s.size > 0 ? s.at : "", want, s.size);
}

static void targets_are_split_but_not_normalised(void **state)
{
    (void)state;
    static const struct {
        const char *target, *path, *query;
    } cases[] = {
        {"/", "/", ""},
        {"/ws", "/ws", ""},
        {"/ws?", "/ws", ""},
        {"/ws?room=a", "/ws", "room=a"},
        {"/ws?a?b/c", "/ws", "a?b/c"},
        {"//ws", "//ws", ""},
        {"/ws/../x", "/ws/../x", ""},
        {"/%77s", "/%77s", ""},
        {"/WS", "/WS", ""},
        {"http://a/ws?x=1", "", ""},
        {"*", "", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_head h;
        struct buf b = BUF_EMPTY;
        buf_addf(&b, "OPTIONS %s HTTP/1.1\r\nHost: a\r\n\r\n", cases[i].target);
        http_head_init(&h);
        assert_int_equal(http_head_feed(&h, b.at, b.size), HTTP_DONE);
        assert_slice(h.method, "OPTIONS");
        assert_slice(h.target, cases[i].target);
        assert_slice(h.path, cases[i].path);
        assert_slice(h.query, cases[i].query);
        assert_true(h.is_http_1_1);
        http_head_deinit(&h);
        buf_deinit(&b);
    }
}

static const char sample[] = "GET /ws HTTP/1.1\r\n"
                             "Host: a\r\n"
                             "Empty:\r\n"
                             "Spaces: \t  inside  kept \t \r\n"
                             "Twice: one\r\n"
                             "Connection: keep-alive, Upgrade\r\n"
                             "twice: two\r\n"
                             "List: a,, b ,\tC\t,\r\n"
                             "LIST: d\r\n"
                             "\r\n"
                             "early bytes";

/* The sample, in pieces of `size` bytes. */
static void feed_sample(struct http_head *h, size_t size)
{
    int verdict = HTTP_MORE;
    http_head_init(h);
    for (size_t at = 0; at < sizeof(sample) - 1 && verdict == HTTP_MORE; at += size) {
        verdict = http_head_feed(h, sample + at, MIN(size, sizeof(sample) - 1 - at));
    }
    assert_int_equal(verdict, HTTP_DONE);
}

static void fields_are_found_by_name_in_any_case(void **state)
{
    (void)state;
    static const struct {
        const char *name, *want;
        bool repeated;
    } cases[] = {
        {"host", "a", false},
        {"EMPTY", "", false},
        {"Spaces", "inside  kept", false},
        {"Twice", "one", true},
        {"list", "a,, b ,\tC\t,", true},
    };
    for (size_t size = 1; size < sizeof(sample); size++) {
        struct http_head h;
        feed_sample(&h, size);
        assert_int_equal(h.field_count, 8);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            bool repeated;
            const struct slice *found = http_find(&h, cases[i].name, &repeated);
            assert_non_null(found);
            assert_slice(*found, cases[i].want);
            assert_int_equal(repeated, cases[i].repeated);
        }
        bool repeated = true;
        assert_null(http_find(&h, "Hos", &repeated));
        assert_false(repeated);
        assert_null(http_find(&h, "Hostt", NULL));
        http_head_deinit(&h);
    }
}

static void tokens_are_found_in_all_fields_of_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *token;
        bool want;
    } cases[] = {
        {"Connection", "upgrade", true},
        {"connection", "KEEP-ALIVE", true},
        {"Connection", "keep", false},
        {"Connection", "alive", false},
        {"Connection", "close", false},
        {"Connection", "keep-alive, Upgrade", false},
        {"List", "a", true},
        {"List", "b", true},
        {"List", "c", true},
        {"List", "d", true},
        {"List", "e", false},
        {"Empty", "a", false},
        {"Absent", "a", false},
    };
    struct http_head h;
    feed_sample(&h, sizeof(sample));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(http_has_token(&h, cases[i].name, cases[i].token), cases[i].want);
    }
    assert_true(http_has_name(&h, "connection", "keep-alive"));
    assert_false(http_has_name(&h, "Connection", "KEEP-ALIVE"));
    assert_false(http_has_name(&h, "Connection", "keep"));
    assert_true(http_has_name(&h, "List", "d"));
    assert_false(http_has_name(&h, "List", "D"));
    http_head_deinit(&h);
}

static void what_follows_the_head_is_kept(void **state)
{
    (void)state;
    struct http_head h;
    feed_sample(&h, sizeof(sample));
    assert_int_equal(h.head_size, sizeof(sample) - 1 - strlen("early bytes"));
    assert_slice((struct slice){h.bytes.at + h.head_size, h.bytes.size - h.head_size},
                 "early bytes");
    http_head_deinit(&h);
}

static void a_verdict_stays_and_takes_no_more_bytes(void **state)
{
    (void)state;
    struct http_head h;
    feed_sample(&h, sizeof(sample));
    size_t size = h.bytes.size;
    assert_int_equal(http_head_feed(&h, "more", 4), HTTP_DONE);
    assert_int_equal(h.bytes.size, size);
    http_head_deinit(&h);

    http_head_init(&h);
    assert_int_equal(http_head_feed(&h, "\n", 1), 400);
    assert_int_equal(http_head_feed(&h, sample, sizeof(sample) - 1), 400);
    assert_int_equal(h.field_count, 0);
    http_head_deinit(&h);
    http_head_deinit(&h);
}

static void an_answer_tells_its_length_and_closes(void **state)
{
    (void)state;
    struct buf out = BUF_EMPTY;

    http_answer(&out, 405, "text/plain", "Allow: GET\r\n", SLICE_LIT("no\n"));
    assert_slice(buf_slice(&out), "HTTP/1.1 405 Method Not Allowed\r\n"
                                  "Content-Type: text/plain\r\n"
                                  "Content-Length: 3\r\n"
                                  "Connection: close\r\n"
                                  "Allow: GET\r\n"
                                  "\r\n"
                                  "no\n");
    buf_clear(&out);
    http_answer(&out, 200, "text/plain", "", SLICE_NONE);
    assert_slice(buf_slice(&out), "HTTP/1.1 200 OK\r\n"
                                  "Content-Type: text/plain\r\n"
                                  "Content-Length: 0\r\n"
                                  "Connection: close\r\n"
                                  "\r\n");
    buf_deinit(&out);
}

static void a_refusal_is_json(void **state)
{
    (void)state;
    struct buf out = BUF_EMPTY;

    http_refuse(&out, 400, "", "bad \"thing\\\"\n");
    assert_slice(buf_slice(&out), "HTTP/1.1 400 Bad Request\r\n"
                                  "Content-Type: application/json\r\n"
                                  "Content-Length: 29\r\n"
                                  "Connection: close\r\n"
                                  "\r\n"
                                  "{\"error\":\"bad \\\"thing\\\\\\\" \"}\n");
    buf_deinit(&out);
}

static void every_status_that_we_use_has_a_reason(void **state)
{
    (void)state;
    static const int cases[] = {101, 200, 400, 401, 403, 404, 405, 408,
                                414, 426, 429, 431, 500, 503, 505};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_not_equal(http_reason(cases[i]), http_reason(999));
    }
    assert_string_equal(http_reason(404), "Not Found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_split_but_not_normalised),
        cmocka_unit_test(fields_are_found_by_name_in_any_case),
        cmocka_unit_test(tokens_are_found_in_all_fields_of_a_name),
        cmocka_unit_test(what_follows_the_head_is_kept),
        cmocka_unit_test(a_verdict_stays_and_takes_no_more_bytes),
        cmocka_unit_test(an_answer_tells_its_length_and_closes),
        cmocka_unit_test(a_refusal_is_json),
        cmocka_unit_test(every_status_that_we_use_has_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
