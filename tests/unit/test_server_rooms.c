/*
 * test_server_rooms.c: rooms that the server puts a session into, with its connect command or
 * later.
 */
#include "gateway/order/control.h"
#include "gateway/order/orders.h"
#include "gateway/session/session_ops.h"
#include "tests/unit/gateway_kit.h"
#include "tests/unit/mint.h"

/* Opens a session and sends a connect command with a token of these claims, and more members. */
static void connect_with(struct peer *p, struct kit *k, const char *claims, const char *members,
                         const char *behind)
{
    char token[MINT_SIZE], text[2 * MINT_SIZE], all[1024];

    snprintf(all, sizeof(all), "{\"sub\":\"ann\",\"exp\":%" PRId64 ",%s}",
             clock_wall_ms() / 1000 + 600, claims);
    peer_open(p, k, DIALECT_CENTRIFUGE, "", "");
    snprintf(text, sizeof(text), "{\"id\":1,\"connect\":{\"token\":\"%s\"%s}}%s", mint(token, all),
             members, behind);
    peer_send(p, text);
    kit_settle(k);
}

static void the_reply_waits_for_the_rooms_and_what_came_behind_it_too(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_with(&ann, &k, "\"channels\":[\"a\"],\"subs\":{\"b\":{\"data\":{\"x\": 1}}}", "",
                 "\n{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
    peer_send(&ann, "{\"id\":3,\"unsubscribe\":{\"channel\":\"c\"}}");
    peer_expect_nothing(&ann);
    kit_position(&k, "a", "e1", 7);
    kit_deliver(&k, "a", "e1", 8, 9);
    if (kit_partition("a") != kit_partition("b")) {
        peer_expect_nothing(&ann);
        kit_position(&k, "b", "", 0);
    } else {
        kit_say(&k, kit_partition("b"), MESSAGE_POSITIONS, "{\"room\":\"b\",\"offset\":0}\n");
    }
    peer_expect_part(&ann, "\"expires\":true,\"ttl\":");
    assert_non_null(strstr(ann.message.at, "\"subs\":{"));
    assert_non_null(strstr(ann.message.at, "\"b\":{\"recoverable\":true,\"positioned\":true,"
                                           "\"data\":{\"x\": 1}}"));
    assert_non_null(strstr(ann.message.at, "\"a\":{\"recoverable\":true,\"positioned\":true,"
                                           "\"epoch\":\"e1\",\"offset\":7}"));
    peer_expect_records(&ann, "a", 8, 9);
    peer_expect_part(&ann, "{\"id\":2,\"error\":{\"code\":105,");
    peer_expect(&ann, "{\"id\":3,\"unsubscribe\":{}}");
    peer_end(&ann);
    kit_end(&k);
}

static void pings_do_not_wait_for_the_rooms(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_with(&ann, &k, "\"channels\":[\"a\"]", "", "");
    peer_send_frame(&ann, 0x9, "now", 3);
    peer_expect(&ann, "pong now");
    kit_position(&k, "a", "e1", 7);
    peer_expect_part(&ann, "{\"id\":1,\"connect\":{");
    peer_end(&ann);
    kit_end(&k);
}

static void who_comes_back_gets_what_it_missed_with_the_reply(void **state)
{
    (void)state;
    struct kit k;
    struct peer bob, ann;

    kit_begin(&k);
    peer_connect(&bob, &k, "bob");
    peer_subscribe(&bob, "a");
    kit_position(&k, "a", "e1", 5);
    peer_expect_part(&bob, "\"offset\":5");
    kit_deliver(&k, "a", "e1", 6, 7);
    connect_with(&ann, &k, "\"channels\":[\"a\"]",
                 ",\"subs\":{\"a\":{\"recover\":true,\"epoch\":\"e1\",\"offset\":6},"
                 "\"not mine\":{\"recover\":true,\"offset\":1}}",
                 "");
    peer_expect_part(&ann, "\"subs\":{\"a\":{\"recoverable\":true,\"positioned\":true,"
                           "\"epoch\":\"e1\",\"offset\":6,\"recovered\":true,"
                           "\"was_recovering\":true,\"publications\":[{\"data\":{\"n\":7}");
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;

    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        count++;
    }
    return count;
}

