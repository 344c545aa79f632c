/*
 * test_partition_keys.c: a publish that is repeated under its key is numbered once, whoever owns
 * the partition by then.
 */
#include "broadcaster/keys.h"
#include "tests/unit/partition_kit.h"

#define LANE_A "aaaaaaaaaaaaaaaa"
#define LANE_B "bbbbbbbbbbbbbbbb"
#define WINDOW_MS 300000

static int start(void **state)
{
    struct kit *k = mem_new(struct kit);

    kit_init(k, 1);
    k->gap_percent = 0;
    k->conf.key_window_ms = WINDOW_MS;
    *state = k;
    return 0;
}

struct keyed {
    const char *room, *user, *key;
};

static void publish_all(struct kit *k, const char *boot, uint64_t batch,
                        const struct keyed *records, size_t count)
{
    struct record r[8];

    assert_true(count <= ARRAY_LEN(r));
    for (size_t i = 0; i < count; i++) {
        r[i] = (struct record){.room = slice_of(records[i].room),
                               .user = slice_of(records[i].user),
                               .key = slice_of(records[i].key),
                               .payload = SLICE_LIT("{}")};
    }
    struct letter *l = kit_batch_of(k, boot, batch, r, count);
    kit_enqueue(k, &l->m, l->m.body);
}

static void publish(struct kit *k, const char *boot, uint64_t batch, const char *key)
{
    publish_all(k, boot, batch, &(struct keyed){"r0", "ann", key}, 1);
}

static void take_all(struct kit *k, struct kit_owner *o)
{
    while (kit_take(k, o)) {
    }
}

static uint64_t numbered(const struct kit *k)
{
    return stat_get(&k->stats.records_in);
}

static uint64_t dropped(const struct kit *k)
{
    return stat_get(&k->stats.keys_dropped);
}

static void assert_all_acked(const struct kit *k)
{
    for (size_t i = 0; i < k->input_count; i++) {
        assert_int_equal(k->input[i].state, INPUT_ACKED);
    }
}

static void a_key_belongs_to_its_room_and_user(void **state)
{
    static const struct {
        struct keyed record;
        bool is_new;
    } cases[] = {
        {{"r0", "ann", "a"}, true},  {{"r0", "ann", "a"}, false}, {{"r0", "bob", "a"}, true},
        {{"r1", "ann", "a"}, true},  {{"r0", "ann", "b"}, true},  {{"r0", "", "a"}, true},
        {{"r0", "", "a"}, false},    {{"r0", "anna", ""}, true},  {{"r0", "anna", ""}, true},
        {{"r0", "an", "na"}, true},  {{"r0", "ann", "A"}, true},  {{"r0", "ann", "a "}, true},
        {{"r0", "bob", "a"}, false}, {{"r0a", "nn", "a"}, true},  {{"r0", "\\u0061nn", "a"}, true},
    };
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t before = numbered(k);

        publish_all(k, LANE_A, i + 1, &cases[i].record, 1);
        kit_run(k, o);
        if (numbered(k) - before != cases[i].is_new) {
            fail_msg("case %zu", i);
        }
    }
    assert_int_equal(dropped(k), 3);
    assert_all_acked(k);
}

static void a_batch_is_freed_of_what_is_known_and_the_rest_is_numbered_without_holes(void **state)
{
    static const struct keyed first[] = {{"r0", "ann", "a"}, {"r0", "ann", "a"}, {"r1", "ann", ""}};
    static const struct keyed second[] = {
        {"r0", "ann", "a"}, {"r0", "ann", "b"}, {"r1", "ann", ""}};
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);
    struct record r;

    publish_all(k, LANE_A, 1, first, ARRAY_LEN(first));
    publish_all(k, LANE_B, 1, second, ARRAY_LEN(second));
    kit_run(k, o);
    assert_int_equal(numbered(k), 4);
    assert_int_equal(dropped(k), 2);
    const struct letter *l = k->log.at[k->log.count - 1];
    assert_int_equal(l->m.records, 2);
    struct slice rest = l->m.body;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(record_next(&rest, true, &r), 0);
        assert_int_equal(r.offset, 2);
    }
    assert_all_acked(k);
}

