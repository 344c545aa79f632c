/* test_httpd.c: the HTTP server for programs over real sockets; all share one loop. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/httpd.h"
#include "common/net.h"

#define GIVE_UP_S 50.0
#define BODY_MAX 100
#define HASTY_MS 300
#define PATIENT_MS 60000
#define CONNECTIONS 3
#define HEAD_OF(size) "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: " size "\r\n"
#define CALL(size, body) HEAD_OF(size) "\r\n" body
#define LAST(size, body) HEAD_OF(size) "Connection: close\r\n\r\n" body

static struct ev_loop *loop;
static struct httpd *httpd;
static struct net_addr address;
static ev_timer give_up;
static bool answers_later, has_given_up;
static httpd_request kept[CONNECTIONS + 1];
static size_t kept_count;
static stat_value were_full, heavy, long_head, too_late;
static struct buf served; /* the bodies, each in brackets */

static struct httpd_refusal judge(void *user, const struct http_head *h)
{
    assert_ptr_equal(user, &served);
    if (slice_equal(h->path, SLICE_LIT("/full"))) {
        return (struct httpd_refusal){429, "too many", "Retry-After: 1\r\n"};
    }
    return (struct httpd_refusal){.status = 0};
}

static void serve(void *user, httpd_request request, const struct http_head *h, struct slice body)
{
    struct buf answer = BUF_EMPTY;

    assert_ptr_equal(user, &served);
    assert_true(slice_equal(h->method, SLICE_LIT("POST")));
    buf_addf(&served, "[%.*s]", SLICE_ARG(body));
    buf_addf(&answer, "<%.*s>", SLICE_ARG(body));
    if (answers_later) {
        assert_true(kept_count < ARRAY_LEN(kept));
        kept[kept_count++] = request;
    } else {
        httpd_answer(httpd, request, 200, buf_slice(&answer));
    }
    buf_deinit(&answer);
}

static void on_give_up(struct ev_loop *l, ev_timer *watcher, int events)
{
    (void)watcher;
    (void)events;
    has_given_up = true;
    ev_break(l, EVBREAK_ALL);
}

/* A port of loopback that was free a moment ago. */
static void free_address(char text[NET_TEXT_MAX])
{
    assert_int_equal(net_parse(&address, "127.0.0.1:0"), 0);
    int fd = net_listen(&address, false);
    assert_true(fd >= 0);
    address.size = sizeof(address.ss);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address.ss, &address.size), 0);
    close(fd);
    net_text(&address, text);
}

static int begin_with(bool is_hasty)
{
    static const struct httpd_hooks hooks = {&served, judge, serve};
    const struct httpd_limits limits = {
        .connections = CONNECTIONS,
        .body = BODY_MAX,
        .request_ms = is_hasty ? HASTY_MS : PATIENT_MS,
        .were_full = &were_full,
        .heavy = &heavy,
        .long_head = &long_head,
        .late = &too_late,
    };
    char text[NET_TEXT_MAX];

    were_full = heavy = long_head = too_late = 0;
    loop = ev_loop_new(0);
    ev_timer_init(&give_up, on_give_up, GIVE_UP_S, 0);
    ev_timer_start(loop, &give_up);
    answers_later = has_given_up = false;
    kept_count = 0;
    served = BUF_EMPTY;
    httpd = NULL;
    for (int i = 0; i < 10 && httpd == NULL; i++) { /* another test may take the port */
        free_address(text);
        httpd = httpd_new(loop, text, "[test]", &limits, &hooks);
    }
    return httpd != NULL ? 0 : -1;
}

static int begin(void **state)
{
    (void)state;
    return begin_with(false);
}

/* With little time for a request. */
static int begin_hasty(void **state)
{
    (void)state;
    return begin_with(true);
}

static int end(void **state)
{
    (void)state;
    httpd = httpd_free(httpd);
    assert_null(httpd);
    ev_timer_stop(loop, &give_up);
    ev_loop_destroy(loop);
    buf_deinit(&served);
    return 0;
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address.ss, address.size), 0);
    return fd;
}

