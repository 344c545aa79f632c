/* test_http.c: verdicts on request heads. Every head is fed whole, byte by byte and cut in two at
 * every place, and all of them must come to the same verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/http.h"

#define HOST "Host: a\r\n"

static int feed_whole(struct slice s)
{
    struct http_head h;
    http_head_init(&h);
    int verdict = http_head_feed(&h, s.at, s.size);
    http_head_deinit(&h);
    return verdict;
}

/* `*size_needed` is the number of bytes after which the verdict was there. */
static int feed_bytes(struct slice s, size_t *size_needed)
{
    struct http_head h;
    int verdict = HTTP_MORE;
    size_t i = 0;

    http_head_init(&h);
    while (i < s.size && verdict == HTTP_MORE) {
        char c = s.at[i++]; /* a copy of its own: nothing may look beyond it */
        verdict = http_head_feed(&h, &c, 1);
    }
    *size_needed = i;
    http_head_deinit(&h);
    return verdict;
}

static int feed_cut(struct slice s, size_t at)
{
    struct http_head h;
    http_head_init(&h);
    int verdict = http_head_feed(&h, s.at, at);
    assert_true(verdict == HTTP_MORE || verdict == http_head_feed(&h, "", 0));
    verdict = http_head_feed(&h, s.at + at, s.size - at);
    http_head_deinit(&h);
    return verdict;
}

static void assert_verdict(struct slice s, int want)
{
    size_t needed, step = s.size < 1000 ? 1 : 97;
    int whole = feed_whole(s);

    if (whole != want) {
        print_error("verdict %d, not %d: %.*s\n", whole, want, (int)MIN(s.size, 200), s.at);
    }
    assert_int_equal(whole, want);
    assert_int_equal(feed_bytes(s, &needed), want);
    for (size_t cut = 0; cut <= s.size; cut += step) {
        assert_int_equal(feed_cut(s, cut), want);
    }
}

