/* test_partition_links.c: attaching, deliveries and leases. */
#include "tests/unit/partition_kit.h"

#define LANE_A KIT_LANE

/* The position that the last answer tells of a room. */
static struct line position(const struct kit_gateway *g, uint32_t room)
{
    struct slice rest = kit_last(g, MESSAGE_POSITIONS)->m.body;
    struct line line;

    while (line_next(&rest, &line) == 0) {
        if (slice_equal(line.room, slice_of(kit_room(room)))) {
            return line;
        }
    }
    fail_msg("no position of room %u", room);
    return line;
}

static void an_attach_is_answered_for_every_room_known_or_not(void **state)
{
    struct kit_world *w = *state;

    kit_world_say(w, 0, 3);
    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_gateway_follow(&w->kit, w->g, 1, true);
    kit_world_attach(w, w->g);
    assert_int_equal(position(w->g, 0).offset, 3);
    assert_int_equal(position(w->g, 0).from, 3);
    assert_true(position(w->g, 0).epoch.size > 0);
    assert_true(position(w->g, 1).has_offset);
    assert_int_equal(position(w->g, 1).offset, 0);
    assert_true(position(w->g, 1).epoch.size > 0); /* it has one before anybody speaks */
    assert_int_equal(w->g->number_in, 1);
    /* Without any room, too. */
    kit_world_attach(w, w->h);
    assert_int_equal(kit_last(w->h, MESSAGE_POSITIONS)->m.number, 1);
    assert_int_equal(partition_gateways(w->o->machine), 2);
}

static void a_gateway_continues_where_it_stands(void **state)
{
    struct kit_world *w = *state;

    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_world_attach(w, w->g);
    kit_world_say(w, 0, 4);
    assert_int_equal(w->g->seen_count, 4);
    kit_gateway_stop(&w->kit, w->h);
    struct kit_view view = w->g->views[0];
    w->g->inbox_at = w->g->inbox.count;
    w->g->wants_attach = true; /* deaf for a while */
    kit_world_say(w, 0, 5);
    assert_int_equal(w->g->seen_count, 4);
    kit_world_attach(w, w->g);
    assert_int_equal(w->g->seen_count, 9);
    assert_int_equal(w->g->positions_lost, 0);
    assert_string_equal(w->g->views[0].epoch, view.epoch);
    kit_judge(&w->kit, true, true);
}

static void who_knows_of_an_unspoken_room_gets_its_first_record(void **state)
{
    struct kit_world *w = *state;

    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_world_attach(w, w->g);
    w->g->wants_attach = true;
    kit_world_say(w, 0, 2);
    kit_world_attach(w, w->g);
    assert_int_equal(w->g->seen_count, 2);
    assert_int_equal(w->g->positions_lost, 0);
}

static void who_attaches_is_told_from_where_on_it_continues(void **state)
{
    static const struct {
        const char *epoch; /* NULL: the room's own */
        uint64_t offset, from;
    } cases[] = {
        {NULL, 12, 12},   /* nothing is missing */
        {NULL, 9, 9},     /* in memory */
        {NULL, 1, 1},     /* beyond what history shows */
        {"other", 9, 12}, /* another life of the numbers */
        {"", 9, 12},      /* no epoch, and not the beginning */
        {"", 0, 12},      /* no epoch: of which life is it the beginning? */
        {NULL, 0, 0},     /* the beginning */
    };
    struct kit_world *w = *state;

    w->kit.conf.history_size = 5;
    kit_world_change_owner(w);
    kit_world_say(w, 0, 12);
    kit_world_say(w, 1, 1);
    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_world_attach(w, w->g);
    const struct kit_view known = w->g->views[0];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kit_view *v = &w->g->views[0];
        *v = known;
        v->offset = cases[i].offset;
        if (cases[i].epoch != NULL) {
            (void)snprintf(v->epoch, sizeof(v->epoch), "%s", cases[i].epoch);
        }
        kit_world_attach(w, w->g);
        assert_int_equal(position(w->g, 0).offset, 12);
        assert_int_equal(position(w->g, 0).from, cases[i].from);
        assert_int_equal(v->offset, 12);
    }
}

static void an_attach_during_an_append_misses_nothing_and_gets_nothing_twice(void **state)
{
    struct kit_world *w = *state;

    kit_world_say(w, 0, 2);
    kit_publish(&w->kit, LANE_A, 100, "r0", 2);
    kit_publish(&w->kit, LANE_A, 101, "r0", 2);
    kit_take(&w->kit, w->o);
    kit_take(&w->kit, w->o); /* one in flight, one waits */
    kit_land(&w->kit, w->o);
    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_gateway_attach(&w->kit, w->g);
    assert_true(kit_mail(&w->kit, w->o));
    assert_int_equal(position(w->g, 0).offset, 2);
    kit_world_run(w);
    assert_int_equal(w->g->seen_count, 4);
    assert_int_equal(w->g->views[0].offset, 6);
    kit_judge(&w->kit, true, true);
}

