/* test_mq_requests.c: declarations and refusals against a real RabbitMQ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/topology.h"
#include "tests/broker/rig.h"

static const struct mq_arg short_queue[] = {{.name = "x-max-length", .number = 10}, {.name = NULL}};

static void a_second_declaration_with_the_same_arguments_is_accepted(void **state)
{
    (void)state;
    struct mq *m = rig_open();
    const struct mq_queue q = {.name = rig_name("same"), .exclusive = true, .args = short_queue};
    uint32_t messages = 9, consumers = 9;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &q, &messages, &consumers), MQ_OK);
        assert_int_equal(messages, 0);
        assert_int_equal(consumers, 0);
    }
    assert_null(mq_close(m));
}

static void a_passive_declaration_counts_messages_and_consumers(void **state)
{
    (void)state;
    struct mq *m = rig_open();
    const char *name = rig_name("counted");
    const struct mq_queue q = {.name = name, .passive = true};
    uint32_t messages = 0, consumers = 0;

    rig_queue(m, name);
    rig_publish(m, name, SLICE_LIT("a"));
    rig_publish(m, name, SLICE_LIT("b"));
    rig_await_confirms(m, 2);
    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &q, &messages, &consumers), MQ_OK);
    assert_int_equal(messages, 2);
    assert_int_equal(consumers, 0);
    rig_consume(m, name);
    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &q, &messages, &consumers), MQ_OK);
    assert_int_equal(consumers, 1);
    (void)mq_close(m);
}

/* Each returns what the broker said to a request that it must refuse. */
static int declare_with_other_arguments(struct mq *m)
{
    const struct mq_queue first = {.name = rig_name("other"), .exclusive = true};
    struct mq_queue second = first;

    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &first, NULL, NULL), MQ_OK);
    second.args = short_queue;
    return mq_queue_declare(m, RIG_CHANNEL, &second, NULL, NULL);
}

static int declare_passively_what_is_absent(struct mq *m)
{
    const struct mq_queue q = {.name = rig_name("absent"), .passive = true};

    return mq_queue_declare(m, RIG_CHANNEL, &q, NULL, NULL);
}

static int declare_an_exclusive_queue_of_another_connection(struct mq *m)
{
    struct mq *other = rig_open();
    const struct mq_queue q = {.name = rig_name("locked"), .exclusive = true};

    assert_int_equal(mq_queue_declare(other, RIG_CHANNEL, &q, NULL, NULL), MQ_OK);
    int rc = mq_queue_declare(m, RIG_CHANNEL, &q, NULL, NULL);
    (void)mq_close(other);
    return rc;
}

static int consume_a_queue_in_exclusive_use(struct mq *m)
{
    struct mq *other = rig_open();
    const char *name = rig_name("used");
    const struct mq_queue q = {.name = name};
    const struct mq_consume c = {.queue = name, .tag = "t", .exclusive = true, .stream_offset = -1};

    assert_int_equal(mq_queue_declare(other, RIG_CHANNEL, &q, NULL, NULL), MQ_OK);
    assert_int_equal(mq_consume(other, RIG_CHANNEL, &c), MQ_OK);
    int rc = mq_consume(m, RIG_CHANNEL, &c);
    assert_int_equal(mq_queue_delete(other, RIG_CHANNEL, name), MQ_OK);
    (void)mq_close(other);
    return rc;
}

static int bind_to_an_absent_exchange(struct mq *m)
{
    const char *name = rig_name("bound");

    rig_queue(m, name);
    return mq_queue_bind(m, RIG_CHANNEL, name, rig_name("absent"), "");
}

static void a_refusal_has_a_code_and_leaves_the_channel_usable_with_its_confirms(void **state)
{
    static const struct {
        int (*ask)(struct mq *m);
        int code;
        const char *text;
    } cases[] = {
        {declare_with_other_arguments, 406, "406 PRECONDITION_FAILED - "},
        {declare_passively_what_is_absent, 404, "404 NOT_FOUND - "},
        {declare_an_exclusive_queue_of_another_connection, 405, "405 RESOURCE_LOCKED - "},
        {consume_a_queue_in_exclusive_use, 403, "403 ACCESS_REFUSED - "},
        {bind_to_an_absent_exchange, 404, "404 NOT_FOUND - "},
    };
    (void)state;
    struct mq *m = rig_open();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(cases[i].ask(m), MQ_REFUSED);
        assert_int_equal(mq_error_code(m), cases[i].code);
        assert_memory_equal(mq_error(m), cases[i].text, strlen(cases[i].text));
        const char *name = rig_name("after");
        rig_queue(m, name);
        rig_publish(m, name, SLICE_LIT("x"));
        rig_await_confirms(m, 1); /* numbers start again */
    }
    (void)mq_close(m);
}

