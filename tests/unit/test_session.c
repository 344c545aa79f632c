/*
 * test_session.c: a client from its first command to its last byte.
 */
#include <sys/socket.h>

#include "gateway/token/jwt.h"
#include "tests/unit/gateway_kit.h"
#include "tests/unit/tokens.h"

#define CONNECT "{\"id\":1,\"connect\":{}}"
#define NOW_S (clock_wall_ms() / 1000)

static void begin_with_short_pings(struct kit *k, int64_t ping_ms, int64_t pong_ms)
{
    kit_init(k);
    k->conf.ping_ms = ping_ms;
    k->conf.pong_ms = pong_ms;
    kit_start(k);
}

static void connect_is_answered_with_who_one_is(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    char want[256];

    kit_begin(&k);
    peer_open(&ann, &k, DIALECT_CENTRIFUGE, "ann", "");
    snprintf(want, sizeof(want),
             "{\"id\":1,\"connect\":{\"client\":\"%s\",\"version\":\"warren " WARREN_VERSION
             "\",\"ping\":60,\"pong\":true,\"data\":{\"gateway\":\"g1\"}}}",
             peer_session(&ann)->client);
    peer_send(&ann, CONNECT);
    peer_expect(&ann, want);
    peer_end(&ann);
    kit_end(&k);
}

/* One message each, as the first one or after connect. */
static void what_breaks_the_protocol_ends_the_session(void **state)
{
    (void)state;
    static const struct {
        bool connects;
        const char *text, *want;
    } cases[] = {
        {false, "{\"id\":1,\"publish\":{\"channel\":\"x\",\"data\":1}}", "close 3501 bad request"},
        {false, "{}", "close 3501 bad request"},
        {false, "{\"send\":{\"data\":1}}", "close 3501 bad request"},
        {false, "not JSON", "close 3501 bad request"},
        {false, "{\"id\":1,\"connect\":{\"token\":5}}", "close 3501 bad request"},
        {false, CONNECT, "close 3501 bad request"}, /* nobody may be anonymous */
        {false, "{\"id\":1,\"connect\":{\"token\":\"a.b.c\"}}", "close 3500 invalid token"},
        {true, CONNECT, "close 3501 bad request"},
        {true, "{}", "close 3501 bad request"}, /* a pong for no ping */
        {true, "[1]", "close 3501 bad request"},
        {true, "{\"id\":2}", "close 3501 bad request"},
        {true, "{\"subscribe\":{\"channel\":\"x\"}}", "close 3501 bad request"},
        {true, "{\"id\":2,\"refresh\":{\"token\":\"x\"}}", "close 3501 bad request"},
        {true, "{\"send\":{\"data\":1,\"data\":2}}", "close 3501 bad request"},
    };
    struct kit k;
    struct peer p;

    kit_begin(&k);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (cases[i].connects) {
            peer_connect(&p, &k, "ann");
        } else {
            peer_open(&p, &k, DIALECT_CENTRIFUGE, "", "");
        }
        peer_send(&p, cases[i].text);
        peer_expect(&p, cases[i].want);
        assert_int_equal(peer_session(&p)->state, SESSION_CLOSING);
        peer_end(&p);
        KIT_UNTIL(&k, sessions_count(k.gateway.sessions) == 0);
    }
    kit_end(&k);
}

static void what_is_not_served_is_an_error_and_the_session_goes_on(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"{\"id\":2,\"ping\":{}}", "{\"id\":2,\"error\":{\"code\":108,"},
        {"{\"id\":2,\"rpc\":{\"method\":\"x\"}}", "{\"id\":2,\"error\":{\"code\":104,"},
        {"{\"id\":2,\"sub_refresh\":{\"channel\":\"x\"}}", "{\"id\":2,\"error\":{\"code\":103,"},
        {"{\"id\":2,\"publish\":{\"channel\":\"x\"}}", "{\"id\":2,\"error\":{\"code\":107,"},
        {"{\"id\":2,\"publish\":{\"channel\":\"\",\"data\":1}}",
         "{\"id\":2,\"error\":{\"code\":107,"},
        {"{\"id\":2,\"publish\":{\"channel\":5,\"data\":1}}", "{\"id\":2,\"error\":{\"code\":107,"},
        {"{\"id\":2,\"publish\":{\"channel\":\"x\",\"data\":\"0123456789012345678901234567890\"}}",
         "{\"id\":2,\"error\":{\"code\":106,"},
    };
    struct kit k;
    struct peer p;

    kit_begin(&k);
    k.conf.max_payload = 30;
    peer_connect(&p, &k, "ann");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        peer_send(&p, cases[i].text);
        peer_expect_part(&p, cases[i].want);
    }
    peer_send(&p, "{\"send\":{\"data\":1}}");
    peer_expect_nothing(&p);
    kit_expect_none(&k, MESSAGE_PUBLISH);
    peer_end(&p);
    kit_end(&k);
}

