/*
 * buf.h: growable bytes.
 *
 * An inert buffer is BUF_EMPTY; buf_deinit() is legal from there on. Growth
 * doubles; callers cap what a peer can make them append.
 */
#ifndef WARREN_COMMON_BUF_H
#define WARREN_COMMON_BUF_H

#include "common/base.h"

struct buf {
    char *at;        /* owns; NULL while capacity is 0 */
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
};

#define BUF_EMPTY ((struct buf){NULL, 0, 0})

/* Frees the bytes and makes the buffer inert. */
void buf_deinit(struct buf *b);

/* Forgets the contents, keeps the memory. */
static inline void buf_clear(struct buf *b)
{
    b->size = 0;
}

/* Makes room for `more` further bytes and returns where they go; buf_grew() counts them in. */
char *buf_reserve(struct buf *b, size_t more);

/* Counts in `size` bytes that were written at buf_reserve(). */
static inline void buf_grew(struct buf *b, size_t size)
{
    assert(b->capacity - b->size >= size);
    b->size += size;
}

/* Appends bytes, a slice, one byte, a decimal number, formatted text. */
void buf_add(struct buf *b, const void *at, size_t size);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_char(struct buf *b, char c);
void buf_add_u64(struct buf *b, uint64_t value);
void buf_addf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Appends a string literal. */
#define buf_add_lit(b, text) buf_add((b), "" text, sizeof(text) - 1)

/* Removes `size` bytes from the front. */
void buf_consume(struct buf *b, size_t size);

/* The contents, borrowed until the next change. */
static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->at, b->size};
}

#endif
