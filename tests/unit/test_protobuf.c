/*
 * test_protobuf.c: sessions that speak Protobuf, alone and beside those that speak JSON.
 */
#include "proto/codec.h"
#include "proto/pb.h"
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"
#define BINARY 0x2

/* A command with an id; `body` is what its method holds. */
static void send_command(struct peer *p, uint32_t id, uint32_t method, const struct buf *body)
{
    struct buf message = BUF_EMPTY;

    size_t whole = pb_open_message(&message);
    pb_add_u64(&message, 1, id);
    size_t inside = pb_open(&message, method);
    buf_add_slice(&message, buf_slice(body));
    pb_close(&message, inside);
    pb_close(&message, whole);
    peer_send_frame(p, BINARY, message.at, message.size);
    buf_deinit(&message);
    kit_settle(p->kit);
}

/* A command that names a room and nothing else. */
static void send_about_room(struct peer *p, uint32_t id, uint32_t method)
{
    struct buf body = BUF_EMPTY;

    pb_add_bytes(&body, 1, SLICE_LIT(ROOM));
    send_command(p, id, method, &body);
    buf_deinit(&body);
}

static void send_publish(struct peer *p, uint32_t id, struct slice data)
{
    struct buf body = BUF_EMPTY;

    pb_add_bytes(&body, 1, SLICE_LIT(ROOM));
    pb_add_bytes(&body, 2, data);
    send_command(p, id, 7, &body);
    buf_deinit(&body);
}

static void send_return(struct peer *p, uint32_t id, uint64_t offset)
{
    struct buf body = BUF_EMPTY;

    pb_add_bytes(&body, 1, SLICE_LIT(ROOM));
    pb_add_flag(&body, 3, true);
    pb_add_bytes(&body, 6, SLICE_LIT("k1"));
    pb_add_u64(&body, 7, offset);
    send_command(p, id, 5, &body);
    buf_deinit(&body);
}

/* The next frame is binary and holds what was written; the buffer is freed. */
static void expect_bytes(struct peer *p, struct buf *want)
{
    struct buf text = BUF_EMPTY;

    buf_add_lit(&text, "binary ");
    for (size_t i = 0; i < want->size; i++) {
        buf_addf(&text, "%02x", (unsigned char)want->at[i]);
    }
    buf_add_char(&text, '\0');
    peer_expect(p, text.at);
    buf_deinit(&text);
    buf_deinit(want);
}

static void expect_error(struct peer *p, uint32_t id, enum reply_error code)
{
    struct buf want = BUF_EMPTY;

    codec_protobuf.error(&want, id, code);
    expect_bytes(p, &want);
}

/* The pushes of records, in one frame. */
static void expect_records(struct peer *p, uint64_t first, uint64_t last)
{
    struct buf want = BUF_EMPTY;
    char payload[32];

    for (uint64_t n = first; n <= last; n++) {
        snprintf(payload, sizeof(payload), "{\"n\":%" PRIu64 "}", n);
        codec_protobuf.push_record(
            &want,
            &(struct record){.room = SLICE_LIT(ROOM), .offset = n, .payload = slice_of(payload)});
    }
    expect_bytes(p, &want);
}

static void expect_subscribed(struct peer *p, uint32_t id, struct reply_subscribe r)
{
    struct buf want = BUF_EMPTY;

    r.recoverable = true;
    r.epoch = SLICE_LIT("k1");
    codec_protobuf.subscribe(&want, id, &r);
    expect_bytes(p, &want);
}

static void connect_protobuf(struct peer *p, struct kit *k, const char *user)
{
    peer_open(p, k, DIALECT_PROTOBUF, user, "");
    send_command(p, 1, 4, &BUF_EMPTY);
    peer_expect_part(p, "08012a"); /* id 1, field 5 */
}

/* Ann speaks JSON, bob Protobuf; both are in the room at (k1, 10). */
static void begin(struct kit *k, struct peer *ann, struct peer *bob)
{
    kit_begin(k);
    peer_connect(ann, k, "ann");
    peer_subscribe(ann, ROOM);
    kit_position(k, ROOM, "k1", 10);
    peer_expect_part(ann, "\"subscribe\"");
    connect_protobuf(bob, k, "bob");
    send_about_room(bob, 2, 5);
    expect_subscribed(bob, 2, (struct reply_subscribe){.offset = 10});
}

