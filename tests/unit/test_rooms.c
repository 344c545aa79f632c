/*
 * test_rooms.c: coming into rooms and leaving them, and positions that are lost.
 */
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"
#define SUBSCRIBE(id) "{\"id\":" #id ",\"subscribe\":{\"channel\":\"" ROOM "\"}}"
#define POSITION(epoch, offset)                                                                    \
    "{\"room\":\"" ROOM "\",\"epoch\":\"" epoch "\",\"offset\":" #offset "}\n"
#define LOST                                                                                       \
    "{\"push\":{\"channel\":\"" ROOM                                                               \
    "\",\"unsubscribe\":{\"code\":2500,\"reason\":\"insufficient state\"}}}"

static void everybody_who_waits_for_a_position_is_answered(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob, eve;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    peer_connect(&bob, &k, "bob");
    peer_send(&ann, SUBSCRIBE(2));
    peer_send(&bob, SUBSCRIBE(3));
    peer_expect_nothing(&ann);
    kit_position(&k, ROOM, "k1", 5);
    peer_expect_part(&ann, "{\"id\":2,\"subscribe\":{");
    peer_expect_part(&bob, "{\"id\":3,\"subscribe\":{");
    peer_connect(&eve, &k, "eve");
    peer_send(&eve, SUBSCRIBE(4)); /* the gateway knows by itself */
    peer_expect_part(&eve, "{\"id\":4,\"subscribe\":{");
    kit_expect_none(&k, MESSAGE_ATTACH);
    peer_end(&ann);
    peer_end(&bob);
    peer_end(&eve);
    kit_end(&k);
}

static void a_subscribe_without_an_owner_is_a_temporary_error(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, joe;

    kit_init(&k);
    k.conf.subscribe_wait_ms = 60;
    kit_start(&k);
    peer_connect(&ann, &k, "ann");
    peer_open(&joe, &k, DIALECT_PLAIN, "joe", ROOM);
    peer_send(&ann, SUBSCRIBE(2));
    peer_expect(&ann, "{\"id\":2,\"error\":{\"code\":100,\"message\":\"internal server error\","
                      "\"temporary\":true}}");
    peer_expect(&joe, "{\"error\":{\"code\":100,\"message\":\"internal server error\","
                      "\"temporary\":true}}");
    peer_expect(&joe, "close 3004 internal server error"); /* it has no other room */
    assert_int_equal(rooms_count(k.gateway.rooms), 0);
    assert_int_equal(stat_get(&k.gateway.metrics.subscribes_late), 2);
    assert_true(session_is_open(peer_session(&ann)));
    peer_send(&ann, SUBSCRIBE(3)); /* and may try again */
    kit_drop(&k, MESSAGE_ATTACH);
    KIT_UNTIL(&k, rooms_count(k.gateway.rooms) == 0);
    kit_say(&k, kit_partition(ROOM), MESSAGE_POSITIONS, POSITION("k1", 5)); /* too late */
    peer_expect_part(&ann, "{\"id\":3,\"error\":");
    peer_expect_nothing(&ann);
    peer_end(&ann);
    peer_end(&joe);
    kit_end(&k);
}

static void a_session_is_once_in_a_room_and_in_so_many_rooms(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    char text[128];

    kit_begin(&k);
    k.conf.rooms_max = 3;
    peer_connect(&ann, &k, "ann");
    peer_send(&ann, SUBSCRIBE(2));
    peer_send(&ann, SUBSCRIBE(3)); /* not answered yet, and yet there */
    peer_expect(&ann, "{\"id\":3,\"error\":{\"code\":105,\"message\":\"already subscribed\"}}");
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "{\"id\":4,\"subscribe\":{\"channel\":\"%d\"}}", i);
        peer_send(&ann, text);
    }
    peer_expect(&ann, "{\"id\":4,\"error\":{\"code\":106,\"message\":\"limit exceeded\"}}");
    peer_send(&ann, "{\"id\":5,\"unsubscribe\":{\"channel\":\"" ROOM "\"}}\n"
                    "{\"id\":6,\"subscribe\":{\"channel\":\"3\"}}");
    peer_expect_part(&ann, "{\"id\":2,\"error\":{\"code\":100,");
    peer_expect(&ann, "{\"id\":5,\"unsubscribe\":{}}");
    peer_expect_nothing(&ann);
    assert_int_equal(rooms_count(k.gateway.rooms), 3);
    peer_end(&ann);
    kit_end(&k);
}

