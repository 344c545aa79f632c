/*
 * test_asking.c: what a session says while the backend does not answer: it waits, in order and
 * bounded, and is gone with the session.
 */
#include "gateway/dialect/dialect.h"
#include "gateway/hook/hooks.h"
#include "gateway/ws/deflate.h"
#include "tests/unit/gateway_kit.h"
#include "tests/unit/silent_backend.h"

#define COMPRESSED_TEXT 0x41
#define BIG 60000

/* A gateway that asks about every publish, and is not answered. */
static void begin(struct kit *k)
{
    kit_init(k);
    k->conf.hooks.publish_url = url;
    k->conf.hooks.timeout_ms = 60000;
    k->conf.rules.defaults.hook_publish = true;
    kit_start(k);
}

static uint64_t open_questions(const struct kit *k)
{
    return stat_get(&k->gateway.metrics.hooks_open);
}

/* Connects, with compression, and publishes something that is asked about. */
static void open_asking(struct kit *k, struct peer *p)
{
    peer_open_packed(p, k, DIALECT_CENTRIFUGE, "ann", "", 15);
    peer_send(p, "{\"id\":1,\"connect\":{}}");
    peer_expect_part(p, "{\"id\":1,\"connect\":{\"client\":\"");
    peer_send(p, "{\"id\":2,\"publish\":{\"channel\":\"lobby\",\"data\":1}}");
    KIT_UNTIL(k, open_questions(k) == 1);
}

static void who_says_too_much_meanwhile_is_not_read(void **state)
{
    struct kit k;
    struct peer ann;
    (void)state;

    begin(&k);
    open_asking(&k, &ann);
    assert_false(peer_session(&ann)->is_held);
    for (int i = 0; i < 1000 && !peer_session(&ann)->is_held; i++) {
        peer_send(&ann, "{\"id\":3,\"publish\":{\"channel\":\"lobby\",\"data\":2}}");
        kit_turn(&k);
    }
    KIT_UNTIL(&k, peer_session(&ann)->is_held);
    assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_ASKING]), 1);
    assert_int_equal(open_questions(&k), 1); /* one after the other */
    kit_expect_none(&k, MESSAGE_PUBLISH);
    peer_expect_nothing(&ann);
    peer_end(&ann);
    kit_end(&k);
}

static void who_says_far_too_much_in_few_bytes_has_to_wait(void **state)
{
    static char text[BIG + 64];
    struct kit k;
    struct peer ann;
    (void)state;

    begin(&k);
    open_asking(&k, &ann);
    snprintf(text, sizeof(text), "{\"id\":3,\"publish\":{\"channel\":\"lobby\",\"data\":\"%0*d\"}}",
             BIG, 0);
    struct slice packed = deflate_pack(k.gateway.compress.deflate, slice_of(text), 15);
    assert_true(packed.size < SESSION_READ_SIZE / 25);
    for (int i = 0; i < 24; i++) { /* one read */
        peer_send_frame(&ann, COMPRESSED_TEXT, packed.at, packed.size);
    }
    KIT_UNTIL(&k, peer_session(&ann)->is_held);
    kit_settle(&k);
    assert_int_equal(stat_get(&k.gateway.metrics.unpacked), 1); /* the others wait as they came */
    assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_ASKING]), 1);
    assert_non_null(peer_session(&ann)->early);
    assert_int_equal(open_questions(&k), 1);
    kit_expect_none(&k, MESSAGE_PUBLISH);
    peer_expect_nothing(&ann);
    peer_end(&ann);
    kit_end(&k);
}

