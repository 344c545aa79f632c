/* test_mq_messages.c: publishing, confirming and consuming against a real RabbitMQ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/mem.h"
#include "tests/broker/rig.h"

#define FRAME_BODY (131072 - 8) /* bytes of body that fill a frame */

static const struct mq_arg stream_args[] = {{.name = "x-queue-type", .text = "stream"},
                                            {.name = NULL}};

/* `size` bytes that differ from place to place. */
static char *pattern_new(size_t size)
{
    char *at = mem_alloc(size + 1);

    for (size_t i = 0; i < size; i++) {
        at[i] = (char)(i * 31 + i / 251);
    }
    return at;
}

static void properties_and_headers_come_back_as_they_were_sent(void **state)
{
    (void)state;
    struct mq *m = rig_open();
    const char *name = rig_name("props");
    struct mq_props p = {.content_type = SLICE_LIT("application/x-ndjson"),
                         .type = SLICE_LIT("publish"),
                         .app_id = SLICE_LIT("warren-gateway"),
                         .message_id = SLICE_LIT("g1/3/42"),
                         .correlation_id = SLICE_LIT("c\0d"),
                         .timestamp_s = 1790000000,
                         .persistent = true};
    int64_t number = 0;
    struct slice text = SLICE_NONE;

    mq_props_number(&p, "partition", 3);
    mq_props_number(&p, "least", INT64_MIN);
    mq_props_number(&p, "most", INT64_MAX);
    mq_props_text(&p, "room",
                  SLICE_LIT("l\xc3\xb6"
                            "bby"));
    mq_props_text(&p, "empty", SLICE_NONE);
    rig_queue(m, name);
    assert_int_equal(mq_publish(m, RIG_CHANNEL, "", name, true, &p, SLICE_LIT("hello")), MQ_OK);
    rig_await_confirms(m, 1);
    rig_consume(m, name);
    struct mq_event e = rig_expect(m, MQ_DELIVERY);
    assert_int_equal(e.channel, RIG_CHANNEL);
    assert_int_equal(e.tag, 1);
    assert_false(e.redelivered);
    assert_false(e.too_large);
    assert_int_equal(e.stream_offset, -1);
    assert_true(slice_equal(e.consumer, SLICE_LIT("t")));
    assert_true(slice_equal(e.key, slice_of(name)));
    assert_true(slice_equal(e.exchange, SLICE_NONE));
    assert_true(slice_equal(e.body, SLICE_LIT("hello")));
    assert_true(slice_equal(e.props.content_type, p.content_type));
    assert_true(slice_equal(e.props.type, p.type));
    assert_true(slice_equal(e.props.app_id, p.app_id));
    assert_true(slice_equal(e.props.message_id, p.message_id));
    assert_true(slice_equal(e.props.correlation_id, p.correlation_id));
    assert_int_equal(e.props.timestamp_s, p.timestamp_s);
    assert_true(e.props.persistent);
    assert_int_equal(e.props.header_count, 5);
    assert_true(mq_props_get_number(&e.props, "partition", &number) && number == 3);
    assert_true(mq_props_get_number(&e.props, "least", &number) && number == INT64_MIN);
    assert_true(mq_props_get_number(&e.props, "most", &number) && number == INT64_MAX);
    assert_true(mq_props_get_text(&e.props, "room", &text));
    assert_true(slice_equal(text, SLICE_LIT("l\xc3\xb6"
                                            "bby")));
    assert_true(mq_props_get_text(&e.props, "empty", &text) && text.size == 0);
    assert_false(mq_props_get_text(&e.props, "partition", &text));
    assert_false(mq_props_get_number(&e.props, "room", &number));
    assert_false(mq_props_get_number(&e.props, "absent", &number));
    (void)mq_close(m);
}

static void properties_that_are_not_sent_are_empty(void **state)
{
    (void)state;
    struct mq *m = rig_open();
    const char *name = rig_name("bare");

    rig_queue(m, name);
    rig_publish(m, name, SLICE_NONE);
    rig_await_confirms(m, 1);
    rig_consume(m, name);
    struct mq_event e = rig_expect(m, MQ_DELIVERY);
    assert_int_equal(e.body.size, 0);
    assert_int_equal(e.props.type.size, 0);
    assert_int_equal(e.props.message_id.size, 0);
    assert_int_equal(e.props.timestamp_s, 0);
    assert_false(e.props.persistent);
    assert_int_equal(e.props.header_count, 0);
    (void)mq_close(m);
}