static void who_leaves_before_coming_in_is_answered_both_commands(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    peer_send(&ann, SUBSCRIBE(2));
    peer_expect_nothing(&ann);
    kit_drop(&k, MESSAGE_ATTACH);
    peer_send(&ann, "{\"id\":3,\"unsubscribe\":{\"channel\":\"" ROOM "\"}}\n" SUBSCRIBE(4));
    peer_expect(&ann, "{\"id\":2,\"error\":{\"code\":100,\"message\":\"internal server error\","
                      "\"temporary\":true}}");
    peer_expect(&ann, "{\"id\":3,\"unsubscribe\":{}}");
    kit_position(&k, ROOM, "k1", 5);
    peer_expect_part(&ann, "{\"id\":4,\"subscribe\":{");
    peer_expect_nothing(&ann);
    peer_end(&ann);
    kit_end(&k);
}

static void what_cannot_be_subscribed_is_answered_as_the_protocol_has_it(void **state)
{
    (void)state;
    static const struct {
        const char *members, *want;
    } cases[] = {
        {"\"channel\":\"a b\"", "\"code\":107,"},
        {"\"channel\":\"x\",\"type\":1", "\"code\":108,"},
        {"\"channel\":\"x\",\"tf\":{}", "\"code\":107,"},
        {"\"channel\":\"x\",\"epoch\":\"12345678901234567\"", "\"code\":107,"},
        {"\"channel\":5", "\"code\":107,"},
        {"\"channel\":\"\"", "close 3501 bad request"},
    };
    struct kit k;
    struct peer ann;
    char text[256];

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(text, sizeof(text), "{\"id\":7,\"subscribe\":{%s}}", cases[i].members);
        peer_send(&ann, text);
        peer_expect_part(&ann, cases[i].want);
    }
    assert_int_equal(rooms_count(k.gateway.rooms), 0);
    peer_end(&ann);
    kit_end(&k);
}

static void rights_decide_who_comes_in_and_who_speaks(void **state)
{
    (void)state;
    static char rule[] = "moderator";
    struct kit k;
    struct peer ann, joe;

    kit_begin(&k);
    k.conf.rules.defaults.subscribe = rule;
    k.conf.rules.defaults.publish = rule;
    peer_connect(&ann, &k, "ann");
    peer_send(&ann, SUBSCRIBE(2));
    peer_expect(&ann, "{\"id\":2,\"error\":{\"code\":103,\"message\":\"permission denied\"}}");
    peer_send(&ann, "{\"id\":3,\"publish\":{\"channel\":\"" ROOM "\",\"data\":1}}");
    peer_expect(&ann, "{\"id\":3,\"error\":{\"code\":103,\"message\":\"permission denied\"}}");
    peer_open(&joe, &k, DIALECT_PLAIN, "joe", ROOM);
    peer_expect(&joe, "{\"error\":{\"code\":103,\"message\":\"permission denied\"}}");
    peer_expect(&joe, "close 3501 bad request");
    peer_end(&ann);
    peer_end(&joe);
    kit_end(&k);
}

static void who_leaves_hears_nothing_more_and_others_do(void **state)
{
    (void)state;
    struct kit k;
    struct peer peers[5];

    kit_begin(&k);
    peer_connect(&peers[0], &k, "ann");
    peer_send(&peers[0], SUBSCRIBE(2));
    kit_position(&k, ROOM, "k1", 0);
    peer_expect_part(&peers[0], "\"subscribe\"");
    for (size_t i = 1; i < ARRAY_LEN(peers); i++) {
        peer_join(&peers[i], &k, "bob", ROOM);
    }
    for (uint64_t gone = 0; gone < ARRAY_LEN(peers); gone++) {
        size_t who = (gone * 2 + 1) % ARRAY_LEN(peers); /* 1 3 0 2 4 */

        peer_send(&peers[who], "{\"id\":9,\"unsubscribe\":{\"channel\":\"" ROOM "\"}}");
        peer_expect(&peers[who], "{\"id\":9,\"unsubscribe\":{}}");
        kit_deliver(&k, ROOM, "k1", gone + 1, gone + 1);
        for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
            bool is_gone = false;

            for (uint64_t g = 0; g <= gone; g++) {
                is_gone = is_gone || i == (g * 2 + 1) % ARRAY_LEN(peers);
            }
            if (is_gone) {
                peer_expect_nothing(&peers[i]);
            } else {
                peer_expect_records(&peers[i], ROOM, gone + 1, gone + 1);
            }
        }
    }
    assert_int_equal(rooms_count(k.gateway.rooms), 0);
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        peer_end(&peers[i]);
    }
    kit_end(&k);
}

static void an_unsubscribe_needs_no_subscription(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    peer_send(&ann, "{\"id\":2,\"unsubscribe\":{\"channel\":\"nowhere\"}}");
    peer_expect(&ann, "{\"id\":2,\"unsubscribe\":{}}");
    peer_send(&ann, SUBSCRIBE(3) "\n{\"id\":4,\"unsubscribe\":{\"channel\":\"" ROOM "\"}}");
    peer_expect_part(&ann, "{\"id\":3,\"error\":{\"code\":100,");
    peer_expect(&ann, "{\"id\":4,\"unsubscribe\":{}}");
    kit_settle(&k);
    assert_int_equal(k.bus.count, 0); /* nobody waits: the owner is not asked */
    peer_end(&ann);
    kit_end(&k);
}

