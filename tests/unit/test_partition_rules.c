/* test_partition_rules.c: history is kept as the namespace of each room has it. */
#include "proto/json.h"
#include "tests/unit/partition_kit.h"

#define LANE_A "aaaaaaaaaaaaaaaa"

struct world {
    struct kit kit;
    struct rules rules;
    struct kit_owner *o;
    struct kit_gateway *g;
    uint64_t batch;
};

static void set(struct world *w, const char *name, const char *key, const char *value)
{
    char error[RULES_ERROR_SIZE];

    assert_int_equal(rules_set(&w->rules, "room", name, key, value, error, sizeof(error)), 0);
}

static int start(void **state)
{
    struct world *w = mem_new(struct world);
    static char everybody[] = "*", everyone[] = "everyone", nobody[] = "none", hidden[] = "hidden",
                moderator[] = "moderator";

    w->rules.defaults = (struct rule){.subscribe = everybody,
                                      .publish = everybody,
                                      .presence_for = everybody,
                                      .history_for = everybody,
                                      .audience = everyone,
                                      .hidden = nobody,
                                      .muted = hidden,
                                      .moderators = moderator,
                                      .events = nobody,
                                      .echo = true,
                                      .history_size = 4,
                                      .history_ttl_ms = 3600000};
    kit_init(&w->kit, 1);
    w->kit.conf.rules = &w->rules;
    *state = w;
    return 0;
}

static void begin(struct world *w)
{
    char error[RULES_ERROR_SIZE];

    assert_int_equal(rules_settle(&w->rules, error, sizeof(error)), 0);
    w->o = kit_owner_settled(&w->kit);
    w->g = kit_gateway_start(&w->kit, 0);
}

static int stop(void **state)
{
    struct world *w = *state;

    kit_deinit(&w->kit);
    rules_deinit(&w->rules);
    assert_string_equal(w->kit.fault, "");
    mem_free(w);
    return 0;
}

static void say(struct world *w, const char *room, unsigned count)
{
    kit_publish(&w->kit, LANE_A, ++w->batch, room, count);
    kit_run(&w->kit, w->o);
}

/* What history gives of a room: the first offset, and how many. */
static size_t history(struct world *w, const char *room, uint64_t *first)
{
    struct buf body = BUF_EMPTY;
    struct record r;
    struct line line;
    size_t count = 0;

    line_encode(&body, &(struct line){.room = slice_of(room), .limit = -1});
    kit_write(&w->kit,
              &(struct message){.type = MESSAGE_HISTORY,
                                .partition = KIT_PARTITION,
                                .gateway = slice_of(w->g->id),
                                .boot = slice_of(w->g->boot),
                                .request = 5},
              buf_slice(&body));
    buf_deinit(&body);
    kit_run(&w->kit, w->o);
    struct slice rest = kit_last(w->g, MESSAGE_PAST)->m.body;
    assert_int_equal(line_next(&rest, &line), 0);
    *first = 0;
    while (record_next(&rest, true, &r) == 0) {
        *first = count++ == 0 ? r.offset : *first;
    }
    return count;
}

static void each_namespace_keeps_as_many_records_as_it_says(void **state)
{
    static const struct {
        const char *room;
        size_t count;
    } cases[] = {{"r0", 2}, {"r0:a", 2}, {"r1", 0}, {"r2", 10}, {"r3", 4}, {"other", 4}};
    struct world *w = *state;
    uint64_t first;

    set(w, "r0", "history_size", "2");
    set(w, "r1", "history_size", "0");
    set(w, "r2", "history_size", "50");
    begin(w);
    for (int aged = 0; aged < 2; aged++) {
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            if (aged == 0) {
                say(w, cases[i].room, 10);
            }
            assert_int_equal(history(w, cases[i].room, &first), cases[i].count);
            assert_int_equal(first, cases[i].count > 0 ? 11 - cases[i].count : 0);
        }
        kit_tick(&w->kit, w->o, 11000);
    }
    /* The next owner says the same. */
    kit_kill(&w->kit, w->o);
    w->o = kit_owner_settled(&w->kit);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(history(w, cases[i].room, &first), cases[i].count);
    }
}

static void records_are_shown_for_as_long_as_their_namespace_says(void **state)
{
    struct world *w = *state;
    uint64_t first;

    set(w, "r0", "history_ttl", "1m");
    begin(w);
    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_gateway_attach(&w->kit, w->g);
    say(w, "r1", 1); /* stays, and stands before those that go */
    say(w, "r0", 2);
    kit_tick(&w->kit, w->o, 50000);
    say(w, "r0", 1);
    assert_int_equal(history(w, "r0", &first), 3);
    kit_tick(&w->kit, w->o, 11000);
    assert_int_equal(history(w, "r0", &first), 1);
    assert_int_equal(first, 3);
    kit_tick(&w->kit, w->o, 50000);
    assert_int_equal(history(w, "r0", &first), 0);
    assert_int_equal(history(w, "r1", &first), 1);
}

