/* test_partition_takeover.c: claims, markers, fencing: who continues what. */
#include "tests/unit/partition_kit.h"

#define LANE_A KIT_LANE
#define LANE_B "bbbbbbbbbbbbbbbb"

static void a_new_owner_continues_numbers_epochs_and_lanes(void **state)
{
    struct kit *k = *state;
    char before[EPOCH_MAX + 1], after[EPOCH_MAX + 1];

    for (uint64_t life = 0; life < 5; life++) {
        struct kit_owner *o = kit_owner_settled(k);
        assert_int_equal(partition_term(o->machine), life + 1);
        kit_publish_many(k, o, life * 3 + 1, life * 3 + 3);
        kit_publish(k, LANE_A, life * 3 + 2, "r0", 1); /* sent again: was confirmed to nobody */
        kit_run(k, o);
        assert_int_equal(kit_last_offset(k, after), life * 3 + 3);
        if (life > 0) {
            assert_string_equal(before, after);
        }
        memcpy(before, after, sizeof(before));
        kit_kill(k, o);
    }
    assert_int_equal(stat_get(&k->stats.duplicates_dropped), 5);
    kit_judge(k, true, true);
}

static void a_batch_that_is_in_the_log_is_acked_and_not_appended_again(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish(k, LANE_A, 1, "r0", 2);
    kit_take(k, o);
    kit_land(k, o); /* in the log; the owner dies before it hears of it */
    kit_kill(k, o);
    o = kit_owner_settled(k);
    assert_int_equal(k->input[0].state, INPUT_ACKED);
    assert_int_equal(stat_get(&k->stats.duplicates_dropped), 1);
    struct kit_gateway *g = kit_gateway_start(k, 0);
    kit_gateway_follow(k, g, 0, true);
    g->views[0].is_live = true; /* it saw nothing yet, and knows that */
    (void)kit_last_offset(k, g->views[0].epoch);
    kit_gateway_attach(k, g);
    kit_run(k, o);
    while (kit_gateway_take(k, g)) {
    }
    assert_int_equal(g->seen_count, 2); /* from memory */
    kit_judge(k, true, true);
}

static void what_the_old_owner_appends_before_the_marker_is_valid_and_behind_it_void(void **state)
{
    struct kit *k = *state;
    struct kit_owner *old = kit_owner_settled(k);

    kit_publish_many(k, old, 1, 3);
    kit_publish(k, LANE_B, 1, "r0", 1);
    kit_publish(k, LANE_B, 2, "r0", 1);
    kit_take(k, old);
    kit_take(k, old); /* one flies, one waits */
    kit_cut(k, old);
    struct kit_owner *o = kit_owner_new(k);
    kit_confirm(k, o);   /* the claim */
    kit_confirm(k, old); /* between claim and marker; the second one takes off */
    while (kit_read(k, o)) {
    }
    assert_int_equal(o->flying->m.type, MESSAGE_TERM);
    kit_land(k, o);
    kit_land(k, old); /* behind the marker */
    kit_run(k, o);
    kit_judge(k, true, true);
    char epoch[EPOCH_MAX + 1];
    assert_int_equal(kit_last_offset(k, epoch), 5);
    assert_int_equal(stat_get(&k->stats.duplicates_dropped), 1); /* LANE_B:1 */
    /* And the next one sees it as all others do. */
    kit_kill(k, old);
    kit_kill(k, o);
    o = kit_owner_settled(k);
    assert_true(stat_get(&k->stats.void_records) > 0);
    kit_publish_many(k, o, 4, 4);
    assert_int_equal(kit_last_offset(k, epoch), 6);
    kit_judge(k, true, true);
}

static void an_append_that_landed_twice_counts_once(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish(k, LANE_A, 1, "r0", 2);
    kit_take(k, o);
    kit_land(k, o);
    kit_nack(k, o);
    kit_tick(k, o, 200);
    kit_run(k, o);
    kit_kill(k, o);
    o = kit_owner_settled(k);
    kit_publish_many(k, o, 2, 2);
    char epoch[EPOCH_MAX + 1];
    assert_int_equal(kit_last_offset(k, epoch), 3);
    kit_judge(k, true, true);
}

static void a_late_copy_of_an_old_message_changes_nothing(void **state)
{
    struct kit *k = *state;

    k->conf.checkpoint_bytes = 800;
    struct kit_owner *o = kit_owner_settled(k);
    kit_publish_many(k, o, 1, 12);
    for (size_t i = 0; i < 12; i++) { /* of appends and checkpoints alike */
        if (k->log.at[i] != NULL && k->log.at[i]->m.type != MESSAGE_CLAIM) {
            kit_land_letter(k, k->log.at[i]);
        }
    }
    kit_kill(k, o);
    o = kit_owner_settled(k);
    kit_publish_many(k, o, 13, 13);
    char epoch[EPOCH_MAX + 1];
    assert_int_equal(kit_last_offset(k, epoch), 13);
}

static void a_marker_of_the_same_term_before_ones_own_is_the_end(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_new(k);

    kit_confirm(k, o);
    while (kit_read(k, o)) {
    }
    assert_int_equal(o->flying->m.type, MESSAGE_TERM);
    kit_land_message(
        k, &(struct message){.type = MESSAGE_TERM, .term = 1, .boot = SLICE_LIT(LANE_B)}, "");
    kit_run(k, o);
    assert_true(o->is_superseded);
    assert_int_equal(partition_state(o->machine), PARTITION_GONE);
    assert_false(o->was_announced);
    assert_int_equal(partition_term(kit_owner_settled(k)->machine), 2);
}

static void a_marker_of_the_same_term_behind_ones_own_is_nothing(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_new(k);

    kit_confirm(k, o);
    while (kit_read(k, o)) {
    }
    kit_land(k, o);
    kit_land_message(
        k, &(struct message){.type = MESSAGE_TERM, .term = 1, .boot = SLICE_LIT(LANE_B)}, "");
    kit_run(k, o);
    kit_publish_many(k, o, 1, 2);
    kit_kill(k, o);
    o = kit_owner_settled(k);
    assert_int_equal(partition_term(o->machine), 2);
    kit_publish_many(k, o, 3, 3);
    kit_judge(k, true, true);
}

static void claims_and_markers_that_land_twice_do_no_harm(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_new(k);

    kit_land(k, o);
    kit_nack(k, o);
    kit_tick(k, o, 200);
    kit_confirm(k, o);
    while (kit_read(k, o)) {
    }
    kit_land(k, o);
    kit_read(k, o); /* it comes back before the broker answers, */
    assert_int_equal(partition_state(o->machine), PARTITION_OWNED);
    kit_publish(k, LANE_A, 1, "r0", 1);
    kit_take(k, o);
    assert_int_equal(o->flying->m.type, MESSAGE_TERM);
    kit_nack(k, o); /* which then says no */
    assert_int_equal(o->flying->m.type, MESSAGE_APPEND);
    kit_run(k, o);
    kit_judge(k, true, true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_test_start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(a_new_owner_continues_numbers_epochs_and_lanes),
        TEST(a_batch_that_is_in_the_log_is_acked_and_not_appended_again),
        TEST(what_the_old_owner_appends_before_the_marker_is_valid_and_behind_it_void),
        TEST(an_append_that_landed_twice_counts_once),
        TEST(a_late_copy_of_an_old_message_changes_nothing),
        TEST(a_marker_of_the_same_term_before_ones_own_is_the_end),
        TEST(a_marker_of_the_same_term_behind_ones_own_is_nothing),
        TEST(claims_and_markers_that_land_twice_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
