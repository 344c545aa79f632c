/*
 * test_extension.c: what is answered to offers of permessage-deflate. Each row
 * is a request's field and the answer's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/ws/extension.h"

#define FIELD "Sec-WebSocket-Extensions: "
#define PMD "permessage-deflate"
#define BOTH "; server_no_context_takeover; client_no_context_takeover"
#define YES PMD BOTH
#define WITH(bits) YES "; server_max_window_bits=" bits
#define NO ""
#define MALFORMED NULL

struct row {
    const char *offers; /* of the field; CRLF FIELD begins another one */
    const char *answer;
};

static void expect(const char *offers, const char *want)
{
    struct http_head h;
    struct buf request = BUF_EMPTY, answer = BUF_EMPTY;
    struct extension e;

    buf_addf(&request, "GET / HTTP/1.1\r\nHost: a\r\n" FIELD "%s\r\n\r\n", offers);
    http_head_init(&h);
    assert_int_equal(http_head_feed(&h, request.at, request.size), HTTP_DONE);
    int r = extension_choose(&h, &e);
    extension_add_answer(&answer, &e);
    buf_add_char(&answer, '\0');
    bool is_spoken = want != MALFORMED && want[0] != '\0';
    const char *head = is_spoken ? FIELD : "";
    if (r != (want == MALFORMED ? EXTENSION_MALFORMED : 0) ||
        strncmp(answer.at, head, strlen(head)) != 0 ||
        strcmp(answer.at + strlen(head), is_spoken ? want : "") != 0) {
        fail_msg("%d and \"%s\" for %s", r, answer.at, offers);
    }
    assert_int_equal(e.window != 0, is_spoken);
    http_head_deinit(&h);
    buf_deinit(&request);
    buf_deinit(&answer);
}

static void expect_all(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect(rows[i].offers, rows[i].answer);
    }
}

static void offers_by_the_rules_are_accepted(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {PMD, YES},
        {PMD "; client_max_window_bits", YES}, /* what browsers say */
        {PMD "; server_no_context_takeover", YES},
        {PMD "; client_no_context_takeover", YES},
        {PMD "; client_no_context_takeover; server_no_context_takeover", YES},
        {PMD "; server_max_window_bits=9", WITH("9")},
        {PMD "; server_max_window_bits=10", WITH("10")},
        {PMD "; server_max_window_bits=14", WITH("14")},
        {PMD "; server_max_window_bits=15", WITH("15")},
        {PMD "; server_max_window_bits=\"12\"", WITH("12")},
        {PMD "; server_max_window_bits=\"1\\2\"", WITH("12")},
        {PMD "; client_max_window_bits=8", YES},
        {PMD "; client_max_window_bits=15", YES},
        {PMD "; client_max_window_bits=\"9\"", YES},
        {PMD BOTH "; client_max_window_bits=9; server_max_window_bits=11", WITH("11")},
        {PMD ";server_max_window_bits=11;client_max_window_bits", WITH("11")},
        {"  " PMD " ;\tserver_max_window_bits = 11 ; client_max_window_bits ", WITH("11")},
    };
    expect_all(rows, ARRAY_LEN(rows));
}

static void offers_with_other_parameters_are_declined(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {PMD "; server_max_window_bits", NO},
        {PMD "; server_max_window_bits=", NO},
        {PMD "; server_max_window_bits=7", NO},
        {PMD "; server_max_window_bits=8", NO}, /* legal, but nobody here can make such data */
        {PMD "; server_max_window_bits=16", NO},
        {PMD "; server_max_window_bits=0", NO},
        {PMD "; server_max_window_bits=1", NO},
        {PMD "; server_max_window_bits=09", NO},
        {PMD "; server_max_window_bits=010", NO},
        {PMD "; server_max_window_bits=8x", NO},
        {PMD "; server_max_window_bits=1O", NO},
        {PMD "; server_max_window_bits=+9", NO},
        {PMD "; server_max_window_bits=-9", NO},
        {PMD "; server_max_window_bits=9.0", NO},
        {PMD "; server_max_window_bits=100000000000000000000000000000000010", NO},
        {PMD "; server_max_window_bits=10; server_max_window_bits=10", NO},
        {PMD "; server_max_window_bits=10; server_max_window_bits", NO},
        {PMD "; client_max_window_bits=", NO},
        {PMD "; client_max_window_bits=7", NO},
        {PMD "; client_max_window_bits=16", NO},
        {PMD "; client_max_window_bits=015", NO},
        {PMD "; client_max_window_bits=15; client_max_window_bits", NO},
        {PMD "; client_max_window_bits; client_max_window_bits", NO},
        {PMD "; server_no_context_takeover=1", NO},
        {PMD "; server_no_context_takeover=", NO},
        {PMD "; server_no_context_takeover=true", NO},
        {PMD "; server_no_context_takeover; server_no_context_takeover", NO},
        {PMD "; client_no_context_takeover=1", NO},
        {PMD "; client_no_context_takeover; client_no_context_takeover", NO},
        {PMD "; unknown", NO},
        {PMD "; unknown=1", NO},
        {PMD "; Server_No_Context_Takeover", NO},
        {PMD "; server_max_window_bit=10", NO},
    };
    expect_all(rows, ARRAY_LEN(rows));
}

