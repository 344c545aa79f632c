/*
 * test_order.c: orders are read back as they were written, and nothing else is an order. The golden
 * vectors say what the wire looks like.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/order.h"
#include "tests/unit/vectors.h"

static int read_back(struct slice *rest, struct buf *again)
{
    struct order o;
    int answer = order_next(rest, &o);

    if (answer == 0) {
        order_encode(again, &o);
    }
    return answer;
}

static void orders_are_read_and_written_as_the_vectors_say(void **state)
{
    (void)state;

    assert_vectors_there_and_back("order", read_back, ORDER_BAD, ORDER_END);
}

static void all_fields_are_told_apart(void **state)
{
    struct slice rest = SLICE_LIT(
        "{\"do\":\"revoke\",\"user\":\"u\",\"client\":\"c\",\"room\":\"r\",\"address\":\"a\","
        "\"token\":\"t\",\"reason\":\"why\",\"data\":7,\"info\":{},\"code\":1,\"until\":-2,"
        "\"before\":3,\"expired\":true,\"join_leave\":true,\"whitelist\":[\"c\"]}\n{\"do\":"
        "\"hello\"}\n");
    struct order o;
    (void)state;

    assert_int_equal(order_next(&rest, &o), 0);
    assert_int_equal(o.kind, ORDER_REVOKE);
    assert_true(slice_equal(o.user, SLICE_LIT("u")) && slice_equal(o.client, SLICE_LIT("c")));
    assert_true(slice_equal(o.room, SLICE_LIT("r")) && slice_equal(o.address, SLICE_LIT("a")));
    assert_true(slice_equal(o.token, SLICE_LIT("t")) && slice_equal(o.reason, SLICE_LIT("why")));
    assert_true(slice_equal(o.data, SLICE_LIT("7")) && slice_equal(o.info, SLICE_LIT("{}")));
    assert_true(o.code == 1 && o.until == -2 && o.before == 3 && o.expired && o.join_leave);
    assert_true(slice_equal(o.whitelist, SLICE_LIT("[\"c\"]")));
    assert_int_equal(order_next(&rest, &o), 0);
    assert_int_equal(o.user.size + o.client.size + o.room.size + o.address.size + o.token.size +
                         o.reason.size + o.data.size + o.info.size + o.whitelist.size,
                     0);
    assert_true(o.code == 0 && o.until == 0 && o.before == 0 && !o.expired && !o.join_leave);
    assert_int_equal(order_next(&rest, &o), ORDER_END);
}

static void every_order_has_another_name(void **state)
{
    (void)state;

    for (int a = 0; a < ORDER_KINDS; a++) {
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(order_name((enum order_kind)a), order_name((enum order_kind)b));
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_read_and_written_as_the_vectors_say),
        cmocka_unit_test(all_fields_are_told_apart),
        cmocka_unit_test(every_order_has_another_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
