/*
 * hash.h: one seeded hash for all maps, one frozen hash for partitions.
 *
 * Include this before or instead of <uthash.h>: it makes uthash use
 * hash_seeded(), so that nobody outside can aim at one bucket. The seed is
 * random for each process; nothing that leaves the process depends on it.
 */
#ifndef WARREN_COMMON_HASH_H
#define WARREN_COMMON_HASH_H

#include "common/base.h"

/* XXH3 with the random seed of this process. */
uint32_t hash_seeded(const void *at, size_t size);

/* XXH3_64 without a seed: the same for ever and everywhere. */
uint64_t hash_frozen(const void *at, size_t size);

/* Fills `at` with random bytes from the kernel. */
void hash_random(void *at, size_t size);

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = hash_seeded((keyptr), (keylen)))
#define uthash_malloc(size) mem_alloc(size)
#define uthash_free(pointer, size) mem_free(pointer)
#include "common/mem.h"
#include <uthash.h>

#endif
