/* test_sim.c: some hundred seeds, and proof that the simulator finds the bugs it is there for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/mem.h"
#include "tests/sim/sim.h"

#define SEEDS 300
#define SEEDS_TO_FIND 100 /* a planted bug */

static void run_seeds(uint64_t first, uint64_t last)
{
    for (uint64_t seed = first; seed <= last; seed++) {
        struct sim *s = mem_new(struct sim);

        if (!sim_run(s, seed, SIM_HONEST, false)) {
            fail_msg("seed %" PRIu64 ": %s; to see it: tests/sim/run --seed %" PRIu64 " --trace",
                     seed, s->fault, seed);
        }
        mem_free(s);
    }
}

static void nothing_is_lost_doubled_or_reordered_whatever_happens(void **state)
{
    (void)state;
    run_seeds(1, SEEDS);
}

static void a_seed_runs_the_same_way_for_ever(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim_counts counts[2];

        for (int i = 0; i < 2; i++) {
            struct sim *s = mem_new(struct sim);
            assert_true(sim_run(s, seed, SIM_HONEST, false));
            counts[i] = s->counts;
            mem_free(s);
        }
        assert_memory_equal(&counts[0], &counts[1], sizeof(counts[0]));
    }
}

static void find(enum sim_plant plant)
{
    char fault[300] = "";

    for (uint64_t seed = 1; seed <= SEEDS_TO_FIND && fault[0] == '\0'; seed++) {
        struct sim *s = mem_new(struct sim);

        if (!sim_run(s, seed, plant, false)) {
            print_message("seed %" PRIu64 ": %s\n", seed, s->fault);
            memcpy(fault, s->fault, sizeof(fault));
        }
        mem_free(s);
    }
    assert_string_not_equal(fault, "");
}

static void an_ack_before_the_confirm_is_found(void **state)
{
    (void)state;
    find(SIM_ACK_EARLY);
}

static void a_missing_look_for_duplicates_is_found(void **state)
{
    (void)state;
    find(SIM_NO_DUPLICATES);
}

static void a_missing_look_at_the_term_is_found(void **state)
{
    (void)state;
    find(SIM_NO_TERM);
}

static void a_dropped_delivery_is_found(void **state)
{
    (void)state;
    find(SIM_DROP);
}

static void two_swapped_records_are_found(void **state)
{
    (void)state;
    find(SIM_SWAP);
}

static void a_record_for_somebody_else_is_found(void **state)
{
    (void)state;
    find(SIM_TELL);
}

static void events_that_count_as_confirmed_when_they_are_sent_are_found(void **state)
{
    (void)state;
    find(SIM_TELL_ONCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_doubled_or_reordered_whatever_happens),
        cmocka_unit_test(a_seed_runs_the_same_way_for_ever),
        cmocka_unit_test(an_ack_before_the_confirm_is_found),
        cmocka_unit_test(a_missing_look_for_duplicates_is_found),
        cmocka_unit_test(a_missing_look_at_the_term_is_found),
        cmocka_unit_test(a_dropped_delivery_is_found),
        cmocka_unit_test(two_swapped_records_are_found),
        cmocka_unit_test(a_record_for_somebody_else_is_found),
        cmocka_unit_test(events_that_count_as_confirmed_when_they_are_sent_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