static void token_at(struct buf *out, const char *head, int64_t ttl_s, int64_t now_s)
{
    buf_add_slice(out, slice_of(head));
    tokens_mint("0123456789abcdef0123456789abcdef", "ann", "Ann", ttl_s, now_s, out);
    buf_add_lit(out, "\"}}");
    buf_add_char(out, '\0');
}

static void a_good_token_connects_and_an_expired_one_is_told_so(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;
    struct buf good = BUF_EMPTY, old = BUF_EMPTY;

    kit_begin(&k);
    token_at(&good, "{\"id\":1,\"connect\":{\"token\":\"", 3600, NOW_S);
    token_at(&old, "{\"id\":1,\"connect\":{\"token\":\"", 60, NOW_S - 3600);
    peer_open(&p, &k, DIALECT_CENTRIFUGE, "", "");
    peer_send(&p, good.at);
    peer_expect_part(&p, "{\"id\":1,\"connect\":{\"client\":");
    peer_end(&p);

    peer_open(&p, &k, DIALECT_CENTRIFUGE, "", "");
    old.at[old.size - 1] = '\n'; /* what comes behind it is not looked at */
    buf_add_lit(&old, "{\"id\":2,\"subscribe\":{\"channel\":\"x\"}}");
    buf_add_char(&old, '\0');
    peer_send(&p, old.at);
    peer_expect(&p, "{\"id\":1,\"error\":{\"code\":109,\"message\":\"token expired\"}}");
    peer_expect_nothing(&p);
    peer_send(&p, good.at);
    peer_expect(&p, "close 3501 bad request");
    buf_deinit(&good);
    buf_deinit(&old);
    peer_end(&p);
    kit_end(&k);
}

static void where_anonymous_ones_may_come_in_no_token_is_needed(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;

    kit_begin(&k);
    k.conf.anonymous = true;
    peer_open(&p, &k, DIALECT_CENTRIFUGE, "", "");
    peer_send(&p, CONNECT);
    peer_expect_part(&p, "{\"id\":1,\"connect\":{\"client\":");
    peer_send(&p, "{\"id\":2,\"publish\":{\"channel\":\"x\",\"data\":1}}");
    struct bus_out *out = kit_take(&k, MESSAGE_PUBLISH);
    assert_null(memmem(out->body->bytes, out->body->size, "\"user\"", 6));
    kit_result(&k, out, BUS_CONFIRMED);
    peer_expect(&p, "{\"id\":2,\"publish\":{}}");
    peer_end(&p);
    kit_end(&k);
}

static void who_never_connects_is_stale(void **state)
{
    (void)state;
    struct kit k;
    struct peer p, ann;

    kit_init(&k);
    k.conf.stale_ms = 100;
    kit_start(&k);
    peer_connect(&ann, &k, "ann");
    peer_open(&p, &k, DIALECT_CENTRIFUGE, "", "");
    peer_expect(&p, "close 3502 stale");
    peer_expect_nothing(&ann);
    peer_end(&p);
    peer_end(&ann);
    kit_end(&k);
}

static void pings_go_on_as_long_as_they_are_answered(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin_with_short_pings(&k, 80, 60);
    peer_connect(&ann, &k, "ann");
    for (int i = 0; i < 4; i++) {
        peer_expect(&ann, "{}");
        peer_send(&ann, "{}");
    }
    KIT_UNTIL(&k, stat_get(&k.gateway.metrics.pongs) == 4);
    peer_expect(&ann, "{}");
    peer_send_frame(&ann, 0xa, "", 0); /* a native pong does not count */
    peer_expect(&ann, "close 3012 no pong");
    peer_end(&ann);
    kit_end(&k);
}

static void an_answered_ping_is_not_answered_twice(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin_with_short_pings(&k, 500, 400);
    peer_connect(&ann, &k, "ann");
    peer_expect(&ann, "{}");
    peer_send(&ann, "{}\n{}");
    peer_expect(&ann, "close 3501 bad request");
    peer_end(&ann);
    kit_end(&k);
}