static void a_text_that_amqp_cannot_carry_is_refused_before_anything_is_written(void **state)
{
    static const char *const bad_keys[] = {"\x80",
                                           "a\xff",
                                           "\xc3",
                                           "\xc0\xaf",
                                           "\xe2\x82",
                                           "\xed\xa0\x80",
                                           "\xf4\x90\x80\x80",
                                           "\xf5\x80\x80\x80",
                                           "\xe0\x80\x80",
                                           "\xf0\x80\x80\x80"};
    (void)state;
    struct mq *m = rig_open();
    char *text = pattern_new(200000);
    struct mq_props none = {0}, long_type = {.type = {text, 256}}, many = {0};
    struct mq_props fits = {.type = {text, 255}};
    char key[300];

    memset(key, 'k', sizeof(key));
    key[256] = '\0';
    mq_props_text(&many, "big", (struct slice){text, 200000});
    assert_int_equal(mq_publish(m, RIG_CHANNEL, "", "k", false, &long_type, SLICE_NONE),
                     MQ_REFUSED);
    assert_int_equal(mq_publish(m, RIG_CHANNEL, "", "k", false, &many, SLICE_NONE), MQ_REFUSED);
    assert_int_equal(mq_publish(m, RIG_CHANNEL, "", key, false, &fits, SLICE_NONE), MQ_REFUSED);
    for (size_t i = 0; i < ARRAY_LEN(bad_keys); i++) {
        assert_int_equal(mq_publish(m, RIG_CHANNEL, "", bad_keys[i], false, &none, SLICE_NONE),
                         MQ_REFUSED);
    }
    key[255] = '\0';
    assert_int_equal(mq_publish(m, RIG_CHANNEL, "", key, false, &fits, SLICE_NONE), MQ_OK);
    assert_int_equal(mq_publish(m, RIG_CHANNEL, "", "\xc3\xb6\xe2\x82\xac\xf0\x9f\x90\xb0", false,
                                &none, SLICE_NONE),
                     MQ_OK);
    rig_await_confirms(m, 2);
    mem_free(text);
    (void)mq_close(m);
}

static void a_body_of_any_size_comes_back_intact(void **state)
{
    static const size_t sizes[] = {0,
                                   1,
                                   4096,
                                   FRAME_BODY - 1,
                                   FRAME_BODY,
                                   FRAME_BODY + 1,
                                   2 * FRAME_BODY,
                                   3 * FRAME_BODY + 7,
                                   1 << 20,
                                   MQ_BODY_MAX};
    (void)state;
    struct mq *m = rig_open();
    const char *name = rig_name("sizes");
    char *body = pattern_new(MQ_BODY_MAX);

    rig_queue(m, name);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        rig_publish(m, name, (struct slice){body, sizes[i]});
        rig_await_confirms(m, i + 1);
    }
    rig_consume(m, name);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct mq_event e = rig_expect(m, MQ_DELIVERY);
        assert_int_equal(e.tag, i + 1);
        assert_true(slice_equal(e.key, slice_of(name)));
        assert_true(slice_equal(e.body, (struct slice){body, sizes[i]}));
        assert_int_equal(mq_ack(m, RIG_CHANNEL, e.tag, false), MQ_OK);
    }
    mem_free(body);
    (void)mq_close(m);
}

static void a_body_above_the_limit_is_skipped_and_said_to_be(void **state)
{
    (void)state;
    struct mq *m = rig_open();
    const char *name = rig_name("large");
    char *body = pattern_new(MQ_BODY_MAX + 1);

    rig_queue(m, name);
    rig_publish(m, name, (struct slice){body, MQ_BODY_MAX + 1});
    rig_publish(m, name, SLICE_LIT("next"));
    rig_await_confirms(m, 2);
    rig_consume(m, name);
    struct mq_event e = rig_expect(m, MQ_DELIVERY);
    assert_true(e.too_large);
    assert_int_equal(e.body.size, 0);
    assert_true(slice_equal(e.key, slice_of(name)));
    assert_int_equal(mq_reject(m, RIG_CHANNEL, e.tag), MQ_OK);
    e = rig_expect(m, MQ_DELIVERY);
    assert_false(e.too_large);
    assert_true(slice_equal(e.body, SLICE_LIT("next")));
    mem_free(body);
    (void)mq_close(m);
}

