/*
 * test_codec.c: what every codec of the Centrifuge protocol keeps to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/codec.h"

static const struct codec *const codecs[] = {&codec_json, &codec_protobuf};

static void every_codec_has_every_row(void **state)
{
    const size_t first = offsetof(struct codec, next);
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
        assert_true(codecs[i]->ping.size > 0);
        for (size_t at = first; at < sizeof(struct codec); at += sizeof(void (*)(void))) {
            void (*row)(void);

            memcpy(&row, (const char *)codecs[i] + at, sizeof(row));
            if (row == NULL) {
                fail_msg("codec %zu: row %zu is missing", i, (at - first) / sizeof(row));
            }
        }
    }
}

static void every_codec_is_found_at_its_number(void **state)
{
    (void)state;

    assert_int_equal(ARRAY_LEN(codecs), CODEC_COUNT);
    for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
        assert_int_equal(codecs[i]->id, i);
    }
}

static void a_ping_is_answered_by_the_same_bytes(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
        struct slice rest = codecs[i]->ping;
        struct buf texts = BUF_EMPTY;
        struct command c;

        assert_int_equal(codecs[i]->next(&rest, &texts, &c), 0);
        assert_int_equal(c.method, COMMAND_PONG);
        assert_int_equal(codecs[i]->next(&rest, &texts, &c), COMMAND_END);
        buf_deinit(&texts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_has_every_row),
        cmocka_unit_test(every_codec_is_found_at_its_number),
        cmocka_unit_test(a_ping_is_answered_by_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
