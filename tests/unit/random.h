/*
 * random.h: numbers that look random and are the same in every run.
 */
#ifndef WARREN_TESTS_UNIT_RANDOM_H
#define WARREN_TESTS_UNIT_RANDOM_H

#include <stdint.h>

/* Xorshift (Marsaglia): `*seed` must not be 0. */
static inline uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

#endif
