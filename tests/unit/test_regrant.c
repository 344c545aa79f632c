/*
 * test_regrant.c: a refreshed token decides over the rooms that the last one put its session into.
 */
#include "tests/unit/gateway_kit.h"
#include "tests/unit/mint.h"

#define CONNECT "{\"id\":1,\"connect\":{\"token\":\"%s\"}}"
#define REFRESH "{\"id\":5,\"refresh\":{\"token\":\"%s\"}}"

/* A command with a token of ann that has these claims, too. */
static void say(struct peer *p, bool refreshes, const char *claims)
{
    char token[MINT_SIZE], text[2 * MINT_SIZE], all[1024];

    snprintf(all, sizeof(all), "{\"sub\":\"ann\",\"exp\":%" PRId64 "%s}",
             clock_wall_ms() / 1000 + 600, claims);
    mint(token, all);
    if (refreshes) {
        snprintf(text, sizeof(text), REFRESH, token);
    } else {
        snprintf(text, sizeof(text), CONNECT, token);
    }
    peer_send(p, text);
}

static void connect_with(struct peer *p, struct kit *k, const char *claims)
{
    peer_open(p, k, DIALECT_CENTRIFUGE, "", "");
    say(p, false, claims);
    kit_settle(k);
}

static void refresh_with(struct peer *p, const char *claims)
{
    say(p, true, claims);
    peer_expect_part(p, "{\"id\":5,\"refresh\":");
}

static void a_new_token_changes_the_rooms_that_tokens_gave(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_with(&ann, &k, ",\"channels\":[\"a\",\"b\"]");
    kit_position(&k, "a", "e1", 7);
    kit_position(&k, "b", "e2", 8);
    peer_expect_part(&ann, "\"subs\":{");
    peer_subscribe(&ann, "own");
    kit_position(&k, "own", "e3", 9);
    peer_expect_part(&ann, "{\"id\":2,\"subscribe\":");

    refresh_with(&ann, ",\"channels\":[\"b\",\"own\"],\"subs\":{\"c\":{\"data\":[1]}}");
    peer_expect(&ann, "{\"push\":{\"channel\":\"a\",\"unsubscribe\":{\"code\":2000,"
                      "\"reason\":\"server unsubscribe\"}}}");
    kit_position(&k, "c", "e4", 1);
    peer_expect(&ann, "{\"push\":{\"channel\":\"c\",\"subscribe\":{\"recoverable\":true,"
                      "\"positioned\":true,\"epoch\":\"e4\",\"offset\":1,\"data\":[1]}}}");
    peer_expect_nothing(&ann); /* of b and her own she is told nothing */

    /* What the last token gave goes with it, what she asked for herself stays. */
    refresh_with(&ann, "");
    peer_expect_part(&ann, "{\"push\":{\"channel\":\"c\",\"unsubscribe\":{\"code\":2000,");
    peer_expect_part(&ann, "{\"push\":{\"channel\":\"b\",\"unsubscribe\":{\"code\":2000,");
    peer_expect_nothing(&ann);
    assert_int_equal(rooms_count(k.gateway.rooms), 1);
    peer_end(&ann);
    kit_end(&k);
}

static void a_room_that_is_left_before_it_was_entered_is_not_told_of(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_with(&ann, &k, ",\"channels\":[\"a\"]");
    kit_position(&k, "a", "e1", 7);
    peer_expect_part(&ann, "\"subs\":{");
    refresh_with(&ann, ",\"channels\":[\"a\",\"b\"]");
    refresh_with(&ann, ",\"channels\":[\"a\"]");
    peer_expect_nothing(&ann);
    assert_int_equal(rooms_count(k.gateway.rooms), 1);
    peer_end(&ann);
    kit_end(&k);
}

static void a_room_that_is_full_is_left_out_until_there_is_room(void **state)
{
    (void)state;
    struct kit k;
    struct peer bob, ann;

    kit_begin(&k);
    k.conf.rules.defaults.subscribers_max = 1;
    peer_connect(&bob, &k, "bob");
    peer_subscribe(&bob, "a");
    kit_position(&k, "a", "e1", 7);
    peer_expect_part(&bob, "{\"id\":2,\"subscribe\":");
    connect_with(&ann, &k, ",\"channels\":[\"a\"]"); /* nothing is left to wait for */
    peer_expect_part(&ann, "{\"id\":1,\"connect\":");
    assert_null(strstr(ann.message.at, "subs"));
    refresh_with(&ann, ",\"channels\":[\"a\",\"b\"]");
    kit_position(&k, "b", "e2", 8);
    peer_expect_part(&ann, "{\"push\":{\"channel\":\"b\",\"subscribe\":");
    peer_end(&ann);
    connect_with(&ann, &k, ",\"channels\":[\"a\",\"c\"]");
    kit_position(&k, "c", "e3", 9);
    peer_expect_part(&ann, "\"subs\":{\"c\":");
    assert_null(strstr(ann.message.at, "\"a\""));
    assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_SUBSCRIBERS]), 3);
    peer_send(&bob, "{\"id\":3,\"unsubscribe\":{\"channel\":\"a\"}}");
    peer_expect(&bob, "{\"id\":3,\"unsubscribe\":{}}");
    refresh_with(&ann, ",\"channels\":[\"a\",\"c\"]");
    assert_non_null(rooms_find(peer_session(&ann), SLICE_LIT("a")));
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static void a_new_token_with_more_rooms_than_may_be_ends_the_session(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    k.conf.rooms_max = 2;
    connect_with(&ann, &k, ",\"channels\":[\"a\",\"b\"]");
    kit_position(&k, "a", "e1", 7);
    kit_position(&k, "b", "e1", 7);
    peer_expect_part(&ann, "\"subs\":{");
    refresh_with(&ann, ",\"channels\":[\"b\",\"c\"]"); /* what is left makes room */
    peer_expect_part(&ann, "{\"push\":{\"channel\":\"a\",\"unsubscribe\":{\"code\":2000,");
    refresh_with(&ann, ",\"channels\":[\"b\",\"c\",\"d\"]");
    peer_expect(&ann, "close 3505 channel limit");
    peer_end(&ann);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_token_changes_the_rooms_that_tokens_gave),
        cmocka_unit_test(a_room_that_is_left_before_it_was_entered_is_not_told_of),
        cmocka_unit_test(a_room_that_is_full_is_left_out_until_there_is_room),
        cmocka_unit_test(a_new_token_with_more_rooms_than_may_be_ends_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