static void a_repeat_is_acked_when_its_original_is_in_the_log_and_not_before(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    publish(k, LANE_A, 1, "a");
    publish(k, LANE_B, 1, "a");
    take_all(k, o);
    assert_int_equal(dropped(k), 1);
    assert_int_equal(k->input[1].state, INPUT_HELD);
    kit_nack(k, o); /* the original is not there */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(k->input[1].state, INPUT_HELD);
        kit_tick(k, o, 200);
    }
    kit_confirm(k, o);
    assert_int_equal(k->input[0].state, INPUT_ACKED);
    assert_int_equal(k->input[1].state, INPUT_HELD);
    /* Its own append has no record, and names its lane. */
    assert_int_equal(o->flying->m.records, 0);
    assert_int_equal(o->flying->m.body.size, 0);
    assert_true(slice_equal(o->flying->m.lanes, SLICE_LIT(LANE_B ":1")));
    kit_confirm(k, o);
    assert_int_equal(k->input[1].state, INPUT_ACKED);
    assert_null(o->flying);
}

static void a_batch_of_repeats_is_known_by_its_lane_to_the_next_owner(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    publish(k, LANE_A, 1, "a");
    publish(k, LANE_B, 1, "a");
    kit_run(k, o);
    kit_kill(k, o);
    kit_tick(k, kit_owner_settled(k), WINDOW_MS + 1); /* the key is forgotten by then */
    publish(k, LANE_B, 1, "a");                       /* the broker gives it once more */
    kit_run(k, k->owners);
    assert_int_equal(stat_get(&k->stats.duplicates_dropped), 1);
    assert_int_equal(numbered(k), 1);
}

static void a_record_that_died_with_its_owner_is_accepted_when_it_comes_again(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    publish(k, LANE_A, 1, "a");
    publish(k, LANE_B, 1, "a");
    take_all(k, o);
    kit_kill(k, o); /* its append never lands */
    k->pipe.count = 0;
    o = kit_owner_settled(k);
    kit_run(k, o);
    assert_int_equal(k->log.at[k->log.count - 2]->m.records, 1);
    assert_all_acked(k);
    kit_kill(k, o);
    o = kit_owner_settled(k);
    publish(k, LANE_A, 2, "a");
    kit_run(k, o);
    assert_int_equal(dropped(k), 3);
}

static void a_checkpoint_tells_no_key_whose_record_is_not_in_the_log(void **state)
{
    struct kit *k = *state;

    k->conf.checkpoint_bytes = 300;
    struct kit_owner *o = kit_owner_settled(k);
    publish(k, LANE_A, 1, "a");
    publish(k, LANE_A, 2, "b");
    take_all(k, o);
    kit_confirm(k, o);
    assert_int_equal(o->flying->m.type, MESSAGE_CHECKPOINT);
    kit_land(k, o);
    const struct letter *l = o->flying;
    struct slice rest = l->m.body;
    struct line line;
    size_t keys = 0;
    while (line_next(&rest, &line) == 0) {
        if (line.key.size > 0) {
            keys++;
            assert_true(slice_equal(line.key, SLICE_LIT("a")));
            assert_true(slice_equal(line.room, SLICE_LIT("r0")));
            assert_true(slice_equal(line.user, SLICE_LIT("ann")));
        }
    }
    assert_int_equal(rest.size, 0);
    assert_int_equal(keys, 1);
    kit_kill(k, o);
    k->pipe.count = 0;
    k->log_first = k->log.count - 1; /* nothing but the checkpoint is left */
    o = kit_owner_settled(k);
    publish(k, LANE_B, 1, "a");
    kit_run(k, o);
    assert_int_equal(dropped(k), 1);
    assert_all_acked(k);
    assert_int_equal(numbered(k), 3); /* "b" twice: its first owner took it with it */
}

