/*
 * test_links_outages.c: links whose owner does not answer, and links without a broker.
 */
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"

/* A member of ROOM, whose link is attached at (k1, 5). */
static void begin_attached(struct kit *k, struct peer *p)
{
    kit_begin_without_presence(k);
    peer_connect(p, k, "ann");
    peer_subscribe(p, ROOM);
    kit_position(k, ROOM, "k1", 5);
    peer_expect_part(p, "\"epoch\":\"k1\",\"offset\":5");
}

static void an_attach_without_an_answer_is_repeated_under_a_new_number(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin_without_presence(&k);
    peer_connect(&ann, &k, "ann");
    peer_subscribe(&ann, ROOM);
    kit_attach(&k, kit_partition(ROOM));
    kit_tick(&k);
    kit_expect_none(&k, MESSAGE_ATTACH);
    kit_skip(LINK_ANSWER_MS + 1);
    kit_attach(&k, kit_partition(ROOM)); /* asserts that the number is a new one */
    peer_end(&ann);
    kit_end(&k);
}

static void a_join_without_an_answer_begins_a_new_link(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    char first[KIT_ROOM_SIZE], second[KIT_ROOM_SIZE];

    kit_begin_without_presence(&k);
    kit_room(first, 2, 0);
    kit_room(second, 2, 1);
    peer_connect(&ann, &k, "ann");
    peer_subscribe(&ann, first);
    kit_position(&k, first, "k1", 5);
    peer_subscribe(&ann, second);
    kit_drop(&k, MESSAGE_JOIN);
    kit_skip(LINK_ANSWER_MS + 1);
    kit_attach(&k, 2);
    peer_end(&ann);
    kit_end(&k);
}

static void a_link_shows_that_it_lives_and_a_silent_owner_is_left(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    uint32_t p = kit_partition(ROOM);

    begin_attached(&k, &ann);
    for (uint64_t i = 0; i < 3; i++) { /* longer than an owner may be silent */
        kit_skip(LINK_ALIVE_MS + 1);
        struct bus_out *out = kit_take(&k, MESSAGE_ALIVE);
        assert_int_equal(out->message.link, k.owners[p].link);
        assert_int_equal(out->message.number, 2 + i);
        bus_out_free(out);
        kit_say(&k, p, MESSAGE_DELIVER, "");
        kit_expect_none(&k, MESSAGE_ALIVE);
    }
    kit_expect_none(&k, MESSAGE_ATTACH);
    kit_skip(LINK_ALIVE_MS + 1);
    kit_drop(&k, MESSAGE_ALIVE);
    kit_skip(LINK_SILENT_MS);
    kit_attach(&k, p);
    peer_end(&ann);
    kit_end(&k);
}

static void a_link_that_nobody_needs_falls_silent(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;

    begin_attached(&k, &ann);
    peer_end(&ann);
    kit_expect_body(&k, MESSAGE_LEAVE, "{\"room\":\"" ROOM "\"}\n");
    for (int i = 0; i < 4; i++) {
        kit_skip(LINK_ALIVE_MS + 1);
        kit_tick(&k);
    }
    kit_settle(&k);
    assert_int_equal(k.bus.count, 0);
    peer_connect(&bob, &k, "bob");
    peer_subscribe(&bob, ROOM);
    kit_expect_body(&k, MESSAGE_ATTACH, "{\"room\":\"" ROOM "\"}\n");
    peer_end(&bob);
    kit_end(&k);
}

static void after_an_outage_everything_is_attached_again(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;

    begin_attached(&k, &ann);
    kit_bus_down(&k);
    peer_connect(&bob, &k, "bob");
    peer_subscribe(&bob, ROOM); /* the room is known: no broker is needed */
    peer_expect_part(&bob, "\"epoch\":\"k1\",\"offset\":5");
    kit_deliver(&k, ROOM, "k1", 6, 6); /* from before the outage */
    kit_skip(LINK_SILENT_MS);
    kit_tick(&k);
    kit_settle(&k);
    assert_int_equal(k.bus.count, 0);
    peer_expect_nothing(&ann);
    kit_bus_up(&k);
    kit_position(&k, ROOM, "k1", 5);
    kit_deliver(&k, ROOM, "k1", 6, 6);
    peer_expect_records(&ann, ROOM, 6, 6);
    peer_expect_records(&bob, ROOM, 6, 6);
    peer_end(&bob);
    peer_end(&ann);
    kit_end(&k);
}

