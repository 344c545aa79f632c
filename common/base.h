/*
 * base.h: the few words every file uses: attributes, slices, container_of.
 *
 * A slice borrows bytes that somebody else keeps alive; it is not terminated by
 * a NUL. No code here needs a .c file.
 */
#ifndef WARREN_COMMON_BASE_H
#define WARREN_COMMON_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* The object of `type` whose `member` lives at `pointer`. */
#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Borrowed bytes. `at` may be NULL only when `size` is 0. */
struct slice {
    const char *at;
    size_t size;
};

#define SLICE_NONE ((struct slice){NULL, 0})
#define SLICE_LIT(text) ((struct slice){"" text, sizeof(text) - 1})

static inline struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

/* Without the blanks and tabs around it (RFC 9110 5.6.3). */
static inline struct slice slice_trim(struct slice s)
{
    while (s.size > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) {
        s.at++;
        s.size--;
    }
    while (s.size > 0 && (s.at[s.size - 1] == ' ' || s.at[s.size - 1] == '\t')) {
        s.size--;
    }
    return s;
}

/* For printf: printf("%.*s", SLICE_ARG(s)). */
#define SLICE_ARG(s) (int)(s).size, (s).at != NULL ? (s).at : ""

#endif