static void say(int fd, const char *at, size_t size)
{
    assert_int_equal(send(fd, at, size, MSG_NOSIGNAL), size);
}

static void turn(int times)
{
    for (int i = 0; i < times; i++) {
        ev_run(loop, EVRUN_NOWAIT);
    }
}

/* One turn, and what has come by then. False: the server has ended the connection. */
static bool hear(int fd, struct buf *got)
{
    assert_false(has_given_up);
    ev_run(loop, EVRUN_NOWAIT);
    ssize_t size = recv(fd, buf_reserve(got, 4096), 4096, MSG_DONTWAIT);
    if (size > 0) {
        buf_grew(got, (size_t)size);
    } else if (size < 0) {
        (void)poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1);
    }
    return size != 0;
}

/* All that the server says until it ends the connection. */
static void hear_all(int fd, struct buf *got)
{
    while (hear(fd, got)) {
    }
    buf_add_char(got, '\0');
}

/* Until this text has come at the end of what came. */
static void hear_text(int fd, struct buf *got, const char *text)
{
    size_t size = strlen(text);

    while (got->size < size || memcmp(got->at + got->size - size, text, size) != 0) {
        assert_true(hear(fd, got));
    }
}

static void assert_served(const char *bodies)
{
    if (!slice_equal(buf_slice(&served), slice_of(bodies))) {
        fail_msg("served %.*s, not %s", SLICE_ARG(buf_slice(&served)), bodies);
    }
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;

    for (; (text = strstr(text, part)) != NULL; text += strlen(part)) {
        n++;
    }
    return n;
}

static void requests_mean_the_same_however_their_bytes_are_cut(void **state)
{
    (void)state;
    static const char all[] = CALL("3", "abc") CALL("0", "") LAST("5", "POST ");

    for (size_t cut = 0; cut < sizeof(all); cut++) {
        struct buf got = BUF_EMPTY;
        int fd = dial();

        buf_clear(&served);
        say(fd, all, cut);
        turn(3);
        if (cut < sizeof(all) - 1) {
            say(fd, all + cut, sizeof(all) - 1 - cut);
        }
        hear_all(fd, &got);
        assert_served("[abc][][POST ]");
        assert_int_equal(count(got.at, "HTTP/1.1 200 OK\r\n"), 3);
        assert_int_equal(count(got.at, "\r\nConnection: close\r\n"), 1);
        assert_true(strstr(got.at, "<abc>") < strstr(got.at, "<>"));
        assert_string_equal(got.at + got.size - 1 - strlen("<POST >"), "<POST >");
        buf_deinit(&got);
        close(fd);
    }
}

static void a_request_comes_byte_by_byte(void **state)
{
    (void)state;
    static const char all[] = CALL("3", "abc") LAST("1", "d");
    struct buf got = BUF_EMPTY;
    int fd = dial();

    for (size_t i = 0; i < sizeof(all) - 1; i++) {
        say(fd, all + i, 1);
        turn(2);
    }
    hear_all(fd, &got);
    assert_served("[abc][d]");
    buf_deinit(&got);
    close(fd);
}

static void the_next_request_waits_for_the_answer_before_it(void **state)
{
    (void)state;
    struct buf got = BUF_EMPTY;
    int fd = dial();

    answers_later = true;
    say(fd, CALL("1", "a") LAST("1", "b"), strlen(CALL("1", "a") LAST("1", "b")));
    while (kept_count == 0) {
        (void)hear(fd, &got);
    }
    turn(10);
    assert_served("[a]");
    assert_int_equal(got.size, 0);
    httpd_answer(httpd, kept[0], 200, SLICE_LIT("one"));
    httpd_answer(httpd, kept[0], 200, SLICE_LIT("again"));
    httpd_answer(httpd, kept[0] + 1000, 200, SLICE_LIT("nobody's"));
    hear_text(fd, &got, "one");
    while (kept_count == 1) {
        turn(1);
        assert_false(has_given_up);
    }
    httpd_answer(httpd, kept[1], 503, SLICE_LIT("two"));
    hear_all(fd, &got);
    assert_served("[a][b]");
    assert_null(strstr(got.at, "again"));
    assert_non_null(strstr(got.at, "HTTP/1.1 503 "));
    buf_deinit(&got);
    close(fd);
}

