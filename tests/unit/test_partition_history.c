/* test_partition_history.c: what is kept, what is forgotten, and what history answers. */
#include "tests/unit/partition_kit.h"

#define LANE_A "aaaaaaaaaaaaaaaa"

struct world {
    struct kit kit;
    struct kit_owner *o;
    struct kit_gateway *g;
    uint64_t batch;
};

static void begin(struct world *w)
{
    w->o = kit_owner_settled(&w->kit);
    w->g = kit_gateway_start(&w->kit, 0);
}

static int start(void **state)
{
    struct world *w = mem_new(struct world);

    kit_init(&w->kit, 1);
    w->kit.gap_percent = 0;
    w->kit.conf.history_size = 5;
    *state = w;
    return 0;
}

static void say(struct world *w, uint32_t room, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        kit_publish(&w->kit, LANE_A, ++w->batch, kit_room(room), 1);
    }
    kit_run(&w->kit, w->o);
}

struct past {
    struct line top;
    uint64_t offsets[64];
    size_t count;
};

static struct past ask(struct world *w, const struct line *question)
{
    struct buf body = BUF_EMPTY;
    struct past past = {.count = 0};
    struct record r;

    line_encode(&body, question);
    kit_write(&w->kit,
              &(struct message){.type = MESSAGE_HISTORY,
                                .partition = KIT_PARTITION,
                                .gateway = slice_of(w->g->id),
                                .boot = slice_of(w->g->boot),
                                .request = 5},
              buf_slice(&body));
    buf_deinit(&body);
    kit_run(&w->kit, w->o);
    const struct letter *l = kit_last(w->g, MESSAGE_PAST);
    assert_int_equal(l->m.request, 5);
    assert_true(slice_equal(l->m.boot, slice_of(w->g->boot)));
    struct slice rest = l->m.body;
    assert_int_equal(line_next(&rest, &past.top), 0);
    while (record_next(&rest, true, &r) == 0) {
        assert_true(past.count < ARRAY_LEN(past.offsets));
        past.offsets[past.count++] = r.offset;
    }
    assert_int_equal(rest.size, 0);
    return past;
}

/* How many records of a room are in memory. */
static size_t kept(struct world *w, uint32_t room)
{
    struct past past = ask(w, &(struct line){.room = slice_of(kit_room(room)), .limit = -1});

    return past.count;
}

static void history_answers_what_was_asked_and_says_if_it_is_all(void **state)
{
    static const struct {
        int64_t since; /* -1: no offset */
        int64_t limit;
        bool reverse;
        const char *epoch;
        uint64_t first, last; /* 0: none */
        bool complete, is_lost;
    } cases[] = {
        /* 12 records, of which 8 to 12 are in memory */
        {-1, -1, false, "", 8, 12, true, false},
        {-1, 2, false, "", 8, 9, true, false},
        {-1, 0, false, "", 0, 0, true, false},
        {-1, -1, true, "", 12, 8, true, false},
        {-1, 2, true, "", 12, 11, true, false},
        {-1, 0, true, "", 0, 0, true, false},
        {10, -1, false, "", 11, 12, true, false},
        {10, 1, false, "", 11, 11, true, false},
        {7, -1, false, "", 8, 12, true, false},
        {12, -1, false, "", 0, 0, true, false},
        {6, -1, false, "", 7, 12, true, false}, /* who continues gets what memory has beside it */
        {0, -1, false, "", 1, 12, true, false},
        {6, 100, false, "", 8, 12, false, false}, /* who pages does not */
        {0, 2, false, "", 8, 9, false, false},
        {13, -1, false, "", 0, 0, false, true},   /* ahead of the room */
        {10, -1, false, "zz", 0, 0, false, true}, /* another life of the numbers */
        {10, -1, true, "zz", 0, 0, false, true},
        {11, -1, true, "", 10, 8, true, false},
        {11, 2, true, "", 10, 9, true, false},
        {8, -1, true, "", 0, 0, true, false}, /* what is shown begins at 8 */
        {1, -1, true, "", 0, 0, true, false},
        {0, -1, true, "", 0, 0, true, false},
    };
    struct world *w = *state;

    begin(w);
    say(w, 0, 12);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct past past = ask(w, &(struct line){.room = SLICE_LIT("r0"),
                                                 .has_offset = cases[i].since >= 0,
                                                 .offset = (uint64_t)MAX(cases[i].since, 0),
                                                 .from = (uint64_t)MAX(cases[i].since, 0),
                                                 .epoch = slice_of(cases[i].epoch),
                                                 .limit = cases[i].limit,
                                                 .reverse = cases[i].reverse});
        uint64_t first = cases[i].first, last = cases[i].last;
        size_t count = first == 0 ? 0 : (size_t)(MAX(first, last) - MIN(first, last) + 1);

        assert_int_equal(past.top.offset, 12);
        if (past.count != count || past.top.complete != cases[i].complete ||
            (past.top.limit < 0) != cases[i].is_lost) {
            fail_msg("case %zu: %zu records, complete %d, limit %d", i, past.count,
                     past.top.complete, (int)past.top.limit);
        }
        for (size_t n = 0; n < count; n++) {
            assert_int_equal(past.offsets[n], first <= last ? first + n : first - n);
        }
    }
    assert_int_equal(stat_get(&w->kit.stats.limits.met[OWNER_LIMIT_HISTORY_SIZE]), 2);
}

