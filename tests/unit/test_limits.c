/* test_limits.c: what sessions may do by rules, and how much of it by limits. */
#include "gateway/edge/tries.h"
#include "gateway/session/users.h"
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"
#define DENIED "{\"id\":7,\"error\":{\"code\":103,\"message\":\"permission denied\"}}"
#define LIMIT "{\"id\":7,\"error\":{\"code\":106,\"message\":\"limit exceeded\"}}"
#define TOO_FAST                                                                                   \
    "{\"id\":7,\"error\":{\"code\":111,\"message\":\"too many "                                    \
    "requests\",\"temporary\":true,\"retry_after\":1}}"

static char *text(const char *at)
{
    return (char *)(uintptr_t)at; /* settings are only read */
}

static uint64_t denied(const struct kit *k, enum permit right)
{
    return stat_get(&k->gateway.metrics.denied[right]);
}

static void publish(struct peer *p, const char *data)
{
    char command[256];

    snprintf(command, sizeof(command),
             "{\"id\":7,\"publish\":{\"channel\":\"" ROOM "\",\"data\":%s}}", data);
    peer_send(p, command);
    kit_settle(p->kit);
}

/* True if the publish was put on its way. */
static bool passes(struct peer *p)
{
    struct kit *k = p->kit;

    publish(p, "{}");
    if (kit_count(k, MESSAGE_PUBLISH) == 0) {
        peer_expect(p, TOO_FAST);
        return false;
    }
    kit_result(k, kit_take(k, MESSAGE_PUBLISH), BUS_CONFIRMED);
    peer_expect(p, "{\"id\":7,\"publish\":{}}");
    return true;
}

static void a_session_publishes_so_fast_and_no_faster(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, other;

    kit_init(&k);
    k.conf.publish_rate = 1;
    k.conf.publish_burst = 3;
    kit_start(&k);
    peer_connect(&ann, &k, "ann");
    peer_connect(&other, &k, "ann");
    kit_stop_clocks(); /* what is between two publishes takes as long as it takes */
    for (int i = 0; i < 3; i++) {
        assert_true(passes(&ann));
    }
    assert_false(passes(&ann));
    assert_true(passes(&other)); /* has a bucket of its own */
    assert_int_equal(denied(&k, PERMIT_SESSION_RATE), 1);
    kit_skip(1100);
    assert_true(passes(&ann));
    kit_start_clocks();
    assert_int_equal(users_count(k.gateway.users), 0);
    peer_end(&ann);
    peer_end(&other);
    kit_end(&k);
}

static void all_sessions_of_a_user_share_a_rate(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, other, bob, nobody;

    kit_init(&k);
    k.conf.anonymous = true;
    k.conf.user_publish_rate = 1;
    k.conf.user_publish_burst = 2;
    kit_start(&k);
    peer_connect(&ann, &k, "ann");
    peer_connect(&other, &k, "ann");
    peer_connect(&bob, &k, "bob");
    peer_connect(&nobody, &k, "");
    kit_stop_clocks();
    assert_true(passes(&ann));
    assert_true(passes(&other));
    assert_false(passes(&ann));
    assert_false(passes(&other));
    assert_true(passes(&bob));
    for (int i = 0; i < 5; i++) {
        assert_true(passes(&nobody)); /* nobody is no user */
    }
    assert_int_equal(denied(&k, PERMIT_USER_RATE), 2);
    /* Coming back gives no new burst. */
    peer_end(&ann);
    peer_end(&other);
    kit_settle(&k);
    assert_int_equal(users_count(k.gateway.users), 2);
    peer_connect(&ann, &k, "ann");
    assert_false(passes(&ann));
    peer_end(&ann);
    kit_start_clocks();
    kit_skip(3000);
    KIT_UNTIL(&k, users_count(k.gateway.users) == 1); /* bob */
    peer_end(&bob);
    peer_end(&nobody);
    kit_end(&k);
}

