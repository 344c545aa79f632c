/*
 * test_compress.c: sessions that speak permessage-deflate beside those that do
 * not: who gets what compressed, and what it costs.
 */
#include "tests/unit/gateway_kit.h"

#define TEXT 0x1
#define RSV1 0x40
#define COMPRESSED_TEXT (RSV1 | TEXT)

/* A JSON object of about `size` bytes that gets much smaller. */
static void add_long(struct buf *out, size_t size)
{
    buf_add_lit(out, "{\"m\":\"");
    while (out->size < size) {
        buf_add_lit(out, "abcdefgh ");
    }
    buf_add_lit(out, "\"}");
}

/* Delivers record `offset` of a room. */
static void deliver(struct kit *k, const char *room, uint64_t offset, const char *payload)
{
    struct buf body = BUF_EMPTY;

    kit_add_record(&body, room, "e1", offset, payload);
    buf_add_char(&body, '\0');
    kit_say(k, kit_partition(room), MESSAGE_DELIVER, body.at);
    buf_deinit(&body);
}

static void a_rooms_frame_is_compressed_once_for_each_window(void **state)
{
    (void)state;
    static const unsigned windows[] = {15, 0, 15, 10, 15, 0};
    struct peer peers[ARRAY_LEN(windows)];
    struct buf payload = BUF_EMPTY;
    struct kit k;

    kit_begin_without_presence(&k);
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        peer_open_packed(&peers[i], &k, DIALECT_PLAIN, "ann", "lobby", windows[i]);
    }
    kit_position(&k, "lobby", "e1", 0);
    kit_settle(&k);
    add_long(&payload, 4000);
    buf_add_char(&payload, '\0');
    deliver(&k, "lobby", 1, payload.at);
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        peer_expect(&peers[i], payload.at);
        assert_int_equal(peers[i].packed, windows[i] != 0);
    }
    const struct metrics *m = &k.gateway.metrics;
    assert_int_equal(stat_get(&m->frames_built), 1);
    assert_int_equal(stat_get(&m->packed), 2);
    assert_int_equal(stat_get(&m->packed_before), 2 * (payload.size - 1));
    assert_in_range(stat_get(&m->packed_after), 20, 400);

    deliver(&k, "lobby", 2, "{\"short\":true}"); /* not worth it: all share one frame */
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        peer_expect(&peers[i], "{\"short\":true}");
        assert_int_equal(peers[i].packed, windows[i] != 0);
        peer_end(&peers[i]);
    }
    assert_int_equal(stat_get(&m->frames_built), 2);
    assert_int_equal(stat_get(&m->packed), 2);
    buf_deinit(&payload);
    kit_end(&k);
}

static void nothing_is_compressed_for_those_who_do_not_want_it(void **state)
{
    (void)state;
    struct buf payload = BUF_EMPTY;
    struct peer p;
    struct kit k;

    kit_begin_without_presence(&k);
    peer_open(&p, &k, DIALECT_PLAIN, "ann", "lobby");
    kit_position(&k, "lobby", "e1", 0);
    add_long(&payload, 20000);
    buf_add_char(&payload, '\0');
    deliver(&k, "lobby", 1, payload.at);
    peer_expect(&p, payload.at);
    assert_int_equal(stat_get(&k.gateway.metrics.packed), 0);
    peer_end(&p);
    buf_deinit(&payload);
    kit_end(&k);
}

