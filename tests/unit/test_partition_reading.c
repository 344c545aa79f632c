/* test_partition_reading.c: finding the end of a log, and logs that are cut or dirty. */
#include "tests/unit/partition_kit.h"

#define LANE_A KIT_LANE
#define LANE_B "bbbbbbbbbbbbbbbb"

static void reading_is_bounded_however_long_the_log_is(void **state)
{
    struct kit *k = *state;
    char epoch[2][EPOCH_MAX + 1];

    k->gap_percent = 0; /* the hint is then no less than exact */
    k->conf.checkpoint_bytes = 8000;
    struct kit_owner *o = kit_owner_settled(k);
    kit_publish(k, LANE_B, 1, "r5", 1); /* only checkpoints know of it later */
    kit_run(k, o);
    assert_int_equal(kit_last_offset(k, epoch[0]), 1);
    kit_publish_many(k, o, 1, 1000);
    for (int i = 0; i < 20; i++) { /* many owners that do next to nothing */
        kit_leave(k, o);
        kit_run(k, o);
        o = kit_owner_settled(k);
    }
    kit_kill(k, o);
    assert_true(k->log.count > 1000);
    o = kit_owner_new(k);
    size_t reads = 0;
    while (kit_confirm(k, o) || kit_read(k, o)) {
        reads++;
    }
    assert_int_equal(partition_state(o->machine), PARTITION_OWNED);
    assert_in_range(reads, 20, 300);
    /* Enough of it that who was away for a while can continue. */
    assert_true(stat_get(&k->stats.history_memory) > 0);
    kit_publish_many(k, o, 1001, 1001);
    kit_publish(k, LANE_B, 1, "r5", 1);
    kit_publish(k, LANE_B, 2, "r5", 1);
    kit_run(k, o);
    assert_int_equal(kit_last_offset(k, epoch[1]), 2);
    assert_string_equal(epoch[0], epoch[1]);
    for (size_t i = 0; i < k->log.count; i++) {
        uint64_t hint = k->log.at[i]->m.checkpoint;
        assert_true(hint == 0 || (hint < i && k->log.at[hint]->m.type == MESSAGE_CHECKPOINT));
    }
    kit_judge(k, true, true);
}

static void the_end_is_found_behind_any_number_of_claims(void **state)
{
    struct kit *k = *state;

    k->conf.checkpoint_bytes = 4000;
    struct kit_owner *o = kit_owner_settled(k);
    kit_publish_many(k, o, 1, 500);
    kit_kill(k, o);
    for (int i = 0; i < 300; i++) { /* broadcasters that died young */
        o = kit_owner_new(k);
        kit_land(k, o);
        kit_kill(k, o);
    }
    o = kit_owner_settled(k);
    kit_publish_many(k, o, 501, 501);
    char epoch[EPOCH_MAX + 1];
    assert_int_equal(kit_last_offset(k, epoch), 501);
    assert_true(stat_get(&k->stats.replayed_records) < 400);
    kit_judge(k, true, true);
}

static void a_search_that_finds_nothing_reads_from_the_beginning(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish_many(k, o, 1, 3);
    kit_kill(k, o);
    o = kit_owner_new(k);
    kit_confirm(k, o);
    o->is_reading = false; /* the log's consumer brings nothing */
    kit_tick(k, o, 6000);
    assert_true(o->is_reading);
    kit_run(k, o);
    kit_publish_many(k, o, 4, 4);
    kit_judge(k, true, true);
}

static void rooms_whose_records_were_all_cut_off_begin_a_new_epoch(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);
    char before[EPOCH_MAX + 1], after[EPOCH_MAX + 1];

    kit_publish_many(k, o, 1, 5);
    assert_int_equal(kit_last_offset(k, before), 5);
    kit_publish(k, LANE_B, 1, "r1", 1);
    kit_run(k, o);
    kit_kill(k, o);
    k->log_first = k->log.count - 1; /* what is left: the record in r1 */
    o = kit_owner_settled(k);
    kit_publish_many(k, o, 6, 6);
    assert_int_equal(kit_last_offset(k, after), 1);
    assert_string_not_equal(before, after);
    kit_publish(k, LANE_B, 2, "r1", 1);
    kit_run(k, o);
    assert_int_equal(kit_last_offset(k, after), 2); /* and this one continues */
}