static void who_is_late_is_given_up_and_what_waited_is_asked_about(void **state)
{
    struct kit k;
    struct peer ann;
    (void)state;

    begin(&k);
    k.conf.hooks.timeout_ms = 20;
    k.conf.hooks.breaker_failures = 2;
    k.conf.hooks.breaker_wait_ms = 60000;
    hooks_reloaded(k.gateway.hooks);
    open_asking(&k, &ann);
    peer_send(&ann, "{\"id\":3,\"publish\":{\"channel\":\"lobby\",\"data\":2}}\n"
                    "{\"id\":4,\"publish\":{\"channel\":\"lobby\",\"data\":3}}\n"
                    "{\"id\":5,\"rpc\":{\"method\":\"session\",\"data\":{}}}");
    for (int id = 2; id <= 4; id++) { /* the last one is not asked about any more */
        char part[64];
        snprintf(part, sizeof(part), "{\"id\":%d,\"error\":{\"code\":100,", id);
        peer_expect_part(&ann, part);
    }
    peer_expect_part(&ann, "{\"id\":5,\"rpc\":");
    assert_int_equal(stat_get(&k.gateway.metrics.hook_ends[HOOK_PUBLISH][HOOK_END_LATE]), 2);
    assert_int_equal(stat_get(&k.gateway.metrics.hook_ends[HOOK_PUBLISH][HOOK_END_OPEN]), 1);
    kit_expect_none(&k, MESSAGE_PUBLISH);
    peer_end(&ann);
    kit_end(&k);
}

static void pongs_and_the_end_are_heard_meanwhile(void **state)
{
    struct kit k;
    struct peer ann;
    (void)state;

    begin(&k);
    open_asking(&k, &ann);
    peer_session(&ann)->awaits_pong = true;
    peer_send(&ann, "{}");
    KIT_UNTIL(&k, !peer_session(&ann)->awaits_pong);
    peer_end(&ann);
    KIT_UNTIL(&k, peer_session(&ann) == NULL);
    assert_int_equal(open_questions(&k), 0);
    assert_int_equal(stat_get(&k.gateway.metrics.hook_ends[HOOK_PUBLISH][HOOK_END_CANCELLED]), 1);
    kit_end(&k);
}

/* Tells which of its commands was refused next. */
static void expect_refusal(struct peer *p, int id)
{
    char part[64];

    snprintf(part, sizeof(part), "{\"id\":%d,\"error\":{\"code\":100,", id);
    peer_expect_part(p, part);
}

static void one_session_asks_about_few_subscribes_at_once(void **state)
{
    struct kit k;
    struct peer ann;
    (void)state;

    kit_init(&k);
    k.conf.hooks.subscribe_url = url;
    k.conf.hooks.timeout_ms = 300;
    k.conf.hooks.breaker_failures = 1000;
    k.conf.rules.defaults.hook_subscribe = true;
    kit_start(&k);
    peer_open(&ann, &k, DIALECT_CENTRIFUGE, "ann", "");
    peer_send(&ann, "{\"id\":1,\"connect\":{}}");
    peer_expect_part(&ann, "{\"id\":1,\"connect\":{\"client\":\"");
    for (int id = 2; id < 14; id++) {
        char text[64];
        snprintf(text, sizeof(text), "{\"id\":%d,\"subscribe\":{\"channel\":\"r%d\"}}", id, id);
        peer_send(&ann, text);
    }
    KIT_UNTIL(&k, open_questions(&k) == 8);
    for (int id = 2; id < 14; id++) {
        peer_expect_part(&ann, ",\"error\":{\"code\":100,"); /* in any order */
        assert_true(open_questions(&k) <= 8);
    }
    assert_int_equal(stat_get(&k.gateway.metrics.hook_ends[HOOK_SUBSCRIBE][HOOK_END_LATE]), 12);
    peer_end(&ann);
    kit_end(&k);
}