static void what_does_not_get_smaller_is_sent_as_it_is(void **state)
{
    (void)state;
    struct buf text = BUF_EMPTY;
    struct peer p;
    struct kit k;
    uint32_t seed = 5;

    kit_init(&k);
    k.conf.compression_min = 0;
    kit_start(&k);
    peer_open_packed(&p, &k, DIALECT_ECHO, "ann", "", 15);
    peer_send(&p, "ab");
    peer_expect(&p, "ab");
    peer_send(&p, "");
    peer_expect(&p, "");
    for (int i = 0; i < 20; i++) {
        seed = seed * 1664525 + 1013904223;
        buf_add_char(&text, (char)(' ' + (seed >> 25) % 95));
    }
    buf_add_char(&text, '\0');
    peer_send(&p, text.at);
    peer_expect(&p, text.at);
    assert_int_equal(p.packed, 0);
    peer_send(&p, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    peer_expect(&p, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(p.packed, 1);
    buf_deinit(&text);
    peer_end(&p);
    kit_end(&k);
}

static void a_reply_to_one_session_is_compressed_from_the_minimum_on(void **state)
{
    (void)state;
    struct peer p;
    struct kit k;

    kit_begin(&k);
    peer_open_packed(&p, &k, DIALECT_ECHO, "ann", "", 12);
    for (int more = -1; more <= 0; more++) {
        struct buf text = BUF_EMPTY;
        memset(buf_reserve(&text, 1100), 'x', 1100);
        buf_grew(&text, (size_t)(1024 + more));
        buf_add_char(&text, '\0');
        peer_send(&p, text.at);
        peer_expect(&p, text.at);
        assert_int_equal(p.packed, more + 1);
        buf_deinit(&text);
    }
    peer_end(&p);
    kit_end(&k);
}

static void one_turn_compresses_only_so_much_for_single_sessions(void **state)
{
    (void)state;
    struct kit k;

    kit_begin(&k);
    struct blob *frames = blob_new(50000);
    memcpy(frames->bytes, "\x82\x7e\xc3\x4c", 4); /* binary, 49,996 bytes */
    memset(frames->bytes + 4, 0, frames->size - 4);
    unsigned smaller = 0;
    for (int i = 0; i < 20; i++) {
        struct blob *b = compress_single(&k.gateway.compress, frames, 15);
        smaller += b->size < frames->size;
        blob_unref(b);
    }
    assert_int_equal(smaller, 2);
    for (int i = 0; i < 20; i++) { /* what a room hears is compressed all the same */
        struct blob *b = compress_shared(&k.gateway.compress, frames, 15);
        assert_true(b->size < 1000);
        blob_unref(b);
    }
    kit_settle(&k); /* the next turn */
    struct blob *b = compress_single(&k.gateway.compress, frames, 15);
    assert_true(b->size < 1000);
    blob_unref(b);
    blob_unref(frames);
    kit_end(&k);
}

/* Sends a message compressed. */
static void send_packed(struct peer *p, const char *text)
{
    struct slice packed = deflate_pack(p->kit->gateway.compress.deflate, slice_of(text), 15);

    peer_send_frame(p, COMPRESSED_TEXT, packed.at, packed.size);
}

static void compressed_commands_are_understood_and_leave_nothing_behind(void **state)
{
    (void)state;
    struct peer p;
    struct kit k;

    kit_begin(&k);
    peer_open_packed(&p, &k, DIALECT_CENTRIFUGE, "ann", "", 15);
    send_packed(&p, "{\"id\":1,\"connect\":{}}");
    peer_expect_part(&p, "{\"id\":1,\"connect\":{\"client\":\"");
    peer_send(&p, "{\"id\":2,\"unsubscribe\":{\"channel\":\"a\"}}"); /* some are not compressed */
    peer_expect(&p, "{\"id\":2,\"unsubscribe\":{}}");
    send_packed(&p, "{\"id\":3,\"unsubscribe\":{\"channel\":\"a\"}}");
    peer_expect(&p, "{\"id\":3,\"unsubscribe\":{}}");
    assert_true(ws_is_idle(&peer_session(&p)->ws));
    assert_null(peer_session(&p)->out.slots);
    assert_int_equal(stat_get(&k.gateway.metrics.unpacked), 2);
    assert_in_range(stat_get(&k.gateway.metrics.unpacked_after), 50, 70);
    peer_end(&p);
    kit_end(&k);
}

static void bad_messages_end_only_their_session(void **state)
{
    (void)state;
    static char bomb[200000];
    static const char text[] = "{\"id\":1}";
    struct peer p, other;
    struct kit k;

    kit_begin(&k);
    peer_open_packed(&other, &k, DIALECT_ECHO, "bob", "", 15);

    peer_open_packed(&p, &k, DIALECT_ECHO, "ann", "", 15);
    send_packed(&p, "good"); /* is answered before the close */
    peer_send_frame(&p, COMPRESSED_TEXT, "\x07", 1);
    peer_expect(&p, "good");
    peer_expect(&p, "close 1007 broken compressed data");
    peer_expect(&p, "end");
    peer_end(&p);

    peer_open_packed(&p, &k, DIALECT_ECHO, "ann", "", 15);
    memset(bomb, 'b', sizeof(bomb) - 1);
    send_packed(&p, bomb);
    peer_expect(&p, "close 1009 message too big");
    peer_end(&p);

    peer_open_packed(&p, &k, DIALECT_ECHO, "ann", "", 15);
    send_packed(&p, "\xff\xff");
    peer_expect(&p, "close 1007 not UTF-8");
    peer_end(&p);

    peer_open(&p, &k, DIALECT_ECHO, "ann", ""); /* it was not negotiated */
    send_packed(&p, text);
    peer_expect(&p, "close 1002 protocol error");
    peer_end(&p);

    send_packed(&other, text);
    peer_expect(&other, text);
    peer_end(&other);
    kit_end(&k);
}

static void without_the_setting_there_is_no_compressor(void **state)
{
    (void)state;
    struct kit k;

    kit_init(&k);
    k.conf.compression = false;
    kit_start(&k);
    assert_null(k.gateway.compress.deflate);
    kit_end(&k);
}

static void each_variant_has_a_number_of_its_own(void **state)
{
    (void)state;
    bool seen[SESSION_VARIANTS] = {false};

    for (int dialect = 0; dialect < DIALECT_COUNT; dialect++) {
        for (unsigned window = DEFLATE_WINDOW_MIN - 1; window <= DEFLATE_WINDOW_MAX; window++) {
            unsigned bits = window < DEFLATE_WINDOW_MIN ? 0 : window;
            unsigned variant = session_variant((enum dialect)dialect, bits);

            assert_in_range(variant, 0, SESSION_VARIANTS - 1);
            assert_false(seen[variant]);
            seen[variant] = true;
            assert_int_equal(session_variant_window(variant), bits);
            assert_int_equal(session_variant_dialect(variant), dialect);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rooms_frame_is_compressed_once_for_each_window),
        cmocka_unit_test(nothing_is_compressed_for_those_who_do_not_want_it),
        cmocka_unit_test(what_does_not_get_smaller_is_sent_as_it_is),
        cmocka_unit_test(a_reply_to_one_session_is_compressed_from_the_minimum_on),
        cmocka_unit_test(one_turn_compresses_only_so_much_for_single_sessions),
        cmocka_unit_test(compressed_commands_are_understood_and_leave_nothing_behind),
        cmocka_unit_test(bad_messages_end_only_their_session),
        cmocka_unit_test(without_the_setting_there_is_no_compressor),
        cmocka_unit_test(each_variant_has_a_number_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
