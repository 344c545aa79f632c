/*
 * test_closing.c: sessions that are on their way out: what still reaches them, and what is still
 * said to them.
 */
#include "gateway/session/sessions_internal.h"
#include "tests/unit/gateway_kit.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pong_does_not_put_off_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