/* A log of many messages, of which a take-over reads the end only. */
static void change_owner_far_back(struct world *w, unsigned count)
{
    w->kit.conf.checkpoint_bytes = 2000;
    begin(w);
    say(w, 0, 4);
    say(w, 1, 2);
    for (unsigned i = 0; i < count; i++) {
        say(w, 2, 1);
    }
    kit_kill(&w->kit, w->o);
    w->o = kit_owner_settled(&w->kit);
}

static void history_is_filled_from_the_rest_of_the_log_after_a_takeover(void **state)
{
    struct world *w = *state;

    w->kit.gap_percent = 10;
    change_owner_far_back(w, 1500);
    assert_false(partition_is_filled(w->o->machine));
    assert_true(stat_get(&w->kit.stats.replayed_records) < 1000);
    say(w, 1, 1); /* numbering did not wait */
    kit_tick(&w->kit, w->o, 100);
    kit_run(&w->kit, w->o);
    assert_true(partition_is_filled(w->o->machine));
    assert_false(w->o->is_reading);
    assert_int_equal(kept(w, 0), 4);
    assert_int_equal(kept(w, 1), 3);
    assert_int_equal(kept(w, 2), 5);
    assert_int_equal(stat_get(&w->kit.stats.fetches), 0);
    kit_judge(&w->kit, true, true);
}

static void ask_for_r0(struct world *w)
{
    struct buf body = BUF_EMPTY;

    line_encode(&body, &(struct line){.room = SLICE_LIT("r0"), .limit = -1});
    kit_write(&w->kit,
              &(struct message){.type = MESSAGE_HISTORY,
                                .partition = KIT_PARTITION,
                                .gateway = slice_of(w->g->id),
                                .boot = slice_of(w->g->boot),
                                .request = 5},
              buf_slice(&body));
    buf_deinit(&body);
    while (kit_mail(&w->kit, w->o)) {
    }
}

static void a_question_that_needs_the_log_waits_for_it_and_not_for_ever(void **state)
{
    struct world *w = *state;
    struct line top;

    change_owner_far_back(w, 1500);
    w->g = kit_gateway_start(&w->kit, 1);
    ask_for_r0(w);
    assert_null(kit_last(w->g, MESSAGE_PAST));
    kit_tick(&w->kit, w->o, 100);  /* filling begins, and the log is silent */
    kit_tick(&w->kit, w->o, 2000); /* this is too long */
    const struct letter *answer = kit_last(w->g, MESSAGE_PAST);
    assert_non_null(answer);
    struct slice rest = answer->m.body;
    assert_int_equal(line_next(&rest, &top), 0);
    assert_false(top.complete);
    assert_int_equal(stat_get(&w->kit.stats.limits.met[OWNER_LIMIT_QUESTION_WAIT]), 1);
    ask_for_r0(w);
    assert_ptr_equal(kit_last(w->g, MESSAGE_PAST), answer);
    kit_run(&w->kit, w->o);
    rest = kit_last(w->g, MESSAGE_PAST)->m.body;
    assert_int_equal(line_next(&rest, &top), 0);
    assert_true(top.complete);
    assert_true(rest.size > 0);
}

static void a_log_that_stays_silent_is_not_waited_for(void **state)
{
    struct world *w = *state;

    change_owner_far_back(w, 1500);
    kit_tick(&w->kit, w->o, 100);
    for (int i = 0; i < 60; i++) {
        kit_tick(&w->kit, w->o, 100);
    }
    assert_int_equal(stat_get(&w->kit.stats.limits.met[OWNER_LIMIT_LOG_SILENCE]), 1);
    assert_false(w->o->is_reading);
    assert_int_equal(kept(w, 0), 4); /* who asks makes it try again */
}

