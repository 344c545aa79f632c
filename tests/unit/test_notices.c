/* test_notices.c: who connects and disconnects is told, once more after an outage, and in order. */
#include "gateway/session/notices.h"

#include "gateway/session/session.h"
#include "proto/json.h"
#include "tests/unit/gateway_kit.h"

static struct kit k;

static void begin(const char *events)
{
    kit_init(&k);
    k.conf.events = (char *)(uintptr_t)events;
    kit_start(&k);
}

/* The oldest notice that is with the bus, or NULL. */
static struct bus_out *take(void)
{
    for (size_t i = 0; i < k.bus.count; i++) {
        struct bus_out *out = k.bus.sent[i];

        if (out->target == BUS_TO_SESSIONS) {
            k.bus.count--;
            memmove(&k.bus.sent[i], &k.bus.sent[i + 1], (k.bus.count - i) * sizeof(k.bus.sent[0]));
            return out;
        }
    }
    return NULL;
}

static void answer(struct bus_out *out, enum bus_result result)
{
    notices_on_result(k.gateway.notices, out, result);
}

/* The oldest one has this key, and its body these members; it is confirmed. */
static void expect(const char *event, const char *key, const char *code)
{
    struct bus_out *out = take();

    assert_non_null(out);
    assert_string_equal(out->event, event);
    assert_string_equal(out->key, key);
    struct slice body = blob_slice(out->body);
    assert_true(json_is_valid(body, JSON_DEPTH_MAX));
    assert_true(json_is_object(json_get(body, "info")));
    assert_int_equal(json_get(body, "client").size, CLIENT_ID_SIZE + 2);
    assert_true(json_get(body, "time").size > 0 && json_get(body, "address").size > 2);
    assert_true(slice_equal(json_get(body, "code"), slice_of(code)));
    assert_true(code[0] == '\0' || json_get(body, "reason").size > 2);
    answer(out, BUS_CONFIRMED);
}

static void expect_none(void)
{
    assert_null(take());
    assert_int_equal(notices_waiting(k.gateway.notices), 0);
}

static void who_comes_and_goes_is_told_if_the_settings_say_so(void **state)
{
    static const struct {
        const char *events;
        bool connects, disconnects;
    } cases[] = {
        {"none", false, false},      {"connect", true, false},
        {"disconnect", false, true}, {"connect, disconnect", true, true},
        {NULL, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct peer ann, bob;

        begin(cases[i].events);
        peer_open(&ann, &k, DIALECT_CENTRIFUGE, "", ""); /* nobody yet */
        expect_none();
        peer_end(&ann);
        kit_settle(&k);
        expect_none();
        peer_connect(&ann, &k, "ann");
        peer_open(&bob, &k, DIALECT_PLAIN, "b\"o.#b", "lobby");
        if (cases[i].connects) {
            expect("connect", "connect.ann", "");
            expect("connect", "connect.b\"o.#b", "");
        }
        expect_none();
        peer_end(&ann); /* TCP ends */
        kit_settle(&k);
        session_close_with(peer_session(&bob), 4321, "say \"no\"");
        session_close(peer_session(&bob), CLOSE_SHUTDOWN); /* the first reason counts */
        if (cases[i].disconnects) {
            expect("disconnect", "disconnect.ann", "1006");
            expect("disconnect", "disconnect.b\"o.#b", "4321");
        }
        peer_end(&bob);
        kit_settle(&k);
        expect_none();
        kit_end(&k);
    }
}

static void an_outage_loses_nothing_and_keeps_the_order(void **state)
{
    struct peer peers[200];
    struct bus_out *with_bus[NOTICES_WINDOW];
    char user[16], key[32];

    (void)state;
    begin("connect disconnect");
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        snprintf(user, sizeof(user), "u%zu", i);
        peer_connect(&peers[i], &k, user);
    }
    assert_int_equal(notices_waiting(k.gateway.notices), ARRAY_LEN(peers));
    for (size_t i = 0; i < NOTICES_WINDOW; i++) {
        with_bus[i] = take();
        assert_non_null(with_bus[i]);
    }
    assert_null(take()); /* the others wait */
    answer(with_bus[0], BUS_CONFIRMED);
    kit_bus_down(&k);
    for (size_t i = 1; i < NOTICES_WINDOW; i++) {
        answer(with_bus[i], BUS_LOST);
    }
    struct bus_out *late = take(); /* u64 had gone out when u0 was confirmed */
    assert_non_null(late);
    answer(late, BUS_LOST);
    notices_tick(k.gateway.notices);
    assert_null(take());
    kit_bus_up(&k);
    notices_tick(k.gateway.notices);
    for (size_t i = 1; i < ARRAY_LEN(peers); i++) {
        snprintf(key, sizeof(key), "connect.u%zu", i);
        expect("connect", key, "");
    }
    expect_none();
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        peer_end(&peers[i]);
    }
    kit_end(&k);
}

static void too_many_and_refused_ones_are_dropped_and_counted(void **state)
{
    const struct metrics *m = &k.gateway.metrics;
    struct peer ann;

    (void)state;
    begin("connect disconnect");
    peer_connect(&ann, &k, "ann");
    answer(take(), BUS_REFUSED);
    assert_int_equal(stat_get(&m->events_refused), 1);
    expect_none();
    k.bus.is_full = true;
    for (size_t i = 0; i < NOTICES_MAX + 5; i++) {
        notices_disconnect(k.gateway.notices, peer_session(&ann), 1000, "bye");
    }
    assert_int_equal(stat_get(&m->limits.met[LIMIT_NOTICES]), 5);
    assert_int_equal(notices_waiting(k.gateway.notices), NOTICES_MAX);
    k.bus.is_full = false;
    notices_tick(k.gateway.notices);
    expect("disconnect", "disconnect.ann", "1000");
    assert_int_equal(notices_waiting(k.gateway.notices), NOTICES_MAX - 1);
    peer_end(&ann);
    kit_end(&k); /* frees what waits */
}

static void what_can_be_told_is_checked(void **state)
{
    static const char *const good[] = {"none", "connect", "disconnect", " disconnect ,connect "};
    static const char *const bad[] = {
        "",       " ",    ",",       "connects",    "none connect", "connect;disconnect",
        "record", "join", "Connect", "connect none"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_null(notices_check(good[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_non_null(notices_check(bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_and_goes_is_told_if_the_settings_say_so),
        cmocka_unit_test(an_outage_loses_nothing_and_keeps_the_order),
        cmocka_unit_test(too_many_and_refused_ones_are_dropped_and_counted),
        cmocka_unit_test(what_can_be_told_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