static void a_lost_position_is_told_to_those_who_have_it(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, joe, eve;
    uint32_t p = kit_partition(ROOM);

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    peer_open(&joe, &k, DIALECT_PLAIN, "joe", ROOM);
    peer_send(&ann, SUBSCRIBE(2));
    kit_position(&k, ROOM, "k1", 5);
    peer_expect_part(&ann, "\"offset\":5}}");
    peer_connect(&eve, &k, "eve"); /* asks for what she missed, and is not answered yet */
    peer_send(&eve, "{\"id\":3,\"subscribe\":{\"channel\":\"" ROOM
                    "\",\"recover\":true,\"epoch\":\"k1\",\"offset\":3}}");
    kit_drop(&k, MESSAGE_HISTORY);
    kit_announce(&k, p, KIT_TERM);
    kit_position(&k, ROOM, "k2", 9);
    peer_expect(&ann, LOST);
    peer_expect(&joe, "close 3010 insufficient state");
    peer_expect(&eve, "{\"id\":3,\"subscribe\":{\"recoverable\":true,\"positioned\":true,"
                      "\"epoch\":\"k2\",\"offset\":9,\"was_recovering\":true}}");
    assert_int_equal(stat_get(&k.gateway.metrics.positions_lost), 1);
    peer_send(&ann, SUBSCRIBE(4));
    peer_expect_part(&ann, "\"epoch\":\"k2\",\"offset\":9}}");
    kit_deliver(&k, ROOM, "k2", 10, 10);
    peer_expect_records(&ann, ROOM, 10, 10);
    peer_expect_records(&eve, ROOM, 10, 10);
    peer_end(&ann);
    peer_end(&joe);
    peer_end(&eve);
    kit_end(&k);
}

static void positions_that_differ_in_anything_are_lost(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool is_lost;
    } cases[] = {
        {POSITION("k1", 5), false},
        {"{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":8,\"from\":5}\n", false},
        {POSITION("k1", 4), true},
        {POSITION("k1", 6), true},
        {POSITION("k2", 5), true},
        {"{\"room\":\"" ROOM "\",\"offset\":0}\n", true},
        {"{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":8,\"from\":0}\n", true},
    };
    struct kit k;
    struct peer ann;
    uint32_t p = kit_partition(ROOM);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        kit_begin(&k);
        peer_connect(&ann, &k, "ann");
        peer_send(&ann, SUBSCRIBE(2));
        kit_position(&k, ROOM, "k1", 5);
        peer_expect_part(&ann, "\"offset\":5}}");
        kit_announce(&k, p, KIT_TERM);
        kit_attach(&k, p);
        kit_say(&k, p, MESSAGE_POSITIONS, cases[i].line);
        if (cases[i].is_lost) {
            peer_expect(&ann, LOST);
        }
        peer_expect_nothing(&ann);
        peer_end(&ann);
        kit_end(&k);
    }
}

static void positions_of_rooms_that_nobody_follows_are_nothing(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    peer_send(&ann, SUBSCRIBE(2));
    kit_attach(&k, kit_partition(ROOM));
    kit_say(&k, kit_partition(ROOM), MESSAGE_POSITIONS,
            "{\"room\":\"nobody\",\"epoch\":\"k1\",\"offset\":8}\n"
            "{\"lane\":\"0123456789abcdef\",\"batch\":1}\n" POSITION("k1", 5) "garbage\n");
    peer_expect_part(&ann, "\"epoch\":\"k1\",\"offset\":5}}");
    assert_int_equal(rooms_count(k.gateway.rooms), 1);
    assert_int_equal(stat_get(&k.gateway.metrics.poisoned), 1);
    peer_end(&ann);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_who_waits_for_a_position_is_answered),
        cmocka_unit_test(a_subscribe_without_an_owner_is_a_temporary_error),
        cmocka_unit_test(a_session_is_once_in_a_room_and_in_so_many_rooms),
        cmocka_unit_test(who_leaves_before_coming_in_is_answered_both_commands),
        cmocka_unit_test(what_cannot_be_subscribed_is_answered_as_the_protocol_has_it),
        cmocka_unit_test(rights_decide_who_comes_in_and_who_speaks),
        cmocka_unit_test(who_leaves_hears_nothing_more_and_others_do),
        cmocka_unit_test(an_unsubscribe_needs_no_subscription),
        cmocka_unit_test(a_lost_position_is_told_to_those_who_have_it),
        cmocka_unit_test(positions_that_differ_in_anything_are_lost),
        cmocka_unit_test(positions_of_rooms_that_nobody_follows_are_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
