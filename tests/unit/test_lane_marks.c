/* test_lane_marks.c: how many lanes are kept in mind, and for how long. */
#include "broadcaster/lane_marks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define START_MS 1790000000000

/* A lane that has shown its first batch. */
static struct lane_mark *show(struct lane_marks *l, unsigned lane, int64_t now_ms)
{
    char boot[BOOT_SIZE + 1];

    (void)snprintf(boot, sizeof(boot), "%016x", lane);
    struct lane_mark *mark = lane_marks_get(l, (struct slice){boot, BOOT_SIZE}, now_ms);
    mark->numbered = mark->confirmed = 1;
    return mark;
}

static bool is_known(const struct lane_marks *l, unsigned lane)
{
    char boot[BOOT_SIZE + 1];

    (void)snprintf(boot, sizeof(boot), "%016x", lane);
    return lane_marks_find(l, (struct slice){boot, BOOT_SIZE}) != NULL;
}

static void of_too_many_lanes_the_idlest_are_forgotten(void **state)
{
    struct lane_marks l = {0};

    (void)state;
    for (unsigned lane = 0; lane < LANE_MARKS_MAX; lane++) {
        (void)show(&l, lane, START_MS);
    }
    assert_int_equal(lane_marks_tick(&l, START_MS), 0);
    (void)show(&l, 0, START_MS);
    for (unsigned lane = 0; lane < 10; lane++) {
        (void)show(&l, LANE_MARKS_MAX + lane, START_MS);
    }
    assert_int_equal(lane_marks_tick(&l, START_MS), 10);
    assert_int_equal(HASH_COUNT(l.by_boot), LANE_MARKS_MAX);
    assert_true(is_known(&l, 0));
    assert_false(is_known(&l, 1));
    assert_false(is_known(&l, 10));
    assert_true(is_known(&l, 11));
    lane_marks_clear(&l);
}

static void a_lane_with_something_on_its_way_is_not_forgotten(void **state)
{
    struct lane_marks l = {0};

    (void)state;
    struct lane_mark *first = show(&l, 0, START_MS);
    first->numbered = 2;
    for (unsigned lane = 1; lane <= LANE_MARKS_MAX; lane++) {
        (void)show(&l, lane, START_MS);
    }
    assert_int_equal(lane_marks_tick(&l, START_MS), 0);
    first->confirmed = 2;
    assert_int_equal(lane_marks_tick(&l, START_MS), 1);
    assert_false(is_known(&l, 0));
    lane_marks_clear(&l);
}

static void a_lane_lives_a_day_of_those_that_were_looked_at(void **state)
{
    struct lane_marks l = {0};
    int64_t now_ms = START_MS, to_ms;

    (void)state;
    (void)lane_marks_tick(&l, now_ms);
    (void)show(&l, 1, now_ms);
    now_ms += LANE_LIFE_MS + 1; /* nobody looked */
    assert_int_equal(lane_marks_tick(&l, now_ms), 0);
    assert_true(is_known(&l, 1));
    for (to_ms = now_ms + LANE_LIFE_MS; now_ms <= to_ms; now_ms += LANE_MARKS_LEAP_MS) {
        assert_int_equal(lane_marks_tick(&l, now_ms), 0);
        assert_true(is_known(&l, 1));
    }
    assert_int_equal(lane_marks_tick(&l, to_ms + 1), 0);
    assert_false(is_known(&l, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_too_many_lanes_the_idlest_are_forgotten),
        cmocka_unit_test(a_lane_with_something_on_its_way_is_not_forgotten),
        cmocka_unit_test(a_lane_lives_a_day_of_those_that_were_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
