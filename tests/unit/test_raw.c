/*
 * test_raw.c: what other programs publish: what can be a record, and its way into the lanes.
 */
#include "gateway/bus/raw.h"

#include "common/mem.h"
#include "common/mq.h"
#include "gateway/bus/lanes.h"
#include "proto/record.h"
#include "tests/unit/gateway_kit.h"

#define MAX_PAYLOAD 100

static struct mq_event delivery(uint64_t tag, const char *room, const char *body)
{
    return (struct mq_event){
        .kind = MQ_DELIVERY, .tag = tag, .key = slice_of(room), .body = slice_of(body)};
}

static void give(struct kit *k, uint64_t tag, const char *room, const char *body)
{
    struct mq_event e = delivery(tag, room, body);
    struct raw *raw;

    assert_int_equal(raw_read(&e, PAYLOAD_MAX, &raw), RAW_GOOD);
    raws_take(k->gateway.raws, raw);
}

/* The payloads of a batch, each followed by a space. */
static const char *payloads(const struct bus_out *batch)
{
    static char text[8192];
    struct slice rest = blob_slice(batch->body);
    struct record r;
    size_t size = 0;

    text[0] = '\0';
    while (record_next(&rest, false, &r) == 0) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%.*s ",
                                 (int)MIN(r.payload.size, 8u), r.payload.at);
        assert_true(size < sizeof(text));
    }
    return text;
}

static void expect_batch(struct kit *k, const char *want)
{
    struct bus_out *batch = kit_take(k, MESSAGE_PUBLISH);

    assert_string_equal(payloads(batch), want);
    kit_result(k, batch, BUS_CONFIRMED);
}

static void a_good_message_becomes_a_record_of_its_account_and_its_key(void **state)
{
    (void)state;
    struct mq_event e = delivery(7, "lobby", " {\"a\":\n [1.10,\"b\\u00e9\"]}\r\n");
    struct raw *raw;

    e.props.message_id = SLICE_LIT("k-1");
    e.props.user_id = SLICE_LIT("back\"end");
    assert_int_equal(raw_read(&e, MAX_PAYLOAD, &raw), RAW_GOOD);
    assert_int_equal(raw->tag, 7);
    assert_true(slice_equal(raw->room, SLICE_LIT("lobby")));
    assert_true(slice_equal(raw->key, SLICE_LIT("k-1")));
    assert_true(slice_equal(raw->user, SLICE_LIT("back\\\"end")));
    assert_true(slice_equal(raw->payload, SLICE_LIT("{\"a\": [1.10,\"b\\u00e9\"]}")));
    mem_free(raw);
}

static void what_can_be_no_record_is_told_by_its_reason(void **state)
{
    (void)state;
    char long_text[USER_MAX + 2], large[MAX_PAYLOAD + 2];

    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    memset(large, '1', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    const struct {
        const char *room, *body, *message_id, *user_id;
        enum raw_fault fault;
    } rows[] = {
        {"", "1", "", "", RAW_BAD_ROOM},
        {"a b", "1", "", "", RAW_BAD_ROOM},
        {"a*", "1", "", "", RAW_BAD_ROOM},
        {"a..b", "1", "", "", RAW_BAD_ROOM},
        {"caf\xc3\xa9", "1", "", "", RAW_BAD_ROOM},
        {long_text, "1", "", "", RAW_BAD_ROOM},
        {"a", "1", "with \"", "", RAW_BAD_MESSAGE_ID},
        {"a", "1", "caf\xc3\xa9", "", RAW_BAD_MESSAGE_ID},
        {"a", "1", long_text, "", RAW_BAD_MESSAGE_ID},
        {"a", "1", "", "\xff", RAW_BAD_USER},
        {"a", "1", "", "a\nb", RAW_BAD_USER},
        {"a", "1", "", long_text, RAW_BAD_USER},
        {"a", large, "", "", RAW_TOO_LARGE},
        {"a", "", "", "", RAW_NO_JSON},
        {"a", "{", "", "", RAW_NO_JSON},
        {"a", "{} {}", "", "", RAW_NO_JSON},
        {"a", "hello", "", "", RAW_NO_JSON},
        {"a", "\xef\xbb\xbf{}", "", "", RAW_NO_JSON},
        {"a", "\"\xff\"", "", "", RAW_NO_JSON},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mq_event e = delivery(1, rows[i].room, rows[i].body);
        struct raw *raw;

        e.props.message_id = slice_of(rows[i].message_id);
        e.props.user_id = slice_of(rows[i].user_id);
        assert_int_equal(raw_read(&e, MAX_PAYLOAD, &raw), rows[i].fault);
    }
    struct mq_event e = delivery(1, "a", "");
    struct raw *raw;
    e.too_large = true;
    assert_int_equal(raw_read(&e, MAX_PAYLOAD, &raw), RAW_TOO_LARGE);
}

static void a_message_is_given_back_only_when_the_broker_confirmed_its_batch(void **state)
{
    (void)state;
    struct kit k;

    kit_begin(&k);
    give(&k, 1, "lobby", "1");
    kit_settle(&k);
    give(&k, 2, "lobby", "2");
    give(&k, 3, "lobby", "3");
    kit_settle(&k);
    struct bus_out *batch = kit_take(&k, MESSAGE_PUBLISH);
    assert_string_equal(payloads(batch), "1 ");
    kit_result(&k, batch, BUS_REFUSED);
    assert_int_equal(k.bus.raw_count, 0);
    expect_batch(&k, "1 ");
    assert_int_equal(k.bus.raw_count, 1);
    expect_batch(&k, "2 3 ");
    assert_int_equal(k.bus.raw_count, 3);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(k.bus.raw_tags[i], i + 1);
    }
    kit_end(&k);
}

