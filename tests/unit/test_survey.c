/*
 * test_survey.c: surveys and reports are read back as they were written, and nothing else is one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/survey.h"
#include "tests/unit/vectors.h"

static int read_survey(struct slice *rest, struct buf *again)
{
    struct survey s;
    int answer = survey_next(rest, &s);

    if (answer == 0) {
        survey_encode(again, &s);
    }
    return answer;
}

static int read_report(struct slice *rest, struct buf *again)
{
    struct report r;
    int answer = report_next(rest, &r);

    if (answer == 0) {
        report_encode(again, &r);
    }
    return answer;
}

static void both_are_read_and_written_as_the_vectors_say(void **state)
{
    (void)state;

    assert_vectors_there_and_back("survey", read_survey, SURVEY_BAD, SURVEY_BAD);
    assert_vectors_there_and_back("report", read_report, SURVEY_BAD, SURVEY_BAD);
}

static void all_fields_of_a_report_are_told_apart(void **state)
{
    struct slice rest = SLICE_LIT(
        "{\"uid\":\"0123456789abcdef\",\"name\":\"n\",\"version\":\"v\",\"num_clients\":1,"
        "\"num_users\":2,\"num_subs\":3,\"num_channels\":4,\"uptime\":5,\"obeyed\":6,"
        "\"more\":true}\n{\"room\":\"r\",\"clients\":7}\n");
    struct report r;
    (void)state;

    assert_int_equal(report_next(&rest, &r), 0);
    assert_true(slice_equal(r.uid, SLICE_LIT("0123456789abcdef")));
    assert_true(slice_equal(r.name, SLICE_LIT("n")) && slice_equal(r.version, SLICE_LIT("v")));
    assert_true(r.num_clients == 1 && r.num_users == 2 && r.num_subs == 3 && r.num_channels == 4);
    assert_true(r.uptime == 5 && r.obeyed == 6 && r.more);
    assert_true(
        slice_equal(rest, SLICE_LIT("{\"room\":\"r\",\"clients\":7}\n"))); /* lines follow */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_are_read_and_written_as_the_vectors_say),
        cmocka_unit_test(all_fields_of_a_report_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
