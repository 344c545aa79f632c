/*
 * test_crowd.c: connections counted by address.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/edge/crowd.h"

static bool enter(struct crowd *all, const char *ip, struct crowd_place **place)
{
    struct net_addr a;

    assert_int_equal(net_parse_ip(&a, ip), 0);
    return crowd_enter(all, &a, place);
}

static void an_address_has_so_many_places_and_no_more(void **state)
{
    (void)state;
    struct crowd *all = crowd_new(2);
    struct crowd_place *a[3], *b;

    assert_true(enter(all, "1.2.3.4", &a[0]) && enter(all, "1.2.3.4", &a[1]));
    assert_false(enter(all, "1.2.3.4", &a[2]));
    assert_null(a[2]);
    assert_true(enter(all, "1.2.3.5", &b)); /* the neighbour is not concerned */
    crowd_leave(a[0]);
    assert_true(enter(all, "1.2.3.4", &a[2]));
    assert_false(enter(all, "1.2.3.4", &a[0]));
    crowd_leave(a[1]);
    crowd_leave(a[2]);
    crowd_leave(b);
    crowd_leave(NULL);
    assert_null(crowd_free(all));
}

static void a_customer_with_many_addresses_counts_once(void **state)
{
    (void)state;
    static const struct {
        const char *one, *other;
        bool is_same;
    } rows[] = {
        {"2001:db8::1", "2001:db8::ffff:1", true},   {"2001:db8::1", "2001:db8:0:1::1", false},
        {"::ffff:1.2.3.4", "1.2.3.4", true}, /* a socket of both families */
        {"::ffff:1.2.3.4", "::ffff:1.2.3.5", false}, {"1.2.3.4", "1.2.3.5", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct crowd *all = crowd_new(1);
        struct crowd_place *one, *other;

        assert_true(enter(all, rows[i].one, &one));
        assert_int_equal(enter(all, rows[i].other, &other), !rows[i].is_same);
        crowd_leave(one);
        crowd_leave(other);
        crowd_free(all);
    }
}

static void without_a_limit_nothing_is_counted(void **state)
{
    (void)state;
    struct crowd *all = crowd_new(0);
    struct crowd_place *place;
    struct net_addr none = {0};

    for (int i = 0; i < 10; i++) {
        assert_true(enter(all, "1.2.3.4", &place));
        assert_null(place);
    }
    crowd_free(all);
    all = crowd_new(1);
    assert_true(crowd_enter(all, &none, &place)); /* a socket that has no address */
    assert_null(place);
    crowd_free(all);
    assert_null(crowd_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_so_many_places_and_no_more),
        cmocka_unit_test(a_customer_with_many_addresses_counts_once),
        cmocka_unit_test(without_a_limit_nothing_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
