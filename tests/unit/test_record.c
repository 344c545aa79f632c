/*
 * test_record.c: records are read back as they were written, and nothing else is a record.
 * The golden vectors say what the wire looks like; random records go there and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/mem.h"
#include "proto/record.h"
#include "tests/unit/random.h"
#include "tests/unit/vectors.h"

#define LOBBY "{\"room\":\"lobby\",\"offset\":42,\"epoch\":\"k3\",\"time\":5}\n"

static void records_are_read_and_written_as_the_vectors_say(void **state)
{
    struct vectors v = vectors_open("record");
    struct buf text = BUF_EMPTY, want = BUF_EMPTY, again = BUF_EMPTY;
    (void)state;

    while (vectors_next(&v)) {
        bool is_valid = vector_is(v.now, "valid", "true");
        struct record r;
        struct slice rest;

        buf_clear(&text);
        buf_clear(&want);
        buf_clear(&again);
        assert_true(vector_add_text(v.now, "text", &text));
        rest = buf_slice(&text);
        int answer = record_next(&rest, vector_is(v.now, "numbered", "true"), &r);
        if (answer != (is_valid ? 0 : RECORD_BAD)) {
            fail_msg("%.*s: answer %d", VECTOR_NAME(&v), answer);
        }
        if (!is_valid) {
            assert_ptr_equal(rest.at, text.at);
            assert_int_equal(rest.size, text.size);
            continue;
        }
        assert_int_equal(record_next(&rest, true, &(struct record){.offset = 0}), RECORD_END);
        record_encode(&again, &r);
        if (!vector_add_text(v.now, "again", &want)) {
            buf_add_slice(&want, buf_slice(&text));
        }
        if (!slice_equal(buf_slice(&again), buf_slice(&want))) {
            fail_msg("%.*s: written as %.*s", VECTOR_NAME(&v), SLICE_ARG(buf_slice(&again)));
        }
    }
    buf_deinit(&text);
    buf_deinit(&want);
    buf_deinit(&again);
}

static void all_fields_are_told_apart(void **state)
{
    struct slice rest = SLICE_LIT(
        "{\"room\":\"tea\",\"offset\":9,\"epoch\":\"e1\",\"user\":\"a\\\"n\",\"client\":\"c-1\","
        "\"info\":{\"name\":\"Ann\"},\"time\":-5,\"key\":\"k-1\"}\n[ 1.0 ]\n");
    struct record r;
    (void)state;

    assert_int_equal(record_next(&rest, true, &r), 0);
    assert_true(slice_equal(r.room, SLICE_LIT("tea")));
    assert_int_equal(r.offset, 9);
    assert_true(slice_equal(r.epoch, SLICE_LIT("e1")));
    assert_true(slice_equal(r.user, SLICE_LIT("a\\\"n")));
    assert_true(slice_equal(r.client, SLICE_LIT("c-1")));
    assert_true(slice_equal(r.info, SLICE_LIT("{\"name\":\"Ann\"}")));
    assert_int_equal(r.time, -5);
    assert_true(slice_equal(r.key, SLICE_LIT("k-1")));
    assert_true(slice_equal(r.payload, SLICE_LIT("[ 1.0 ]")));
    assert_int_equal(record_next(&rest, true, &r), RECORD_END);
}

static void records_follow_one_another(void **state)
{
    struct slice rest = SLICE_LIT(LOBBY "1\n" LOBBY "2\n" LOBBY "3\n");
    struct record r;
    (void)state;

    for (char n = '1'; n <= '3'; n++) {
        assert_int_equal(record_next(&rest, true, &r), 0);
        assert_int_equal(r.payload.size, 1);
        assert_int_equal(r.payload.at[0], n);
    }
    assert_int_equal(record_next(&rest, true, &r), RECORD_END);
}

static void what_precedes_a_bad_record_is_still_read(void **state)
{
    struct slice rest = SLICE_LIT(LOBBY "1\n" LOBBY "oops\n" LOBBY "3\n");
    struct record r;
    (void)state;

    assert_int_equal(record_next(&rest, true, &r), 0);
    struct slice before = rest;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(record_next(&rest, true, &r), RECORD_BAD);
        assert_true(rest.at == before.at && rest.size == before.size);
    }
}

/* In memory of exactly its size, so that reading on is seen. */
static int read_exactly(const char *at, size_t size)
{
    char *copy = mem_alloc(size + 1);
    struct slice rest = {copy + 1, size};
    struct record r;

    memcpy(copy + 1, at, size);
    int answer = record_next(&rest, true, &r);
    mem_free(copy);
    return answer;
}

