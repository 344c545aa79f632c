/*
 * test_lanes.c: what sessions publish on its way to the broker, and what they are told of it.
 */
#include "gateway/bus/lanes.h"
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"

static void publish(struct peer *p, uint32_t id, const char *room, int n)
{
    char command[256];

    snprintf(command, sizeof(command),
             "{\"id\":%" PRIu32 ",\"publish\":{\"channel\":\"%s\",\"data\":%d}}", id, room, n);
    peer_send(p, command);
    kit_settle(p->kit);
}

static void expect_published(struct peer *p, uint32_t id)
{
    char want[64];

    snprintf(want, sizeof(want), "{\"id\":%" PRIu32 ",\"publish\":{}}", id);
    peer_expect(p, want);
}

static void expect_refused(struct peer *p, uint32_t id)
{
    char want[128];

    snprintf(want, sizeof(want),
             "{\"id\":%" PRIu32 ",\"error\":{\"code\":100,\"message\":\"internal server error\","
             "\"temporary\":true}}",
             id);
    peer_expect(p, want);
}

/* The payloads of a batch, each followed by a space. */
static const char *payloads(const struct bus_out *batch)
{
    static char text[4096];
    struct slice rest = blob_slice(batch->body);
    struct record r;
    size_t count = 0, size = 0;

    text[0] = '\0';
    while (record_next(&rest, false, &r) == 0) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%.*s ", SLICE_ARG(r.payload));
        assert_true(size < sizeof(text));
        count++;
    }
    assert_int_equal(rest.size, 0);
    assert_int_equal(batch->message.records, count);
    return text;
}

static void expect_batch(struct kit *k, uint64_t number, const char *want)
{
    struct bus_out *batch = kit_take(k, MESSAGE_PUBLISH);

    assert_int_equal(batch->target, BUS_TO_INPUT);
    assert_int_equal(batch->message.batch, number);
    assert_string_equal(payloads(batch), want);
    kit_result(k, batch, BUS_CONFIRMED);
}

static void an_idle_lane_sends_at_once_and_answers_only_when_the_broker_confirmed(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    publish(&ann, 5, ROOM, 1);
    struct bus_out *batch = kit_take(&k, MESSAGE_PUBLISH);
    struct slice body = blob_slice(batch->body);
    struct record r;
    assert_int_equal(record_next(&body, false, &r), 0);
    assert_true(slice_equal(r.room, slice_of(ROOM)));
    assert_true(slice_equal(r.user, SLICE_LIT("ann")));
    assert_true(slice_equal(r.client, slice_of(peer_session(&ann)->client)));
    assert_true(slice_equal(r.info, SLICE_LIT("{\"name\":\"ann\",\"gateway\":\"g1\"}")));
    assert_int_equal(batch->message.partition, kit_partition(ROOM));
    assert_int_equal(batch->message.batch, 1);
    assert_true(slice_equal(batch->message.boot, slice_of(k.gateway.boot)));
    assert_int_equal(lanes_waiting(k.gateway.lanes), 1);
    peer_expect_nothing(&ann);
    kit_result(&k, batch, BUS_CONFIRMED);
    expect_published(&ann, 5);
    assert_int_equal(lanes_waiting(k.gateway.lanes), 0);
    peer_end(&ann);
    kit_end(&k);
}

static void one_batch_is_in_doubt_and_the_next_one_fills_behind_it(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    for (uint32_t i = 1; i <= 4; i++) {
        publish(&ann, i, ROOM, (int)i);
    }
    assert_int_equal(kit_count(&k, MESSAGE_PUBLISH), 1);
    expect_batch(&k, 1, "1 ");
    expect_published(&ann, 1);
    expect_batch(&k, 2, "2 3 4 ");
    expect_published(&ann, 2);
    expect_published(&ann, 3);
    expect_published(&ann, 4);
    kit_expect_none(&k, MESSAGE_PUBLISH);
    peer_end(&ann);
    kit_end(&k);
}

