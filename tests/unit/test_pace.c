/* test_pace.c: a rate with bursts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/session/pace.h"
#include "tests/unit/random.h"

#define START_US INT64_C(5000000)

static bool take(const struct pace *p, int64_t *full_us, int64_t now_us)
{
    bool may = pace_admits(p, *full_us, now_us);

    if (may) {
        pace_take(p, full_us, now_us);
    }
    return may;
}

static void a_burst_passes_and_no_more(void **state)
{
    static const struct pace paces[] = {{1, 1}, {10, 1}, {10, 5}, {3, 7}, {1000000, 2}, {1, 1000}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(paces); i++) {
        int64_t full_us = 0;

        for (int64_t n = 0; n < paces[i].burst; n++) {
            assert_true(take(&paces[i], &full_us, START_US));
        }
        assert_false(take(&paces[i], &full_us, START_US));
        assert_false(take(&paces[i], &full_us, START_US)); /* a refusal costs nothing */
        assert_true(take(&paces[i], &full_us, START_US + 1000000 / paces[i].rate + 1));
    }
}

static void who_keeps_the_rate_always_passes(void **state)
{
    static const struct pace paces[] = {{1, 1}, {7, 1}, {10, 5}, {999, 2}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(paces); i++) {
        int64_t full_us = 0, now_us = START_US;

        for (int n = 0; n < 1000; n++) {
            assert_true(take(&paces[i], &full_us, now_us));
            now_us += 1000000 / paces[i].rate;
        }
    }
}

static void no_more_than_burst_and_rate_pass_in_any_time(void **state)
{
    const struct pace pace = {50, 8};
    int64_t full_us = 0, now_us = START_US, passed = 0;
    uint64_t seed = 20261126;
    (void)state;

    for (int n = 0; n < 100000; n++) {
        now_us += (int64_t)(random_next(&seed) % 20000);
        passed += take(&pace, &full_us, now_us);
        assert_true(passed <= pace.burst + (now_us - START_US) * pace.rate / 1000000 + 1);
    }
    assert_true(passed >= (now_us - START_US) * pace.rate / 1000000 - 1000);
}

static void without_a_rate_all_pass(void **state)
{
    const struct pace pace = {0, 1};
    int64_t full_us = 0;
    (void)state;

    for (int n = 0; n < 100; n++) {
        assert_true(take(&pace, &full_us, START_US));
    }
    assert_int_equal(full_us, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_no_more),
        cmocka_unit_test(who_keeps_the_rate_always_passes),
        cmocka_unit_test(no_more_than_burst_and_rate_pass_in_any_time),
        cmocka_unit_test(without_a_rate_all_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