static void a_refusal_on_one_channel_does_not_touch_another(void **state)
{
    (void)state;
    struct mq *m = rig_open();
    const char *name = rig_name("kept");
    const struct mq_queue absent = {.name = rig_name("absent"), .passive = true};

    assert_int_equal(mq_channel_open(m, 7, false), MQ_OK);
    rig_queue(m, name);
    rig_consume(m, name);
    for (int i = 0; i < 50; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%d", i);
        rig_publish(m, name, slice_of(text));
        assert_int_equal(mq_queue_declare(m, 7, &absent, NULL, NULL), MQ_REFUSED);
    }
    int deliveries = 0, confirmed = 0;
    while (deliveries < 50 || confirmed < 50) {
        struct mq_event e;
        assert_int_equal(mq_next(m, &e, RIG_PATIENCE_MS), MQ_OK);
        if (e.kind == MQ_DELIVERY) {
            char text[16];
            (void)snprintf(text, sizeof(text), "%d", deliveries++);
            assert_true(slice_equal(e.body, slice_of(text)));
        } else {
            assert_int_equal(e.kind, MQ_ACK);
            confirmed = (int)e.tag;
        }
    }
    (void)mq_close(m);
}

static void what_an_old_life_of_a_channel_had_left_is_dropped(void **state)
{
    (void)state;
    struct mq *m = rig_open();
    const char *name = rig_name("old");
    const struct mq_queue absent = {.name = rig_name("absent"), .passive = true};
    const struct mq_queue passive = {.name = name, .passive = true};
    uint32_t messages = 0;

    rig_queue(m, name);
    rig_publish(m, name, SLICE_LIT("x"));
    rig_await_confirms(m, 1);
    rig_consume(m, name); /* its delivery comes with or after the answer, and is not read */
    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &absent, NULL, NULL), MQ_REFUSED);
    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &passive, &messages, NULL), MQ_OK);
    assert_int_equal(messages, 1);
    rig_consume(m, name);
    struct mq_event e = rig_expect(m, MQ_DELIVERY);
    assert_int_equal(e.tag, 1);
    assert_true(e.redelivered);
    assert_int_equal(mq_ack(m, RIG_CHANNEL, e.tag, false), MQ_OK);
    rig_assert_usable(m, RIG_CHANNEL);
    (void)mq_close(m);
}

static void a_channel_that_the_broker_closes_is_reported_and_open_again(void **state)
{
    (void)state;
    struct mq *m = rig_open();

    assert_int_equal(mq_ack(m, RIG_CHANNEL, 77, false), MQ_OK); /* nobody delivered 77 */
    struct mq_event e = rig_expect(m, MQ_CHANNEL_CLOSED);
    assert_int_equal(e.channel, RIG_CHANNEL);
    assert_int_equal(mq_error_code(m), 406);
    rig_publish(m, rig_name("nowhere"), SLICE_LIT("x"));
    rig_await_confirms(m, 1);
    (void)mq_close(m);
}

static void
a_request_on_a_channel_that_the_broker_has_just_closed_is_refused_with_its_reason(void **state)
{
    (void)state;
    struct mq *m = rig_open();
    const struct mq_queue q = {.name = rig_name("late"), .exclusive = true};

    assert_int_equal(mq_channel_open(m, 2, false), MQ_OK);
    assert_int_equal(mq_ack(m, RIG_CHANNEL, 77, false), MQ_OK);
    rig_assert_usable(m, 2); /* the close is now inside the library */
    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &q, NULL, NULL), MQ_REFUSED);
    assert_int_equal(mq_error_code(m), 406);
    rig_assert_usable(m, RIG_CHANNEL);

    assert_int_equal(mq_ack(m, RIG_CHANNEL, 77, false), MQ_OK);
    rig_assert_usable(m, 2);
    assert_int_equal(mq_channel_close(m, RIG_CHANNEL), MQ_OK);
    assert_int_equal(mq_channel_open(m, RIG_CHANNEL, true), MQ_OK);
    rig_publish(m, rig_name("nowhere"), SLICE_LIT("x"));
    rig_await_confirms(m, 1);
    (void)mq_close(m);
}