static void an_answer_for_who_has_gone_harms_nobody(void **state)
{
    (void)state;
    struct buf got = BUF_EMPTY;
    int gone = dial(), fd;

    answers_later = true;
    say(gone, CALL("1", "a"), strlen(CALL("1", "a")));
    while (kept_count == 0) {
        turn(1);
        assert_false(has_given_up);
    }
    close(gone);
    turn(3);
    httpd_answer(httpd, kept[0], 200, SLICE_LIT("late"));
    turn(3);
    httpd_answer(httpd, kept[0], 200, SLICE_LIT("later"));
    answers_later = false;
    fd = dial();
    say(fd, LAST("1", "b"), strlen(LAST("1", "b")));
    hear_all(fd, &got);
    assert_served("[a][b]");
    buf_deinit(&got);
    close(fd);
}

static void what_cannot_be_served_is_refused_and_ends_the_connection(void **state)
{
    (void)state;
#define HEAD "POST /x HTTP/1.1\r\nHost: a\r\n"
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {CALL("101", ""), 413},
        {CALL("00000000000000000000101", ""), 413},
        {CALL("99999999999999999999999999999999", ""), 400},
        {CALL("18446744073709551617", "a"), 400},
        {CALL("-1", "a"), 400},
        {CALL("1, 1", "a"), 400},
        {CALL("0x1", "a"), 400},
        {CALL("", "a"), 400},
        {HEAD "\r\n", 411},
        {HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501},
        {HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        {HEAD "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\na", 400},
        {HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\na", 400},
        {HEAD "Content-Length : 1\r\n\r\na", 400},
        {"POST /full HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", 429},
        {"POST /x HTTP/1.1\r\nContent-Length: 1\r\n\r\na", 400},
        {"POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\na", 505},
        {"\r\n" CALL("1", "a"), 400},
        {"\x16\x03\x01 no TLS here\r\n\r\n", 400},
    };

    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        const char *request = cases[i / 2].request;
        struct buf got = BUF_EMPTY, want = BUF_EMPTY;
        int fd = dial();

        if (i % 2 == 1) { /* behind a good one */
            say(fd, CALL("1", "g"), strlen(CALL("1", "g")));
            hear_text(fd, &got, "<g>");
            buf_clear(&got);
        }
        buf_clear(&served);
        say(fd, request, strlen(request));
        say(fd, CALL("1", "b"), strlen(CALL("1", "b"))); /* is not looked at any more */
        hear_all(fd, &got);
        buf_addf(&want, "HTTP/1.1 %d ", cases[i / 2].status);
        buf_add_char(&want, '\0');
        if (strncmp(got.at, want.at, strlen(want.at)) != 0) {
            fail_msg("%s\nis answered\n%s", request, got.at);
        }
        assert_int_equal(count(got.at, "HTTP/1.1 "), 1);
        assert_non_null(strstr(got.at, "\r\nConnection: close\r\n"));
        assert_non_null(strstr(got.at, "{\"error\":{\"code\":"));
        assert_int_equal(count(got.at, "\r\nRetry-After: 1\r\n"), cases[i / 2].status == 429);
        assert_served("");
        buf_deinit(&got);
        buf_deinit(&want);
        close(fd);
    }
}

static void a_body_may_be_as_large_as_the_limit(void **state)
{
    (void)state;
    char all[512], body[BODY_MAX + 1];
    struct buf got = BUF_EMPTY;
    int fd = dial();

    memset(body, 'b', BODY_MAX);
    body[BODY_MAX] = '\0';
    snprintf(all, sizeof(all), LAST("%d", "%s"), BODY_MAX, body);
    say(fd, all, strlen(all));
    hear_all(fd, &got);
    assert_int_equal(strncmp(got.at, "HTTP/1.1 200 ", 13), 0);
    assert_int_equal(served.size, BODY_MAX + 2);
    buf_deinit(&got);
    close(fd);
}

