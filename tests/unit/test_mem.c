/* test_mem.c: allocation that cannot fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mem.h"

static void zeroed_memory_is_zero_and_texts_end_with_a_nul(void **state)
{
    (void)state;
    unsigned char *bytes = mem_zalloc(50, 20);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(bytes[i], 0);
    }
    mem_free(bytes);

    static const struct {
        const char *at;
        size_t size;
        const char *want;
    } cases[] = {{"hello", 5, "hello"}, {"hello", 2, "he"}, {"hello", 0, ""}, {NULL, 0, ""}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = mem_copy_text(cases[i].at, cases[i].size);
        assert_string_equal(text, cases[i].want);
        mem_free(text);
    }
}

static void nothing_is_something_too(void **state)
{
    (void)state;
    void *a = mem_alloc(0), *b = mem_zalloc(0, 8), *c = mem_realloc(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(NULL);
}

static void growing_keeps_the_contents(void **state)
{
    (void)state;
    char *text = mem_realloc(NULL, 4);
    memcpy(text, "abc", 4);
    text = mem_realloc(text, 100000);
    assert_string_equal(text, "abc");
    mem_free(text);
}

/* Nobody can have half of the address space; the variable hides it from the compiler. */
static volatile size_t too_much = SIZE_MAX / 2;

static void want_alloc(void)
{
    mem_free(mem_alloc(too_much));
}

static void want_zalloc(void)
{
    mem_free(mem_zalloc(too_much, 1));
}

static void want_overflow(void)
{
    mem_free(mem_zalloc(too_much, 16));
}

static void want_realloc(void)
{
    mem_free(mem_realloc(NULL, too_much));
}

static void exhaustion_ends_the_process_with_one_line_and_code_70(void **state)
{
    (void)state;
    static void (*const cases[])(void) = {want_alloc, want_zalloc, want_overflow, want_realloc};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0) {
            dup2(ends[1], STDERR_FILENO);
            cases[i]();
            _exit(0);
        }
        close(ends[1]);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 70);
        char line[4096] = "";
        assert_true(read(ends[0], line, sizeof(line) - 1) > 0);
        assert_non_null(strstr(line, "out of memory\n"));
        close(ends[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_memory_is_zero_and_texts_end_with_a_nul),
        cmocka_unit_test(nothing_is_something_too),
        cmocka_unit_test(growing_keeps_the_contents),
        cmocka_unit_test(exhaustion_ends_the_process_with_one_line_and_code_70),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
