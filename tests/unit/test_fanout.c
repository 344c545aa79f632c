/*
 * test_fanout.c: records on their way from an owner's message to everybody in their rooms.
 */
#include <sys/socket.h>

#include "proto/record.h"
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"

/* A member of a room that stands at (k1, 5). */
static void begin_in_room(struct kit *k, struct peer *p)
{
    kit_begin(k);
    peer_connect(p, k, "ann");
    peer_send(p, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(k, ROOM, "k1", 5);
    peer_expect(p, "{\"id\":2,\"subscribe\":{\"recoverable\":true,\"positioned\":true,"
                   "\"epoch\":\"k1\",\"offset\":5}}");
}

static void the_answer_to_a_subscribe_comes_before_the_first_record(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    peer_send(&ann, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(&k, ROOM, "k1", 5);
    kit_deliver(&k, ROOM, "k1", 6, 7); /* in the same turn */
    peer_expect_part(&ann, "\"epoch\":\"k1\",\"offset\":5}}");
    peer_expect_records(&ann, ROOM, 6, 7);
    peer_expect_nothing(&ann);
    peer_end(&ann);
    kit_end(&k);
}

static void all_sessions_of_a_dialect_share_one_frame(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob, eve, joe;

    begin_in_room(&k, &ann);
    peer_join(&bob, &k, "bob", ROOM);
    peer_open(&eve, &k, DIALECT_PLAIN, "eve", ROOM);
    peer_open(&joe, &k, DIALECT_PLAIN, "joe", ROOM);
    kit_deliver(&k, ROOM, "k1", 6, 8);
    assert_int_equal(stat_get(&k.gateway.metrics.frames_built), 2);
    assert_int_equal(stat_get(&k.gateway.metrics.deliveries), 4 * 3);
    peer_expect_records(&ann, ROOM, 6, 8);
    peer_expect_records(&bob, ROOM, 6, 8);
    peer_expect_plain(&eve, 6, 8);
    peer_expect_plain(&joe, 6, 8);
    peer_end(&ann);
    peer_end(&bob);
    peer_end(&eve);
    peer_end(&joe);
    kit_end(&k);
}

static void what_was_given_before_is_not_given_again(void **state)
{
    (void)state;
    static const struct {
        uint64_t first, last, new_first, new_last;
    } runs[] = {{4, 5, 0, 0}, {3, 7, 6, 7}, {7, 7, 0, 0}, {1, 7, 0, 0}, {7, 9, 8, 9}};
    struct kit k;
    struct peer ann;

    begin_in_room(&k, &ann);
    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        kit_deliver(&k, ROOM, "k1", runs[i].first, runs[i].last);
        if (runs[i].new_first > 0) {
            peer_expect_records(&ann, ROOM, runs[i].new_first, runs[i].new_last);
        }
        peer_expect_nothing(&ann);
    }
    kit_expect_none(&k, MESSAGE_ATTACH);
    peer_end(&ann);
    kit_end(&k);
}

static void records_of_several_rooms_stay_in_the_order_of_each(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    char rooms[3][KIT_ROOM_SIZE], text[128];
    struct buf body = BUF_EMPTY;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    for (unsigned i = 0; i < 3; i++) {
        kit_room(rooms[i], 0, i);
        snprintf(text, sizeof(text), "{\"id\":2,\"subscribe\":{\"channel\":\"%s\"}}", rooms[i]);
        peer_send(&ann, text);
        snprintf(text, sizeof(text), "{\"room\":\"%s\",\"epoch\":\"k1\",\"offset\":0}\n", rooms[i]);
        buf_add_slice(&body, slice_of(text));
    }
    kit_attach(&k, 0);
    buf_add_char(&body, '\0');
    kit_say(&k, 0, MESSAGE_POSITIONS, body.at);
    for (unsigned i = 0; i < 3; i++) {
        peer_expect_part(&ann, "\"subscribe\":{");
    }
    buf_clear(&body);
    for (uint64_t n = 1; n <= 3; n++) {
        for (unsigned i = 0; i < 3; i++) {
            snprintf(text, sizeof(text), "{\"n\":%" PRIu64 "}", n);
            kit_add_record(&body, rooms[i], "k1", n, text);
        }
    }
    buf_add_char(&body, '\0');
    kit_say(&k, 0, MESSAGE_DELIVER, body.at);
    for (unsigned i = 0; i < 3; i++) {
        peer_expect_records(&ann, rooms[i], 1, 3);
    }
    buf_deinit(&body);
    peer_end(&ann);
    kit_end(&k);
}

static void a_room_that_never_spoke_takes_its_first_epoch(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    peer_send(&ann, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(&k, ROOM, "", 0);
    peer_expect(&ann, "{\"id\":2,\"subscribe\":{\"recoverable\":true,\"positioned\":true}}");
    kit_deliver(&k, ROOM, "k9", 1, 2);
    peer_expect_records(&ann, ROOM, 1, 2);
    kit_expect_none(&k, MESSAGE_ATTACH);
    peer_end(&ann);
    kit_end(&k);
}

static void a_new_epoch_begins_at_one(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    struct buf body = BUF_EMPTY;

    begin_in_room(&k, &ann);
    kit_add_record(&body, ROOM, "k1", 6, "{\"n\":6}");
    kit_add_record(&body, ROOM, "k2", 1, "{\"n\":1}");
    kit_add_record(&body, ROOM, "k2", 2, "{\"n\":2}");
    buf_add_char(&body, '\0');
    kit_say(&k, kit_partition(ROOM), MESSAGE_DELIVER, body.at);
    peer_expect_records(&ann, ROOM, 6, 6);
    peer_expect_records(&ann, ROOM, 1, 2);
    kit_deliver(&k, ROOM, "k2", 3, 3);
    peer_expect_records(&ann, ROOM, 3, 3);
    kit_expect_none(&k, MESSAGE_ATTACH);
    kit_deliver(&k, ROOM, "k3", 4, 4); /* anything else is a hole */
    peer_expect_nothing(&ann);
    assert_int_equal(kit_count(&k, MESSAGE_ATTACH), 0); /* not yet: attaches are paced */
    kit_attach(&k, kit_partition(ROOM));
    buf_deinit(&body);
    peer_end(&ann);
    kit_end(&k);
}

static void what_stands_before_a_hole_or_bad_record_is_delivered(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    struct buf body = BUF_EMPTY;

    begin_in_room(&k, &ann);
    kit_add_record(&body, ROOM, "k1", 6, "{\"n\":6}");
    buf_add_slice(&body, SLICE_LIT("no record\nat all\n"));
    buf_add_char(&body, '\0');
    kit_say(&k, kit_partition(ROOM), MESSAGE_DELIVER, body.at);
    peer_expect_records(&ann, ROOM, 6, 6);
    assert_int_equal(stat_get(&k.gateway.metrics.poisoned), 1);
    buf_clear(&body);
    kit_add_record(&body, ROOM, "k1", 7, "{\"n\":7}");
    kit_add_record(&body, ROOM, "k1", 9, "{\"n\":9}");
    buf_add_char(&body, '\0');
    kit_say(&k, kit_partition(ROOM), MESSAGE_DELIVER, body.at);
    peer_expect_records(&ann, ROOM, 7, 7);
    kit_attach(&k, kit_partition(ROOM));
    buf_deinit(&body);
    peer_end(&ann);
    kit_end(&k);
}

static void records_may_say_any_time(void **state)
{
    (void)state;
    static const int64_t times[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    struct kit k;
    struct peer ann;
    struct buf body = BUF_EMPTY;

    begin_in_room(&k, &ann);
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        buf_clear(&body);
        record_encode(&body, &(struct record){
                                 .room = SLICE_LIT(ROOM),
                                 .offset = 6 + i,
                                 .epoch = SLICE_LIT("k1"),
                                 .time = times[i],
                                 .payload = SLICE_LIT("1"),
                             });
        buf_add_char(&body, '\0');
        kit_say(&k, kit_partition(ROOM), MESSAGE_DELIVER, body.at);
        peer_expect_part(&ann, "{\"push\":{\"channel\":\"" ROOM "\",\"pub\":{\"data\":1,");
    }
    buf_deinit(&body);
    peer_end(&ann);
    kit_end(&k);
}

/* The socket takes next to nothing, and the peer never reads. */
static void make_slow(struct peer *p)
{
    int fd = peer_session(p)->io.fd;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int)), 0);
}

