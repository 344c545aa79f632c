/*
 * test_origin.c: which pages may connect. What looks like an allowed origin but
 * is none is the subject.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/edge/origin.h"

static struct origins *origins(const char *list)
{
    char error[100] = "";
    struct origins *o = origins_new(list, error, sizeof(error));

    if (o == NULL) {
        fail_msg("%s: %s", list, error);
    }
    return o;
}

static const char list[] =
    "https://chat.example.com, http://localhost:3000 https://[2001:db8::1]:8443,"
    "app://warren HTTPS://Upper.Example:443";

static void what_is_listed_is_allowed(void **state)
{
    (void)state;
    static const char *const good[] = {
        "https://chat.example.com",   "https://chat.example.com:443",
        "HTTPS://CHAT.example.COM",   "http://localhost:3000",
        "https://[2001:db8::1]:8443", "https://[2001:DB8::1]:8443",
        "https://upper.example",      "app://warren",
    };
    struct origins *o = origins(list);

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!origin_is_allowed(o, slice_of(good[i]), SLICE_LIT("gateway:8080"), true)) {
            fail_msg("refused: %s", good[i]);
        }
    }
    origins_free(o);
}

static const char *const bad[] = {
    "",
    "null",
    "*",
    "https://",
    "://chat.example.com",
    "chat.example.com",
    "//chat.example.com",
    "http://chat.example.com",
    "https://chat.example.com:444",
    "https://chat.example.com:0443",
    "https://chat.example.com:",
    "https://chat.example.com:+443",
    "https://chat.example.com:65979",
    "https://chat.example.com:4294967739",
    "https://chat.example.com/",
    "https://chat.example.com#",
    "https://chat.example.com?",
    "https://chat.example.com.",
    "https://chat.example.com.evil.org",
    "https://evil.org/https://chat.example.com",
    "https://chat.example.com@evil.org",
    "https://user@chat.example.com",
    "https://evilchat.example.com",
    "https://xchat.example.com",
    "https://hat.example.com",
    "https://chatxexample.com",
    "https://example.com",
    "https://chat.example.co",
    "https://chat.example.comm",
    " https://chat.example.com",
    "https://chat.example.com ",
    "https://chat.example.com https://chat.example.com",
    "https://chat.example.com,https://chat.example.com",
    "https://chat.example.com\xc3\xa4",
    "http://localhost",
    "http://localhost:30000",
    "http://localhost:300",
    "http://127.0.0.1:3000",
    "https://[2001:db8::1]",
    "https://[2001:db8::2]:8443",
    "https://2001:db8::1:8443",
    "https://[]:8443",
    "app://warren:80",
    "app://warren2",
    "apps://warren",
};

static void what_is_not_listed_is_refused_however_it_looks(void **state)
{
    (void)state;
    struct origins *o = origins(list);

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (origin_is_allowed(o, slice_of(bad[i]), SLICE_LIT("gateway:8080"), true)) {
            fail_msg("allowed: %s", bad[i]);
        }
    }
    struct slice with_nul = {"https://chat.example.com\0", 25};
    assert_false(origin_is_allowed(o, with_nul, SLICE_LIT("gateway:8080"), true));
    origins_free(o);
}

static void an_empty_list_allows_nobody_else(void **state)
{
    (void)state;
    struct origins *o = origins(" , ");

    assert_false(origin_is_allowed(o, SLICE_LIT("https://chat.example.com"),
                                   SLICE_LIT("gateway:8080"), true));
    origins_free(o);
    assert_null(origins_free(NULL));
}

static void the_very_host_of_the_request_is_allowed_if_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *origin, *host;
        bool allowed;
    } cases[] = {
        {"http://gateway:8080", "gateway:8080", true},
        {"http://GateWay:8080", "gateway:8080", true},
        {"http://gateway", "gateway", true},
        {"http://gateway", "gateway:80", true},
        {"http://gateway:80", "gateway", true},
        {"https://gateway", "gateway", true}, /* TLS ends at a balancer */
        {"https://gateway", "gateway:443", true},
        {"http://127.0.0.1:8080", "127.0.0.1:8080", true},
        {"http://[::1]:8080", "[::1]:8080", true},
        {"http://[::1]", "[::1]", true},
        {"http://gateway:8081", "gateway:8080", false},
        {"http://gateway", "gateway:8080", false},
        {"http://gateway:8080", "gateway", false},
        {"https://gateway", "gateway:80", false},
        {"http://gateway.evil.org:8080", "gateway:8080", false},
        {"http://evil.org:8080", "gateway:8080", false},
        {"app://gateway", "gateway", false},
        {"null", "null", false},
        {"http://", "", false},
        {"http://gateway", "", false},
        {"http://gateway", "user@gateway", false},
        {"http://gateway", "gateway/", false},
    };
    struct origins *o = origins("");

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice origin = slice_of(cases[i].origin), host = slice_of(cases[i].host);
        if (origin_is_allowed(o, origin, host, true) != cases[i].allowed) {
            fail_msg("wrong: %s at %s", cases[i].origin, cases[i].host);
        }
        assert_int_equal(origin_is_named(o, origin, host, true), cases[i].allowed);
        assert_false(origin_is_allowed(o, origin, host, false));
    }
    origins_free(o);
}

static void a_star_allows_any_page_but_names_none(void **state)
{
    (void)state;
    struct origins *o = origins("https://chat.example.com *");

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_true(origin_is_allowed(o, slice_of(bad[i]), SLICE_LIT("gateway:8080"), true));
        assert_false(origin_is_named(o, slice_of(bad[i]), SLICE_LIT("gateway:8080"), true));
    }
    assert_true(origin_is_named(o, SLICE_LIT("https://chat.example.com"), SLICE_NONE, false));
    origins_free(o);
}

static void entries_that_are_no_origins_are_told_by_name(void **state)
{
    (void)state;
    static const char *const entries[] = {
        "chat.example.com",
        "https://",
        "https://a/",
        "https://a:0",
        "https://a:99999",
        "https://*",
        "*.example.com",
        "https://*.example.com",
        "null",
        "https://a b",
        "**",
        "https://a:x",
    };
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        char error[100] = "";
        char given[100];
        snprintf(given, sizeof(given), "https://good.example,%s", entries[i]);
        assert_null(origins_new(given, error, sizeof(error)));
        assert_non_null(strstr(error, "is no origin"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_listed_is_allowed),
        cmocka_unit_test(what_is_not_listed_is_refused_however_it_looks),
        cmocka_unit_test(an_empty_list_allows_nobody_else),
        cmocka_unit_test(the_very_host_of_the_request_is_allowed_if_asked_for),
        cmocka_unit_test(a_star_allows_any_page_but_names_none),
        cmocka_unit_test(entries_that_are_no_origins_are_told_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