static void void_records_at_the_cut_end_of_a_log_are_found_out(void **state)
{
    struct kit *k = *state;
    struct kit_owner *old = kit_owner_settled(k);
    char epoch[EPOCH_MAX + 1];

    kit_publish_many(k, old, 1, 3);
    kit_publish(k, LANE_B, 1, "r0", 1);
    kit_take(k, old);
    kit_cut(k, old);
    struct kit_owner *o = kit_owner_new(k);
    while (partition_state(o->machine) != PARTITION_OWNED) {
        assert_true(kit_read(k, o) || kit_confirm(k, o));
    }
    size_t first = k->log.count;
    kit_land(k, old); /* LANE_B:1, void */
    kit_run(k, o);    /* LANE_B:1 under the new term, at the same offset */
    kit_publish_many(k, o, 4, 5);
    assert_int_equal(kit_last_offset(k, epoch), 6);
    kit_kill(k, old);
    kit_kill(k, o);
    k->log_first = first; /* markers and all are cut off: the first thing there is void */
    o = kit_owner_settled(k);
    kit_publish_many(k, o, 6, 6);
    assert_int_equal(kit_last_offset(k, epoch), 7);
    kit_judge(k, true, true);
}

static void a_reader_that_was_misled_by_a_void_message_begins_anew(void **state)
{
    static const char *const bodies[] = {
        "{\"room\":\"r0\",\"offset\":1,\"epoch\":\"e\",\"time\":1}\n"
        "\"aaaaaaaaaaaaaaaa:1:0:1\"\n",
        "{\"room\":\"r0\",\"offset\":2,\"epoch\":\"e\",\"time\":1}\n"
        "\"aaaaaaaaaaaaaaaa:2:0:1\"\n",
        "{\"room\":\"r0\",\"offset\":2,\"epoch\":\"e\",\"time\":1}\n"
        "\"bbbbbbbbbbbbbbbb:1:0:1\"\n",
    };
    struct kit *k = *state;
    uint32_t has = HAS_CHECKPOINT;

    k->gap_percent = 0;
    kit_land_message(
        k, &(struct message){.type = MESSAGE_TERM, .term = 1, .boot = SLICE_LIT(LANE_A)}, "");
    kit_land_message(
        k, &(struct message){.type = MESSAGE_APPEND, .term = 1, .lanes = SLICE_LIT(LANE_A ":1")},
        bodies[0]);
    kit_land_message(
        k, &(struct message){.type = MESSAGE_TERM, .term = 2, .boot = SLICE_LIT(LANE_B)}, "");
    kit_land_message(k,
                     &(struct message){.type = MESSAGE_APPEND,
                                       .term = 1,
                                       .lanes = SLICE_LIT(LANE_A ":2"),
                                       .has = has,
                                       .checkpoint = 3},
                     bodies[1]);
    kit_land_message(
        k,
        &(struct message){
            .type = MESSAGE_APPEND, .term = 2, .lanes = SLICE_LIT(LANE_B ":1"), .has = has},
        bodies[2]);
    struct kit_owner *o = kit_owner_new(k);
    kit_confirm(k, o);
    o->read_at = 3; /* the last chunk begins with the void one */
    kit_run(k, o);
    assert_int_equal(partition_term(o->machine), 3);
    kit_publish(k, LANE_A, 1, "r0", 1); /* known, though not to who begins at 3 */
    kit_publish(k, LANE_A, 2, "r0", 1); /* new */
    kit_run(k, o);
    assert_int_equal(stat_get(&k->stats.duplicates_dropped), 1);
    kit_judge(k, true, true);
}

static void a_numbered_record_that_was_there_before_is_void(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);
    char epoch[EPOCH_MAX + 1];

    kit_publish_many(k, o, 1, 4);
    (void)kit_last_offset(k, epoch);
    kit_kill(k, o);
    struct buf body = BUF_EMPTY;
    record_encode(&body, &(struct record){.room = SLICE_LIT("r0"),
                                          .offset = 2,
                                          .epoch = slice_of(epoch),
                                          .payload = SLICE_LIT("{}")});
    buf_add_char(&body, '\0');
    kit_land_message(
        k, &(struct message){.type = MESSAGE_APPEND, .term = 1, .lanes = SLICE_LIT(LANE_B ":1")},
        body.at);
    buf_deinit(&body);
    o = kit_owner_settled(k);
    assert_int_equal(stat_get(&k->stats.void_records), 1);
    kit_publish_many(k, o, 5, 5);
    assert_int_equal(kit_last_offset(k, epoch), 5);
}

