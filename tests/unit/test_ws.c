/*
 * test_ws.c: frames of a peer, legal and not. See ws_peer.h for the method.
 */
#include "tests/unit/ws_peer.h"

static const char hundred[] =
    "0123456789012345678901234567890123456789012345678901234567890123456789"
    "012345678901234567890123456789";
static const char one_two_six[] =
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
    "45678901234567890123456789012345";

static void legal_streams_are_reported_in_order(void **state)
{
    (void)state;
    static const struct stream streams[] = {
        {{F(FIN | TEXT, "hello")}, "text(hello)"},
        {{F(FIN | TEXT, "")}, "text()"},
        {{F(FIN | BINARY, "")}, "binary()"},
        {{F(FIN | BINARY, "\xff\xfe")}, "binary(\xff\xfe)"},
        {{F(FIN | TEXT, "a"), F(FIN | TEXT, "b"), F(FIN | BINARY, "c")}, "text(a)text(b)binary(c)"},
        {{F(TEXT, "he"), F(CONTINUATION, "l"), F(FIN | CONTINUATION, "lo")}, "text(hello)"},
        {{F(TEXT, ""), F(CONTINUATION, ""), F(FIN | CONTINUATION, "")}, "text()"},
        {{F(TEXT, ""), F(CONTINUATION, "a"), F(FIN | CONTINUATION, "")}, "text(a)"},
        {{F(BINARY, "he"), F(FIN | CONTINUATION, "llo")}, "binary(hello)"},
        {{F(FIN | TEXT, one_two_six)}, NULL},
        {{F(FIN | PING, "")}, "ping()"},
        {{F(FIN | PING, "data")}, "ping(data)"},
        {{F(FIN | PING, hundred)}, NULL},
        {{F(FIN | PONG, "nobody asked")}, "pong()"},
        {{F(TEXT, "he"), F(FIN | PING, "?"), F(FIN | CONTINUATION, "llo")}, "ping(?)text(hello)"},
        {{F(TEXT, "he"), F(FIN | PONG, ""), F(FIN | CONTINUATION, "llo"), F(FIN | TEXT, "x")},
         "pong()text(hello)text(x)"},
        /* A character may be cut by a frame's border. */
        {{F(TEXT, "\xe2\x82"), F(FIN | CONTINUATION, "\xac")}, "text(\xe2\x82\xac)"},
        {{F(TEXT, "\xf0\x9f"), F(FIN | PING, "?"), F(FIN | CONTINUATION, "\x98\x80")},
         "ping(?)text(\xf0\x9f\x98\x80)"},
        {{F(FIN | TEXT, "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf")},
         "text(\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf)"},
        /* Half a message is not reported. */
        {{F(TEXT, "he")}, ""},
        {{F(FIN | TEXT, "a"), F_AS(FIN | TEXT, "b", .size = 5, .is_cut = true)}, "text(a)"},
    };
    struct stream copies[ARRAY_LEN(streams)];
    char long_text[200];
    char long_ping[200];

    memcpy(copies, streams, sizeof(streams));
    snprintf(long_text, sizeof(long_text), "text(%s)", one_two_six);
    snprintf(long_ping, sizeof(long_ping), "ping(%s)", hundred);
    for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
        if (copies[i].want == NULL) {
            copies[i].want = copies[i].frames[0].first == (FIN | TEXT) ? long_text : long_ping;
        }
    }
    expect_all(copies, ARRAY_LEN(copies), false);
}

