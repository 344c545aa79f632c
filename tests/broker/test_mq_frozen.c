/* test_mq_frozen.c: a RabbitMQ that is silent, because it idles or because it is frozen. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/mem.h"
#include "tests/broker/rig.h"

#define BIG_BODY (1 << 20)

static pid_t broker_pid(void)
{
    const char *text = getenv("WARREN_TEST_BROKER_PID");

    assert_non_null(text);
    long pid = strtol(text, NULL, 10);
    assert_true(pid > 1);
    return (pid_t)pid;
}

static int thaw(void **state)
{
    (void)state;
    return kill(broker_pid(), SIGCONT);
}

static void stop_broker(void)
{
    assert_int_equal(kill(broker_pid(), SIGSTOP), 0);
}

/* Sleeps for a moment without a sleep of its own: nothing comes on this connection. */
static int pass_time(struct mq *m, int ms)
{
    struct mq_event e;

    mq_idle_wait(m, -1, ms);
    return mq_next(m, &e, 0);
}

static void an_idle_connection_outlives_three_heartbeats(void **state)
{
    (void)state;
    struct mq *m = rig_open();
    int64_t until_ms = clock_mono_ms() + 3 * MQ_HEARTBEAT_S * 1000 + 1000;

    while (clock_mono_ms() < until_ms) {
        assert_int_equal(pass_time(m, 1000), MQ_TIMEOUT);
    }
    rig_publish(m, rig_name("nowhere"), SLICE_LIT("x"));
    rig_await_confirms(m, 1);
    rig_assert_usable(m, RIG_CHANNEL);
    (void)mq_close(m);
}

struct stuck {
    struct mq *m;
    int rc;
    _Atomic bool is_over;
};

/* Publishes until it fails: the socket fills up and the library waits for room. */
static void *publish_until_lost(void *user)
{
    const struct mq_props props = {.persistent = false};
    struct stuck *s = user;
    char *body = mem_zalloc(1, BIG_BODY);

    do {
        s->rc = mq_publish(s->m, RIG_CHANNEL, "", "nowhere", false, &props,
                           (struct slice){body, BIG_BODY});
    } while (s->rc == MQ_OK);
    mem_free(body);
    s->is_over = true;
    return NULL;
}

static void an_abort_from_another_thread_ends_a_blocked_publish(void **state)
{
    (void)state;
    struct stuck s = {.m = rig_open()};
    pthread_t thread;

    stop_broker();
    assert_int_equal(pthread_create(&thread, NULL, publish_until_lost, &s), 0);
    while (clock_mono_ms() - mq_progress_ms(s.m) < 2000) {
        assert_false(s.is_over);
        struct timespec moment = {.tv_nsec = 20000000};
        (void)nanosleep(&moment, NULL);
    }
    assert_false(s.is_over);
    mq_abort(s.m);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(s.rc, MQ_LOST);
    assert_false(mq_is_open(s.m));
    assert_string_equal(mq_error(s.m), "aborted");
    struct mq_event e;
    assert_int_equal(mq_next(s.m, &e, 0), MQ_LOST);
    (void)mq_close(s.m);
}

static void a_request_to_a_frozen_broker_ends_as_lost(void **state)
{
    (void)state;
    struct mq *m = rig_open();
    const struct mq_queue q = {.name = rig_name("frozen"), .exclusive = true};

    stop_broker();
    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &q, NULL, NULL), MQ_LOST);
    assert_false(mq_is_open(m));
    assert_true(mq_error(m)[0] != '\0');
    (void)mq_close(m);
}

/* The bug of librabbitmq: after two heartbeats of silence a publish waits for the broker without
 * end. */
static void small_publishes_to_a_frozen_broker_end_as_lost_and_do_not_block(void **state)
{
    const struct mq_props props = {.persistent = false};
    (void)state;
    struct mq *m = rig_open();
    int rc = MQ_OK;

    stop_broker();
    while (rc == MQ_OK) {
        struct timespec moment = {.tv_nsec = 100000000};
        (void)nanosleep(&moment, NULL);
        rc = mq_publish(m, RIG_CHANNEL, "", "nowhere", false, &props, SLICE_LIT("x"));
    }
    assert_int_equal(rc, MQ_LOST);
    assert_false(mq_is_open(m));
    (void)mq_close(m);
}

static void a_reader_of_a_frozen_broker_learns_of_it(void **state)
{
    (void)state;
    struct mq *m = rig_open();
    int rc = MQ_TIMEOUT;

    stop_broker();
    while (rc == MQ_TIMEOUT) {
        rc = pass_time(m, 500);
    }
    assert_int_equal(rc, MQ_LOST);
    (void)mq_close(m);
}

static void a_connection_to_a_frozen_broker_is_given_up(void **state)
{
    (void)state;
    char error[256] = "";
    struct mq *m = NULL;
    struct mq_target *t = rig_target();

    stop_broker();
    assert_int_equal(mq_open(&m, t, "warren-test", error, sizeof(error)), MQ_LOST);
    assert_null(m);
    assert_true(error[0] != '\0');
    (void)mq_target_free(t);
}

static void closing_towards_a_frozen_broker_comes_to_an_end(void **state)
{
    (void)state;
    struct mq *m = rig_open();

    stop_broker();
    assert_null(mq_close(m));
}

/* What the broker says while we only publish is kept for mq_next(), in order. */
static void what_comes_in_while_only_publishing_is_not_lost(void **state)
{
    enum { COUNT = 30 };
    (void)state;
    struct mq *m = rig_open();
    const char *name = rig_name("deaf");

    rig_queue(m, name);
    rig_consume(m, name);
    for (size_t i = 0; i < COUNT; i++) {
        struct timespec moment = {.tv_nsec = 500000000};
        (void)nanosleep(&moment, NULL);
        rig_publish(m, name, (struct slice){"0123456789", i % 10});
    }
    size_t delivered = 0, confirmed = 0;
    while (delivered < COUNT || confirmed < COUNT) {
        struct mq_event e;
        assert_int_equal(mq_next(m, &e, RIG_PATIENCE_MS), MQ_OK);
        if (e.kind == MQ_DELIVERY) {
            assert_int_equal(e.body.size, delivered % 10);
            assert_int_equal(e.tag, ++delivered);
        } else {
            assert_int_equal(e.kind, MQ_ACK);
            confirmed = e.tag;
        }
    }
    (void)mq_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_outlives_three_heartbeats),
        cmocka_unit_test(what_comes_in_while_only_publishing_is_not_lost),
        cmocka_unit_test_teardown(an_abort_from_another_thread_ends_a_blocked_publish, thaw),
        cmocka_unit_test_teardown(a_request_to_a_frozen_broker_ends_as_lost, thaw),
        cmocka_unit_test_teardown(small_publishes_to_a_frozen_broker_end_as_lost_and_do_not_block,
                                  thaw),
        cmocka_unit_test_teardown(a_reader_of_a_frozen_broker_learns_of_it, thaw),
        cmocka_unit_test_teardown(a_connection_to_a_frozen_broker_is_given_up, thaw),
        cmocka_unit_test_teardown(closing_towards_a_frozen_broker_comes_to_an_end, thaw),
    };

    rig_start(400);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