static void a_user_has_so_many_sessions_and_no_more(void **state)
{
    (void)state;
    struct kit k;
    struct peer a, b, c, bob;

    kit_init(&k);
    k.conf.user_sessions = 2;
    kit_start(&k);
    peer_connect(&a, &k, "ann");
    peer_open(&b, &k, DIALECT_PLAIN, "ann", ROOM);
    kit_position(&k, ROOM, "k1", 0);
    kit_settle(&k);
    peer_open(&c, &k, DIALECT_CENTRIFUGE, "ann", "");
    peer_send(&c, "{\"id\":1,\"connect\":{}}");
    peer_expect(&c, "close 3504 connection limit");
    peer_end(&c);
    peer_open(&c, &k, DIALECT_PLAIN, "ann", ROOM);
    peer_expect(&c, "close 3504 connection limit");
    peer_end(&c);
    peer_connect(&bob, &k, "bob");
    assert_int_equal(denied(&k, PERMIT_SESSIONS), 2);
    peer_end(&a); /* makes room */
    kit_settle(&k);
    peer_connect(&a, &k, "ann");
    peer_end(&a);
    peer_end(&b);
    peer_end(&bob);
    KIT_UNTIL(&k, users_count(k.gateway.users) == 0);
    kit_end(&k);
}

