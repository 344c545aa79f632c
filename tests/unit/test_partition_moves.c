/* test_partition_moves.c: who comes and who goes is told to the gateways that want to know. */
#include "broadcaster/moves.h"
#include "tests/unit/partition_kit.h"

/* A new link, whose attach has these lines. */
static void attach(struct kit_world *w, struct kit_gateway *g, const char *body)
{
    g->wants_attach = g->is_attached = false;
    g->link++;
    g->number_in = g->number_out = 0;
    kit_world_tell(w, g, MESSAGE_ATTACH, body);
}

/* What g was told since the last time, as "+client" and "-client". */
static void expect(struct kit_world *w, const char *want)
{
    struct buf got = BUF_EMPTY;
    struct line line;

    kit_tick(&w->kit, w->o, 100);
    kit_world_run(w);
    for (; w->read < w->g->inbox.count; w->read++) {
        const struct letter *l = w->g->inbox.at[w->read];
        struct slice rest = l->m.body;

        while (l->m.type == MESSAGE_MOVES && line_next(&rest, &line) == 0) {
            assert_true(slice_equal(line.room, SLICE_LIT("r0")));
            buf_addf(&got, "%s%c%.*s", got.size > 0 ? " " : "", line.left ? '-' : '+',
                     SLICE_ARG(line.client));
        }
    }
    buf_add(&got, "", 1);
    assert_string_equal(got.at, want);
    buf_deinit(&got);
    assert_int_equal(w->g->link_holes, 0);
}

#define FOLLOW "{\"room\":\"r0\"}\n{\"room\":\"r0\",\"moves\":true}\n"
#define MEMBER(client) "{\"room\":\"r0\",\"client\":\"" client "\",\"user\":\"ann\"}\n"
#define MEMBER_AGAIN(client)                                                                       \
    "{\"room\":\"r0\",\"client\":\"" client "\",\"user\":\"ann\",\"again\":true}\n"
#define LEFT(client) "{\"room\":\"r0\",\"client\":\"" client "\"}\n"

static void joins_and_leaves_of_all_gateways_are_told_in_order(void **state)
{
    struct kit_world *w = *state;

    attach(w, w->g, FOLLOW);
    attach(w, w->h, "{\"room\":\"r0\"}\n" MEMBER("c1"));
    kit_world_tell(w, w->h, MESSAGE_JOIN, MEMBER("c2"));
    kit_world_tell(w, w->g, MESSAGE_JOIN, MEMBER("mine"));
    kit_world_tell(w, w->h, MESSAGE_LEAVE, LEFT("c1"));
    expect(w, "+c1 +c2 +mine -c1");
    expect(w, "");
    assert_null(kit_last(w->h, MESSAGE_MOVES)); /* it did not ask */
}

static void what_was_told_is_told_with_everything_about_the_member(void **state)
{
    struct kit_world *w = *state;
    struct line line;

    attach(w, w->g, FOLLOW);
    kit_world_tell(w, w->g, MESSAGE_JOIN,
                   "{\"room\":\"r0\",\"client\":\"c1\",\"user\":\"ann\",\"info\":{\"a\":1}}\n");
    expect(w, "+c1");
    struct slice rest = kit_last(w->g, MESSAGE_MOVES)->m.body;
    assert_int_equal(line_next(&rest, &line), 0);
    assert_true(slice_equal(line.user, SLICE_LIT("ann")));
    assert_true(slice_equal(line.info, SLICE_LIT("{\"a\":1}")));
    kit_world_tell(w, w->g, MESSAGE_LEAVE, LEFT("c1"));
    expect(w, "-c1");
    rest = kit_last(w->g, MESSAGE_MOVES)->m.body;
    assert_int_equal(line_next(&rest, &line), 0);
    assert_true(slice_equal(line.user, SLICE_LIT("ann")));
}

