/*
 * test_line.c: lines are read back as they were written, and nothing else is a line.
 * The golden vectors say what the wire looks like; random lines go there and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/line.h"
#include "tests/unit/random.h"
#include "tests/unit/vectors.h"

static int read_back(struct slice *rest, struct buf *again)
{
    struct line l;
    int answer = line_next(rest, &l);

    if (answer == 0) {
        line_encode(again, &l);
    }
    return answer;
}

static void lines_are_read_and_written_as_the_vectors_say(void **state)
{
    (void)state;

    assert_vectors_there_and_back("line", read_back, LINE_BAD, LINE_END);
}

static void what_is_absent_is_empty_or_zero(void **state)
{
    struct slice rest = SLICE_LIT("{\"room\":\"a\"}\n{\"room\":\"b\",\"offset\":7}\n");
    struct line l;
    (void)state;

    assert_int_equal(line_next(&rest, &l), 0);
    assert_int_equal(l.epoch.size + l.client.size + l.user.size + l.info.size + l.lane.size, 0);
    assert_false(l.has_offset || l.reverse || l.complete);
    assert_true(l.offset == 0 && l.from == 0 && l.batch == 0 && l.time == 0 && l.limit == 0);
    assert_int_equal(line_next(&rest, &l), 0);
    assert_true(l.has_offset);
    assert_true(l.offset == 7 && l.from == 7); /* nothing follows */
    assert_int_equal(line_next(&rest, &l), LINE_END);
}

static void all_fields_are_told_apart(void **state)
{
    struct slice rest = SLICE_LIT(
        "{\"lane\":\"00c0ffee00c0ffee\",\"epoch\":\"e1\",\"offset\":9,\"from\":8,\"batch\":7,"
        "\"client\":\"c-1\",\"user\":\"a\\\"n\",\"key\":\"k-1\",\"info\":{\"a\":[]},\"time\":-6,"
        "\"limit\":-5,"
        "\"reverse\":true,\"complete\":true}\n");
    struct line l;
    (void)state;

    assert_int_equal(line_next(&rest, &l), 0);
    assert_int_equal(l.room.size, 0);
    assert_true(slice_equal(l.lane, SLICE_LIT("00c0ffee00c0ffee")));
    assert_true(slice_equal(l.epoch, SLICE_LIT("e1")));
    assert_true(slice_equal(l.client, SLICE_LIT("c-1")));
    assert_true(slice_equal(l.user, SLICE_LIT("a\\\"n")));
    assert_true(slice_equal(l.key, SLICE_LIT("k-1")));
    assert_true(slice_equal(l.info, SLICE_LIT("{\"a\":[]}")));
    assert_true(l.has_offset && l.offset == 9 && l.from == 8 && l.batch == 7);
    assert_true(l.time == -6 && l.limit == -5 && l.reverse && l.complete);
}

static void no_prefix_of_a_line_is_one(void **state)
{
    struct slice text = SLICE_LIT("{\"room\":\"a\",\"epoch\":\"k\",\"offset\":45,\"from\":42}\n");
    struct line l;
    (void)state;

    for (size_t cut = 1; cut < text.size; cut++) {
        struct slice rest = {text.at, cut};
        assert_int_equal(line_next(&rest, &l), LINE_BAD);
    }
}

/* Half of all members are there. */
static struct line random_line(uint64_t *seed)
{
    uint64_t r = random_next(seed);
    struct line l = {
        .epoch = r & 2 ? SLICE_LIT("k3") : SLICE_NONE,
        .client = r & 4 ? SLICE_LIT("6f1c8a52-0d3e-4b7a-9c11-2a5f0e8d7b64") : SLICE_NONE,
        .user = r & 8 ? SLICE_LIT("a\\\"n\xc3\xa9") : SLICE_NONE,
        .info = r & 16 ? SLICE_LIT("{\"name\":\"Ann\"}") : SLICE_NONE,
        .has_offset = r & 32,
        .batch = r & 64 ? random_next(seed) >> 1 : 0,
        .time = r & 128 ? (int64_t)random_next(seed) : 0,
        .limit = r & 256 ? (int64_t)random_next(seed) >> 40 : 0,
        .reverse = r & 512,
        .complete = r & 1024,
        .key = r & 4096 ? SLICE_LIT("7f3a-01") : SLICE_NONE,
    };

    if (r & 1) {
        l.room = SLICE_LIT("chat:lobby");
    } else {
        l.lane = SLICE_LIT("00c0ffee00c0ffee");
    }
    if (l.has_offset) {
        l.offset = random_next(seed) >> 1;
        l.from = r & 2048 ? l.offset : random_next(seed) >> (1 + random_next(seed) % 63);
    }
    return l;
}

static void assert_same(const struct line *a, const struct line *b)
{
    assert_true(slice_equal(a->room, b->room));
    assert_true(slice_equal(a->epoch, b->epoch));
    assert_true(slice_equal(a->client, b->client));
    assert_true(slice_equal(a->user, b->user));
    assert_true(slice_equal(a->info, b->info));
    assert_true(slice_equal(a->lane, b->lane));
    assert_true(slice_equal(a->key, b->key));
    assert_true(a->has_offset == b->has_offset);
    assert_true(a->offset == b->offset && a->from == b->from && a->batch == b->batch);
    assert_true(a->time == b->time && a->limit == b->limit);
    assert_true(a->reverse == b->reverse && a->complete == b->complete);
}

static void random_lines_go_there_and_back(void **state)
{
    uint64_t seed = 20260105;
    struct buf body = BUF_EMPTY;
    (void)state;

    for (int round = 0; round < 2000; round++) {
        struct line sent[8], got;

        buf_clear(&body);
        for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
            sent[i] = random_line(&seed);
            line_encode(&body, &sent[i]);
        }
        struct slice rest = buf_slice(&body);
        for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
            assert_int_equal(line_next(&rest, &got), 0);
            assert_same(&sent[i], &got);
        }
        assert_int_equal(line_next(&rest, &got), LINE_END);
    }
    buf_deinit(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_and_written_as_the_vectors_say),
        cmocka_unit_test(what_is_absent_is_empty_or_zero),
        cmocka_unit_test(all_fields_are_told_apart),
        cmocka_unit_test(no_prefix_of_a_line_is_one),
        cmocka_unit_test(random_lines_go_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
