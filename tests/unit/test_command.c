/*
 * test_command.c: what clients of the Centrifuge protocol send, and what we make of the rest.
 * The golden vectors say which command each text is, or how it is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/mem.h"
#include "proto/command.h"
#include "tests/unit/random.h"
#include "tests/unit/vectors.h"

static const char *const method_names[] = {
    [COMMAND_PONG] = "pong",
    [COMMAND_CONNECT] = "connect",
    [COMMAND_SUBSCRIBE] = "subscribe",
    [COMMAND_UNSUBSCRIBE] = "unsubscribe",
    [COMMAND_PUBLISH] = "publish",
    [COMMAND_PRESENCE] = "presence",
    [COMMAND_PRESENCE_STATS] = "presence_stats",
    [COMMAND_HISTORY] = "history",
    [COMMAND_PING] = "ping",
    [COMMAND_SEND] = "send",
    [COMMAND_RPC] = "rpc",
    [COMMAND_REFRESH] = "refresh",
    [COMMAND_SUB_REFRESH] = "sub_refresh",
    [COMMAND_UNKNOWN] = "unknown",
};

static bool text_is(struct slice text, struct slice want, struct buf *scratch)
{
    buf_clear(scratch);
    json_unescape(scratch, json_inside(want));
    return json_is_string(want) && slice_equal(text, buf_slice(scratch));
}

static bool flag_is(bool flag, struct slice want)
{
    return slice_equal(want, flag ? SLICE_LIT("true") : SLICE_LIT("false"));
}

static bool number_is(int64_t number, struct slice want)
{
    int64_t wanted;

    return json_i64(want, &wanted) && wanted == number;
}

/* Does the field of that name have this value? */
static bool field_is(const struct command *c, const char *name, struct slice want,
                     struct buf *scratch)
{
    const struct {
        const char *name;
        const struct slice *text;
        const bool *flag;
        int64_t number;
    } fields[] = {
        {"channel", &c->channel, NULL, 0},
        {"token", &c->token, NULL, 0},
        {"name", &c->name, NULL, 0},
        {"version", &c->version, NULL, 0},
        {"subs", &c->subs, NULL, 0},
        {"data", &c->data, NULL, 0},
        {"key", &c->key, NULL, 0},
        {"epoch", &c->epoch, NULL, 0},
        {"has_since", NULL, &c->has_since, 0},
        {"recover", NULL, &c->recover, 0},
        {"positioned", NULL, &c->positioned, 0},
        {"recoverable", NULL, &c->recoverable, 0},
        {"join_leave", NULL, &c->join_leave, 0},
        {"reverse", NULL, &c->reverse, 0},
        {"has_filter", NULL, &c->has_filter, 0},
        {"delta", &c->delta, NULL, 0},
        {"offset", NULL, NULL, (int64_t)c->offset},
        {"limit", NULL, NULL, c->limit},
        {"flag", NULL, NULL, c->flag},
        {"type", NULL, NULL, c->type},
    };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return fields[i].text != NULL   ? text_is(*fields[i].text, want, scratch)
                   : fields[i].flag != NULL ? flag_is(*fields[i].flag, want)
                                            : number_is(fields[i].number, want);
        }
    }
    fail_msg("no field %s", name);
    return false;
}

static void assert_fields(struct vectors *v, const struct command *c)
{
    struct json_object o;
    struct json_member m;
    struct buf scratch = BUF_EMPTY;

    if (json_object_open(&o, json_get(v->now, "fields"))) {
        while (json_object_next(&o, &m)) {
            char name[32];
            snprintf(name, sizeof(name), "%.*s", SLICE_ARG(m.key));
            if (!field_is(c, name, m.value, &scratch)) {
                fail_msg("%.*s: %s", VECTOR_NAME(v), name);
            }
        }
    }
    buf_deinit(&scratch);
}

static int answer_of(const struct vectors *v)
{
    return vector_is(v->now, "answer", "\"ok\"")    ? 0
           : vector_is(v->now, "answer", "\"bad\"") ? COMMAND_BAD
                                                    : COMMAND_MALFORMED;
}