static void who_wants_nothing_any_more_is_told_nothing(void **state)
{
    struct kit_world *w = *state;

    attach(w, w->g, FOLLOW);
    kit_world_tell(w, w->g, MESSAGE_LEAVE, "{\"room\":\"r0\",\"moves\":true}\n");
    kit_world_tell(w, w->h, MESSAGE_JOIN, "");
    attach(w, w->h, MEMBER("c1"));
    expect(w, "");
    kit_world_tell(w, w->g, MESSAGE_JOIN, "{\"room\":\"r0\",\"moves\":true}\n");
    kit_world_tell(w, w->h, MESSAGE_JOIN, MEMBER("c2"));
    expect(w, "+c2");
    kit_world_tell(w, w->g, MESSAGE_LEAVE, "{\"room\":\"r0\"}\n");
    kit_world_tell(w, w->h, MESSAGE_JOIN, MEMBER("c3"));
    expect(w, "");
    kit_world_tell(w, w->g, MESSAGE_JOIN,
                   "{\"room\":\"r0\",\"moves\":true}\n"); /* of a room not followed */
    kit_world_tell(w, w->h, MESSAGE_JOIN, MEMBER("c4"));
    expect(w, "");
}

static void a_gateway_that_attaches_anew_has_only_what_changed_told(void **state)
{
    struct kit_world *w = *state;

    attach(w, w->g, FOLLOW);
    attach(w, w->h, MEMBER("c1") MEMBER("c2"));
    expect(w, "+c1 +c2");
    attach(w, w->h, MEMBER_AGAIN("c2") MEMBER("c3"));
    expect(w, "+c3 -c1");
    assert_int_equal(partition_members(w->o->machine), 2);
}

static void members_that_a_new_owner_hears_of_again_have_not_come(void **state)
{
    struct kit_world *w = *state;

    attach(w, w->g, FOLLOW MEMBER_AGAIN("c1"));
    attach(w, w->h, MEMBER_AGAIN("c2") MEMBER("c3"));
    expect(w, "+c3");
    kit_world_tell(w, w->h, MESSAGE_LEAVE, LEFT("c2"));
    expect(w, "-c2");
}

/* It has wanted to know before. */
#define FOLLOW_ON "{\"room\":\"r0\"}\n{\"room\":\"r0\",\"moves\":true,\"again\":true}\n"

static void who_wanted_to_know_before_is_told_what_passed_it_by(void **state)
{
    struct kit_world *w = *state;

    attach(w, w->h, MEMBER("c1") MEMBER_AGAIN("c2") "{\"room\":\"r1\",\"client\":\"x\"}\n");
    kit_world_tell(w, w->h, MESSAGE_LEAVE, LEFT("c2"));
    attach(w, w->g, FOLLOW_ON MEMBER("mine"));
    expect(w, "+c1 -c2 +mine");
    attach(w, w->g, FOLLOW MEMBER_AGAIN("mine")); /* it has just begun: it missed nothing */
    expect(w, "");
    attach(w, w->g, FOLLOW_ON MEMBER_AGAIN("mine")); /* the link broke: what it said may be lost */
    expect(w, "+c1 -c2 +mine");
    kit_world_tell(w, w->h, MESSAGE_LEAVE, LEFT("c1"));
    expect(w, "-c1");
    kit_tick(&w->kit, w->o, w->kit.conf.lease_ms - 1000);
    kit_world_run(w);
    attach(w, w->h, "");
    attach(w, w->g, FOLLOW_ON MEMBER_AGAIN("mine"));
    expect(w, "-c2 +mine -c1"); /* of c1 the last */
    kit_tick(&w->kit, w->o, 2000);
    attach(w, w->g, FOLLOW_ON MEMBER_AGAIN("mine"));
    expect(w, ""); /* that was long ago */
}

