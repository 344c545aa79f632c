/*
 * test_conn.c: a peer from its first byte to its answer or its session.
 *
 * The peer is the other end of a socket pair; the loop is turned by hand. The
 * two functions behind the edge, which open sessions and know what is full, are
 * the test's own.
 */
#include <errno.h>
#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/net.h"
#include "gateway/edge/conn.h"
#include "gateway/edge/crowd.h"
#include "gateway/edge/tries.h"
#include "gateway/edge/trust.h"
#include "gateway/gateway.h"
#include "gateway/session/sessions.h"
#include "gateway/token/verifier.h"
#include "tests/unit/tokens.h"

#define TURNS_MAX 2000 /* of the loop, for what must happen */

#define UPGRADE                                                                                    \
    "Host: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                               \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

static struct gateway_conf conf = {
    .demo = true,
    .head_max = HTTP_HEAD_MAX,
    .line_max = HTTP_LINE_MAX,
    .fields_max = HTTP_FIELDS_MAX,
    .handshakes_max = 1000,
    .hmac_key = (char *)(uintptr_t) "0123456789abcdef0123456789abcdef",
    .audience = (char *)(uintptr_t) "",
    .issuer = (char *)(uintptr_t) "",
    .subscription_audience = (char *)(uintptr_t) "",
    .token_type = (char *)(uintptr_t) "",
    .cookie = (char *)(uintptr_t) "",
    .hooks = {.connect_url = (char *)(uintptr_t) "",
              .subscribe_url = (char *)(uintptr_t) "",
              .publish_url = (char *)(uintptr_t) ""},
};

static struct gateway gateway;
static bool is_full;

/* What the last session brought. */
static struct {
    int count, fd;
    enum dialect dialect;
    struct buf answer, early, room;
    bool has_identity;
    char peer[NET_TEXT_MAX];
    struct crowd_place *place;
} opened;

static const char *trusted = "";

bool gateway_has_room(const struct gateway *g)
{
    assert_ptr_equal(g, &gateway);
    return !is_full;
}

void sessions_open(struct sessions *all, const struct session_opening *o)
{
    assert_ptr_equal(all, gateway.sessions);
    opened.count++;
    opened.fd = o->fd;
    opened.dialect = o->dialect;
    snprintf(opened.peer, sizeof(opened.peer), "%s", o->peer);
    crowd_leave(opened.place);
    opened.place = o->place;
    opened.has_identity = o->identity != NULL;
    buf_add_slice(&opened.answer, blob_slice(o->answer));
    buf_add_slice(&opened.early, o->early);
    buf_add_slice(&opened.room, o->room);
    blob_unref(o->answer);
    identity_free(o->identity);
}

static int set_up_with(int64_t handshake_ms)
{
    char error[100];

    conf.handshake_ms = handshake_ms;

    gateway = (struct gateway){.conf = &conf, .loop = ev_loop_new(EVFLAG_AUTO)};
    gateway.origins = origins_new("", error, sizeof(error));
    conf.keys = tokens_keys(conf.hmac_key);
    gateway.revoked = revoked_new(&gateway.metrics);
    gateway.verifier = verifier_new(&conf, gateway.revoked, &gateway.metrics);
    gateway.trust = trust_new(trusted, error, sizeof(error));
    gateway.crowd = crowd_new(conf.per_address);
    gateway.tries = tries_new(conf.bad_tokens);
    gateway.comers = tries_new(0);
    gateway.conns = conns_new(&gateway);
    is_full = false;
    conf.anonymous = true;
    memset(&opened, 0, sizeof(opened));
    opened.fd = -1;
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(60000); /* longer than any test */
}

static int set_up_impatient(void **state)
{
    (void)state;
    return set_up_with(300);
}

