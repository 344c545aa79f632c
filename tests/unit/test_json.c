/*
 * test_json.c: what RFC 8259 and RFC 3629 accept and refuse, and what we refuse beyond them.
 * Tables of texts, then what holds for any text: tested on random ones with a fixed seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/mem.h"
#include "proto/json.h"
#include "proto/limits.h"
#include "tests/unit/random.h"

static bool valid(const char *text)
{
    return json_is_valid(slice_of(text), PAYLOAD_DEPTH_MAX);
}

/* What the grammar of RFC 8259 allows. */
static const char *const good_texts[] = {
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-0.0",
    "1",
    "-1",
    "10",
    "1.5",
    "0.1e1",
    "1E400",
    "1e+5",
    "1e-05",
    "123456789012345678901234567890",
    "\"\"",
    "\"a\"",
    "[]",
    "{}",
    "[ ]",
    "{ }",
    "[1]",
    "[1,2]",
    "[[],{}]",
    "{\"\":0}",
    "{\"a\":{\"b\":[]}}",
    "{\"a\":1,\"a\":2}",
    " \t\r\n[\r\n1 , 2 ]\n",
    "{ \"a\" : 1 , \"b\" : null }",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0041\\u00e9\\uFFFF\\uffff\"",
    "\"\\ud800\\udc00\\uDBFF\\uDFFF\"",
    "\"\x7f\"",
    "\"[{,:}]\"",
    "\"12345678\"",
    "\"1234567\\\"89\"",
    "\"12345678\xc3\xa9\"",
    "[true,false,null,-1.25e2,\"x\",{},[]]",
};

static void what_the_grammar_allows_is_valid(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(good_texts); i++) {
        if (!valid(good_texts[i])) {
            fail_msg("refused: %s", good_texts[i]);
        }
    }
}

/* What it does not. */
static const char *const bad_texts[] = {
    "",
    " ",
    "nul",
    "nulll",
    "True",
    "NaN",
    "Infinity",
    "-Infinity",
    "undefined",
    "'a'",
    "a",
    "+1",
    "-",
    "--1",
    "- 1",
    "01",
    "-01",
    "00",
    "1.",
    ".1",
    "-.1",
    "1.e1",
    "1e",
    "1e+",
    "1E-",
    "1e1.5",
    "0x10",
    "1_000",
    "1 2",
    "1,",
    "\"",
    "\"a",
    "a\"",
    "\"\\\"",
    "\"\\x41\"",
    "\"\\'\"",
    "\"\\",
    "\"\\u",
    "\"\\u12",
    "\"\\u123\"",
    "\"\\u12g4\"",
    "\"\\u 123\"",
    "\"\\U0041\"",
    "\"\t\"",
    "\"\n\"",
    "\"1234567\x1f\"",
    "\"12345678\x01\"",
    "\"\x1f\"",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1,,2]",
    "[1 2]",
    "[1]]",
    "[1}",
    "{",
    "}",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,\"a\":1}",
    "{\"a\" 1}",
    "{\"a\",1}",
    "{\"a\"::1}",
    "{a:1}",
    "{1:1}",
    "{'a':1}",
    "{\"a\":1]",
    "{\"a\":}",
    "{\"a\":1 \"b\":2}",
    "{null:1}",
    "{[]:1}",
    "[{]}",
    "[1]//",
    "/**/1",
    "#1",
    "\xef\xbb\xbf"
    "1",
    "\xc2\xa0"
    "1",
    "\f1",
    "\v1",
    "1\f",
};

static void what_the_grammar_does_not_allow_is_invalid(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad_texts); i++) {
        if (valid(bad_texts[i])) {
            fail_msg("accepted: %s", bad_texts[i]);
        }
    }
}

static void a_nul_is_neither_space_nor_an_end(void **state)
{
    (void)state;
    assert_false(json_is_valid(SLICE_LIT("1\0"), 1));
    assert_false(json_is_valid(SLICE_LIT("\0"), 1));
    assert_false(json_is_valid(SLICE_LIT("\"a\0b\""), 1));
    assert_false(json_is_valid(SLICE_LIT("\"\\\0\""), 1));
    assert_false(json_is_valid(SLICE_LIT("[1\0]"), 1));
    assert_false(json_is_valid(SLICE_LIT("{\"a\"\0:1}"), 1));
}

static void nul_characters_and_half_pairs_are_refused(void **state)
{
    static const char *const inside[] = {
        "\\u0000",        "a\\u0000b",      "\\ud800",        "\\udbff",
        "\\udc00",        "\\udfff",        "\\ud800x",       "\\ud800\\n",
        "\\ud800\\ud800", "\\udc00\\ud800", "\\ud800\\u0041", "\\ud800\\udbff\\udc00\\udc00",
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
        struct buf b = BUF_EMPTY;
        buf_addf(&b, "{\"%s\":\"%s\"}", "k", inside[i]);
        assert_false(json_is_valid(buf_slice(&b), 8));
        buf_clear(&b);
        buf_addf(&b, "{\"%s\":1}", inside[i]);
        assert_false(json_is_valid(buf_slice(&b), 8));
        buf_deinit(&b);
    }
    assert_false(valid("\"\\ud800\\u00\""));
    assert_false(valid("\"\\ud800\\"));
}