static void a_few_moves_are_kept_and_no_more(void **state)
{
    struct kit_world *w = *state;
    struct buf body = BUF_EMPTY;

    attach(w, w->h, "");
    for (unsigned i = 0; i < 1000; i++) {
        buf_addf(&body, "{\"room\":\"r0\",\"client\":\"c%u\",\"user\":\"u\"}\n", i);
    }
    buf_add(&body, "", 1);
    kit_world_tell(w, w->h, MESSAGE_JOIN, body.at);
    buf_deinit(&body);
    attach(w, w->g, FOLLOW_ON);
    kit_tick(&w->kit, w->o, 100);
    kit_world_run(w);
    struct slice rest = kit_last(w->g, MESSAGE_MOVES)->m.body;
    struct line line;
    size_t count = 0;
    while (line_next(&rest, &line) == 0) {
        count++;
    }
    assert_int_equal(count, MOVES_PAST_MAX);
    assert_int_equal(stat_get(&w->kit.stats.limits.met[OWNER_LIMIT_MOVES_PAST]),
                     1000 - MOVES_PAST_MAX);
    assert_true(slice_equal(line.client, SLICE_LIT("c999")));
}

static void where_nothing_is_told_nothing_is_told_later(void **state)
{
    struct kit_world *w = *state;

    attach(w, w->h, MEMBER("c1"));
    attach(w, w->g, FOLLOW_ON);
    expect(w, "");
}

/* A world whose rooms have a rate of 0. */
static int start_hushed(void **state)
{
    struct kit_world *w = mem_new(struct kit_world);

    kit_init(&w->kit, 1);
    w->kit.conf.moves_max = 0;
    kit_world_settle(w);
    *state = w;
    return 0;
}

static void a_leave_that_no_owner_has_heard_of_is_told(void **state)
{
    struct kit_world *w = *state;

    attach(w, w->g, FOLLOW);
    attach(w, w->h,
           "{\"room\":\"r0\",\"client\":\"c1\",\"user\":\"ann\",\"left\":true}\n"
           "{\"room\":\"r5\",\"client\":\"c1\",\"user\":\"ann\",\"left\":true}\n" MEMBER("c2"));
    expect(w, "-c1 +c2");
    assert_int_equal(partition_members(w->o->machine), 1);
    attach(w, w->h, /* this owner knows it */
           "{\"room\":\"r0\",\"client\":\"c2\",\"user\":\"ann\",\"left\":true}\n");
    expect(w, "-c2");
    assert_int_equal(partition_members(w->o->machine), 0);
}

static void a_leave_is_told_to_who_attaches_later(void **state)
{
    struct kit_world *w = *state;

    attach(w, w->h, "{\"room\":\"r0\",\"client\":\"c1\",\"user\":\"ann\",\"left\":true}\n");
    attach(w, w->g, FOLLOW_ON);
    expect(w, "-c1");
}

static void a_leave_that_this_owner_has_heard_of_is_told_once(void **state)
{
    struct kit_world *w = *state;

    attach(w, w->g, FOLLOW);
    attach(w, w->h, MEMBER("c1"));
    kit_world_tell(w, w->h, MESSAGE_LEAVE, LEFT("c1"));
    expect(w, "+c1 -c1");
    attach(w, w->h, "{\"room\":\"r0\",\"client\":\"c1\",\"user\":\"ann\",\"left\":true}\n");
    expect(w, "");
}

static void a_gateway_that_is_dropped_takes_its_members_with_it(void **state)
{
    struct kit_world *w = *state;

    attach(w, w->g, FOLLOW);
    attach(w, w->h, MEMBER("c1") MEMBER("c2"));
    expect(w, "+c1 +c2");
    for (int i = 0; i < 4; i++) { /* only one of them shows signs of life */
        kit_tick(&w->kit, w->o, 5000);
        kit_gateway_alive(&w->kit, w->g);
        kit_world_run(w);
    }
    expect(w, "-c1 -c2");
    partition_on_gateway_gone(w->o->machine, slice_of(w->h->id)); /* it is gone already */
    expect(w, "");

    /* If it was only frozen, its members come again. */
    attach(w, w->h, MEMBER_AGAIN("c1") MEMBER_AGAIN("c2"));
    expect(w, "+c1 +c2");
    attach(w, w->h, MEMBER_AGAIN("c1") MEMBER_AGAIN("c2"));
    expect(w, "");
}

