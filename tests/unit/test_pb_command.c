/*
 * test_pb_command.c: a command in Protobuf is the same command as in JSON, to the last field; and
 * what is none is refused as in JSON.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/codec.h"
#include "proto/pb.h"
#include "tests/unit/vectors.h"

static void add_part(struct buf *out, const char *name, struct slice text)
{
    buf_addf(out, " %s=", name);
    buf_add_slice(out, text);
}

/* Everything that a command says. */
static void describe(struct buf *out, const struct command *c)
{
    buf_addf(out, "%d id=%" PRIu32, c->method, c->id);
    add_part(out, "channel", c->channel);
    add_part(out, "token", c->token);
    add_part(out, "name", c->name);
    add_part(out, "data", c->data);
    add_part(out, "key", c->key);
    add_part(out, "epoch", c->epoch);
    buf_addf(out, " offset=%" PRIu64 " since=%d flags=%d%d%d%d%d limit=%" PRId64, c->offset,
             c->has_since, c->recover, c->positioned, c->recoverable, c->join_leave, c->reverse,
             c->limit);
    buf_addf(out, " flag=%" PRIu32 " type=%" PRIu32 " filter=%d", c->flag, c->type, c->has_filter);
    add_part(out, "delta", c->delta);
    add_part(out, "version", c->version);
}

static int next(const struct codec *codec, struct slice message, struct buf *out)
{
    struct buf texts = BUF_EMPTY;
    struct command c;
    int answer = codec->next(&message, &texts, &c);

    if (answer == 0) {
        describe(out, &c);
        assert_int_equal(codec->next(&message, &texts, &c), COMMAND_END);
    }
    buf_deinit(&texts);
    return answer;
}

/* How many commands of the file there are in both codecs. */
static size_t assert_same_in_both(const char *file)
{
    struct vectors v = vectors_open(file);
    size_t count = 0;

    while (vectors_next(&v)) {
        struct buf text = BUF_EMPTY, bytes = BUF_EMPTY, json = BUF_EMPTY, protobuf = BUF_EMPTY;

        bool is_told = vector_is(v.now, "from", "\"server\"");

        if (!is_told && vector_add_text(v.now, "text", &text)) {
            vector_add_hex(v.now, "hex", &bytes);
            assert_int_equal(next(&codec_json, buf_slice(&text), &json), 0);
            assert_int_equal(next(&codec_protobuf, buf_slice(&bytes), &protobuf), 0);
            if (!slice_equal(buf_slice(&json), buf_slice(&protobuf))) {
                fail_msg("%.*s:\n%.*s\n%.*s", VECTOR_NAME(&v), SLICE_ARG(buf_slice(&json)),
                         SLICE_ARG(buf_slice(&protobuf)));
            }
            count++;
        }
        buf_deinit(&text);
        buf_deinit(&bytes);
        buf_deinit(&json);
        buf_deinit(&protobuf);
    }
    return count;
}

static void commands_say_the_same_in_both_codecs(void **state)
{
    (void)state;
    assert_true(assert_same_in_both("protobuf_command") > 15);
    assert_true(assert_same_in_both("exchange") > 15);
}

static void what_is_no_command_is_refused(void **state)
{
    struct vectors v = vectors_open("protobuf_command");
    size_t count = 0;
    (void)state;

    while (vectors_next(&v)) {
        struct buf bytes = BUF_EMPTY, ignored = BUF_EMPTY;

        if (json_get(v.now, "answer").size > 0) {
            int want = vector_is(v.now, "answer", "\"bad\"") ? COMMAND_BAD : COMMAND_MALFORMED;

            vector_add_hex(v.now, "hex", &bytes);
            int answer = next(&codec_protobuf, buf_slice(&bytes), &ignored);
            if (answer != want) {
                fail_msg("%.*s: %d", VECTOR_NAME(&v), answer);
            }
            count++;
        }
        buf_deinit(&bytes);
        buf_deinit(&ignored);
    }
    assert_true(count > 30);
}

static void every_cut_of_a_command_is_refused(void **state)
{
    struct vectors v = vectors_open("protobuf_command");
    (void)state;

    while (vectors_next(&v)) {
        struct buf bytes = BUF_EMPTY, ignored = BUF_EMPTY;

        vector_add_hex(v.now, "hex", &bytes);
        for (size_t size = 1; size < bytes.size; size++) {
            char *cut = malloc(size); /* exactly: the sanitizer sees a step beyond */

            assert_non_null(cut);
            memcpy(cut, bytes.at, size);
            assert_int_equal(next(&codec_protobuf, (struct slice){cut, size}, &ignored),
                             COMMAND_MALFORMED);
            free(cut);
        }
        buf_deinit(&bytes);
        buf_deinit(&ignored);
    }
}

static void a_message_holds_several_commands(void **state)
{
    struct slice rest = {"\x04\x08\x01\x22\x00\x00\x07\x08\x03\x32\x03\x0a\x01"
                         "a\x02\x08\x05\x09",
                         18};
    struct buf texts = BUF_EMPTY;
    struct command c;
    (void)state;

    assert_int_equal(codec_protobuf.next(&rest, &texts, &c), 0);
    assert_int_equal(c.method, COMMAND_CONNECT);
    assert_int_equal(codec_protobuf.next(&rest, &texts, &c), 0);
    assert_int_equal(c.method, COMMAND_PONG);
    assert_int_equal(codec_protobuf.next(&rest, &texts, &c), 0);
    assert_int_equal(c.method, COMMAND_UNSUBSCRIBE);
    assert_int_equal(codec_protobuf.next(&rest, &texts, &c), COMMAND_MALFORMED);
    assert_int_equal(codec_protobuf.next(&rest, &texts, &c), COMMAND_MALFORMED); /* cut off */
    assert_int_equal(codec_protobuf.next(&rest, &texts, &c), COMMAND_END);
    buf_deinit(&texts);
}

static void white_space_around_data_is_not_part_of_it(void **state)
{
    struct buf message = BUF_EMPTY, texts = BUF_EMPTY;
    struct command c;
    (void)state;

    size_t whole = pb_open_message(&message);
    pb_add_u64(&message, 1, 3);
    size_t publish = pb_open(&message, 7);
    pb_add_bytes(&message, 1, SLICE_LIT("a"));
    pb_add_bytes(&message, 2, SLICE_LIT(" \r\n\t{ \"a\" : 1 }\n"));
    pb_close(&message, publish);
    pb_close(&message, whole);
    struct slice rest = buf_slice(&message);
    assert_int_equal(codec_protobuf.next(&rest, &texts, &c), 0);
    assert_true(slice_equal(c.data, SLICE_LIT("{ \"a\" : 1 }")));
    buf_deinit(&message);
    buf_deinit(&texts);
}

static void a_bad_command_still_has_its_id_and_method(void **state)
{
    struct slice rest = {"\x06\x3a\x02\x08\x01\x08\x07", 7}; /* a channel that is a number */
    struct buf texts = BUF_EMPTY;
    struct command c;
    (void)state;

    assert_int_equal(codec_protobuf.next(&rest, &texts, &c), COMMAND_BAD);
    assert_int_equal(c.id, 7);
    assert_int_equal(c.method, COMMAND_PUBLISH);
    buf_deinit(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_say_the_same_in_both_codecs),
        cmocka_unit_test(what_is_no_command_is_refused),
        cmocka_unit_test(every_cut_of_a_command_is_refused),
        cmocka_unit_test(a_message_holds_several_commands),
        cmocka_unit_test(white_space_around_data_is_not_part_of_it),
        cmocka_unit_test(a_bad_command_still_has_its_id_and_method),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
