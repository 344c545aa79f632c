/*
 * base64.c: see base64.h.
 */
#include "gateway/token/base64.h"

static const char plain_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Writes the digits of 1 to 3 bytes: 2 to 4 of them. */
static size_t encode_group(char digits_out[4], const char *digits, const unsigned char *at,
                           size_t size)
{
    uint32_t bits = (uint32_t)at[0] << 16;
    if (size > 1) {
        bits |= (uint32_t)at[1] << 8;
    }
    if (size > 2) {
        bits |= at[2];
    }
    for (int i = 0; i < 4; i++) {
        digits_out[i] = digits[bits >> (18 - 6 * i) & 63];
    }
    return size + 1;
}

static void encode(struct buf *out, const char *digits, bool is_padded, const void *at, size_t size)
{
    const unsigned char *bytes = at;

    while (size > 0) {
        size_t taken = MIN(size, 3);
        char group[4];
        size_t used = encode_group(group, digits, bytes, taken);

        while (is_padded && used < sizeof(group)) {
            group[used++] = '=';
        }
        buf_add(out, group, used);
        bytes += taken;
        size -= taken;
    }
}

void base64_encode(struct buf *out, const void *at, size_t size)
{
    encode(out, plain_digits, true, at, size);
}

void base64url_encode(struct buf *out, const void *at, size_t size)
{
    encode(out, url_digits, false, at, size);
}

/* 0 to 63, or -1. */
static int digit_value(char c, char digit_62, char digit_63)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == digit_62) {
        return 62;
    }
    return c == digit_63 ? 63 : -1;
}

bool base64_is_digit(char c)
{
    return digit_value(c, '+', '/') >= 0;
}

/* Text without padding. */
static int decode(struct buf *out, struct slice text, char digit_62, char digit_63)
{
    uint32_t bits = 0;
    int count = 0; /* of the low bits that are not written yet */
    size_t size = 0;

    if (text.size % 4 == 1) {
        return -1;
    }
    char *to = buf_reserve(out, text.size / 4 * 3 + 2);
    for (size_t i = 0; i < text.size; i++) {
        int value = digit_value(text.at[i], digit_62, digit_63);

        if (value < 0) {
            return -1;
        }
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            to[size++] = (char)(bits >> count & 0xff);
        }
    }
    if ((bits & ((1u << count) - 1)) != 0) { /* a second spelling of the same bytes */
        return -1;
    }
    buf_grew(out, size);
    return 0;
}

int base64url_decode(struct buf *out, struct slice text)
{
    return decode(out, text, '-', '_');
}

int base64_decode(struct buf *out, struct slice text)
{
    if (text.size % 4 != 0) {
        return -1;
    }
    for (int i = 0; i < 2 && text.size > 0 && text.at[text.size - 1] == '='; i++) {
        text.size--;
    }
    return decode(out, text, '+', '/');
}