/* Requests between deliveries make the library queue frames; an event must live through them. */
static void events_survive_requests_and_keep_their_order(void **state)
{
    enum { COUNT = 200 };
    (void)state;
    struct mq *m = rig_open();
    const char *name = rig_name("mixed");
    const struct mq_queue passive = {.name = name, .passive = true};
    char *body = pattern_new(2 * FRAME_BODY);

    assert_int_equal(mq_channel_open(m, 2, false), MQ_OK);
    rig_queue(m, name);
    for (size_t i = 0; i < COUNT; i++) {
        rig_publish(m, name, (struct slice){body, i % 20 == 3 ? FRAME_BODY + i : i});
    }
    rig_await_confirms(m, COUNT);
    rig_consume(m, name);
    for (size_t i = 0; i < COUNT; i++) {
        struct mq_event e = rig_expect(m, MQ_DELIVERY);
        uint16_t channel = i % 2 == 0 ? RIG_CHANNEL : 2;
        assert_int_equal(mq_queue_declare(m, channel, &passive, NULL, NULL), MQ_OK);
        assert_int_equal(e.tag, i + 1);
        size_t size = i % 20 == 3 ? FRAME_BODY + i : i;
        assert_true(slice_equal(e.body, (struct slice){body, size}));
        assert_true(slice_equal(e.key, slice_of(name)));
    }
    assert_int_equal(mq_cancel(m, RIG_CHANNEL, "t"), MQ_OK);
    mem_free(body);
    (void)mq_close(m);
}

static void a_mandatory_message_that_no_queue_takes_comes_back_before_its_confirm(void **state)
{
    struct mq_props p = {.message_id = SLICE_LIT("m1")};
    (void)state;
    struct mq *m = rig_open();
    const char *name = rig_name("nowhere");

    assert_int_equal(mq_publish(m, RIG_CHANNEL, "", name, true, &p, SLICE_LIT("lost")), MQ_OK);
    struct mq_event e = rig_expect(m, MQ_RETURN);
    assert_true(slice_equal(e.key, slice_of(name)));
    assert_true(slice_equal(e.props.message_id, p.message_id));
    assert_true(slice_equal(e.body, SLICE_LIT("lost")));
    rig_await_confirms(m, 1);
    (void)mq_close(m);
}

static void a_full_queue_that_rejects_answers_nack(void **state)
{
    static const struct mq_arg args[] = {{.name = "x-max-length", .number = 1},
                                         {.name = "x-overflow", .text = "reject-publish"},
                                         {.name = NULL}};
    (void)state;
    struct mq *m = rig_open();
    const struct mq_queue q = {.name = rig_name("full"), .exclusive = true, .args = args};

    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &q, NULL, NULL), MQ_OK);
    rig_publish(m, q.name, SLICE_LIT("a"));
    rig_await_confirms(m, 1);
    rig_publish(m, q.name, SLICE_LIT("b"));
    assert_int_equal(rig_expect(m, MQ_NACK).tag, 2);
    (void)mq_close(m);
}

static void closing_a_channel_puts_unacked_messages_back_in_order(void **state)
{
    enum { COUNT = 20, ACKED = 5, SEEN = 12 };
    (void)state;
    struct mq *m = rig_open();
    const char *name = rig_name("order");
    const struct mq_consume c = {
        .queue = name, .tag = "first", .prefetch = SEEN, .stream_offset = -1};

    rig_queue(m, name);
    for (size_t i = 0; i < COUNT; i++) {
        char text[24];
        (void)snprintf(text, sizeof(text), "%zu", i);
        rig_publish(m, name, slice_of(text));
    }
    rig_await_confirms(m, COUNT);
    assert_int_equal(mq_channel_open(m, 2, false), MQ_OK);
    assert_int_equal(mq_consume(m, 2, &c), MQ_OK);
    for (size_t i = 0; i < SEEN; i++) {
        assert_int_equal(rig_expect(m, MQ_DELIVERY).tag, i + 1);
    }
    assert_int_equal(mq_ack(m, 2, ACKED, true), MQ_OK);
    assert_int_equal(mq_channel_close(m, 2),
                     MQ_OK); /* deliveries beyond SEEN may be on their way */
    rig_consume(m, name);
    for (size_t i = ACKED; i < COUNT; i++) {
        char text[24];
        (void)snprintf(text, sizeof(text), "%zu", i);
        struct mq_event e = rig_expect(m, MQ_DELIVERY);
        assert_int_equal(e.channel, RIG_CHANNEL);
        assert_true(slice_equal(e.body, slice_of(text)));
        assert_true(e.redelivered || i >= SEEN);
    }
    (void)mq_close(m);
}

static void consume_stream(struct mq *m, uint16_t channel, const struct mq_consume *c)
{
    assert_int_equal(mq_channel_open(m, channel, false), MQ_OK);
    assert_int_equal(mq_consume(m, channel, c), MQ_OK);
}

