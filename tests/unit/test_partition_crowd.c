/* test_partition_crowd.c: more rooms than a partition may remember, and more than it may be asked.
 */
#include "broadcaster/followers.h"
#include "tests/unit/partition_kit.h"

#define ROOMS_MAX 4
#define TTL_MS 60000
#define LEASE_MS 1000

static void settle(struct kit_world *w, size_t rooms_max, int64_t era_ms)
{
    kit_init(&w->kit, 1);
    w->kit.conf.rooms_max = rooms_max;
    w->kit.conf.history_ttl_ms = TTL_MS;
    w->kit.conf.era_ms = era_ms;
    w->kit.conf.lease_ms = LEASE_MS;
    kit_world_settle(w);
    kit_tick(&w->kit, w->o, LEASE_MS);
}

static void change_owner(struct kit_world *w)
{
    kit_world_change_owner(w);
    kit_tick(&w->kit, w->o, LEASE_MS);
}

static int start(void **state)
{
    struct kit_world *w = mem_new(struct kit_world);

    settle(w, ROOMS_MAX, 0);
    *state = w;
    return 0;
}

static size_t rooms(const struct kit_world *w)
{
    return partition_rooms(w->o->machine);
}

static uint64_t evicted(const struct kit_world *w)
{
    return stat_get(&w->kit.stats.limits.met[OWNER_LIMIT_ROOMS]);
}

static uint64_t checkpoints(const struct kit_world *w)
{
    return stat_get(&w->kit.stats.checkpoints);
}

/* A record in a room that the kit's gateways do not know. */
static void say_in(struct kit_world *w, const char *room)
{
    kit_publish(&w->kit, KIT_LANE, ++w->batch, room, 1);
    kit_run(&w->kit, w->o);
}

static void of_too_many_rooms_the_idlest_go_and_begin_anew(void **state)
{
    struct kit_world *w = *state;
    char epoch[EPOCH_MAX + 1], before[EPOCH_MAX + 1];

    for (uint32_t room = 0; room < ROOMS_MAX; room++) {
        kit_world_say(w, room, 1);
    }
    (void)kit_last_offset(&w->kit, before);
    assert_int_equal(rooms(w), ROOMS_MAX);
    assert_int_equal(evicted(w), 0);
    kit_world_say(w, 0, 1); /* it is not the idlest one any more */
    kit_world_say(w, ROOMS_MAX, 1);
    assert_int_equal(evicted(w), ROOMS_MAX / 2 + 1);
    assert_int_equal(stat_get(&w->kit.stats.forgotten_rooms), 0);
    assert_int_equal(rooms(w), ROOMS_MAX / 2);
    change_owner(w); /* the log does not tell of them either */
    assert_int_equal(rooms(w), ROOMS_MAX / 2);
    kit_world_say(w, 0, 1);
    assert_int_equal(kit_last_offset(&w->kit, epoch), 3);
    assert_string_equal(epoch, before);
    kit_world_say(w, 1, 1);
    assert_int_equal(kit_last_offset(&w->kit, epoch), 1);
    assert_string_not_equal(epoch, before);
    kit_judge(&w->kit, true, false);
}

static void who_comes_back_to_a_room_that_went_is_told(void **state)
{
    struct kit_world *w = *state;

    kit_gateway_follow(&w->kit, w->g, 0, true);
    kit_world_attach(w, w->g);
    kit_world_say(w, 0, 2);
    struct kit_view before = w->g->views[0];
    kit_gateway_follow(&w->kit, w->g, 0, false);
    kit_world_attach(w, w->g);
    for (uint32_t room = 1; room <= ROOMS_MAX; room++) {
        kit_world_say(w, room, 1);
    }
    assert_true(evicted(w) > 0);
    w->g->views[0] = before;
    w->g->positions_lost = 0;
    kit_world_attach(w, w->g);
    assert_int_equal(w->g->positions_lost, 1);
    assert_string_not_equal(w->g->views[0].epoch, before.epoch);
    kit_world_say(w, 0, 1);
    assert_int_equal(w->g->views[0].offset, 1);
    kit_judge(&w->kit, true, false);
}

