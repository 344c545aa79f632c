/* Fair shares: one share's decisions, and what several make of a broker that judges their claims.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broadcaster/share.h"

#define SEED 42

static struct share make(uint32_t partitions, uint32_t broadcasters)
{
    struct share s;

    share_init(&s, partitions, SEED);
    s.broadcasters = broadcasters;
    return s;
}

static void hold(struct share *s, uint32_t count, enum share_hold hold)
{
    for (uint32_t p = 0; p < s->partitions && count > 0; p++) {
        if (s->holds[p] == SHARE_NONE) {
            s->holds[p] = hold;
            count--;
        }
    }
}

static void target_is_the_quotient_rounded_up(void **state)
{
    static const struct {
        uint32_t partitions, broadcasters, target;
    } rows[] = {
        {16, 1, 16}, {16, 2, 8}, {16, 3, 6},   {16, 4, 4},  {16, 15, 2},  {16, 16, 1},
        {16, 17, 1}, {1, 1, 1},  {1, 1000, 1}, {16, 0, 16}, {256, 3, 86}, {16, UINT16_MAX, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(share_target(rows[i].partitions, rows[i].broadcasters), rows[i].target);
    }
}

static void nothing_is_claimed_before_the_first_count(void **state)
{
    struct share s = make(16, 0);

    (void)state;
    assert_int_equal(share_missing(&s), 0);
}

static void what_is_starting_counts_as_held_and_what_is_leaving_does_not(void **state)
{
    struct share s = make(16, 2);

    (void)state;
    hold(&s, 2, SHARE_STARTING);
    hold(&s, 3, SHARE_OWNED);
    hold(&s, 4, SHARE_LEAVING);
    assert_int_equal(share_held(&s), 5);
    assert_int_equal(share_missing(&s), 3);
}

static void nothing_is_missing_at_or_above_the_target(void **state)
{
    (void)state;
    for (uint32_t held = 8; held <= 16; held++) {
        struct share s = make(16, 2);
        hold(&s, held, SHARE_OWNED);
        assert_int_equal(share_missing(&s), 0);
    }
}

static void nothing_is_given_away_by_the_only_one(void **state)
{
    struct share s = make(16, 1);
    uint32_t p;

    (void)state;
    hold(&s, 16, SHARE_OWNED);
    assert_false(share_surplus(&s, &p));
    s.broadcasters = 0;
    assert_false(share_surplus(&s, &p));
}

static void nothing_is_given_away_at_or_below_the_target(void **state)
{
    (void)state;
    for (uint32_t held = 0; held <= 6; held++) {
        struct share s = make(16, 3);
        uint32_t p;
        hold(&s, held, SHARE_OWNED);
        assert_false(share_surplus(&s, &p));
    }
}

static void one_is_given_away_at_a_time(void **state)
{
    struct share s = make(16, 2);
    uint32_t p;

    (void)state;
    hold(&s, 16, SHARE_OWNED);
    for (uint32_t held = 16; held > 8; held--) {
        assert_true(share_surplus(&s, &p));
        assert_int_equal(s.holds[p], SHARE_OWNED);
        s.holds[p] = SHARE_LEAVING;
        uint32_t other;
        assert_false(share_surplus(&s, &other));
        s.holds[p] = SHARE_NONE;
    }
    assert_false(share_surplus(&s, &p));
}

static void what_is_starting_is_not_given_away(void **state)
{
    struct share s = make(16, 2);
    uint32_t p;

    (void)state;
    hold(&s, 16, SHARE_STARTING);
    assert_false(share_surplus(&s, &p));
    s.holds[5] = SHARE_OWNED;
    assert_true(share_surplus(&s, &p));
    assert_int_equal(p, 5);
}

static void stopping_gives_all_away_and_claims_nothing(void **state)
{
    struct share s = make(16, 1);
    uint32_t p, given = 0;

    (void)state;
    hold(&s, 3, SHARE_STARTING);
    hold(&s, 9, SHARE_OWNED);
    hold(&s, 2, SHARE_LEAVING);
    s.is_stopping = true;
    assert_int_equal(share_missing(&s), 0);
    while (share_surplus(&s, &p)) {
        s.holds[p] = SHARE_LEAVING;
        given++;
    }
    assert_int_equal(given, 12);
    assert_int_equal(share_missing(&s), 0);
}

static void candidates_are_each_free_partition_once(void **state)
{
    struct share s = make(PARTITIONS_MAX, 1);
    uint32_t order[PARTITIONS_MAX];
    bool seen[PARTITIONS_MAX] = {false};

    (void)state;
    s.holds[0] = SHARE_STARTING;
    s.holds[7] = SHARE_OWNED;
    s.holds[PARTITIONS_MAX - 1] = SHARE_LEAVING;
    s.claim_after_ms[9] = 1001;
    s.claim_after_ms[10] = 1000;
    size_t count = share_candidates(&s, 1000, order);
    assert_int_equal(count, PARTITIONS_MAX - 4);
    for (size_t i = 0; i < count; i++) {
        assert_true(order[i] < PARTITIONS_MAX);
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
    }
    assert_false(seen[0] || seen[7] || seen[9] || seen[PARTITIONS_MAX - 1]);
    assert_true(seen[10]);
}

static void candidates_come_in_another_order_for_everyone(void **state)
{
    uint32_t one[PARTITIONS_MAX], other[PARTITIONS_MAX];
    struct share a, b;

    (void)state;
    share_init(&a, 64, 1);
    share_init(&b, 64, 2);
    assert_int_equal(share_candidates(&a, 0, one), 64);
    assert_int_equal(share_candidates(&b, 0, other), 64);
    assert_memory_not_equal(one, other, 64 * sizeof(one[0]));
}

static void a_lost_connection_takes_everything_along(void **state)
{
    struct share s = make(16, 2);

    (void)state;
    hold(&s, 8, SHARE_OWNED);
    s.claim_after_ms[3] = INT64_MAX;
    share_lost_all(&s);
    assert_int_equal(share_held(&s), 0);
    assert_int_equal(share_missing(&s), 0);
    uint32_t order[PARTITIONS_MAX];
    assert_int_equal(share_candidates(&s, 0, order), 16);
}

static void jitter_stays_within_a_quarter(void **state)
{
    struct share s = make(1, 1);
    int64_t low = INT64_MAX, high = 0;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        int64_t ms = share_jitter(&s, 1000);
        low = MIN(low, ms);
        high = MAX(high, ms);
    }
    assert_in_range(low, 750, 770);
    assert_in_range(high, 1230, 1250);
    assert_int_equal(share_jitter(&s, 0), 0);
}

static void random_numbers_stay_below_the_bound(void **state)
{
    struct share s = make(1, 1);
    uint32_t hits[5] = {0};

    (void)state;
    for (int i = 0; i < 5000; i++) {
        hits[share_random(&s, 5)]++;
        assert_int_equal(share_random(&s, 1), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(hits); i++) {
        assert_in_range(hits[i], 800, 1200);
    }
}

/* A broker and its broadcasters, each of which does in a step what a period does. */
#define WORLD_MAX 8

