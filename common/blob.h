/*
 * blob.h: immutable bytes with many owners.
 *
 * A record is encoded once and then sits in the out-queues of all subscribers
 * at the same time. A blob is that one copy. It is filled before it is shared
 * and never written again, so its owners need no coordination, only a count.
 * All owners live in one thread: the count is a plain integer. (A blob may be
 * handed from one thread to another while it has exactly one owner.)
 */
#ifndef WARREN_COMMON_BLOB_H
#define WARREN_COMMON_BLOB_H

#include "common/base.h"

struct blob {
    uint32_t refs; /* owners, at least 1 while the blob lives */
    uint32_t size; /* bytes */
    char bytes[];  /* fixed once the second reference is taken */
};

/* Room for `size` bytes, contents undefined, one reference. */
struct blob *blob_new(uint32_t size) MUST_CHECK;

/* A blob with a copy of the bytes, one reference. */
struct blob *blob_copy(const void *at, size_t size) MUST_CHECK;

/* Takes one more reference and returns its argument. */
static inline struct blob *blob_ref(struct blob *b)
{
    assert(b->refs > 0);
    b->refs++;
    return b;
}

/* Drops one reference; accepts NULL; always returns NULL. */
struct blob *blob_unref(struct blob *b);

static inline struct slice blob_slice(const struct blob *b)
{
    return (struct slice){b->bytes, b->size};
}

#endif
