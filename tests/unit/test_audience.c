/* test_audience.c: who may see a record, as it is written, read and wished for by payloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/mem.h"
#include "proto/audience.h"

static void what_is_written_is_read_back(void **state)
{
    static const char *const texts[] = {
        "{\"by\":\"muted\",\"roles\":[\"moderator\"],\"users\":[\"ann\"]}",
        "{\"by\":\"hidden\",\"roles\":[\"moderator\"],\"client\":\"c-1\"}",
        "{\"by\":\"roles\",\"roles\":[\"a\\\"b\",\"\xc3\xa9\"],\"users\":[\"ann\",\"b\\\\b\"]}",
        "{\"by\":\"payload\",\"users\":[\"ann\"],\"not\":\"c-2\"}",
        "{\"by\":\"echo\",\"not\":\"c-3\"}",
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct buf again = BUF_EMPTY;
        struct audience a;

        assert_true(audience_read(slice_of(texts[i]), &a));
        assert_int_equal(a.rule, i);
        assert_false(a.is_opaque);
        assert_int_equal(audience_is_open(&a), i == AUDIENCE_BY_ECHO);
        audience_write(&again, &a);
        assert_true(slice_equal(buf_slice(&again), slice_of(texts[i])));
        buf_deinit(&again);
    }
}

static void what_is_no_audience_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        "null",
        "[]",
        "\"ann\"",
        "{",
        "{\"users\":\"ann\"}",
        "{\"users\":[\"ann\"",
        "{\"users\":[\"ann\",]}",
        "{\"users\":[\"ann\" \"bob\"]}",
        "{\"users\":[1]}",
        "{\"users\":[\"\"]}",
        "{\"users\":[\"a\\u0000\"]}",
        "{\"users\":[\"ann\"],\"users\":[\"bob\"]}",
        "{\"roles\":[\"a\"],\"roles\":[\"b\"]}",
        "{\"roles\":{\"a\":1}}",
        "{\"not\":\"\"}",
        "{\"not\":\"a\\u0062\"}",
        "{\"client\":5}",
        "{\"by\":5}",
        "{} {}",
    };
    struct audience a;
    char *large = mem_alloc(AUDIENCE_MAX + 1);
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (audience_read(slice_of(texts[i]), &a)) {
            fail_msg("read: %s", texts[i]);
        }
    }
    memset(large, ' ', AUDIENCE_MAX + 1);
    large[0] = '{';
    large[AUDIENCE_MAX] = '}';
    assert_false(audience_read((struct slice){large, AUDIENCE_MAX + 1}, &a));
    large[AUDIENCE_MAX - 1] = '}';
    assert_true(audience_read((struct slice){large, AUDIENCE_MAX}, &a));
    mem_free(large);
}

static void what_is_not_understood_is_for_nobody(void **state)
{
    struct audience a;
    (void)state;

    assert_true(audience_read(SLICE_LIT("{\"by\":\"age\",\"above\":[18]}"), &a));
    assert_true(a.is_opaque);
    assert_false(audience_is_open(&a));
    assert_int_equal(a.rule, AUDIENCE_RULES);
    assert_true(audience_read(SLICE_LIT("{}"), &a));
    assert_true(audience_is_open(&a));
}

static void as_many_names_as_may_be_are_read_and_no_more(void **state)
{
    struct audience_names names;
    (void)state;

    for (size_t count = AUDIENCE_NAMES_MAX; count <= AUDIENCE_NAMES_MAX + 1; count++) {
        struct buf list = BUF_EMPTY;

        for (size_t i = 0; i < count; i++) {
            buf_addf(&list, "%s\"u%zu\"", i == 0 ? "[" : " , ", i);
        }
        buf_add_lit(&list, " ] ");
        bool is_read = audience_read_names(buf_slice(&list), USER_MAX, &names);
        assert_int_equal(is_read, count <= AUDIENCE_NAMES_MAX);
        buf_deinit(&list);
    }
    assert_true(audience_read_names(SLICE_LIT("[]"), USER_MAX, &names));
    assert_int_equal(names.count, 0);
    assert_false(audience_read_names(SLICE_LIT("[\"abc\"]"), 2, &names));
}

static void add_all(struct buf *out, const struct audience_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        buf_addf(out, "%s%.*s", i > 0 ? "|" : "", SLICE_ARG(names->at[i]));
    }
}

static void a_payload_names_whom_it_is_for(void **state)
{
    static const struct {
        const char *payload;
        int answer;
        const char *want; /* users;roles */
    } cases[] = {
        {"{\"to\":\"bob\"}", 0, "bob;"},
        {"{\"message\":\"x\",\"to\":[\"bob\",\"cy\"]}", 0, "bob|cy;"},
        {"{\"roles\":\"moderator\"}", 0, ";moderator"},
        {"{ \"roles\" : [ \"a\" , \"b\" ] , \"to\" : \"c\" }", 0, "c;a|b"},
        {"{\"to\":[]}", 0, ";"},
        /* One way of writing a name, whatever way it comes. */
        {"{\"to\":\"b\\u006fb\"}", 0, "bob;"},
        {"{\"to\":[\"a\\/b\",\"\\u00e9\",\"a\\u0022\",\"\\u000a\"]}", 0, "a/b|\xc3\xa9|a\\\"|\\n;"},
        {"{\"t\\u006f\":\"bob\"}", 0, "bob;"},
        {"{\"r\\u006fles\":[\"\\u0061\"]}", 0, ";a"},
        /* Nobody. */
        {"{}", AUDIENCE_NO_WISH, ";"},
        {"5", AUDIENCE_NO_WISH, ";"},
        {"[\"to\"]", AUDIENCE_NO_WISH, ";"},
        {"\"to\"", AUDIENCE_NO_WISH, ";"},
        {"{\"TO\":\"bob\",\"too\":\"bob\",\"a\":{\"to\":\"bob\"}}", AUDIENCE_NO_WISH, ";"},
        /* Nonsense. */
        {"{\"to\":null}", AUDIENCE_BAD_WISH, NULL},
        {"{\"to\":5}", AUDIENCE_BAD_WISH, NULL},
        {"{\"to\":\"\"}", AUDIENCE_BAD_WISH, NULL},
        {"{\"to\":{\"user\":\"bob\"}}", AUDIENCE_BAD_WISH, NULL},
        {"{\"to\":[\"bob\",5]}", AUDIENCE_BAD_WISH, NULL},
        {"{\"to\":[[\"bob\"]]}", AUDIENCE_BAD_WISH, NULL},
        {"{\"to\":\"bob\",\"to\":\"cy\"}", AUDIENCE_BAD_WISH, NULL},
        {"{\"to\":\"bob\",\"t\\u006f\":\"cy\"}", AUDIENCE_BAD_WISH, NULL},
        {"{\"roles\":true}", AUDIENCE_BAD_WISH, NULL},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf texts = BUF_EMPTY, got = BUF_EMPTY;
        struct audience_names users, roles;

        int answer = audience_of_payload(slice_of(cases[i].payload), &texts, &users, &roles);
        add_all(&got, &users);
        buf_add_char(&got, ';');
        add_all(&got, &roles);
        if (answer != cases[i].answer ||
            (cases[i].want != NULL && !slice_equal(buf_slice(&got), slice_of(cases[i].want)))) {
            fail_msg("%s: %d %.*s", cases[i].payload, answer, SLICE_ARG(buf_slice(&got)));
        }
        buf_deinit(&texts);
        buf_deinit(&got);
    }
}

