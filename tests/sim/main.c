/*
 * main.c: runs seeds.
 *
 *     sim --seeds 1-1000        each of them; stops at the first that fails
 *     sim --seed 17 [--trace]   one of them
 *     ... --plant N             with a bug on purpose, see enum sim_plant
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "tests/sim/sim.h"

#define REPORT_EVERY 10000 /* seeds */

struct sum {
    uint64_t seeds;
    struct sim_counts counts;
};

static void add(struct sum *sum, const struct sim_counts *c)
{
    sum->seeds++;
    sum->counts.events += c->events;
    sum->counts.faults += c->faults;
    sum->counts.publishes += c->publishes;
    sum->counts.confirmed += c->confirmed;
    sum->counts.refused += c->refused;
    sum->counts.seen += c->seen;
    sum->counts.resets += c->resets;
    sum->counts.recovered += c->recovered;
    sum->counts.takeovers += c->takeovers;
    sum->counts.duplicates += c->duplicates;
    sum->counts.voids += c->voids;
    sum->counts.told += c->told;
    sum->counts.told_again += c->told_again;
}

static void print(const struct sum *sum)
{
    const struct sim_counts *c = &sum->counts;

    printf("%" PRIu64 " seeds, %" PRIu64 " events, %" PRIu64 " faults, %" PRIu64
           " takeovers: %" PRIu64 " publishes (%" PRIu64 " confirmed, %" PRIu64
           " refused), %" PRIu64 " records seen, %" PRIu64 " recoveries, %" PRIu64
           " resets, %" PRIu64 " duplicates and %" PRIu64 " void records dropped, %" PRIu64
           " events, %" PRIu64 " of them again\n",
           sum->seeds, c->events, c->faults, c->takeovers, c->publishes, c->confirmed, c->refused,
           c->seen, c->recovered, c->resets, c->duplicates, c->voids, c->told, c->told_again);
    fflush(stdout);
}

static int usage(void)
{
    fputs("usage: sim --seeds FIRST-LAST | --seed N [--trace]   [--plant 1-7]\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'o'},
        {"trace", no_argument, NULL, 't'},
        {"plant", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    uint64_t first = 0, last = 0, plant = 0;
    bool traces = false, is_good = true;
    struct sum sum = {.seeds = 0};
    char *stop;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 't') {
            traces = true;
        } else if (option == 'p') {
            plant = strtoull(optarg, NULL, 10);
        } else if (option == 's' || option == 'o') {
            first = last = strtoull(optarg, &stop, 10);
            if (option == 's' && *stop == '-') {
                last = strtoull(stop + 1, NULL, 10);
            }
        } else {
            return usage();
        }
    }
    if (first == 0 || last < first || plant >= SIM_PLANTS || optind < argc) {
        return usage();
    }
    for (uint64_t seed = first; seed <= last && is_good; seed++) {
        struct sim *s = mem_new(struct sim);

        is_good = sim_run(s, seed, (enum sim_plant)plant, traces);
        if (!is_good) {
            printf("seed %" PRIu64 ": %s\nto see it again: %s --seed %" PRIu64 " --trace", seed,
                   s->fault, argv[0], seed);
            printf(plant > 0 ? " --plant %" PRIu64 "\n" : "\n", plant);
        }
        add(&sum, &s->counts);
        mem_free(s);
        if (sum.seeds % REPORT_EVERY == 0) {
            print(&sum);
        }
    }
    print(&sum);
    return is_good ? 0 : 1;
}
