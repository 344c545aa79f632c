/*
 * test_links.c: attaching to the owners, and what makes the gateway attach anew.
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

static void nothing_is_asked_before_somebody_comes(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    kit_tick(&k);
    kit_announce(&k, 0, KIT_TERM);
    kit_settle(&k);
    assert_int_equal(k.bus.count, 0);
    assert_true(links_are_settled(k.gateway.links));
    peer_end(&ann);
    kit_end(&k);
}

static void the_first_room_of_a_partition_begins_a_link(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin_without_presence(&k);
    peer_connect(&ann, &k, "ann");
    peer_subscribe(&ann, ROOM);
    struct bus_out *out = kit_take(&k, MESSAGE_ATTACH);
    assert_int_equal(out->target, BUS_TO_OWNER);
    assert_int_equal(out->message.partition, kit_partition(ROOM));
    assert_int_equal(out->message.number, 1);
    assert_true(out->message.link > 0);
    assert_true(slice_equal(out->message.gateway, SLICE_LIT("g1")));
    assert_true(slice_equal(out->message.boot, slice_of(k.gateway.boot)));
    assert_true(slice_equal(blob_slice(out->body), SLICE_LIT("{\"room\":\"" ROOM "\"}\n")));
    assert_false(links_are_settled(k.gateway.links));
    peer_expect_nothing(&ann);
    bus_out_free(out);
    peer_end(&ann);
    kit_end(&k);
}

static void an_answer_with_positions_settles_the_link(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin_attached(&k, &ann);
    assert_true(links_are_settled(k.gateway.links));
    kit_skip(LINK_ANSWER_MS + 500);
    kit_tick(&k);
    kit_expect_none(&k, MESSAGE_ATTACH);
    peer_end(&ann);
    kit_end(&k);
}

static void further_rooms_join_and_leave_on_the_same_link(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    char first[KIT_ROOM_SIZE], second[KIT_ROOM_SIZE], text[128];

    kit_begin_without_presence(&k);
    kit_room(first, 1, 0);
    kit_room(second, 1, 1);
    peer_connect(&ann, &k, "ann");
    peer_subscribe(&ann, first);
    kit_position(&k, first, "k1", 5);
    peer_expect_part(&ann, "\"offset\":5");

    peer_subscribe(&ann, second);
    struct bus_out *out = kit_take(&k, MESSAGE_JOIN);
    snprintf(text, sizeof(text), "{\"room\":\"%s\"}\n", second);
    assert_true(slice_equal(blob_slice(out->body), slice_of(text)));
    assert_int_equal(out->message.link, k.owners[1].link);
    assert_int_equal(out->message.number, 2);
    bus_out_free(out);
    peer_expect_nothing(&ann);
    snprintf(text, sizeof(text), "{\"room\":\"%s\",\"epoch\":\"k2\",\"offset\":7}\n", second);
    kit_say(&k, 1, MESSAGE_POSITIONS, text);
    peer_expect_part(&ann, "\"epoch\":\"k2\",\"offset\":7");

    snprintf(text, sizeof(text), "{\"id\":9,\"unsubscribe\":{\"channel\":\"%s\"}}", first);
    peer_send(&ann, text);
    peer_expect(&ann, "{\"id\":9,\"unsubscribe\":{}}");
    out = kit_take(&k, MESSAGE_LEAVE);
    snprintf(text, sizeof(text), "{\"room\":\"%s\"}\n", first);
    assert_true(slice_equal(blob_slice(out->body), slice_of(text)));
    assert_int_equal(out->message.number, 3);
    bus_out_free(out);
    kit_expect_none(&k, MESSAGE_ATTACH);
    peer_end(&ann);
    kit_end(&k);
}

static void a_late_answer_says_nothing_about_a_room_that_was_left_and_entered_again(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    char first[KIT_ROOM_SIZE], second[KIT_ROOM_SIZE], text[128];

    kit_begin_without_presence(&k);
    kit_room(first, 1, 0);
    kit_room(second, 1, 1);
    peer_connect(&ann, &k, "ann");
    peer_subscribe(&ann, first);
    kit_position(&k, first, "k1", 5);
    peer_expect_part(&ann, "\"offset\":5");

    peer_subscribe(&ann, second);
    kit_drop(&k, MESSAGE_JOIN);
    snprintf(text, sizeof(text), "{\"id\":9,\"unsubscribe\":{\"channel\":\"%s\"}}", second);
    peer_send(&ann, text);
    peer_expect_part(&ann, "{\"id\":2,\"error\":");
    peer_expect(&ann, "{\"id\":9,\"unsubscribe\":{}}");
    peer_subscribe(&ann, second);
    kit_drop(&k, MESSAGE_JOIN);

    snprintf(text, sizeof(text), "{\"room\":\"%s\",\"epoch\":\"k2\",\"offset\":7}\n", second);
    kit_say(&k, 1, MESSAGE_POSITIONS, text);
    peer_expect_nothing(&ann);
    snprintf(text, sizeof(text), "{\"room\":\"%s\",\"epoch\":\"k2\",\"offset\":9}\n", second);
    kit_say(&k, 1, MESSAGE_POSITIONS, text);
    peer_expect_part(&ann, "\"epoch\":\"k2\",\"offset\":9");
    kit_deliver(&k, second, "k2", 10, 11);
    peer_expect_records(&ann, second, 10, 11);
    peer_expect_nothing(&ann);
    peer_end(&ann);
    kit_end(&k);
}

static void members_are_told_with_their_rooms(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;
    char want[512];
    const char *of_ann, *of_bob;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    of_ann = peer_session(&ann)->client;
    peer_subscribe(&ann, ROOM);
    snprintf(
        want, sizeof(want),
        "{\"room\":\"" ROOM "\"}\n{\"room\":\"" ROOM
        "\",\"client\":\"%s\",\"user\":\"ann\",\"info\":{\"name\":\"ann\",\"gateway\":\"g1\"}}\n",
        of_ann);
    kit_expect_body(&k, MESSAGE_ATTACH, want);
    peer_connect(&bob, &k, "bob");
    of_bob = peer_session(&bob)->client;
    peer_subscribe(&bob, ROOM);
    snprintf(
        want, sizeof(want),
        "{\"room\":\"" ROOM
        "\",\"client\":\"%s\",\"user\":\"bob\",\"info\":{\"name\":\"bob\",\"gateway\":\"g1\"}}\n",
        of_bob);
    kit_expect_body(&k, MESSAGE_JOIN, want);
    snprintf(want, sizeof(want), "{\"room\":\"" ROOM "\",\"client\":\"%s\"}\n", of_bob);
    peer_end(&bob);
    kit_expect_body(&k, MESSAGE_LEAVE, want);
    snprintf(want, sizeof(want),
             "{\"room\":\"" ROOM "\",\"client\":\"%s\"}\n{\"room\":\"" ROOM "\"}\n", of_ann);
    peer_end(&ann);
    kit_expect_body(&k, MESSAGE_LEAVE, want);
    kit_end(&k);
}

static void a_hole_in_the_link_begins_a_new_one_from_where_the_room_is(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    uint32_t p = kit_partition(ROOM);

    begin_attached(&k, &ann);
    kit_deliver(&k, ROOM, "k1", 6, 7);
    peer_expect_records(&ann, ROOM, 6, 7);
    k.owners[p].number++; /* one got lost */
    kit_deliver(&k, ROOM, "k1", 9, 9);
    peer_expect_nothing(&ann);
    assert_int_equal(stat_get(&k.gateway.metrics.link_holes), 1);
    kit_deliver(&k, ROOM, "k1", 10, 10); /* the old link is over */
    peer_expect_nothing(&ann);

    struct bus_out *out = kit_take(&k, MESSAGE_ATTACH);
    assert_true(slice_equal(blob_slice(out->body),
                            SLICE_LIT("{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":7}\n")));
    k.owners[p].link = out->message.link;
    k.owners[p].number = 0;
    bus_out_free(out);
    kit_say(&k, p, MESSAGE_POSITIONS,
            "{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":10,\"from\":7}\n");
    kit_deliver(&k, ROOM, "k1", 8, 10);
    peer_expect_records(&ann, ROOM, 8, 10);
    assert_int_equal(stat_get(&k.gateway.metrics.positions_lost), 0);
    peer_end(&ann);
    kit_end(&k);
}

static void records_that_do_not_continue_their_room_begin_a_new_link(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin_attached(&k, &ann);
    kit_deliver(&k, ROOM, "k1", 8, 9);
    peer_expect_nothing(&ann);
    kit_expect_body(&k, MESSAGE_ATTACH, "{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":5}\n");
    peer_end(&ann);
    kit_end(&k);
}

static void what_is_not_of_this_link_is_ignored(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    struct buf body = BUF_EMPTY;

    begin_attached(&k, &ann);
    kit_add_record(&body, ROOM, "k1", 6, "{\"n\":6}");
    const struct kit_owner *owner = &k.owners[kit_partition(ROOM)];
    const struct message right = {
        .type = MESSAGE_DELIVER,
        .partition = kit_partition(ROOM),
        .term = owner->term,
        .boot = slice_of(owner->boot),
        .link = owner->link,
        .number = owner->number + 1,
        .body = buf_slice(&body),
    };
    struct message wrong[5] = {right, right, right, right, right};
    wrong[0].boot = SLICE_LIT("0000000000000000");
    wrong[1].link = owner->link - 1;
    wrong[2].link = owner->link + 1;
    wrong[3].term = owner->term - 1;
    wrong[4].partition = (right.partition + 1) % KIT_PARTITIONS;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        kit_say_raw(&k, &wrong[i]);
        peer_expect_nothing(&ann);
    }
    kit_expect_none(&k, MESSAGE_ATTACH);
    kit_say_raw(&k, &right);
    peer_expect_records(&ann, ROOM, 6, 6);
    buf_deinit(&body);
    peer_end(&ann);
    kit_end(&k);
}