static void keys_older_than_the_tail_of_the_log_survive_owners(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o;
    char key[32];

    k->conf.checkpoint_bytes = 2000;
    for (uint64_t life = 0; life < 6; life++) {
        o = kit_owner_settled(k);
        for (uint64_t i = 0; i < 100; i++) {
            (void)snprintf(key, sizeof(key), "key-%" PRIu64, life * 100 + i);
            publish(k, LANE_A, life * 1000 + i + 1, key);
            take_all(k, o);
            kit_run(k, o);
        }
        for (uint64_t i = 0; i < (life + 1) * 100; i++) { /* all that were ever sent */
            (void)snprintf(key, sizeof(key), "key-%" PRIu64, i);
            publish(k, LANE_B, life * 1000 + i + 1, key);
            kit_run(k, o);
        }
        assert_int_equal(numbered(k), (life + 1) * 100);
        if (life % 2 == 0) {
            kit_kill(k, o);
        } else {
            kit_leave(k, o);
            kit_run(k, o);
            assert_true(o->is_released);
        }
    }
    assert_int_equal(stat_get(&k->stats.limits.met[OWNER_LIMIT_KEYS]), 0);
}

static void a_key_is_known_for_the_window_and_not_longer(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    publish(k, LANE_A, 1, "a");
    kit_run(k, o);
    k->now_ms += WINDOW_MS; /* without a tick */
    publish(k, LANE_A, 2, "a");
    kit_run(k, o);
    assert_int_equal(dropped(k), 1);
    k->now_ms += 1;
    publish(k, LANE_A, 3, "a");
    kit_run(k, o);
    assert_int_equal(numbered(k), 2);
    /* The window began anew, also for the next owner. */
    kit_kill(k, o);
    k->now_ms += WINDOW_MS - 1;
    o = kit_owner_settled(k);
    publish(k, LANE_A, 4, "a");
    kit_run(k, o);
    assert_int_equal(dropped(k), 2);
    kit_kill(k, o);
    k->now_ms += 2;
    o = kit_owner_settled(k);
    publish(k, LANE_A, 5, "a");
    kit_run(k, o);
    assert_int_equal(numbered(k), 3);
}

static void a_key_is_known_while_its_record_waits_however_long_that_takes(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);

    publish(k, LANE_A, 1, "a");
    take_all(k, o);
    kit_tick(k, o, 3 * WINDOW_MS); /* the log does not answer */
    publish(k, LANE_B, 1, "a");
    take_all(k, o);
    assert_int_equal(dropped(k), 1);
    kit_run(k, o);
    assert_int_equal(numbered(k), 1);
    assert_all_acked(k);
}

static void the_newest_keys_are_known_when_there_are_too_many(void **state)
{
    struct kit *k = *state;
    char key[32];

    k->conf.keys_max = 50;
    for (unsigned life = 0; life < 2; life++) {
        struct kit_owner *o = kit_owner_settled(k);
        for (uint64_t i = 0; i < 80; i++) {
            (void)snprintf(key, sizeof(key), "%u-%" PRIu64, life, i);
            publish(k, LANE_A, life * 1000 + i + 1, key);
            kit_run(k, o);
        }
        assert_int_equal(stat_get(&k->stats.limits.met[OWNER_LIMIT_KEYS]), life == 0 ? 30 : 110);
        if (life == 0) {
            kit_leave(k, o);
            kit_run(k, o);
        }
    }
    uint64_t before = numbered(k);
    for (uint64_t i = 80; i-- > 30;) {
        (void)snprintf(key, sizeof(key), "1-%" PRIu64, i);
        publish(k, LANE_B, 100 - i, key);
        kit_run(k, k->owners);
    }
    assert_int_equal(numbered(k), before);
    publish(k, LANE_B, 200, "1-29");
    kit_run(k, k->owners);
    assert_int_equal(numbered(k), before + 1);
}