static void frames_that_break_the_rules_are_protocol_errors(void **state)
{
    (void)state;
    static const struct stream streams[] = {
        {{F_AS(FIN | TEXT, "hello", .is_bare = true)}, "violation(protocol_error)"},
        {{F_AS(FIN | PING, "", .is_bare = true)}, "violation(protocol_error)"},
        {{F(FIN | 0x40 | TEXT, "a")}, "violation(protocol_error)"},
        {{F(FIN | 0x20 | TEXT, "a")}, "violation(protocol_error)"},
        {{F(FIN | 0x10 | TEXT, "a")}, "violation(protocol_error)"},
        {{F(FIN | 0x40 | PING, "a")}, "violation(protocol_error)"},
        {{F(TEXT, "a"), F(FIN | 0x40 | CONTINUATION, "b")}, "violation(protocol_error)"},
        {{F(FIN | 3, "a")}, "violation(protocol_error)"},
        {{F(FIN | 4, "a")}, "violation(protocol_error)"},
        {{F(FIN | 5, "a")}, "violation(protocol_error)"},
        {{F(FIN | 6, "a")}, "violation(protocol_error)"},
        {{F(FIN | 7, "a")}, "violation(protocol_error)"},
        {{F(FIN | 11, "a")}, "violation(protocol_error)"},
        {{F(FIN | 12, "a")}, "violation(protocol_error)"},
        {{F(FIN | 13, "a")}, "violation(protocol_error)"},
        {{F(FIN | 14, "a")}, "violation(protocol_error)"},
        {{F(FIN | 15, "a")}, "violation(protocol_error)"},
        /* Longer forms of a length than needed. */
        {{F_AS(FIN | TEXT, "hello", .length_bytes = 2)}, "violation(protocol_error)"},
        {{F_AS(FIN | TEXT, "hello", .length_bytes = 8)}, "violation(protocol_error)"},
        {{F_AS(FIN | TEXT, one_two_six, .length_bytes = 8)}, "violation(protocol_error)"},
        /* Control frames are short and whole. */
        {{F(FIN | PING, one_two_six)}, "violation(protocol_error)"},
        {{F(FIN | PONG, one_two_six)}, "violation(protocol_error)"},
        {{F(FIN | CLOSE, one_two_six)}, "violation(protocol_error)"},
        {{F_AS(FIN | PING, "a", .length_bytes = 2)}, "violation(protocol_error)"},
        {{F(PING, "a")}, "violation(protocol_error)"},
        {{F(PONG, "a")}, "violation(protocol_error)"},
        {{F(CLOSE, "\x03\xe8")}, "violation(protocol_error)"},
        /* Fragments in their order. */
        {{F(FIN | CONTINUATION, "a")}, "violation(protocol_error)"},
        {{F(CONTINUATION, "a")}, "violation(protocol_error)"},
        {{F(FIN | TEXT, "a"), F(FIN | CONTINUATION, "b")}, "text(a)violation(protocol_error)"},
        {{F(TEXT, "a"), F(TEXT, "b")}, "violation(protocol_error)"},
        {{F(TEXT, "a"), F(FIN | BINARY, "b")}, "violation(protocol_error)"},
        {{F(TEXT, "a"), F(FIN | CONTINUATION, "b"), F(FIN | CONTINUATION, "c")},
         "text(ab)violation(protocol_error)"},
        /* What is good before is told first, what comes after is not. */
        {{F(FIN | TEXT, "a"), F(FIN | PING, "b"), F(FIN | 3, "c"), F(FIN | TEXT, "d")},
         "text(a)ping(b)violation(protocol_error)"},
    };

    expect_all(streams, ARRAY_LEN(streams), false);
}

static void text_that_is_not_utf8_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    static const struct stream streams[] = {
        {{F(FIN | TEXT, "\xff")}, "violation(bad_utf8)"},
        {{F(FIN | TEXT, "a\x80")}, "violation(bad_utf8)"},
        {{F(FIN | TEXT, "\xed\xa0\x80")}, "violation(bad_utf8)"},     /* a surrogate */
        {{F(FIN | TEXT, "\xc0\xaf")}, "violation(bad_utf8)"},         /* longer than needed */
        {{F(FIN | TEXT, "\xe0\x80\xaf")}, "violation(bad_utf8)"},     /* likewise */
        {{F(FIN | TEXT, "\xf4\x90\x80\x80")}, "violation(bad_utf8)"}, /* above U+10FFFF */
        {{F(FIN | TEXT, "\xe2\x82")}, "violation(bad_utf8)"},         /* ends inside */
        {{F(TEXT, "\xe2\x82"), F(FIN | CONTINUATION, "a")}, "violation(bad_utf8)"},
        {{F(TEXT, "\xe2"), F(FIN | PING, "?"), F(FIN | CONTINUATION, "")},
         "ping(?)violation(bad_utf8)"},
        /* At once: the rest of the frame or of the message never comes. */
        {{F(TEXT, "\xff")}, "violation(bad_utf8)"},
        {{F(FIN | TEXT, "good"), F(FIN | TEXT, "\xff"), F(FIN | TEXT, "x")},
         "text(good)violation(bad_utf8)"},
    };

    expect_all(streams, ARRAY_LEN(streams), false);
}

static void bad_utf8_is_found_before_the_frame_has_ended(void **state)
{
    (void)state;
    struct buf bytes = BUF_EMPTY;

    add_frame(&bytes, &(struct frame){.first = FIN | TEXT, .payload = "ab\xff and more"});
    bytes.size -= strlen(" and more");
    expect(buf_slice(&bytes), "violation(bad_utf8)", false);
    buf_deinit(&bytes);
}

