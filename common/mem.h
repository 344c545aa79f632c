/*
 * mem.h: allocation that cannot fail.
 *
 * Sizes that a peer chooses are capped by the caller before they get here, so
 * running out of memory is a fault of the machine: the process says so in one
 * line and ends with exit code 70, and its supervisor starts it again.
 */
#ifndef WARREN_COMMON_MEM_H
#define WARREN_COMMON_MEM_H

#include "common/base.h"

/* `size` bytes, contents undefined. Never NULL. Freed with mem_free(). */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));

/* `count` objects of `size` bytes, all zero. Never NULL. */
void *mem_zalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

/* Changes the size as realloc() does; `old` may be NULL. Never NULL for size > 0. */
void *mem_realloc(void *old, size_t size);

/* A NUL-terminated copy of `size` bytes at `at`. */
char *mem_copy_text(const char *at, size_t size) __attribute__((malloc, returns_nonnull));

/* Accepts NULL. */
void mem_free(void *p);

/* The end: for libraries that report the exhaustion. */
_Noreturn void mem_exhausted(void);

/* One zeroed object: struct thing *t = mem_new(struct thing). */
#define mem_new(type) ((type *)mem_zalloc(1, sizeof(type)))

#endif