static void what_a_gateway_missed_is_read_back_and_its_link_stays_in_order(void **state)
{
    struct world *w = *state;

    w->kit.conf.memory_max = 40000;
    begin(w);
    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_gateway_attach(&w->kit, w->g);
    say(w, 0, 3);
    while (kit_gateway_take(&w->kit, w->g)) {
    }
    assert_int_equal(w->g->seen_count, 3);
    say(w, 0, 20);
    for (uint32_t room = 1; room < 5; room++) {
        say(w, room, 50); /* they push it out of memory */
    }
    w->g->inbox_at = w->g->inbox.count; /* all that was lost on the way */
    kit_gateway_attach(&w->kit, w->g);
    kit_gateway_follow(&w->kit, w->g, 2, true);
    kit_gateway_alive(&w->kit, w->g);
    kit_run(&w->kit, w->o);
    while (kit_gateway_take(&w->kit, w->g)) {
    }
    assert_int_equal(stat_get(&w->kit.stats.fetches), 1);
    assert_int_equal(w->g->seen_count, 23);
    assert_int_equal(w->g->positions_lost + w->g->link_holes, 0);
    assert_int_equal(w->g->views[0].offset, 23);
    assert_true(w->g->views[2].is_live);
    kit_judge(&w->kit, false, true);
}

static void a_room_where_nobody_spoke_has_an_empty_history(void **state)
{
    struct world *w = *state;

    begin(w);
    struct past past = ask(w, &(struct line){.room = SLICE_LIT("nowhere"), .limit = -1});
    assert_int_equal(past.count, 0);
    assert_true(past.top.complete && past.top.epoch.size > 0 && past.top.offset == 0);
    past = ask(w, &(struct line){.room = SLICE_LIT("nowhere"),
                                 .epoch = SLICE_LIT("zz"),
                                 .has_offset = true,
                                 .offset = 4,
                                 .from = 4,
                                 .limit = -1});
    assert_false(past.top.complete);
    assert_int_equal(past.top.limit, -1);
    assert_int_equal(partition_rooms(w->o->machine), 0); /* a question makes no room */
}

static void an_owners_change_leaves_history_as_it_was(void **state)
{
    struct world *w = *state;

    begin(w);
    say(w, 0, 7);
    say(w, 1, 2);
    kit_kill(&w->kit, w->o);
    w->o = kit_owner_settled(&w->kit);
    assert_int_equal(kept(w, 0), 5);
    assert_int_equal(kept(w, 1), 2);
}

static void a_busy_rooms_surplus_is_kept_for_followers_and_not_shown(void **state)
{
    struct world *w = *state;
    const struct line since = {
        .room = SLICE_LIT("r0"), .has_offset = true, .offset = 10, .from = 10, .limit = -1};

    begin(w);
    say(w, 0, 30);
    assert_int_equal(kept(w, 0), 5);
    assert_int_equal(ask(w, &since).count, 20);
    assert_true(ask(w, &since).top.complete);
    assert_int_equal(kept(w, 0), 5);
    assert_int_equal(stat_get(&w->kit.stats.fetches), 0);
}

static void memory_is_bounded_and_the_oldest_goes_first(void **state)
{
    struct world *w = *state;

    w->kit.conf.memory_max = 4000;
    begin(w);
    say(w, 0, 4);
    say(w, 1, 4);
    assert_int_equal(kept(w, 0), 4);
    for (int i = 0; i < 10; i++) {
        say(w, 2 + (uint32_t)i % 4, 3);
        assert_true(stat_get(&w->kit.stats.history_memory) <= 4000);
    }
    assert_true(kept(w, 0) > 0); /* read back from the log for who asks, as much as there is room */
    assert_true(kept(w, 1) > 0);
    assert_true(stat_get(&w->kit.stats.fetches) >= 2);
    assert_true(stat_get(&w->kit.stats.limits.met[OWNER_LIMIT_MEMORY]) > 0);
    assert_true(stat_get(&w->kit.stats.history_memory) <= 4000);
    for (uint32_t room = 2; room < KIT_ROOMS; room++) {
        say(w, room, 9);
    }
    w->kit.log_first = w->kit.log.count - 1; /* the rest was cut off */
    struct past past = ask(w, &(struct line){.room = SLICE_LIT("r0"), .limit = -1});
    assert_int_equal(past.count, 0);
    assert_true(past.top.complete);       /* there is no more */
    assert_int_equal(past.top.offset, 4); /* the position stays */
    past = ask(
        w, &(struct line){
               .room = SLICE_LIT("r0"), .has_offset = true, .offset = 2, .from = 2, .limit = -1});
    assert_false(past.top.complete);
    assert_int_equal(past.top.limit, -1);
    w->kit.log_first = 0;
    say(w, 0, 1);
    assert_int_equal(kept(w, 0), 1);
    kit_judge(&w->kit, true, true);
}

