/*
 * test_room.c: which names are rooms, and that rooms never move to another partition.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/room.h"

static void good_names_are_rooms(void **state)
{
    static const char *const names[] = {
        "a",   "lobby", "chat:lobby", "a.b.c", ".", "a.",    ".a",
        "$v1", "a/b&c", "user@host",  "!",     "~", "{[(',", "0",
    };
    char longest[ROOM_NAME_MAX];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_true(room_is_valid(slice_of(names[i])));
    }
    memset(longest, 'r', sizeof(longest));
    assert_true(room_is_valid((struct slice){longest, sizeof(longest)}));
}

static void bad_names_are_no_rooms(void **state)
{
    static const char *const names[] = {"",     " ",    "a b",  "a\tb", "a\nb", "\"",   "a\"b",
                                        "\\",   "a\\b", "a*",   "*",    "..",   "a..",  "..a",
                                        "a..b", "...",  "\x7f", "\x01", "é",    "a\xff"};
    char too_long[ROOM_NAME_MAX + 1];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_false(room_is_valid(slice_of(names[i])));
    }
    assert_false(room_is_valid(SLICE_LIT("a\0b")));
    memset(too_long, 'r', sizeof(too_long));
    assert_false(room_is_valid((struct slice){too_long, sizeof(too_long)}));
}

static void every_other_character_is_allowed(void **state)
{
    (void)state;

    for (int c = 0; c < 256; c++) {
        const char name[] = {'a', (char)c, 'b'};
        bool want = c > 0x20 && c < 0x7f && strchr("\"\\*", c) == NULL;
        assert_int_equal(room_is_valid((struct slice){name, sizeof(name)}), want);
    }
}

/* What was once computed: a change would give rooms to partitions that do not know them. */
static void rooms_stay_in_their_partition_for_ever(void **state)
{
    static const struct {
        const char *name;
        uint32_t of_16, of_256, of_7;
    } cases[] = {
        {"a", 15, 31, 1},
        {"lobby", 2, 162, 2},
        {"chat:lobby", 12, 60, 4},
        {"support:42", 1, 145, 0},
        {"tea", 0, 128, 5},
        {"0", 5, 85, 3},
        {"abcdefghijklmnop", 8, 168, 1},
        {"abcdefghijklmnopq", 15, 207, 3},
        {"room-with-a-rather-long-name-that-takes-another-branch-of-the-hash-than-short-ones-do", 6,
         246, 6},
        {"rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"
         "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr",
         0, 192, 6},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice name = slice_of(cases[i].name);
        assert_int_equal(room_partition(name, 16), cases[i].of_16);
        assert_int_equal(room_partition(name, 256), cases[i].of_256);
        assert_int_equal(room_partition(name, 7), cases[i].of_7);
        assert_int_equal(room_partition(name, 1), 0);
    }
}

static void rooms_spread_over_all_partitions(void **state)
{
    uint32_t count[16] = {0};
    (void)state;

    for (uint32_t i = 0; i < 16000; i++) {
        char name[8] = {'r',
                        (char)('0' + i / 10000),
                        (char)('0' + i / 1000 % 10),
                        (char)('0' + i / 100 % 10),
                        (char)('0' + i / 10 % 10),
                        (char)('0' + i % 10)};
        count[room_partition(slice_of(name), 16)]++;
    }
    for (size_t p = 0; p < ARRAY_LEN(count); p++) {
        assert_in_range(count[p], 850, 1150);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_names_are_rooms),
        cmocka_unit_test(bad_names_are_no_rooms),
        cmocka_unit_test(every_other_character_is_allowed),
        cmocka_unit_test(rooms_stay_in_their_partition_for_ever),
        cmocka_unit_test(rooms_spread_over_all_partitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