static void what_no_gateway_is_sent_is_counted_as_poison(void **state)
{
    (void)state;
    struct kit k;

    kit_begin(&k);
    kit_say_raw(&k, &(struct message){.type = MESSAGE_DELIVER, .partition = KIT_PARTITIONS});
    kit_say_raw(&k, &(struct message){.type = MESSAGE_ATTACH});
    kit_say_raw(&k, &(struct message){.type = MESSAGE_APPEND});
    assert_int_equal(stat_get(&k.gateway.metrics.poisoned), 3);
    kit_end(&k);
}

static void a_new_owner_is_attached_to_and_an_old_one_is_not(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    uint32_t p = kit_partition(ROOM);

    begin_attached(&k, &ann);
    kit_announce(&k, p, KIT_TERM - 1);
    kit_announce(&k, (p + 1) % KIT_PARTITIONS, KIT_TERM + 1);
    kit_tick(&k);
    kit_expect_none(&k, MESSAGE_ATTACH);
    kit_announce(&k, p, KIT_TERM); /* "attach anew" */
    kit_attach(&k, p);
    k.owners[p].term = KIT_TERM + 1;
    kit_announce(&k, p, KIT_TERM + 1);
    kit_attach(&k, p);
    kit_announce(&k, p, KIT_TERM);
    kit_tick(&k);
    kit_expect_none(&k, MESSAGE_ATTACH);
    kit_say(&k, p, MESSAGE_POSITIONS, "{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":5}\n");
    kit_deliver(&k, ROOM, "k1", 6, 6);
    peer_expect_records(&ann, ROOM, 6, 6);
    peer_end(&ann);
    kit_end(&k);
}

