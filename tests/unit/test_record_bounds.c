/*
 * test_record_bounds.c: whatever the doors let through is a record that its reader takes: random
 * records as large, as deep and as odd as they may be. One step further, and a record is kept out
 * of the body that others share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/json.h"
#include "proto/record.h"
#include "proto/room.h"
#include "tests/unit/random.h"

#define ROUNDS 3000
#define ROLES_MAX 16 /* of a token */
#define TOKEN_ROLE_MAX 32

/* The texts of one record. */
struct texts {
    struct buf room, user, key, info, chan_info, roles, payload;
};

static uint64_t seed = 20261127;

static uint64_t below(uint64_t count)
{
    return random_next(&seed) % count;
}

/* Most sizes are small; some are the largest. */
static size_t size_up_to(size_t max)
{
    return below(4) == 0 ? max : below(MIN(max, 40) + 1);
}

/* A text as people have it, of at most `max` bytes: clean UTF-8 with what JSON has to escape. */
static void add_escaped(struct buf *out, size_t max)
{
    static const char *const parts[] = {
        "a", "Z", " ", "\"", "\\", "/", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xc2\x80"};
    struct buf text = BUF_EMPTY;
    size_t size = size_up_to(max);

    while (text.size < size) {
        const char *part = parts[below(ARRAY_LEN(parts))];

        buf_add_slice(&text, text.size + strlen(part) <= size ? slice_of(part) : SLICE_LIT("x"));
    }
    assert_true(text_is_clean(buf_slice(&text)));
    json_escape(out, buf_slice(&text));
    buf_deinit(&text);
}

static void add_room(struct buf *out)
{
    static const char odd[] = "abc:-_$!()+,;=@[]{}<>'~^|`?%&";
    size_t size = 1 + below(below(4) == 0 ? ROOM_NAME_MAX : 20);

    do {
        buf_clear(out);
        while (out->size < size) {
            buf_add_char(out, odd[below(sizeof(odd) - 1)]);
        }
    } while (!room_is_valid(buf_slice(out)));
}

static void add_key(struct buf *out)
{
    size_t size = size_up_to(KEY_MAX);

    while (out->size < size) {
        char c = (char)(0x20 + below(0x5f));

        buf_add_char(out, c == '"' || c == '\\' ? '-' : c);
    }
}

/* A value of exactly so many levels; an object at the top if it has one. */
static void add_nested(struct buf *out, int levels, bool is_object)
{
    static const char *const leaves[] = {"1e400",
                                         "-0.0",
                                         "\"\\u00e9\\n\\/\"",
                                         "null",
                                         "[]",
                                         "{\"a\":1 ,\"a\":2}",
                                         "\"\\ud83d\\ude00\"",
                                         "true"};
    const char *leaf;
    struct buf ends = BUF_EMPTY;

    do {
        leaf = leaves[below(ARRAY_LEN(leaves))];
    } while ((leaf[0] == '[' || leaf[0] == '{') && levels == 0);
    levels -= leaf[0] == '[' || leaf[0] == '{';
    for (int i = 0; i < levels; i++) {
        bool is_list = below(2) == 0 && !(is_object && i == 0);

        buf_add_slice(out, is_list ? SLICE_LIT("[ 0,") : SLICE_LIT("{\"k\": "));
        buf_add_char(&ends, is_list ? ']' : '}');
    }
    buf_add_slice(out, is_object && levels == 0 ? SLICE_LIT("{}") : slice_of(leaf));
    while (ends.size > 0) {
        buf_add_char(out, ends.at[--ends.size]);
    }
    buf_deinit(&ends);
}

/* Makes a text longer without another meaning; the value ends with a bracket. */
static void stretch(struct buf *out, size_t size)
{
    while (out->size < size) {
        buf_add_char(out, ' ');
    }
}

static void add_info(struct buf *out)
{
    if (below(3) > 0) {
        add_nested(out, 1 + (int)below(INFO_DEPTH_MAX), true);
        stretch(out, size_up_to(INFO_MAX));
        assert_true(record_info_is_valid(buf_slice(out)));
    }
}

static void add_roles(struct buf *out)
{
    size_t count = below(ROLES_MAX + 1);

    for (size_t i = 0; i < count; i++) {
        buf_add_slice(out, i == 0 ? SLICE_LIT("[\"x") : SLICE_LIT(",\"x"));
        add_escaped(out, TOKEN_ROLE_MAX - 1);
        buf_add_char(out, '"');
    }
    if (count > 0) {
        buf_add_char(out, ']');
    }
}

static void add_payload(struct buf *out)
{
    add_nested(out, below(4) == 0 ? PAYLOAD_DEPTH_MAX : (int)below(5), false);
    if (below(200) == 0) {
        stretch(out, PAYLOAD_CEILING);
    }
}

static void clear(struct texts *t)
{
    struct buf *all[] = {&t->room,      &t->user,  &t->key,    &t->info,
                         &t->chan_info, &t->roles, &t->payload};

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        buf_deinit(all[i]);
    }
}

static struct record random_record(struct texts *t)
{
    *t = (struct texts){.room = BUF_EMPTY};
    add_room(&t->room);
    add_escaped(&t->user, USER_MAX);
    add_key(&t->key);
    add_info(&t->info);
    add_info(&t->chan_info);
    add_roles(&t->roles);
    add_payload(&t->payload);
    return (struct record){
        .room = buf_slice(&t->room),
        .user = buf_slice(&t->user),
        .client = below(2) == 0 ? SLICE_NONE : SLICE_LIT("6f1c8a52-0d3e-4b7a-9c11-2a5f0e8d7b64"),
        .info = buf_slice(&t->info),
        .chan_info = buf_slice(&t->chan_info),
        .time = (int64_t)random_next(&seed) >> below(64),
        .key = buf_slice(&t->key),
        .roles = buf_slice(&t->roles),
        .is_muted = below(2) == 0,
        .payload = buf_slice(&t->payload),
    };
}