static void commands_are_read_as_the_vectors_say(void **state)
{
    struct vectors v = vectors_open("command");
    struct buf texts = BUF_EMPTY;
    (void)state;

    while (vectors_next(&v)) {
        struct command c;
        int want = answer_of(&v);

        assert_true(vector_add_text(v.now, "text", &v.scratch));
        struct slice rest = buf_slice(&v.scratch);
        int answer = command_next(&rest, &texts, &c);
        if (answer != want) {
            fail_msg("%.*s: answer %d", VECTOR_NAME(&v), answer);
        }
        if (want != COMMAND_MALFORMED) {
            assert_true(number_is(c.id, json_get(v.now, "id")));
            struct slice method = json_get(v.now, "method");
            if (json_is_string(method)) {
                assert_true(slice_equal(json_inside(method), slice_of(method_names[c.method])));
            }
            assert_int_equal(command_next(&rest, &texts, &(struct command){.id = 0}), COMMAND_END);
        }
        if (want == 0) {
            assert_fields(&v, &c);
        }
    }
    buf_deinit(&texts);
}

static void commands_stand_one_a_line(void **state)
{
    struct slice rest = SLICE_LIT("\n{\"id\":1,\"connect\":{}}\n \r\n{}\r\n\n"
                                  "{\"presence\":{\"channel\":\"a\"},\"id\":2}\n\t\n");
    struct buf texts = BUF_EMPTY;
    struct command c;
    (void)state;

    assert_int_equal(command_next(&rest, &texts, &c), 0);
    assert_true(c.method == COMMAND_CONNECT && c.id == 1);
    assert_int_equal(command_next(&rest, &texts, &c), 0);
    assert_true(c.method == COMMAND_PONG && c.id == 0);
    assert_int_equal(command_next(&rest, &texts, &c), 0);
    assert_true(c.method == COMMAND_PRESENCE && c.id == 2);
    assert_int_equal(command_next(&rest, &texts, &c), COMMAND_END);
    assert_int_equal(command_next(&rest, &texts, &c), COMMAND_END);
    buf_deinit(&texts);
}

static void what_follows_a_bad_command_is_read(void **state)
{
    struct slice rest = SLICE_LIT("{\"id\":1,\"publish\":{\"channel\":7}}\n{\"id\":2,\"ping\":{}}");
    struct buf texts = BUF_EMPTY;
    struct command c;
    (void)state;

    assert_int_equal(command_next(&rest, &texts, &c), COMMAND_BAD);
    assert_true(c.method == COMMAND_PUBLISH && c.id == 1);
    assert_int_equal(command_next(&rest, &texts, &c), 0);
    assert_true(c.method == COMMAND_PING && c.id == 2);
    buf_deinit(&texts);
}

static void nothing_is_the_end(void **state)
{
    static const char *const nothings[] = {"", "\n", " ", "\r\n\r\n", "\t \n \n"};
    struct buf texts = BUF_EMPTY;
    struct command c;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(nothings); i++) {
        struct slice rest = slice_of(nothings[i]);
        assert_int_equal(command_next(&rest, &texts, &c), COMMAND_END);
    }
    struct slice none = SLICE_NONE;
    assert_int_equal(command_next(&none, &texts, &c), COMMAND_END);
    buf_deinit(&texts);
}

/* In memory of exactly its size, so that reading on is seen. */
static int read_exactly(const char *at, size_t size, struct command *c)
{
    char *copy = mem_alloc(size + 1);
    struct slice rest = {copy + 1, size};
    struct buf texts = BUF_EMPTY;

    memcpy(copy + 1, at, size);
    int answer = command_next(&rest, &texts, c);
    mem_free(copy);
    buf_deinit(&texts);
    return answer;
}

static const char *const samples[] = {
    "{\"connect\":{\"token\":\"a\\u0062c\",\"name\":\"js\"},\"id\":1}",
    "{\"id\": 3, \"publish\": {\"channel\": \"a\", \"data\": {\"b\": [1.5, \"\\ud83d\\ude00\"]}}}",
    "{\"history\":{\"channel\":\"a\",\"since\":{\"offset\":40,\"epoch\":\"r7\"},\"limit\":-1},"
    "\"id\":7}",
    "{\"subscribe\":{\"channel\":\"a\",\"recover\":true,\"tf\":{},\"delta\":\"x\",\"flag\":1},"
    "\"id\":9}",
};

static void no_prefix_of_a_command_is_one(void **state)
{
    struct command c;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        size_t size = strlen(samples[i]);
        assert_int_equal(read_exactly(samples[i], size, &c), 0);
        for (size_t cut = 1; cut < size; cut++) {
            assert_int_equal(read_exactly(samples[i], cut, &c), COMMAND_MALFORMED);
        }
    }
}

