/*
 * blob.c: birth and death of blobs; see blob.h for the rest.
 */
#include "common/blob.h"

#include "common/mem.h"

struct blob *blob_new(uint32_t size)
{
    struct blob *b = mem_alloc(sizeof(*b) + size);
    b->refs = 1;
    b->size = size;
    return b;
}

struct blob *blob_copy(const void *at, size_t size)
{
    assert(size <= UINT32_MAX);
    struct blob *b = blob_new((uint32_t)size);
    if (size > 0) {
        memcpy(b->bytes, at, size);
    }
    return b;
}

struct blob *blob_unref(struct blob *b)
{
    if (b != NULL) {
        assert(b->refs > 0);
        if (--b->refs == 0) {
            mem_free(b);
        }
    }
    return NULL;
}
