/* test_partition_lanes.c: how long a batch is known again that comes twice. */
#include "broadcaster/lane_marks.h"
#include "tests/unit/partition_kit.h"

#define LANE_A KIT_LANE

/* As an owner sees it that is there all the time. */
static void let_hours_pass(struct kit *k, struct kit_owner *o, unsigned hours)
{
    for (unsigned minute = 0; minute < hours * 60; minute++) {
        kit_tick(k, o, 60000);
    }
}

static void a_lane_that_was_silent_for_a_day_is_forgotten(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish(k, LANE_A, 5, "r0", 1);
    kit_run(k, o);
    let_hours_pass(k, o, 23);
    kit_publish(k, LANE_A, 4, "r0", 1);
    kit_run(k, o);
    assert_int_equal(stat_get(&k->stats.duplicates_dropped), 1);
    let_hours_pass(k, o, 2);
    kit_publish(k, LANE_A, 4, "r0", 1);
    kit_take(k, o);
    assert_int_equal(stat_get(&k->stats.duplicates_dropped), 1);
    let_hours_pass(k, o, 48); /* the broker stalls: what flies is not forgotten */
    kit_run(k, o);
    kit_publish(k, LANE_A, 4, "r0", 1);
    kit_run(k, o);
    assert_int_equal(stat_get(&k->stats.duplicates_dropped), 2);
}

static void a_clock_that_leaps_makes_no_lane_forgotten(void **state)
{
    static const int64_t leaps_ms[] = {25LL * 3600 * 1000, -30LL * 3600 * 1000,
                                       100LL * 3600 * 1000};
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish(k, LANE_A, 5, "r0", 1);
    kit_run(k, o);
    for (size_t i = 0; i < ARRAY_LEN(leaps_ms); i++) {
        kit_tick(k, o, leaps_ms[i]);
        kit_tick(k, o, 100);
        kit_publish(k, LANE_A, 5, "r0", 1);
        kit_run(k, o);
        assert_int_equal(stat_get(&k->stats.duplicates_dropped), i + 1);
    }
    kit_judge(k, true, false);
}

static void a_lane_is_known_again_however_long_nobody_owned_the_partition(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish(k, LANE_A, 1, "r0", 1);
    kit_take(k, o);
    kit_land(k, o); /* in the log, and not acked */
    kit_kill(k, o);
    k->now_ms += (int64_t)30 * 24 * 3600 * 1000;
    o = kit_owner_new(k);
    while (kit_read(k, o) || kit_confirm(k, o)) {
    }
    assert_int_equal(partition_state(o->machine), PARTITION_OWNED);
    kit_tick(k, o, 100); /* before the broker delivers */
    kit_run(k, o);
    assert_int_equal(stat_get(&k->stats.duplicates_dropped), 1);
    kit_judge(k, true, false);
}

static void of_too_many_lanes_the_idlest_are_forgotten(void **state)
{
    struct kit *k = *state;
    struct buf body = BUF_EMPTY;
    char boot[BOOT_SIZE + 1];

    line_encode(&body, &(struct line){.epoch = SLICE_LIT("abcdefgh")});
    for (unsigned lane = 0; lane < LANE_MARKS_MAX + 3; lane++) {
        (void)snprintf(boot, sizeof(boot), "%016x", lane);
        line_encode(&body, &(struct line){.lane = {boot, BOOT_SIZE}, .batch = 5});
    }
    buf_add_char(&body, '\0');
    kit_land_message(
        k, &(struct message){.type = MESSAGE_TERM, .term = 1, .boot = SLICE_LIT(LANE_A)}, "");
    kit_land_message(k, &(struct message){.type = MESSAGE_CHECKPOINT, .term = 1}, body.at);
    buf_deinit(&body);
    struct kit_owner *o = kit_owner_settled(k);
    kit_tick(k, o, 100);
    assert_int_equal(stat_get(&k->stats.limits.met[OWNER_LIMIT_LANES]), 3);
    kit_publish(k, "0000000000000002", 5, "r0", 1); /* for a new one */
    kit_run(k, o);
    assert_int_equal(stat_get(&k->stats.records_in), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_test_start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(a_lane_that_was_silent_for_a_day_is_forgotten),
        TEST(a_clock_that_leaps_makes_no_lane_forgotten),
        TEST(of_too_many_lanes_the_idlest_are_forgotten),
        TEST(a_lane_is_known_again_however_long_nobody_owned_the_partition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