static void a_hole_in_a_room_is_never_shown_as_if_it_were_none(void **state)
{
    struct kit *k = *state;
    struct kit_gateway *g = kit_gateway_start(k, 0);

    kit_land_message(
        k, &(struct message){.type = MESSAGE_TERM, .term = 1, .boot = SLICE_LIT(LANE_A)}, "");
    kit_land_message(
        k, &(struct message){.type = MESSAGE_APPEND, .term = 1, .lanes = SLICE_LIT(LANE_A ":1")},
        "{\"room\":\"r0\",\"offset\":1,\"epoch\":\"e\",\"time\":1}\n\"x\"\n"
        "{\"room\":\"r0\",\"offset\":2,\"epoch\":\"e\",\"time\":1}\n\"x\"\n"
        "{\"room\":\"r0\",\"offset\":5,\"epoch\":\"e\",\"time\":1}\n\"x\"\n");
    struct kit_owner *o = kit_owner_settled(k);
    kit_gateway_follow(k, g, 0, true);
    g->views[0] = (struct kit_view){.follows = true, .is_live = true, .epoch = "e", .offset = 1};
    kit_gateway_attach(k, g);
    kit_run(k, o);
    while (kit_gateway_take(k, g)) { /* also the news of the owner */
    }
    kit_gateway_attach(k, g);
    kit_run(k, o);
    while (kit_gateway_take(k, g)) {
    }
    assert_int_equal(g->views[0].offset, 5);
    assert_int_equal(g->positions_lost, 1); /* it is told, and gets nothing with a hole in it */
    assert_int_equal(g->seen_count, 0);
}

static void what_does_not_belong_in_a_log_is_skipped(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);
    char epoch[EPOCH_MAX + 1];

    kit_publish_many(k, o, 1, 2);
    kit_kill(k, o);
    kit_land_message(k, &(struct message){.type = MESSAGE_OWNER, .term = 9}, "");
    kit_land_message(k,
                     &(struct message){.type = MESSAGE_ATTACH,
                                       .boot = SLICE_LIT(LANE_A),
                                       .gateway = SLICE_LIT("g")},
                     "");
    kit_land_message(
        k, &(struct message){.type = MESSAGE_APPEND, .term = 1, .lanes = SLICE_LIT(LANE_B ":1")},
        "nonsense\n");
    kit_land_message(
        k, &(struct message){.type = MESSAGE_APPEND, .term = 7, .lanes = SLICE_LIT(LANE_B ":2")},
        "{\"room\":\"r0\",\"offset\":99,\"epoch\":\"zz\",\"time\":1}\n{}\n");
    kit_land_message(k, &(struct message){.type = MESSAGE_CHECKPOINT, .term = 1},
                     "{\"room\":\"r0\"}\n");
    struct message other = {.type = MESSAGE_TERM,
                            .term = 50,
                            .owner = SLICE_LIT("b9"),
                            .boot = SLICE_LIT(LANE_A),
                            .partition = KIT_PARTITION + 1};
    kit_land_letter(k, letter_new(k, &other, SLICE_NONE));
    o = kit_owner_settled(k);
    assert_int_equal(partition_term(o->machine), 2);
    kit_publish_many(k, o, 3, 3);
    assert_int_equal(kit_last_offset(k, epoch), 3);
    assert_true(stat_get(&k->stats.poisoned) >= 4);
}

/* Its last part alone would look like one that knows no rooms. */
static void a_checkpoint_of_which_a_part_is_nonsense_is_none(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);
    char before[EPOCH_MAX + 1], after[EPOCH_MAX + 1];

    kit_publish_many(k, o, 1, 3);
    assert_int_equal(kit_last_offset(k, before), 3);
    kit_kill(k, o);
    struct message part = {
        .type = MESSAGE_CHECKPOINT, .term = 1, .number = 1000, .has = HAS_BATCH, .batch = 1};
    kit_land_message(k, &part, "nonsense\n");
    part.number++;
    part.batch = 0;
    kit_land_message(k, &part, "");
    o = kit_owner_settled(k);
    assert_int_equal(stat_get(&k->stats.poisoned), 1);
    kit_publish_many(k, o, 4, 4);
    assert_int_equal(kit_last_offset(k, after), 4);
    assert_string_equal(before, after);
}