struct world {
    uint32_t partitions;
    int owner[PARTITIONS_MAX]; /* -1: nobody */
    bool is_up[WORLD_MAX];
    struct share shares[WORLD_MAX];
    uint32_t claims;
};

static void world_init(struct world *w, uint32_t partitions)
{
    *w = (struct world){.partitions = partitions};
    for (uint32_t p = 0; p < partitions; p++) {
        w->owner[p] = -1;
    }
    for (int i = 0; i < WORLD_MAX; i++) {
        share_init(&w->shares[i], partitions, (uint64_t)i);
    }
}

static uint32_t world_count(const struct world *w)
{
    uint32_t n = 0;

    for (int i = 0; i < WORLD_MAX; i++) {
        n += w->is_up[i];
    }
    return n;
}

static void world_kill(struct world *w, int i)
{
    w->is_up[i] = false;
    share_lost_all(&w->shares[i]);
    for (uint32_t p = 0; p < w->partitions; p++) {
        w->owner[p] = w->owner[p] == i ? -1 : w->owner[p];
    }
}

static void step(struct world *w, int i)
{
    struct share *s = &w->shares[i];
    uint32_t order[PARTITIONS_MAX], p;

    s->broadcasters = world_count(w);
    size_t count = share_candidates(s, 0, order);
    for (size_t n = 0; n < count && share_missing(s) > 0; n++) {
        if (w->owner[order[n]] == -1) {
            w->owner[order[n]] = i;
            s->holds[order[n]] = SHARE_OWNED;
            w->claims++;
        }
    }
    if (share_surplus(s, &p)) {
        assert_int_equal(w->owner[p], i);
        w->owner[p] = -1;
        s->holds[p] = SHARE_NONE;
    }
}