static void partitions_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    char rooms[KIT_PARTITIONS][KIT_ROOM_SIZE];

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    for (uint32_t p = 0; p < KIT_PARTITIONS; p++) {
        kit_room(rooms[p], p, 0);
        publish(&ann, p + 1, rooms[p], 0);
        publish(&ann, p + 11, rooms[p], 0);
    }
    assert_int_equal(kit_count(&k, MESSAGE_PUBLISH), KIT_PARTITIONS);
    for (uint32_t p = KIT_PARTITIONS; p-- > 0;) {
        struct bus_out *batch = kit_take_of(&k, MESSAGE_PUBLISH, p);

        assert_int_equal(batch->message.batch, 1);
        kit_result(&k, batch, BUS_CONFIRMED);
        expect_published(&ann, p + 1);
    }
    peer_end(&ann);
    kit_end(&k);
}

static void a_batch_that_was_refused_or_lost_is_sent_again_byte_for_byte(void **state)
{
    (void)state;
    static const enum bus_result results[] = {BUS_REFUSED, BUS_LOST, BUS_LOST, BUS_REFUSED};
    struct kit k;
    struct peer ann;
    struct bus_out *batch;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    publish(&ann, 1, ROOM, 1);
    batch = kit_take(&k, MESSAGE_PUBLISH);
    struct blob *first = blob_copy(batch->body->bytes, batch->body->size);
    for (size_t i = 0; i < ARRAY_LEN(results); i++) {
        kit_result(&k, batch, results[i]);
        publish(&ann, 2 + (uint32_t)i, ROOM, 2); /* must not get into it */
        batch = kit_take(&k, MESSAGE_PUBLISH);
        assert_int_equal(batch->message.batch, 1);
        assert_int_equal(batch->message.records, 1);
        assert_true(slice_equal(blob_slice(batch->body), blob_slice(first)));
        peer_expect_nothing(&ann);
    }
    kit_result(&k, batch, BUS_CONFIRMED);
    expect_published(&ann, 1);
    expect_batch(&k, 2, "2 2 2 2 ");
    blob_unref(first);
    peer_end(&ann);
    kit_end(&k);
}

static void a_lost_batch_waits_for_the_connection(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    publish(&ann, 1, ROOM, 1);
    struct bus_out *batch = kit_take(&k, MESSAGE_PUBLISH);
    kit_bus_down(&k);
    kit_result(&k, batch, BUS_LOST);
    publish(&ann, 2, ROOM, 2);
    kit_tick(&k);
    kit_expect_none(&k, MESSAGE_PUBLISH);
    kit_bus_up(&k);
    expect_batch(&k, 1, "1 ");
    expect_batch(&k, 2, "2 ");
    expect_published(&ann, 1);
    expect_published(&ann, 2);
    peer_end(&ann);
    kit_end(&k);
}

static void a_batch_is_in_doubt_for_half_a_day_at_most_and_then_has_no_answer(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    publish(&ann, 1, ROOM, 1);
    struct bus_out *batch = kit_take(&k, MESSAGE_PUBLISH);
    kit_skip(LANE_DOUBT_MS + 1000);
    kit_tick(&k); /* the bus may still bring the answer */
    assert_int_equal(lanes_waiting(k.gateway.lanes), 1);
    kit_result(&k, batch, BUS_CONFIRMED);
    expect_published(&ann, 1);
    publish(&ann, 2, ROOM, 2);
    batch = kit_take(&k, MESSAGE_PUBLISH);
    kit_bus_down(&k);
    kit_result(&k, batch, BUS_LOST);
    kit_skip(LANE_DOUBT_MS - 1000);
    kit_tick(&k);
    assert_int_equal(lanes_waiting(k.gateway.lanes), 1);
    kit_skip(2000);
    kit_tick(&k);
    assert_int_equal(lanes_waiting(k.gateway.lanes), 0);
    assert_int_equal(stat_get(&k.gateway.metrics.publishes_given_up), 1);
    assert_int_equal(peer_session(&ann)->unanswered, 0);
    kit_bus_up(&k);
    kit_tick(&k);
    kit_expect_none(&k, MESSAGE_PUBLISH);
    peer_expect_nothing(&ann);
    publish(&ann, 3, ROOM, 3);
    expect_batch(&k, 3, "3 ");
    expect_published(&ann, 3);
    peer_end(&ann);
    kit_end(&k);
}