static void times_that_cannot_be_are_no_times(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);
    char epoch[EPOCH_MAX + 1];

    kit_publish_many(k, o, 1, 3);
    kit_kill(k, o);
    k->conf.key_window_ms = 60000;
    kit_land_message(
        k,
        &(struct message){
            .type = MESSAGE_CHECKPOINT, .term = 1, .number = 1000, .time_ms = INT64_MIN},
        "{\"room\":\"r7\",\"epoch\":\"zz\",\"offset\":7,\"time\":-9223372036854775808}\n"
        "{\"room\":\"r7\",\"key\":\"k\",\"time\":-9223372036854775808}\n"
        "{\"lane\":\"" LANE_B "\",\"batch\":4,\"time\":-9223372036854775808}\n");
    o = kit_owner_settled(k);
    kit_tick(k, o, 1000);
    kit_publish_many(k, o, 4, 4);
    assert_int_equal(kit_last_offset(k, epoch), 1); /* that checkpoint told of no other room */
    kit_leave(k, o);
    kit_run(k, o);
    assert_int_equal(stat_get(&k->stats.poisoned), 0);
}

static void much_reading_is_followed_by_a_checkpoint_soon(void **state)
{
    struct kit *k = *state;

    k->conf.checkpoint_bytes = 20000;
    struct kit_owner *o = kit_owner_settled(k);
    kit_publish_many(k, o, 1, 35); /* more than half of it */
    kit_kill(k, o);
    assert_int_equal(stat_get(&k->stats.checkpoints), 0);
    o = kit_owner_settled(k);
    kit_tick(k, o, 500);
    assert_null(o->flying);
    kit_tick(k, o, 600);
    assert_int_equal(o->flying->m.type, MESSAGE_CHECKPOINT);
    kit_run(k, o);
    kit_judge(k, true, true);
}

static void a_large_checkpoint_is_written_again_before_the_log_drops_it(void **state)
{
    struct kit *k = *state;
    struct buf names = BUF_EMPTY;
    struct record records[100];

    k->conf.checkpoint_bytes = 1000;
    k->conf.checkpoint_far = 20000;
    struct kit_owner *o = kit_owner_settled(k);
    buf_reserve(&names, ARRAY_LEN(records) * 100);
    for (unsigned i = 0; i < ARRAY_LEN(records); i++) {
        const char *name = names.at + names.size;

        buf_addf(&names, "%0100u", i);
        records[i] = (struct record){.room = {name, 100}, .payload = SLICE_LIT("1")};
    }
    const struct letter *l = kit_batch_of(k, LANE_B, 1, records, ARRAY_LEN(records));
    kit_enqueue(k, &l->m, l->m.body);
    kit_run(k, o);
    assert_int_equal(stat_get(&k->stats.checkpoints), 1);
    kit_publish_many(k, o, 1, 35); /* some 14,000 bytes */
    assert_int_equal(stat_get(&k->stats.checkpoints), 1);
    kit_publish_many(k, o, 36, 70);
    assert_int_equal(stat_get(&k->stats.checkpoints), 2);
    buf_deinit(&names);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_test_start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(reading_is_bounded_however_long_the_log_is),
        TEST(the_end_is_found_behind_any_number_of_claims),
        TEST(a_search_that_finds_nothing_reads_from_the_beginning),
        TEST(rooms_whose_records_were_all_cut_off_begin_a_new_epoch),
        TEST(void_records_at_the_cut_end_of_a_log_are_found_out),
        TEST(a_reader_that_was_misled_by_a_void_message_begins_anew),
        TEST(a_numbered_record_that_was_there_before_is_void),
        TEST(a_hole_in_a_room_is_never_shown_as_if_it_were_none),
        TEST(what_does_not_belong_in_a_log_is_skipped),
        TEST(a_checkpoint_of_which_a_part_is_nonsense_is_none),
        TEST(times_that_cannot_be_are_no_times),
        TEST(much_reading_is_followed_by_a_checkpoint_soon),
        TEST(a_large_checkpoint_is_written_again_before_the_log_drops_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