static void what_was_missed_in_all_rooms_together_is_bounded(void **state)
{
    (void)state;
    struct kit k;
    struct peer bob, ann;
    struct buf claims = BUF_EMPTY, subs = BUF_EMPTY;
    char room[KIT_ROOM_SIZE];

    kit_init(&k);
    k.conf.out_queue = 1024; /* half of it holds what was missed in one of the rooms */
    kit_start(&k);
    peer_connect(&bob, &k, "bob");
    for (uint32_t p = 0; p < KIT_PARTITIONS; p++) {
        kit_room(room, p, 0);
        peer_subscribe(&bob, room);
        kit_position(&k, room, "e1", 5);
        peer_expect_part(&bob, "\"offset\":5");
        kit_deliver(&k, room, "e1", 6, 15);
        peer_expect_records(&bob, room, 6, 15);
        buf_addf(&claims, "%s\"%s\"", p == 0 ? "\"channels\":[" : ",", room);
        buf_addf(&subs, "%s\"%s\":{\"recover\":true,\"epoch\":\"e1\",\"offset\":5}",
                 p == 0 ? ",\"subs\":{" : ",", room);
    }
    buf_add(&claims, "]", 2);
    buf_add(&subs, "}", 2);
    connect_with(&ann, &k, claims.at, subs.at, "");
    peer_expect_part(&ann, "\"subs\":{");
    assert_int_equal(occurrences(ann.message.at, "\"was_recovering\":true"), KIT_PARTITIONS);
    assert_int_equal(occurrences(ann.message.at, "\"recovered\":true"), 1);
    assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_RECOVERY_BYTES]),
                     KIT_PARTITIONS - 1);
    buf_deinit(&claims);
    buf_deinit(&subs);
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static void a_client_may_name_more_rooms_than_it_is_put_into(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    struct buf subs = BUF_EMPTY;

    kit_begin(&k);
    for (int i = 0; i < 3 * JWT_ROOMS_MAX; i++) {
        buf_addf(&subs, "%s\"r%d\":{}", i == 0 ? ",\"subs\":{" : ",", i);
    }
    buf_add(&subs, "}", 2);
    connect_with(&ann, &k, "\"channels\":[\"a\"]", subs.at, "");
    kit_position(&k, "a", "e1", 5);
    peer_expect_part(&ann, "\"subs\":{\"a\":");
    buf_deinit(&subs);
    peer_end(&ann);
    kit_end(&k);
}

static void who_loses_a_room_before_the_reply_is_to_come_again(void **state)
{
    (void)state;
    const struct order closing = {.kind = ORDER_CLOSE, .room = SLICE_LIT("a")};
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_with(&ann, &k, "\"channels\":[\"a\",\"b\"]", "", "");
    orders_apply(&k.gateway, &closing);
    peer_expect(&ann, "close 3011 force reconnect");
    assert_int_equal(stat_get(&k.gateway.metrics.subscriptions), 0);
    peer_end(&ann);
    kit_end(&k);
}

static void what_cannot_be_had_ends_the_session(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    k.conf.rooms_max = 2;
    connect_with(&ann, &k, "\"channels\":[\"a\",\"b\",\"c\"]", "", "");
    peer_expect(&ann, "close 3505 channel limit");
    peer_end(&ann);
    connect_with(&ann, &k, "\"channels\":[\"a\"]", ",\"subs\":{\"a\":7}", "");
    peer_expect(&ann, "close 3501 bad request");
    peer_end(&ann);
    connect_with(&ann, &k, "\"channels\":[\"a\"]", "", "\n{\"connect\":{},\"id\":2}");
    kit_position(&k, "a", "e1", 5);
    peer_expect_part(&ann, "\"subs\":{\"a\":");
    peer_expect(&ann, "close 3501 bad request"); /* it connects twice */
    peer_end(&ann);
    kit_end(&k);
}

