/* test_partition.c: numbering, appends, acks, poison, checkpoints and leaving. */
#include "tests/unit/partition_kit.h"

#define LANE_A "aaaaaaaaaaaaaaaa"
#define LANE_B "bbbbbbbbbbbbbbbb"

static int start(void **state)
{
    struct kit *k = mem_new(struct kit);

    kit_init(k, 1);
    k->gap_percent = 0;
    *state = k;
    return 0;
}

static const struct letter *last_of_log(const struct kit *k)
{
    assert_true(k->log.count > 0);
    return k->log.at[k->log.count - 1];
}

static void take_all(struct kit *k, struct kit_owner *o)
{
    while (kit_take(k, o)) {
    }
}

static void an_empty_log_gets_a_claim_and_a_marker_and_then_input_is_consumed(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_new(k);

    assert_int_equal(partition_state(o->machine), PARTITION_CLAIMING);
    assert_false(o->is_consuming);
    kit_run(k, o);
    assert_int_equal(partition_state(o->machine), PARTITION_OWNED);
    assert_int_equal(partition_term(o->machine), 1);
    assert_true(o->is_consuming && o->was_announced && !o->is_reading);
    assert_int_equal(k->log.count, 2);
    assert_int_equal(k->log.at[0]->m.type, MESSAGE_CLAIM);
    assert_int_equal(k->log.at[1]->m.type, MESSAGE_TERM);
    assert_true(slice_equal(k->log.at[0]->m.boot, k->log.at[1]->m.boot));
}

static void records_of_a_room_are_numbered_from_one_without_holes(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    for (uint64_t batch = 1; batch <= 20; batch++) {
        letters_add(&k->pipe, kit_batch(k, batch % 2 == 0 ? LANE_A : LANE_B, batch, 3));
        kit_enqueue(k, &k->pipe.at[batch - 1]->m, k->pipe.at[batch - 1]->m.body);
    }
    kit_run(k, o);
    kit_judge(k, true, true);
    assert_int_equal(stat_get(&k->stats.records_in), 60);
    assert_int_equal(partition_backlog(o->machine), 0);
}

static void one_append_flies_and_the_next_one_takes_all_that_waited(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    for (uint64_t batch = 1; batch <= 4; batch++) {
        kit_publish(k, LANE_A, batch, "r0", 2);
    }
    take_all(k, o);
    assert_true(slice_equal(o->flying->m.lanes, SLICE_LIT(LANE_A ":1")));
    assert_int_equal(o->flying->m.records, 2);
    assert_int_equal(partition_backlog(o->machine), 4);
    kit_confirm(k, o);
    assert_true(slice_equal(o->flying->m.lanes, SLICE_LIT(LANE_A ":2 " LANE_A ":3 " LANE_A ":4")));
    assert_int_equal(o->flying->m.records, 6);
    kit_confirm(k, o);
    assert_null(o->flying);
    assert_int_equal(partition_backlog(o->machine), 0);
}

static void input_is_acked_when_its_append_is_confirmed_and_not_before(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish(k, LANE_A, 1, "r0", 1);
    kit_publish(k, LANE_A, 2, "r0", 1);
    take_all(k, o);
    kit_land(k, o);
    assert_int_equal(k->input[0].state, INPUT_HELD);
    kit_confirm(k, o);
    assert_int_equal(k->input[0].state, INPUT_ACKED);
    assert_int_equal(k->input[1].state, INPUT_HELD);
    kit_confirm(k, o);
    assert_int_equal(k->input[1].state, INPUT_ACKED);
}

static void a_duplicate_is_acked_after_all_that_stands_before_it(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish(k, LANE_A, 1, "r0", 1);
    kit_publish(k, LANE_A, 1, "r0", 1); /* of the one in flight */
    kit_publish(k, LANE_A, 2, "r0", 1);
    kit_publish(k, LANE_A, 2, "r0", 1); /* of the one that waits */
    take_all(k, o);
    assert_int_equal(k->input[1].state, INPUT_HELD);
    kit_confirm(k, o);
    assert_int_equal(k->input[1].state, INPUT_ACKED);
    assert_int_equal(k->input[3].state, INPUT_HELD);
    kit_confirm(k, o);
    assert_int_equal(k->input[3].state, INPUT_ACKED);
    kit_publish(k, LANE_A, 1, "r0", 1); /* nothing is before it */
    take_all(k, o);
    assert_null(o->flying);
    assert_int_equal(k->input[4].state, INPUT_ACKED);
    assert_int_equal(stat_get(&k->stats.duplicates_dropped), 3);
    assert_int_equal(partition_backlog(o->machine), 0);
}

