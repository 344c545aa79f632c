/*
 * test_upgrade.c: the opening handshake. Each request of the tables is the good
 * one with a line more, less or other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/http.h"
#include "gateway/edge/upgrade.h"

#define LINE "GET /ws HTTP/1.1\r\n"
#define HOST "Host: chat.example.com\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define END "\r\n"

/* The status for a request: the parser's, or else the upgrade's. */
static int status_of(const char *request, size_t size, const char **extra)
{
    struct http_head h;
    const char *why = NULL;

    http_head_init(&h);
    int status = http_head_feed(&h, request, size);
    assert_int_not_equal(status, HTTP_MORE);
    if (status == HTTP_DONE) {
        status = upgrade_check(&h, &why, extra);
        assert_non_null(why);
        assert_int_equal(why[0] == '\0', status == 101);
    }
    http_head_deinit(&h);
    return status;
}

static void expect(int status, const char *request)
{
    const char *extra = NULL;
    int got = status_of(request, strlen(request), &extra);

    if (got != status) {
        fail_msg("%d instead of %d for\n%s", got, status, request);
    }
}

static void good_requests_are_upgraded(void **state)
{
    (void)state;
    static const char *const requests[] = {
        LINE HOST UPGRADE CONNECTION KEY VERSION END,
        LINE VERSION KEY CONNECTION UPGRADE HOST END,
        LINE HOST "upgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\n" KEY VERSION END,
        LINE HOST UPGRADE "Connection: UPGRADE,keep-alive\r\n" KEY VERSION END,
        LINE HOST UPGRADE "Connection: keep-alive\r\n" CONNECTION KEY VERSION END,
        LINE HOST "Upgrade: h2c, websocket\r\n" CONNECTION KEY VERSION END,
        LINE HOST UPGRADE CONNECTION
        "Sec-WebSocket-Key:   dGhlIHNhbXBsZSBub25jZQ==  \r\n" VERSION END,
        LINE HOST UPGRADE CONNECTION "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" VERSION END,
        LINE HOST UPGRADE CONNECTION "Sec-WebSocket-Key: ++++++//////++++++////==\r\n" VERSION END,
        LINE HOST UPGRADE CONNECTION KEY VERSION "Content-Length: 0\r\n" END,
        LINE HOST UPGRADE CONNECTION KEY VERSION "Origin: https://chat.example.com\r\n" END,
        LINE HOST UPGRADE CONNECTION KEY VERSION "Sec-WebSocket-Protocol: chat\r\n" END,
        LINE HOST UPGRADE CONNECTION KEY VERSION
        "Sec-WebSocket-Extensions: permessage-deflate\r\n" END,
    };
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        expect(101, requests[i]);
    }
}

