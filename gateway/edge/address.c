/*
 * address.c: see address.h.
 */
#include "gateway/edge/address.h"

#include <arpa/inet.h>
#include <stdio.h>

#define V4_BITS 96 /* in front of an IPv4 address that is written as an IPv6 one */

static const uint8_t v4_mapped[V4_BITS / 8] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const struct address *a)
{
    return a->bits >= V4_BITS && memcmp(a->at, v4_mapped, sizeof(v4_mapped)) == 0;
}

/* One to three digits. */
static bool read_bits(struct slice digits, unsigned max, unsigned *bits)
{
    unsigned sum = 0;

    if (digits.size == 0 || digits.size > 3 || (digits.size > 1 && digits.at[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9') {
            return false;
        }
        sum = sum * 10 + (unsigned)(digits.at[i] - '0');
    }
    *bits = sum;
    return sum <= max;
}

bool address_read(struct address *a, struct slice text)
{
    const char *slash = text.size > 0 ? memchr(text.at, '/', text.size) : NULL;
    size_t size = slash != NULL ? (size_t)(slash - text.at) : text.size;
    char plain[ADDRESS_MAX + 1];
    unsigned bits, before = 0;

    if (size == 0 || size > ADDRESS_MAX || memchr(text.at, '\0', size) != NULL) {
        return false;
    }
    memcpy(plain, text.at, size);
    plain[size] = '\0';
    if (inet_pton(AF_INET6, plain, a->at) != 1) {
        memcpy(a->at, v4_mapped, sizeof(v4_mapped));
        if (inet_pton(AF_INET, plain, a->at + sizeof(v4_mapped)) != 1) {
            return false;
        }
        before = V4_BITS;
    }
    bits = ADDRESS_BITS - before;
    if (slash != NULL &&
        !read_bits((struct slice){slash + 1, text.size - size - 1}, ADDRESS_BITS - before, &bits)) {
        return false;
    }
    a->bits = ADDRESS_BITS;
    *a = address_cut(a, before + bits);
    return true;
}

struct address address_cut(const struct address *a, unsigned bits)
{
    struct address cut = {.bits = (uint8_t)bits};
    size_t whole = bits / 8;

    assert(bits <= a->bits);
    memcpy(cut.at, a->at, whole);
    if (bits % 8 != 0) {
        cut.at[whole] = a->at[whole] & (uint8_t)(0xff00u >> bits % 8);
    }
    return cut;
}

struct slice address_text(const struct address *a, char text[ADDRESS_MAX + 1])
{
    unsigned before = is_v4(a) ? V4_BITS : 0;
    const char *done =
        inet_ntop(before > 0 ? AF_INET : AF_INET6, a->at + before / 8, text, ADDRESS_MAX + 1);

    assert(done != NULL);
    size_t size = strlen(text);
    if (a->bits < ADDRESS_BITS) {
        snprintf(text + size, ADDRESS_MAX + 1 - size, "/%u", a->bits - before);
        size += strlen(text + size);
    }
    return (struct slice){text, size};
}

struct slice address_of_peer(const char *peer)
{
    bool is_v6 = peer[0] == '[';
    const char *address = peer + is_v6;

    return (struct slice){address, strcspn(address, is_v6 ? "]%" : ":")};
}
