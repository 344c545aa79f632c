/*
 * test_tries.c: bad tokens counted by address.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/edge/tries.h"

static struct net_addr at(const char *ip)
{
    struct net_addr a;

    assert_int_equal(net_parse_ip(&a, ip), 0);
    return a;
}

static void add(struct tries *t, const char *ip, int times, int64_t now_ms)
{
    struct net_addr a = at(ip);

    for (int i = 0; i < times; i++) {
        tries_add(t, &a, now_ms);
    }
}

static bool is_over(struct tries *t, const char *ip, int64_t now_ms)
{
    struct net_addr a = at(ip);

    return tries_is_over(t, &a, now_ms);
}

static void who_guesses_too_often_is_not_heard_for_the_rest_of_the_window(void **state)
{
    (void)state;
    struct tries *t = tries_new(3);

    assert_false(is_over(t, "1.2.3.4", 5));
    add(t, "1.2.3.4", 2, 5);
    assert_false(is_over(t, "1.2.3.4", 6));
    add(t, "1.2.3.4", 1, 7);
    assert_true(is_over(t, "1.2.3.4", 8));
    assert_true(is_over(t, "::ffff:1.2.3.4", 8)); /* a socket of both families */
    assert_false(is_over(t, "1.2.3.5", 8));       /* the neighbour is not concerned */
    add(t, "1.2.3.4", 100, 9);                    /* does not make the window longer */
    assert_true(is_over(t, "1.2.3.4", 5 + TRIES_WINDOW_MS - 1));
    assert_false(is_over(t, "1.2.3.4", 5 + TRIES_WINDOW_MS));
    add(t, "1.2.3.4", 1, 5 + TRIES_WINDOW_MS);
    assert_false(is_over(t, "1.2.3.4", 6 + TRIES_WINDOW_MS)); /* it begins anew */
    assert_null(tries_free(t));
    assert_null(tries_free(NULL));
}

static void a_customer_with_many_addresses_counts_once(void **state)
{
    (void)state;
    struct tries *t = tries_new(2);

    add(t, "2001:db8::1", 1, 1);
    add(t, "2001:db8::2", 1, 1);
    assert_true(is_over(t, "2001:db8::3", 1));
    assert_false(is_over(t, "2001:db8:0:1::3", 1));
    tries_free(t);
}

static void without_a_limit_nobody_is_over(void **state)
{
    (void)state;
    struct tries *t = tries_new(0);

    add(t, "1.2.3.4", 1000, 1);
    assert_false(is_over(t, "1.2.3.4", 1));
    tries_free(t);
}

static void more_addresses_than_places_never_stop_a_stranger(void **state)
{
    (void)state;
    struct tries *t = tries_new(2);
    char ip[20];

    for (int i = 0; i < 3 * TRIES_PLACES; i++) {
        snprintf(ip, sizeof(ip), "10.%d.%d.1", i / 256, i % 256);
        add(t, ip, 3, 1);
        assert_true(is_over(t, ip, 1));
    }
    assert_false(is_over(t, "192.0.2.1", 1));
    tries_free(t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_guesses_too_often_is_not_heard_for_the_rest_of_the_window),
        cmocka_unit_test(a_customer_with_many_addresses_counts_once),
        cmocka_unit_test(without_a_limit_nobody_is_over),
        cmocka_unit_test(more_addresses_than_places_never_stop_a_stranger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