static void what_waits_too_long_is_refused_but_the_batch_in_doubt_never(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_init(&k);
    k.conf.publish_wait_ms = 200;
    kit_start(&k);
    peer_connect(&ann, &k, "ann");
    publish(&ann, 1, ROOM, 1);
    publish(&ann, 2, ROOM, 2);
    publish(&ann, 3, ROOM, 3);
    expect_refused(&ann, 2);
    expect_refused(&ann, 3);
    publish(&ann, 4, ROOM, 4);
    assert_int_equal(lanes_waiting(k.gateway.lanes), 2);
    expect_batch(&k, 1, "1 ");
    expect_published(&ann, 1);
    expect_batch(&k, 2, "4 ");
    expect_published(&ann, 4);
    peer_end(&ann);
    kit_end(&k);
}

static void without_a_connection_publishes_are_refused_after_the_wait(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_init(&k);
    k.conf.publish_wait_ms = 60;
    kit_start(&k);
    kit_bus_down(&k);
    peer_connect(&ann, &k, "ann");
    publish(&ann, 1, ROOM, 1);
    expect_refused(&ann, 1);
    kit_bus_up(&k);
    kit_expect_none(&k, MESSAGE_PUBLISH);
    assert_int_equal(lanes_waiting(k.gateway.lanes), 0);
    peer_end(&ann);
    kit_end(&k);
}

static void a_full_lane_refuses_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    struct buf big = BUF_EMPTY;
    uint32_t id = 2, kept = 0;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    publish(&ann, 1, ROOM, 1);
    for (; stat_get(&k.gateway.metrics.publishes_refused_full) == 0; id++) {
        buf_clear(&big);
        buf_addf(&big,
                 "{\"id\":%" PRIu32 ",\"publish\":{\"channel\":\"%s\",\"data\":\"%060000d\"}}", id,
                 ROOM, 0);
        buf_add_char(&big, '\0');
        peer_send(&ann, big.at);
        kit_settle(&k);
    }
    expect_refused(&ann, id - 1);
    kept = id - 3;
    assert_int_equal(kept, BATCH_BYTES_MAX / 60000 + 1);
    expect_batch(&k, 1, "1 ");
    expect_published(&ann, 1);
    struct bus_out *batch = kit_take(&k, MESSAGE_PUBLISH);
    assert_int_equal(batch->message.records, kept);
    kit_result(&k, batch, BUS_CONFIRMED);
    for (uint32_t i = 0; i < kept; i++) {
        expect_published(&ann, 2 + i);
    }
    publish(&ann, id, ROOM, 7);
    expect_batch(&k, 3, "7 ");
    buf_deinit(&big);
    peer_end(&ann);
    kit_end(&k);
}

static void a_full_bus_is_tried_again(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    k.bus.is_full = true;
    publish(&ann, 1, ROOM, 1);
    kit_expect_none(&k, MESSAGE_PUBLISH);
    publish(&ann, 2, ROOM, 2);
    k.bus.is_full = false;
    expect_batch(&k, 1, "1 ");
    expect_batch(&k, 2, "2 ");
    peer_end(&ann);
    kit_end(&k);
}