static int tear_down(void **state)
{
    (void)state;
    gateway.conns = conns_free(gateway.conns);
    gateway.verifier = verifier_free(gateway.verifier);
    gateway.revoked = revoked_free(gateway.revoked);
    conf.keys = keys_free(conf.keys);
    crowd_leave(opened.place);
    gateway.tries = tries_free(gateway.tries);
    gateway.comers = tries_free(gateway.comers);
    gateway.crowd = crowd_free(gateway.crowd);
    gateway.trust = trust_free(gateway.trust);
    gateway.origins = origins_free(gateway.origins);
    ev_loop_destroy(gateway.loop);
    if (opened.fd >= 0) {
        close(opened.fd);
    }
    buf_deinit(&opened.answer);
    buf_deinit(&opened.early);
    buf_deinit(&opened.room);
    return 0;
}

/* A new connection; returns the peer's end. */
static int connect_peer(void)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    struct net_addr peer;
    assert_int_equal(net_parse(&peer, "127.0.0.1:1"), 0);
    conns_take(gateway.conns, pair[0], &peer);
    return pair[1];
}

static void turn(void)
{
    ev_run(gateway.loop, EVRUN_NOWAIT);
}

static void say(int peer, const char *bytes, size_t size)
{
    assert_int_equal(send(peer, bytes, size, MSG_NOSIGNAL), size);
    turn();
}

/* Everything that comes until the gateway ends its side, terminated by a NUL. */
static struct buf hear_all(int peer)
{
    struct buf heard = BUF_EMPTY;

    for (int i = 0; i < TURNS_MAX; i++) {
        ssize_t size = recv(peer, buf_reserve(&heard, 4096), 4096, 0);
        if (size == 0) {
            buf_add_char(&heard, '\0');
            return heard;
        }
        if (size > 0) {
            buf_grew(&heard, (size_t)size);
            continue;
        }
        assert_int_equal(errno, EAGAIN);
        ev_run(gateway.loop, EVRUN_ONCE);
    }
    fail_msg("the gateway does not end its side");
    return heard;
}

static void expect_answer(int peer, int status, const char *part)
{
    struct buf heard = hear_all(peer);
    char start[30];

    snprintf(start, sizeof(start), "HTTP/1.1 %d ", status);
    if (strncmp(heard.at, start, strlen(start)) != 0 || strstr(heard.at, part) == NULL) {
        fail_msg("not %d with \"%s\": %s", status, part, heard.at);
    }
    assert_non_null(strstr(heard.at, "\r\nConnection: close\r\n"));
    assert_null(strstr(heard.at + 1, "HTTP/1.1"));
    buf_deinit(&heard);
}

/* After the peer has gone the gateway keeps nothing of it. */
static void leave(int peer)
{
    close(peer);
    for (int i = 0; i < TURNS_MAX && conns_count(gateway.conns) > 0; i++) {
        ev_run(gateway.loop, EVRUN_ONCE);
    }
    assert_int_equal(conns_count(gateway.conns), 0);
    assert_int_equal(stat_get(&gateway.metrics.connections), 0);
}

static const struct {
    const char *request;
    int status;
    const char *part;
} refusals[] = {
    {"GET /nowhere HTTP/1.1\r\n" UPGRADE, 404, "{\"error\":"},
    {"GET //ws HTTP/1.1\r\n" UPGRADE, 404, ""},
    {"GET /ws/../ws HTTP/1.1\r\n" UPGRADE, 404, ""},
    {"GET /echo HTTP/1.1\r\n" UPGRADE, 404, ""}, /* it is switched off */
    {"POST /ws HTTP/1.1\r\n" UPGRADE, 405, "\r\nAllow: GET\r\n"},
    {"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "\r\nAllow: GET, HEAD\r\n"},
    {"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", 426, "\r\nUpgrade: websocket\r\n"},
    {"GET /ws?room=%20 HTTP/1.1\r\n" UPGRADE, 400, ""},
    {"GET /ws HTTP/1.1\r\nOrigin: https://evil.example\r\n" UPGRADE, 403, ""},
    {"GET /ws HTTP/1.1\r\nAuthorization: Bearer x\r\n" UPGRADE, 401,
     "\r\nWWW-Authenticate: Bearer error=\"invalid_token\"\r\n"},
    {"GET /demo/token HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
    {"GET /ws HTTP/1.0\r\n" UPGRADE, 505, ""},
    {"GET /ws HTTP/1.1\n", 400, ""},
    {"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nGET /ws HTTP/1.1\r\n" UPGRADE, 404, ""},
};

static void each_refusal_arrives_and_is_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        stat_value *counter = &gateway.metrics.refused[refusals[i].status];
        uint64_t before = stat_get(counter);
        int peer = connect_peer();

        say(peer, refusals[i].request, strlen(refusals[i].request));
        expect_answer(peer, refusals[i].status, refusals[i].part);
        assert_int_equal(stat_get(counter), before + 1);
        leave(peer);
    }
    assert_int_equal(opened.count, 0);
}

