/* test_partition_events.c: programs are told of every record at least once, and seldom twice. */
#include "proto/json.h"
#include "tests/unit/partition_kit.h"

#define LANE_B "bbbbbbbbbbbbbbbb"

static struct rules rules;

static int start(void **state)
{
    int rc = kit_test_start(state);
    struct kit *k = *state;

    rules.defaults = (struct rule){
        .echo = true, .history_size = 10, .history_ttl_ms = 3600000, .tells = RULE_TELLS_RECORD};
    k->conf.rules = &rules;
    k->gap_percent = 0; /* offsets are then no less than exact */
    return rc;
}

/* Kills the owner; the next one serves. */
static struct kit_owner *change(struct kit *k, struct kit_owner *o)
{
    kit_kill(k, o);
    o = kit_owner_settled(k);
    kit_run(k, o);
    return o;
}

/* What was told since the last look: offsets of one room, first to last without a hole. */
static void assert_told(struct kit *k, uint64_t first, uint64_t last)
{
    struct slice rest = buf_slice(&k->told);
    uint64_t offset, next = first;

    while (rest.size > 0) {
        const char *end = memchr(rest.at, '\n', rest.size),
                   *space = memchr(rest.at, ' ', rest.size);
        struct slice body = {space + 1, (size_t)(end - space - 1)};

        assert_true(json_is_valid(body, JSON_DEPTH_MAX));
        assert_true(json_u64(json_get(body, "offset"), &offset));
        assert_int_equal(offset, next);
        next++;
        rest.size -= (size_t)(end + 1 - rest.at);
        rest.at = end + 1;
    }
    assert_int_equal(next, last + 1);
    buf_clear(&k->told);
}

static void assert_told_nothing(struct kit *k)
{
    assert_int_equal(k->told.size, 0);
}

static void what_is_confirmed_is_not_told_again_but_for_the_last_append(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish_many(k, o, 1, 20);
    assert_told(k, 1, 20);
    o = change(k, o);
    assert_told(k, 20, 20); /* nothing in the log says that it was confirmed */
    o = change(k, o);
    assert_told(k, 20, 20);
    kit_publish_many(k, o, 21, 22);
    assert_told(k, 21, 22);
    (void)change(k, o);
    assert_told(k, 22, 22);
    assert_int_equal(stat_get(&k->stats.events_again), 3);
    assert_int_equal(stat_get(&k->stats.events_open), 0);
}

static void what_is_not_confirmed_is_told_again_in_its_order(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    k->owes_told = true;
    kit_publish_many(k, o, 1, 10);
    partition_on_event_confirm(o->machine, 5, false, true);
    partition_on_event_confirm(o->machine, 1, false, true);
    partition_on_event_confirm(o->machine, 2, false, true);
    kit_publish_many(k, o, 11, 12);
    assert_told(k, 1, 12);
    assert_int_equal(stat_get(&k->stats.events_open), 9);
    o = change(k, o);
    assert_told(k, 3, 12);
    o = change(k, o); /* dies over it, too */
    assert_told(k, 3, 12);
    partition_on_event_confirm(o->machine, o->told, true, true);
    kit_publish_many(k, o, 13, 13);
    assert_told(k, 13, 13);
    (void)change(k, o);
    assert_told(k, 13, 13);
}

static void an_append_is_told_again_as_a_whole(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    k->owes_told = true;
    kit_publish(k, KIT_LANE, 1, "r0", 5);
    kit_publish(k, KIT_LANE, 2, "r0", 5);
    kit_run(k, o);
    assert_told(k, 1, 10);
    partition_on_event_confirm(o->machine, 7, true,
                               true); /* all of the first, part of the second */
    kit_publish(k, KIT_LANE, 3, "r0", 1);
    kit_run(k, o);
    assert_told(k, 11, 11);
    (void)change(k, o);
    assert_told(k, 6, 11);
}

static void a_partition_that_is_given_away_in_order_leaves_nothing_to_tell(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    kit_publish_many(k, o, 1, 5);
    assert_told(k, 1, 5);
    kit_leave(k, o);
    kit_run(k, o);
    o = kit_owner_settled(k);
    assert_told_nothing(k);
    (void)change(k, o);
    assert_told_nothing(k);
}