static void a_publish_to_an_absent_exchange_closes_only_its_channel(void **state)
{
    const struct mq_props props = {.persistent = true};
    (void)state;
    struct mq *m = rig_open();

    assert_int_equal(
        mq_publish(m, RIG_CHANNEL, rig_name("absent"), "k", false, &props, SLICE_LIT("x")), MQ_OK);
    (void)rig_expect(m, MQ_CHANNEL_CLOSED);
    assert_int_equal(mq_error_code(m), 404);
    rig_assert_usable(m, RIG_CHANNEL);
    (void)mq_close(m);
}

static void a_consumer_whose_queue_is_deleted_is_told(void **state)
{
    (void)state;
    struct mq *m = rig_open();
    const char *name = rig_name("doomed");

    assert_int_equal(mq_channel_open(m, 2, false), MQ_OK);
    rig_queue(m, name);
    rig_consume(m, name);
    assert_int_equal(mq_queue_delete(m, 2, name), MQ_OK);
    struct mq_event e = rig_expect(m, MQ_CANCELLED);
    assert_true(slice_equal(e.consumer, SLICE_LIT("t")));
    (void)mq_close(m);
}

static void a_misuse_that_costs_the_connection_is_told_as_such(void **state)
{
    static const struct mq_arg stream[] = {{.name = "x-queue-type", .text = "stream"},
                                           {.name = NULL}};
    (void)state;
    struct mq *m = rig_open();
    const struct mq_queue q = {.name = rig_name("stream"), .durable = true, .args = stream};
    const struct mq_consume c = {
        .queue = q.name, .tag = "t", .prefetch = 10, .stream_from = "bogus"};

    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &q, NULL, NULL), MQ_OK);
    assert_int_equal(mq_consume(m, RIG_CHANNEL, &c), MQ_LOST);
    assert_false(mq_is_open(m));
    assert_int_equal(mq_error_code(m), 541);
    assert_int_equal(mq_ack(m, RIG_CHANNEL, 1, false), MQ_LOST);
    (void)mq_close(m);
    m = rig_open();
    assert_int_equal(mq_queue_delete(m, RIG_CHANNEL, q.name), MQ_OK);
    (void)mq_close(m);
}

static void a_connection_that_cannot_be_made_says_why(void **state)
{
    static const struct {
        const char *url, *text;
    } cases[] = {
        {"amqp://nobody:wrong@127.0.0.1:%s/", "403 ACCESS_REFUSED"},
        {"amqp://warren:warren@127.0.0.1:%s/absent", "530 NOT_ALLOWED"},
        {"amqp://warren:warren@127.0.0.1:1/", "cannot connect"},
        {"amqps://warren:warren@localhost:%s/", "SSL"},
    };
    (void)state;
    const char *port = strrchr(getenv("WARREN_TEST_AMQP"), ':') + 1;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char url[128], number[8], error[512] = "";
        struct mq *m = NULL;
        (void)snprintf(number, sizeof(number), "%.*s", (int)strspn(port, "0123456789"), port);
        const char *hole = strstr(cases[i].url, "%s");
        size_t head = hole != NULL ? (size_t)(hole - cases[i].url) : strlen(cases[i].url);
        (void)snprintf(url, sizeof(url), "%.*s%s%s", (int)head, cases[i].url,
                       hole != NULL ? number : "", hole != NULL ? hole + 2 : "");
        struct mq_target *t = mq_target_new(url, NULL, error, sizeof(error));
        assert_non_null(t);
        assert_int_equal(mq_open(&m, t, "warren-test", error, sizeof(error)), MQ_LOST);
        assert_null(m);
        if (strstr(error, cases[i].text) == NULL) {
            assert_string_equal(error, cases[i].text);
        }
        (void)mq_target_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_declaration_with_the_same_arguments_is_accepted),
        cmocka_unit_test(a_passive_declaration_counts_messages_and_consumers),
        cmocka_unit_test(a_refusal_has_a_code_and_leaves_the_channel_usable_with_its_confirms),
        cmocka_unit_test(a_refusal_on_one_channel_does_not_touch_another),
        cmocka_unit_test(what_an_old_life_of_a_channel_had_left_is_dropped),
        cmocka_unit_test(a_channel_that_the_broker_closes_is_reported_and_open_again),
        cmocka_unit_test(
            a_request_on_a_channel_that_the_broker_has_just_closed_is_refused_with_its_reason),
        cmocka_unit_test(a_publish_to_an_absent_exchange_closes_only_its_channel),
        cmocka_unit_test(a_consumer_whose_queue_is_deleted_is_told),
        cmocka_unit_test(a_misuse_that_costs_the_connection_is_told_as_such),
        cmocka_unit_test(a_connection_that_cannot_be_made_says_why),
    };

    rig_start(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
