/* test_admin.c: the admin server over real sockets; server and clients share one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/admin.h"
#include "common/net.h"

#define GIVE_UP_S 40.0

static struct ev_loop *loop;
static struct admin *admin;
static struct net_addr address;
static ev_timer give_up;
static bool live, large;
static const char *reason;
static stat_value were_full, too_late;

struct peer {
    int fd;
    ev_io io;
    struct slice to_send;
    size_t piece; /* bytes in one write */
    struct buf got;
    bool is_over; /* the server has closed */
};

static bool is_live(void *user)
{
    assert_ptr_equal(user, &live);
    return live;
}

static const char *not_ready(void *user)
{
    assert_ptr_equal(user, &live);
    return reason;
}

static void metrics(void *user, struct buf *out)
{
    assert_ptr_equal(user, &live);
    do {
        buf_add_lit(out, "warren_x 1\n");
    } while (large && out->size < 8000000);
}

static void on_give_up(struct ev_loop *l, ev_timer *watcher, int events)
{
    (void)watcher;
    (void)events;
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

static int begin(void **state)
{
    (void)state;
    static const struct admin_hooks hooks = {&live,   is_live,    not_ready,
                                             metrics, &were_full, &too_late};
    char text[NET_TEXT_MAX];

    were_full = too_late = 0;
    loop = ev_loop_new(0);
    ev_timer_init(&give_up, on_give_up, GIVE_UP_S, 0);
    ev_timer_start(loop, &give_up);
    live = true;
    large = false;
    reason = NULL;
    admin = NULL;
    for (int i = 0; i < 10 && admin == NULL; i++) { /* another test may take the port */
        free_address(text);
        admin = admin_new(loop, text, &hooks);
    }
    return admin != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    admin = admin_free(admin);
    assert_null(admin);
    ev_timer_stop(loop, &give_up);
    ev_loop_destroy(loop);
    return 0;
}

static void on_peer(struct ev_loop *l, ev_io *watcher, int events)
{
    struct peer *p = container_of(watcher, struct peer, io);

    if (events & EV_WRITE) {
        ssize_t sent = send(p->fd, p->to_send.at, MIN(p->piece, p->to_send.size), MSG_NOSIGNAL);
        if (sent > 0) {
            p->to_send.at += sent;
            p->to_send.size -= (size_t)sent;
        }
        if (p->to_send.size == 0 || sent < 0) {
            ev_io_stop(l, &p->io);
            ev_io_set(&p->io, p->fd, EV_READ);
            ev_io_start(l, &p->io);
        }
        return;
    }
    ssize_t size = recv(p->fd, buf_reserve(&p->got, 65536), 65536, MSG_DONTWAIT);
    if (size > 0) {
        buf_grew(&p->got, (size_t)size);
        return;
    }
    p->is_over = true;
    ev_io_stop(l, &p->io);
    ev_break(l, EVBREAK_ONE);
}

static void peer_open(struct peer *p, struct slice to_send, size_t piece)
{
    *p = (struct peer){.to_send = to_send, .piece = piece};
    p->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(p->fd, (struct sockaddr *)&address.ss, address.size), 0);
    ev_io_init(&p->io, on_peer, p->fd, to_send.size > 0 ? EV_WRITE : EV_READ);
    ev_io_start(loop, &p->io);
}

static void peer_close(struct peer *p)
{
    ev_io_stop(loop, &p->io);
    close(p->fd);
    buf_deinit(&p->got);
}

/* Runs until the server has closed; the answer is then a text. */
static const char *peer_finish(struct peer *p)
{
    while (!p->is_over && ev_is_active(&give_up)) {
        ev_run(loop, 0);
    }
    assert_true(p->is_over);
    buf_add_char(&p->got, '\0');
    return p->got.at;
}

static void assert_answer(const char *request, size_t piece, const char *status, const char *body)
{
    struct peer p;
    peer_open(&p, slice_of(request), piece);
    const char *text = peer_finish(&p);
    const char *blank = strstr(text, "\r\n\r\n");
    assert_int_equal(strncmp(text, status, strlen(status)), 0);
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    assert_non_null(blank);
    assert_string_equal(blank + 4, body);
    peer_close(&p);
}

#define REST " HTTP/1.1\r\nHost: a\r\n\r\n"

static void a_healthy_service_says_so(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= 100; piece += 33) {
        assert_answer("GET /live" REST, piece, "HTTP/1.1 200 OK\r\n", "ok\n");
        assert_answer("GET /ready" REST, piece, "HTTP/1.1 200 OK\r\n", "ready\n");
        assert_answer("GET /metrics" REST, piece, "HTTP/1.1 200 OK\r\n", "warren_x 1\n");
        assert_answer("GET /metrics?a=b" REST, piece, "HTTP/1.1 200 OK\r\n", "warren_x 1\n");
    }
}

static void an_unhealthy_one_says_why(void **state)
{
    (void)state;
    reason = "no broker";
    assert_answer("GET /live" REST, 100, "HTTP/1.1 200 OK\r\n", "ok\n");
    assert_answer("GET /ready" REST, 100, "HTTP/1.1 503 Service Unavailable\r\n", "no broker\n");
    live = false;
    assert_answer("GET /live" REST, 100, "HTTP/1.1 503 Service Unavailable\r\n", "not live\n");
}