static void good_heads_are_done(void **state)
{
    (void)state;
    const struct slice cases[] = {
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        SLICE_LIT("GET /ws?room=a%20b HTTP/1.1\r\nHOST:a:8080\r\n\r\n"),
        SLICE_LIT("HEAD / HTTP/1.1\r\nHost:\r\n\r\n"),
        SLICE_LIT("POST /ws HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"),
        SLICE_LIT("POST /ws HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        SLICE_LIT("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET http://evil/ws HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET //ws HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET /ws/../x HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Content-Length: 000\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "X:\r\nY: \r\nZ:\t \t\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "X: \xc3\xa4\xff b\tc\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "X: a:b::\r\n\r\n"),
        SLICE_LIT("GET /ws HTTP/1.1\r\n" HOST
                  "Connection: keep-alive, Upgrade\r\nUpgrade: websocket"
                  "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                  "\r\n\x81\x80\x01\x02\x03\x04"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "\r\n\0\n\0"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_verdict(cases[i], HTTP_DONE);
    }
}

static void heads_without_an_end_wait_for_more(void **state)
{
    (void)state;
    const struct slice cases[] = {
        SLICE_LIT(""),
        SLICE_LIT("G"),
        SLICE_LIT("GET / HTTP/1.1"),
        SLICE_LIT("GET / HTTP/1.1\r"),
        SLICE_LIT("GET / HTTP/1.1\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_verdict(cases[i], HTTP_MORE);
    }
}

static void bad_request_lines_are_refused(void **state)
{
    (void)state;
    const struct slice cases[] = {
        SLICE_LIT("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT(" GET / HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET  / HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET /  HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET / HTTP/1.1 \r\n" HOST "\r\n"),
        SLICE_LIT("GET\t/ HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET / x HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET /\r\n\r\n"),
        SLICE_LIT("GET HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET  HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("hello\r\n\r\n"),
        SLICE_LIT("\r\n\r\n"),
        SLICE_LIT("get / HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("FROB / HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GE(T / HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET ws HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET ?x HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET /ws#x HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET /\0 HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET /\x7f HTTP/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET / http/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET / HTTP/1.1x\r\n" HOST "\r\n"),
        SLICE_LIT("GET / HTTP/11.1\r\n" HOST "\r\n"),
        SLICE_LIT("GET / HTTP/1\r\n" HOST "\r\n"),
        SLICE_LIT("GET / HTTP/a.b\r\n" HOST "\r\n"),
        SLICE_LIT("GET / ICE/1.1\r\n" HOST "\r\n"),
        SLICE_LIT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        SLICE_LIT("\x80GET / HTTP/1.1\r\n" HOST "\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_verdict(cases[i], 400);
    }
}

static void bad_line_ends_are_refused(void **state)
{
    (void)state;
    const struct slice cases[] = {
        SLICE_LIT("GET / HTTP/1.1\nHost: a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\n\n"),
        SLICE_LIT("GET / HTTP/1.1\n\n"),
        SLICE_LIT("GET / HTTP/1.1\r\r\n" HOST "\r\n"),
        SLICE_LIT("GET / HTTP/1.1\rHost: a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHo\nst: a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHo\rst: a\r\n\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_verdict(cases[i], 400);
    }
}

static void bad_fields_are_refused(void **state)
{
    (void)state;
    const struct slice cases[] = {
        SLICE_LIT("GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST " \r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "X\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "X Y: a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "X(Y: a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "\xc3\xa4: a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "X\0: a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: a\"\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_verdict(cases[i], 400);
    }
}

static void bodies_that_nobody_will_read_are_refused(void **state)
{
    (void)state;
    const struct slice cases[] = {
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Content-Length: 00010\r\n\r\nx"),
        SLICE_LIT("HEAD / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "transfer-encoding: identity\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Content-Length: +0\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Content-Length: 0x0\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Content-Length: 0, 0\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Content-Length: 0 0\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
        SLICE_LIT("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"),
        SLICE_LIT("POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\nx"),
        SLICE_LIT("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"
                  "\r\nx"),
        SLICE_LIT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"
                  "\r\nx"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_verdict(cases[i], 400);
    }
}

static void other_versions_are_refused_at_the_end_of_the_line(void **state)
{
    (void)state;
    const struct slice cases[] = {
        SLICE_LIT("GET / HTTP/1.0\r\n"),
        SLICE_LIT("GET / HTTP/1.0\r\n\r\n"),
        SLICE_LIT("GET / HTTP/1.2\r\n"),
        SLICE_LIT("GET / HTTP/0.9\r\n"),
        SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_verdict(cases[i], 505);
    }
}

/* "GET /aaa... HTTP/1.1" of exactly `size` bytes, then `rest`. */
static void build_line(struct buf *b, size_t size, const char *rest)
{
    buf_add_lit(b, "GET /");
    while (b->size < size - strlen(" HTTP/1.1")) {
        buf_add_char(b, 'a');
    }
    buf_add_slice(b, slice_of(" HTTP/1.1"));
    buf_add_slice(b, slice_of(rest));
}

static void a_request_line_has_at_most_4096_bytes(void **state)
{
    (void)state;
    const struct {
        size_t size;
        int want;
    } cases[] = {
        {HTTP_LINE_MAX - 1, HTTP_DONE}, {HTTP_LINE_MAX, HTTP_DONE}, {HTTP_LINE_MAX + 1, 414},
        {2 * HTTP_LINE_MAX, 414},       {3 * HTTP_LINE_MAX, 414},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = BUF_EMPTY;
        size_t needed;
        build_line(&b, cases[i].size, "\r\n" HOST "\r\n");
        assert_verdict(buf_slice(&b), cases[i].want);
        if (cases[i].want == 414) {
            assert_int_equal(feed_bytes(buf_slice(&b), &needed), 414);
            assert_int_equal(needed, HTTP_LINE_MAX + 1); /* not only at the end of the line */
        }
        buf_deinit(&b);
    }
}

static void a_head_has_at_most_8192_bytes(void **state)
{
    (void)state;
    const struct {
        size_t size;
        int want;
    } cases[] = {
        {HTTP_HEAD_MAX - 1, HTTP_DONE}, {HTTP_HEAD_MAX, HTTP_DONE}, {HTTP_HEAD_MAX + 1, 431},
        {HTTP_HEAD_MAX + 2, 431},       {2 * HTTP_HEAD_MAX, 431},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = BUF_EMPTY;
        size_t needed;
        buf_add_lit(&b, "GET / HTTP/1.1\r\n" HOST "X: ");
        while (b.size < cases[i].size - 4) {
            buf_add_char(&b, 'x');
        }
        buf_add_lit(&b, "\r\n\r\n");
        assert_verdict(buf_slice(&b), cases[i].want);
        if (cases[i].want == 431) {
            assert_int_equal(feed_bytes(buf_slice(&b), &needed), 431);
            assert_int_equal(needed, HTTP_HEAD_MAX + 1);
        } else {
            buf_add(&b, "after the head there is no limit of ours", 40);
            assert_verdict(buf_slice(&b), HTTP_DONE);
        }
        buf_deinit(&b);
    }
}

static void a_head_has_at_most_64_fields(void **state)
{
    (void)state;
    for (int count = 62; count <= 66; count++) {
        struct buf b = BUF_EMPTY;
        buf_add_lit(&b, "GET / HTTP/1.1\r\n" HOST);
        for (int i = 1; i < count; i++) {
            buf_addf(&b, "X%d: %d\r\n", i, i);
        }
        buf_add_lit(&b, "\r\n");
        assert_verdict(buf_slice(&b), count <= HTTP_FIELDS_MAX ? HTTP_DONE : 431);
        buf_deinit(&b);
    }
}

static void what_is_refused_is_refused_at_the_first_byte_that_shows_it(void **state)
{
    (void)state;
    const struct {
        struct slice bytes;
        size_t needed;
    } cases[] = {
        {SLICE_LIT("\x16\x03\x01\x02"), 1},
        {SLICE_LIT("GET /\n HTTP/1.1"), 6},
        {SLICE_LIT("GET / HTTP/1.0\r\nHost: a\r\n"), 16},
        {SLICE_LIT("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 21},
        {SLICE_LIT("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 17},
        {SLICE_LIT("GET / HTTP/1.1\r\nHost: a\nX"), 24},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t needed;
        assert_true(feed_bytes(cases[i].bytes, &needed) >= 400);
        assert_int_equal(needed, cases[i].needed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_heads_are_done),
        cmocka_unit_test(heads_without_an_end_wait_for_more),
        cmocka_unit_test(bad_request_lines_are_refused),
        cmocka_unit_test(bad_line_ends_are_refused),
        cmocka_unit_test(bad_fields_are_refused),
        cmocka_unit_test(bodies_that_nobody_will_read_are_refused),
        cmocka_unit_test(other_versions_are_refused_at_the_end_of_the_line),
        cmocka_unit_test(a_request_line_has_at_most_4096_bytes),
        cmocka_unit_test(a_head_has_at_most_8192_bytes),
        cmocka_unit_test(a_head_has_at_most_64_fields),
        cmocka_unit_test(what_is_refused_is_refused_at_the_first_byte_that_shows_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