static void a_lane_may_skip_numbers_but_not_go_back(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish(k, LANE_A, 7, "r0", 1);
    kit_publish(k, LANE_A, 3, "r0", 1);
    kit_publish(k, LANE_B, 3, "r0", 1);
    kit_run(k, o);
    assert_int_equal(stat_get(&k->stats.records_in), 2);
    assert_int_equal(stat_get(&k->stats.duplicates_dropped), 1);
}

#define GOOD "{\"room\":\"r0\",\"time\":1}\n{}\n"

static void what_cannot_be_understood_dies_as_a_whole_and_uses_no_number(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);
    static const struct {
        const char *body, *reason;
        enum message_type type;
        uint32_t partition;
        uint64_t batch;
    } bad[] = {
        {"", "no records", MESSAGE_PUBLISH, KIT_PARTITION, 1},
        {"x", "bad record", MESSAGE_PUBLISH, KIT_PARTITION, 1},
        {GOOD "x", "bad record", MESSAGE_PUBLISH, KIT_PARTITION, 1},
        {GOOD GOOD "{\"room\":\"r 0\",\"time\":1}\n{}\n", "bad record", MESSAGE_PUBLISH,
         KIT_PARTITION, 1},
        {GOOD "{\"room\":\"r0\",\"time\":1}\n{\n", "bad record", MESSAGE_PUBLISH, KIT_PARTITION, 1},
        {GOOD "{\"room\":\"r0\",\"offset\":4,\"epoch\":\"x\",\"time\":1}\n{}\n", "bad record",
         MESSAGE_PUBLISH, KIT_PARTITION, 1},
        {GOOD, "bad batch", MESSAGE_PUBLISH, KIT_PARTITION, 0},
        {GOOD, "other partition", MESSAGE_PUBLISH, KIT_PARTITION + 1, 1},
        {GOOD, "no publish", MESSAGE_ATTACH, KIT_PARTITION, 1},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const struct message m = {.type = bad[i].type,
                                  .partition = bad[i].partition,
                                  .batch = bad[i].batch,
                                  .gateway = SLICE_LIT("g"),
                                  .boot = SLICE_LIT(LANE_A)};
        kit_enqueue(k, &m, slice_of(bad[i].body));
        assert_true(kit_take(k, o));
        assert_string_equal(o->dead_reason, bad[i].reason);
        assert_null(o->flying);
    }
    assert_int_equal(stat_get(&k->stats.poisoned), ARRAY_LEN(bad));
    assert_int_equal(partition_rooms(o->machine), 0);
    /* The good ones go on, also beside a bad one, from the first number on. */
    kit_publish(k, LANE_A, 1, "r0", 1);
    kit_publish(k, LANE_A, 2, "r0", 1);
    kit_enqueue(k,
                &(struct message){.type = MESSAGE_PUBLISH,
                                  .partition = KIT_PARTITION,
                                  .batch = 3,
                                  .gateway = SLICE_LIT("g"),
                                  .boot = SLICE_LIT(LANE_A)},
                SLICE_LIT(GOOD "x"));
    kit_publish(k, LANE_A, 3, "r0", 1);
    take_all(k, o); /* one flies; the others are to share the next append */
    kit_run(k, o);
    kit_judge(k, true, true);
    assert_int_equal(stat_get(&k->stats.records_in), 3);
}

static void a_room_of_another_partition_is_refused(void **state)
{
    struct kit *k = *state;

    k->conf.partitions = 16;
    struct kit_owner *o = kit_owner_settled(k);
    for (unsigned i = 0; i < KIT_ROOMS; i++) {
        kit_publish(k, LANE_A, i + 1, kit_room(i), 1);
    }
    kit_run(k, o);
    assert_true(stat_get(&k->stats.poisoned) > 0);
    assert_string_equal(o->dead_reason, "room of another partition");
    assert_int_equal(stat_get(&k->stats.poisoned) + stat_get(&k->stats.records_in), KIT_ROOMS);
}

