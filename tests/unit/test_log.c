/* test_log.c: lines of the log, read back through a pipe in place of standard error. */
#include <errno.h>
#include <pthread.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"

static int saved_stderr, pipe_end;
static char text[65536]; /* what came through the pipe */

static void capture(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    pipe_end = ends[0];
}

/* Ends the capture; what was written is in `text`. */
static void release(void)
{
    size_t size = 0;
    ssize_t got;

    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    while ((got = read(pipe_end, text + size, sizeof(text) - 1 - size)) > 0) {
        size += (size_t)got;
    }
    text[size] = '\0';
    close(pipe_end);
}

static bool matches(const char *line, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool does = regexec(&regex, line, 0, NULL, 0) == 0;
    regfree(&regex);
    return does;
}

#define TIME_PATTERN "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "

static void a_line_is_time_level_text(void **state)
{
    (void)state;
    static const struct {
        void (*log)(const char *format, ...);
        const char *pattern;
    } cases[] = {
        {log_error, TIME_PATTERN "error bus lost code=7\n$"},
        {log_warn, TIME_PATTERN "warn bus lost code=7\n$"},
        {log_info, TIME_PATTERN "info bus lost code=7\n$"},
        {log_debug, TIME_PATTERN "debug bus lost code=7\n$"},
    };
    log_set_level(LOG_DEBUG);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        capture();
        cases[i].log("bus %s code=%d", "lost", 7);
        release();
        assert_true(matches(text, cases[i].pattern));
    }
}

static void lines_below_the_level_are_dropped(void **state)
{
    (void)state;
    for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
        log_set_level((enum log_level)level);
        assert_int_equal(log_is_debug(), level == LOG_DEBUG);
        capture();
        log_debug("0");
        log_info("1");
        log_warn("2");
        log_error("3");
        release();
        int lines = 0;
        for (const char *c = text; *c != '\0'; c++) {
            lines += *c == '\n';
        }
        assert_int_equal(lines, LOG_ERROR + 1 - level);
    }
    log_set_level(LOG_INFO);
}

static void a_line_stays_one_line_and_is_cut_at_the_end(void **state)
{
    (void)state;
    static char huge[10000];
    memset(huge, 'h', sizeof(huge) - 1);

    capture();
    log_info("a\nb\r\nc\x1b[31m\x7f\xc3\xa9");
    log_info("%s", huge);
    release();
    const char *end = strchr(text, '\n');
    assert_non_null(end);
    assert_int_equal(memcmp(end - 14, "a b  c?[31m???", 14), 0);
    assert_true(strlen(end + 1) <= 2048);
    assert_ptr_equal(strchr(end + 1, '\n'), text + strlen(text) - 1);
}

static void errno_survives_a_line(void **state)
{
    (void)state;
    int saved;

    capture();
    errno = ENOENT;
    log_info("cannot");
    saved = errno;
    release();
    assert_int_equal(saved, ENOENT);
}

static void foreign_text_cannot_leave_its_quotes(void **state)
{
    (void)state;
    static const struct {
        const char *at;
        size_t size;
        const char *want;
    } cases[] = {
        {"ann", 3, "\"ann\""},
        {NULL, 0, "\"\""},
        {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
        {"a\nb\r\t", 5, "\"a\\x0ab\\x0d\\x09\""},
        {"\0x", 2, "\"\\x00x\""},
        {"\x1b[31m\x7f", 6, "\"\\x1b[31m\\x7f\""},
        {"\xc3\xa4\xff", 3, "\"\\xc3\\xa4\\xff\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(log_quote(cases[i].at, cases[i].size), cases[i].want);
    }
}

static void foreign_text_is_cut_after_80_bytes(void **state)
{
    (void)state;
    char bytes[200];
    memset(bytes, 1, sizeof(bytes));

    assert_int_equal(strlen(log_quote(bytes, 80)), 80 * 4 + 2);
    const char *cut = log_quote(bytes, 81);
    assert_int_equal(strlen(cut), 80 * 4 + 5);
    assert_string_equal(cut + 80 * 4 + 1, "...\"");
    assert_int_equal(strlen(log_quote(bytes, sizeof(bytes))), 80 * 4 + 5);
}

static void eight_quoted_texts_live_at_the_same_time(void **state)
{
    (void)state;
    const char *texts[8];

    for (int i = 0; i < 8; i++) {
        char c = (char)('a' + i);
        texts[i] = log_quote(&c, 1);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(texts[i][1], 'a' + i);
    }
}

static void *write_lines(void *user)
{
    (void)user;
    for (int i = 0; i < 100; i++) {
        log_info("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    }
    return NULL;
}

static void threads_do_not_mix_their_lines(void **state)
{
    (void)state;
    pthread_t threads[4];

    capture();
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    release();
    int lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++) {
        *end = '\0';
        assert_true(matches(line, TIME_PATTERN "info a{40}$"));
    }
    assert_int_equal(lines, 400);
}

static void a_peer_can_provoke_ten_lines_a_second(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    int64_t start, end;
    int allowed;

    do { /* again if the second changed in between */
        allowed = 0;
        limit = (struct log_limit){0};
        start = clock_mono_ms() / 1000;
        for (int i = 0; i < 1000; i++) {
            allowed += log_allowed(&limit);
        }
        end = clock_mono_ms() / 1000;
    } while (start != end);
    assert_int_equal(allowed, LOG_BURST);
    limit.second--; /* a second later */
    assert_true(log_allowed(&limit));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_time_level_text),
        cmocka_unit_test(lines_below_the_level_are_dropped),
        cmocka_unit_test(a_line_stays_one_line_and_is_cut_at_the_end),
        cmocka_unit_test(errno_survives_a_line),
        cmocka_unit_test(foreign_text_cannot_leave_its_quotes),
        cmocka_unit_test(foreign_text_is_cut_after_80_bytes),
        cmocka_unit_test(eight_quoted_texts_live_at_the_same_time),
        cmocka_unit_test(threads_do_not_mix_their_lines),
        cmocka_unit_test(a_peer_can_provoke_ten_lines_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