static void no_prefix_of_a_record_is_one(void **state)
{
    static const char text[] =
        "{\"room\":\"tea\",\"offset\":9,\"epoch\":\"e1\",\"user\":\"a\\\"n\",\"client\":\"c-1\","
        "\"info\":{\"name\":\"Ann\"},\"time\":12,\"key\":\"k\"}\n12345\n";
    size_t size = sizeof(text) - 1;
    (void)state;

    assert_int_equal(read_exactly(text, size), 0);
    assert_int_equal(read_exactly(text, 0), RECORD_END);
    for (size_t cut = 1; cut < size; cut++) {
        assert_int_equal(read_exactly(text, cut), RECORD_BAD);
    }
}

static struct slice pick(uint64_t *seed, const struct slice *from, size_t count)
{
    return from[random_next(seed) % count];
}

/* A slice in a table of constants. */
#define TEXT(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct slice rooms[] = {TEXT("a"), TEXT("chat:lobby"), TEXT("!$%&'()+,-./:;<=>?@[]")};
static const struct slice users[] = {TEXT(""), TEXT("ann"), TEXT("\\u00e9\\\""), TEXT("é😀")};
static const struct slice clients[] = {TEXT(""), TEXT("6f1c8a52-0d3e-4b7a-9c11-2a5f0e8d7b64")};
static const struct slice infos[] = {TEXT(""), TEXT("{}"), TEXT("{\"name\":\"Ann\"}")};
static const struct slice keys[] = {TEXT(""), TEXT("7f3a-01"), TEXT(" ~!#'[]")};
static const struct slice payloads[] = {TEXT("null"), TEXT("-0.0"), TEXT("\"\\ud83d\\ude00\""),
                                        TEXT("{\"a\":[1,{\"b\":\"x\\n\"}]}")};

static void random_record(uint64_t *seed, struct record *r)
{
    *r = (struct record){
        .room = pick(seed, rooms, ARRAY_LEN(rooms)),
        .user = pick(seed, users, ARRAY_LEN(users)),
        .client = pick(seed, clients, ARRAY_LEN(clients)),
        .info = pick(seed, infos, ARRAY_LEN(infos)),
        .chan_info = pick(seed, infos, ARRAY_LEN(infos)),
        .key = pick(seed, keys, ARRAY_LEN(keys)),
        .payload = pick(seed, payloads, ARRAY_LEN(payloads)),
        .time = (int64_t)random_next(seed) >> (random_next(seed) % 64),
    };
    if (random_next(seed) % 2 == 0) {
        r->offset = 1 + (random_next(seed) >> (2 + random_next(seed) % 62));
        r->epoch = SLICE_LIT("k3x9");
    }
}

static void assert_same(const struct record *a, const struct record *b)
{
    assert_true(slice_equal(a->room, b->room));
    assert_true(a->offset == b->offset);
    assert_true(slice_equal(a->epoch, b->epoch));
    assert_true(slice_equal(a->user, b->user));
    assert_true(slice_equal(a->client, b->client));
    assert_true(slice_equal(a->info, b->info));
    assert_true(slice_equal(a->chan_info, b->chan_info));
    assert_true(a->time == b->time);
    assert_true(slice_equal(a->key, b->key));
    assert_true(slice_equal(a->payload, b->payload));
}

static void random_records_go_there_and_back(void **state)
{
    uint64_t seed = 20260103;
    struct buf body = BUF_EMPTY;
    (void)state;

    for (int round = 0; round < 2000; round++) {
        struct record sent[8], got;
        size_t count = random_next(&seed) % ARRAY_LEN(sent);

        buf_clear(&body);
        for (size_t i = 0; i < count; i++) {
            random_record(&seed, &sent[i]);
            record_encode(&body, &sent[i]);
        }
        struct slice rest = buf_slice(&body);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(record_next(&rest, sent[i].offset > 0, &got), 0);
            assert_same(&sent[i], &got);
        }
        assert_int_equal(record_next(&rest, true, &got), RECORD_END);
    }
    buf_deinit(&body);
}

static void damaged_records_do_no_harm(void **state)
{
    uint64_t seed = 20260104;
    (void)state;

    for (int round = 0; round < 20000; round++) {
        struct buf body = BUF_EMPTY;
        struct record r;

        random_record(&seed, &r);
        record_encode(&body, &r);
        body.at[random_next(&seed) % body.size] = (char)(random_next(&seed) >> 24);
        (void)read_exactly(body.at, random_next(&seed) % (body.size + 1));
        buf_deinit(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read_and_written_as_the_vectors_say),
        cmocka_unit_test(all_fields_are_told_apart),
        cmocka_unit_test(records_follow_one_another),
        cmocka_unit_test(what_precedes_a_bad_record_is_still_read),
        cmocka_unit_test(no_prefix_of_a_record_is_one),
        cmocka_unit_test(random_records_go_there_and_back),
        cmocka_unit_test(damaged_records_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
