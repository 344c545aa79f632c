/*
 * base64.h: base64 with padding, and base64url without (RFC 4648 4 and 5).
 *
 * Decoding is strict: padding exactly where it belongs, no white space, no bits
 * left over in the last character. One value has one spelling, so a token cannot
 * be varied.
 */
#ifndef WARREN_GATEWAY_TOKEN_BASE64_H
#define WARREN_GATEWAY_TOKEN_BASE64_H

#include "common/base.h"
#include "common/buf.h"

/* Appends the base64 of the bytes, with padding. */
void base64_encode(struct buf *out, const void *at, size_t size);

/* Appends the base64url of the bytes, without padding. */
void base64url_encode(struct buf *out, const void *at, size_t size);

/* Appends what the text stands for. 0, or -1 with `out` as it was. */
int base64url_decode(struct buf *out, struct slice text) MUST_CHECK;

/* The same for base64 with padding. */
int base64_decode(struct buf *out, struct slice text) MUST_CHECK;

/* True for the 64 characters of plain base64. */
bool base64_is_digit(char c);

#endif