/* However many escapes there are, what was read stays where it is. */
static void a_payload_may_name_so_many_and_no_more(void **state)
{
    static const struct {
        size_t names;
        const char *name;
        int answer;
    } cases[] = {
        {1, "\\u0001", 0},
        {AUDIENCE_NAMES_MAX - 1, "\\u0001\\u0002\\/\\u00e9", 0},
        {AUDIENCE_NAMES_MAX, "bob", AUDIENCE_BAD_WISH}, /* the sender has no place any more */
        {AUDIENCE_NAMES_MAX + 1, "bob", AUDIENCE_BAD_WISH},
        {20, "a name that is long enough to make the list of all of them too long to be taken, xx",
         AUDIENCE_BAD_WISH},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf payload = BUF_EMPTY, texts = BUF_EMPTY;
        struct audience_names users, roles;

        for (size_t n = 0; n < cases[i].names; n++) {
            buf_addf(&payload, "%s\"%zu%s\"", n == 0 ? "{\"to\":[" : ",", n, cases[i].name);
        }
        buf_add_lit(&payload, "]}");
        int answer = audience_of_payload(buf_slice(&payload), &texts, &users, &roles);
        assert_int_equal(answer, cases[i].answer);
        for (size_t n = 0; answer == 0 && n < users.count; n++) {
            char first[16];
            int size = snprintf(first, sizeof(first), "%zu", n);

            assert_memory_equal(users.at[n].at, first, (size_t)size);
        }
        buf_deinit(&payload);
        buf_deinit(&texts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(what_is_no_audience_is_none),
        cmocka_unit_test(what_is_not_understood_is_for_nobody),
        cmocka_unit_test(as_many_names_as_may_be_are_read_and_no_more),
        cmocka_unit_test(a_payload_names_whom_it_is_for),
        cmocka_unit_test(a_payload_may_name_so_many_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