static void a_room_whose_owner_is_silent_is_an_internal_error(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_init(&k);
    k.conf.subscribe_wait_ms = 50;
    kit_start(&k);
    connect_with(&ann, &k, "\"channels\":[\"a\"]", "", "");
    peer_expect(&ann, "close 3004 internal server error");
    peer_end(&ann);
    kit_end(&k);
}

static void who_waits_for_its_rooms_is_not_stale(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_init(&k);
    k.conf.stale_ms = 1500;
    kit_start(&k);
    connect_with(&ann, &k, "\"channels\":[\"a\"]", "", "");
    kit_wait(&k, 2 * k.conf.stale_ms);
    kit_drop(&k, MESSAGE_ATTACH); /* the link was begun anew meanwhile, and will be again */
    kit_position(&k, "a", "e1", 0);
    peer_expect_part(&ann, "{\"id\":1,\"connect\":{");
    assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_STALE]), 0);
    peer_end(&ann);
    kit_end(&k);
}

static void a_session_that_ends_while_it_waits_leaves_nothing(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_with(&ann, &k, "\"channels\":[\"a\"]", "", "\n{}");
    peer_end(&ann);
    KIT_UNTIL(&k, peer_session(&ann) == NULL);
    assert_int_equal(rooms_count(k.gateway.rooms), 0);
    kit_end(&k);
}

static void nobody_has_much_to_say_before_the_reply(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    k.conf.max_message = 4096;
    connect_with(&ann, &k, "\"channels\":[\"a\"]", "", "");
    for (int i = 0; i < 200; i++) {
        peer_send(&ann, "{\"id\":2,\"unsubscribe\":{\"channel\":\"c\"}}");
    }
    peer_expect(&ann, "close 3501 bad request");
    assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_CONNECTING]), 1);
    peer_end(&ann);
    kit_end(&k);
}

static const struct ops_who ann_alone = {.has_user = true, .user = {"ann", 3}};

