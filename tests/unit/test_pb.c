/*
 * test_pb.c: the wire format of Protobuf: what is cut off, too long or unknown harms nobody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/pb.h"

/* A copy that ends where its memory ends, so that the sanitizer sees a step beyond. */
struct exact {
    char *memory; /* owns */
    struct slice all;
};

static struct exact exact_of(struct slice bytes)
{
    struct exact e = {.memory = malloc(bytes.size > 0 ? bytes.size : 1)};

    assert_non_null(e.memory);
    if (bytes.size > 0) {
        memcpy(e.memory, bytes.at, bytes.size);
    }
    e.all = (struct slice){e.memory, bytes.size};
    return e;
}

/* How the reading of all fields ends. */
static int read_all(struct slice bytes, size_t *count)
{
    struct exact e = exact_of(bytes);
    struct slice rest = e.all;
    struct pb_field f;
    int answer;

    *count = 0;
    while ((answer = pb_next(&rest, &f)) == 0) {
        (*count)++;
    }
    free(e.memory);
    return answer;
}

#define RAW(text)                                                                                  \
    {                                                                                              \
        "" text, sizeof(text) - 1                                                                  \
    }
#define BYTES(text) ((struct slice)RAW(text))

static void numbers_come_back_in_their_shortest_form(void **state)
{
    static const struct {
        uint64_t number;
        size_t size;
    } cases[] = {
        {1, 1},
        {127, 1},
        {128, 2},
        {16383, 2},
        {16384, 3},
        {UINT32_MAX, 5},
        {(1ull << 56) - 1, 8},
        {1ull << 56, 9},
        {INT64_MAX, 9},
        {1ull << 63, 10},
        {UINT64_MAX, 10},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = BUF_EMPTY;
        struct pb_field f;

        pb_add_u64(&out, 15, cases[i].number);
        assert_int_equal(out.size, 1 + cases[i].size);
        struct slice rest = buf_slice(&out);
        assert_int_equal(pb_next(&rest, &f), 0);
        assert_int_equal(f.number, 15);
        assert_int_equal(f.type, PB_VARINT);
        assert_true(f.value == cases[i].number);
        assert_int_equal(pb_next(&rest, &f), PB_END);
        buf_deinit(&out);
    }
}

static void longer_forms_of_a_number_are_legal(void **state)
{
    struct slice rest = BYTES("\x88\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00");
    struct pb_field f;
    (void)state;

    assert_int_equal(pb_next(&rest, &f), 0);
    assert_int_equal(f.number, 1);
    assert_true(f.value == 0);
    assert_int_equal(pb_next(&rest, &f), PB_END);
}

static void zero_false_and_nothing_are_left_out(void **state)
{
    struct buf out = BUF_EMPTY;
    (void)state;

    pb_add_u64(&out, 1, 0);
    pb_add_flag(&out, 2, false);
    pb_add_bytes(&out, 3, SLICE_NONE);
    assert_int_equal(out.size, 0);
    pb_add_flag(&out, 2, true);
    assert_true(slice_equal(buf_slice(&out), BYTES("\x10\x01")));
    buf_deinit(&out);
}

static void what_is_no_message_is_broken(void **state)
{
    static const struct {
        const char *name;
        struct slice bytes;
    } cases[] = {
        {"a number of 65 bits", RAW("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")},
        {"a number of eleven bytes", RAW("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00")},
        {"a number without end", RAW("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")},
        {"a key of 33 bits", RAW("\x80\x80\x80\x80\x10\x00")},
        {"a key of 65 bits", RAW("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x00")},
        {"field 0", RAW("\x00\x00")},
        {"field 0 of bytes", RAW("\x02\x00")},
        {"a group begins", RAW("\x0b\x0c")},
        {"a group ends", RAW("\x0c")},
        {"type 6", RAW("\x0e\x00")},
        {"type 7", RAW("\x0f\x00")},
        {"one byte too few", RAW("\x0a\x03"
                                 "ab")},
        {"a length of 2 GiB", RAW("\x0a\x80\x80\x80\x80\x08"
                                  "ab")},
        {"a length of 2^63", RAW("\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"
                                 "ab")},
        {"a length of 2^64 - 1", RAW("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                                     "ab")},
        {"a length of 65 bits", RAW("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x03"
                                    "ab")},
        {"seven bytes of eight", RAW("\x09"
                                     "1234567")},
        {"three bytes of four", RAW("\x0d"
                                    "123")},
    };
    size_t count;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (read_all(cases[i].bytes, &count) != PB_BROKEN || count != 0) {
            fail_msg("%s", cases[i].name);
        }
    }
}

static void every_cut_is_seen(void **state)
{
    /* Where each field begins, and the end. */
    static const size_t starts[] = {0, 3, 12, 17, 22, 28};
    const struct slice whole = BYTES("\x08\xac\x02" /* 1: 300 */
                                     "\x11"
                                     "12345678" /* 2: eight bytes */
                                     "\x1a\x03"
                                     "abc" /* 3: abc */
                                     "\x25"
                                     "1234" /* 4: four bytes */
                                     "\xba\x3e\x83\x00"
                                     "xyz"); /* 999: xyz, a longer length */
    size_t count;
    (void)state;

    assert_int_equal(whole.size, 29);
    for (size_t size = 0; size <= whole.size; size++) {
        bool is_boundary = size == whole.size;
        size_t fields = 0;

        for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
            is_boundary = is_boundary || (starts[i] == size && i < 5);
            fields += starts[i] < size && i < 5;
        }
        int answer = read_all((struct slice){whole.at, size}, &count);
        assert_int_equal(answer, is_boundary ? PB_END : PB_BROKEN);
        assert_int_equal(count, is_boundary ? fields : fields - 1);
    }
}

