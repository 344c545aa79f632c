/* test_orders.c: whom an order means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/orders.h"

static void an_address_is_a_peer_without_its_port(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *address;
    } cases[] = {
        {"10.0.0.1:4711", "10.0.0.1"},
        {"10.0.0.1", "10.0.0.1"}, /* a balancer told it */
        {"[2001:db8::7]:4711", "2001:db8::7"},
        {"[2001:db8::7]", "2001:db8::7"},
        {"[::1]:80", "::1"},
        {"[::]", "::"},
        {"unknown", "unknown"},
        {"", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice address = address_of(cases[i].peer);

        if (!slice_equal(address, slice_of(cases[i].address))) {
            fail_msg("%s is %.*s", cases[i].peer, SLICE_ARG(address));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_a_peer_without_its_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
