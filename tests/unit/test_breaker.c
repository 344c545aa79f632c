/*
 * test_breaker.c: who has failed too often is left alone, and found again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gateway/hook/breaker.h"

static const struct breaker_terms terms = {.failures = 3, .wait_ms = 1000};

/* Asks and fails `count` times. */
static void fail_often(struct breaker *b, int count, int64_t now_ms)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(breaker_ask(b, now_ms), BREAKER_YES);
        (void)breaker_failed(b, &terms, false, now_ms);
    }
}

static void it_opens_after_so_many_failures_in_a_row(void **state)
{
    struct breaker b = {0};
    (void)state;

    fail_often(&b, 2, 5);
    assert_false(b.is_open);
    assert_int_equal(breaker_ask(&b, 5), BREAKER_YES);
    assert_true(breaker_failed(&b, &terms, false, 5));
    assert_true(b.is_open);
    assert_int_equal(breaker_ask(&b, 5), BREAKER_NO);
    assert_int_equal(breaker_ask(&b, 1004), BREAKER_NO);
}

static void a_success_between_them_begins_the_count_anew(void **state)
{
    struct breaker b = {0};
    (void)state;

    for (int i = 0; i < 10; i++) {
        fail_often(&b, 2, i);
        assert_int_equal(breaker_ask(&b, i), BREAKER_YES);
        assert_false(breaker_succeeded(&b, false));
    }
    assert_false(b.is_open);
}

static void one_probe_is_let_through_when_the_wait_is_over(void **state)
{
    struct breaker b = {0};
    (void)state;

    fail_often(&b, 3, 0);
    assert_int_equal(breaker_ask(&b, 1000), BREAKER_PROBE);
    assert_int_equal(breaker_ask(&b, 1000), BREAKER_NO);
    assert_int_equal(breaker_ask(&b, 99999), BREAKER_NO);
    assert_true(breaker_succeeded(&b, true));
    assert_int_equal(breaker_ask(&b, 99999), BREAKER_YES);
}

static void a_probe_that_fails_opens_it_again(void **state)
{
    struct breaker b = {0};
    (void)state;

    fail_often(&b, 3, 0);
    for (int64_t now = 1000; now < 5000; now += 1000) {
        assert_int_equal(breaker_ask(&b, now - 1), BREAKER_NO);
        assert_int_equal(breaker_ask(&b, now), BREAKER_PROBE);
        assert_true(breaker_failed(&b, &terms, true, now));
    }
}

static void a_probe_that_nobody_waits_for_makes_way_for_another(void **state)
{
    struct breaker b = {0};
    (void)state;

    fail_often(&b, 3, 0);
    assert_int_equal(breaker_ask(&b, 1000), BREAKER_PROBE);
    breaker_dropped(&b, false);
    assert_int_equal(breaker_ask(&b, 1000), BREAKER_NO);
    breaker_dropped(&b, true);
    assert_int_equal(breaker_ask(&b, 1000), BREAKER_PROBE);
}

static void late_failures_do_not_prolong_the_wait(void **state)
{
    struct breaker b = {0};
    (void)state;

    for (int i = 0; i < 5; i++) {
        assert_int_equal(breaker_ask(&b, 0), BREAKER_YES);
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(breaker_failed(&b, &terms, false, i * 100), i == 2);
    }
    assert_int_equal(breaker_ask(&b, 1199), BREAKER_NO);
    assert_int_equal(breaker_ask(&b, 1200), BREAKER_PROBE);
}

static void a_late_success_closes_it(void **state)
{
    struct breaker b = {0};
    (void)state;

    fail_often(&b, 3, 0);
    assert_true(breaker_succeeded(&b, false));
    assert_int_equal(breaker_ask(&b, 1), BREAKER_YES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_opens_after_so_many_failures_in_a_row),
        cmocka_unit_test(a_success_between_them_begins_the_count_anew),
        cmocka_unit_test(one_probe_is_let_through_when_the_wait_is_over),
        cmocka_unit_test(a_probe_that_fails_opens_it_again),
        cmocka_unit_test(a_probe_that_nobody_waits_for_makes_way_for_another),
        cmocka_unit_test(late_failures_do_not_prolong_the_wait),
        cmocka_unit_test(a_late_success_closes_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
