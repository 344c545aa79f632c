/*
 * test_json_values.c: walking objects, and texts and numbers out of JSON and into it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/json.h"

static void members_are_walked_in_their_order(void **state)
{
    static const char text[] =
        " { \"a\" : 1 , \"b\\n\":\" x \",\"\":{ \"a\":[1, 2] } ,\"c\":[ {} ]\t}\n";
    static const char *const want[] = {"a", "1",     "b\\n", "\" x \"", "", "{ \"a\":[1, 2] }",
                                       "c", "[ {} ]"};
    struct json_object o;
    struct json_member m;
    size_t i = 0;
    (void)state;

    assert_true(json_object_open(&o, slice_of(text)));
    while (json_object_next(&o, &m)) {
        assert_true(i < ARRAY_LEN(want));
        assert_true(slice_equal(m.key, slice_of(want[i])));
        assert_true(slice_equal(m.value, slice_of(want[i + 1])));
        i += 2;
    }
    assert_int_equal(i, ARRAY_LEN(want));
    assert_false(json_object_next(&o, &m));
    assert_true(slice_equal(json_get(slice_of(text), "c"), SLICE_LIT("[ {} ]")));
    assert_true(slice_equal(json_get(slice_of(text), ""), SLICE_LIT("{ \"a\":[1, 2] }")));
    assert_int_equal(json_get(slice_of(text), "d").size, 0);
    assert_int_equal(json_get(SLICE_LIT("[1]"), "a").size, 0);
    assert_int_equal(json_get(SLICE_NONE, "a").size, 0);
}

static void only_objects_are_opened(void **state)
{
    static const char *const texts[] = {"[]", "1", "\"{}\"", "null", "", " "};
    struct json_object o;
    struct json_member m;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_false(json_object_open(&o, slice_of(texts[i])));
    }
    assert_true(json_object_open(&o, SLICE_LIT("{}")));
    assert_false(json_object_next(&o, &m));
}

static void duplicates_are_found_as_written(void **state)
{
    static const struct {
        const char *text;
        size_t max;
        bool want;
    } cases[] = {
        {"{}", 0, false},
        {"{\"a\":1}", 1, false},
        {"{\"a\":1}", 0, true},
        {"{\"a\":1,\"b\":2}", 2, false},
        {"{\"a\":1,\"b\":2}", 1, true},
        {"{\"a\":1,\"a\":2}", 8, true},
        {"{\"a\":1,\"b\":{\"a\":1},\"c\":3}", 8, false},
        {"{\"a\":1,\"b\":{\"a\":1},\"b\":3}", 8, true},
        {"{\"a\":1,\"\\u0061\":2}", 8, false},
        {"{\"\":1,\"\":2}", 8, true},
        {"[1,1]", 8, false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(json_has_duplicates(slice_of(cases[i].text), cases[i].max), cases[i].want);
    }
}

static void escapes_are_decoded_and_written(void **state)
{
    static const struct {
        const char *inside, *plain, *again; /* again: NULL if it is written as it was */
    } cases[] = {
        {"", "", NULL},
        {"abc", "abc", NULL},
        {"\\\"\\\\", "\"\\", NULL},
        {"\\/", "/", "/"},
        {"\\b\\f\\n\\r\\t", "\b\f\n\r\t", NULL},
        {"\\u0001\\u001f", "\x01\x1f", NULL},
        {"\\u0041", "A", "A"},
        {"\\u007f\\u0080\\u07ff", "\x7f\xc2\x80\xdf\xbf", "\x7f\xc2\x80\xdf\xbf"},
        {"\\u0800\\uFFFF", "\xe0\xa0\x80\xef\xbf\xbf", "\xe0\xa0\x80\xef\xbf\xbf"},
        {"\\ud83d\\ude00", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"\\uD800\\uDC00\\udbff\\udfff", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
         "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"a\\nb\\nc", "a\nb\nc", NULL},
        {"\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80", NULL},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf plain = BUF_EMPTY, again = BUF_EMPTY;
        const char *want = cases[i].again != NULL ? cases[i].again : cases[i].inside;

        buf_add_char(&plain, '>');
        json_unescape(&plain, slice_of(cases[i].inside));
        buf_consume(&plain, 1);
        assert_true(slice_equal(buf_slice(&plain), slice_of(cases[i].plain)));
        json_escape(&again, buf_slice(&plain));
        assert_true(slice_equal(buf_slice(&again), slice_of(want)));
        buf_deinit(&plain);
        buf_deinit(&again);
    }
}

