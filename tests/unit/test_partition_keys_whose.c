/*
 * test_partition_keys_whose.c: people and programs (the API, publishers of RabbitMQ's) have keys of
 * their own, whoever owns the partition by then.
 */
#include "tests/unit/partition_kit.h"

#define LANE "aaaaaaaaaaaaaaaa"

static int start(void **state)
{
    struct kit *k = mem_new(struct kit);

    kit_init(k, 1);
    k->gap_percent = 0;
    k->conf.key_window_ms = 300000;
    k->conf.checkpoint_bytes = 300;
    *state = k;
    return 0;
}

/* Whose record it is, all of them with the same key in the same room. */
static const struct {
    struct slice user, client;
} people[] = {
    {{"", 0}, {"c-1", 3}},
    {{"", 0}, {"", 0}},
    {{"ann", 3}, {"c-2", 3}},
    {{"ann", 3}, {"", 0}},
};

/* Publishes those from `first` to `last`, each in a batch of its own: how many of them are new. */
static uint64_t publish(struct kit *k, struct kit_owner *o, size_t first, size_t last)
{
    static uint64_t batch; /* of all tests: it only has to rise */
    uint64_t before = stat_get(&k->stats.records_in);

    for (size_t i = first; i <= last; i++) {
        const struct record r = {.room = SLICE_LIT("r0"),
                                 .user = people[i].user,
                                 .client = people[i].client,
                                 .key = SLICE_LIT("a"),
                                 .payload = SLICE_LIT("{}")};
        struct letter *l = kit_batch_of(k, LANE, ++batch, &r, 1);

        kit_enqueue(k, &l->m, l->m.body);
        kit_run(k, o);
    }
    return stat_get(&k->stats.records_in) - before;
}

static void people_cannot_use_up_the_keys_of_programs(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o;

    k->conf.checkpoint_bytes = 1 << 20;
    o = kit_owner_settled(k);
    assert_int_equal(publish(k, o, 0, 3), 4);
    assert_int_equal(publish(k, o, 0, 3), 0);
    kit_kill(k, o);
    o = kit_owner_settled(k); /* it has read the records */
    assert_int_equal(publish(k, o, 0, 3), 0);
}

/* Publishes up to `last`, and leaves nothing in the log but the last checkpoint and what is behind
 * it. */
static struct letter *leave_a_checkpoint(struct kit *k, size_t last)
{
    struct kit_owner *o = kit_owner_settled(k);
    size_t at;

    assert_int_equal(publish(k, o, 0, last), last + 1);
    kit_leave(k, o); /* a last one is written */
    kit_run(k, o);
    assert_true(o->is_released);
    for (at = k->log.count - 1; k->log.at[at]->m.type != MESSAGE_CHECKPOINT; at--) {
        assert_true(at > 0 && k->log.at[at]->m.type != MESSAGE_APPEND);
    }
    k->log_first = at;
    return k->log.at[at];
}

static void a_checkpoint_says_whose_keys_it_tells(void **state)
{
    struct kit *k = *state;

    (void)leave_a_checkpoint(k, 1);
    struct kit_owner *o = kit_owner_settled(k);
    assert_int_equal(publish(k, o, 0, 1), 0);
    assert_int_equal(publish(k, o, 2, 3), 2);
}

static void one_of_them_is_told_without_the_other(void **state)
{
    struct kit *k = *state;

    (void)leave_a_checkpoint(k, 0);
    struct kit_owner *o = kit_owner_settled(k);
    assert_int_equal(publish(k, o, 0, 1), 1);
}

static void keys_of_an_older_checkpoint_are_known_whoever_repeats_them(void **state)
{
    struct kit *k = *state;
    struct letter *l = leave_a_checkpoint(k, 0);
    char *at = memmem(l->m.body.at, l->m.body.size, "\"by\"", 4);

    assert_non_null(at);
    memcpy(at, "\"xy\"", 4); /* as it was before there were two kinds */
    struct kit_owner *o = kit_owner_settled(k);
    assert_int_equal(publish(k, o, 0, 1), 0);
    assert_int_equal(publish(k, o, 2, 3), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(people_cannot_use_up_the_keys_of_programs),
        TEST(a_checkpoint_says_whose_keys_it_tells),
        TEST(one_of_them_is_told_without_the_other),
        TEST(keys_of_an_older_checkpoint_are_known_whoever_repeats_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
