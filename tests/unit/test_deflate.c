/*
 * test_deflate.c: messages compressed and inflated (RFC 7692 7.2). The RFC's own
 * examples, data that zlib makes in other ways, and data that is none.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#define ZLIB_CONST
#include <zlib.h>

#include "common/buf.h"
#include "gateway/ws/deflate.h"
#include "tests/unit/random.h"

#define MAX_SIZE 100000

static struct deflate *deflate_of_test;

static int make(void **state)
{
    (void)state;
    deflate_of_test = deflate_new(6, 8);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    deflate_of_test = deflate_free(deflate_of_test);
    return 0;
}

#define BYTES(text)                                                                                \
    {                                                                                              \
        "" text, sizeof(text) - 1                                                                  \
    }

static void expect(struct slice payload, size_t max, int want, struct slice message)
{
    struct slice got = SLICE_NONE;

    assert_int_equal(deflate_unpack(deflate_of_test, payload, max, &got), want);
    if (want == 0) {
        assert_int_equal(got.size, message.size);
        if (message.size > 0) {
            assert_memory_equal(got.at, message.at, message.size);
        }
    }
}

static void the_examples_of_the_rfc_are_read(void **state)
{
    (void)state;
    static const struct {
        struct slice payload, message;
    } cases[] = {
        {BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), BYTES("Hello")},     /* 7.2.3.1 */
        {BYTES("\x00\x05\x00\xfa\xffHello\x00"), BYTES("Hello")},    /* 7.2.3.3 */
        {BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), BYTES("Hello")}, /* 7.2.3.4 */
        {BYTES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), BYTES("Hello")}, /* .5 */
        {BYTES("\x00"), BYTES("")},     /* 7.2.3.6 */
        {BYTES("\x02\x00"), BYTES("")}, /* an empty block of the fixed codes */
        {BYTES(""), BYTES("")},
        /* BFINAL anywhere: twice, and as the very end. */
        {BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
         BYTES("HelloHello")},
        {BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00"), BYTES("Hello")},
        {BYTES("\x01"), BYTES("")}, /* a final block whose length is the tail */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect(cases[i].payload, 100, 0, cases[i].message);
    }
}

static void what_is_no_deflate_data_is_broken(void **state)
{
    (void)state;
    static const struct slice cases[] = {
        BYTES("\x07"),                         /* block type 3 */
        BYTES("\xf2\x48\xcd\xc9\xc9\x07\x07"), /* the same behind a good block */
        BYTES("\xff\xff\xff\xff"),
        BYTES("\x00\x05\x00\xfa\xfeHello\x00"), /* a length and not its complement */
        BYTES("\x00\x06\x00\xf9\xffHello\x00"), /* more announced than comes */
        BYTES("\xf2\x00\x11\x00\x00"),          /* a distance too far: see below */
        BYTES("\xf2\x48\xcd\xc9\xc9"),          /* cut within a block */
        BYTES("\xf2\x48\xcd\xc9\xc9\x07"),      /* cut within the end of block */
        BYTES("\x00\x05\x00\xfa\xffHello"),     /* no block of the tail begins */
        BYTES("\x00\x05\x00\xfa\xffHello\x00\x00\x00\xff\xff"), /* the tail was not taken off */
        BYTES("\x00\x00"),
        BYTES("\x78\x9c\xf2\x48\xcd\xc9\xc9\x07\x00"), /* zlib's header is not of RFC 1951 */
        BYTES("Hello"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect(cases[i], MAX_SIZE, DEFLATE_BROKEN, SLICE_NONE);
    }
}

/* As a client that keeps its context makes the second of two equal messages. */
static void a_message_cannot_refer_to_an_earlier_one(void **state)
{
    (void)state;
    static const char text[] = "what another session said, or this one a moment ago";
    unsigned char payloads[2][200];
    size_t sizes[2];
    z_stream z = {.zalloc = NULL};

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    for (int i = 0; i < 2; i++) {
        z.next_in = (const Bytef *)text;
        z.avail_in = sizeof(text);
        z.next_out = payloads[i];
        z.avail_out = sizeof(payloads[i]);
        assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
        sizes[i] = sizeof(payloads[i]) - z.avail_out - 4;
    }
    deflateEnd(&z);
    assert_in_range(sizes[1], 1, 12); /* it is a reference, and little else */
    expect((struct slice){(char *)payloads[0], sizes[0]}, MAX_SIZE, 0,
           (struct slice){text, sizeof(text)});
    expect((struct slice){(char *)payloads[1], sizes[1]}, MAX_SIZE, DEFLATE_BROKEN, SLICE_NONE);
}

/* Bytes that compress a little. */
static void fill(char *at, size_t size, uint64_t *seed)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (char)(random_next(seed) % 7 == 0 || i < 40 ? random_next(seed) & 0x7f
                                                            : (uint64_t)at[i - 1 - i % 40]);
    }
}

