/*
 * test_ws_packed.c: compressed messages of a peer (RFC 7692 6). See ws_peer.h
 * for the method.
 */
#include "tests/unit/ws_peer.h"

#define RSV1 0x40

static int negotiate(void **state)
{
    (void)state;
    shared_deflate = deflate_new(6, 8);
    return 0;
}

static int forget(void **state)
{
    (void)state;
    shared_deflate = deflate_free(shared_deflate);
    return 0;
}

#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00"
#define NUL(first_byte)                                                                            \
    {                                                                                              \
        .first = (first_byte), .payload = "\0", .size = 1                                          \
    }
#define P(first_byte, bytes)                                                                       \
    {                                                                                              \
        .first = (first_byte), .payload = (bytes), .size = sizeof(bytes) - 1                       \
    }

static void compressed_messages_are_reported_as_others_are(void **state)
{
    (void)state;
    static const struct stream streams[] = {
        {{P(FIN | RSV1 | TEXT, HELLO)}, "text(Hello)"},
        {{P(FIN | RSV1 | BINARY, HELLO)}, "binary(Hello)"},
        {{P(FIN | RSV1 | TEXT, HELLO), P(FIN | RSV1 | TEXT, HELLO)}, "text(Hello)text(Hello)"},
        /* Not all are compressed. */
        {{P(FIN | RSV1 | TEXT, HELLO), F(FIN | TEXT, "plain"), P(FIN | RSV1 | BINARY, HELLO)},
         "text(Hello)text(plain)binary(Hello)"},
        {{F(FIN | TEXT, "\xe2\x82\xac")}, "text(\xe2\x82\xac)"},
        /* In fragments: only the first one has RSV1, and they are cut anywhere. */
        {{P(RSV1 | TEXT, "\xf2\x48\xcd"), P(FIN | CONTINUATION, "\xc9\xc9\x07\x00")},
         "text(Hello)"},
        {{P(RSV1 | TEXT, "\xf2"), P(CONTINUATION, "\x48\xcd\xc9\xc9"), F(CONTINUATION, ""),
          P(FIN | CONTINUATION, "\x07\x00")},
         "text(Hello)"},
        {{F(RSV1 | TEXT, ""), P(FIN | CONTINUATION, HELLO)}, "text(Hello)"},
        {{P(RSV1 | TEXT, "\xf2\x48\xcd"), F(FIN | PING, "?"),
          P(FIN | CONTINUATION, "\xc9\xc9\x07\x00"), F(FIN | TEXT, "x")},
         "ping(?)text(Hello)text(x)"},
        {{P(RSV1 | TEXT, HELLO), F(FIN | CONTINUATION, "")}, "text(Hello)"},
        /* The empty message. */
        {{NUL(FIN | RSV1 | TEXT)}, "text()"},
        {{F(FIN | RSV1 | TEXT, "")}, "text()"},
        {{F(RSV1 | BINARY, ""), F(FIN | CONTINUATION, "")}, "binary()"},
        /* A final block, and another message behind it. */
        {{P(FIN | RSV1 | TEXT, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), P(FIN | RSV1 | TEXT, HELLO)},
         "text(Hello)text(Hello)"},
        /* Half a message is not reported, and not inflated. */
        {{P(RSV1 | TEXT, HELLO)}, ""},
        {{P(RSV1 | TEXT, "\x07\x07\x07"), P(CONTINUATION, HELLO)}, ""},
    };

    expect_all(streams, ARRAY_LEN(streams), false);
}