static void a_refused_append_is_sent_again_byte_for_byte_after_a_pause(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);
    int64_t waited = 0;

    kit_publish(k, LANE_A, 1, "r0", 2);
    take_all(k, o);
    const struct letter *first = o->flying;
    kit_nack(k, o);
    kit_publish(k, LANE_A, 2, "r0", 1); /* waits, and is not joined */
    take_all(k, o);
    for (int refusals = 1; refusals < 8; refusals++) {
        assert_null(o->flying);
        while (o->flying == NULL) {
            kit_tick(k, o, 50);
            waited += 50;
        }
        assert_true(slice_equal(o->flying->m.body, first->m.body));
        assert_true(slice_equal(o->flying->m.lanes, first->m.lanes));
        assert_int_equal(o->flying->m.number, first->m.number);
        assert_int_equal(o->flying->m.time_ms, first->m.time_ms);
        kit_nack(k, o);
    }
    assert_in_range(waited, 4000, 8000); /* the pause grows, up to a limit */
    kit_tick(k, o, 3000);
    kit_run(k, o);
    kit_judge(k, true, true);
    assert_int_equal(stat_get(&k->stats.append_retries), 8);
}

static void a_clock_that_is_set_back_makes_no_pause_longer(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish(k, LANE_A, 1, "r0", 1);
    take_all(k, o);
    kit_nack(k, o);
    k->now_ms -= 3600 * 1000;
    kit_tick(k, o, 50);
    assert_non_null(o->flying);
    kit_run(k, o);
    kit_judge(k, true, true);
}

static void an_append_takes_no_further_batch_when_it_is_full(void **state)
{
    struct kit *k = *state;
    const size_t size = 400000;
    char *payload = mem_alloc(size);
    struct buf body = BUF_EMPTY;

    k->conf.checkpoint_bytes = 64 << 20;
    struct kit_owner *o = kit_owner_settled(k);
    memset(payload, 'x', size);
    payload[0] = payload[size - 1] = '"';
    record_encode(&body, &(struct record){.room = SLICE_LIT("big"), .payload = {payload, size}});
    for (uint64_t batch = 1; batch <= 7; batch++) {
        kit_enqueue(k,
                    &(struct message){.type = MESSAGE_PUBLISH,
                                      .partition = KIT_PARTITION,
                                      .batch = batch,
                                      .gateway = SLICE_LIT("g"),
                                      .boot = SLICE_LIT(LANE_A)},
                    buf_slice(&body));
    }
    take_all(k, o);
    static const unsigned expected[] = {1, 3, 3};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_int_equal(o->flying->m.records, expected[i]);
        kit_confirm(k, o);
    }
    assert_null(o->flying);
    buf_deinit(&body);
    mem_free(payload);
}

static void leaving_finishes_what_was_taken_then_writes_a_checkpoint_then_releases(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish(k, LANE_A, 1, "r0", 1);
    kit_publish(k, LANE_A, 2, "r0", 1);
    take_all(k, o);
    kit_leave(k, o);
    assert_int_equal(partition_state(o->machine), PARTITION_LEAVING);
    assert_false(o->is_consuming);
    kit_leave(k, o); /* twice is once */
    kit_confirm(k, o);
    assert_int_equal(o->flying->m.type, MESSAGE_APPEND);
    kit_confirm(k, o);
    assert_int_equal(o->flying->m.type, MESSAGE_CHECKPOINT);
    assert_false(o->is_released);
    assert_int_equal(k->input[1].state, INPUT_ACKED);
    kit_confirm(k, o);
    assert_true(o->is_released);
    assert_int_equal(partition_state(o->machine), PARTITION_GONE);
    assert_int_equal(last_of_log(k)->m.type, MESSAGE_CHECKPOINT);
    kit_judge(k, true, true);
}

static void input_that_arrives_while_leaving_is_finished_too(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish(k, LANE_A, 1, "r0", 1);
    take_all(k, o);
    kit_leave(k, o);
    kit_publish(k, LANE_A, 2, "r0", 1);
    o->is_consuming = true; /* it was on its way already */
    take_all(k, o);
    o->is_consuming = false;
    kit_run(k, o);
    assert_true(o->is_released);
    assert_int_equal(k->input[1].state, INPUT_ACKED);
    assert_int_equal(last_of_log(k)->m.type, MESSAGE_CHECKPOINT);
    kit_run(k, kit_owner_settled(k));
    kit_judge(k, true, true);
}