struct utf8 {
    const char *bytes;
    bool is_good;
};

/* The borders of RFC 3629, and what lies just beyond. */
static const struct utf8 sequences[] = {
    {"\xc2\x80", true},
    {"\xdf\xbf", true},
    {"\xe0\xa0\x80", true},
    {"\xed\x9f\xbf", true},
    {"\xee\x80\x80", true},
    {"\xef\xbf\xbf", true},
    {"\xf0\x90\x80\x80", true},
    {"\xf4\x8f\xbf\xbf", true},
    {"\xf3\xbf\xbf\xbf", true},
    {"\xe2\x82\xac", true},
    {"\xc3\xa9\xc3\xa9", true},
    {"\x80", false},
    {"\xbf", false},
    {"\xc0\x80", false},
    {"\xc0\xaf", false},
    {"\xc1\xbf", false},
    {"\xc2", false},
    {"\xc2\x7f", false},
    {"\xc2\xc0", false},
    {"\xc3\x28", false},
    {"\xe0\x80\x80", false},
    {"\xe0\x9f\xbf", false},
    {"\xe0\xa0", false},
    {"\xe2\x28\xa1", false},
    {"\xe2\x82\x28", false},
    {"\xe2\x82\xc0", false},
    {"\xed\xa0\x80", false},
    {"\xed\xaf\xbf", false},
    {"\xed\xbf\xbf", false},
    {"\xed\xa0\xbd\xed\xb8\x80", false},
    {"\xf0\x80\x80\x80", false},
    {"\xf0\x8f\xbf\xbf", false},
    {"\xf0\x9f\x98", false},
    {"\xf0\x28\x8c\xbc", false},
    {"\xf0\x90\x28\xbc", false},
    {"\xf0\x90\x8c\x28", false},
    {"\xf4\x90\x80\x80", false},
    {"\xf5\x80\x80\x80", false},
    {"\xf8\x88\x80\x80\x80", false},
    {"\xfc\x84\x80\x80\x80\x80", false},
    {"\xfe", false},
    {"\xff", false},
    {"\xc3\xa9\xa9", false},
};

static void strings_must_be_utf8_at_every_place_of_a_word(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(sequences); i++) {
        for (int before = 0; before < 17; before++) {
            for (int after = 0; after < 9; after++) {
                struct buf b = BUF_EMPTY;
                buf_addf(&b, "\"%.*s%s%.*s\"", before, "0123456789abcdefg", sequences[i].bytes,
                         after, "0123456789");
                assert_int_equal(json_is_valid(buf_slice(&b), 0), sequences[i].is_good);
                struct slice inside = {b.at + 1, b.size - 2};
                assert_int_equal(text_is_clean(inside), sequences[i].is_good);
                buf_deinit(&b);
            }
        }
    }
}

static void clean_texts_have_no_control_characters(void **state)
{
    (void)state;

    for (int c = 0; c < 0x80; c++) {
        const char text[] = {'a', (char)c, 'b'};
        assert_int_equal(text_is_clean((struct slice){text, 3}), c >= 0x20 && c != 0x7f);
    }
    assert_true(text_is_clean(SLICE_NONE));
}

static void control_characters_are_refused_at_every_place_of_a_word(void **state)
{
    (void)state;

    for (int c = 0; c < 0x80; c++) {
        for (size_t at = 0; at < 24; at++) {
            char text[26];
            memset(text, 'x', sizeof(text));
            text[0] = text[25] = '"';
            text[1 + at] = (char)c;
            bool is_good = c >= 0x20 && c != '"' && c != '\\';
            assert_int_equal(json_is_valid((struct slice){text, sizeof(text)}, 0), is_good);
        }
    }
}

static void depth_is_counted_and_bounded(void **state)
{
    struct buf b = BUF_EMPTY;
    (void)state;

    for (int depth = 0; depth <= 70; depth++) {
        for (int kind = 0; kind < 3; kind++) {
            buf_clear(&b);
            for (int i = 0; i < depth; i++) {
                bool is_object = kind == 1 || (kind == 2 && i % 2 == 1);
                buf_add_slice(&b, is_object ? SLICE_LIT("{\"a\":") : SLICE_LIT("["));
            }
            buf_add_char(&b, '1');
            for (int i = depth; i-- > 0;) {
                buf_add_char(&b, kind == 1 || (kind == 2 && i % 2 == 1) ? '}' : ']');
            }
            for (int max = 0; max <= PAYLOAD_DEPTH_MAX; max += max < 18 ? 1 : 23) {
                assert_int_equal(json_is_valid(buf_slice(&b), max), depth <= max);
            }
            if (depth > 0) { /* a wrong bracket at any level */
                b.at[b.size - 1] ^= ']' ^ '}';
                assert_false(json_is_valid(buf_slice(&b), PAYLOAD_DEPTH_MAX));
            }
        }
    }
    buf_deinit(&b);
    assert_true(json_is_valid(SLICE_LIT("[[],[],{\"a\":[]}]"), 3));
    assert_false(json_is_valid(SLICE_LIT("[[],[],{\"a\":[]}]"), 2));
    assert_false(json_is_valid(SLICE_LIT("[]"), 0));
}