static void the_first_offer_that_can_be_kept_is_chosen(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {PMD "; server_max_window_bits=10, " PMD, WITH("10")},
        {PMD ", " PMD "; server_max_window_bits=10", YES},
        {PMD "; server_max_window_bits=8, " PMD "; server_max_window_bits=9", WITH("9")},
        {PMD "; unknown, " PMD, YES},
        {PMD "; unknown=1, x-webkit-deflate-frame, " PMD "; client_max_window_bits", YES},
        {"permessage-bzip2; level=9," PMD, YES},
        {PMD "; server_max_window_bits=8\r\n" FIELD PMD "; server_max_window_bits=13", WITH("13")},
        {"foo\r\n" FIELD "bar\r\n" FIELD PMD, YES},
        {", ,," PMD " ,, ", YES},
        {"foo", NO},
        {"x-webkit-deflate-frame", NO},
        {"permessage-deflate2", NO},
        {"ermessage-deflate", NO},
        {"", NO},
        {",", NO},
        {PMD "; server_max_window_bits=8, " PMD "; unknown", NO},
    };
    expect_all(rows, ARRAY_LEN(rows));
}

static void what_is_no_list_of_extensions_is_malformed(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {";", MALFORMED},
        {PMD ";", MALFORMED},
        {PMD "; ", MALFORMED},
        {PMD ";; server_no_context_takeover", MALFORMED},
        {PMD "; =10", MALFORMED},
        {PMD "; server_max_window_bits==10", MALFORMED},
        {PMD "; server_max_window_bits=10=10", MALFORMED},
        {PMD "; server_max_window_bits=10 10", MALFORMED},
        {PMD "; server_max_window_bits=\"10", MALFORMED},
        {PMD "; server_max_window_bits=\"\"", MALFORMED},
        {PMD "; server_max_window_bits=\"1 0\"", MALFORMED},
        {PMD "; server_max_window_bits=\"10\\", MALFORMED},
        {PMD "; server_max_window_bits=\"10\"0", MALFORMED},
        {PMD "; server_max_window_bits=1\"0\"", MALFORMED},
        {PMD " server_no_context_takeover", MALFORMED},
        {PMD ": server_no_context_takeover", MALFORMED},
        {PMD "=1", MALFORMED},
        {"\"permessage-deflate\"", MALFORMED},
        {"permessage/deflate", MALFORMED},
        {"(permessage-deflate)", MALFORMED},
        {PMD "\xc3\xa9", MALFORMED},
        {PMD ", =", MALFORMED},
        {PMD "\r\n" FIELD ";", MALFORMED},
        {";\r\n" FIELD PMD, MALFORMED},
    };
    expect_all(rows, ARRAY_LEN(rows));
}

static void the_first_eight_offers_are_considered(void **state)
{
    (void)state;
    for (int before = 6; before <= 100; before = before < 9 ? before + 1 : 100) {
        for (int is_apart = 0; is_apart <= 1; is_apart++) {
            struct buf offers = BUF_EMPTY;

            for (int i = 0; i < before; i++) {
                buf_add_lit(&offers, PMD "; server_max_window_bits=8, ");
            }
            if (is_apart) {
                buf_add_lit(&offers, "\r\n" FIELD);
            }
            buf_add(&offers, PMD, sizeof(PMD)); /* with its NUL */
            expect(offers.at, before < EXTENSION_OFFERS_MAX ? YES : NO);
            buf_deinit(&offers);
            if (before == 100) {
                return;
            }
        }
    }
}

static void without_an_offer_nothing_is_spoken(void **state)
{
    (void)state;
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Extension: " PMD "\r\n\r\n";
    struct http_head h;
    struct extension e = {15, true, true};

    http_head_init(&h);
    assert_int_equal(http_head_feed(&h, request, sizeof(request) - 1), HTTP_DONE);
    assert_int_equal(extension_choose(&h, &e), 0);
    assert_int_equal(e.window, 0);
    http_head_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers_by_the_rules_are_accepted),
        cmocka_unit_test(offers_with_other_parameters_are_declined),
        cmocka_unit_test(the_first_offer_that_can_be_kept_is_chosen),
        cmocka_unit_test(what_is_no_list_of_extensions_is_malformed),
        cmocka_unit_test(the_first_eight_offers_are_considered),
        cmocka_unit_test(without_an_offer_nothing_is_spoken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