static void during_an_alarm_links_stay_as_they_are_and_nothing_is_said_anew(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;
    char other[KIT_ROOM_SIZE];
    uint32_t p = kit_partition(ROOM);

    begin_attached(&k, &ann);
    links_blocked(k.gateway.links, true);
    for (int i = 0; i < 10; i++) {
        kit_skip(LINK_SILENT_MS + 1);
        kit_tick(&k);
    }
    kit_room(other, (p + 1) % KIT_PARTITIONS, 0);
    peer_connect(&bob, &k, "bob");
    peer_subscribe(&bob, other); /* it waits for its partition's link */
    kit_tick(&k);
    kit_settle(&k);
    assert_int_equal(k.bus.count, 0);
    kit_deliver(&k, ROOM, "k1", 6, 6); /* was on its way */
    peer_expect_records(&ann, ROOM, 6, 6);
    links_blocked(k.gateway.links, false);
    bus_out_free(kit_take_of(&k, MESSAGE_ALIVE, p)); /* is the owner still there? */
    kit_position(&k, other, "k1", 1);
    kit_say(&k, p, MESSAGE_DELIVER, "");
    kit_deliver(&k, ROOM, "k1", 7, 7);
    peer_expect_records(&ann, ROOM, 7, 7);
    kit_expect_none(&k, MESSAGE_ATTACH);
    kit_skip(LINK_SILENT_MS + 1); /* and from now on it is owed an answer again */
    kit_attach(&k, p);
    peer_end(&bob);
    peer_end(&ann);
    kit_end(&k);
}

static void what_a_full_bus_does_not_take_is_a_new_link_later(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin_without_presence(&k);
    peer_connect(&ann, &k, "ann");
    k.bus.is_full = true;
    peer_subscribe(&ann, ROOM);
    kit_tick(&k);
    k.bus.is_full = false;
    kit_tick(&k);
    kit_expect_none(&k, MESSAGE_ATTACH);
    kit_skip(LINK_ANSWER_MS + 1);
    kit_position(&k, ROOM, "k1", 5);
    peer_expect_part(&ann, "\"offset\":5");
    peer_end(&ann);
    kit_end(&k);
}

/* More than a message takes: 120 sessions in 100 rooms each. */
static void very_many_members_travel_in_several_messages(void **state)
{
    (void)state;
    enum { ROOMS = 100, PEERS = 120 };
    struct kit k;
    static struct peer peers[PEERS];
    const struct rooms_entry anywhere = {.command_id = 2};
    char room[KIT_ROOM_SIZE];
    size_t lines = 0, messages = 0;
    struct bus_out *out;

    kit_init(&k);
    k.conf.rooms_max = ROOMS;
    kit_start(&k);
    kit_bus_down(&k);
    for (size_t i = 0; i < PEERS; i++) {
        peer_connect(&peers[i], &k, "ann");
        for (unsigned n = 0; n < ROOMS; n++) {
            kit_room(room, 0, n);
            assert_int_equal(rooms_enter(peer_session(&peers[i]), slice_of(room), &anywhere), 0);
        }
    }
    kit_bus_up(&k);
    out = kit_take(&k, MESSAGE_ATTACH);
    for (; out != NULL; messages++) {
        struct slice body = blob_slice(out->body);

        assert_int_equal(out->message.number, messages + 1);
        assert_true(body.size < (1 << 20) + 1024);
        for (size_t i = 0; i < body.size; i++) {
            lines += body.at[i] == '\n';
        }
        bus_out_free(out);
        out = kit_count(&k, MESSAGE_JOIN) > 0 ? kit_take(&k, MESSAGE_JOIN) : NULL;
    }
    assert_true(messages >= 2);
    assert_int_equal(lines, ROOMS + ROOMS * PEERS);
    for (size_t i = 0; i < PEERS; i++) {
        peer_end(&peers[i]);
    }
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_attach_without_an_answer_is_repeated_under_a_new_number),
        cmocka_unit_test(a_join_without_an_answer_begins_a_new_link),
        cmocka_unit_test(a_link_shows_that_it_lives_and_a_silent_owner_is_left),
        cmocka_unit_test(a_link_that_nobody_needs_falls_silent),
        cmocka_unit_test(after_an_outage_everything_is_attached_again),
        cmocka_unit_test(during_an_alarm_links_stay_as_they_are_and_nothing_is_said_anew),
        cmocka_unit_test(what_a_full_bus_does_not_take_is_a_new_link_later),
        cmocka_unit_test(very_many_members_travel_in_several_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