/* Rooms that are idle by then wait for a checkpoint before they go. */
static void forget(struct world *w, int64_t ms)
{
    kit_tick(&w->kit, w->o, ms);
    kit_run(&w->kit, w->o);
    kit_tick(&w->kit, w->o, 1);
}

static void old_records_go_and_idle_rooms_are_forgotten_unless_followed(void **state)
{
    struct world *w = *state;

    w->kit.conf.history_ttl_ms = 60000;
    w->kit.conf.lease_ms = 1000000;
    begin(w);
    say(w, 0, 2);
    say(w, 1, 2);
    kit_gateway_follow(&w->kit, w->g, 1, true);
    kit_gateway_attach(&w->kit, w->g);
    kit_run(&w->kit, w->o);
    kit_tick(&w->kit, w->o, 59000);
    assert_int_equal(partition_rooms(w->o->machine), 2);
    assert_int_equal(kept(w, 0), 2);
    forget(w, 2000);
    assert_int_equal(partition_rooms(w->o->machine), 1);
    assert_int_equal(stat_get(&w->kit.stats.forgotten_rooms), 1);
    assert_int_equal(stat_get(&w->kit.stats.history_memory), 0);
    for (int i = 0; i < 5; i++) {
        kit_tick(&w->kit, w->o, 50000);
    }
    assert_int_equal(partition_rooms(w->o->machine), 1);
    say(w, 1, 1);
    kit_judge(&w->kit, false, true); /* the followed one continues */
    kit_gateway_follow(&w->kit, w->g, 1, false);
    kit_run(&w->kit, w->o);
    kit_tick(&w->kit, w->o, 59000);
    assert_int_equal(partition_rooms(w->o->machine), 1);
    forget(w, 2000);
    assert_int_equal(partition_rooms(w->o->machine), 0);
}

static void a_forgotten_room_that_speaks_again_gets_a_new_epoch(void **state)
{
    struct world *w = *state;

    w->kit.conf.history_ttl_ms = 60000;
    begin(w);
    say(w, 0, 3);
    forget(w, 61000);
    say(w, 0, 2);
    struct past past = ask(w, &(struct line){.room = SLICE_LIT("r0"), .limit = -1});
    assert_int_equal(past.top.offset, 2);
    kit_judge(&w->kit, true, false); /* no offset twice in an epoch */
    kit_kill(&w->kit, w->o);
    w->o = kit_owner_settled(&w->kit);
    past = ask(w, &(struct line){.room = SLICE_LIT("r0"), .limit = -1});
    assert_int_equal(past.top.offset, 2);
    assert_int_equal(past.count, 2);
    say(w, 0, 1);
    kit_judge(&w->kit, true, false);
}

static void a_room_is_not_forgotten_while_a_record_is_on_its_way(void **state)
{
    struct world *w = *state;

    w->kit.conf.history_ttl_ms = 1000;
    begin(w);
    kit_publish(&w->kit, LANE_A, 1, "r0", 1);
    assert_true(kit_take(&w->kit, w->o));
    kit_tick(&w->kit, w->o, 5000); /* the broker stalls */
    kit_tick(&w->kit, w->o, 5000);
    kit_confirm(&w->kit, w->o);
    assert_int_equal(kept(w, 0), 1);
    kit_judge(&w->kit, true, true);
}

static void without_history_only_the_position_is_told(void **state)
{
    struct world *w = *state;

    w->kit.conf.history_size = 0;
    begin(w);
    say(w, 0, 3);
    struct past past = ask(w, &(struct line){.room = SLICE_LIT("r0"), .limit = -1});
    assert_int_equal(past.count, 0);
    assert_int_equal(past.top.offset, 3);
    assert_true(past.top.complete);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(history_answers_what_was_asked_and_says_if_it_is_all),
        TEST(history_is_filled_from_the_rest_of_the_log_after_a_takeover),
        TEST(a_question_that_needs_the_log_waits_for_it_and_not_for_ever),
        TEST(a_log_that_stays_silent_is_not_waited_for),
        TEST(what_a_gateway_missed_is_read_back_and_its_link_stays_in_order),
        TEST(a_room_where_nobody_spoke_has_an_empty_history),
        TEST(an_owners_change_leaves_history_as_it_was),
        TEST(a_busy_rooms_surplus_is_kept_for_followers_and_not_shown),
        TEST(memory_is_bounded_and_the_oldest_goes_first),
        TEST(old_records_go_and_idle_rooms_are_forgotten_unless_followed),
        TEST(a_forgotten_room_that_speaks_again_gets_a_new_epoch),
        TEST(a_room_is_not_forgotten_while_a_record_is_on_its_way),
        TEST(without_history_only_the_position_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
