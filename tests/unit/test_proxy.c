/*
 * test_proxy.c: PROXY headers, version 2: what is one, and everything that is none.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"
#include "gateway/edge/proxy.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\x01\x02\x03\x04\x7f\0\0\x01\x12\x34\x1f\x90" /* 1.2.3.4:4660 to 127.0.0.1:8080 */
#define V6                                                                                         \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x34\x1f\x90"
#define ZEROS27 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define UNIX ZEROS27 ZEROS27 ZEROS27 ZEROS27 ZEROS27 ZEROS27 ZEROS27 ZEROS27 /* 216 bytes */
#define HEADER(command, family, size_high, size_low, rest)                                         \
    {                                                                                              \
        SIGNATURE command family size_high size_low rest,                                          \
            sizeof(SIGNATURE command family size_high size_low rest) - 1                           \
    }

/* As the gateway does it: as many bytes as are asked for, `step` at a time. */
static int read_in_steps(struct slice bytes, size_t step, struct net_addr *client, size_t *used)
{
    uint8_t at[PROXY_HEADER_MAX] = {0};
    size_t size = 0, need;
    int r = proxy_read(at, 0, &need, client);

    while (r == PROXY_MORE && size < bytes.size) {
        size_t part = MIN(MIN(step, need - size), bytes.size - size);

        assert_true(need > size && need <= PROXY_HEADER_MAX);
        memcpy(at + size, bytes.at + size, part);
        size += part;
        r = proxy_read(at, size, &need, client);
    }
    *used = size;
    return r;
}

static void assert_verdict(struct slice bytes, int want, const char *client)
{
    static const size_t steps[] = {1, 2, 7, 16, 1024};

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct net_addr a;
        char text[NET_TEXT_MAX];
        size_t used;

        int r = read_in_steps(bytes, steps[i], &a, &used);
        if (r != want) {
            fail_msg("in steps of %zu: %d, not %d", steps[i], r, want);
        }
        if (want == PROXY_CLIENT) {
            assert_string_equal(net_text(&a, text), client);
        }
        if (want > 0) {
            assert_int_equal(used, bytes.size);
        }
    }
}

