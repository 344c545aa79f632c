/*
 * test_base64.c: one value, one spelling.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/token/base64.h"

/* RFC 4648 10, and bytes that need the last two digits. */
static const struct {
    const char *bytes, *plain, *url;
} vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/", "-_-_"},
    {"\xff\xfe", "//4=", "__4"},
};

static void the_vectors_of_the_rfc_come_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        struct buf out = BUF_EMPTY;
        base64_encode(&out, vectors[i].bytes, strlen(vectors[i].bytes));
        assert_true(slice_equal(buf_slice(&out), slice_of(vectors[i].plain)));
        buf_clear(&out);
        base64url_encode(&out, vectors[i].bytes, strlen(vectors[i].bytes));
        assert_true(slice_equal(buf_slice(&out), slice_of(vectors[i].url)));
        buf_clear(&out);
        assert_int_equal(base64url_decode(&out, slice_of(vectors[i].url)), 0);
        assert_true(slice_equal(buf_slice(&out), slice_of(vectors[i].bytes)));
        buf_deinit(&out);
    }
}

static void other_spellings_are_refused_and_leave_nothing_behind(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z",   "Zm9vY", "Zg==", "Zm8=", "Zm9v=", "=",    "Zh",   "Zm9",      "Zn9vYh",
        "Z g", "Zg\n",  "\nZg", "+/+/", "//4",   "Zm9*", "Zm.v", "Zm9v\xff", "Zm\xc3\xa4v",
    };
    struct buf out = BUF_EMPTY;

    buf_add_lit(&out, "kept");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(base64url_decode(&out, slice_of(bad[i])), -1);
        assert_true(slice_equal(buf_slice(&out), SLICE_LIT("kept")));
    }
    assert_int_equal(base64url_decode(&out, (struct slice){"Zg\0\0", 4}), -1);
    buf_deinit(&out);
}

static void every_pair_of_bytes_survives_the_way_there_and_back(void **state)
{
    (void)state;
    for (unsigned value = 0; value <= UINT16_MAX; value++) {
        unsigned char bytes[2] = {(unsigned char)(value >> 8), (unsigned char)(value & 0xff)};
        struct buf text = BUF_EMPTY;
        struct buf out = BUF_EMPTY;
        base64url_encode(&text, bytes, 2);
        assert_int_equal(text.size, 3);
        assert_int_equal(base64url_decode(&out, buf_slice(&text)), 0);
        assert_int_equal(out.size, 2);
        assert_memory_equal(out.at, bytes, 2);
        buf_deinit(&text);
        buf_deinit(&out);
    }
}

static void padding_stands_exactly_where_it_belongs(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } good[] = {
        {"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9v+/8=", "foo\xfb\xff"},
    };
    static const char *const bad[] = {
        "Zg", "Zg=", "Zg===", "====", "=", "Z===", "Zm9v====", "Zg==Zg==", "Zh==", "Zm9v-_8=",
    };
    struct buf out = BUF_EMPTY;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        buf_clear(&out);
        assert_int_equal(base64_decode(&out, slice_of(good[i].text)), 0);
        assert_true(slice_equal(buf_slice(&out), slice_of(good[i].want)));
    }
    buf_clear(&out);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (base64_decode(&out, slice_of(bad[i])) != -1) {
            fail_msg("passes: %s", bad[i]);
        }
        assert_int_equal(out.size, 0);
    }
    buf_deinit(&out);
}

static void sixty_four_characters_are_digits(void **state)
{
    (void)state;
    int count = 0;

    for (int c = 0; c < 256; c++) {
        count += base64_is_digit((char)c);
    }
    assert_int_equal(count, 64);
    assert_true(base64_is_digit('+') && base64_is_digit('/'));
    assert_false(base64_is_digit('-') || base64_is_digit('_') || base64_is_digit('='));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc_come_out),
        cmocka_unit_test(other_spellings_are_refused_and_leave_nothing_behind),
        cmocka_unit_test(every_pair_of_bytes_survives_the_way_there_and_back),
        cmocka_unit_test(padding_stands_exactly_where_it_belongs),
        cmocka_unit_test(sixty_four_characters_are_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