static void a_stream_is_read_from_an_offset_with_the_offset_of_each_record(void **state)
{
    enum { COUNT = 10 };
    (void)state;
    struct mq *m = rig_open();
    const struct mq_queue q = {.name = rig_name("log"), .durable = true, .args = stream_args};
    struct mq_props p = {.persistent = true};

    mq_props_number(&p, "term", 7);
    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &q, NULL, NULL), MQ_OK);
    for (size_t i = 0; i < COUNT; i++) {
        char text[24];
        (void)snprintf(text, sizeof(text), "%zu", i);
        assert_int_equal(mq_publish(m, RIG_CHANNEL, "", q.name, false, &p, slice_of(text)), MQ_OK);
    }
    rig_await_confirms(m, COUNT);
    const struct {
        struct mq_consume consume;
        int64_t first;
    } cases[] = {
        {{.queue = q.name, .tag = "a", .prefetch = 100, .stream_from = "first"}, 0},
        {{.queue = q.name, .tag = "b", .prefetch = 100, .stream_offset = 4}, 4},
        {{.queue = q.name, .tag = "c", .prefetch = 2, .stream_offset = 0}, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint16_t channel = (uint16_t)(10 + i);
        consume_stream(m, channel, &cases[i].consume);
        for (int64_t offset = cases[i].first; offset < COUNT; offset++) {
            char text[24];
            int64_t term = 0;
            struct mq_event e = rig_expect(m, MQ_DELIVERY);
            (void)snprintf(text, sizeof(text), "%lld", (long long)offset);
            assert_int_equal(e.stream_offset, offset);
            assert_true(slice_equal(e.body, slice_of(text)));
            assert_true(mq_props_get_number(&e.props, "term", &term) && term == 7);
            assert_int_equal(mq_ack(m, channel, e.tag, false), MQ_OK);
        }
        assert_int_equal(mq_channel_close(m, channel), MQ_OK);
    }
    assert_int_equal(mq_queue_delete(m, RIG_CHANNEL, q.name), MQ_OK);
    (void)mq_close(m);
}

static void consumers_on_many_channels_get_what_is_theirs(void **state)
{
    enum { CHANNELS = 20, EACH = 30 };
    (void)state;
    struct mq *m = rig_open();
    const char *names[CHANNELS];
    size_t seen[CHANNELS] = {0};
    char *body = pattern_new(2 * FRAME_BODY);

    for (size_t c = 0; c < CHANNELS; c++) {
        names[c] = rig_name("many");
        rig_queue(m, names[c]);
        const struct mq_consume consume = {.queue = names[c], .tag = names[c], .stream_offset = -1};
        assert_int_equal(mq_channel_open(m, (uint16_t)(100 + c), false), MQ_OK);
        assert_int_equal(mq_consume(m, (uint16_t)(100 + c), &consume), MQ_OK);
    }
    for (size_t i = 0; i < EACH; i++) {
        for (size_t c = 0; c < CHANNELS; c++) {
            rig_publish(m, names[c], (struct slice){body, c == i ? FRAME_BODY + i : i});
        }
    }
    for (size_t left = CHANNELS * EACH; left > 0;) {
        struct mq_event e;
        assert_int_equal(mq_next(m, &e, RIG_PATIENCE_MS), MQ_OK);
        if (e.kind == MQ_DELIVERY) {
            size_t c = e.channel - 100u, i = seen[c]++;
            assert_true(slice_equal(e.consumer, slice_of(names[c])));
            assert_int_equal(e.tag, i + 1);
            assert_true(slice_equal(e.body, (struct slice){body, c == i ? FRAME_BODY + i : i}));
            left--;
        }
    }
    mem_free(body);
    (void)mq_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_and_headers_come_back_as_they_were_sent),
        cmocka_unit_test(properties_that_are_not_sent_are_empty),
        cmocka_unit_test(a_text_that_amqp_cannot_carry_is_refused_before_anything_is_written),
        cmocka_unit_test(a_body_of_any_size_comes_back_intact),
        cmocka_unit_test(a_body_above_the_limit_is_skipped_and_said_to_be),
        cmocka_unit_test(events_survive_requests_and_keep_their_order),
        cmocka_unit_test(a_mandatory_message_that_no_queue_takes_comes_back_before_its_confirm),
        cmocka_unit_test(a_full_queue_that_rejects_answers_nack),
        cmocka_unit_test(closing_a_channel_puts_unacked_messages_back_in_order),
        cmocka_unit_test(a_stream_is_read_from_an_offset_with_the_offset_of_each_record),
        cmocka_unit_test(consumers_on_many_channels_get_what_is_theirs),
    };

    rig_start(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