static void unknown_fields_are_passed_by_their_type(void **state)
{
    struct slice rest = BYTES("\xfd\xff\xff\xff\x0f"
                              "1234" /* the highest number */
                              "\x11"
                              "12345678"
                              "\x1a\x00"
                              "\x20\x05");
    struct pb_field f;
    (void)state;

    assert_int_equal(pb_next(&rest, &f), 0);
    assert_int_equal(f.number, PB_NUMBER_MAX);
    assert_int_equal(f.type, PB_FIXED32);
    assert_int_equal(pb_next(&rest, &f), 0);
    assert_int_equal(f.type, PB_FIXED64);
    assert_int_equal(pb_next(&rest, &f), 0);
    assert_int_equal(f.type, PB_BYTES);
    assert_int_equal(f.bytes.size, 0);
    assert_int_equal(pb_next(&rest, &f), 0);
    assert_true(f.number == 4 && f.value == 5);
    assert_int_equal(pb_next(&rest, &f), PB_END);
}

static void messages_stand_behind_their_lengths(void **state)
{
    struct slice rest = BYTES("\x00\x03"
                              "abc\x81\x00"
                              "d\x02"
                              "e"),
                 message;
    (void)state;

    assert_int_equal(pb_next_message(&rest, &message), 0);
    assert_int_equal(message.size, 0);
    assert_int_equal(pb_next_message(&rest, &message), 0);
    assert_true(slice_equal(message, SLICE_LIT("abc")));
    assert_int_equal(pb_next_message(&rest, &message), 0);
    assert_true(slice_equal(message, SLICE_LIT("d")));
    assert_int_equal(pb_next_message(&rest, &message), PB_BROKEN);
    rest = SLICE_NONE;
    assert_int_equal(pb_next_message(&rest, &message), PB_END);
    rest = BYTES("\x80");
    assert_int_equal(pb_next_message(&rest, &message), PB_BROKEN);
}

static void lengths_are_written_when_they_are_known(void **state)
{
    static const size_t sizes[] = {0, 1, 126, 127, 128, 129, 16383, 16384, 70000, 2097152};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf out = BUF_EMPTY;
        struct slice rest, message;
        struct pb_field outer, inner;

        buf_add_lit(&out, "before");
        size_t whole = pb_open_message(&out), field = pb_open(&out, 7), last = pb_open(&out, 9);
        memset(buf_reserve(&out, sizes[i] + 1), 'x', sizes[i]);
        buf_grew(&out, sizes[i]);
        pb_close(&out, last);
        pb_close(&out, field);
        pb_close(&out, whole);
        rest = buf_slice(&out);
        rest.at += strlen("before");
        rest.size -= strlen("before");
        assert_int_equal(pb_next_message(&rest, &message), 0);
        assert_int_equal(rest.size, 0);
        assert_int_equal(pb_next(&message, &outer), 0);
        assert_int_equal(outer.number, 7);
        assert_int_equal(message.size, 0);
        assert_int_equal(pb_next(&outer.bytes, &inner), 0);
        assert_int_equal(inner.number, 9);
        assert_int_equal(inner.bytes.size, sizes[i]);
        assert_int_equal(outer.bytes.size, 0);
        buf_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_back_in_their_shortest_form),
        cmocka_unit_test(longer_forms_of_a_number_are_legal),
        cmocka_unit_test(zero_false_and_nothing_are_left_out),
        cmocka_unit_test(what_is_no_message_is_broken),
        cmocka_unit_test(every_cut_is_seen),
        cmocka_unit_test(unknown_fields_are_passed_by_their_type),
        cmocka_unit_test(messages_stand_behind_their_lengths),
        cmocka_unit_test(lengths_are_written_when_they_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
