/*
 * test_pb_reply.c: replies and pushes in Protobuf are, to the byte, those of the golden vectors,
 * which another encoder wrote.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/codec.h"
#include "proto/pb.h"
#include "tests/unit/vectors.h"

#define CLIENT SLICE_LIT("6f0c0000-0000-4000-8000-000000000000")

static const struct codec *const codec = &codec_protobuf;

/* Takes what was written and compares it with the vector of that name. */
static void assert_vector(struct buf *out, const char *name)
{
    struct vectors v = vectors_open("protobuf_reply");
    bool is_found = false;

    while (vectors_next(&v)) {
        if (slice_equal(json_inside(json_get(v.now, "name")), slice_of(name))) {
            is_found = true;
            vector_add_hex(v.now, "hex", &v.scratch);
            if (!slice_equal(buf_slice(out), buf_slice(&v.scratch))) {
                fail_msg("%s", name);
            }
        }
    }
    assert_true(is_found);
    buf_deinit(out);
}

static void connect_is_answered(void **state)
{
    struct reply_connect r = {
        .client = CLIENT,
        .version = SLICE_LIT("warren 0.1"),
        .ping_s = 25,
        .data = SLICE_LIT("{\"motd\":\"hi\"}"),
    };
    struct buf out = BUF_EMPTY;
    (void)state;

    codec->connect(&out, 1, &r);
    assert_vector(&out, "connect");
    r.ping_s = 0;
    r.data = SLICE_NONE;
    codec->connect(&out, 1, &r);
    assert_vector(&out, "connect without pings");
    struct buf subs = BUF_EMPTY;
    codec->sub(
        &subs, SLICE_LIT("user:ann"),
        &(struct reply_subscribe){.recoverable = true, .epoch = SLICE_LIT("p9"), .offset = 7});
    codec->sub(&subs, SLICE_LIT("news"), &(struct reply_subscribe){.offset = 0});
    r.ping_s = 25;
    r.expires = true;
    r.ttl_s = 600;
    r.data = SLICE_LIT("{\"motd\":\"hi\"}");
    r.subs = buf_slice(&subs);
    codec->connect(&out, 1, &r);
    assert_vector(&out, "connect with what expires and what the server subscribed");
    buf_deinit(&subs);
}

static void refreshes_are_answered(void **state)
{
    struct reply_refresh r = {
        .client = CLIENT, .version = SLICE_LIT("warren 0.1"), .expires = true, .ttl_s = 600};
    struct buf out = BUF_EMPTY;
    (void)state;

    codec->refresh(&out, 11, &r);
    assert_vector(&out, "refreshed");
    r = (struct reply_refresh){.expires = true, .ttl_s = 300};
    codec->sub_refresh(&out, 12, &r);
    assert_vector(&out, "subscription refreshed");
    r.expires = false;
    codec->sub_refresh(&out, 12, &r);
    assert_vector(&out, "subscription refreshed for ever");
    codec->subscribe(&out, 2,
                     &(struct reply_subscribe){.expires = true,
                                               .ttl_s = 300,
                                               .recoverable = true,
                                               .epoch = SLICE_LIT("r7Qk"),
                                               .offset = 41,
                                               .data = SLICE_LIT("{\"a\":1}")});
    assert_vector(&out, "subscribe with a token");
}

static void subscribe_is_answered(void **state)
{
    struct reply_subscribe r = {.recoverable = true, .epoch = SLICE_LIT("r7Qk"), .offset = 41};
    struct buf out = BUF_EMPTY, list = BUF_EMPTY;
    (void)state;

    codec->subscribe(&out, 2, &r);
    assert_vector(&out, "subscribe");
    codec->subscribe(&out, 2, &(struct reply_subscribe){.offset = 0});
    assert_vector(&out, "subscribe without position");
    codec->publication(&list, &(struct record){.offset = 43, .payload = SLICE_LIT("1")});
    codec->publication(&list, &(struct record){.offset = 44, .payload = SLICE_LIT("2")});
    r.offset = 42;
    r.was_recovering = true;
    r.recovered = true;
    r.publications = buf_slice(&list);
    codec->subscribe(&out, 2, &r);
    assert_vector(&out, "recovered");
    buf_deinit(&list);
}

static void what_is_done_is_answered_with_nothing_more(void **state)
{
    struct buf out = BUF_EMPTY;
    (void)state;

    codec->empty(&out, 3, COMMAND_PUBLISH);
    assert_vector(&out, "published");
    codec->empty(&out, 15, COMMAND_UNSUBSCRIBE);
    assert_vector(&out, "unsubscribed");
    codec->rpc(&out, 3, SLICE_LIT("{}"));
    assert_vector(&out, "published by rpc");
}