static void whatever_waits_is_served_in_order(void **state)
{
    struct kit k;
    struct peer ann;
    (void)state;

    begin(&k);
    k.conf.hooks.timeout_ms = 20;
    k.conf.hooks.breaker_failures = 1000;
    hooks_reloaded(k.gateway.hooks);
    open_asking(&k, &ann);
    for (int id = 3; id < 9; id++) {
        char text[96];
        snprintf(text, sizeof(text), "{\"id\":%d,\"publish\":{\"channel\":\"lobby\",\"data\":1}}",
                 id);
        peer_send(&ann, text);
    }
    peer_send(&ann, "{\"id\":9,\"rpc\":{\"method\":\"session\",\"data\":{}}}");
    for (int id = 2; id < 9; id++) {
        expect_refusal(&ann, id);
    }
    peer_expect_part(&ann, "{\"id\":9,\"rpc\":");
    assert_int_equal(stat_get(&k.gateway.metrics.hook_ends[HOOK_PUBLISH][HOOK_END_LATE]), 7);
    peer_end(&ann);
    kit_end(&k);
}

static void what_stands_behind_a_refused_connect_is_forgotten(void **state)
{
    struct kit k;
    struct peer ann;
    (void)state;

    kit_init(&k);
    k.conf.hooks.connect_url = url;
    k.conf.hooks.timeout_ms = 20;
    kit_start(&k);
    peer_open(&ann, &k, DIALECT_CENTRIFUGE, "", "");
    peer_send(&ann, "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
    expect_refusal(&ann, 1);
    peer_expect_nothing(&ann); /* and it is not closed */
    assert_int_equal(peer_session(&ann)->state, SESSION_OPEN);
    peer_end(&ann);
    kit_end(&k);
}

static void who_waits_for_the_backend_is_not_stale(void **state)
{
    struct kit k;
    struct peer ann;
    (void)state;

    kit_init(&k);
    k.conf.hooks.connect_url = url;
    k.conf.hooks.timeout_ms = 60000;
    k.conf.stale_ms = 1500;
    kit_start(&k);
    peer_open(&ann, &k, DIALECT_CENTRIFUGE, "", "");
    peer_send(&ann, "{\"id\":1,\"connect\":{}}");
    KIT_UNTIL(&k, open_questions(&k) == 1);
    kit_wait(&k, 2 * k.conf.stale_ms);
    peer_expect_nothing(&ann);
    assert_int_equal(open_questions(&k), 1);
    peer_end(&ann);
    kit_end(&k);
}

static void who_was_let_in_for_a_while_is_out_after_it_without_any_token(void **state)
{
    struct kit k;
    struct peer joe;
    char result[64];
    (void)state;

    kit_init(&k);
    k.conf.hooks.subscribe_url = url;
    k.conf.hooks.timeout_ms = 3600000;
    k.conf.rules.defaults.hook_subscribe = true;
    kit_start(&k);
    peer_open(&joe, &k, DIALECT_PLAIN, "joe", "lobby");
    KIT_UNTIL(&k, open_questions(&k) == 1);
    snprintf(result, sizeof(result), "{\"expire_at\":%" PRId64 "}", clock_wall_ms() / 1000 + 600);
    plain_let_in(peer_session(&joe), SLICE_LIT("lobby"),
                 &(struct hook_answer){.end = HOOK_END_RESULT, .result = slice_of(result)});
    kit_position(&k, "lobby", "e1", 3);
    peer_expect_nothing(&joe);
    kit_skip(590 * 1000);
    peer_expect_nothing(&joe);
    kit_skip(11 * 1000);
    peer_expect(&joe, "close 3010 insufficient state");
    peer_end(&joe);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_says_too_much_meanwhile_is_not_read),
        cmocka_unit_test(who_says_far_too_much_in_few_bytes_has_to_wait),
        cmocka_unit_test(who_is_late_is_given_up_and_what_waited_is_asked_about),
        cmocka_unit_test(one_session_asks_about_few_subscribes_at_once),
        cmocka_unit_test(whatever_waits_is_served_in_order),
        cmocka_unit_test(who_waits_for_the_backend_is_not_stale),
        cmocka_unit_test(what_stands_behind_a_refused_connect_is_forgotten),
        cmocka_unit_test(pongs_and_the_end_are_heard_meanwhile),
        cmocka_unit_test(who_was_let_in_for_a_while_is_out_after_it_without_any_token),
    };

    return cmocka_run_group_tests(tests, backend_begin, backend_end);
}