/* Passes over what comes before. */
static void expect_slow(struct peer *p)
{
    const char *got;

    do {
        got = peer_next(p);
    } while (strncmp(got, "close", 5) != 0 && strcmp(got, "end") != 0);
    assert_string_equal(got, "close 3008 slow");
}

static void deliver_big(struct kit *k, const char *room, uint64_t first, size_t count, size_t size)
{
    struct buf body = BUF_EMPTY;
    struct buf payload = BUF_EMPTY;

    buf_addf(&payload, "\"%0*d\"", (int)size, 0);
    buf_add_char(&payload, '\0');
    for (size_t i = 0; i < count; i++) {
        kit_add_record(&body, room, "k1", first + i, payload.at);
    }
    buf_add_char(&body, '\0');
    kit_say(k, kit_partition(room), MESSAGE_DELIVER, body.at);
    buf_deinit(&payload);
    buf_deinit(&body);
}

static void a_slow_session_that_ends_in_the_fan_out_harms_nobody(void **state)
{
    (void)state;
    enum { PEERS = 5 };
    static const char *const rooms[] = {ROOM};
    struct peer peers[PEERS];
    struct kit k;

    for (size_t slow = 0; slow < PEERS; slow++) {
        kit_begin(&k);
        k.conf.out_queue = 20000;
        for (size_t i = 0; i < PEERS; i++) {
            peer_connect(&peers[i], &k, "ann");
            peer_send(&peers[i], "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
        }
        kit_position(&k, rooms[0], "k1", 5);
        for (size_t i = 0; i < PEERS; i++) {
            peer_expect_part(&peers[i], "\"subscribe\"");
        }
        make_slow(&peers[slow]);
        for (uint64_t n = 6; n < 26; n++) {
            deliver_big(&k, ROOM, n, 1, 3000);
            for (size_t i = 0; i < PEERS; i++) {
                char part[32];

                snprintf(part, sizeof(part), "\"offset\":%" PRIu64 "}", n);
                if (i != slow) {
                    peer_expect_part(&peers[i], part);
                }
            }
        }
        assert_int_equal(stat_get(&k.gateway.metrics.closed[CLOSE_SLOW]), 0); /* is closing */
        assert_int_equal(stat_get(&k.gateway.metrics.subscriptions), PEERS - 1);
        assert_int_equal(peer_session(&peers[slow])->reason, CLOSE_SLOW);
        expect_slow(&peers[slow]);
        for (size_t i = 0; i < PEERS; i++) {
            peer_end(&peers[i]);
        }
        kit_end(&k);
    }
}

static void a_slow_session_may_be_the_last_one_of_a_room_that_comes_later(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;
    char rooms[3][KIT_ROOM_SIZE], text[128];
    struct buf body = BUF_EMPTY;

    kit_begin(&k);
    k.conf.out_queue = 20000;
    peer_connect(&ann, &k, "ann");
    peer_connect(&bob, &k, "bob");
    for (unsigned i = 0; i < 3; i++) { /* ann is alone in the last two */
        kit_room(rooms[i], 0, i);
        buf_addf(&body, "{\"room\":\"%s\",\"epoch\":\"k1\",\"offset\":5}\n", rooms[i]);
        snprintf(text, sizeof(text), "{\"id\":2,\"subscribe\":{\"channel\":\"%s\"}}", rooms[i]);
        peer_send(&ann, text);
        if (i == 0) {
            peer_send(&bob, text);
        }
    }
    kit_attach(&k, 0);
    buf_add_char(&body, '\0');
    kit_say(&k, 0, MESSAGE_POSITIONS, body.at);
    for (unsigned i = 0; i < 3; i++) {
        peer_expect_part(&ann, "\"subscribe\"");
    }
    peer_expect_part(&bob, "\"subscribe\"");
    make_slow(&ann);
    deliver_big(&k, rooms[0], 6, 1, 15000);
    peer_expect_part(&bob, "\"offset\":6}");
    buf_clear(&body);
    struct buf big = BUF_EMPTY;
    buf_addf(&big, "\"%015000d\"", 0);
    buf_add_char(&big, '\0');
    kit_add_record(&body, rooms[0], "k1", 7, big.at);
    kit_add_record(&body, rooms[1], "k1", 6, "1");
    kit_add_record(&body, rooms[2], "k1", 6, "1");
    buf_add_char(&body, '\0');
    kit_say(&k, 0, MESSAGE_DELIVER, body.at);
    peer_expect_part(&bob, "\"offset\":7}");
    assert_int_equal(peer_session(&ann)->reason, CLOSE_SLOW);
    assert_int_equal(rooms_count(k.gateway.rooms), 1);
    kit_expect_none(&k, MESSAGE_ATTACH);
    buf_deinit(&big);
    buf_deinit(&body);
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static void a_room_may_lose_everybody_in_one_fan_out(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;

    kit_begin(&k);
    k.conf.out_queue = 20000;
    peer_connect(&ann, &k, "ann");
    peer_send(&ann, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(&k, ROOM, "k1", 5);
    peer_expect_part(&ann, "\"subscribe\"");
    peer_join(&bob, &k, "bob", ROOM);
    make_slow(&ann);
    make_slow(&bob);
    deliver_big(&k, ROOM, 6, 1, 15000);
    deliver_big(&k, ROOM, 7, 1, 15000);
    assert_int_equal(rooms_count(k.gateway.rooms), 0);
    deliver_big(&k, ROOM, 8, 1, 15000);
    kit_settle(&k);
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static void a_burst_above_the_out_queue_ends_nobody_who_reads(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    size_t documents = 0, frames = 0;

    begin_in_room(&k, &ann);
    k.conf.out_queue = 90000;
    deliver_big(&k, ROOM, 6, 8, 10000);
    deliver_big(&k, ROOM, 14, 1, 10000); /* in the same turn */
    while (documents < 9) {
        const char *text = peer_next(&ann);

        frames++;
        assert_true(strlen(text) < 65536 + 2 * 10000);
        for (; (text = strstr(text, "\"offset\":")) != NULL; text++) {
            documents++;
        }
    }
    assert_int_equal(frames, 3);
    assert_true(session_is_open(peer_session(&ann)));
    peer_end(&ann);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_to_a_subscribe_comes_before_the_first_record),
        cmocka_unit_test(all_sessions_of_a_dialect_share_one_frame),
        cmocka_unit_test(what_was_given_before_is_not_given_again),
        cmocka_unit_test(records_of_several_rooms_stay_in_the_order_of_each),
        cmocka_unit_test(a_room_that_never_spoke_takes_its_first_epoch),
        cmocka_unit_test(a_new_epoch_begins_at_one),
        cmocka_unit_test(what_stands_before_a_hole_or_bad_record_is_delivered),
        cmocka_unit_test(records_may_say_any_time),
        cmocka_unit_test(a_slow_session_that_ends_in_the_fan_out_harms_nobody),
        cmocka_unit_test(a_slow_session_may_be_the_last_one_of_a_room_that_comes_later),
        cmocka_unit_test(a_room_may_lose_everybody_in_one_fan_out),
        cmocka_unit_test(a_burst_above_the_out_queue_ends_nobody_who_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