static void head_gets_the_head_alone(void **state)
{
    (void)state;
    static const char *const cases[] = {"HEAD /live" REST, "HEAD /ready" REST,
                                        "HEAD /metrics" REST};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_answer(cases[i], 100, "HTTP/1.1 200 OK\r\n", "");
    }
    assert_answer("HEAD /x" REST, 100, "HTTP/1.1 404 Not Found\r\n", "");
}

static void everything_else_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *request, *status, *body;
    } cases[] = {
        {"GET /" REST, "HTTP/1.1 404 Not Found\r\n", "{\"error\":\"not found\"}\n"},
        {"GET /live/" REST, "HTTP/1.1 404 Not Found\r\n", "{\"error\":\"not found\"}\n"},
        {"GET /metrics/../live" REST, "HTTP/1.1 404 Not Found\r\n", "{\"error\":\"not found\"}\n"},
        {"GET http://a/live" REST, "HTTP/1.1 404 Not Found\r\n", "{\"error\":\"not found\"}\n"},
        {"POST /live HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
         "HTTP/1.1 405 Method Not Allowed\r\n", "{\"error\":\"method not allowed\"}\n"},
        {"DELETE /x" REST, "HTTP/1.1 405 Method Not Allowed\r\n",
         "{\"error\":\"method not allowed\"}\n"},
        {"GET /live HTTP/1.0\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\n",
         "{\"error\":\"bad request\"}\n"},
        {"hello\r\n", "HTTP/1.1 400 Bad Request\r\n", "{\"error\":\"bad request\"}\n"},
        {"GET /live HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n",
         "{\"error\":\"bad request\"}\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_answer(cases[i].request, 1000, cases[i].status, cases[i].body);
    }
}

static void metrics_have_the_type_of_the_text_format(void **state)
{
    (void)state;
    struct peer p;
    peer_open(&p, SLICE_LIT("GET /metrics" REST), 100);
    assert_non_null(strstr(peer_finish(&p), "\r\nContent-Type: text/plain; version=0.0.4\r\n"));
    peer_close(&p);
}

static void an_answer_larger_than_the_socket_arrives_whole(void **state)
{
    (void)state;
    struct peer p;
    large = true;
    peer_open(&p, SLICE_LIT("GET /metrics" REST), 100);
    const char *text = peer_finish(&p);
    const char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    assert_true(strlen(body + 4) >= 8000000);
    assert_string_equal(body + strlen(body) - 11, "warren_x 1\n");
    peer_close(&p);
}

static void a_second_request_gets_no_second_answer(void **state)
{
    (void)state;
    assert_answer("GET /live" REST "GET /ready" REST, 1000, "HTTP/1.1 200 OK\r\n", "ok\n");
}

static void one_more_than_the_limit_waits_for_its_turn(void **state)
{
    (void)state;
    struct peer idle[ADMIN_CLIENTS_MAX], last;

    for (int i = 0; i < ADMIN_CLIENTS_MAX; i++) {
        peer_open(&idle[i], SLICE_NONE, 0);
    }
    peer_open(&last, SLICE_LIT("GET /live" REST), 100);
    for (int i = 0; i < 100; i++) {
        ev_run(loop, EVRUN_NOWAIT);
    }
    assert_int_equal(last.got.size, 0);
    assert_int_equal(stat_get(&were_full), 1);
    peer_close(&idle[7]);
    assert_non_null(strstr(peer_finish(&last), "ok\n"));
    for (int i = 0; i < ADMIN_CLIENTS_MAX; i++) {
        if (i != 7) {
            assert_false(idle[i].is_over);
            peer_close(&idle[i]);
        }
    }
    peer_close(&last);
}

static void a_client_that_says_nothing_is_let_go(void **state)
{
    (void)state;
    struct peer silent, slow;
    peer_open(&silent, SLICE_NONE, 0);
    peer_open(&slow, SLICE_LIT("GET /live HTT"), 100);
    assert_string_equal(peer_finish(&silent), "");
    assert_string_equal(peer_finish(&slow), "");
    assert_int_equal(stat_get(&too_late), 2);
    peer_close(&silent);
    peer_close(&slow);
}

static void freeing_ends_open_connections(void **state)
{
    (void)state;
    struct peer p;
    peer_open(&p, SLICE_LIT("GET /"), 100);
    for (int i = 0; i < 10; i++) {
        ev_run(loop, EVRUN_NOWAIT);
    }
    admin = admin_free(admin);
    assert_string_equal(peer_finish(&p), "");
    peer_close(&p);
    assert_null(admin_free(NULL));
}

static void a_bad_address_is_an_error(void **state)
{
    (void)state;
    static const struct admin_hooks hooks = {&live, is_live, not_ready, metrics, NULL, NULL};
    char taken[NET_TEXT_MAX];
    net_text(&address, taken);
    assert_null(admin_new(loop, "nonsense", &hooks));
    assert_null(admin_new(loop, "192.0.2.1:0", &hooks));
    assert_null(admin_new(loop, taken, &hooks));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_healthy_service_says_so),
        TEST(an_unhealthy_one_says_why),
        TEST(head_gets_the_head_alone),
        TEST(everything_else_is_refused),
        TEST(metrics_have_the_type_of_the_text_format),
        TEST(an_answer_larger_than_the_socket_arrives_whole),
        TEST(a_second_request_gets_no_second_answer),
        TEST(one_more_than_the_limit_waits_for_its_turn),
        TEST(a_client_that_says_nothing_is_let_go),
        TEST(freeing_ends_open_connections),
        TEST(a_bad_address_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
