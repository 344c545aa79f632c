/*
 * test_frame.c: what a server's frames look like on the wire (RFC 6455 5.2, 5.7).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/ws/frame.h"

static void expect(struct blob *frame, const char *bytes, size_t size)
{
    assert_int_equal(frame->refs, 1);
    assert_int_equal(frame->size, size);
    assert_memory_equal(frame->bytes, bytes, size);
    blob_unref(frame);
}

static void short_frames_are_as_the_rfc_shows_them(void **state)
{
    (void)state;
    expect(frame_text(SLICE_LIT("Hello")), "\x81\x05Hello", 7);
    expect(frame_text(SLICE_NONE), "\x81\x00", 2);
    expect(frame_binary(SLICE_LIT("\0\xff")), "\x82\x02\0\xff", 4);
    expect(frame_binary(SLICE_NONE), "\x82\x00", 2);
    expect(frame_pong(SLICE_LIT("Hello")), "\x8a\x05Hello", 7);
    expect(frame_pong(SLICE_NONE), "\x8a\x00", 2);
    expect(frame_ping(), "\x89\x00", 2);
}

static void each_length_takes_its_shortest_form(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        const char *head;
        size_t head_size;
    } cases[] = {
        {1, "\x81\x01", 2},
        {125, "\x81\x7d", 2},
        {126, "\x81\x7e\x00\x7e", 4},
        {256, "\x81\x7e\x01\x00", 4},
        {65535, "\x81\x7e\xff\xff", 4},
        {65536, "\x81\x7f\0\0\0\0\0\1\0\0", 10},
        {70000, "\x81\x7f\0\0\0\0\0\1\x11\x70", 10},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text = BUF_EMPTY;
        memset(buf_reserve(&text, cases[i].size), 'x', cases[i].size);
        buf_grew(&text, cases[i].size);

        struct blob *frame = frame_text(buf_slice(&text));
        assert_int_equal(frame->size, cases[i].head_size + cases[i].size);
        assert_memory_equal(frame->bytes, cases[i].head, cases[i].head_size);
        assert_memory_equal(frame->bytes + cases[i].head_size, text.at, text.size);

        struct buf many = BUF_EMPTY; /* the same bytes, behind others */
        buf_add_lit(&many, "before");
        frame_add_text(&many, buf_slice(&text));
        assert_int_equal(many.size, 6 + frame->size);
        assert_memory_equal(many.at + 6, frame->bytes, frame->size);
        buf_deinit(&many);
        blob_unref(frame);
        buf_deinit(&text);
    }
}

static void a_pong_carries_up_to_125_bytes(void **state)
{
    (void)state;
    char data[125];

    memset(data, 'x', sizeof(data));
    struct blob *frame = frame_pong((struct slice){data, sizeof(data)});
    assert_int_equal(frame->size, 127);
    assert_memory_equal(frame->bytes, "\x8a\x7dxx", 4);
    blob_unref(frame);
}

static void a_close_frame_has_a_code_and_a_reason_or_nothing(void **state)
{
    (void)state;
    expect(frame_close(0, "not sent"), "\x88\x00", 2);
    expect(frame_close(1000, ""), "\x88\x02\x03\xe8", 4);
    expect(frame_close(3001, "shutdown"), "\x88\x0a\x0b\xb9shutdown", 12);
}

static void a_long_reason_is_cut_between_characters(void **state)
{
    (void)state;
    char reason[200];

    for (size_t before = 118; before <= 124; before++) { /* three-byte characters from there on */
        memset(reason, 'x', before);
        for (size_t i = before; i + 3 < sizeof(reason); i += 3) {
            memcpy(reason + i, "\xe2\x82\xac", 4);
        }
        size_t room = before < 123 ? (123 - before) / 3 * 3 : 0;
        struct blob *frame = frame_close(1000, reason);
        assert_int_equal(frame->size, 4 + MIN(before, 123) + room);
        assert_int_equal(frame->bytes[1], frame->size - 2);
        assert_memory_equal(frame->bytes + 4, reason, frame->size - 4);
        blob_unref(frame);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_frames_are_as_the_rfc_shows_them),
        cmocka_unit_test(each_length_takes_its_shortest_form),
        cmocka_unit_test(a_pong_carries_up_to_125_bytes),
        cmocka_unit_test(a_close_frame_has_a_code_and_a_reason_or_nothing),
        cmocka_unit_test(a_long_reason_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
