/* test_address.c: every spelling of an address is the same address, and nothing else is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/edge/address.h"

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
        {"[fe80::1%eth0]:80", "fe80::1"},
        {"[::]", "::"},
        {"unknown", "unknown"},
        {"", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice address = address_of_peer(cases[i].peer);

        if (!slice_equal(address, slice_of(cases[i].address))) {
            fail_msg("%s is %.*s", cases[i].peer, SLICE_ARG(address));
        }
    }
}

static void each_address_has_one_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *written, *text;
    } cases[] = {
        {"10.0.0.1", "10.0.0.1"},
        {"::ffff:10.0.0.1", "10.0.0.1"},
        {"::FFFF:0a00:0001", "10.0.0.1"},
        {"0:0:0:0:0:ffff:a00:1", "10.0.0.1"},
        {"10.0.0.1/32", "10.0.0.1"},
        {"::ffff:10.0.0.1/128", "10.0.0.1"},
        {"10.1.2.3/8", "10.0.0.0/8"},
        {"::ffff:10.1.2.3/104", "10.0.0.0/8"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"10.255.255.255/31", "10.255.255.254/31"},
        {"2001:0DB8:0000:0000:0000:0000:0000:0007", "2001:db8::7"},
        {"2001:db8:0:0::7", "2001:db8::7"},
        {"2001:db8::0.0.0.7", "2001:db8::7"},
        {"2001:db8::7/128", "2001:db8::7"},
        {"2001:db8:ffff::7/33", "2001:db8:8000::/33"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/127",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"},
        {"::/0", "::/0"},
        {"::1", "::1"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[ADDRESS_MAX + 1];
        struct address a;

        assert_true(address_read(&a, slice_of(cases[i].written)));
        struct slice one = address_text(&a, text);
        if (!slice_equal(one, slice_of(cases[i].text))) {
            fail_msg("%s is %.*s", cases[i].written, SLICE_ARG(one));
        }
        assert_true(address_read(&a, one));
        assert_true(slice_equal(address_text(&a, text), slice_of(cases[i].text)));
    }
}

static void what_is_no_address_is_not_taken_for_one(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "unknown",
        "10.0.0",
        "10.0.0.1.2",
        "10.0.0.256",
        "010.0.0.1",
        " 10.0.0.1",
        "10.0.0.1 ",
        "10.0.0.1:80",
        "[::1]",
        "::1%lo",
        ":::",
        "1::2::3",
        "12345::",
        "10.0.0.1/",
        "10.0.0.1/33",
        "10.0.0.1/-1",
        "10.0.0.1/+8",
        "10.0.0.1/8 ",
        "10.0.0.1/08",
        "10.0.0.1/8/8",
        "10.0.0.1/1000",
        "::1/129",
        "/8",
        "/",
        "localhost",
        "0x0a000001",
        "167772161",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111",
    };
    struct address a;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (address_read(&a, slice_of(cases[i]))) {
            fail_msg("%s", cases[i]);
        }
    }
    assert_false(address_read(&a, SLICE_LIT("10.0.0.1\0")));
}

static void an_address_is_in_its_prefixes_alone(void **state)
{
    (void)state;
    struct address one, prefix;
    char text[ADDRESS_MAX + 1], other[ADDRESS_MAX + 1];

    assert_true(address_read(&one, SLICE_LIT("192.0.2.129")));
    for (unsigned bits = 0; bits <= ADDRESS_BITS; bits++) {
        struct address cut = address_cut(&one, bits);
        struct slice in = address_text(&cut, text);

        assert_int_equal(cut.bits, bits);
        assert_true(address_read(&prefix, in));
        assert_int_equal(prefix.bits, bits);
        if (bits >
            0) { /* its neighbour, of which the last bit is another one, has another prefix */
            struct address neighbour = one;
            neighbour.at[(bits - 1) / 8] ^= (uint8_t)(0x80u >> (bits - 1) % 8);
            cut = address_cut(&neighbour, bits);
            assert_false(slice_equal(in, address_text(&cut, other)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_a_peer_without_its_port),
        cmocka_unit_test(each_address_has_one_spelling),
        cmocka_unit_test(what_is_no_address_is_not_taken_for_one),
        cmocka_unit_test(an_address_is_in_its_prefixes_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