static void damaged_commands_do_no_harm(void **state)
{
    static const char usual[] = "\"\\{}[]:,0-1e.tfnu \n";
    uint64_t seed = 20260106;
    (void)state;

    for (int round = 0; round < 40000; round++) {
        struct buf b = BUF_EMPTY;
        struct command c;

        buf_add_slice(&b, slice_of(samples[random_next(&seed) % ARRAY_LEN(samples)]));
        for (uint64_t n = random_next(&seed) % 4; n > 0; n--) {
            uint64_t r = random_next(&seed);
            b.at[r % b.size] =
                r >> 32 & 3 ? usual[(r >> 40) % (sizeof(usual) - 1)] : (char)(r >> 40);
        }
        int answer = read_exactly(b.at, b.size, &c);
        assert_in_range(answer, 0, COMMAND_BAD);
        assert_true(answer != 0 || c.id > 0 || c.method == COMMAND_SEND ||
                    c.method == COMMAND_PONG);
        buf_deinit(&b);
    }
}

static void an_rpc_may_hold_a_publish(void **state)
{
    static const struct {
        const char *data;
        int answer;
        const char *channel, *raw, *key;
    } cases[] = {
        {"{\"channel\":\"a\",\"data\":[ 1.0 ],\"idempotency_key\":\"k\"}", 0, "a", "[ 1.0 ]", "k"},
        {"{\"channel\":\"a\",\"data\":1}", 0, "a", "1", ""},
        {"{\"data\":{\"channel\":\"x\"},\"more\":[]}", 0, "", "{\"channel\":\"x\"}", ""},
        {"{\"channel\":\"\\u0061\\/\",\"idempotency_key\":\"\\u006b\"}", 0, "a/", "", "k"},
        {"{}", 0, "", "", ""},
        {"{\"channel\":7}", COMMAND_BAD, "", "", ""},
        {"{\"channel\":\"a\",\"channel\":\"a\"}", COMMAND_BAD, "", "", ""},
        {"{\"channel\":\"a\",\"idempotency_key\":null}", COMMAND_BAD, "", "", ""},
        {"{\"channel\":\"a\",\"x\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}", COMMAND_BAD, "", "", ""},
        {"[]", COMMAND_BAD, "", "", ""},
        {"\"publish\"", COMMAND_BAD, "", "", ""},
        {"null", COMMAND_BAD, "", "", ""},
    };
    static const char *const names[] = {"publish", "p\\u0075blish"};
    struct buf line = BUF_EMPTY, texts = BUF_EMPTY;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases) * ARRAY_LEN(names); i++) {
        size_t n = i / ARRAY_LEN(names);
        struct command rpc, c;

        buf_clear(&line);
        buf_addf(&line, "{\"id\":9,\"rpc\":{\"method\":\"%s\",\"data\":%s}}",
                 names[i % ARRAY_LEN(names)], cases[n].data);
        struct slice rest = buf_slice(&line);
        assert_int_equal(command_next(&rest, &texts, &rpc), 0);
        assert_true(slice_equal(rpc.name, SLICE_LIT("publish")));
        if (command_publish_of(&rpc, &texts, &c) != cases[n].answer) {
            fail_msg("%s", cases[n].data);
        }
        assert_int_equal(c.id, 9);
        assert_int_equal(c.method, COMMAND_PUBLISH);
        if (cases[n].answer == 0) {
            assert_true(slice_equal(c.channel, slice_of(cases[n].channel)));
            assert_true(slice_equal(c.data, slice_of(cases[n].raw)));
            assert_true(slice_equal(c.key, slice_of(cases[n].key)));
            assert_true(slice_equal(rpc.name, SLICE_LIT("publish"))); /* where it was */
        }
    }
    struct command rpc = {.method = COMMAND_RPC, .id = 9}, c; /* no data at all */
    buf_clear(&texts);
    assert_int_equal(command_publish_of(&rpc, &texts, &c), COMMAND_BAD);
    buf_deinit(&line);
    buf_deinit(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_read_as_the_vectors_say),
        cmocka_unit_test(commands_stand_one_a_line),
        cmocka_unit_test(what_follows_a_bad_command_is_read),
        cmocka_unit_test(nothing_is_the_end),
        cmocka_unit_test(no_prefix_of_a_command_is_one),
        cmocka_unit_test(damaged_commands_do_no_harm),
        cmocka_unit_test(an_rpc_may_hold_a_publish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
