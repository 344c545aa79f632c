/* test_conf.c: one value at a time: what conf_set() takes and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/conf.h"

struct settings {
    char *text;
    int64_t number;
    bool flag;
};

#define AT(field) offsetof(struct settings, field)

static const struct conf_key text_key = {"s", "t", CONF_TEXT, AT(text), "", 0, 0, ""};
static const struct conf_key secret_key = {"s", "t", CONF_SECRET, AT(text), "", 0, 0, ""};
static const struct conf_key number_key = {"s", "n", CONF_NUMBER, AT(number), "1", -5, 100, ""};
static const struct conf_key wide_key = {"s", "n",       CONF_NUMBER, AT(number),
                                         "1", INT64_MIN, INT64_MAX,   ""};
static const struct conf_key size_key = {"s", "n",     CONF_SIZE,        AT(number),
                                         "1", 1 << 10, INT64_C(1) << 40, ""};
static const struct conf_key wait_key = {"s",  "n", CONF_DURATION, AT(number),
                                         "1s", 0,   7 * 86400000,  ""};
static const struct conf_key flag_key = {"s", "f", CONF_BOOL, AT(flag), "no", 0, 0, ""};

static void texts_are_taken_as_they_are(void **state)
{
    (void)state;
    static const char *const cases[] = {"", "a", "a # b", "  x", "\xc3\xa4", "a=b:c"};
    struct settings s = {0};
    char why[100];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(conf_set(&text_key, &s, cases[i], why, sizeof(why)), 0);
        assert_string_equal(s.text, cases[i]);
        assert_int_equal(conf_set(&secret_key, &s, s.text, why, sizeof(why)), 0);
        assert_string_equal(s.text, cases[i]);
    }
    const struct conf_table table = {.keys = &text_key, .count = 1};
    conf_free(&table, &s);
    assert_null(s.text);
    conf_free(&table, &s);
}

static void numbers_sizes_and_durations_are_read_with_their_units(void **state)
{
    (void)state;
    static const struct {
        const struct conf_key *key;
        const char *value;
        int64_t want;
    } cases[] = {
        {&number_key, "0", 0},
        {&number_key, "-5", -5},
        {&number_key, "100", 100},
        {&number_key, "007", 7},
        {&wide_key, "9223372036854775807", INT64_MAX},
        {&size_key, "1024", 1024},
        {&size_key, "64k", 65536},
        {&size_key, "64K", 65536},
        {&size_key, "16m", 16 << 20},
        {&size_key, "1g", 1 << 30},
        {&wait_key, "0", 0},
        {&wait_key, "500ms", 500},
        {&wait_key, "10s", 10000},
        {&wait_key, "5m", 300000},
        {&wait_key, "24h", 86400000},
        {&wait_key, "7d", 7 * 86400000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct settings s = {.number = -77};
        char why[100];
        assert_int_equal(conf_set(cases[i].key, &s, cases[i].value, why, sizeof(why)), 0);
        assert_int_equal(s.number, cases[i].want);
    }
}

static void bad_numbers_are_refused_and_change_nothing(void **state)
{
    (void)state;
    static const struct {
        const struct conf_key *key;
        const char *value;
    } cases[] = {
        {&number_key, ""},
        {&number_key, "-"},
        {&number_key, "+1"},
        {&number_key, "1 "},
        {&number_key, " 1"},
        {&number_key, "1x"},
        {&number_key, "1k"},
        {&number_key, "0x10"},
        {&number_key, "1.5"},
        {&number_key, "1e1"},
        {&number_key, "101"},
        {&number_key, "-6"},
        {&wide_key, "9223372036854775808"},
        {&wide_key, "99999999999999999999999999"},
        {&size_key, "1023"},
        {&size_key, "1025g"},
        {&size_key, "9999999999g"},
        {&size_key, "64kb"},
        {&size_key, "64 k"},
        {&size_key, "k"},
        {&size_key, "-64k"},
        {&wait_key, "10"},
        {&wait_key, "s"},
        {&wait_key, "1w"},
        {&wait_key, "8d"},
        {&wait_key, "-1s"},
        {&wait_key, "1h30m"},
        {&wait_key, "9223372036854775807d"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct settings s = {.number = 55};
        char why[200] = "";
        assert_int_equal(conf_set(cases[i].key, &s, cases[i].value, why, sizeof(why)), -1);
        assert_int_equal(s.number, 55);
        assert_non_null(strstr(why, "must be"));
    }
}

static void a_refusal_tells_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        const struct conf_key *key;
        const char *value, *want;
    } cases[] = {
        {&number_key, "x\n", "must be a number from -5 to 100, not \"x\\x0a\""},
        {&size_key, "x", "must be a size such as 64k, 16m or 1g from 1k to 1024g, not \"x\""},
        {&wait_key, "10",
         "must be a duration such as 500ms, 10s, 5m, 24h or 7d from 0 to 7d, not \"10\""},
        {&flag_key, "maybe", "must be yes or no, not \"maybe\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct settings s = {0};
        char why[200], small[8];
        assert_int_equal(conf_set(cases[i].key, &s, cases[i].value, why, sizeof(why)), -1);
        assert_string_equal(why, cases[i].want);
        assert_int_equal(conf_set(cases[i].key, &s, cases[i].value, small, sizeof(small)), -1);
        assert_string_equal(small, "must be");
    }
}

static void yes_and_no_have_four_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool want;
    } cases[] = {
        {"yes", true},  {"no", false}, {"true", true}, {"false", false}, {"on", true},
        {"off", false}, {"1", true},   {"0", false},   {"YES", true},    {"No", false},
    };
    static const char *const bad[] = {"", "y", "n", "2", "yes ", "nope", "enabled"};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct settings s = {.flag = !cases[i].want};
        char why[100];
        assert_int_equal(conf_set(&flag_key, &s, cases[i].value, why, sizeof(why)), 0);
        assert_int_equal(s.flag, cases[i].want);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct settings s = {0};
        char why[100];
        assert_int_equal(conf_set(&flag_key, &s, bad[i], why, sizeof(why)), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_taken_as_they_are),
        cmocka_unit_test(numbers_sizes_and_durations_are_read_with_their_units),
        cmocka_unit_test(bad_numbers_are_refused_and_change_nothing),
        cmocka_unit_test(a_refusal_tells_what_would_be_right),
        cmocka_unit_test(yes_and_no_have_four_spellings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
