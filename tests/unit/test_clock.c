/* test_clock.c: time as integers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/clock.h"

static void the_monotonic_clocks_never_go_back_and_agree(void **state)
{
    (void)state;
    int64_t ms = clock_mono_ms(), us = clock_mono_us();

    for (int i = 0; i < 100000; i++) {
        int64_t next_ms = clock_mono_ms(), next_us = clock_mono_us();
        assert_true(next_ms >= ms);
        assert_true(next_us >= us);
        assert_true(next_us / 1000 >= next_ms);
        ms = next_ms;
        us = next_us;
    }
}

static void the_wall_clock_counts_milliseconds_since_1970(void **state)
{
    (void)state;
    int64_t before = (int64_t)time(NULL) - 1;
    int64_t ms = clock_wall_ms();
    int64_t after = (int64_t)time(NULL) + 1;

    assert_in_range(ms / 1000, before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clocks_never_go_back_and_agree),
        cmocka_unit_test(the_wall_clock_counts_milliseconds_since_1970),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
