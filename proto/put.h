/*
 * put.h: writes bytes and numbers where room was made before.
 *
 * The hot encoders reserve once for a whole document and then only move a
 * pointer. Private to this folder.
 */
#ifndef WARREN_PROTO_PUT_H
#define WARREN_PROTO_PUT_H

#include "common/base.h"

#define PUT_DIGITS_MAX 20 /* bytes of a 64-bit number, sign included */

/* Each writes at `to` and returns where the next byte goes. */
static inline char *put_slice(char *to, struct slice s)
{
    if (s.size > 0) {
        memcpy(to, s.at, s.size);
    }
    return to + s.size;
}

static inline char *put_u64(char *to, uint64_t value)
{
    char digits[PUT_DIGITS_MAX];
    size_t first = sizeof(digits);

    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(to, digits + first, sizeof(digits) - first);
    return to + (sizeof(digits) - first);
}

static inline char *put_i64(char *to, int64_t value)
{
    if (value < 0) {
        *to++ = '-';
        return put_u64(to, 0 - (uint64_t)value);
    }
    return put_u64(to, (uint64_t)value);
}

/* A string literal. */
#define put_lit(to, text) ((char *)memcpy((to), "" text, sizeof(text) - 1) + (sizeof(text) - 1))

#endif
