/* test_held.c: what a plain client says before it is in its room. */
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"
#define OPCODE_CLOSE 0x8

static void what_is_said_before_the_room_is_entered_waits_and_is_heard(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_open(&ann, &k, DIALECT_PLAIN, "ann", ROOM);
    for (int i = 0; i < 3; i++) {
        peer_send(&ann, "{\"message\":\"hello\"}");
        kit_expect_none(&k, MESSAGE_PUBLISH);
    }
    kit_position(&k, ROOM, "k1", 5);
    bus_out_free(kit_take(&k, MESSAGE_PUBLISH));
    kit_deliver(&k, ROOM, "k1", 6, 8);
    peer_expect_plain(&ann, 6, 8);
    peer_end(&ann);
    kit_end(&k);
}

static void in_a_room_that_is_known_nothing_waits(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;

    kit_begin(&k);
    peer_open(&ann, &k, DIALECT_PLAIN, "ann", ROOM);
    kit_position(&k, ROOM, "k1", 5);
    peer_open(&bob, &k, DIALECT_PLAIN, "bob", ROOM);
    assert_false(peer_session(&bob)->is_held);
    peer_send(&bob, "{\"message\":\"hello\"}");
    bus_out_free(kit_take(&k, MESSAGE_PUBLISH));
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

/* A client that does not wait for the handshake's answer. */
static void open_hastily(struct kit *k, struct peer *p)
{
    static const char early[] = "\x81\x93\0\0\0\0{\"message\":\"early\"}"
                                "\x81\x94\0\0\0\0{\"message\":";
    int fds[2];

    *p = (struct peer){.kit = k};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    p->fd = fds[1];
    sessions_open(k->gateway.sessions, &(struct session_opening){
                                           .fd = fds[0],
                                           .peer = "127.0.0.1:1",
                                           .dialect = DIALECT_PLAIN,
                                           .room = SLICE_LIT(ROOM),
                                           .identity = identity_new(NULL),
                                           .answer = blob_new(0),
                                           .early = {early, sizeof(early) - 1},
                                       });
}

static void bytes_that_came_with_the_handshake_come_before_those_in_the_socket(void **state)
{
    (void)state;
    struct kit k;
    struct peer joe;

    kit_begin(&k);
    open_hastily(&k, &joe);
    assert_int_equal(send(joe.fd, "\"socket\"}", 9, 0), 9); /* the end of the second one */
    kit_expect_none(&k, MESSAGE_PUBLISH);
    kit_position(&k, ROOM, "k1", 5);
    struct bus_out *batch = kit_take(&k, MESSAGE_PUBLISH);
    const char *early = memmem(batch->body->bytes, batch->body->size, "early", 5);
    const char *later = memmem(batch->body->bytes, batch->body->size, "socket", 6);
    assert_non_null(early);
    assert_true(later > early);
    bus_out_free(batch);
    peer_end(&joe);
    kit_end(&k);
}

static void who_cannot_enter_in_time_is_told_and_its_words_are_dropped(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, joe;

    kit_init(&k);
    k.conf.subscribe_wait_ms = 60;
    kit_start(&k);
    peer_open(&ann, &k, DIALECT_PLAIN, "ann", ROOM);
    open_hastily(&k, &joe);
    peer_send(&ann, "{\"message\":\"hello\"}");
    peer_expect_part(&ann, "\"code\":100,");
    peer_expect_part(&ann, "close ");
    peer_expect_part(&joe, "\"code\":100,");
    peer_expect_part(&joe, "close ");
    peer_send_frame(&ann, OPCODE_CLOSE, "\x03\xe8", 2);
    peer_expect(&ann, "end"); /* its close frame was read behind what had waited */
    kit_expect_none(&k, MESSAGE_PUBLISH);
    peer_end(&ann);
    peer_end(&joe);
    kit_end(&k);
}

static void a_session_that_is_held_ends_like_any_other(void **state)
{
    (void)state;
    struct kit k;
    struct peer gone, all[2];

    kit_begin(&k);
    peer_open(&gone, &k, DIALECT_PLAIN, "gone", ROOM);
    open_hastily(&k, &all[0]);
    peer_open(&all[1], &k, DIALECT_PLAIN, "bob", ROOM);
    peer_end(&gone);
    kit_settle(&k);
    assert_int_equal(sessions_drain(k.gateway.sessions, 0, true), 0);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        peer_expect_part(&all[i], "close 3001");
        peer_end(&all[i]);
    }
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_before_the_room_is_entered_waits_and_is_heard),
        cmocka_unit_test(in_a_room_that_is_known_nothing_waits),
        cmocka_unit_test(bytes_that_came_with_the_handshake_come_before_those_in_the_socket),
        cmocka_unit_test(who_cannot_enter_in_time_is_told_and_its_words_are_dropped),
        cmocka_unit_test(a_session_that_is_held_ends_like_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