static void what_a_lane_has_no_room_for_is_held_in_order_and_others_pass(void **state)
{
    (void)state;
    struct kit k;
    char rooms[2][KIT_ROOM_SIZE], body[60001];
    struct bus_out *batch;
    int next = 1;

    kit_begin(&k);
    kit_room(rooms[0], 0, 0);
    kit_room(rooms[1], 1, 0);
    give(&k, 1, rooms[0], "0");
    kit_settle(&k);
    for (int i = 1; i < 10; i++) {
        snprintf(body, sizeof(body), "%d%059999d", i, 0);
        give(&k, 1 + (uint64_t)i, rooms[0], body);
    }
    give(&k, 100, rooms[1], "7");
    kit_settle(&k);
    assert_int_equal(stat_get(&k.gateway.metrics.raws_held), 6); /* half of the lane is people's */
    batch = kit_take_of(&k, MESSAGE_PUBLISH, 1);
    kit_result(&k, batch, BUS_CONFIRMED);
    assert_int_equal(k.bus.raw_tags[0], 100);
    batch = kit_take_of(&k, MESSAGE_PUBLISH, 0);
    kit_result(&k, batch, BUS_CONFIRMED);
    while (next < 10) {
        batch = kit_take_of(&k, MESSAGE_PUBLISH, 0);
        for (const char *at = payloads(batch); *at != '\0'; at = strchr(at, ' ') + 1, next++) {
            assert_int_equal(*at, '0' + next);
        }
        kit_result(&k, batch, BUS_CONFIRMED);
    }
    assert_int_equal(k.bus.raw_count, 11);
    assert_int_equal(stat_get(&k.gateway.metrics.raws_held), 0);
    assert_int_equal(stat_get(&k.gateway.metrics.publishes_refused_full), 0);
    kit_end(&k);
}

static void people_behind_it_are_refused_when_they_wait_too_long_but_it_is_not(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_init(&k);
    k.conf.publish_wait_ms = 60;
    kit_start(&k);
    peer_connect(&ann, &k, "ann");
    give(&k, 1, "lobby", "1");
    kit_settle(&k);
    give(&k, 2, "lobby", "2");
    kit_settle(&k);
    peer_send(&ann, "{\"id\":5,\"publish\":{\"channel\":\"lobby\",\"data\":\"late\"}}");
    kit_settle(&k);
    give(&k, 3, "lobby", "3");
    peer_expect(&ann, "{\"id\":5,\"error\":{\"code\":100,\"message\":\"internal server error\","
                      "\"temporary\":true}}");
    expect_batch(&k, "1 ");
    expect_batch(&k, "2 3 ");
    assert_int_equal(k.bus.raw_count, 3);
    assert_int_equal(lanes_waiting(k.gateway.lanes), 0);
    peer_end(&ann);
    kit_end(&k);
}

static void what_is_given_up_is_not_acked(void **state)
{
    (void)state;
    struct kit k;

    kit_begin(&k);
    give(&k, 1, "lobby", "1");
    struct bus_out *batch = kit_take(&k, MESSAGE_PUBLISH);
    kit_bus_down(&k);
    kit_result(&k, batch, BUS_LOST);
    kit_skip(LANE_DOUBT_MS + 1);
    kit_tick(&k);
    assert_int_equal(stat_get(&k.gateway.metrics.publishes_given_up), 1);
    assert_int_equal(k.bus.raw_count, 0);
    raws_end(k.gateway.raws); /* and nothing waits for it */
    kit_settle(&k);
    assert_true(k.bus.raw_has_ended);
    kit_end(&k);
}

static void a_gateway_that_ends_finishes_what_the_lanes_have_and_takes_no_more(void **state)
{
    (void)state;
    struct kit k;

    kit_begin(&k);
    give(&k, 1, "lobby", "1");
    kit_settle(&k);
    raws_end(k.gateway.raws);
    give(&k, 2, "lobby", "2");
    kit_settle(&k);
    assert_false(k.bus.raw_has_ended);
    expect_batch(&k, "1 ");
    kit_settle(&k);
    assert_true(k.bus.raw_has_ended);
    kit_expect_none(&k, MESSAGE_PUBLISH);
    assert_int_equal(k.bus.raw_count, 1);
    kit_end(&k);
}

static void what_is_under_way_is_freed_with_the_gateway(void **state)
{
    (void)state;
    struct kit k;

    kit_begin(&k);
    give(&k, 1, "lobby", "1");
    kit_settle(&k);
    give(&k, 2, "lobby", "2");
    kit_settle(&k);
    give(&k, 3, "lobby", "3");
    kit_end(&k);
    assert_int_equal(k.bus.raw_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_message_becomes_a_record_of_its_account_and_its_key),
        cmocka_unit_test(what_can_be_no_record_is_told_by_its_reason),
        cmocka_unit_test(a_message_is_given_back_only_when_the_broker_confirmed_its_batch),
        cmocka_unit_test(what_a_lane_has_no_room_for_is_held_in_order_and_others_pass),
        cmocka_unit_test(people_behind_it_are_refused_when_they_wait_too_long_but_it_is_not),
        cmocka_unit_test(what_is_given_up_is_not_acked),
        cmocka_unit_test(a_gateway_that_ends_finishes_what_the_lanes_have_and_takes_no_more),
        cmocka_unit_test(what_is_under_way_is_freed_with_the_gateway),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
