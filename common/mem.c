/*
 * mem.c: the only caller of malloc(). Says so and ends when there is none left.
 */
#include "common/mem.h"

#include <stdlib.h>
#include <unistd.h>

#define MEM_EXIT_CODE 70 /* EX_SOFTWARE: the supervisor starts us again */

/* Nothing here may allocate: no stdio, no log. */
_Noreturn void mem_exhausted(void)
{
    static const char line[] = "out of memory\n";
    ssize_t written = write(STDERR_FILENO, line, sizeof(line) - 1);
    (void)written; /* nobody is left to be told */
    _exit(MEM_EXIT_CODE);
}

void *mem_alloc(size_t size)
{
    void *p = malloc(MAX(size, 1));
    if (p == NULL) {
        mem_exhausted();
    }
    return p;
}

void *mem_zalloc(size_t count, size_t size)
{
    void *p = calloc(MAX(count, 1), MAX(size, 1));
    if (p == NULL) {
        mem_exhausted();
    }
    return p;
}

void *mem_realloc(void *old, size_t size)
{
    void *p = realloc(old, MAX(size, 1));
    if (p == NULL) {
        mem_exhausted();
    }
    return p;
}

char *mem_copy_text(const char *at, size_t size)
{
    char *text = mem_alloc(size + 1);
    if (size > 0) {
        memcpy(text, at, size);
    }
    text[size] = '\0';
    return text;
}

void mem_free(void *p)
{
    free(p);
}
