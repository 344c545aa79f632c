/*
 * test_trust.c: whose word counts, and what it says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"
#include "gateway/edge/trust.h"

static char error[512];

static struct trust *trust_of(const char *list)
{
    struct trust *t = trust_new(list, error, sizeof(error));

    assert_non_null(t);
    return t;
}

static bool has(const struct trust *t, const char *ip)
{
    struct net_addr a;

    assert_int_equal(net_parse_ip(&a, ip), 0);
    return trust_has(t, &a);
}

static void a_list_names_addresses_and_networks(void **state)
{
    (void)state;
    static const struct {
        const char *list, *ip;
        bool is_in;
    } rows[] = {
        {"", "127.0.0.1", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.2", false},
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.1.2.3/8", "10.9.9.9", true}, /* what is behind the mask says nothing */
        {"192.168.0.0/22", "192.168.3.255", true},
        {"192.168.0.0/22", "192.168.4.0", false},
        {"192.168.0.0/32", "192.168.0.1", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"::1", "::1", true},
        {"::/0", "fe80::1", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"127.0.0.1", "::ffff:127.0.0.1", true},
        {" 10.0.0.1,, 10.0.0.2\t10.0.0.3 ", "10.0.0.3", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct trust *t = trust_of(rows[i].list);
        if (has(t, rows[i].ip) != rows[i].is_in) {
            fail_msg("\"%s\" and %s", rows[i].list, rows[i].ip);
        }
        trust_free(t);
    }
}

static void a_list_that_is_none_is_refused_and_named(void **state)
{
    (void)state;
    static const char *const lists[] = {"localhost",    "10.0.0",
                                        "10.0.0.0/33",  "10.0.0.0/",
                                        "10.0.0.0/-1",  "10.0.0.0/a",
                                        "::1/129",      "*",
                                        "10.0.0.256",   ":",
                                        "1.2.3.4:80",   "[::1]",
                                        "10.0.0.1;::1", "10.0.0.0/08x",
                                        "10.0.0.0/8/8", "10.0.0.0/0008"};
    char many[2048] = "";

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        error[0] = '\0';
        if (trust_new(lists[i], error, sizeof(error)) != NULL) {
            fail_msg("taken: %s", lists[i]);
        }
        assert_non_null(strstr(error, "[gateway] trusted: "));
    }
    for (int i = 0; i < 65; i++) {
        memcpy(many + strlen(many), "10.0.0.1,", 10);
    }
    assert_null(trust_new(many, error, sizeof(error)));
    assert_non_null(strstr(error, "more than 64"));
}

/* The client that these fields tell, or "none". */
static void assert_client(const struct trust *t, const char *fields, const char *want)
{
    struct http_head h;
    struct buf text = BUF_EMPTY;
    struct net_addr a;
    char found[NET_TEXT_MAX] = "none";

    buf_addf(&text, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", fields);
    http_head_init(&h);
    assert_int_equal(http_head_feed(&h, text.at, text.size), HTTP_DONE);
    if (trust_forwarded(t, &h, &a)) {
        (void)net_text(&a, found);
    }
    if (strcmp(found, want) != 0) {
        fail_msg("%s: %s, not %s", fields, found, want);
    }
    http_head_deinit(&h);
    buf_deinit(&text);
}

#define XFF(value) "X-Forwarded-For: " value "\r\n"

static void the_right_most_stranger_is_the_client(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "none"},
        {XFF("1.2.3.4"), "1.2.3.4"},
        {XFF("6.6.6.6, 1.2.3.4"), "1.2.3.4"},
        {XFF("6.6.6.6, 1.2.3.4, 10.0.0.2"), "1.2.3.4"},
        {XFF("6.6.6.6, 1.2.3.4,10.0.0.2 , 10.0.0.3"), "1.2.3.4"},
        {XFF("6.6.6.6") XFF("1.2.3.4"), "1.2.3.4"},
        {XFF("1.2.3.4") XFF("10.0.0.2"), "1.2.3.4"},
        {XFF("10.0.0.5, 10.0.0.2"), "10.0.0.5"}, /* all are ours: the left-most */
        {XFF("1.2.3.4:5678"), "1.2.3.4"},
        {XFF("2001:db8::7"), "[2001:db8::7]"},
        {XFF("[2001:db8::7]"), "[2001:db8::7]"},
        {XFF("[2001:db8::7]:99"), "[2001:db8::7]"},
        {"x-forwarded-for: 1.2.3.4\r\n", "1.2.3.4"},
        {"X-Forwarded-Fo: 1.2.3.4\r\nX-Forwarded-For2: 1.2.3.4\r\n", "none"},
    };
    struct trust *t = trust_of("10.0.0.0/8");

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_client(t, rows[i][0], rows[i][1]);
    }
    trust_free(t);
}

static void what_cannot_be_read_ends_the_search(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "unknown",
        "",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "[1.2.3.4]",
        "[::1",
        "::1]",
        "1.2.3.4:",
        "1.2.3.4:70000",
        ":80",
        "*:80",
        "*",
        "_hidden",
        "\"1.2.3.4\"",
        "1.2.3.4 5",
        "fe80::1%eth0",
        "1111111111111111111111111111111111111111111111111111111111111111111111111111111"};
    struct trust *t = trust_of("10.0.0.0/8");
    char fields[256];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(fields, sizeof(fields), XFF("%s"), bad[i]);
        assert_client(t, fields, "none");
        snprintf(fields, sizeof(fields), XFF("6.6.6.6, %s, 10.0.0.2"), bad[i]);
        assert_client(t, fields, "10.0.0.2");
    }
    trust_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_names_addresses_and_networks),
        cmocka_unit_test(a_list_that_is_none_is_refused_and_named),
        cmocka_unit_test(the_right_most_stranger_is_the_client),
        cmocka_unit_test(what_cannot_be_read_ends_the_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