/* Steps until nothing changes any more; at most one partition a step is on its way. */
static void settle(struct world *w)
{
    for (uint32_t round = 0; round < 2 * w->partitions; round++) {
        for (int i = 0; i < WORLD_MAX; i++) {
            if (w->is_up[i]) {
                step(w, i);
            }
        }
    }
}

static void assert_fair(const struct world *w)
{
    uint32_t owned = 0;

    for (uint32_t p = 0; p < w->partitions; p++) {
        owned += w->owner[p] != -1;
    }
    assert_int_equal(owned, w->partitions);
    for (int i = 0; i < WORLD_MAX; i++) {
        if (w->is_up[i]) {
            uint32_t held = share_held(&w->shares[i]);
            assert_true(held <= share_target(w->partitions, world_count(w)));
        }
    }
}

static void broadcasters_that_come_and_go_end_with_a_fair_share_of_all(void **state)
{
    static const uint32_t sizes[] = {1, 2, 7, 16, 100, PARTITIONS_MAX};
    static struct world w;

    (void)state;
    for (size_t n = 0; n < ARRAY_LEN(sizes); n++) {
        world_init(&w, sizes[n]);
        for (int i = 0; i < WORLD_MAX; i++) {
            w.is_up[i] = true;
            settle(&w);
            assert_fair(&w);
        }
        for (int i = 0; i < WORLD_MAX - 1; i++) {
            world_kill(&w, i);
            settle(&w);
            assert_fair(&w);
        }
    }
}

static void no_partition_moves_twice(void **state)
{
    static struct world w;

    (void)state;
    world_init(&w, 16);
    w.is_up[0] = true;
    settle(&w);
    assert_int_equal(w.claims, 16);
    w.is_up[1] = true;
    w.is_up[2] = true;
    settle(&w);
    assert_fair(&w);
    assert_int_equal(w.claims, 16 + 10); /* 6 stay, 10 move */
    settle(&w);
    assert_int_equal(w.claims, 16 + 10); /* and then nothing moves */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(target_is_the_quotient_rounded_up),
        cmocka_unit_test(nothing_is_claimed_before_the_first_count),
        cmocka_unit_test(what_is_starting_counts_as_held_and_what_is_leaving_does_not),
        cmocka_unit_test(nothing_is_missing_at_or_above_the_target),
        cmocka_unit_test(nothing_is_given_away_by_the_only_one),
        cmocka_unit_test(nothing_is_given_away_at_or_below_the_target),
        cmocka_unit_test(one_is_given_away_at_a_time),
        cmocka_unit_test(what_is_starting_is_not_given_away),
        cmocka_unit_test(stopping_gives_all_away_and_claims_nothing),
        cmocka_unit_test(candidates_are_each_free_partition_once),
        cmocka_unit_test(candidates_come_in_another_order_for_everyone),
        cmocka_unit_test(a_lost_connection_takes_everything_along),
        cmocka_unit_test(jitter_stays_within_a_quarter),
        cmocka_unit_test(random_numbers_stay_below_the_bound),
        cmocka_unit_test(broadcasters_that_come_and_go_end_with_a_fair_share_of_all),
        cmocka_unit_test(no_partition_moves_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
