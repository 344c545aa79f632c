/* test_buf.c: growable bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"

static void assert_holds(const struct buf *b, const char *want)
{
    assert_int_equal(b->size, strlen(want));
    assert_true(b->size <= b->capacity);
    assert_memory_equal(b->size > 0 ? b->at : "", want, b->size);
}

static void an_inert_buffer_may_be_freed_and_cleared(void **state)
{
    (void)state;
    struct buf b = BUF_EMPTY;

    buf_clear(&b);
    buf_add(&b, NULL, 0);
    buf_add_slice(&b, SLICE_NONE);
    buf_consume(&b, 0);
    assert_null(b.at);
    buf_deinit(&b);
    buf_add_char(&b, 'x');
    buf_deinit(&b);
    buf_deinit(&b);
    assert_null(b.at);
    assert_int_equal(b.capacity, 0);
}

static void everything_is_appended_in_order(void **state)
{
    (void)state;
    struct buf b = BUF_EMPTY;

    buf_add(&b, "abc", 2);
    buf_add_char(&b, '-');
    buf_add_slice(&b, SLICE_LIT("slice"));
    buf_add_lit(&b, "-lit-");
    buf_add_u64(&b, 42);
    buf_addf(&b, "/%s=%d", "x", -7);
    assert_holds(&b, "ab-slice-lit-42/x=-7");
    buf_deinit(&b);
}

static void numbers_are_decimal_at_both_ends(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *want;
    } cases[] = {
        {0, "0"},
        {9, "9"},
        {10, "10"},
        {1000000007, "1000000007"},
        {UINT64_MAX, "18446744073709551615"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = BUF_EMPTY;
        buf_add_u64(&b, cases[i].value);
        assert_holds(&b, cases[i].want);
        buf_deinit(&b);
    }
}

static void bytes_survive_every_growth(void **state)
{
    (void)state;
    struct buf b = BUF_EMPTY;

    for (size_t i = 0; i < 100000; i++) {
        buf_add_char(&b, (char)(i % 251));
    }
    assert_int_equal(b.size, 100000);
    for (size_t i = 0; i < 100000; i++) {
        assert_int_equal((unsigned char)b.at[i], i % 251);
    }
    buf_deinit(&b);
}

static void formatted_text_of_every_length_is_whole(void **state)
{
    (void)state;
    static char long_text[700];
    memset(long_text, 'y', sizeof(long_text) - 1);

    for (int size = 0; size < 600; size++) {
        struct buf b = BUF_EMPTY;
        buf_add_lit(&b, "<");
        buf_addf(&b, "%.*s", size, long_text);
        buf_add_lit(&b, ">");
        assert_int_equal(b.size, size + 2);
        assert_int_equal(b.at[0], '<');
        assert_int_equal(b.at[size], size > 0 ? 'y' : '<');
        assert_int_equal(b.at[size + 1], '>');
        buf_deinit(&b);
    }
}

static void the_front_can_be_taken_off(void **state)
{
    (void)state;
    struct buf b = BUF_EMPTY;

    buf_add_lit(&b, "abcdef");
    buf_consume(&b, 0);
    assert_holds(&b, "abcdef");
    buf_consume(&b, 2);
    assert_holds(&b, "cdef");
    buf_add_lit(&b, "g");
    assert_holds(&b, "cdefg");
    buf_consume(&b, 5);
    assert_holds(&b, "");
    buf_deinit(&b);
}

static void reserved_room_counts_only_when_it_is_counted_in(void **state)
{
    (void)state;
    struct buf b = BUF_EMPTY;

    memcpy(buf_reserve(&b, 1000), "0123456789", 10);
    assert_true(b.capacity >= 1000);
    assert_holds(&b, "");
    buf_grew(&b, 4);
    assert_holds(&b, "0123");
    buf_clear(&b);
    assert_holds(&b, "");
    assert_true(b.capacity >= 1000);
    assert_non_null(buf_reserve(&b, 0));
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_inert_buffer_may_be_freed_and_cleared),
        cmocka_unit_test(everything_is_appended_in_order),
        cmocka_unit_test(numbers_are_decimal_at_both_ends),
        cmocka_unit_test(bytes_survive_every_growth),
        cmocka_unit_test(formatted_text_of_every_length_is_whole),
        cmocka_unit_test(the_front_can_be_taken_off),
        cmocka_unit_test(reserved_room_counts_only_when_it_is_counted_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