static void rsv1_anywhere_else_is_a_protocol_error(void **state)
{
    (void)state;
    static const struct stream streams[] = {
        {{P(RSV1 | TEXT, "\xf2\x48\xcd"), P(FIN | RSV1 | CONTINUATION, "\xc9\xc9\x07\x00")},
         "violation(protocol_error)"},
        {{F(TEXT, "a"), P(FIN | RSV1 | CONTINUATION, HELLO)}, "violation(protocol_error)"},
        {{F(FIN | RSV1 | PING, "a")}, "violation(protocol_error)"},
        {{F(FIN | RSV1 | PONG, "a")}, "violation(protocol_error)"},
        {{F(FIN | RSV1 | CLOSE, "")}, "violation(protocol_error)"},
        {{F(FIN | RSV1 | 3, "a")}, "violation(protocol_error)"},
        {{F(FIN | RSV1 | 11, "a")}, "violation(protocol_error)"},
        {{P(FIN | RSV1 | 0x20 | TEXT, HELLO)}, "violation(protocol_error)"},
        {{P(FIN | RSV1 | 0x10 | TEXT, HELLO)}, "violation(protocol_error)"},
        {{P(FIN | 0x20 | TEXT, HELLO)}, "violation(protocol_error)"},
        {{P(FIN | RSV1 | TEXT, HELLO), F(FIN | PING, "b"), F(FIN | RSV1 | PING, "c")},
         "text(Hello)ping(b)violation(protocol_error)"},
    };
    static const struct stream not_negotiated[] = {
        {{P(FIN | RSV1 | TEXT, HELLO)}, "violation(protocol_error)"},
        {{P(RSV1 | BINARY, HELLO)}, "violation(protocol_error)"},
        {{F(FIN | RSV1 | TEXT, "")}, "violation(protocol_error)"},
    };
    struct deflate *kept = shared_deflate;

    expect_all(streams, ARRAY_LEN(streams), false);
    shared_deflate = NULL;
    expect_all(not_negotiated, ARRAY_LEN(not_negotiated), false);
    shared_deflate = kept;
}

static void broken_data_and_bad_text_are_told_apart(void **state)
{
    (void)state;
    static const struct stream streams[] = {
        {{P(FIN | RSV1 | TEXT, "\x07")}, "violation(bad_deflate)"},
        {{P(FIN | RSV1 | BINARY, "\xff\xff\xff\xff")}, "violation(bad_deflate)"},
        {{F(FIN | RSV1 | TEXT, "Hello")}, "violation(bad_deflate)"},
        {{P(FIN | RSV1 | TEXT, "\xf2\x48\xcd\xc9")}, "violation(bad_deflate)"},
        {{P(FIN | RSV1 | TEXT, HELLO), P(FIN | RSV1 | TEXT, "\x07"), F(FIN | TEXT, "late")},
         "text(Hello)violation(bad_deflate)"},
        {{P(RSV1 | TEXT, HELLO), P(FIN | CONTINUATION, "\x07")}, "violation(bad_deflate)"},
        /* Stored blocks: the bytes stand there as they are. */
        {{P(FIN | RSV1 | BINARY, "\x00\x01\x00\xfe\xff\xff\x00")}, "binary(\xff)"},
        {{P(FIN | RSV1 | TEXT, "\x00\x01\x00\xfe\xff\xff\x00")}, "violation(bad_utf8)"},
        {{P(FIN | RSV1 | TEXT, "\x00\x02\x00\xfd\xff\xc0\xaf\x00")}, "violation(bad_utf8)"},
        {{P(FIN | RSV1 | TEXT, "\x00\x03\x00\xfc\xff\xed\xa0\x80\x00")}, "violation(bad_utf8)"},
        {{P(FIN | RSV1 | TEXT, "\x00\x02\x00\xfd\xff\xe2\x82\x00")}, "violation(bad_utf8)"},
        {{P(FIN | RSV1 | TEXT, "\x00\x03\x00\xfc\xff\xe2\x82\xac\x00")}, "text(\xe2\x82\xac)"},
        {{P(RSV1 | TEXT, "\x00\x03\x00\xfc\xff\xe2\x82"), P(FIN | CONTINUATION, "\xac\x00")},
         "text(\xe2\x82\xac)"},
    };

    expect_all(streams, ARRAY_LEN(streams), false);
}

/* A frame with `size` bytes, packed. */
static void add_packed(struct buf *out, const char *message, size_t size)
{
    struct slice packed = deflate_pack(shared_deflate, (struct slice){message, size}, 15);

    add_frame(out, &(struct frame){.first = FIN | RSV1 | BINARY,
                                   .payload = packed.at,
                                   .size = (int)packed.size});
}