static void ten_thousand_brackets_are_refused(void **state)
{
    static char text[20000];
    (void)state;

    memset(text, '[', sizeof(text));
    assert_false(json_is_valid((struct slice){text, sizeof(text)}, PAYLOAD_DEPTH_MAX));
    memset(text + 10000, ']', 10000);
    assert_false(json_is_valid((struct slice){text, sizeof(text)}, PAYLOAD_DEPTH_MAX));
}

/* In memory of exactly its size, so that reading on is seen. */
static bool exactly_valid(const char *at, size_t size)
{
    char *copy = mem_alloc(size + 1);

    memcpy(copy + 1, at, size);
    bool is_valid = json_is_valid((struct slice){copy + 1, size}, PAYLOAD_DEPTH_MAX);
    mem_free(copy);
    return is_valid;
}

static void no_prefix_of_a_document_is_one(void **state)
{
    static const char *const texts[] = {
        "{\"push\":{\"channel\":\"lobby\",\"pub\":{\"data\":{\"a\":[1,-2.5e+3,true,false,null]}}}}",
        "[\"\\u0041\\ud83d\\ude00\\n\", {\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\":[[],{}]}]",
        "\"12345678901234567890\\\\\"",
        "true",
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        size_t size = strlen(texts[i]);
        assert_true(exactly_valid(texts[i], size));
        for (size_t cut = 0; cut < size; cut++) {
            assert_false(exactly_valid(texts[i], cut));
        }
    }
}

/* Appends a random value of at most `depth` levels. */
static void add_random(struct buf *b, uint64_t *seed, int depth)
{
    static const char *const scalars[] = {
        "0",
        "-12.5e3",
        "true",
        "false",
        "null",
        "\"\"",
        "\"a\"",
        "1e400",
        "\"\\u0041\"",
        "\"\xc3\xa9\"",
        "\"\\\"\\\\ []{}\"",
        "\"0123456789abcdef\"",
    };
    uint64_t r = random_next(seed);
    bool is_object = r & 1;
    size_t count = r >> 8 & 3;

    if (depth == 0 || (r & 6) == 0) {
        buf_add_slice(b, slice_of(scalars[(r >> 16) % ARRAY_LEN(scalars)]));
        return;
    }
    buf_add_char(b, is_object ? '{' : '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_add_char(b, ',');
        }
        if (is_object) {
            buf_addf(b, "\"k%zu\" :", i);
        }
        add_random(b, seed, depth - 1);
        buf_add_slice(b, random_next(seed) % 4 == 0 ? SLICE_LIT(" \n") : SLICE_NONE);
    }
    buf_add_char(b, is_object ? '}' : ']');
}

static void random_documents_are_valid_and_survive_flattening(void **state)
{
    uint64_t seed = 20260101;
    (void)state;

    for (int round = 0; round < 3000; round++) {
        struct buf b = BUF_EMPTY, flat = BUF_EMPTY;
        add_random(&b, &seed, 6);
        assert_true(json_is_valid(buf_slice(&b), 6));
        json_add_flat(&flat, buf_slice(&b));
        assert_true(json_is_valid(buf_slice(&flat), 6));
        assert_null(memchr(flat.at, '\n', flat.size));
        buf_deinit(&b);
        buf_deinit(&flat);
    }
}

static void damaged_documents_do_no_harm(void **state)
{
    uint64_t seed = 20260102;
    (void)state;

    for (int round = 0; round < 20000; round++) {
        struct buf b = BUF_EMPTY;
        add_random(&b, &seed, 4);
        for (uint64_t n = random_next(&seed) % 3 + 1; n > 0; n--) {
            b.at[random_next(&seed) % b.size] = (char)(random_next(&seed) >> 24);
        }
        if (exactly_valid(b.at, b.size)) { /* then it can be walked without harm */
            (void)json_has_duplicates(buf_slice(&b), 4);
            (void)json_get(buf_slice(&b), "none");
        }
        buf_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_grammar_allows_is_valid),
        cmocka_unit_test(what_the_grammar_does_not_allow_is_invalid),
        cmocka_unit_test(a_nul_is_neither_space_nor_an_end),
        cmocka_unit_test(nul_characters_and_half_pairs_are_refused),
        cmocka_unit_test(strings_must_be_utf8_at_every_place_of_a_word),
        cmocka_unit_test(clean_texts_have_no_control_characters),
        cmocka_unit_test(control_characters_are_refused_at_every_place_of_a_word),
        cmocka_unit_test(depth_is_counted_and_bounded),
        cmocka_unit_test(ten_thousand_brackets_are_refused),
        cmocka_unit_test(no_prefix_of_a_document_is_one),
        cmocka_unit_test(random_documents_are_valid_and_survive_flattening),
        cmocka_unit_test(damaged_documents_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