static void whatever_an_owner_says_attaches_are_no_storm(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    int64_t began = clock_mono_ms();

    begin_attached(&k, &ann);
    for (int i = 0; i < 200; i++) {
        kit_announce(&k, kit_partition(ROOM), KIT_TERM);
        kit_turn(&k);
    }
    size_t attaches = kit_count(&k, MESSAGE_ATTACH);
    assert_true(attaches <= (size_t)(clock_mono_ms() - began) / 50 + 1);
    peer_end(&ann);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_asked_before_somebody_comes),
        cmocka_unit_test(the_first_room_of_a_partition_begins_a_link),
        cmocka_unit_test(an_answer_with_positions_settles_the_link),
        cmocka_unit_test(further_rooms_join_and_leave_on_the_same_link),
        cmocka_unit_test(a_late_answer_says_nothing_about_a_room_that_was_left_and_entered_again),
        cmocka_unit_test(members_are_told_with_their_rooms),
        cmocka_unit_test(a_hole_in_the_link_begins_a_new_one_from_where_the_room_is),
        cmocka_unit_test(records_that_do_not_continue_their_room_begin_a_new_link),
        cmocka_unit_test(what_is_not_of_this_link_is_ignored),
        cmocka_unit_test(what_no_gateway_is_sent_is_counted_as_poison),
        cmocka_unit_test(a_new_owner_is_attached_to_and_an_old_one_is_not),
        cmocka_unit_test(whatever_an_owner_says_attaches_are_no_storm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