static void the_server_puts_sessions_into_a_room_and_takes_them_out(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;
    struct sessions *all;

    kit_begin(&k);
    all = k.gateway.sessions;
    peer_connect(&ann, &k, "ann");
    peer_connect(&bob, &k, "bob");
    const struct ops_subscribe how = {.data = SLICE_LIT("{\"a\":1}")};
    assert_int_equal(ops_subscribe(all, &ann_alone, SLICE_LIT("$vip"), &how), 1);
    kit_position(&k, "$vip", "e1", 3);
    peer_expect(&ann, "{\"push\":{\"channel\":\"$vip\",\"subscribe\":{\"recoverable\":true,"
                      "\"positioned\":true,\"epoch\":\"e1\",\"offset\":3,\"data\":{\"a\":1}}}}");
    assert_int_equal(ops_subscribe(all, &ann_alone, SLICE_LIT("$vip"), &how), 1); /* it is in */
    kit_deliver(&k, "$vip", "e1", 4, 4);
    peer_expect_records(&ann, "$vip", 4, 4);
    assert_int_equal(ops_unsubscribe(all, &ann_alone, SLICE_LIT("other"), 2000, "x"), 0);
    assert_int_equal(ops_unsubscribe(all, &ann_alone, SLICE_LIT("$vip"), 2000, "out"), 1);
    peer_expect(&ann, "{\"push\":{\"channel\":\"$vip\",\"unsubscribe\":{\"code\":2000,"
                      "\"reason\":\"out\"}}}");
    peer_expect_nothing(&ann);
    peer_expect_nothing(&bob);
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static void the_server_takes_sessions_out_of_all_rooms(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    peer_send(&ann, "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
    kit_position(&k, "a", "e1", 3);
    peer_expect_part(&ann, "{\"id\":2,\"subscribe\":");
    peer_send(&ann, "{\"id\":3,\"subscribe\":{\"channel\":\"b\"}}");
    kit_settle(&k);
    assert_int_equal(ops_unsubscribe(k.gateway.sessions, &ann_alone, SLICE_NONE, 2500, "x"), 1);
    peer_expect_part(&ann, "{\"id\":3,\"error\":{\"code\":103,"); /* it was not in yet */
    peer_expect_part(&ann, "\"unsubscribe\":{\"code\":2500,");
    assert_int_equal(rooms_count(k.gateway.rooms), 0);
    peer_end(&ann);
    kit_end(&k);
}

static void the_server_speaks_to_sessions_and_ends_them(void **state)
{
    (void)state;
    struct kit k;
    struct peer one, two, bob;
    struct sessions *all;

    kit_begin(&k);
    all = k.gateway.sessions;
    peer_connect(&one, &k, "ann");
    peer_connect(&two, &k, "ann");
    peer_connect(&bob, &k, "bob");
    assert_int_equal(ops_count(all, &ann_alone), 2);
    assert_int_equal(ops_message(all, &ann_alone, SLICE_LIT("{\"seen\":true}")), 2);
    peer_expect(&one, "{\"push\":{\"message\":{\"data\":{\"seen\":true}}}}");
    peer_expect(&two, "{\"push\":{\"message\":{\"data\":{\"seen\":true}}}}");
    struct ops_who but_one = ann_alone;
    but_one.except = slice_of(peer_session(&one)->client);
    assert_int_equal(ops_disconnect(all, &but_one, 4500, "kicked"), 1);
    peer_expect(&two, "{\"push\":{\"disconnect\":{\"code\":4500,\"reason\":\"kicked\"}}}");
    peer_expect(&two, "close 4500 kicked");
    struct ops_who client = {.client = but_one.except};
    assert_int_equal(ops_disconnect(all, &client, 3503, "force disconnect"), 1);
    peer_expect_part(&one, "{\"push\":{\"disconnect\":{\"code\":3503,");
    peer_expect(&one, "close 3503 force disconnect");
    assert_int_equal(ops_count(all, &ann_alone), 0);
    peer_expect_nothing(&bob);
    peer_end(&one);
    peer_end(&two);
    KIT_UNTIL(&k, stat_get(&k.gateway.metrics.closed[CLOSE_FORCE_DISCONNECT]) == 2);
    peer_end(&bob);
    kit_end(&k);
}

static void the_server_says_when_a_session_ends(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    assert_int_equal(ops_refresh(k.gateway.sessions, &ann_alone, clock_wall_ms() / 1000 + 3600), 1);
    kit_settle(&k);
    assert_true(session_is_open(peer_session(&ann)));
    assert_int_equal(ops_refresh(k.gateway.sessions, &ann_alone, clock_wall_ms() / 1000 - 1), 1);
    peer_expect(&ann, "close 3005 connection expired");
    peer_end(&ann);
    kit_end(&k);
}

static void a_position_that_is_lost_ends_a_session_that_the_server_put_there(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_with(&ann, &k, "\"channels\":[\"a\"]", "", "");
    kit_position(&k, "a", "e1", 7);
    peer_expect_part(&ann, "\"subs\":{\"a\":");
    kit_say(&k, kit_partition("a"), MESSAGE_POSITIONS,
            "{\"room\":\"a\",\"epoch\":\"e2\",\"offset\":3}\n");
    peer_expect(&ann, "close 3010 insufficient state");
    peer_end(&ann);
    kit_end(&k);
}

/* The control stream says something. */
static void order(struct kit *k, const char *line)
{
    static int64_t at;
    const struct message m = {
        .type = MESSAGE_CONTROL,
        .boot = SLICE_LIT("00000000000000aa"),
        .time_ms = clock_wall_ms(),
        .body = slice_of(line),
    };

    control_on_message(k->gateway.control, &m, ++at);
}

static void a_closed_room_is_left_out_of_the_connect_reply(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    order(&k, "{\"do\":\"close\",\"room\":\"a\"}\n");
    connect_with(&ann, &k, "\"channels\":[\"a\"]", "", "");
    peer_expect_part(&ann, "{\"id\":1,\"connect\":{");
    assert_null(strstr(ann.message.at, "\"a\""));
    assert_int_equal(rooms_count(k.gateway.rooms), 0);
    peer_end(&ann);
    order(&k, "{\"do\":\"open\",\"room\":\"a\"}\n");
    connect_with(&ann, &k, "\"channels\":[\"a\"]", "", "");
    kit_position(&k, "a", "e1", 7);
    peer_expect_part(&ann, "\"subs\":{\"a\":");
    peer_end(&ann);
    kit_end(&k);
}

static void a_room_that_is_closed_meanwhile_makes_the_session_come_back_without_it(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_with(&ann, &k, "\"channels\":[\"a\",\"b\"]", "", "");
    order(&k, "{\"do\":\"close\",\"room\":\"a\"}\n");
    peer_expect_part(&ann, "close 3");
    peer_end(&ann);
    connect_with(&ann, &k, "\"channels\":[\"a\"]", "", "");
    peer_expect_part(&ann, "{\"id\":1,\"connect\":{");
    peer_end(&ann);
    kit_end(&k);
}

static void the_banned_are_refused_before_during_and_after_the_wait_for_rooms(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    for (int when = 0; when < 4; when++) {
        kit_begin(&k);
        if (when == 0) {
            order(&k, "{\"do\":\"ban\",\"user\":\"ann\"}\n");
        }
        connect_with(&ann, &k, when == 3 ? "\"name\":\"Ann\"" : "\"channels\":[\"a\"]", "",
                     "\n{\"id\":2,\"subscribe\":{\"channel\":\"b\"}}");
        assert_int_equal(rooms_count(k.gateway.rooms) > 0, when > 0);
        if (when == 2) {
            kit_position(&k, "a", "e1", 7);
        }
        if (when >= 2) {
            peer_expect_part(&ann, "{\"id\":1,\"connect\":{");
        }
        if (when > 0) {
            order(&k, "{\"do\":\"ban\",\"user\":\"ann\"}\n");
        }
        peer_expect(&ann, "close 3507 permission denied");
        assert_int_equal(rooms_count(k.gateway.rooms), 0);
        peer_end(&ann);
        kit_end(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reply_waits_for_the_rooms_and_what_came_behind_it_too),
        cmocka_unit_test(pings_do_not_wait_for_the_rooms),
        cmocka_unit_test(who_comes_back_gets_what_it_missed_with_the_reply),
        cmocka_unit_test(what_was_missed_in_all_rooms_together_is_bounded),
        cmocka_unit_test(a_client_may_name_more_rooms_than_it_is_put_into),
        cmocka_unit_test(who_loses_a_room_before_the_reply_is_to_come_again),
        cmocka_unit_test(what_cannot_be_had_ends_the_session),
        cmocka_unit_test(a_room_whose_owner_is_silent_is_an_internal_error),
        cmocka_unit_test(who_waits_for_its_rooms_is_not_stale),
        cmocka_unit_test(a_session_that_ends_while_it_waits_leaves_nothing),
        cmocka_unit_test(nobody_has_much_to_say_before_the_reply),
        cmocka_unit_test(the_server_puts_sessions_into_a_room_and_takes_them_out),
        cmocka_unit_test(the_server_takes_sessions_out_of_all_rooms),
        cmocka_unit_test(the_server_speaks_to_sessions_and_ends_them),
        cmocka_unit_test(the_server_says_when_a_session_ends),
        cmocka_unit_test(a_position_that_is_lost_ends_a_session_that_the_server_put_there),
        cmocka_unit_test(a_closed_room_is_left_out_of_the_connect_reply),
        cmocka_unit_test(a_room_that_is_closed_meanwhile_makes_the_session_come_back_without_it),
        cmocka_unit_test(the_banned_are_refused_before_during_and_after_the_wait_for_rooms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