static void the_plain_dialect_pings_natively(void **state)
{
    (void)state;
    struct kit k;
    struct peer joe;

    begin_with_short_pings(&k, 80, 60);
    peer_open(&joe, &k, DIALECT_PLAIN, "joe", "lobby");
    kit_position(&k, "lobby", "k1", 5);
    for (int i = 0; i < 3; i++) {
        peer_expect(&joe, "ping");
        peer_send_frame(&joe, 0xa, "", 0);
    }
    peer_expect(&joe, "ping");
    peer_expect(&joe, "close 3012 no pong");
    peer_end(&joe);
    kit_end(&k);
}

static void too_many_errors_end_the_session(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    k.conf.errors_max = 3;
    peer_connect(&ann, &k, "ann");
    for (int i = 0; i < 3; i++) {
        peer_send(&ann, "{\"id\":2,\"ping\":{}}");
        peer_expect_part(&ann, "\"code\":108");
    }
    kit_skip(10001); /* another window */
    for (int i = 0; i < 4; i++) {
        peer_send(&ann, "{\"id\":2,\"ping\":{}}");
        peer_expect_part(&ann, "\"code\":108");
    }
    peer_expect(&ann, "close 3509 too many errors");
    peer_end(&ann);
    kit_end(&k);
}

static void errors_of_the_servers_are_not_held_against_anybody(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    k.conf.errors_max = 3;
    kit_bus_down(&k);
    peer_connect(&ann, &k, "ann");
    for (int i = 0; i < 10; i++) {
        session_send_error(peer_session(&ann), 5, REPLY_INTERNAL);
        peer_expect_part(&ann, "\"code\":100");
    }
    assert_true(session_is_open(peer_session(&ann)));
    peer_end(&ann);
    kit_end(&k);
}

static void frames_that_are_not_for_a_chat_end_it(void **state)
{
    (void)state;
    static const struct {
        int opcode;
        const char *payload, *want;
        bool ends; /* TCP at once */
    } cases[] = {
        {0x2, "x", "close 1003 text messages only", false},
        {0x1, "\xff", "close 1007 not UTF-8", true},
        {0x3, "x", "close 1002 protocol error", true},
        {0x8, "\x03\xe8", "close 1000 ", true}, /* the peer's close is answered in kind */
        {0x8, "", "close 0 ", true},
    };
    struct kit k;
    struct peer p;

    kit_begin(&k);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        peer_connect(&p, &k, "ann");
        peer_send_frame(&p, cases[i].opcode, cases[i].payload, strlen(cases[i].payload));
        peer_expect(&p, cases[i].want);
        if (cases[i].ends) {
            peer_expect(&p, "end");
        }
        peer_end(&p);
    }
    kit_end(&k);
}

static void a_close_that_crosses_ours_does_not_swallow_it(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;

    kit_begin(&k);
    peer_connect(&p, &k, "ann");
    peer_send(&p, "nonsense");
    peer_send_frame(&p, 0x8, "\x03\xe8", 2); /* is read in the same turn */
    peer_expect(&p, "close 3501 bad request");
    peer_expect(&p, "end");
    peer_end(&p);
    kit_end(&k);
}

static void both_closes_end_tcp_at_once(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;

    kit_begin(&k);
    peer_connect(&p, &k, "ann");
    session_close(peer_session(&p), CLOSE_EXPIRED);
    session_close(peer_session(&p), CLOSE_SHUTDOWN); /* the first reason counts */
    peer_expect(&p, "close 3005 connection expired");
    peer_expect_nothing(&p);
    assert_false(p.is_ended);
    peer_send_frame(&p, 0x8, "\x0b\xbd", 2);
    peer_expect(&p, "end");
    KIT_UNTIL(&k, sessions_count(k.gateway.sessions) == 0);
    assert_int_equal(stat_get(&k.gateway.metrics.closed[CLOSE_EXPIRED]), 1);
    peer_end(&p);
    kit_end(&k);
}

static void a_peer_that_is_gone_is_forgotten(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;

    kit_begin(&k);
    peer_connect(&p, &k, "ann");
    peer_end(&p);
    KIT_UNTIL(&k, sessions_count(k.gateway.sessions) == 0);
    assert_int_equal(stat_get(&k.gateway.metrics.closed[CLOSE_PEER_GONE]), 1);
    assert_null(peer_session(&p));
    kit_end(&k);
}

