/*
 * test_close.c: the table of reasons to end a session.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/session/close.h"
#include "tests/unit/vectors.h"

static void every_reason_has_a_code_that_fits_its_meaning_a_label_and_a_text(void **state)
{
    (void)state;
    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        enum close_reason reason = (enum close_reason)i;
        assert_true(close_code(reason) >= 1000 && close_code(reason) < 4000);
        assert_true(strlen(close_label(reason)) > 0);
        assert_in_range(strlen(close_text(reason)), 1, 123);
        assert_int_not_equal(close_text(reason)[0], '{');
    }
    assert_int_equal(close_code(CLOSE_BAD_UTF8), 1007);
    assert_int_equal(close_code(CLOSE_SHUTDOWN), 3001);
    assert_string_equal(close_label(CLOSE_SLOW), "slow");
}

static void labels_are_different_and_safe_in_a_metric(void **state)
{
    (void)state;
    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        const char *label = close_label((enum close_reason)i);
        assert_int_equal(strspn(label, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(label));
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(label, close_label((enum close_reason)k));
        }
    }
}

/* Of the protocol's own range: those below are RFC 6455's. */
static void codes_and_words_are_those_of_the_protocol(void **state)
{
    (void)state;
    bool is_known[CLOSE_REASON_COUNT] = {false};
    struct vectors v = vectors_open("close");

    while (vectors_next(&v)) {
        bool is_found = false;
        uint64_t code;

        assert_true(json_u64(json_get(v.now, "code"), &code));
        for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
            enum close_reason reason = (enum close_reason)i;
            if (close_code(reason) == code) {
                struct slice words = json_inside(json_get(v.now, "reason"));
                assert_true(slice_equal(words, slice_of(close_text(reason))));
                is_found = is_known[i] = true;
            }
        }
        struct slice told = slice_of(close_words((uint16_t)code));
        assert_true(slice_equal(told, json_inside(json_get(v.now, "reason"))));
        if (!is_found) {
            fail_msg("%.*s: no session ends so", VECTOR_NAME(&v));
        }
    }
    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        assert_true(is_known[i] || close_code((enum close_reason)i) < 3000);
    }
}

static void other_codes_have_no_words_of_the_protocol(void **state)
{
    static const uint16_t others[] = {0, 999, 1000, 1009, 2999, 3002, 3499, 3510, 4000, 65535};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_null(close_words(others[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_a_code_that_fits_its_meaning_a_label_and_a_text),
        cmocka_unit_test(codes_and_words_are_those_of_the_protocol),
        cmocka_unit_test(other_codes_have_no_words_of_the_protocol),
        cmocka_unit_test(labels_are_different_and_safe_in_a_metric),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