static void a_room_is_forgotten_after_the_time_of_its_namespace(void **state)
{
    struct world *w = *state;

    set(w, "r0", "history_ttl", "1m");
    set(w, "r1", "history_ttl", "2h");
    begin(w);
    say(w, "r1", 1);
    say(w, "r2", 1);
    say(w, "r0", 1);
    say(w, "r0:a", 1);
    assert_int_equal(partition_rooms(w->o->machine), 4);
    kit_tick(&w->kit, w->o, 59000);
    assert_int_equal(partition_rooms(w->o->machine), 4);
    kit_tick(&w->kit, w->o, 2000);
    assert_int_equal(partition_rooms(w->o->machine), 4); /* the log does not know yet */
    kit_run(&w->kit, w->o);
    assert_int_equal(partition_rooms(w->o->machine), 2);
    kit_tick(&w->kit, w->o, 3600000);
    kit_run(&w->kit, w->o);
    assert_int_equal(partition_rooms(w->o->machine), 1);
    kit_tick(&w->kit, w->o, 3600000);
    kit_run(&w->kit, w->o);
    assert_int_equal(partition_rooms(w->o->machine), 0);
    assert_int_equal(stat_get(&w->kit.stats.forgotten_rooms), 4);
}

static void many_rooms_that_stay_hide_none_that_goes(void **state)
{
    struct world *w = *state;
    char room[32];

    set(w, "r0", "history_ttl", "1m");
    begin(w);
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(room, sizeof(room), "stays-%u", i);
        say(w, room, 1);
    }
    say(w, "r0", 1);
    kit_tick(&w->kit, w->o, 61000);
    for (int ticks = 0; ticks < 20; ticks++) {
        say(w, "stays-7", 1); /* the order of activity changes meanwhile */
        kit_tick(&w->kit, w->o, 50);
    }
    assert_int_equal(partition_rooms(w->o->machine), 3000);
}

/* A reload: the rules that everybody borrows say something else. */
static void change(struct world *w, const char *name, const char *value)
{
    char error[RULES_ERROR_SIZE];
    struct rules old = w->rules;

    w->rules = (struct rules){.defaults = old.defaults};
    set(w, name, "history_size", value);
    assert_int_equal(rules_settle(&w->rules, error, sizeof(error)), 0);
    partition_rules_changed(w->o->machine, 1000);
    rules_deinit(&old); /* nobody may look there any more */
}

static void rules_that_change_count_at_once_and_need_no_other_owner(void **state)
{
    struct world *w = *state;
    uint64_t first;

    set(w, "r0", "history_size", "8");
    begin(w);
    say(w, "r0", 10);
    say(w, "r1", 10);
    assert_int_equal(history(w, "r0", &first), 8);
    change(w, "r0", "3");
    assert_int_equal(history(w, "r0", &first), 3);
    assert_int_equal(first, 8);
    assert_int_equal(history(w, "r1", &first), 4);
    change(w, "r1", "6"); /* r0 goes by the defaults now */
    assert_int_equal(history(w, "r0", &first), 4);
    say(w, "r1", 10);
    assert_int_equal(history(w, "r1", &first), 6);
    assert_int_equal(first, 15);
    change(w, "r1", "0");
    say(w, "r1", 1);
    assert_int_equal(history(w, "r1", &first), 0);
}

static void programs_are_told_of_records_where_the_rule_says_so(void **state)
{
    struct world *w = *state;
    struct slice rest;
    unsigned count = 0;

    set(w, "r0", "events", "join record");
    set(w, "r1", "events", "leave");
    begin(w);
    say(w, "r1", 3);
    say(w, "r2", 3);
    assert_int_equal(w->kit.told.size, 0);
    say(w, "r0:a", 1);
    say(w, "r0", 3);
    rest = buf_slice(&w->kit.told);
    while (rest.size > 0) {
        const char *end = memchr(rest.at, '\n', rest.size),
                   *space = memchr(rest.at, ' ', rest.size);
        struct slice key = {rest.at, (size_t)(space - rest.at)};
        struct slice body = {space + 1, (size_t)(end - space - 1)};
        uint64_t offset;

        assert_true(json_is_valid(body, JSON_DEPTH_MAX));
        assert_true(
            slice_equal(key, count == 0 ? SLICE_LIT("record.r0:a") : SLICE_LIT("record.r0")));
        assert_true(json_u64(json_get(body, "offset"), &offset));
        assert_int_equal(offset, count == 0 ? 1 : count);
        assert_true(json_get(body, "data").size > 0);
        assert_true(json_get(body, "epoch").size > 0);
        rest.size -= (size_t)(end + 1 - rest.at);
        rest.at = end + 1;
        count++;
    }
    assert_int_equal(count, 4);
    assert_int_equal(stat_get(&w->kit.stats.events), 4);
}

static void what_programs_can_be_told_is_checked(void **state)
{
    static const char *const bad[] = {
        "", " ", ",", "records", "record none", "none join", "connect", "record;join", "Record"};
    struct world *w = *state;
    char error[RULES_ERROR_SIZE];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(
            rules_set(&w->rules, "room", "bad", "events", bad[i], error, sizeof(error)), -1);
        assert_string_not_equal(error, "");
    }
    begin(w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(each_namespace_keeps_as_many_records_as_it_says),
        TEST(records_are_shown_for_as_long_as_their_namespace_says),
        TEST(a_room_is_forgotten_after_the_time_of_its_namespace),
        TEST(many_rooms_that_stay_hide_none_that_goes),
        TEST(rules_that_change_count_at_once_and_need_no_other_owner),
        TEST(programs_are_told_of_records_where_the_rule_says_so),
        TEST(what_programs_can_be_told_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
