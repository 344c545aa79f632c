/* test_partition_era.c: the epoch of rooms before anybody speaks in them, and after. */
#include "tests/unit/partition_kit.h"

#define TTL_MS 60000

static int start(void **state)
{
    struct kit_world *w = mem_new(struct kit_world);

    kit_init(&w->kit, 1);
    w->kit.conf.history_ttl_ms = TTL_MS;
    w->kit.conf.lease_ms = 1000000;
    kit_world_settle(w);
    *state = w;
    return 0;
}

static void follow(struct kit_world *w, struct kit_gateway *g, uint32_t room, bool follows)
{
    kit_gateway_follow(&w->kit, g, room, follows);
    kit_world_attach(w, g);
}

/* What is idle is forgotten, and the log knows. */
static void forget(struct kit_world *w)
{
    kit_tick(&w->kit, w->o, TTL_MS + 1);
    kit_world_run(w);
    kit_tick(&w->kit, w->o, 1);
}

static uint64_t forgotten(const struct kit_world *w)
{
    return stat_get(&w->kit.stats.forgotten_rooms);
}

static void a_room_speaks_in_the_epoch_that_it_had_before(void **state)
{
    struct kit_world *w = *state;
    char epoch[EPOCH_MAX + 1];

    follow(w, w->g, 0, true);
    struct kit_view before = w->g->views[0];
    assert_true(before.is_live && before.offset == 0);
    assert_int_equal(strlen(before.epoch), 8);
    kit_world_say(w, 0, 1);
    assert_int_equal(kit_last_offset(&w->kit, epoch), 1);
    assert_string_equal(epoch, before.epoch);
    assert_int_equal(w->g->seen_count, 1);
}

static void owners_change_and_unspoken_rooms_keep_their_epoch(void **state)
{
    struct kit_world *w = *state;

    follow(w, w->g, 0, true);
    struct kit_view before = w->g->views[0];
    for (int i = 0; i < 4; i++) {
        w->kit.conf.checkpoint_bytes = i == 2 ? 1 : 1 << 20; /* from a marker, from a checkpoint */
        kit_world_change_owner(w);
        kit_world_say(w, 1, 1);
        kit_world_attach(w, w->g);
        follow(w, w->h, 0, true);
        assert_string_equal(w->g->views[0].epoch, before.epoch);
        assert_string_equal(w->h->views[0].epoch, before.epoch);
        follow(w, w->h, 0, false);
    }
    assert_int_equal(w->g->positions_lost, 0);
}

static void an_unspoken_room_that_nobody_follows_takes_no_memory(void **state)
{
    struct kit_world *w = *state;

    follow(w, w->g, 0, true);
    struct kit_view before = w->g->views[0];
    assert_int_equal(partition_rooms(w->o->machine), 1);
    follow(w, w->g, 0, false);
    assert_int_equal(partition_rooms(w->o->machine), 0);
    follow(w, w->h, 0, true); /* and nothing is lost by that */
    assert_string_equal(w->h->views[0].epoch, before.epoch);
}

static void who_stood_at_the_beginning_of_a_forgotten_life_is_told(void **state)
{
    struct kit_world *w = *state;

    for (int speaks = 0; speaks < 2; speaks++) { /* in its second life */
        follow(w, w->g, 0, true);
        w->g->wants_attach = true; /* deaf from here on */
        struct kit_view before = w->g->views[0];
        kit_gateway_stop(&w->kit, w->g);
        kit_world_attach(w, w->h); /* the owner hears that nobody is there */
        w->g = kit_gateway_start(&w->kit, 0);
        kit_world_attach(w, w->g);
        kit_world_say(w, 0, 1);
        kit_world_say(w, 0, 1);
        uint64_t seen = forgotten(w);
        forget(w);
        assert_int_equal(forgotten(w), seen + 1);
        if (speaks == 1) {
            kit_world_say(w, 0, 1);
        }
        w->g->views[0] = before;
        w->g->positions_lost = 0;
        kit_world_attach(w, w->g);
        assert_int_equal(w->g->positions_lost, 1);
        assert_string_not_equal(w->g->views[0].epoch, before.epoch);
        assert_int_equal(w->g->seen_count, 0);
        follow(w, w->g, 0, false);
    }
}

