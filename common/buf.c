/*
 * buf.c: growth by doubling, and the few ways to append.
 */
#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/mem.h"

#define BUF_CAPACITY_MIN 64
#define BUF_U64_DIGITS 20 /* of 2^64 - 1 */

void buf_deinit(struct buf *b)
{
    mem_free(b->at);
    *b = BUF_EMPTY;
}

char *buf_reserve(struct buf *b, size_t more)
{
    assert(b->size <= b->capacity);
    assert(more <= SIZE_MAX / 4 - b->size);

    if (b->at == NULL || b->capacity - b->size < more) {
        size_t capacity = MAX(b->capacity, BUF_CAPACITY_MIN);
        while (capacity - b->size < more) {
            capacity *= 2;
        }
        b->at = mem_realloc(b->at, capacity);
        b->capacity = capacity;
    }
    return b->at + b->size;
}

void buf_add(struct buf *b, const void *at, size_t size)
{
    if (size > 0) {
        memcpy(buf_reserve(b, size), at, size);
        buf_grew(b, size);
    }
}

void buf_add_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.at, s.size);
}

void buf_add_char(struct buf *b, char c)
{
    *buf_reserve(b, 1) = c;
    buf_grew(b, 1);
}

void buf_add_u64(struct buf *b, uint64_t value)
{
    char digits[BUF_U64_DIGITS];
    size_t first = sizeof(digits);

    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_add(b, digits + first, sizeof(digits) - first);
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);

    char *at = buf_reserve(b, BUF_CAPACITY_MIN);
    size_t room = b->capacity - b->size;
    int size = vsnprintf(at, room, format, args);
    assert(size >= 0);
    if ((size_t)size >= room) {
        at = buf_reserve(b, (size_t)size + 1); /* vsnprintf() adds a NUL, which is not counted in */
        vsnprintf(at, (size_t)size + 1, format, again);
    }
    buf_grew(b, (size_t)size);

    va_end(again);
    va_end(args);
}

void buf_consume(struct buf *b, size_t size)
{
    assert(size <= b->size);
    b->size -= size;
    if (b->size > 0) {
        memmove(b->at, b->at + size, b->size);
    }
}