static void a_room_has_so_many_subscribers_and_no_more(void **state)
{
    (void)state;
    struct kit k;
    struct peer a, b, c;

    kit_init(&k);
    k.conf.rules.defaults.subscribers_max = 2;
    kit_start(&k);
    peer_connect(&a, &k, "ann");
    peer_send(&a, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(&k, ROOM, "k1", 0);
    peer_expect_part(&a, "\"subscribe\"");
    peer_join(&b, &k, "bob", ROOM);
    peer_connect(&c, &k, "cy");
    peer_send(&c, "{\"id\":7,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    peer_expect(&c, LIMIT);
    assert_int_equal(denied(&k, PERMIT_SUBSCRIBERS), 1);
    peer_end(&c);
    peer_open(&c, &k, DIALECT_PLAIN, "cy", ROOM);
    peer_expect(&c, "{\"error\":{\"code\":106,\"message\":\"limit exceeded\"}}");
    peer_expect_part(&c, "close 3501");
    peer_end(&c);
    peer_send(&b, "{\"id\":3,\"unsubscribe\":{\"channel\":\"" ROOM "\"}}");
    peer_expect(&b, "{\"id\":3,\"unsubscribe\":{}}");
    peer_join(&c, &k, "cy", ROOM);
    peer_end(&a);
    peer_end(&b);
    peer_end(&c);
    kit_end(&k);
}

static void rooms_of_one_session_are_counted_when_they_are_too_many(void **state)
{
    (void)state;
    struct kit k;
    struct peer a;

    kit_init(&k);
    k.conf.rooms_max = 1;
    kit_start(&k);
    peer_connect(&a, &k, "ann");
    peer_send(&a, "{\"id\":6,\"subscribe\":{\"channel\":\"a\"}}\n"
                  "{\"id\":7,\"subscribe\":{\"channel\":\"b\"}}");
    peer_expect(&a, LIMIT);
    assert_int_equal(denied(&k, PERMIT_ROOMS), 1);
    peer_end(&a);
    kit_end(&k);
}

static void presence_and_history_are_for_those_whom_the_room_names(void **state)
{
    (void)state;
    struct kit k;
    struct peer a, nobody;

    kit_init(&k);
    k.conf.anonymous = true;
    k.conf.rules.defaults.presence_for = text("anonymous");
    k.conf.rules.defaults.history_for = text("known");
    kit_start(&k);
    peer_connect(&a, &k, "ann");
    peer_send(&a, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(&k, ROOM, "k1", 5);
    peer_expect_part(&a, "\"subscribe\"");
    peer_join(&nobody, &k, "", ROOM);
    peer_send(&a, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
    peer_expect(&a, DENIED);
    peer_send(&a, "{\"id\":7,\"presence_stats\":{\"channel\":\"" ROOM "\"}}");
    peer_expect(&a, DENIED);
    peer_send(&nobody, "{\"id\":7,\"history\":{\"channel\":\"" ROOM "\",\"limit\":5}}");
    peer_expect(&nobody, DENIED);
    assert_int_equal(denied(&k, PERMIT_PRESENCE), 2);
    assert_int_equal(denied(&k, PERMIT_HISTORY), 1);
    peer_send(&nobody, "{\"id\":8,\"presence\":{\"channel\":\"" ROOM "\"}}");
    bus_out_free(kit_take(&k, MESSAGE_PRESENCE));
    peer_send(&a, "{\"id\":8,\"history\":{\"channel\":\"" ROOM "\",\"limit\":5}}");
    bus_out_free(kit_take(&k, MESSAGE_HISTORY));
    /* Nor does it recover: what was missed is history too. */
    peer_send(&nobody, "{\"id\":9,\"unsubscribe\":{\"channel\":\"" ROOM "\"}}");
    peer_expect(&nobody, "{\"id\":9,\"unsubscribe\":{}}");
    peer_send(&nobody, "{\"id\":9,\"subscribe\":{\"channel\":\"" ROOM
                       "\",\"recover\":true,\"epoch\":\"k1\",\"offset\":3}}");
    peer_expect(&nobody, "{\"id\":9,\"subscribe\":{\"recoverable\":true,\"positioned\":true,"
                         "\"epoch\":\"k1\",\"offset\":5,\"was_recovering\":true}}");
    kit_expect_none(&k, MESSAGE_HISTORY);
    peer_end(&a);
    peer_end(&nobody);
    kit_end(&k);
}

static void a_payload_that_names_nobody_properly_is_refused_where_it_may_name_somebody(void **state)
{
    (void)state;
    static const char *const good[] = {"{\"to\":\"bob\"}", "{\"to\":[]}", "{\"a\":1}", "5"};
    static const char *const bad[] = {"{\"to\":5}", "{\"to\":\"\"}", "{\"roles\":[null]}",
                                      "{\"to\":\"a\",\"t\\u006f\":\"b\"}"};
    struct kit k;
    struct peer a;

    kit_init(&k);
    k.conf.rules.defaults.audience_kind = RULE_PAYLOAD;
    kit_start(&k);
    peer_connect(&a, &k, "ann");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        publish(&a, bad[i]);
        peer_expect(&a, "{\"id\":7,\"error\":{\"code\":107,\"message\":\"bad request\"}}");
    }
    assert_int_equal(denied(&k, PERMIT_AUDIENCE), ARRAY_LEN(bad));
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        publish(&a, good[i]);
        kit_result(&k, kit_take(&k, MESSAGE_PUBLISH), BUS_CONFIRMED);
        peer_expect(&a, "{\"id\":7,\"publish\":{}}");
    }
    peer_end(&a);
    kit_end(&k);
}

static void bad_tokens_count_for_the_address_with_and_without_a_port(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *address;
    } cases[] = {
        {"192.0.2.7:4711", "192.0.2.7"},
        {"192.0.2.8", "192.0.2.8"}, /* as a balancer tells it in a header */
        {"[2001:db8::7]:4711", "2001:db8::7"},
        {"[2001:db9::8]", "2001:db9::8"},
    };
    struct kit k;

    kit_init(&k);
    k.conf.bad_tokens = 1;
    kit_start(&k);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct net_addr a;
        struct peer p;

        assert_int_equal(net_parse_ip(&a, cases[i].address), 0);
        assert_false(tries_is_over(k.gateway.tries, &a, clock_mono_ms()));
        peer_open(&p, &k, DIALECT_CENTRIFUGE, "", "");
        snprintf(peer_session(&p)->peer, sizeof(peer_session(&p)->peer), "%s", cases[i].peer);
        peer_send(&p, "{\"id\":1,\"connect\":{\"token\":\"a.b.c\"}}");
        peer_expect(&p, "close 3500 invalid token");
        assert_true(tries_is_over(k.gateway.tries, &a, clock_mono_ms()));
        peer_end(&p);
    }
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_publishes_so_fast_and_no_faster),
        cmocka_unit_test(all_sessions_of_a_user_share_a_rate),
        cmocka_unit_test(a_user_has_so_many_sessions_and_no_more),
        cmocka_unit_test(a_room_has_so_many_subscribers_and_no_more),
        cmocka_unit_test(rooms_of_one_session_are_counted_when_they_are_too_many),
        cmocka_unit_test(presence_and_history_are_for_those_whom_the_room_names),
        cmocka_unit_test(
            a_payload_that_names_nobody_properly_is_refused_where_it_may_name_somebody),
        cmocka_unit_test(bad_tokens_count_for_the_address_with_and_without_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