static void a_room_is_forgotten_only_when_the_log_names_the_next_era(void **state)
{
    struct kit_world *w = *state;

    kit_world_say(w, 0, 1);
    kit_tick(&w->kit, w->o, TTL_MS + 1);
    for (int i = 0; i < 3; i++) { /* the checkpoint is on its way, refused, sent again */
        assert_true(kit_nack(&w->kit, w->o));
        kit_tick(&w->kit, w->o, 5000);
    }
    assert_int_equal(forgotten(w), 0);
    kit_kill(&w->kit, w->o); /* before it heard of the confirm, so the next one knows the room */
    w->o = kit_owner_settled(&w->kit);
    assert_int_equal(partition_rooms(w->o->machine), 1);
    forget(w);
    assert_int_equal(forgotten(w), 1);
    kit_world_change_owner(w);
    kit_world_say(w, 0, 1);
    kit_judge(&w->kit, true, false); /* no offset twice in an epoch */
}

static void eras_end_no_more_often_than_is_set(void **state)
{
    struct kit_world *w = *state;

    w->kit.conf.era_ms = 10 * TTL_MS;
    kit_world_change_owner(w);
    kit_world_say(w, 0, 1);
    forget(w);
    assert_int_equal(forgotten(w), 0);
    assert_int_equal(stat_get(&w->kit.stats.checkpoints), 0);
    kit_tick(&w->kit, w->o, 10 * TTL_MS);
    kit_world_run(w);
    kit_tick(&w->kit, w->o, 1);
    assert_int_equal(stat_get(&w->kit.stats.checkpoints), 1);
    assert_int_equal(forgotten(w), 1);
    for (int i = 0; i < 5; i++) { /* nothing waits to be forgotten: no further one */
        kit_tick(&w->kit, w->o, 10 * TTL_MS);
        kit_world_run(w);
    }
    assert_int_equal(stat_get(&w->kit.stats.checkpoints), 1);
}

static void a_followed_room_of_an_era_that_is_over_continues_under_a_new_owner(void **state)
{
    struct kit_world *w = *state;

    follow(w, w->g, 0, true);
    struct kit_view before = w->g->views[0];
    kit_world_say(w, 1, 1);
    forget(w);
    assert_int_equal(forgotten(w), 1);
    follow(w, w->h, 2, true);
    assert_string_not_equal(w->h->views[2].epoch, before.epoch); /* another era it is */
    kit_world_change_owner(w);
    kit_world_attach(w, w->g);
    assert_int_equal(w->g->positions_lost, 0);
    assert_string_equal(w->g->views[0].epoch, before.epoch);
    kit_world_say(w, 0, 1);
    assert_string_equal(w->g->views[0].epoch, before.epoch);
    assert_int_equal(w->g->seen_count, 1);
}

static void the_era_is_not_believed_when_its_beginning_was_cut_off(void **state)
{
    struct kit_world *w = *state;

    follow(w, w->g, 0, true);
    struct kit_view before = w->g->views[0];
    kit_world_say(w, 1, 1);
    kit_world_change_owner(w); /* its marker names the era */
    kit_world_say(w, 2, 1);
    w->kit.log_first = w->kit.log.count - 3; /* rooms may have been spoken in before that */
    kit_world_change_owner(w);
    kit_world_attach(w, w->g);
    assert_int_equal(w->g->positions_lost, 1);
    assert_string_not_equal(w->g->views[0].epoch, before.epoch);
}

static void
an_unspoken_room_of_which_a_gateway_has_seen_records_gets_an_epoch_of_its_own(void **state)
{
    struct kit_world *w = *state;

    follow(w, w->g, 0, true);
    struct kit_view before = w->g->views[0];
    w->g->views[0].offset = 3; /* which a broken disk took back */
    kit_world_attach(w, w->g);
    assert_int_equal(w->g->positions_lost, 1);
    assert_int_equal(stat_get(&w->kit.stats.lost_positions), 1);
    follow(w, w->g, 0, false); /* that is not forgotten with the interest */
    kit_world_say(w, 0, 1);
    follow(w, w->g, 0, true);
    assert_string_not_equal(w->g->views[0].epoch, before.epoch);
    assert_int_equal(w->g->views[0].offset, 1);
    forget(w);
    kit_world_change_owner(w);
    kit_judge(&w->kit, false, false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(a_room_speaks_in_the_epoch_that_it_had_before),
        TEST(owners_change_and_unspoken_rooms_keep_their_epoch),
        TEST(an_unspoken_room_that_nobody_follows_takes_no_memory),
        TEST(who_stood_at_the_beginning_of_a_forgotten_life_is_told),
        TEST(a_room_is_forgotten_only_when_the_log_names_the_next_era),
        TEST(eras_end_no_more_often_than_is_set),
        TEST(a_followed_room_of_an_era_that_is_over_continues_under_a_new_owner),
        TEST(the_era_is_not_believed_when_its_beginning_was_cut_off),
        TEST(an_unspoken_room_of_which_a_gateway_has_seen_records_gets_an_epoch_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