static void members_of_a_long_attach_are_waited_for(void **state)
{
    struct kit_world *w = *state;
    struct buf body = BUF_EMPTY;

    attach(w, w->g, FOLLOW);
    attach(w, w->h, MEMBER("c1") MEMBER("c2") MEMBER("c3"));
    expect(w, "+c1 +c2 +c3");
    buf_add_slice(&body, SLICE_LIT(MEMBER_AGAIN("c1")));
    while (body.size <= 1 << 20) {
        buf_add_slice(&body, SLICE_LIT("{\"room\":\"r1\",\"client\":\"x\"}\n"));
    }
    buf_add(&body, "", 1);
    attach(w, w->h, body.at);
    buf_deinit(&body);
    expect(w, "");
    kit_world_tell(w, w->h, MESSAGE_JOIN, MEMBER_AGAIN("c2"));
    expect(w, "");
    kit_world_tell(w, w->h, MESSAGE_ALIVE, "");
    expect(w, "-c3");
}

/* So many members of a room, each with as much to tell as can be. */
static void add_members(struct buf *body, const char *room, unsigned count)
{
    char info[INFO_MAX + 1];

    memset(info, 'x', INFO_MAX);
    memcpy(info, "{\"a\":\"", 6);
    memcpy(info + INFO_MAX - 2, "\"}", 3);
    for (unsigned i = 0; i < count; i++) {
        buf_addf(body, "{\"room\":\"%s\",\"client\":\"c%u\",\"user\":\"ann\",\"info\":", room, i);
        buf_addf(body, "%s,\"chan_info\":%s}\n", info, info);
    }
    buf_add(body, "", 1);
}

static void moves_that_fill_a_message_do_not_overtake_an_answer(void **state)
{
    struct kit_world *w = *state;
    struct buf body = BUF_EMPTY;

    attach(w, w->g, FOLLOW "{\"room\":\"r1\"}\n{\"room\":\"r1\",\"moves\":true}\n");
    add_members(&body, "r0", 100);
    kit_world_tell(w, w->g, MESSAGE_JOIN, body.at);
    buf_clear(&body);
    buf_add_slice(&body, SLICE_LIT("{\"room\":\"r2\"}\n"));
    add_members(&body, "r1", 100);
    kit_world_tell(w, w->g, MESSAGE_JOIN, body.at);
    buf_deinit(&body);
    kit_tick(&w->kit, w->o, 100);
    kit_world_run(w);
    assert_int_equal(stat_get(&w->kit.stats.moves_told), 200);
    assert_non_null(kit_last(w->g, MESSAGE_MOVES));
    assert_int_equal(w->g->link_holes, 0);
}

static void a_crowd_that_comes_is_a_few_messages(void **state)
{
    struct kit_world *w = *state;
    struct buf body = BUF_EMPTY;
    const unsigned crowd = 100000;

    attach(w, w->g, FOLLOW);
    attach(w, w->h, "");
    size_t before = w->g->inbox.count;
    for (unsigned i = 0; i < crowd; i++) {
        buf_addf(&body, "{\"room\":\"r0\",\"client\":\"c%u\",\"user\":\"u%u\"}\n", i, i);
        if (body.size > 1 << 18 || i == crowd - 1) {
            buf_add(&body, "", 1);
            kit_world_tell(w, w->h, MESSAGE_JOIN, body.at);
            buf_clear(&body);
        }
    }
    buf_deinit(&body);
    kit_tick(&w->kit, w->o, 100);
    kit_world_run(w);
    assert_int_equal(partition_members(w->o->machine), crowd);
    assert_in_range(w->g->inbox.count - before, 1, 3);
    assert_int_equal(stat_get(&w->kit.stats.moves_told), w->kit.conf.moves_max);
    assert_int_equal(stat_get(&w->kit.stats.limits.met[OWNER_LIMIT_MOVES]),
                     crowd - w->kit.conf.moves_max);
    kit_tick(&w->kit, w->o, 1000); /* another second, another hundred */
    kit_world_tell(w, w->h, MESSAGE_LEAVE, LEFT("c7"));
    w->read = w->g->inbox.count;
    expect(w, "-c7");
}