static void a_batch_that_cannot_be_understood_leaves_no_key_behind(void **state)
{
    struct kit *k = *state;
    struct kit_owner *o = kit_owner_settled(k);
    static const char bad[] = "{\"room\":\"r0\",\"user\":\"ann\",\"time\":1,\"key\":\"a\"}\n{}\nx";
    static const char worse[] =
        "{\"room\":\"r0\",\"user\":\"ann\",\"time\":1,\"key\":\"a\\u0062\"}\n{}\n";
    struct message m = {.type = MESSAGE_PUBLISH,
                        .partition = KIT_PARTITION,
                        .batch = 1,
                        .gateway = SLICE_LIT("g"),
                        .boot = SLICE_LIT(LANE_A)};

    kit_enqueue(k, &m, slice_of(bad));
    kit_enqueue(k, &m, slice_of(worse));
    take_all(k, o);
    assert_string_equal(o->dead_reason, "bad record");
    assert_int_equal(stat_get(&k->stats.poisoned), 2);
    publish(k, LANE_A, 1, "a");
    kit_run(k, o);
    assert_int_equal(numbered(k), 1);
    assert_int_equal(dropped(k), 0);
}

static void a_key_of_a_record_that_turns_out_to_be_void_is_new(void **state)
{
    struct kit *k = *state;
    struct kit_owner *old = kit_owner_settled(k);

    publish(k, LANE_A, 1, "a");
    kit_run(k, old);
    publish(k, LANE_B, 1, "void");
    take_all(k, old);
    kit_cut(k, old);
    k->input[1].state = INPUT_DEAD; /* nobody gets it again */
    struct kit_owner *o = kit_owner_settled(k);
    size_t first = k->log.count;
    kit_land(k, old); /* behind the marker of its successor */
    publish(k, LANE_A, 2, "b");
    kit_run(k, o);
    kit_kill(k, old);
    kit_kill(k, o);
    k->log_first = first; /* markers and all are cut off: reading begins with what is void */
    o = kit_owner_settled(k);
    publish(k, LANE_B, 2, "void");
    publish(k, LANE_B, 3, "b");
    kit_run(k, o);
    assert_int_equal(dropped(k), 1);
    assert_int_equal(k->log.at[k->log.count - 2]->m.records, 1);
}

static void keys_may_be_read_in_any_order(void **state)
{
    static const unsigned order[] = {4, 1, 7, 0, 6, 2, 5, 3, 1, 7};
    stat_value evicted = 0;
    struct keys all = {.max = 4, .window_ms = 1000, .evicted = &evicted};
    char key[8];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        (void)snprintf(key, sizeof(key), "%u", order[i]);
        keys_read(&all, &(struct key_name){SLICE_LIT("r0"), SLICE_NONE, slice_of(key), false},
                  order[i], 10);
    }
    keys_settle(&all, 10);
    unsigned expected = 4;
    for (const struct key_mark *mark = all.oldest; mark != NULL; mark = mark->next) {
        assert_int_equal(mark->time_ms, expected++);
    }
    assert_int_equal(expected, 8);
    assert_int_equal(stat_get(&evicted), 0);
    keys_trim(&all, 1005);
    assert_int_equal(all.oldest->time_ms, 5);
    keys_clear(&all);
}

static void without_a_window_keys_mean_nothing(void **state)
{
    struct kit *k = *state;

    k->conf.key_window_ms = 0;
    struct kit_owner *o = kit_owner_settled(k);
    for (uint64_t i = 1; i <= 3; i++) {
        publish(k, LANE_A, i, "a");
    }
    kit_run(k, o);
    assert_int_equal(numbered(k), 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(a_key_belongs_to_its_room_and_user),
        TEST(a_batch_is_freed_of_what_is_known_and_the_rest_is_numbered_without_holes),
        TEST(a_repeat_is_acked_when_its_original_is_in_the_log_and_not_before),
        TEST(a_batch_of_repeats_is_known_by_its_lane_to_the_next_owner),
        TEST(a_record_that_died_with_its_owner_is_accepted_when_it_comes_again),
        TEST(a_checkpoint_tells_no_key_whose_record_is_not_in_the_log),
        TEST(keys_older_than_the_tail_of_the_log_survive_owners),
        TEST(a_key_is_known_for_the_window_and_not_longer),
        TEST(a_key_is_known_while_its_record_waits_however_long_that_takes),
        TEST(the_newest_keys_are_known_when_there_are_too_many),
        TEST(a_batch_that_cannot_be_understood_leaves_no_key_behind),
        TEST(a_key_of_a_record_that_turns_out_to_be_void_is_new),
        TEST(keys_may_be_read_in_any_order),
        TEST(without_a_window_keys_mean_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