static void requests_that_break_a_rule_get_its_status(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *request;
    } cases[] = {
        {405, "POST /ws HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION END},
        {405, "HEAD /ws HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION END},
        {405, "OPTIONS /ws HTTP/1.1\r\n" HOST END},
        {505, "GET /ws HTTP/1.0\r\n" HOST UPGRADE CONNECTION KEY VERSION END},
        {426, LINE HOST END},
        {426, LINE HOST CONNECTION KEY VERSION END},
        {426, LINE HOST "Upgrade: h2c\r\n" CONNECTION KEY VERSION END},
        {426, LINE HOST "Upgrade: websockets\r\n" CONNECTION KEY VERSION END},
        {426, LINE HOST UPGRADE KEY VERSION END},
        {426, LINE HOST UPGRADE "Connection: keep-alive\r\n" KEY VERSION END},
        {426, LINE HOST UPGRADE "Connection: upgraded\r\n" KEY VERSION END},
        {426, LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 8\r\n" END},
        {426, LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 130\r\n" END},
        {426, LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 13, 8\r\n" END},
        {426, LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: \r\n" END},
        {400, LINE HOST UPGRADE CONNECTION KEY END},
        {400, LINE HOST UPGRADE CONNECTION KEY VERSION VERSION END},
        {400, LINE HOST UPGRADE CONNECTION VERSION END},
        {400, LINE HOST UPGRADE CONNECTION KEY KEY VERSION END},
        {400, LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: \r\n" END},
        {400,
         LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n" END},
        {400,
         LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n" END},
        {400, LINE HOST UPGRADE CONNECTION VERSION
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=\r\n" END},
        {400, LINE HOST UPGRADE CONNECTION VERSION
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWVl\r\n" END},
        {400, LINE HOST UPGRADE CONNECTION VERSION
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWVlZQ==\r\n" END},
        {400, LINE HOST UPGRADE CONNECTION VERSION
         "Sec-WebSocket-Key: dGhl*HNhbXBsZSBub25jZQ==\r\n" END},
        {400, LINE HOST UPGRADE CONNECTION VERSION
         "Sec-WebSocket-Key: dGhl-HNhbXBsZSBub25jZQ==\r\n" END},
        {400, LINE HOST UPGRADE CONNECTION VERSION
         "Sec-WebSocket-Key: dGhl=HNhbXBsZSBub25jZQ==\r\n" END},
        {400, LINE UPGRADE CONNECTION KEY VERSION END},
        {400, LINE HOST HOST UPGRADE CONNECTION KEY VERSION END},
        {400,
         LINE HOST UPGRADE CONNECTION KEY VERSION "Origin: https://a\r\nOrigin: https://a\r\n" END},
        /* The parser's share: here to see that nothing of it reaches the upgrade. */
        {400, LINE HOST UPGRADE CONNECTION KEY VERSION "X-A : 1\r\n" END},
        {400, LINE HOST UPGRADE CONNECTION KEY VERSION "X-A: 1\r\n 2\r\n" END},
        {400, LINE HOST UPGRADE CONNECTION KEY VERSION "X-A: 1\r2\r\n" END},
        {400, "GET /ws HTTP/1.1\n" HOST UPGRADE CONNECTION KEY VERSION END},
        {400, LINE HOST UPGRADE CONNECTION KEY VERSION "X-A: 1\n" END},
        {400, LINE HOST UPGRADE CONNECTION KEY VERSION "Transfer-Encoding: chunked\r\n" END},
        {400, LINE HOST UPGRADE CONNECTION KEY VERSION "Content-Length: 5\r\n" END "hello"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect(cases[i].status, cases[i].request);
    }
    static const char with_nul[] = LINE HOST UPGRADE CONNECTION KEY VERSION "X-A: 1\0\r\n" END;
    const char *extra;
    assert_int_equal(status_of(with_nul, sizeof(with_nul) - 1, &extra), 400);
}

static void refusals_say_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        const char *request, *line;
    } cases[] = {
        {"POST /ws HTTP/1.1\r\n" HOST END, "Allow: GET\r\n"},
        {LINE HOST END, "Upgrade: websocket\r\n"},
        {LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 8\r\n" END,
         "Sec-WebSocket-Version: 13\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *extra = "";
        assert_int_not_equal(status_of(cases[i].request, strlen(cases[i].request), &extra), 101);
        assert_non_null(strstr(extra, cases[i].line));
    }
}

static void the_answer_is_the_one_of_the_rfc(void **state)
{
    (void)state;
    static const char *const subprotocols[] = {"", "centrifuge-json"};
    static const struct extension extensions[] = {{0, false, false}, {10, true, false}};
    static const char request[] = LINE HOST UPGRADE CONNECTION KEY VERSION END;

    for (size_t i = 0; i < ARRAY_LEN(subprotocols); i++) {
        struct http_head h;
        struct buf out = BUF_EMPTY;
        http_head_init(&h);
        assert_int_equal(http_head_feed(&h, request, sizeof(request) - 1), HTTP_DONE);
        upgrade_accept(&out, &h, subprotocols[i], &extensions[i]);
        buf_add_char(&out, '\0');
        assert_ptr_equal(strstr(out.at, "HTTP/1.1 101 Switching Protocols\r\n"), out.at);
        assert_non_null(strstr(out.at, "\r\nUpgrade: websocket\r\n"));
        assert_non_null(strstr(out.at, "\r\nConnection: Upgrade\r\n"));
        assert_non_null(
            strstr(out.at, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_int_equal(strstr(out.at, "\r\nSec-WebSocket-Protocol: centrifuge-json\r\n") != NULL,
                         i == 1);
        assert_int_equal(strstr(out.at, "\r\nSec-WebSocket-Extensions: permessage-deflate; "
                                        "server_no_context_takeover; client_no_context_takeover; "
                                        "server_max_window_bits=10\r\n") != NULL,
                         i == 1);
        assert_int_equal(strstr(out.at, "\r\n\r\n") + 4 - out.at, out.size - 1);
        buf_deinit(&out);
        http_head_deinit(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests_are_upgraded),
        cmocka_unit_test(requests_that_break_a_rule_get_its_status),
        cmocka_unit_test(refusals_say_what_would_be_right),
        cmocka_unit_test(the_answer_is_the_one_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