static void who_waits_for_a_word_before_its_body_gets_it(void **state)
{
    (void)state;
    static const char head[] = HEAD_OF("1") "Expect: 100-continue\r\nConnection: close\r\n\r\n";
    struct buf got = BUF_EMPTY;
    int fd = dial();

    say(fd, head, strlen(head));
    hear_text(fd, &got, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "a", 1);
    hear_all(fd, &got);
    assert_served("[a]");
    buf_deinit(&got);
    close(fd);
}

static void one_more_than_the_limit_waits_for_its_turn(void **state)
{
    (void)state;
    struct buf got = BUF_EMPTY;
    int idle[CONNECTIONS], late;

    for (int i = 0; i < CONNECTIONS; i++) {
        idle[i] = dial();
    }
    late = dial();
    say(late, LAST("1", "a"), strlen(LAST("1", "a")));
    turn(50);
    assert_served("");
    close(idle[1]);
    hear_all(late, &got);
    assert_served("[a]");
    close(idle[0]);
    close(idle[2]);
    close(late);
    buf_deinit(&got);
}

static void a_request_that_does_not_come_whole_is_answered_408(void **state)
{
    (void)state;
    struct buf got = BUF_EMPTY;
    int head = dial(), body = dial();

    say(head, "POST /x HT", 10);
    say(body, CALL("1", "g") CALL("2", "b"), strlen(CALL("1", "g") CALL("2", "b")));
    hear_text(body, &got, "<g>");
    buf_clear(&got);
    hear_all(head, &got);
    assert_int_equal(strncmp(got.at, "HTTP/1.1 408 ", 13), 0);
    buf_clear(&got);
    hear_all(body, &got);
    assert_int_equal(strncmp(got.at, "HTTP/1.1 408 ", 13), 0);
    assert_served("[g]");
    assert_int_equal(stat_get(&too_late), 2);
    assert_int_equal(stat_get(&heavy) + stat_get(&long_head) + stat_get(&were_full), 0);
    buf_deinit(&got);
    close(head);
    close(body);
}

static void freeing_ends_connections_in_every_state(void **state)
{
    (void)state;
    struct buf got = BUF_EMPTY;
    int silent = dial(), half = dial(), waiting = dial();

    answers_later = true;
    say(half, CALL("9", "half"), strlen(CALL("9", "half")));
    say(waiting, CALL("1", "a"), strlen(CALL("1", "a")));
    while (kept_count == 0) {
        turn(1);
        assert_false(has_given_up);
    }
    httpd = httpd_free(httpd);
    hear_all(silent, &got);
    buf_clear(&got);
    hear_all(half, &got);
    buf_clear(&got);
    hear_all(waiting, &got);
    assert_string_equal(got.at, "");
    buf_deinit(&got);
    close(silent);
    close(half);
    close(waiting);
    assert_null(httpd_free(NULL));
}

static void a_bad_address_is_an_error(void **state)
{
    (void)state;
    static const struct httpd_hooks hooks = {&served, judge, serve};
    static const struct httpd_limits limits = {.connections = CONNECTIONS, .body = BODY_MAX};
    char taken[NET_TEXT_MAX];

    net_text(&address, taken);
    assert_null(httpd_new(loop, "nonsense", "[test]", &limits, &hooks));
    assert_null(httpd_new(loop, "192.0.2.1:0", "[test]", &limits, &hooks));
    assert_null(httpd_new(loop, taken, "[test]", &limits, &hooks));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_mean_the_same_however_their_bytes_are_cut),
        TEST(a_request_comes_byte_by_byte),
        TEST(the_next_request_waits_for_the_answer_before_it),
        TEST(an_answer_for_who_has_gone_harms_nobody),
        TEST(what_cannot_be_served_is_refused_and_ends_the_connection),
        TEST(a_body_may_be_as_large_as_the_limit),
        TEST(who_waits_for_a_word_before_its_body_gets_it),
        TEST(one_more_than_the_limit_waits_for_its_turn),
        cmocka_unit_test_setup_teardown(a_request_that_does_not_come_whole_is_answered_408,
                                        begin_hasty, end),
        TEST(freeing_ends_connections_in_every_state),
        TEST(a_bad_address_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