/* Tells the owner of the whole crowd; `more` is in each line. */
static void tell_crowd(struct kit_world *w, unsigned crowd, const char *more)
{
    struct buf body = BUF_EMPTY;

    attach(w, w->h, "{\"room\":\"r0\"}\n");
    for (unsigned i = 0; i < crowd; i++) {
        buf_addf(&body, "{\"room\":\"r0\",\"client\":\"c%u\",\"user\":\"u%u\"%s}\n", i, i, more);
        if (body.size > 1 << 20 || i == crowd - 1) {
            buf_add(&body, "", 1);
            kit_world_tell(w, w->h, MESSAGE_JOIN, body.at);
            buf_clear(&body);
        }
    }
    buf_deinit(&body);
    kit_tick(&w->kit, w->o, 100);
    kit_world_run(w);
}

/* Bytes that a gateway got since then. */
static size_t bytes_since(const struct kit_gateway *g, size_t letters)
{
    size_t sum = 0;

    for (size_t i = letters; i < g->inbox.count; i++) {
        sum += g->inbox.at[i]->m.body.size;
    }
    return sum;
}

/* 100,000 sessions in a room: their owner changes, their gateway dies, and who is there is asked:
 * each costs others a few messages, and no more bytes than the room may be told in a second. */
static void a_crowd_is_no_storm_whatever_happens_to_it(void **state)
{
    struct kit_world *w = *state;
    const unsigned crowd = 100000;
    const size_t a_second = (size_t)w->kit.conf.moves_max * 128;

    attach(w, w->g, FOLLOW);
    tell_crowd(w, crowd, "");
    kit_world_change_owner(w);
    attach(w, w->g, FOLLOW_ON);
    size_t before = w->g->inbox.count;
    tell_crowd(w, crowd, ",\"again\":true");
    assert_int_equal(partition_members(w->o->machine), crowd);
    assert_int_equal(w->g->inbox.count, before); /* nobody came */

    kit_world_tell(w, w->g, MESSAGE_PRESENCE, "{\"room\":\"r0\"}\n");
    kit_world_tell(w, w->g, MESSAGE_PRESENCE, "{\"room\":\"r0\",\"count\":true}\n");
    struct slice rest = kit_last(w->g, MESSAGE_PRESENT)->m.body;
    struct line line;
    assert_int_equal(line_next(&rest, &line), 0);
    assert_true(line.clients == crowd && line.users == crowd);
    assert_int_equal(w->g->inbox.count, before + 2);
    assert_true(bytes_since(w->g, before) < 256);

    before = w->g->inbox.count;
    partition_on_gateway_gone(w->o->machine, slice_of(w->h->id));
    kit_tick(&w->kit, w->o, 100);
    kit_world_run(w);
    assert_int_equal(partition_members(w->o->machine), 0);
    assert_int_equal(w->g->inbox.count, before + 1);
    assert_in_range(bytes_since(w->g, before), 1, a_second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_world_start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(where_nothing_is_told_nothing_is_told_later, start_hushed,
                                        kit_test_stop),
        TEST(joins_and_leaves_of_all_gateways_are_told_in_order),
        TEST(what_was_told_is_told_with_everything_about_the_member),
        TEST(who_wants_nothing_any_more_is_told_nothing),
        TEST(a_gateway_that_attaches_anew_has_only_what_changed_told),
        TEST(members_that_a_new_owner_hears_of_again_have_not_come),
        TEST(who_wanted_to_know_before_is_told_what_passed_it_by),
        TEST(a_few_moves_are_kept_and_no_more),
        TEST(a_leave_that_no_owner_has_heard_of_is_told),
        TEST(a_leave_is_told_to_who_attaches_later),
        TEST(a_leave_that_this_owner_has_heard_of_is_told_once),
        TEST(a_gateway_that_is_dropped_takes_its_members_with_it),
        TEST(members_of_a_long_attach_are_waited_for),
        TEST(moves_that_fill_a_message_do_not_overtake_an_answer),
        TEST(a_crowd_that_comes_is_a_few_messages),
        TEST(a_crowd_is_no_storm_whatever_happens_to_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