static void a_delivery_holds_the_rooms_that_are_followed_and_no_others(void **state)
{
    struct kit_world *w = *state;
    struct buf body = BUF_EMPTY;

    kit_gateway_follow(&w->kit, w->g, 1, true);
    kit_gateway_follow(&w->kit, w->g, 3, true);
    kit_gateway_follow(&w->kit, w->h, 5, true);
    kit_world_attach(w, w->g);
    kit_world_attach(w, w->h);
    size_t before = w->h->inbox.count;
    for (uint32_t i = 0; i < 5; i++) {
        record_encode(&body,
                      &(struct record){.room = slice_of(kit_room(i)), .payload = SLICE_LIT("{}")});
    }
    kit_enqueue(&w->kit,
                &(struct message){.type = MESSAGE_PUBLISH,
                                  .partition = KIT_PARTITION,
                                  .batch = 1,
                                  .gateway = SLICE_LIT("g"),
                                  .boot = SLICE_LIT(LANE_A)},
                buf_slice(&body));
    buf_deinit(&body);
    kit_world_run(w);
    assert_int_equal(w->g->seen_count, 2);
    assert_int_equal(kit_last(w->g, MESSAGE_DELIVER)->m.records, 2);
    assert_int_equal(w->h->inbox.count, before); /* not even an empty one */
    kit_gateway_follow(&w->kit, w->g, 1, false);
    kit_world_say(w, 1, 1);
    assert_int_equal(w->g->seen_count, 2);
}

static void the_answer_to_much_that_is_missing_comes_in_several_messages(void **state)
{
    struct kit_world *w = *state;
    const size_t size = 100000;
    char *payload = mem_alloc(size);
    struct buf body = BUF_EMPTY;

    w->kit.conf.memory_max = 64 << 20;
    w->kit.conf.checkpoint_bytes = 64 << 20;
    kit_world_change_owner(w);
    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_world_attach(w, w->g);
    w->g->wants_attach = true;
    memset(payload, 'x', size);
    payload[0] = payload[size - 1] = '"';
    record_encode(&body, &(struct record){.room = SLICE_LIT("r0"), .payload = {payload, size}});
    for (uint64_t batch = 1; batch <= 50; batch++) {
        kit_enqueue(&w->kit,
                    &(struct message){.type = MESSAGE_PUBLISH,
                                      .partition = KIT_PARTITION,
                                      .batch = batch,
                                      .gateway = SLICE_LIT("g"),
                                      .boot = SLICE_LIT(LANE_A)},
                    buf_slice(&body));
        kit_world_run(w);
    }
    kit_world_attach(w, w->g);
    assert_int_equal(w->g->seen_count, 50);
    assert_in_range(w->g->number_in, 5, 8);
    buf_deinit(&body);
    mem_free(payload);
}

static void a_hole_in_what_a_gateway_sends_makes_it_attach_anew(void **state)
{
    struct kit_world *w = *state;

    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_world_attach(w, w->g);
    w->g->number_out++; /* one was lost */
    kit_gateway_alive(&w->kit, w->g);
    kit_world_run(w);
    assert_int_equal(stat_get(&w->kit.stats.link_gaps), 1);
    assert_int_equal(partition_gateways(w->o->machine), 0);
    assert_true(w->g->wants_attach);
    kit_world_attach(w, w->g);
    assert_int_equal(partition_gateways(w->o->machine), 1);
    w->g->number_out--; /* sent twice: no harm */
    kit_gateway_alive(&w->kit, w->g);
    kit_world_run(w);
    assert_false(w->g->wants_attach);
    assert_int_equal(partition_gateways(w->o->machine), 1);
}

static void a_link_that_is_not_known_makes_it_attach_anew(void **state)
{
    struct kit_world *w = *state;

    w->g->link = 5;
    w->g->wants_attach = false;
    kit_gateway_alive(&w->kit, w->g);
    kit_world_run(w);
    assert_true(w->g->wants_attach);
}

static void a_sign_of_life_is_answered_by_one(void **state)
{
    struct kit_world *w = *state;

    kit_world_attach(w, w->g);
    uint64_t number = w->g->number_in;
    kit_gateway_alive(&w->kit, w->g);
    kit_world_run(w);
    assert_int_equal(w->g->number_in, number + 1);
    assert_int_equal(kit_last(w->g, MESSAGE_DELIVER)->m.body.size, 0);
}

static void a_gateway_started_anew_replaces_its_former_life(void **state)
{
    struct kit_world *w = *state;

    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_world_attach(w, w->g);
    kit_gateway_stop(&w->kit, w->g);
    kit_gateway_start(&w->kit, 0);
    kit_world_attach(w, w->g);
    assert_int_equal(partition_gateways(w->o->machine), 1);
    size_t before = w->g->inbox.count;
    kit_world_say(w, 0, 1); /* the new one does not follow it */
    assert_int_equal(w->g->inbox.count, before);
    assert_int_equal(partition_rooms(w->o->machine), 1);
}

