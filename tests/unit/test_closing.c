/*
 * test_closing.c: sessions that are on their way out: what still reaches them, and what is still
 * said to them.
 */
#include <sys/socket.h>

#include "gateway/session/sessions_internal.h"
#include "tests/unit/limits_kit.h"

#define OPCODE_CLOSE 0x8
#define OPCODE_PONG 0xa

static void a_pong_does_not_put_off_the_end(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;

    kit_init(&k);
    k.conf.ping_ms = 80;
    kit_start(&k);
    peer_open(&p, &k, DIALECT_ECHO, "ann", "");
    peer_expect(&p, "ping");
    session_close(peer_session(&p), CLOSE_EXPIRED);
    peer_expect(&p, "close 3005 connection expired");
    assert_true(deadline_waits(&peer_session(&p)->wait));
    peer_send_frame(&p, OPCODE_PONG, "", 0);
    kit_settle(&k);
    assert_true(deadline_waits(&peer_session(&p)->wait)); /* for its close frame */
    assert_int_equal(stat_get(&k.gateway.metrics.pongs), 0);
    peer_end(&p);
    kit_end(&k);
}

/* Takes what is in the socket, without a turn of the loop. */
static size_t drain(struct peer *p)
{
    static char bytes[65536];
    size_t sum = 0;
    ssize_t size;

    while ((size = recv(p->fd, bytes, sizeof(bytes), 0)) > 0) {
        sum += (size_t)size;
    }
    return sum;
}

static void who_has_taken_everything_is_not_slow_because_something_waits(void **state)
{
    enum { LIMIT = 100000, PART = 10000 };
    static char text[LIMIT - PART / 2];
    (void)state;
    struct kit k;
    struct peer p;

    kit_init(&k);
    k.conf.out_queue = LIMIT;
    kit_start(&k);
    peer_open(&p, &k, DIALECT_ECHO, "ann", "");
    struct session *s = peer_session(&p);
    memset(text, 'x', sizeof(text));
    while ((s->io.events & EV_WRITE) == 0) { /* what the socket takes, and a little more */
        session_send_text(s, (struct slice){text, PART});
        kit_turn(&k);
    }
    assert_in_range(s->out.bytes, 1, PART + 4);
    assert_true(drain(&p) > 0);
    session_send_text(s, (struct slice){text, sizeof(text)});
    assert_true(session_is_open(s));
    /* Who takes nothing is: the socket is asked, and takes a part. */
    for (int i = 0; i < 10 && session_is_open(s); i++) {
        session_send_text(s, (struct slice){text, sizeof(text)});
    }
    assert_int_equal(s->reason, CLOSE_SLOW);
    assert_int_equal(met(&k, LIMIT_OUT_QUEUE), 1);
    peer_end(&p);
    kit_end(&k);
}

static void nobody_watches_a_dead_session_again(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;

    kit_begin(&k);
    peer_open(&p, &k, DIALECT_ECHO, "ann", "");
    struct session *s = peer_session(&p);
    session_hold(s);
    session_close(s, CLOSE_PEER_GONE);
    assert_int_equal(s->state, SESSION_DEAD);
    session_release(s); /* what it waited for comes in the same turn */
    assert_false(ev_is_active(&s->io));
    kit_settle(&k);
    assert_null(peer_session(&p));
    peer_end(&p);
    kit_end(&k);
}

/* What was read last was as long as a read can be, so that the end of it shows in the same turn. */
static void who_ends_its_side_hears_the_answers_to_what_it_said(void **state)
{
    enum { HEAD = 8, CLOSE_FRAME = 8, SIZE = SESSION_READ_SIZE - HEAD - CLOSE_FRAME };
    static char text[SIZE + 1];
    (void)state;
    struct kit k;
    struct peer p;

    kit_begin(&k);
    peer_open(&p, &k, DIALECT_ECHO, "ann", "");
    kit_settle(&k);
    memset(text, 'x', SIZE);
    peer_send(&p, text);
    peer_send_frame(&p, OPCODE_CLOSE, "\x03\xe8", 2);
    assert_int_equal(shutdown(p.fd, SHUT_WR), 0);
    peer_expect(&p, text);
    peer_expect(&p, "close 1000 ");
    peer_expect(&p, "end");
    assert_int_equal(sessions_count(k.gateway.sessions), 0);
    peer_end(&p);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_taken_everything_is_not_slow_because_something_waits),
        cmocka_unit_test(a_pong_does_not_put_off_the_end),
        cmocka_unit_test(nobody_watches_a_dead_session_again),
        cmocka_unit_test(who_ends_its_side_hears_the_answers_to_what_it_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
