/* test_stats.c: metrics and the text that Prometheus reads. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mem.h"
#include "common/stats.h"

static const char *text_of(struct buf *b)
{
    buf_add_char(b, '\0');
    return b->at;
}

static void counters_add_and_gauges_go_down(void **state)
{
    (void)state;
    stat_value v = 0;

    stat_add(&v, 5);
    stat_add(&v, 0);
    stat_sub(&v, 2);
    assert_int_equal(stat_get(&v), 3);
    stat_set(&v, UINT64_MAX);
    assert_int_equal(stat_get(&v), UINT64_MAX);
}

static void lines_have_the_form_that_prometheus_wants(void **state)
{
    (void)state;
    struct buf out = BUF_EMPTY;

    stats_head(&out, "warren_x_total", "counter", "How many x.");
    stats_line(&out, "warren_x_total", "", 7);
    stats_line(&out, "warren_x_total", "reason=\"slow\"", UINT64_MAX);
    assert_string_equal(text_of(&out), "# HELP warren_x_total How many x.\n"
                                       "# TYPE warren_x_total counter\n"
                                       "warren_x_total 7\n"
                                       "warren_x_total{reason=\"slow\"} 18446744073709551615\n");
    buf_deinit(&out);
}

static void an_observation_falls_into_the_first_bucket_that_holds_it(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        size_t bucket;
    } cases[] = {
        {-5, 0},       {0, 0},        {100, 0},       {101, 1},       {200, 1},
        {201, 2},      {500, 2},      {501, 3},       {1000, 3},      {1001, 4},
        {1000000, 12}, {1000001, 13}, {10000000, 15}, {10000001, 16}, {INT64_MAX / 2, 16},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct histogram h = {0};
        histogram_add(&h, cases[i].us);
        for (size_t j = 0; j <= STATS_BUCKETS; j++) {
            assert_int_equal(stat_get(&h.buckets[j]), j == cases[i].bucket);
        }
        assert_int_equal(stat_get(&h.sum_us), cases[i].us > 0 ? cases[i].us : 0);
    }
}

static void a_histogram_is_cumulative_and_in_seconds(void **state)
{
    (void)state;
    static const int64_t seen[] = {50, 150, 150, 700, 30000, 1500000, 20000000};
    struct histogram h = {0};
    struct buf out = BUF_EMPTY;

    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        histogram_add(&h, seen[i]);
    }
    stats_histogram(&out, "t_seconds", "Time.", &h);
    assert_string_equal(text_of(&out), "# HELP t_seconds Time.\n"
                                       "# TYPE t_seconds histogram\n"
                                       "t_seconds_bucket{le=\"0.0001\"} 1\n"
                                       "t_seconds_bucket{le=\"0.0002\"} 3\n"
                                       "t_seconds_bucket{le=\"0.0005\"} 3\n"
                                       "t_seconds_bucket{le=\"0.001\"} 4\n"
                                       "t_seconds_bucket{le=\"0.002\"} 4\n"
                                       "t_seconds_bucket{le=\"0.005\"} 4\n"
                                       "t_seconds_bucket{le=\"0.01\"} 4\n"
                                       "t_seconds_bucket{le=\"0.02\"} 4\n"
                                       "t_seconds_bucket{le=\"0.05\"} 5\n"
                                       "t_seconds_bucket{le=\"0.1\"} 5\n"
                                       "t_seconds_bucket{le=\"0.2\"} 5\n"
                                       "t_seconds_bucket{le=\"0.5\"} 5\n"
                                       "t_seconds_bucket{le=\"1\"} 5\n"
                                       "t_seconds_bucket{le=\"2\"} 6\n"
                                       "t_seconds_bucket{le=\"5\"} 6\n"
                                       "t_seconds_bucket{le=\"10\"} 6\n"
                                       "t_seconds_bucket{le=\"+Inf\"} 7\n"
                                       "t_seconds_sum 21.531050\n"
                                       "t_seconds_count 7\n");
    buf_deinit(&out);
}

/* The value of the line of that name. */
static double value_of(const char *text, const char *name)
{
    char start[128];
    snprintf(start, sizeof(start), "\n%s ", name);
    const char *line = strstr(text, start);
    assert_non_null(line);
    return strtod(line + strlen(start), NULL);
}

static void the_process_tells_its_memory_descriptors_and_time(void **state)
{
    (void)state;
    struct buf before = BUF_EMPTY, after = BUF_EMPTY;

    stats_process(&before, "warren_test");
    int fd = open("/dev/null", O_RDONLY);
    stats_process(&after, "warren_test");
    close(fd);
    const char *a = text_of(&before), *b = text_of(&after);
    assert_true(value_of(a, "warren_test_process_resident_memory_bytes") > 100000);
    assert_true(value_of(a, "warren_test_process_open_fds") >= 3);
    assert_true(value_of(b, "warren_test_process_open_fds") ==
                value_of(a, "warren_test_process_open_fds") + 1);
    assert_true(value_of(a, "warren_test_process_cpu_seconds_total") >= 0);
    assert_non_null(strstr(a, "# TYPE warren_test_process_cpu_seconds_total counter\n"));
    buf_deinit(&before);
    buf_deinit(&after);
}

static void what_is_allocated_is_told_where_it_is_counted(void **state)
{
    (void)state;
    struct buf before = BUF_EMPTY, after = BUF_EMPTY;
    static const char name[] = "warren_test_process_allocated_bytes";

    stats_process(&before, "warren_test");
    void *kept = mem_alloc(100000);
    stats_process(&after, "warren_test");
    mem_free(kept);
    const char *a = text_of(&before), *b = text_of(&after);
#ifdef __SANITIZE_ADDRESS__
    assert_in_range(value_of(b, name) - value_of(a, name), 100000, 110000);
#else
    assert_null(strstr(a, name));
    assert_null(strstr(b, name));
#endif
    buf_deinit(&before);
    buf_deinit(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_add_and_gauges_go_down),
        cmocka_unit_test(lines_have_the_form_that_prometheus_wants),
        cmocka_unit_test(an_observation_falls_into_the_first_bucket_that_holds_it),
        cmocka_unit_test(a_histogram_is_cumulative_and_in_seconds),
        cmocka_unit_test(the_process_tells_its_memory_descriptors_and_time),
        cmocka_unit_test(what_is_allocated_is_told_where_it_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
