/* rig.c: what the tests against a real RabbitMQ share. */
#include "tests/broker/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"

#define NAMES_MAX 64

struct mq_target *rig_target(void)
{
    char error[256] = "";
    const char *url = getenv("WARREN_TEST_AMQP");

    assert_non_null(url);
    struct mq_target *t = mq_target_new(url, getenv("WARREN_TEST_CA_FILE"), error, sizeof(error));
    assert_string_equal(error, "");
    assert_non_null(t);
    return t;
}

struct mq *rig_open(void)
{
    char error[256] = "";
    struct mq *m = NULL;
    struct mq_target *t = rig_target();
    int rc = mq_open(&m, t, "warren-test", error, sizeof(error));

    assert_string_equal(error, "");
    assert_int_equal(rc, MQ_OK);
    (void)mq_target_free(t);
    assert_int_equal(mq_channel_open(m, RIG_CHANNEL, true), MQ_OK);
    return m;
}

const char *rig_name(const char *what)
{
    static char names[NAMES_MAX][64];
    static int used;

    assert_true(used < NAMES_MAX);
    (void)snprintf(names[used], sizeof(names[used]), "test.%ld.%d.%s", (long)getpid(), used, what);
    return names[used++];
}

void rig_queue(struct mq *m, const char *name)
{
    const struct mq_queue q = {.name = name, .exclusive = true};

    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &q, NULL, NULL), MQ_OK);
}

void rig_consume(struct mq *m, const char *queue)
{
    const struct mq_consume c = {.queue = queue, .tag = "t", .stream_offset = -1};

    assert_int_equal(mq_consume(m, RIG_CHANNEL, &c), MQ_OK);
}

void rig_publish(struct mq *m, const char *key, struct slice body)
{
    const struct mq_props props = {.persistent = false};

    assert_int_equal(mq_publish(m, RIG_CHANNEL, "", key, false, &props, body), MQ_OK);
}

static int next_within_patience(struct mq *m, struct mq_event *event)
{
    int64_t until_ms = clock_mono_ms() + RIG_PATIENCE_MS;
    int rc = MQ_TIMEOUT;

    while (rc == MQ_TIMEOUT && clock_mono_ms() < until_ms) {
        mq_idle_wait(m, -1, 500);
        rc = mq_next(m, event, 0);
    }
    return rc;
}

struct mq_event rig_expect(struct mq *m, enum mq_event_kind kind)
{
    struct mq_event event;
    int rc = next_within_patience(m, &event);

    if (rc == MQ_LOST) {
        assert_string_equal(mq_error(m), "");
    }
    assert_int_equal(rc, MQ_OK);
    assert_int_equal(event.kind, kind);
    return event;
}

void rig_await_confirms(struct mq *m, uint64_t tag)
{
    struct mq_event event;

    do {
        event = rig_expect(m, MQ_ACK);
    } while (event.tag < tag);
    assert_int_equal(event.tag, tag);
}

void rig_assert_usable(struct mq *m, uint16_t channel)
{
    const struct mq_queue q = {.name = rig_name("usable"), .exclusive = true, .auto_delete = true};

    assert_true(mq_is_open(m));
    assert_int_equal(mq_queue_declare(m, channel, &q, NULL, NULL), MQ_OK);
    assert_int_equal(mq_queue_delete(m, channel, q.name), MQ_OK);
}

void rig_start(unsigned seconds)
{
    (void)alarm(seconds);
}