static void a_handle_is_never_used_again(void **state)
{
    (void)state;
    enum { LIVES = 200 };
    struct kit k;
    struct peer p;
    session_handle handles[LIVES];

    kit_begin(&k);
    for (size_t i = 0; i < LIVES; i++) {
        peer_open(&p, &k, DIALECT_CENTRIFUGE, "", "");
        handles[i] = p.handle;
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(handles[i], handles[j]);
            assert_null(sessions_find(k.gateway.sessions, handles[j]));
        }
        peer_end(&p);
        KIT_UNTIL(&k, sessions_count(k.gateway.sessions) == 0);
    }
    assert_null(sessions_find(k.gateway.sessions, 0));
    assert_null(sessions_find(k.gateway.sessions, UINT64_MAX));
    kit_end(&k);
}

static void a_session_ends_with_its_token(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;

    kit_begin(&k);
    peer_open(&p, &k, DIALECT_CENTRIFUGE, "ann", "");
    peer_session(&p)->identity->expires_s = NOW_S + 100;
    peer_send(&p, CONNECT);
    peer_expect_part(&p, "\"connect\"");
    kit_skip(101000);
    peer_expect(&p, "close 3005 connection expired");
    peer_end(&p);
    kit_end(&k);
}

static void an_echo_is_what_came(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;

    kit_begin(&k);
    peer_open(&p, &k, DIALECT_ECHO, "ann", "");
    peer_send(&p, "hello");
    peer_expect(&p, "hello");
    peer_send_frame(&p, 0x2, "\xff", 1);
    peer_expect(&p, "binary ff");
    peer_send_frame(&p, 0x9, "?", 1);
    peer_expect(&p, "pong ?");
    peer_end(&p);
    kit_end(&k);
}

static void a_drain_ends_all_sessions_and_then_the_loop(void **state)
{
    (void)state;
    enum { PEERS = 7 };
    struct kit k;
    struct peer peers[PEERS];

    kit_begin(&k);
    for (size_t i = 0; i < PEERS; i++) {
        peer_connect(&peers[i], &k, "ann");
    }
    peer_send(&peers[0], "{\"id\":2,\"publish\":{\"channel\":\"x\",\"data\":1}}");
    struct bus_out *out = kit_take(&k, MESSAGE_PUBLISH);
    gateway_drain(&k.gateway);
    KIT_UNTIL(&k, !gateway_has_room(&k.gateway));
    for (size_t i = 1; i < PEERS; i++) {
        peer_expect(&peers[i], "close 3001 shutdown");
        peer_end(&peers[i]);
    }
    KIT_UNTIL(&k, sessions_count(k.gateway.sessions) == 1);
    kit_result(&k, out, BUS_CONFIRMED); /* what is in doubt is waited for */
    peer_expect(&peers[0], "{\"id\":2,\"publish\":{}}");
    peer_expect(&peers[0], "close 3001 shutdown");
    peer_end(&peers[0]);
    ev_run(k.loop, 0);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_is_answered_with_who_one_is),
        cmocka_unit_test(what_breaks_the_protocol_ends_the_session),
        cmocka_unit_test(what_is_not_served_is_an_error_and_the_session_goes_on),
        cmocka_unit_test(a_good_token_connects_and_an_expired_one_is_told_so),
        cmocka_unit_test(where_anonymous_ones_may_come_in_no_token_is_needed),
        cmocka_unit_test(who_never_connects_is_stale),
        cmocka_unit_test(pings_go_on_as_long_as_they_are_answered),
        cmocka_unit_test(an_answered_ping_is_not_answered_twice),
        cmocka_unit_test(the_plain_dialect_pings_natively),
        cmocka_unit_test(too_many_errors_end_the_session),
        cmocka_unit_test(errors_of_the_servers_are_not_held_against_anybody),
        cmocka_unit_test(frames_that_are_not_for_a_chat_end_it),
        cmocka_unit_test(a_close_that_crosses_ours_does_not_swallow_it),
        cmocka_unit_test(both_closes_end_tcp_at_once),
        cmocka_unit_test(a_peer_that_is_gone_is_forgotten),
        cmocka_unit_test(a_handle_is_never_used_again),
        cmocka_unit_test(a_session_ends_with_its_token),
        cmocka_unit_test(an_echo_is_what_came),
        cmocka_unit_test(a_drain_ends_all_sessions_and_then_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