static void the_answer_does_not_depend_on_how_the_request_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        int peer = connect_peer();
        for (const char *at = refusals[i].request; *at != '\0'; at++) {
            say(peer, at, 1);
        }
        expect_answer(peer, refusals[i].status, refusals[i].part);
        leave(peer);
    }
}

static void an_upgrade_becomes_a_session_with_its_early_bytes(void **state)
{
    (void)state;
    static const char request[] = "GET /ws?room=kitchen HTTP/1.1\r\n" UPGRADE "\x81\x80\1\2\3\4";
    int peer = connect_peer();

    say(peer, request, sizeof(request) - 1);
    assert_int_equal(opened.count, 1);
    assert_int_equal(conns_count(gateway.conns), 0);
    assert_int_equal(opened.dialect, DIALECT_PLAIN);
    assert_true(opened.has_identity);
    assert_true(slice_equal(buf_slice(&opened.room), SLICE_LIT("kitchen")));
    assert_true(slice_equal(buf_slice(&opened.early), SLICE_LIT("\x81\x80\1\2\3\4")));
    assert_memory_equal(opened.answer.at, "HTTP/1.1 101 ", 13);
    assert_int_equal(send(opened.fd, "x", 1, MSG_NOSIGNAL), 1); /* the socket lives on */
    leave(peer);
}

static void the_centrifuge_dialect_comes_without_an_identity(void **state)
{
    (void)state;
    static const char request[] = "GET /connection/websocket HTTP/1.1\r\n"
                                  "Sec-WebSocket-Protocol: centrifuge-json\r\n" UPGRADE;
    int peer = connect_peer();

    conf.anonymous = false;
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        assert_int_equal(opened.count, 0);
        say(peer, request + i, 1);
    }
    assert_int_equal(opened.count, 1);
    assert_int_equal(opened.dialect, DIALECT_CENTRIFUGE);
    assert_false(opened.has_identity);
    assert_int_equal(opened.early.size, 0);
    buf_add_char(&opened.answer, '\0');
    assert_non_null(strstr(opened.answer.at, "\r\nSec-WebSocket-Protocol: centrifuge-json\r\n"));
    leave(peer);
}

static void the_demo_is_served(void **state)
{
    (void)state;
    static const char get[] = "GET /?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char head[] = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char token[] = "GET /demo/token?name=Ann HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char nowhere[] = "HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";

    int peer = connect_peer();
    say(peer, get, sizeof(get) - 1);
    expect_answer(peer, 200, "</html>");
    leave(peer);
    peer = connect_peer();
    say(peer, token, sizeof(token) - 1);
    expect_answer(peer, 200, "\"user\":\"ann\"");
    leave(peer);
    for (int i = 0; i < 2; i++) { /* no answer to HEAD has a body */
        peer = connect_peer();
        say(peer, i == 0 ? head : nowhere, i == 0 ? sizeof(head) - 1 : sizeof(nowhere) - 1);
        struct buf heard = hear_all(peer);
        assert_string_equal(strstr(heard.at, "\r\n\r\n"), "\r\n\r\n");
        buf_deinit(&heard);
        leave(peer);
    }
}

