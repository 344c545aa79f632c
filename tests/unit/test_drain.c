/* test_drain.c: a gateway that ends: who still comes in, who goes when, what is waited for. */
#include "gateway/bus/lanes.h"
#include "gateway/session/pace.h"
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"
#define PARTS 10

static void sessions_go_evenly(void **state)
{
    static const size_t counts[] = {1, 2, 7, 10, 99, 5000, 15000, 10000000};
    static const int64_t times[] = {1000, 10000, 600000}, steps[] = {1, 50};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(counts) * ARRAY_LEN(times) * ARRAY_LEN(steps); i++) {
        size_t count = counts[i % ARRAY_LEN(counts)];
        int64_t whole = times[i / ARRAY_LEN(counts) % ARRAY_LEN(times)];
        int64_t step = steps[i / ARRAY_LEN(counts) / ARRAY_LEN(times)];
        size_t went[PARTS] = {0}, here = count;

        for (int64_t left = whole; left > 0; left -= step) {
            size_t stay = pace_left(count, left, whole);

            assert_true(stay <= here);
            went[(whole - left) * PARTS / whole] += here - stay;
            here = stay;
        }
        went[PARTS - 1] += here - pace_left(count, 0, whole);
        for (int part = 0; part < PARTS; part++) {
            int64_t too_many = (int64_t)went[part] * PARTS - (int64_t)count;
            int64_t one_step = (int64_t)count * PARTS * step / whole + PARTS;

            assert_in_range(too_many + one_step, 0, 2 * one_step);
        }
    }
    assert_int_equal(pace_left(100, 500, 0), 0);
    assert_int_equal(pace_left(100, -1, 1000), 0);
}

static size_t open_sessions(struct kit *k)
{
    return sessions_drain(k->gateway.sessions, SIZE_MAX, true);
}

static void each_part_of_the_drain_has_its_part_of_the_sessions(void **state)
{
    enum { EACH = 3, ALL = EACH * PARTS };
    struct kit k;
    struct peer peers[ALL];
    (void)state;

    kit_init(&k);
    k.conf.drain_ms = 100000;
    kit_start(&k);
    for (size_t i = 0; i < ALL; i++) {
        peer_connect(&peers[i], &k, "ann");
    }
    kit_stop_clocks();
    gateway_drain(&k.gateway);
    KIT_UNTIL(&k, k.gateway.is_draining);
    for (size_t part = 1; part <= PARTS; part++) {
        kit_skip(10000);
        KIT_UNTIL(&k, open_sessions(&k) <= ALL - part * EACH);
        kit_settle(&k);
        assert_int_equal(open_sessions(&k), ALL - part * EACH);
    }
    kit_start_clocks();
    for (size_t i = 0; i < ALL; i++) {
        peer_expect(&peers[i], "close 3001 shutdown");
        peer_end(&peers[i]);
    }
    ev_run(k.loop, 0);
    kit_end(&k);
}

static void people_still_come_in_until_balancers_have_noticed(void **state)
{
    struct kit k;
    struct peer late;
    (void)state;

    kit_init(&k);
    k.conf.drain_accept_ms = 100000;
    kit_start(&k);
    kit_stop_clocks();
    gateway_drain(&k.gateway);
    kit_settle(&k);
    assert_true(k.gateway.is_leaving);
    assert_non_null(k.gateway.listener);
    assert_true(gateway_has_room(&k.gateway));
    peer_connect(&late, &k, "ann");
    kit_skip(100000);
    KIT_UNTIL(&k, k.gateway.is_draining);
    kit_start_clocks();
    assert_null(k.gateway.listener);
    assert_false(gateway_has_room(&k.gateway));
    peer_expect(&late, "close 3001 shutdown");
    peer_end(&late);
    ev_run(k.loop, 0);
    kit_end(&k);
}

static void who_waits_for_an_answer_gets_it_before_the_end(void **state)
{
    struct kit k;
    struct peer ann, bob;
    (void)state;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    peer_connect(&bob, &k, "bob");
    peer_send(&ann, "{\"id\":2,\"publish\":{\"channel\":\"" ROOM "\",\"data\":1}}");
    struct bus_out *doubt = kit_take(&k, MESSAGE_PUBLISH);
    peer_send(&ann, "{\"id\":3,\"publish\":{\"channel\":\"" ROOM "\",\"data\":2}}");
    KIT_UNTIL(&k, lanes_waiting(k.gateway.lanes) == 2);
    kit_stop_clocks();
    gateway_drain(&k.gateway);
    KIT_UNTIL(&k, k.gateway.is_draining);
    kit_skip(k.conf.drain_ms);
    peer_expect(&bob, "close 3001 shutdown");
    /* What she says now is not read, and so has no answer. */
    peer_send(&ann, "{\"id\":4,\"publish\":{\"channel\":\"" ROOM "\",\"data\":3}}");
    peer_expect_nothing(&ann);
    kit_result(&k, doubt, BUS_CONFIRMED);
    peer_expect(&ann, "{\"id\":2,\"publish\":{}}");
    kit_result(&k, kit_take(&k, MESSAGE_PUBLISH), BUS_CONFIRMED);
    peer_expect(&ann, "{\"id\":3,\"publish\":{}}");
    peer_expect(&ann, "close 3001 shutdown");
    kit_expect_none(&k, MESSAGE_PUBLISH);
    kit_start_clocks();
    peer_end(&ann);
    peer_end(&bob);
    ev_run(k.loop, 0);
    kit_end(&k);
}

static void a_broker_that_is_silent_is_not_waited_for_without_end(void **state)
{
    struct kit k;
    struct peer ann;
    (void)state;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    peer_send(&ann, "{\"id\":2,\"publish\":{\"channel\":\"" ROOM "\",\"data\":1}}");
    struct bus_out *doubt = kit_take(&k, MESSAGE_PUBLISH);
    kit_stop_clocks();
    gateway_drain(&k.gateway);
    KIT_UNTIL(&k, k.gateway.is_draining);
    kit_skip(k.conf.drain_ms + 2900);
    peer_expect_nothing(&ann);
    kit_skip(150);
    peer_expect(&ann, "close 3001 shutdown");
    kit_start_clocks();
    ev_run(k.loop, 0);
    bus_out_free(doubt);
    peer_end(&ann);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_go_evenly),
        cmocka_unit_test(each_part_of_the_drain_has_its_part_of_the_sessions),
        cmocka_unit_test(people_still_come_in_until_balancers_have_noticed),
        cmocka_unit_test(who_waits_for_an_answer_gets_it_before_the_end),
        cmocka_unit_test(a_broker_that_is_silent_is_not_waited_for_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
