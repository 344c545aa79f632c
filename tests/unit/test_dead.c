/* test_dead.c: dead letters that the broker takes, and those that it refuses. */
#include "broadcaster/dead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/mem.h"

#define CHANNEL 6
#define START_MS 1000000

/* The broker: how often something was published to it. */
static unsigned published;

int mq_publish(struct mq *m, uint16_t channel, const char *exchange, const char *key,
               bool mandatory, const struct mq_props *props, struct slice body)
{
    (void)m;
    (void)props;
    assert_int_equal(channel, CHANNEL);
    assert_string_equal(exchange, "warren.dead");
    assert_string_equal(key, "");
    assert_false(mandatory);
    assert_true(slice_equal(body, SLICE_LIT("what?")));
    published++;
    return MQ_OK;
}

struct world {
    struct dead dead;
    struct metrics metrics;
    struct topology topology;
    int64_t now_ms;
};

static int start(void **state)
{
    struct world *w = mem_new(struct world);

    w->topology = topology_default("warren", 16, false);
    w->now_ms = START_MS;
    dead_init(&w->dead, &w->metrics);
    published = 0;
    *state = w;
    return 0;
}

static int stop(void **state)
{
    struct world *w = *state;

    dead_clear(&w->dead);
    assert_int_equal(stat_get(&w->metrics.dead_waiting), 0);
    mem_free(w);
    return 0;
}

static void bury(struct world *w, uint64_t tag)
{
    const struct mq_event e = {.kind = MQ_DELIVERY, .tag = tag, .body = SLICE_LIT("what?")};

    assert_true(dead_add(&w->dead, 3, &e, "no publish"));
}

/* How many letters are published now. */
static unsigned publish(struct world *w)
{
    unsigned before = published;

    assert_int_equal(dead_publish(&w->dead, NULL, CHANNEL, &w->topology, w->now_ms), MQ_OK);
    return published - before;
}

static void say(struct world *w, enum mq_event_kind kind, uint64_t tag, bool multiple)
{
    dead_on_event(&w->dead, &(struct mq_event){.kind = kind, .tag = tag, .multiple = multiple},
                  w->now_ms);
}

static void a_letter_is_published_once_and_safe_when_the_broker_says_so(void **state)
{
    struct world *w = *state;
    uint32_t partition;
    uint64_t tag;

    bury(w, 7);
    bury(w, 9);
    assert_int_equal(publish(w), 2);
    assert_int_equal(publish(w), 0);
    assert_false(dead_next_copied(&w->dead, &partition, &tag));
    say(w, MQ_ACK, 2, false);
    assert_true(dead_next_copied(&w->dead, &partition, &tag));
    assert_int_equal(partition, 3);
    assert_int_equal(tag, 9);
    assert_false(dead_next_copied(&w->dead, &partition, &tag));
}

static void what_the_broker_refuses_waits_longer_and_longer(void **state)
{
    struct world *w = *state;
    int64_t pause_ms = DEAD_PAUSE_MS;
    uint64_t number = 0;

    for (uint64_t tag = 1; tag <= 10; tag++) {
        bury(w, tag);
    }
    for (int i = 0; i < 10; i++) {
        assert_int_equal(publish(w), 10);
        for (int letter = 0; letter < 10; letter++) { /* which all count as one refusal */
            say(w, MQ_NACK, ++number, false);
        }
        assert_int_equal(publish(w), 0);
        w->now_ms += pause_ms - 1;
        assert_int_equal(publish(w), 0);
        w->now_ms += 1;
        pause_ms = MIN(2 * pause_ms, DEAD_PAUSE_MAX_MS);
    }
    assert_int_equal(pause_ms, DEAD_PAUSE_MAX_MS);
    assert_int_equal(publish(w), 10);
    say(w, MQ_ACK, number + 1, false);
    say(w, MQ_NACK, number + 10, true); /* the others: from the beginning */
    w->now_ms += DEAD_PAUSE_MS;
    assert_int_equal(publish(w), 9);
}

static void a_channel_that_brings_nothing_but_refusals_is_opened_anew(void **state)
{
    struct world *w = *state;
    uint32_t partition;
    uint64_t tag;

    bury(w, 1);
    for (uint64_t i = 1; i <= DEAD_REFUSALS_MAX; i++) {
        assert_false(dead_wants_channel(&w->dead));
        assert_int_equal(publish(w), 1);
        say(w, MQ_NACK, i, false);
        w->now_ms += DEAD_PAUSE_MAX_MS;
    }
    assert_true(dead_wants_channel(&w->dead));
    say(w, MQ_CHANNEL_CLOSED, 0, false);
    assert_false(dead_wants_channel(&w->dead));
    assert_int_equal(publish(w), 1);
    say(w, MQ_ACK, 1, false); /* its publishes are numbered from one again */
    assert_true(dead_next_copied(&w->dead, &partition, &tag));
    assert_int_equal(tag, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_letter_is_published_once_and_safe_when_the_broker_says_so),
        TEST(what_the_broker_refuses_waits_longer_and_longer),
        TEST(a_channel_that_brings_nothing_but_refusals_is_opened_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