static void an_attach_that_comes_late_does_not_undo_a_later_one(void **state)
{
    struct kit_world *w = *state;

    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_gateway_attach(&w->kit, w->g);
    kit_world_attach(w, w->g);
    letters_add(&w->o->mail, w->o->mail.at[0]);
    kit_world_run(w);
    kit_world_say(w, 0, 1);
    assert_int_equal(w->g->seen_count, 1);
    assert_int_equal(w->g->link_holes, 0);
}

static void a_silent_gateway_is_dropped_with_all_that_hangs_on_it(void **state)
{
    struct kit_world *w = *state;

    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_gateway_follow(&w->kit, w->g, 1, true);
    kit_world_attach(w, w->g);
    kit_world_attach(w, w->h);
    assert_int_equal(partition_rooms(w->o->machine), 2);
    kit_tick(&w->kit, w->o, 14000);
    kit_gateway_alive(&w->kit, w->h);
    kit_world_run(w);
    kit_tick(&w->kit, w->o, 2000);
    assert_int_equal(partition_gateways(w->o->machine), 1);
    assert_int_equal(partition_rooms(w->o->machine), 0); /* nobody spoke in them */
    assert_int_equal(stat_get(&w->kit.stats.limits.met[OWNER_LIMIT_LEASE]), 1);
}

static void a_clock_that_jumps_keeps_no_dead_gateway(void **state)
{
    struct kit_world *w = *state;

    kit_world_attach(w, w->g);
    kit_tick(&w->kit, w->o, -3600000);
    assert_int_equal(partition_gateways(w->o->machine), 1);
    kit_tick(&w->kit, w->o, 16000);
    assert_int_equal(partition_gateways(w->o->machine), 0);
}

static void a_gateway_that_is_gone_is_forgotten_and_called_once(void **state)
{
    struct kit_world *w = *state;

    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_world_attach(w, w->g);
    kit_gateway_stop(&w->kit, w->g);
    kit_world_say(w, 0, 1);
    assert_int_equal(partition_gateways(w->o->machine), 0);
    kit_world_say(w, 0, 1);
}

static void a_gateway_ahead_of_the_log_ends_the_rooms_epoch(void **state)
{
    struct kit_world *w = *state;

    w->kit.conf.checkpoint_bytes = 1; /* often, to be judged */
    kit_world_change_owner(w);
    kit_world_say(w, 0, 5);
    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_world_attach(w, w->g);
    struct kit_view *v = &w->g->views[0];
    char old[EPOCH_MAX + 1];
    memcpy(old, v->epoch, sizeof(old));
    v->offset = 8; /* three records that a broken disk took back */
    kit_publish(&w->kit, LANE_A, 100, "r0", 20);
    kit_publish(&w->kit, LANE_A, 101, "r0", 1);
    kit_take(&w->kit, w->o);
    kit_take(&w->kit, w->o);
    kit_gateway_attach(&w->kit, w->g);
    assert_true(kit_mail(&w->kit, w->o));
    assert_int_equal(position(w->g, 0).from, 5);
    kit_publish(&w->kit, LANE_A, 102, "r0", 2);
    kit_take(&w->kit, w->o); /* numbered anew behind one that is not; a checkpoint comes between */
    kit_world_run(w);
    assert_int_equal(w->g->positions_lost, 1);
    assert_string_not_equal(v->epoch, old);
    assert_int_equal(v->offset, 2);
    assert_int_equal(stat_get(&w->kit.stats.lost_positions), 1);
    kit_world_attach(w, w->g); /* the owner has it the same way */
    assert_int_equal(position(w->g, 0).from, 2);
    assert_true(slice_equal(position(w->g, 0).epoch, slice_of(v->epoch)));
    kit_world_change_owner(w);
    kit_world_attach(w, w->g);
    kit_publish(&w->kit, LANE_A, 103, "r0", 1);
    kit_world_run(w);
    assert_int_equal(v->offset, 3);
    assert_int_equal(w->g->positions_lost, 1);
    kit_judge(&w->kit, true, false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_world_start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(an_attach_is_answered_for_every_room_known_or_not),
        TEST(a_gateway_continues_where_it_stands),
        TEST(who_knows_of_an_unspoken_room_gets_its_first_record),
        TEST(who_attaches_is_told_from_where_on_it_continues),
        TEST(an_attach_during_an_append_misses_nothing_and_gets_nothing_twice),
        TEST(a_delivery_holds_the_rooms_that_are_followed_and_no_others),
        TEST(the_answer_to_much_that_is_missing_comes_in_several_messages),
        TEST(a_hole_in_what_a_gateway_sends_makes_it_attach_anew),
        TEST(a_link_that_is_not_known_makes_it_attach_anew),
        TEST(a_sign_of_life_is_answered_by_one),
        TEST(a_gateway_started_anew_replaces_its_former_life),
        TEST(an_attach_that_comes_late_does_not_undo_a_later_one),
        TEST(a_silent_gateway_is_dropped_with_all_that_hangs_on_it),
        TEST(a_clock_that_jumps_keeps_no_dead_gateway),
        TEST(a_gateway_that_is_gone_is_forgotten_and_called_once),
        TEST(a_gateway_ahead_of_the_log_ends_the_rooms_epoch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
