/*
 * test_expiry.c: a session ends with its token, whatever it is in the middle of.
 */
#include <sys/socket.h>

#include "gateway/session/sessions_internal.h"
#include "tests/unit/gateway_kit.h"
#include "tests/unit/tokens.h"

#define SOON_S 600
#define LATER_MS ((SOON_S + 60) * 1000) /* the time to refresh is over, too */

static void connect_for_a_while(struct peer *p, struct kit *k)
{
    struct buf command = BUF_EMPTY;

    buf_add_lit(&command, "{\"id\":1,\"connect\":{\"token\":\"");
    tokens_mint("0123456789abcdef0123456789abcdef", "ann", "", SOON_S, clock_wall_ms() / 1000,
                &command);
    buf_add(&command, "\"}}", 4);
    peer_open(p, k, DIALECT_CENTRIFUGE, "", "");
    peer_send(p, command.at);
    peer_expect_part(p, "{\"id\":1,\"connect\":");
    buf_deinit(&command);
}

/* Queues texts until the socket takes no more. */
static void block(struct peer *p)
{
    struct session *s = peer_session(p);
    static const char text[4096];

    do {
        session_send_text(s, (struct slice){text, sizeof(text)});
        kit_turn(p->kit);
        assert_int_equal(s->state, SESSION_OPEN);
    } while (s->out.bytes == 0);
}

/* Passes the texts over. */
static void expect_the_end(struct peer *p)
{
    const char *got;

    do {
        got = peer_next(p);
    } while (strncmp(got, "close", 5) != 0 && strcmp(got, "end") != 0);
    assert_string_equal(got, "close 3005 connection expired");
}

static void a_session_that_nobody_reads_from_ends(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_for_a_while(&ann, &k);
    block(&ann);
    kit_skip(LATER_MS);
    KIT_UNTIL(&k, peer_session(&ann)->state == SESSION_CLOSING);
    assert_null(peer_session(&ann)->subscriptions);
    expect_the_end(&ann); /* whoever reads at last gets all of it, and why */
    peer_end(&ann);
    kit_end(&k);
}

static void a_session_that_is_never_read_from_is_not_waited_for(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    k.gateway.sessions->close_wait.wait_ms = 50;
    connect_for_a_while(&ann, &k);
    block(&ann);
    kit_skip(LATER_MS);
    KIT_UNTIL(&k, peer_session(&ann) == NULL);
    assert_int_equal(stat_get(&k.gateway.metrics.closed[CLOSE_EXPIRED]), 1);
    peer_end(&ann);
    kit_end(&k);
}

static void a_session_in_the_middle_of_a_message_ends(void **state)
{
    (void)state;
    /* Masked with zeros; the first frame of a text, and the first bytes of a whole one. */
    static const struct {
        const char *bytes;
        size_t size;
    } halves[] = {
        {"\x01\x83\0\0\0\0{\"i", 9}, {"\x01\x83\0\0\0\0{\"i\x00\x82\0\0\0\0d\"", 17},
        {"\x81\x9e\0\0\0\0{\"i", 9}, {"\x81", 1},
        {"\x81\xfe\x01", 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
        struct kit k;
        struct peer ann;

        kit_begin(&k);
        connect_for_a_while(&ann, &k);
        assert_int_equal(send(ann.fd, halves[i].bytes, halves[i].size, MSG_NOSIGNAL),
                         halves[i].size);
        peer_expect_nothing(&ann);
        kit_skip(LATER_MS);
        peer_expect(&ann, "close 3005 connection expired");
        peer_end(&ann);
        kit_end(&k);
    }
}

static void a_session_that_waits_for_a_room_ends(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_for_a_while(&ann, &k);
    peer_subscribe(&ann, "room"); /* its owner does not answer */
    peer_expect_nothing(&ann);
    kit_skip(LATER_MS);
    peer_expect(&ann, "close 3005 connection expired");
    assert_int_equal(stat_get(&k.gateway.metrics.subscriptions), 0);
    peer_end(&ann);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_that_nobody_reads_from_ends),
        cmocka_unit_test(a_session_that_is_never_read_from_is_not_waited_for),
        cmocka_unit_test(a_session_in_the_middle_of_a_message_ends),
        cmocka_unit_test(a_session_that_waits_for_a_room_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