static void leaving_with_nothing_to_say_waits_for_what_was_delivered(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish(k, LANE_A, 1, "r0", 1);
    take_all(k, o);
    kit_run(k, o);
    kit_leave(k, o);
    assert_int_equal(o->flying->m.type, MESSAGE_CHECKPOINT);
    assert_false(o->is_released);
    kit_publish(k, LANE_A, 2, "r0", 1);
    o->is_consuming = true; /* it was on its way already */
    take_all(k, o);
    o->is_consuming = false;
    kit_run(k, o);
    assert_true(o->is_released);
    assert_int_equal(k->input[1].state, INPUT_ACKED);
    kit_judge(k, true, true);
}

static void leaving_before_it_owns_releases_at_once(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_new(k);

    kit_leave(k, o);
    assert_true(o->is_released);
    kit_confirm(k, o); /* news that come late change nothing */
    kit_tick(k, o, 10000);
    assert_int_equal(partition_state(o->machine), PARTITION_GONE);
    assert_null(o->flying);
}

static void a_checkpoint_tells_what_is_confirmed_and_nothing_that_waits(void **state)
{
    struct kit *k = *state;

    k->conf.checkpoint_bytes = 1000;
    struct kit_owner *o = kit_owner_settled(k);
    for (uint64_t batch = 1; batch <= 30; batch++) {
        kit_publish(k, LANE_A, batch, "r0", 2);
        kit_publish(k, LANE_B, batch, "r1", 1);
        take_all(k, o);
        kit_confirm(k, o);
        take_all(k, o);
    }
    kit_run(k, o);
    assert_true(stat_get(&k->stats.checkpoints) > 3);
    kit_judge(k, true, true); /* looks into every checkpoint */
}

static void a_large_checkpoint_is_written_in_parts_and_read_back(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);
    const uint64_t rooms = 30000;
    struct buf body = BUF_EMPTY;
    char name[32];
    uint64_t parts = 0;

    for (uint64_t i = 0; i < rooms; i++) {
        (void)snprintf(name, sizeof(name), "room-%" PRIu64, i);
        record_encode(&body, &(struct record){.room = slice_of(name), .payload = SLICE_LIT("{}")});
        if (i % 1000 == 999) {
            kit_enqueue(k,
                        &(struct message){.type = MESSAGE_PUBLISH,
                                          .partition = KIT_PARTITION,
                                          .batch = i / 1000 + 1,
                                          .gateway = SLICE_LIT("g"),
                                          .boot = SLICE_LIT(LANE_A)},
                        buf_slice(&body));
            buf_clear(&body);
        }
    }
    buf_deinit(&body);
    kit_run(k, o);
    kit_leave(k, o);
    kit_run(k, o);
    for (size_t i = 0; i < k->log.count; i++) {
        parts += k->log.at[i]->m.type == MESSAGE_CHECKPOINT;
    }
    assert_in_range(parts, 2, 5);
    assert_int_equal(last_of_log(k)->m.batch, 0);
    /* All that stands before it is gone: it alone tells. */
    k->log_first = k->log.count - parts;
    o = kit_owner_settled(k);
    assert_int_equal(partition_rooms(o->machine), rooms);
    kit_publish(k, LANE_A, rooms / 1000, "r0", 1);
    kit_run(k, o);
    assert_int_equal(stat_get(&k->stats.duplicates_dropped), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_log_gets_a_claim_and_a_marker_and_then_input_is_consumed),
        TEST(records_of_a_room_are_numbered_from_one_without_holes),
        TEST(one_append_flies_and_the_next_one_takes_all_that_waited),
        TEST(input_is_acked_when_its_append_is_confirmed_and_not_before),
        TEST(a_duplicate_is_acked_after_all_that_stands_before_it),
        TEST(a_lane_may_skip_numbers_but_not_go_back),
        TEST(what_cannot_be_understood_dies_as_a_whole_and_uses_no_number),
        TEST(a_room_of_another_partition_is_refused),
        TEST(a_refused_append_is_sent_again_byte_for_byte_after_a_pause),
        TEST(a_clock_that_is_set_back_makes_no_pause_longer),
        TEST(an_append_takes_no_further_batch_when_it_is_full),
        TEST(leaving_finishes_what_was_taken_then_writes_a_checkpoint_then_releases),
        TEST(input_that_arrives_while_leaving_is_finished_too),
        TEST(leaving_with_nothing_to_say_waits_for_what_was_delivered),
        TEST(leaving_before_it_owns_releases_at_once),
        TEST(a_checkpoint_tells_what_is_confirmed_and_nothing_that_waits),
        TEST(a_large_checkpoint_is_written_in_parts_and_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