static void who_says_nothing_is_closed_without_a_word(void **state)
{
    (void)state;
    int peer = connect_peer();
    struct buf heard = hear_all(peer);

    assert_string_equal(heard.at, "");
    assert_int_equal(conns_count(gateway.conns), 0);
    buf_deinit(&heard);
    close(peer);
}

static void who_says_half_a_request_is_told_of_the_time(void **state)
{
    (void)state;
    int peer = connect_peer();

    say(peer, "GET /ws HTTP/1.1\r\nHost", 22);
    expect_answer(peer, 408, "{\"error\":");
    assert_int_equal(stat_get(&gateway.metrics.refused[408]), 1);
    leave(peer);
}

static void who_leaves_early_leaves_nothing_behind(void **state)
{
    (void)state;
    int silent = connect_peer();
    leave(silent);
    int half = connect_peer();
    say(half, "GET", 3);
    leave(half);
}

static void a_full_or_draining_gateway_refuses_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        is_full = i == 0;
        gateway.is_draining = i == 1;
        int peer = connect_peer();
        expect_answer(peer, 503, "\r\nRetry-After: ");
        assert_int_equal(stat_get(&gateway.metrics.refused[503]), i + 1);
        leave(peer);
    }
}

static void who_is_reading_when_the_drain_begins_gets_no_session(void **state)
{
    (void)state;
    static const char request[] = "GET /ws HTTP/1.1\r\n" UPGRADE;
    int peer = connect_peer();

    say(peer, request, 20);
    gateway.is_draining = true;
    say(peer, request + 20, sizeof(request) - 1 - 20);
    expect_answer(peer, 503, "\r\nRetry-After: ");
    assert_int_equal(opened.count, 0);
    leave(peer);
}

static void refused_peers_are_not_kept_without_end(void **state)
{
    (void)state;
    int peers[300];
    size_t kept = 0;

    is_full = true;
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        peers[i] = connect_peer();
        kept = MAX(kept, conns_count(gateway.conns));
    }
    assert_int_equal(kept, 256);
    assert_int_equal(stat_get(&gateway.metrics.refused[503]), ARRAY_LEN(peers));
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        close(peers[i]);
    }
    leave(connect_peer());
}

static void who_talks_on_after_a_refusal_is_cut_off(void **state)
{
    (void)state;
    static const char request[] = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";
    static char noise[4096];
    int peer = connect_peer();
    size_t said = 0;

    say(peer, request, sizeof(request) - 1);
    while (conns_count(gateway.conns) > 0) {
        ssize_t size = send(peer, noise, sizeof(noise), MSG_NOSIGNAL);
        assert_true(size > 0 || errno == EAGAIN);
        said += size > 0 ? (size_t)size : 0;
        turn();
        assert_true(said < 1 << 20);
    }
    assert_true(said > 65536);
    close(peer);
}

static void connections_that_are_left_are_freed_at_the_end(void **state)
{
    (void)state;
    static const char request[] = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";
    int peers[3] = {connect_peer(), connect_peer(), connect_peer()};

    say(peers[1], "GET", 3);
    say(peers[2], request, sizeof(request) - 1);
    assert_int_equal(conns_count(gateway.conns), 3);
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        close(peers[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define IMPATIENT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_impatient, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_refusal_arrives_and_is_counted),
        TEST(the_answer_does_not_depend_on_how_the_request_is_cut),
        TEST(an_upgrade_becomes_a_session_with_its_early_bytes),
        TEST(the_centrifuge_dialect_comes_without_an_identity),
        TEST(the_demo_is_served),
        IMPATIENT_TEST(who_says_nothing_is_closed_without_a_word),
        IMPATIENT_TEST(who_says_half_a_request_is_told_of_the_time),
        TEST(who_leaves_early_leaves_nothing_behind),
        TEST(a_full_or_draining_gateway_refuses_at_once),
        TEST(who_is_reading_when_the_drain_begins_gets_no_session),
        TEST(refused_peers_are_not_kept_without_end),
        TEST(who_talks_on_after_a_refusal_is_cut_off),
        TEST(connections_that_are_left_are_freed_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
