/*
 * test_page.c: the demo's answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/http.h"
#include "gateway/edge/page.h"
#include "gateway/token/jwt.h"
#include "tests/unit/tokens.h"

#define NOW 1000000
#define KEY "0123456789abcdef0123456789abcdef"

static struct gateway_conf conf = {
    .hmac_key = (char *)(uintptr_t)KEY,
    .audience = (char *)(uintptr_t) "warren",
    .issuer = (char *)(uintptr_t) "",
};

static const struct demo_file file = {"/x.js", "text/javascript; charset=utf-8",
                                      (const unsigned char *)"let x;", 6};

/* The answer to a request, terminated by a NUL; the caller frees it. */
static struct buf answer(const char *method, const char *target, bool wants_token, int *status)
{
    struct buf text = BUF_EMPTY;
    struct buf out = BUF_EMPTY;
    struct http_head h;

    conf.keys = tokens_keys(conf.hmac_key);
    buf_addf(&text, "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", method, target);
    http_head_init(&h);
    assert_int_equal(http_head_feed(&h, text.at, text.size), HTTP_DONE);
    *status = wants_token ? page_token(&out, &conf, &h, NOW) : page_file(&out, &h, &file);
    buf_add_char(&out, '\0');
    conf.keys = keys_free(conf.keys);
    http_head_deinit(&h);
    buf_deinit(&text);
    return out;
}

static void a_file_comes_with_the_lines_that_protect_it(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "HTTP/1.1 200 OK\r\n",
        "\r\nContent-Type: text/javascript; charset=utf-8\r\n",
        "\r\nContent-Length: 6\r\n",
        "\r\nContent-Security-Policy: default-src 'self'; connect-src 'self' ws: wss:\r\n",
        "\r\nX-Content-Type-Options: nosniff\r\n",
        "\r\nCache-Control: no-cache\r\n",
        "\r\nConnection: close\r\n",
    };
    int status;
    struct buf get = answer("GET", "/x.js", false, &status);
    assert_int_equal(status, 200);
    struct buf head = answer("HEAD", "/x.js", false, &status);
    assert_int_equal(status, 200);

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        assert_non_null(strstr(get.at, lines[i]));
        assert_non_null(strstr(head.at, lines[i]));
    }
    assert_string_equal(strstr(get.at, "\r\n\r\n") + 4, "let x;");
    assert_string_equal(strstr(head.at, "\r\n\r\n") + 4, "");
    buf_deinit(&get);
    buf_deinit(&head);
}

static void other_methods_are_refused(void **state)
{
    (void)state;
    int status;
    struct buf out = answer("POST", "/x.js", false, &status);

    assert_int_equal(status, 405);
    assert_non_null(strstr(out.at, "\r\nAllow: GET, HEAD\r\n"));
    buf_deinit(&out);
    out = answer("POST", "/demo/token?name=Ann", true, &status);
    assert_int_equal(status, 405);
    assert_non_null(strstr(out.at, "\r\nAllow: GET\r\n"));
    buf_deinit(&out);
}

static void a_visitor_gets_a_token_for_the_name(void **state)
{
    (void)state;
    static const struct tokens_of key = {KEY, "warren", ""};
    static const struct {
        const char *query, *user, *name, *tail;
    } cases[] = {
        {"Ann", "ann", "Ann", "\"user\":\"ann\",\"name\":\"Ann\"}"},
        {"Ann+Lee", "ann-lee", "Ann Lee", "\"user\":\"ann-lee\",\"name\":\"Ann Lee\"}"},
        {"a.B_c-9", "a.b_c-9", "a.B_c-9", "\"user\":\"a.b_c-9\",\"name\":\"a.B_c-9\"}"},
        {"%C3%85sa", "-sa", "\xc3\x85sa", "\"user\":\"-sa\",\"name\":\"\xc3\x85sa\"}"},
        {"%22%5C%3C", "---", "\"\\<", "\"user\":\"---\",\"name\":\"\\\"\\\\<\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char target[100];
        int status;
        struct jwt_claims claims;
        snprintf(target, sizeof(target), "/demo/token?name=%s", cases[i].query);
        struct buf out = answer("GET", target, true, &status);
        assert_int_equal(status, 200);
        assert_non_null(strstr(out.at, "\r\nCache-Control: no-store\r\n"));
        const char *token = strstr(out.at, "{\"token\":\"") + strlen("{\"token\":\"");
        struct slice text = {token, strcspn(token, "\"")};
        assert_int_equal(tokens_check(&key, text, NOW + PAGE_TOKEN_S, &claims, NULL), JWT_GOOD);
        assert_string_equal(claims.user, cases[i].user);
        assert_string_equal(claims.name, cases[i].name);
        assert_int_equal(claims.expires_s, NOW + PAGE_TOKEN_S);
        assert_string_equal(token + text.size + 2, cases[i].tail);
        buf_deinit(&out);
    }
}

static void names_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/demo/token",
        "/demo/token?",
        "/demo/token?name=",
        "/demo/token?Name=Ann",
        "/demo/token?name=%",
        "/demo/token?name=a%0Ab",
        "/demo/token?name=a%00",
        "/demo/token?name=%7F",
        "/demo/token?name=%FF",
        "/demo/token?name=%ED%A0%80",
        "/demo/token?name=0123456789012345678901234567890123456789012345678901234567890123x",
    };
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        int status;
        struct buf out = answer("GET", targets[i], true, &status);
        if (status != 400 || strstr(out.at, "token\":") != NULL) {
            fail_msg("%d for %s", status, targets[i]);
        }
        buf_deinit(&out);
    }
}

static void without_a_key_there_are_no_tokens(void **state)
{
    (void)state;
    static const char *const keys[] = {""};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        int status;
        conf.hmac_key = (char *)(uintptr_t)keys[i];
        struct buf out = answer("GET", "/demo/token?name=Ann", true, &status);
        assert_int_equal(status, 503);
        buf_deinit(&out);
    }
    conf.hmac_key = (char *)(uintptr_t)KEY;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_comes_with_the_lines_that_protect_it),
        cmocka_unit_test(other_methods_are_refused),
        cmocka_unit_test(a_visitor_gets_a_token_for_the_name),
        cmocka_unit_test(names_that_are_none_are_refused),
        cmocka_unit_test(without_a_key_there_are_no_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