static void end(struct kit *k, struct peer *ann, struct peer *bob)
{
    peer_end(ann);
    peer_end(bob);
    kit_end(k);
}

static void each_codec_has_its_kind_of_message(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob, joe;

    begin(&k, &ann, &bob);
    peer_send(&bob, "{}");
    peer_expect(&bob, "close 1003 binary messages only");
    peer_send_frame(&ann, BINARY, "\0", 1);
    peer_expect(&ann, "close 1003 text messages only");
    peer_open(&joe, &k, DIALECT_PLAIN, "joe", ROOM);
    kit_position(&k, ROOM, "k1", 10);
    peer_send_frame(&joe, BINARY, "{}", 2);
    peer_expect(&joe, "close 1003 text messages only");
    peer_end(&joe);
    end(&k, &ann, &bob);
}

static void a_room_speaks_to_each_in_its_codec(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;

    begin(&k, &ann, &bob);
    kit_deliver(&k, ROOM, "k1", 11, 13);
    peer_expect_records(&ann, ROOM, 11, 13);
    expect_records(&bob, 11, 13);
    end(&k, &ann, &bob);
}

static void what_is_published_is_json(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;
    struct buf want = BUF_EMPTY;

    begin(&k, &ann, &bob);
    send_publish(&bob, 3, SLICE_LIT("hello"));
    expect_error(&bob, 3, REPLY_BAD_REQUEST);
    send_publish(&bob, 4, SLICE_NONE);
    expect_error(&bob, 4, REPLY_BAD_REQUEST);
    kit_expect_none(&k, MESSAGE_PUBLISH);
    send_publish(&bob, 5, SLICE_LIT(" [1.0,\n2] "));
    struct bus_out *batch = kit_take(&k, MESSAGE_PUBLISH);
    struct slice body = blob_slice(batch->body);
    assert_non_null(memmem(body.at, body.size, "\n[1.0,2]\n", 9));
    kit_result(&k, batch, BUS_CONFIRMED);
    codec_protobuf.empty(&want, 5, COMMAND_PUBLISH);
    expect_bytes(&bob, &want);
    end(&k, &ann, &bob);
}

static void questions_are_answered_in_the_codec_of_the_asker(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;
    struct buf want = BUF_EMPTY, list = BUF_EMPTY;

    begin(&k, &ann, &bob);
    send_about_room(&bob, 3, 8);
    kit_answer(&k, MESSAGE_PRESENCE, MESSAGE_PRESENT,
               "{\"room\":\"" ROOM "\",\"complete\":true,\"clients\":1,\"users\":1}\n"
               "{\"room\":\"" ROOM "\",\"client\":\"c1\",\"user\":\"a\\\"n\"}\n");
    codec_protobuf.member(&list, &(struct reply_member){SLICE_LIT("c1"), SLICE_LIT("a\\\"n"),
                                                        SLICE_NONE, SLICE_NONE});
    codec_protobuf.presence(&want, 3, buf_slice(&list));
    expect_bytes(&bob, &want);
    send_about_room(&bob, 4, 9);
    kit_answer(&k, MESSAGE_PRESENCE, MESSAGE_PRESENT,
               "{\"room\":\"" ROOM "\",\"clients\":1,\"users\":1}\n");
    codec_protobuf.presence_stats(&want, 4, &(struct reply_presence_stats){1, 1});
    expect_bytes(&bob, &want);
    send_about_room(&bob, 5, 10);
    kit_answer(&k, MESSAGE_HISTORY, MESSAGE_PAST,
               "{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":10,\"complete\":true}\n");
    codec_protobuf.history(&want, 5, &(struct reply_history){SLICE_NONE, SLICE_LIT("k1"), 10});
    expect_bytes(&bob, &want);
    send_about_room(&bob, 6, 99);
    peer_expect(&bob, "close 3501 bad request");
    buf_deinit(&list);
    end(&k, &ann, &bob);
}