static void records_are_pushed(void **state)
{
    struct record r = {
        .room = SLICE_LIT("chat:lobby"),
        .offset = 42,
        .epoch = SLICE_LIT("r7Qk"),
        .user = SLICE_LIT("ann"),
        .client = CLIENT,
        .payload = SLICE_LIT("{\"username\":\"ann\",\"message\":\"hello\"}"),
    };
    struct buf out = BUF_EMPTY;
    (void)state;

    codec->push_record(&out, &r);
    assert_vector(&out, "push");
    r.user = SLICE_LIT("a\\\"n");
    r.info = SLICE_LIT("{\"name\":\"Ann\"}");
    r.chan_info = SLICE_LIT("{\"seat\":7}");
    r.time = 1790000000123;
    r.payload = SLICE_LIT("\"a\"");
    codec->push_record(&out, &r);
    assert_vector(&out, "push with all");
    r = (struct record){.room = SLICE_LIT("chat:lobby"), .offset = 1, .payload = SLICE_LIT("null")};
    codec->push_record(&out, &r);
    assert_vector(&out, "push of nobody");
    r = (struct record){.room = SLICE_LIT("a"), .time = -1, .payload = SLICE_LIT("1")};
    codec->push_record(&out, &r);
    assert_vector(&out, "push from before 1970");
    codec->push_unsubscribe(&out, SLICE_LIT("vip:1"), 2000, "server unsubscribe");
    assert_vector(&out, "server unsubscribe");
    codec->push_subscribe(
        &out, SLICE_LIT("news"),
        &(struct reply_subscribe){
            .recoverable = true, .epoch = SLICE_LIT("n1"), .offset = 3, .data = SLICE_LIT("[1]")});
    assert_vector(&out, "server subscribe with data");
    codec->push_message(&out, SLICE_LIT("{\"seen\":true}"));
    assert_vector(&out, "message");
    codec->push_refresh(&out, &(struct reply_refresh){.expires = true, .ttl_s = 600});
    assert_vector(&out, "server refresh");
    codec->push_refresh(&out, &(struct reply_refresh){.expires = false});
    assert_vector(&out, "server refresh for ever");
    struct reply_move m = {
        .room = SLICE_LIT("chat:lobby"),
        .member = {CLIENT, SLICE_LIT("bob"), SLICE_LIT("{\"name\":\"Bob\"}"), SLICE_NONE},
    };
    codec->push_move(&out, &m);
    assert_vector(&out, "join");
    m.member.chan_info = SLICE_LIT("{\"seat\":7}");
    codec->push_move(&out, &m);
    assert_vector(&out, "join with a token");
    m.left = true;
    m.member.info = m.member.chan_info = SLICE_NONE;
    codec->push_move(&out, &m);
    assert_vector(&out, "leave");
}

static void questions_are_answered(void **state)
{
    struct buf out = BUF_EMPTY, list = BUF_EMPTY;
    (void)state;

    codec->member(&list, &(struct reply_member){CLIENT, SLICE_LIT("ann"), SLICE_NONE, SLICE_NONE});
    codec->member(&list, &(struct reply_member){SLICE_LIT("c2"), SLICE_NONE,
                                                SLICE_LIT("{\"name\":\"Bob\"}"), SLICE_NONE});
    codec->presence(&out, 4, buf_slice(&list));
    assert_vector(&out, "presence");
    codec->presence(&out, 4, SLICE_NONE);
    assert_vector(&out, "presence of nobody");
    codec->presence_stats(&out, 5, &(struct reply_presence_stats){2, 0});
    assert_vector(&out, "presence_stats");

    codec->history(&out, 6, &(struct reply_history){SLICE_NONE, SLICE_LIT("r7Qk"), 42});
    assert_vector(&out, "history: the position");
    codec->history(&out, 6, &(struct reply_history){SLICE_NONE, SLICE_NONE, 0});
    assert_vector(&out, "history: of a room that nobody spoke in");
    buf_clear(&list);
    codec->publication(&list, &(struct record){.offset = 41, .payload = SLICE_LIT("\"a\"")});
    codec->publication(&list, &(struct record){.offset = 42, .payload = SLICE_LIT("\"b\"")});
    codec->history(&out, 7, &(struct reply_history){buf_slice(&list), SLICE_LIT("r7Qk"), 42});
    assert_vector(&out, "history");
    buf_deinit(&list);
}

static void errors_say_whether_they_pass(void **state)
{
    struct buf out = BUF_EMPTY;
    (void)state;

    codec->error(&out, 4, REPLY_PERMISSION_DENIED);
    assert_vector(&out, "permission denied");
    codec->error(&out, 5, REPLY_INTERNAL);
    assert_vector(&out, "internal server error");
    codec->error(&out, UINT32_MAX, REPLY_METHOD_NOT_FOUND);
    assert_vector(&out, "method not found");
}

static void documents_of_one_message_stand_behind_their_lengths(void **state)
{
    static const size_t sizes[] = {1, 100, 127, 128, 20000};
    struct buf out = BUF_EMPTY, payload = BUF_EMPTY;
    struct slice message;
    struct pb_field push, room;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        buf_clear(&payload);
        memset(buf_reserve(&payload, sizes[i]), '1', sizes[i]);
        buf_grew(&payload, sizes[i]);
        codec->push_record(
            &out,
            &(struct record){.room = SLICE_LIT("a"), .offset = 1, .payload = buf_slice(&payload)});
    }
    struct slice rest = buf_slice(&out);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        assert_int_equal(pb_next_message(&rest, &message), 0);
        assert_int_equal(pb_next(&message, &push), 0);
        assert_int_equal(push.number, 4);
        assert_int_equal(pb_next(&push.bytes, &room), 0);
        assert_true(slice_equal(room.bytes, SLICE_LIT("a")));
        assert_true(push.bytes.size > sizes[i]);
    }
    assert_int_equal(pb_next_message(&rest, &message), PB_END);
    buf_deinit(&out);
    buf_deinit(&payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_is_answered),
        cmocka_unit_test(refreshes_are_answered),
        cmocka_unit_test(subscribe_is_answered),
        cmocka_unit_test(what_is_done_is_answered_with_nothing_more),
        cmocka_unit_test(records_are_pushed),
        cmocka_unit_test(questions_are_answered),
        cmocka_unit_test(errors_say_whether_they_pass),
        cmocka_unit_test(documents_of_one_message_stand_behind_their_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
