/*
 * fuzz.h: what the fuzz targets share.
 *
 * A target is one file fuzz_<name>.c with LLVMFuzzerTestOneInput(), a row in meson.build and a
 * folder corpus/<name>. Built with libFuzzer (tests/fuzz/run) it looks for new inputs; built as an
 * ordinary program (main.c) it goes through the corpus, and through every cut and some changes of
 * each file in it.
 *
 * An execution costs microseconds: what is the same for all inputs is made once, and nothing is
 * asked of the kernel.
 */
#ifndef WARREN_TESTS_FUZZ_FUZZ_H
#define WARREN_TESTS_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "common/base.h"
#include "common/buf.h"
#include "common/hash.h"
#include "tests/unit/random.h"

/* The target. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* fuzz_conf.c's: stands in for file_read(), see meson.build. */
int __wrap_file_read(const char *path, size_t max, struct buf *out, const char **reason);

/* What must be true of every input. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            dprintf(2, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                   \
            abort();                                                                               \
        }                                                                                          \
    } while (false)

/* Numbers that depend on the input and on nothing else; never 0. */
static inline uint64_t fuzz_seed(const uint8_t *data, size_t size)
{
    return hash_frozen(data, size) | 1;
}

/* The size of the next part of an input that is cut at random: 1 to `left`, often small. */
static inline size_t fuzz_part(uint64_t *seed, size_t left)
{
    uint64_t number = random_next(seed);
    size_t max = (number & 3) == 0 ? left : MIN(left, (size_t)(number >> 8 & 15) + 1);

    return 1 + (size_t)(number >> 16) % max;
}

/* True if the slice lies within the other one; empty ones lie everywhere. */
static inline bool fuzz_within(struct slice inner, struct slice outer)
{
    return inner.size == 0 || (outer.size > 0 && inner.at >= outer.at &&
                               inner.at + inner.size <= outer.at + outer.size);
}

/* Takes the next line off an input, without its LF. */
static inline struct slice fuzz_take_line(struct slice *rest)
{
    const char *end = rest->size > 0 ? memchr(rest->at, '\n', rest->size) : NULL;
    struct slice line = {rest->at, end != NULL ? (size_t)(end - rest->at) : rest->size};
    size_t taken = line.size + (end != NULL);

    *rest = (struct slice){taken > 0 ? rest->at + taken : rest->at, rest->size - taken};
    return line;
}

/*
 * Ways to go about one input, 0 to `count` - 1: all of them, or with FUZZ_QUICK one, which depends
 * on the input. A fuzzer tries so many inputs that look alike that each way gets its share, and
 * many more of them in the same time.
 *
 *     for (struct fuzz_ways way = fuzz_ways(&seed, 3); way.is < way.end; way.is++)
 */
struct fuzz_ways {
    size_t is, end;
};

static inline struct fuzz_ways fuzz_ways(uint64_t *seed, size_t count)
{
#ifdef FUZZ_QUICK
    size_t one = (size_t)(random_next(seed) >> 32) % count;

    return (struct fuzz_ways){one, one + 1};
#else
    (void)seed;
    return (struct fuzz_ways){0, count};
#endif
}

/* Bytes that end where their memory ends, whatever stands behind them; only for the sanitizers, so
 * not with FUZZ_QUICK. fuzz_free() when they were read. */
static inline const char *fuzz_copy(const void *data, size_t size)
{
#ifdef FUZZ_QUICK
    (void)size;
    return data;
#else
    char *copy = malloc(size > 0 ? size : 1);

    FUZZ_CHECK(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
#endif
}

static inline void fuzz_free(const char *copy)
{
#ifdef FUZZ_QUICK
    (void)copy;
#else
    free((void *)(uintptr_t)copy);
#endif
}

#endif