static void the_limit_counts_what_comes_out(void **state)
{
    (void)state;
    static char zeros[200000];
    static const struct {
        size_t size;
        bool is_good;
    } cases[] = {{MESSAGE_MAX, true}, {MESSAGE_MAX + 1, false}, {sizeof(zeros), false}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf bytes = BUF_EMPTY, want = BUF_EMPTY;

        add_packed(&bytes, zeros, cases[i].size);
        assert_in_range(bytes.size, 1, 300);
        struct listener l = listener_new(false);
        feed(&l, bytes.at, bytes.size);
        if (cases[i].is_good) {
            assert_int_equal(l.heard.size, strlen("binary()") + MESSAGE_MAX);
            ws_deinit(&l.ws);
            buf_deinit(&l.heard);
        } else {
            expect_heard(&l, "violation(too_big)", "bomb of", cases[i].size);
            expect(buf_slice(&bytes), "violation(too_big)", false);
        }
        buf_deinit(&bytes);
        buf_deinit(&want);
    }
}

/* What does not compress gets longer: that is no reason to refuse it. */
static void a_payload_may_be_a_little_longer_than_its_message(void **state)
{
    (void)state;
    struct listener l = listener_new(false);
    struct buf payload = BUF_EMPTY, bytes = BUF_EMPTY;

    for (int i = 0; i < 10; i++) { /* stored blocks of a tenth */
        static const char tenth[MESSAGE_MAX / 10] = {1};
        buf_add(&payload, "\x00\x64\x00\x9b\xff", 5);
        buf_add(&payload, tenth, sizeof(tenth));
    }
    buf_add_char(&payload, '\0');
    assert_true(payload.size > MESSAGE_MAX);
    add_frame(&bytes, &(struct frame){.first = FIN | RSV1 | BINARY,
                                      .payload = payload.at,
                                      .size = (int)payload.size});
    feed(&l, bytes.at, bytes.size);
    assert_int_equal(l.heard.size, strlen("binary()") + MESSAGE_MAX);
    assert_true(ws_is_idle(&l.ws));
    buf_deinit(&l.heard);
    buf_clear(&bytes);
    buf_add_lit(&bytes, "\xc2\xfe\x08\x00\1\2\3\4"); /* 2,048 bytes are announced */
    expect(buf_slice(&bytes), "violation(too_big)", false);
    buf_deinit(&payload);
    buf_deinit(&bytes);
}

static void random_bytes_mean_the_same_however_they_are_cut(void **state)
{
    (void)state;
    uint32_t seed = 54321;

    for (int run = 0; run < 2000; run++) {
        struct buf bytes = BUF_EMPTY;
        struct listener whole = listener_new(false);
        for (int k = 0; k < 3; k++) {
            static const uint8_t firsts[] = {RSV1 | TEXT,  FIN | RSV1 | TEXT,  FIN | RSV1 | BINARY,
                                             CONTINUATION, FIN | CONTINUATION, FIN | TEXT,
                                             FIN | CLOSE,  FIN | RSV1 | PING};
            char payload[] = HELLO;
            seed = seed * 1664525 + 1013904223;
            payload[seed >> 8 & 7] ^= (char)((seed >> 12 & 7) == 0 ? seed >> 16 & 0xff : 0);
            add_frame(&bytes, &(struct frame){.first = firsts[seed >> 28 & 7],
                                              .payload = payload,
                                              .size = 1 + (int)(seed >> 20 & 7)});
        }
        feed(&whole, bytes.at, bytes.size);
        ws_deinit(&whole.ws);
        buf_add_char(&whole.heard, '\0');
        expect(buf_slice(&bytes), whole.heard.at, false);
        buf_deinit(&whole.heard);
        buf_deinit(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compressed_messages_are_reported_as_others_are),
        cmocka_unit_test(rsv1_anywhere_else_is_a_protocol_error),
        cmocka_unit_test(broken_data_and_bad_text_are_told_apart),
        cmocka_unit_test(the_limit_counts_what_comes_out),
        cmocka_unit_test(a_payload_may_be_a_little_longer_than_its_message),
        cmocka_unit_test(random_bytes_mean_the_same_however_they_are_cut),
    };
    return cmocka_run_group_tests(tests, negotiate, forget);
}