static void the_log_says_nothing_of_it_where_nobody_is_told(void **state)
{
    struct kit *k = *state;

    rules.defaults.tells = RULE_TELLS_JOIN | RULE_TELLS_LEAVE;
    struct kit_owner *o = kit_owner_settled(k);
    k->owes_told = true;
    kit_publish_many(k, o, 1, 5);
    (void)change(k, o);
    assert_told_nothing(k);
    for (size_t i = 0; i < k->log.count; i++) {
        assert_true((k->log.at[i]->m.has & HAS_TOLD) == 0);
    }
}

static void a_refusal_is_an_answer_and_counted(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    k->owes_told = true;
    kit_publish_many(k, o, 1, 5);
    partition_on_event_confirm(o->machine, 2, true, false);
    partition_on_event_confirm(o->machine, 3, false, true);
    partition_on_event_confirm(o->machine, 5, true, false);
    partition_on_event_confirm(o->machine, 5, true, false); /* no such */
    assert_int_equal(stat_get(&k->stats.events_refused), 4);
    kit_publish_many(k, o, 6, 6);
    assert_told(k, 1, 6);
    (void)change(k, o);
    assert_told(k, 6, 6);
}

static void what_is_void_is_told_by_nobody(void **state)
{
    struct kit *k = *state;
    struct kit_owner *old = kit_owner_settled(k);

    k->owes_told = true;
    kit_publish_many(k, old, 1, 2);
    assert_told(k, 1, 2);
    kit_publish(k, LANE_B, 1, "r0", 1);
    assert_true(kit_take(k, old)); /* an append flies */
    kit_cut(k, old);
    struct kit_owner *o = kit_owner_settled(k);
    kit_land(k, old); /* void */
    kit_run(k, o);    /* the same batch under the new term, at the same offset: told once */
    assert_told(k, 1, 3);
    o = change(k, o);
    assert_told(k, 1, 3);
    kit_kill(k, old);
}

static void the_owner_of_before_may_still_append_while_it_is_followed(void **state)
{
    struct kit *k = *state;
    struct kit_owner *old = kit_owner_settled(k);

    kit_publish_many(k, old, 1, 2);
    assert_told(k, 1, 2);
    kit_publish(k, LANE_B, 1, "r0", 1);
    assert_true(kit_take(k, old)); /* an append flies */
    kit_cut(k, old);
    struct kit_owner *o = kit_owner_new(k);
    while (o->flying == NULL || o->flying->m.type != MESSAGE_TERM) {
        assert_true(kit_confirm(k, o) || kit_read(k, o));
    }
    kit_land(k, old); /* valid: before the new marker, which was made without knowing of it */
    kit_run(k, o);
    assert_told(k, 3, 3); /* that 2 was confirmed it knew */
    (void)change(k, o);
    assert_told(k, 3, 3);
    kit_kill(k, old);
}

static void what_the_broker_owes_for_too_long_is_given_up(void **state)
{
    struct kit *k = *state;

    k->conf.checkpoint_bytes = 8000;
    struct kit_owner *o = kit_owner_settled(k);
    k->owes_told = true;
    kit_publish_many(k, o, 1, 1000);
    assert_told(k, 1, 1000);
    uint64_t given_up = stat_get(&k->stats.limits.met[OWNER_LIMIT_EVENTS]);
    assert_in_range(given_up, 800, 999);
    kit_kill(k, o);
    o = kit_owner_new(k);
    size_t reads = 0;
    while (kit_confirm(k, o) || kit_read(k, o)) {
        reads++;
    }
    assert_int_equal(partition_state(o->machine), PARTITION_OWNED);
    assert_in_range(reads, 20, 300);
    kit_run(k, o);
    assert_told(k, given_up + 1, 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(what_is_confirmed_is_not_told_again_but_for_the_last_append),
        TEST(what_is_not_confirmed_is_told_again_in_its_order),
        TEST(an_append_is_told_again_as_a_whole),
        TEST(a_partition_that_is_given_away_in_order_leaves_nothing_to_tell),
        TEST(the_log_says_nothing_of_it_where_nobody_is_told),
        TEST(a_refusal_is_an_answer_and_counted),
        TEST(what_is_void_is_told_by_nobody),
        TEST(the_owner_of_before_may_still_append_while_it_is_followed),
        TEST(what_the_broker_owes_for_too_long_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