static void who_comes_back_gets_what_was_missed_in_its_codec(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob, two, three;
    struct buf list = BUF_EMPTY;

    begin(&k, &ann, &bob);
    kit_deliver(&k, ROOM, "k1", 11, 12);
    codec_protobuf.publication(&list,
                               &(struct record){.offset = 11, .payload = SLICE_LIT("{\"n\":11}")});
    codec_protobuf.publication(&list,
                               &(struct record){.offset = 12, .payload = SLICE_LIT("{\"n\":12}")});
    for (int i = 0; i < 2; i++) { /* each finds what was put together for the other codec, too */
        peer_connect(&two, &k, "two");
        peer_send(&two, "{\"id\":7,\"subscribe\":{\"channel\":\"" ROOM
                        "\",\"recover\":true,\"epoch\":\"k1\",\"offset\":10}}");
        peer_expect_part(&two, "\"publications\":[{\"data\":{\"n\":11},\"offset\":11},"
                               "{\"data\":{\"n\":12},\"offset\":12}]");
        connect_protobuf(&three, &k, "three");
        send_return(&three, 7, 10);
        expect_subscribed(&three, 7,
                          (struct reply_subscribe){.offset = 10,
                                                   .recovered = true,
                                                   .was_recovering = true,
                                                   .publications = buf_slice(&list)});
        peer_end(&two);
        peer_end(&three);
    }
    buf_deinit(&list);
    end(&k, &ann, &bob);
}

static void a_ping_is_one_byte_and_so_is_its_answer(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;

    kit_init(&k);
    k.conf.ping_ms = 1;
    kit_start(&k);
    connect_protobuf(&p, &k, "bob");
    peer_expect(&p, "binary 00");
    assert_true(peer_session(&p)->awaits_pong);
    peer_send_frame(&p, BINARY, "\0", 1);
    KIT_UNTIL(&k, stat_get(&k.gateway.metrics.pongs) > 0);
    peer_end(&p);
    kit_end(&k);
}

static void who_asks_for_native_pings_gets_no_others(void **state)
{
    (void)state;
    static const struct {
        enum dialect dialect;
        int opcode;
        struct slice connect;
        const char *answer;
    } cases[] = {
        {DIALECT_CENTRIFUGE, 0x1, {"{\"id\":1,\"connect\":{}}", 21}, "{\"id\":1,\"connect\":{"},
        {DIALECT_PROTOBUF, BINARY, {"\x04\x08\x01\x22\x00", 5}, "08012a"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kit k;
        struct peer p;

        kit_init(&k);
        k.conf.ping_ms = 200;
        k.conf.pong_ms = 150;
        kit_start(&k);
        peer_open(&p, &k, cases[i].dialect, "bob", "");
        peer_session(&p)->native_pings = true; /* ?cf_ws_frame_ping_pong=true: test_admit.c */
        peer_send_frame(&p, cases[i].opcode, cases[i].connect.at, cases[i].connect.size);
        peer_expect_part(&p, cases[i].answer);
        assert_null(strstr(p.message.at, "\"ping\""));
        for (int pings = 0; pings < 3; pings++) {
            peer_expect(&p, "ping");
            peer_send_frame(&p, 0xa, "", 0);
        }
        peer_expect(&p, "ping");
        peer_expect(&p, "close 3012 no pong");
        peer_end(&p);
        kit_end(&k);
    }
}

static void what_is_no_protobuf_ends_the_session(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"{}", 2},
        {"\x05\x08\x02", 3},
        {"\x02\x08\x02", 3},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
        {"\x00", 1} /* a pong that nobody asked for */,
    };
    (void)state;
    struct kit k;
    struct peer p;

    kit_begin(&k);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        connect_protobuf(&p, &k, "bob");
        peer_send_frame(&p, BINARY, cases[i].bytes, cases[i].size);
        peer_expect(&p, "close 3501 bad request");
        peer_end(&p);
    }
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_codec_has_its_kind_of_message),
        cmocka_unit_test(a_room_speaks_to_each_in_its_codec),
        cmocka_unit_test(what_is_published_is_json),
        cmocka_unit_test(questions_are_answered_in_the_codec_of_the_asker),
        cmocka_unit_test(who_comes_back_gets_what_was_missed_in_its_codec),
        cmocka_unit_test(a_ping_is_one_byte_and_so_is_its_answer),
        cmocka_unit_test(who_asks_for_native_pings_gets_no_others),
        cmocka_unit_test(what_is_no_protobuf_ends_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