static void a_header_tells_the_client(void **state)
{
    (void)state;
    static const struct {
        struct slice bytes;
        int want;
        const char *client;
    } rows[] = {
        {HEADER("\x21", "\x11", "\0", "\x0c", V4), PROXY_CLIENT, "1.2.3.4:4660"},
        {HEADER("\x21", "\x21", "\0", "\x24", V6), PROXY_CLIENT, "[2001:db8::7]:4660"},
        /* With fields behind: an empty one, and one of three bytes. */
        {HEADER("\x21", "\x11", "\0", "\x15", V4 "\x04\0\0\x02\0\x03xyz"), PROXY_CLIENT,
         "1.2.3.4:4660"},
        /* The balancer's own checks, with and without addresses; an unknown family. */
        {HEADER("\x20", "\0", "\0", "\0", ""), PROXY_LOCAL, ""},
        {HEADER("\x20", "\x11", "\0", "\x0c", V4), PROXY_LOCAL, ""},
        {HEADER("\x20", "\x31", "\0", "\x02", "zz"), PROXY_LOCAL, ""},
        {HEADER("\x21", "\0", "\0", "\0", ""), PROXY_LOCAL, ""},
        {HEADER("\x21", "\0", "\0", "\x03", "abc"), PROXY_LOCAL, ""},
        /* Families that we have no use for: UDP, Unix sockets; whatever stands there. */
        {HEADER("\x21", "\x12", "\0", "\x0c", V4), PROXY_LOCAL, ""},
        {HEADER("\x21", "\x22", "\0", "\x24", V6), PROXY_LOCAL, ""},
        {HEADER("\x21", "\x31", "\0", "\xd8", UNIX), PROXY_LOCAL, ""},
        {HEADER("\x21", "\x32", "\0", "\xd8", UNIX), PROXY_LOCAL, ""},
        {HEADER("\x21", "\x31", "\0", "\xdd", UNIX "\x03\0\x02hi"), PROXY_LOCAL, ""},
        {HEADER("\x21", "\x31", "\0", "\0", ""), PROXY_LOCAL, ""},
        /* Not whole yet. */
        {{SIGNATURE, 0}, PROXY_MORE, ""},
        {{SIGNATURE, 12}, PROXY_MORE, ""},
        {HEADER("\x21", "\x11", "\0", "\x0c", "\x01"), PROXY_MORE, ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_verdict(rows[i].bytes, rows[i].want, rows[i].client);
    }
}

static void what_is_no_such_header_is_refused(void **state)
{
    (void)state;
    static const struct slice rows[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", 32}, /* version 1 */
        {"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0\0\0\0\0", 16},
        {"\r\n\r\n\0\r\nQUIT\r", 12},
        {"\n\r\n\r\n\0\r\nQUIT\n!!!", 16},
        HEADER("\x11", "\x11", "\0", "\x0c", V4), /* versions 1 and 3 */
        HEADER("\x31", "\x11", "\0", "\x0c", V4),
        HEADER("\x22", "\x11", "\0", "\x0c", V4), /* commands that are none */
        HEADER("\x2f", "\x11", "\0", "\x0c", V4),
        HEADER("\x21", "\x41", "\0", "\x0c", V4), /* families that are none */
        HEADER("\x21", "\x13", "\0", "\x0c", V4),
        HEADER("\x21", "\x10", "\0", "\x0c", V4),
        HEADER("\x21", "\x30", "\0", "\x0c", V4),
        HEADER("\x21", "\x01", "\0", "\x0c", V4),
        HEADER("\x21", "\x02", "\0", "\x0c", V4),
        HEADER("\x21", "\x11", "\0", "\x0b", V4), /* too short for the family */
        HEADER("\x21", "\x11", "\0", "\0", ""),
        HEADER("\x21", "\x21", "\0", "\x23", V6),
        HEADER("\x21", "\x11", "\x03", "\xf1", V4), /* 1025 bytes in all */
        HEADER("\x20", "\x11", "\xff", "\xff", V4),
        HEADER("\x21", "\x11", "\0", "\x0d", V4 "\x04"), /* fields that are cut */
        HEADER("\x21", "\x11", "\0", "\x0e", V4 "\x04\0"),
        HEADER("\x21", "\x11", "\0", "\x0f", V4 "\x04\0\x01"),
        HEADER("\x21", "\x11", "\0", "\x13", V4 "\x04\0\0\x02\xff\xff!"),
        HEADER("\x21", "\x11", "\0", "\x13", V4 "\x03\0\x04\0\0\0\0"), /* a wrong checksum */
        HEADER("\x21", "\x11", "\0", "\x11", V4 "\x03\0\x02\0\0"),
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_verdict(rows[i], -EPROTO, "");
    }
}

/* CRC32c, bit by bit and written apart from the code under test. */
static uint32_t crc32c(const char *at, size_t size)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < size * 8; i++) {
        uint32_t bit = (uint8_t)at[i / 8] >> i % 8 & 1;
        crc = (crc >> 1) ^ ((crc ^ bit) & 1 ? 0x82f63b78u : 0);
    }
    return crc ^ 0xffffffff;
}

static void a_checksum_is_checked(void **state)
{
    (void)state;
    char header[] = SIGNATURE "\x21\x11\0\x13" V4 "\x03\0\x04\0\0\0\0";
    size_t size = sizeof(header) - 1;

    assert_int_equal(crc32c("123456789", 9), 0xe3069283); /* the well-known check value */
    uint32_t sum = crc32c(header, size);
    for (size_t i = 0; i < 4; i++) {
        header[size - 4 + i] = (char)(sum >> (24 - 8 * i));
    }
    assert_verdict((struct slice){header, size}, PROXY_CLIENT, "1.2.3.4:4660");
    for (size_t i = 16; i < size; i++) {
        if (i < 28 || i >= size - 4) { /* any bit of addresses and sum */
            header[i] ^= 0x10;
            assert_verdict((struct slice){header, size}, -EPROTO, "");
            header[i] ^= 0x10;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_tells_the_client),
        cmocka_unit_test(what_is_no_such_header_is_refused),
        cmocka_unit_test(a_checksum_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
