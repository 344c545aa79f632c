/*
 * test_pongs.c: pings of a client that reads, and of one that does not.
 */
#include "gateway/session/sessions_internal.h"
#include "tests/unit/gateway_kit.h"

#define TEXT_SIZE 4096

static void send_pings(struct peer *p, int first, int last)
{
    for (int i = first; i <= last; i++) {
        char data[16];
        int size = snprintf(data, sizeof(data), "%d", i);
        peer_send_frame(p, 0x9, data, (size_t)size);
    }
    kit_settle(p->kit);
}

/* Queues texts until the socket takes no more; returns how many. */
static int block(struct peer *p)
{
    struct session *s = peer_session(p);
    static char text[TEXT_SIZE];
    int count = 0;

    memset(text, 'x', sizeof(text));
    do {
        session_send_text(s, (struct slice){text, sizeof(text)});
        kit_turn(p->kit);
        assert_int_equal(s->state, SESSION_OPEN);
        count++;
    } while (s->out.bytes == 0);
    return count;
}

static void expect_texts(struct peer *p, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(strlen(peer_next(p)), TEXT_SIZE);
    }
}

static uint64_t replaced(const struct kit *k)
{
    return stat_get(&k->gateway.metrics.pongs_replaced);
}

static void each_ping_of_who_reads_is_answered_in_its_order(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;

    kit_begin(&k);
    peer_open(&p, &k, DIALECT_ECHO, "ann", "");
    for (int round = 0; round < 2; round++) { /* all in one turn; then each alone */
        for (int i = 1; i <= 9; i++) {
            if (round == 1) {
                send_pings(&p, i, i);
            } else if (i == 1) {
                send_pings(&p, 1, 9);
            }
            char want[16];
            snprintf(want, sizeof(want), "pong %d", i);
            peer_expect(&p, want);
        }
    }
    assert_int_equal(replaced(&k), 0);
    peer_end(&p);
    kit_end(&k);
}

static void one_pong_waits_for_who_does_not_read(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;

    kit_begin(&k);
    peer_open(&p, &k, DIALECT_ECHO, "ann", "");
    int texts = block(&p);
    send_pings(&p, 1, 1);
    uint32_t count = peer_session(&p)->out.count;
    session_send_text(peer_session(&p), SLICE_LIT("behind it"));
    for (int i = 2; i <= 20; i += 2) { /* in a turn of their own, and two in one */
        send_pings(&p, i, i + 1);
    }
    assert_int_equal(peer_session(&p)->out.count, count + 1);
    assert_int_equal(replaced(&k), 20);
    expect_texts(&p, texts);
    peer_expect(&p, "pong 21");
    peer_expect(&p, "behind it");
    send_pings(&p, 22, 23);
    peer_expect(&p, "pong 22");
    peer_expect(&p, "pong 23");
    assert_int_equal(replaced(&k), 20);
    peer_end(&p);
    kit_end(&k);
}

/* A ping of one digit, in the middle of a turn. */
static void take_ping(struct session *s, char digit)
{
    const char frame[] = {(char)0x89, (char)0x81, 0, 0, 0, 0, digit};

    session_take_bytes(s, frame, sizeof(frame));
}

static void of_pongs_that_were_queued_in_time_the_last_is_replaced(void **state)
{
    (void)state;
    static char text[TEXT_SIZE];
    struct kit k;
    struct peer p;

    kit_begin(&k);
    peer_open(&p, &k, DIALECT_ECHO, "ann", "");
    struct session *s = peer_session(&p);
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < 100; i++) { /* more than the socket takes */
        session_send_text(s, (struct slice){text, sizeof(text)});
    }
    take_ping(s, '1');
    take_ping(s, '2');
    kit_settle(&k);
    assert_true(s->out.bytes > 0);
    take_ping(s, '3');
    expect_texts(&p, 100);
    peer_expect(&p, "pong 1");
    peer_expect(&p, "pong 3");
    assert_int_equal(replaced(&k), 1);
    peer_end(&p);
    kit_end(&k);
}

static void a_pong_that_has_left_is_not_replaced(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;

    kit_begin(&k);
    peer_open(&p, &k, DIALECT_ECHO, "ann", "");
    for (int round = 1; round <= 4; round += 3) {
        char want[16];
        int texts = block(&p);

        send_pings(&p, round, round + 2);
        expect_texts(&p, texts);
        snprintf(want, sizeof(want), "pong %d", round + 2);
        peer_expect(&p, want);
    }
    assert_int_equal(replaced(&k), 4);
    peer_end(&p);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_ping_of_who_reads_is_answered_in_its_order),
        cmocka_unit_test(one_pong_waits_for_who_does_not_read),
        cmocka_unit_test(of_pongs_that_were_queued_in_time_the_last_is_replaced),
        cmocka_unit_test(a_pong_that_has_left_is_not_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