static void rooms_that_somebody_follows_stay_and_are_not_told_of_again_and_again(void **state)
{
    struct kit_world *w = *state;

    for (uint32_t room = 0; room < KIT_ROOMS; room++) {
        kit_gateway_follow(&w->kit, w->g, room, true);
    }
    kit_world_attach(w, w->g);
    for (int i = 0; i < 5; i++) {
        kit_tick(&w->kit, w->o, 100);
        kit_world_run(w);
    }
    assert_int_equal(checkpoints(w), 1);
    for (uint32_t room = 0; room < KIT_ROOMS; room++) {
        kit_world_say(w, room, 1);
    }
    say_in(w, "s0");
    say_in(w, "s1");
    say_in(w, "s2");
    assert_int_equal(rooms(w), KIT_ROOMS + KIT_ROOMS / 2);
    assert_int_equal(checkpoints(w), 1);
    say_in(w, "s3");
    assert_int_equal(checkpoints(w), 2);
    assert_int_equal(evicted(w), 3);
    assert_int_equal(rooms(w), KIT_ROOMS + 1);
    kit_world_say(w, 0, 1);
    assert_int_equal(w->g->seen_count, KIT_ROOMS + 1);
    assert_int_equal(w->g->positions_lost, 0);
}

static void a_flood_of_names_fills_neither_memory_nor_the_log(void **state)
{
    struct kit_world *w = *state;
    char name[16];

    w->kit.conf.rooms_max = 100;
    change_owner(w);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "flood-%u", i);
        say_in(w, name);
        assert_in_range(rooms(w), 1, 101);
    }
    assert_in_range(evicted(w), 900, 999);
    assert_in_range(checkpoints(w), 1, 1000 / 50);
}

static void a_new_owner_lets_nothing_go_before_it_knows_what_is_followed(void **state)
{
    struct kit_world *w = *state;

    for (uint32_t room = 0; room < KIT_ROOMS; room++) {
        kit_gateway_follow(&w->kit, w->g, room, true);
    }
    kit_world_attach(w, w->g);
    for (uint32_t room = 0; room < KIT_ROOMS; room++) {
        kit_world_say(w, room, 1);
    }
    kit_kill(&w->kit, w->o);
    w->o = kit_owner_settled(&w->kit);
    kit_tick(&w->kit, w->o, LEASE_MS / 2);
    kit_world_say(w, 0, 1);
    kit_world_attach(w, w->g);
    kit_tick(&w->kit, w->o, LEASE_MS / 2);
    kit_world_run(w);
    assert_int_equal(evicted(w), 0);
    assert_int_equal(w->g->positions_lost, 0);
    assert_int_equal(rooms(w), KIT_ROOMS);
    kit_judge(&w->kit, true, true);
}

/* So many rooms that a checkpoint of them is worth several waits. */
#define MANY 3000

static void say_in_many(struct kit_world *w)
{
    static char names[MANY][64];
    static struct record records[MANY];

    for (unsigned i = 0; i < MANY; i++) {
        int size = snprintf(names[i], sizeof(names[i]), "%060u", i);
        records[i] = (struct record){.room = {names[i], (size_t)size},
                                     .user = SLICE_LIT("ann"),
                                     .time = 1790000000123,
                                     .payload = SLICE_LIT("1")};
    }
    const struct letter *l = kit_batch_of(&w->kit, KIT_LANE, ++w->batch, records, MANY);
    kit_enqueue(&w->kit, &l->m, l->m.body);
    kit_run(&w->kit, w->o);
}