static void what_is_within_all_bounds_is_taken(void **state)
{
    struct buf body = BUF_EMPTY;
    (void)state;

    for (int round = 0; round < ROUNDS; round++) {
        struct texts texts;
        struct record r = random_record(&texts), again;

        buf_clear(&body);
        buf_add_lit(&body, "before\n");
        if (!record_encode_checked(&body, &r)) {
            record_encode(&body, &r);
            fail_msg("refused: %.*s", (int)MIN(body.size, 3000u), body.at);
        }
        struct slice rest = {body.at + 7, body.size - 7};
        assert_int_equal(record_next(&rest, false, &again), 0);
        assert_int_equal(rest.size, 0);
        assert_true(slice_equal(again.room, r.room) && slice_equal(again.user, r.user));
        assert_true(slice_equal(again.key, r.key) && slice_equal(again.roles, r.roles));
        assert_true(slice_equal(json_trim(again.info), json_trim(r.info)));
        assert_true(slice_equal(json_trim(again.chan_info), json_trim(r.chan_info)));
        assert_true(slice_equal(json_trim(again.payload), json_trim(r.payload)));
        assert_true(again.time == r.time && again.is_muted == r.is_muted);
        clear(&texts);
    }
    buf_deinit(&body);
}

/* An object of so many levels. */
static struct slice object_of(struct buf *out, int levels)
{
    buf_clear(out);
    for (int i = 0; i < levels; i++) {
        buf_add_lit(out, "{\"a\":");
    }
    buf_add_char(out, '1');
    for (int i = 0; i < levels; i++) {
        buf_add_char(out, '}');
    }
    return buf_slice(out);
}

static void an_info_is_an_object_that_is_neither_too_long_nor_too_deep(void **state)
{
    static const char *const none[] = {"",  "1",   "[]",  "\"{}\"",  "null",
                                       "{", "{}x", " {}", "{\"a\":}"};
    struct buf text = BUF_EMPTY;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        assert_false(record_info_is_valid(slice_of(none[i])));
    }
    for (int levels = 1; levels <= PAYLOAD_DEPTH_MAX; levels++) {
        assert_int_equal(record_info_is_valid(object_of(&text, levels)), levels <= INFO_DEPTH_MAX);
    }
    for (size_t size = INFO_MAX; size <= INFO_MAX + 1; size++) {
        buf_clear(&text);
        buf_add_lit(&text, "{}");
        stretch(&text, size);
        assert_int_equal(record_info_is_valid(buf_slice(&text)), size == INFO_MAX);
    }
    buf_deinit(&text);
}

static void what_its_reader_would_refuse_does_not_get_into_the_body(void **state)
{
    struct buf deep = BUF_EMPTY, deeper = BUF_EMPTY, large = BUF_EMPTY, name = BUF_EMPTY;
    (void)state;

    object_of(&deep, INFO_DEPTH_MAX + 1);
    object_of(&deeper, PAYLOAD_DEPTH_MAX + 1);
    buf_add_char(&large, '"');
    for (size_t i = 0; i < PAYLOAD_CEILING; i++) {
        buf_add_char(&large, 'x');
    }
    buf_add_char(&large, '"');
    for (size_t i = 0; i <= USER_MAX; i++) {
        buf_add_char(&name, 'x');
    }
#define A_ROOM .room = SLICE_LIT("a")
#define A_RECORD A_ROOM, .payload = SLICE_LIT("1")
    const struct {
        const char *what;
        struct record record;
    } bad[] = {
        {"info that is too deep", {A_RECORD, .info = buf_slice(&deep)}},
        {"chan_info that is too deep", {A_RECORD, .chan_info = buf_slice(&deep)}},
        {"info that is none", {A_RECORD, .info = SLICE_LIT("[]")}},
        {"info with a line break", {A_RECORD, .info = SLICE_LIT("{\n}")}},
        {"payload that is too deep", {A_ROOM, .payload = buf_slice(&deeper)}},
        {"payload that is too large", {A_ROOM, .payload = buf_slice(&large)}},
        {"payload that is no JSON", {A_ROOM, .payload = SLICE_LIT("one")}},
        {"payload that is two", {A_ROOM, .payload = SLICE_LIT("1 2")}},
        {"room that is none", {.room = SLICE_LIT("a b"), .payload = SLICE_LIT("1")}},
        {"user that is too long", {A_RECORD, .user = buf_slice(&name)}},
        {"user that ends the string", {A_RECORD, .user = SLICE_LIT("a\"")}},
        {"client that is too long", {A_RECORD, .client = buf_slice(&name)}},
        {"key that is too long", {A_RECORD, .key = buf_slice(&name)}},
        {"key with an escape", {A_RECORD, .key = SLICE_LIT("\\u0061")}},
        {"roles that are none", {A_RECORD, .roles = SLICE_LIT("[1]")}},
    };
#undef A_RECORD
#undef A_ROOM
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf body = BUF_EMPTY;

        buf_add_lit(&body, "before\n");
        if (record_encode_checked(&body, &bad[i].record)) {
            fail_msg("taken: %s", bad[i].what);
        }
        assert_true(slice_equal(buf_slice(&body), SLICE_LIT("before\n")));
        buf_deinit(&body);
    }
    buf_deinit(&deep);
    buf_deinit(&deeper);
    buf_deinit(&large);
    buf_deinit(&name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_within_all_bounds_is_taken),
        cmocka_unit_test(an_info_is_an_object_that_is_neither_too_long_nor_too_deep),
        cmocka_unit_test(what_its_reader_would_refuse_does_not_get_into_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
