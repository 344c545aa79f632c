/*
 * hash.c: XXH3 with and without a seed, and the kernel's random bytes.
 */
#include "common/hash.h"

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>
#include <xxhash.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t seed; /* written once, before the first hash */

static void draw_seed(void)
{
    hash_random(&seed, sizeof(seed));
}

uint32_t hash_seeded(const void *at, size_t size)
{
    pthread_once(&once, draw_seed);
    return (uint32_t)XXH3_64bits_withSeed(at, size, seed);
}

uint64_t hash_frozen(const void *at, size_t size)
{
    return XXH3_64bits(at, size);
}

void hash_random(void *at, size_t size)
{
    char *next = at;

    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);
        if (got < 0) {
            assert(errno == EINTR); /* no other failure exists for memory of our own */
            continue;
        }
        next += got;
        size -= (size_t)got;
    }
}