static void idle_rooms_wait_longer_the_more_it_costs_to_forget_them(void **state)
{
    struct kit_world *w = mem_new(struct kit_world);

    (void)state;
    settle(w, 0, TTL_MS / 2);
    for (uint64_t round = 1; round <= 2; round++) {
        say_in(w, "one");
        kit_tick(&w->kit, w->o, TTL_MS - 1000);
        say_in_many(w);
        kit_tick(&w->kit, w->o, 2000); /* the one room waits to be forgotten */
        kit_run(&w->kit, w->o);
        assert_int_equal(checkpoints(w), 1);
        assert_int_equal(stat_get(&w->kit.stats.forgotten_rooms), 1);
    }
    assert_int_equal(rooms(w), MANY + 1);
    kit_tick(&w->kit, w->o, 2 * TTL_MS);
    kit_run(&w->kit, w->o);
    assert_int_equal(checkpoints(w), 2);
    assert_int_equal(rooms(w), 0);
    kit_deinit(&w->kit);
    assert_string_equal(w->kit.fault, "");
    mem_free(w);
}

/* A gateway that the kit does not have: what it is sent arrives. */
static void attach(struct kit_world *w, const char *gateway, struct slice body)
{
    const struct message m = {.type = MESSAGE_ATTACH,
                              .partition = KIT_PARTITION,
                              .gateway = slice_of(gateway),
                              .boot = SLICE_LIT("00000000000000aa"),
                              .link = ++w->batch};
    char scratch[ID_MAX * 2];
    struct mq_props props;
    struct mq_event e = kit_event(letter_new(&w->kit, &m, body), &props, scratch);
    struct partition_action *a;

    partition_on_mail(w->o->machine, &e, w->kit.now_ms);
    while ((a = partition_next_action(w->o->machine)) != NULL) {
        assert_int_equal(a->kind, PARTITION_SEND);
        partition_action_done(a);
    }
}

static void a_partition_has_links_with_so_many_gateways(void **state)
{
    struct kit_world *w = *state;
    char name[16];

    for (unsigned i = 0; i < FOLLOWERS_MAX + 2; i++) {
        (void)snprintf(name, sizeof(name), "many-%u", i);
        attach(w, name, SLICE_NONE);
    }
    attach(w, "many-0", SLICE_NONE); /* who has one is not refused another */
    assert_int_equal(partition_gateways(w->o->machine), FOLLOWERS_MAX);
    assert_int_equal(stat_get(&w->kit.stats.limits.met[OWNER_LIMIT_GATEWAYS]), 2);
    kit_tick(&w->kit, w->o, LEASE_MS + 1);
    attach(w, "late", SLICE_NONE);
    assert_int_equal(partition_gateways(w->o->machine), 1);
}

static void a_gateway_follows_so_many_rooms(void **state)
{
    struct kit_world *w = *state;
    struct buf body = BUF_EMPTY;

    for (unsigned i = 0; i < FOLLOWER_ROOMS_MAX + 3; i++) {
        buf_addf(&body, "{\"room\":\"n%u\"}\n", i);
    }
    attach(w, "greedy", buf_slice(&body));
    assert_int_equal(rooms(w), FOLLOWER_ROOMS_MAX);
    assert_int_equal(stat_get(&w->kit.stats.limits.met[OWNER_LIMIT_GATEWAY_ROOMS]), 3);
    attach(w, "modest", SLICE_LIT("{\"room\":\"m\"}\n"));
    assert_int_equal(rooms(w), FOLLOWER_ROOMS_MAX + 1);
    buf_deinit(&body);
}

static void who_asks_for_joins_of_a_room_that_it_does_not_follow_leaves_nothing(void **state)
{
    struct kit_world *w = *state;

    attach(w, "odd", SLICE_LIT("{\"room\":\"r0\",\"moves\":true}\n"));
    assert_int_equal(rooms(w), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(of_too_many_rooms_the_idlest_go_and_begin_anew),
        TEST(who_comes_back_to_a_room_that_went_is_told),
        TEST(rooms_that_somebody_follows_stay_and_are_not_told_of_again_and_again),
        TEST(a_flood_of_names_fills_neither_memory_nor_the_log),
        TEST(a_new_owner_lets_nothing_go_before_it_knows_what_is_followed),
        cmocka_unit_test(idle_rooms_wait_longer_the_more_it_costs_to_forget_them),
        TEST(a_partition_has_links_with_so_many_gateways),
        TEST(a_gateway_follows_so_many_rooms),
        TEST(who_asks_for_joins_of_a_room_that_it_does_not_follow_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