static void what_was_packed_is_unpacked_for_every_window_level_and_memory(void **state)
{
    (void)state;
    static char message[70000];
    static const size_t sizes[] = {1, 2, 100, 511, 4096, 32768, 65535, sizeof(message)};
    uint64_t seed = 99;

    fill(message, sizeof(message), &seed);
    for (int effort = 1; effort <= 9; effort++) {
        struct deflate *d = deflate_new(effort, effort);
        for (unsigned window = DEFLATE_WINDOW_MIN; window <= DEFLATE_WINDOW_MAX; window++) {
            for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                struct slice m = {message, sizes[i]};
                struct slice again = deflate_pack(d, m, window);
                expect(again, MAX_SIZE, 0, m);
                expect(again, sizes[i], 0, m);
                expect(again, sizes[i] - 1, DEFLATE_TOO_BIG, m);
            }
        }
        deflate_free(d);
    }
}

/* An inflater with the smaller window fails at distances beyond it. */
static void the_window_that_was_asked_for_is_kept(void **state)
{
    (void)state;
    static char message[60000], out[sizeof(message) + 1];
    uint64_t seed = 7;

    for (size_t i = 0; i < sizeof(message); i++) { /* it only repeats itself from far away */
        message[i] = i < 30000 ? (char)random_next(&seed) : message[i - 30000];
    }
    for (unsigned window = DEFLATE_WINDOW_MIN; window <= DEFLATE_WINDOW_MAX; window++) {
        struct slice packed = deflate_pack(deflate_of_test, (struct slice){message, 60000}, window);
        z_stream z = {.next_in = (const Bytef *)packed.at, .avail_in = (uInt)packed.size};

        assert_int_equal(inflateInit2(&z, -(int)window), Z_OK);
        for (int r = Z_OK; z.avail_in > 0;) { /* in small steps: it must remember by its window */
            char step[64];
            z.next_out = (Bytef *)step;
            z.avail_out = sizeof(step);
            r = inflate(&z, Z_SYNC_FLUSH);
            assert_int_equal(r, Z_OK);
            memcpy(out + z.total_out - (sizeof(step) - z.avail_out), step,
                   sizeof(step) - z.avail_out);
        }
        inflateEnd(&z);
        assert_memory_equal(out, message, z.total_out);
        assert_int_equal(packed.size < 40000, window == DEFLATE_WINDOW_MAX);
    }
}

static void a_bomb_is_stopped_one_byte_above_the_limit(void **state)
{
    (void)state;
    static char zeros[10000000];
    struct deflate *packer = deflate_new(9, 9);
    struct slice bomb = deflate_pack(packer, (struct slice){zeros, sizeof(zeros)}, 15);

    assert_in_range(bomb.size, 1, 12000);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (size_t max = 0; max < 70000; max = max * 3 + 1) {
        expect(bomb, max, DEFLATE_TOO_BIG, SLICE_NONE);
    }
    size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    assert_true(after <= before + 262144); /* a sanitizer's heap shows nothing here */
    expect(bomb, sizeof(zeros), 0, (struct slice){zeros, sizeof(zeros)});
    deflate_free(packer);
}

static void one_object_serves_messages_of_all_kinds_in_any_order(void **state)
{
    (void)state;
    static const struct slice hello = BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00");
    static char message[5000];
    uint64_t seed = 3;

    fill(message, sizeof(message), &seed);
    for (int i = 0; i < 300; i++) {
        struct slice m = {message, 100 + random_next(&seed) % (sizeof(message) - 100)};
        struct slice packed =
            deflate_pack(deflate_of_test, m, 9 + (unsigned)(random_next(&seed) % 7));

        expect(packed, MAX_SIZE, 0, m);
        struct slice half = {packed.at, packed.size / 2}, rest;
        assert_int_not_equal(deflate_unpack(deflate_of_test, half, 10, &rest), 0);
        expect(hello, 5, 0, SLICE_LIT("Hello"));
    }
}

static void random_bytes_do_no_harm(void **state)
{
    (void)state;
    char bytes[64];
    uint64_t seed = 11;
    size_t good = 0;

    for (int run = 0; run < 20000; run++) {
        struct slice message = SLICE_NONE;
        size_t size = random_next(&seed) % sizeof(bytes);

        for (size_t i = 0; i < size; i++) {
            bytes[i] = (char)random_next(&seed);
        }
        int r = deflate_unpack(deflate_of_test, (struct slice){bytes, size}, 1000, &message);
        assert_true(r == 0 || r == DEFLATE_BROKEN || r == DEFLATE_TOO_BIG);
        assert_true(r != 0 || message.size <= 1000);
        good += r == 0;
    }
    assert_in_range(good, 1, 19999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_are_read),
        cmocka_unit_test(what_is_no_deflate_data_is_broken),
        cmocka_unit_test(a_message_cannot_refer_to_an_earlier_one),
        cmocka_unit_test(what_was_packed_is_unpacked_for_every_window_level_and_memory),
        cmocka_unit_test(the_window_that_was_asked_for_is_kept),
        cmocka_unit_test(a_bomb_is_stopped_one_byte_above_the_limit),
        cmocka_unit_test(one_object_serves_messages_of_all_kinds_in_any_order),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