static void whole_numbers_are_read_exactly(void **state)
{
    static const struct {
        const char *text;
        bool is_u64, is_i64;
        uint64_t u64;
        int64_t i64;
    } cases[] = {
        {"0", true, true, 0, 0},
        {"7", true, true, 7, 7},
        {"1790000000123", true, true, 1790000000123, 1790000000123},
        {"9223372036854775807", true, true, INT64_MAX, INT64_MAX},
        {"9223372036854775808", true, false, 9223372036854775808u, 0},
        {"18446744073709551615", true, false, UINT64_MAX, 0},
        {"18446744073709551616", false, false, 0, 0},
        {"18446744073709551620", false, false, 0, 0},
        {"99999999999999999999", false, false, 0, 0},
        {"100000000000000000000", false, false, 0, 0},
        {"-1", false, true, 0, -1},
        {"-9223372036854775808", false, true, 0, INT64_MIN},
        {"-9223372036854775809", false, false, 0, 0},
        {"-0", false, false, 0, 0},
        {"-", false, false, 0, 0},
        {"--1", false, false, 0, 0},
        {"", false, false, 0, 0},
        {"1.0", false, false, 0, 0},
        {"1e3", false, false, 0, 0},
        {"1e999", false, false, 0, 0},
        {"007", false, false, 0, 0},
        {"-01", false, false, 0, 0},
        {"+1", false, false, 0, 0},
        {" 1", false, false, 0, 0},
        {"1 ", false, false, 0, 0},
        {"\"1\"", false, false, 0, 0},
        {"true", false, false, 0, 0},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t u64 = 42;
        int64_t i64 = 42;
        assert_int_equal(json_u64(slice_of(cases[i].text), &u64), cases[i].is_u64);
        assert_int_equal(json_i64(slice_of(cases[i].text), &i64), cases[i].is_i64);
        assert_true(u64 == (cases[i].is_u64 ? cases[i].u64 : 42));
        assert_true(i64 == (cases[i].is_i64 ? cases[i].i64 : 42));
    }
}

static void only_true_and_false_are_flags(void **state)
{
    static const char *const others[] = {"1", "0", "null", "\"true\"", "True", "", "truee", "{}"};
    bool flag = false;
    (void)state;

    assert_true(json_bool(SLICE_LIT("true"), &flag) && flag);
    assert_true(json_bool(SLICE_LIT("false"), &flag) && !flag);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_false(json_bool(slice_of(others[i]), &flag));
    }
}

static void flattening_takes_line_breaks_and_nothing_else(void **state)
{
    struct buf b = BUF_EMPTY;
    (void)state;

    json_add_flat(&b, SLICE_LIT("{\r\n\t\"a\\n\" :\n [ 1.0,\n\n-0 ]\r}"));
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("{\t\"a\\n\" : [ 1.0,-0 ]}")));
    json_add_flat(&b, SLICE_LIT("[1]"));
    json_add_flat(&b, SLICE_NONE);
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("{\t\"a\\n\" : [ 1.0,-0 ]}[1]")));
    buf_deinit(&b);
}

static void elements_are_walked_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"[]", ""},
        {" [ ] ", ""},
        {"[1]", "1;"},
        {"[ 1 , \"a,]\" ,[2,3], {\"b\":[4]} ]", "1;\"a,]\";[2,3];{\"b\":[4]};"},
    };
    static const char *const others[] = {"{}", "1", "\"[]\"", "null"};
    struct json_array a;
    struct slice value;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf got = BUF_EMPTY;

        assert_true(json_array_open(&a, slice_of(cases[i].text)));
        while (json_array_next(&a, &value)) {
            buf_add_slice(&got, value);
            buf_add_char(&got, ';');
        }
        assert_true(slice_equal(buf_slice(&got), slice_of(cases[i].want)));
        buf_deinit(&got);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_false(json_array_open(&a, slice_of(others[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_walked_in_their_order),
        cmocka_unit_test(only_objects_are_opened),
        cmocka_unit_test(duplicates_are_found_as_written),
        cmocka_unit_test(escapes_are_decoded_and_written),
        cmocka_unit_test(whole_numbers_are_read_exactly),
        cmocka_unit_test(only_true_and_false_are_flags),
        cmocka_unit_test(flattening_takes_line_breaks_and_nothing_else),
        cmocka_unit_test(elements_are_walked_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