static void a_close_frame_gives_its_code_and_ends_the_stream(void **state)
{
    (void)state;
    static const struct stream streams[] = {
        {{F(FIN | CLOSE, "")}, "close(0)"},
        {{F(FIN | CLOSE, ""), F(FIN | TEXT, "late")}, "close(0)"},
        {{F(FIN | CLOSE, "\x03\xe8"), F(FIN | CLOSE, "\x03\xe8")}, "close(1000)"},
        {{F(FIN | CLOSE, "\x03\xe8good bye"), F(FIN | 3, "late")}, "close(1000)"},
        {{F(FIN | CLOSE, "\x03\xe8\xe2\x82\xac \xf0\x9f\x98\x80")}, "close(1000)"},
        {{F(TEXT, "he"), F(FIN | CLOSE, "\x03\xe9"), F(FIN | CONTINUATION, "llo")}, "close(1001)"},
        {{F(FIN | TEXT, "a"), F(FIN | CLOSE, "\x0f\xa0")}, "text(a)close(4000)"},
        {{F(FIN | CLOSE, "\x03")}, "violation(protocol_error)"},
        {{F(FIN | CLOSE, "\x03\xe8\xff")}, "violation(bad_utf8)"},
        {{F(FIN | CLOSE, "\x03\xe8ok then\xe2\x82")}, "violation(bad_utf8)"},
        {{F(FIN | CLOSE, "\x03\xe8\xed\xa0\x80")}, "violation(bad_utf8)"},
        {{F(FIN | CLOSE, "\x03\xe8\xc0\x80")}, "violation(bad_utf8)"},
        {{F(FIN | CLOSE, "\x03\xe8\xf0\x80\x80\x80")}, "violation(bad_utf8)"},
        {{F(FIN | CLOSE, "\x03\xe8\xf4\x90\x80\x80")}, "violation(bad_utf8)"},
        {{F(FIN | CLOSE, "\x03\xe8\xe2(\xa1")}, "violation(bad_utf8)"},
    };

    expect_all(streams, ARRAY_LEN(streams), false);
}

static bool code_may_be_sent(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static void each_close_code_is_taken_or_refused_as_the_registry_says(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= UINT16_MAX; code++) {
        struct listener l = {.heard = BUF_EMPTY};
        struct buf bytes = BUF_EMPTY;
        char payload[2] = {(char)(code >> 8), (char)(code & 0xff)};
        char want[40] = "violation(protocol_error)";

        if (code_may_be_sent(code)) {
            snprintf(want, sizeof(want), "close(%u)", code);
        }
        add_frame(&bytes, &(struct frame){.first = FIN | CLOSE, .payload = payload, .size = 2});
        feed(&l, bytes.at, bytes.size);
        expect_heard(&l, want, "code", code);
        buf_deinit(&bytes);
    }
}

static void who_wants_no_more_gets_no_more(void **state)
{
    (void)state;
    static const struct stream streams[] = {
        {{F(FIN | TEXT, "a"), F(FIN | TEXT, "b"), F(FIN | PING, "c"), F(FIN | 3, "d")}, "text(a)"},
        {{F(TEXT, "a"), F(FIN | CONTINUATION, "b"), F(FIN | CLOSE, "")}, "text(ab)"},
    };

    expect_all(streams, ARRAY_LEN(streams), true);
}

static void random_bytes_do_no_harm_and_mean_the_same_however_they_are_cut(void **state)
{
    (void)state;
    uint32_t seed = 12345;

    for (int run = 0; run < 3000; run++) {
        struct buf bytes = BUF_EMPTY;
        struct listener whole = {.heard = BUF_EMPTY};
        for (int k = 0; k < 4; k++) {
            static const uint8_t firsts[] = {
                TEXT,       FIN | TEXT,  FIN | BINARY, CONTINUATION, FIN | CONTINUATION,
                FIN | PING, FIN | CLOSE, 0x99};
            char payload[8];
            seed = seed * 1664525 + 1013904223;
            memcpy(payload, &seed, sizeof(seed));
            add_frame(&bytes, &(struct frame){.first = firsts[seed >> 28 & 7],
                                              .payload = payload,
                                              .size = 1 + (int)(seed >> 20 & 3)});
        }
        bytes.at[seed % bytes.size] ^= (char)(seed >> 9 & 0x11);
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
        cmocka_unit_test(legal_streams_are_reported_in_order),
        cmocka_unit_test(frames_that_break_the_rules_are_protocol_errors),
        cmocka_unit_test(text_that_is_not_utf8_is_refused_wherever_it_is_cut),
        cmocka_unit_test(bad_utf8_is_found_before_the_frame_has_ended),
        cmocka_unit_test(a_close_frame_gives_its_code_and_ends_the_stream),
        cmocka_unit_test(each_close_code_is_taken_or_refused_as_the_registry_says),
        cmocka_unit_test(who_wants_no_more_gets_no_more),
        cmocka_unit_test(random_bytes_do_no_harm_and_mean_the_same_however_they_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