static void a_publisher_that_has_gone_is_not_told(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;

    kit_init(&k);
    k.conf.publish_wait_ms = 60;
    kit_start(&k);
    peer_connect(&ann, &k, "ann");
    publish(&ann, 1, ROOM, 1); /* in doubt */
    publish(&ann, 2, ROOM, 2); /* waits, and is refused */
    peer_end(&ann);
    KIT_UNTIL(&k, peer_session(&ann) == NULL);
    peer_connect(&bob, &k, "bob"); /* has taken the slot */
    KIT_UNTIL(&k, stat_get(&k.gateway.metrics.publishes_refused_late) == 1);
    expect_batch(&k, 1, "1 ");
    peer_expect_nothing(&bob);
    peer_end(&bob);
    kit_end(&k);
}

static void the_plain_dialect_is_told_of_failures_only(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_init(&k);
    k.conf.publish_wait_ms = 60;
    kit_start(&k);
    peer_open(&ann, &k, DIALECT_PLAIN, "ann", ROOM);
    kit_position(&k, ROOM, "k1", 5);
    peer_send(&ann, " {\"username\":\"eve\",\"message\":\"hello\"}\n");
    struct bus_out *batch = kit_take(&k, MESSAGE_PUBLISH);
    assert_string_equal(payloads(batch), "{\"username\":\"ann\",\"message\":\"hello\"} ");
    peer_send(&ann, "{\"message\":\"late\"}");
    peer_expect(&ann, "{\"error\":{\"code\":100,\"message\":\"internal server error\","
                      "\"temporary\":true}}");
    kit_result(&k, batch, BUS_CONFIRMED);
    peer_expect_nothing(&ann);
    peer_end(&ann);
    kit_end(&k);
}

static void whatever_the_broker_does_the_order_of_a_session_is_kept(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    int next = 0, published = 0;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    for (unsigned turn = 0; next < 60; turn++) {
        for (unsigned i = 0; i < turn % 4 && published < 60; i++, published++) {
            publish(&ann, (uint32_t)published + 1, ROOM, published);
        }
        struct bus_out *batch = kit_count(&k, MESSAGE_PUBLISH) > 0 || published == 60
                                    ? kit_take(&k, MESSAGE_PUBLISH)
                                    : NULL;
        if (batch == NULL) {
            continue;
        }
        if (turn % 5 == 3) {
            kit_result(&k, batch, BUS_LOST);
            continue;
        }
        struct slice rest = blob_slice(batch->body);
        struct record r;
        while (record_next(&rest, false, &r) == 0) {
            char want[16];

            snprintf(want, sizeof(want), "%d", next++);
            assert_true(slice_equal(r.payload, slice_of(want)));
        }
        kit_result(&k, batch, BUS_CONFIRMED);
    }
    for (uint32_t id = 1; id <= 60; id++) {
        expect_published(&ann, id);
    }
    kit_expect_none(&k, MESSAGE_PUBLISH);
    peer_end(&ann);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_lane_sends_at_once_and_answers_only_when_the_broker_confirmed),
        cmocka_unit_test(one_batch_is_in_doubt_and_the_next_one_fills_behind_it),
        cmocka_unit_test(partitions_do_not_wait_for_each_other),
        cmocka_unit_test(a_batch_that_was_refused_or_lost_is_sent_again_byte_for_byte),
        cmocka_unit_test(a_lost_batch_waits_for_the_connection),
        cmocka_unit_test(a_batch_is_in_doubt_for_half_a_day_at_most_and_then_has_no_answer),
        cmocka_unit_test(what_waits_too_long_is_refused_but_the_batch_in_doubt_never),
        cmocka_unit_test(without_a_connection_publishes_are_refused_after_the_wait),
        cmocka_unit_test(a_full_lane_refuses_and_keeps_what_it_has),
        cmocka_unit_test(a_full_bus_is_tried_again),
        cmocka_unit_test(a_publisher_that_has_gone_is_not_told),
        cmocka_unit_test(the_plain_dialect_is_told_of_failures_only),
        cmocka_unit_test(whatever_the_broker_does_the_order_of_a_session_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
