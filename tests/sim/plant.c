/* plant.c: bugs on purpose, as far as they are made by changing what is said. */
#include <stdio.h>

#include "proto/record.h"
#include "tests/sim/sim.h"

#define SWAP_PERCENT 10
#define TELL_PERCENT 10
#define RECORDS_MAX 256

/* Two neighbours of one room get each other's payloads. */
static void swap_records(struct sim *s, struct sim_letter *l)
{
    struct slice rest = l->m.body;
    struct record all[RECORDS_MAX];
    struct buf body = BUF_EMPTY;
    size_t count = 0;
    bool is_done = false;

    while (count < RECORDS_MAX && record_next(&rest, true, &all[count]) == 0) {
        count++;
    }
    for (size_t i = 1; i < count && !is_done && rest.size == 0; i++) {
        if (slice_equal(all[i - 1].room, all[i].room)) {
            struct slice payload = all[i].payload;
            all[i].payload = all[i - 1].payload;
            all[i - 1].payload = payload;
            is_done = true;
        }
    }
    for (size_t i = 0; i < count && is_done; i++) {
        record_encode(&body, &all[i]);
    }
    if (is_done) { /* nothing but places has changed */
        assert(body.size == l->m.body.size);
        memcpy(l->texts.at + (l->m.body.at - l->texts.at), body.at, body.size);
        sim_trace(s, "PLANTED two records are swapped");
    }
    buf_deinit(&body);
}

void plant_append(struct sim *s, struct sim_letter *l)
{
    if (s->plant == SIM_NO_TERM && l->m.term > 1) {
        l->m.term = 1;
    }
    if (s->plant == SIM_SWAP && l->m.type == MESSAGE_APPEND && sim_chance(s, SWAP_PERCENT)) {
        swap_records(s, l);
    }
}

void plant_delivery(struct sim *s, struct sim_letter *l)
{
    static const char word[] = "\"audience\":", other[] = "\"whatever\":";
    const size_t size = sizeof(word) - 1;

    if (s->plant != SIM_TELL || l->m.type != MESSAGE_DELIVER || !sim_chance(s, TELL_PERCENT)) {
        return;
    }
    for (size_t i = 0; i + size <= l->texts.size; i++) {
        if (memcmp(l->texts.at + i, word, size) == 0) {
            memcpy(l->texts.at + i, other, size);
            sim_trace(s, "PLANTED a record is for everybody");
        }
    }
}

void plant_input(struct sim *s, struct message *m, char boot[BOOT_SIZE + 1])
{
    if (s->plant == SIM_NO_DUPLICATES) { /* a lane of its own */
        snprintf(boot, BOOT_SIZE + 1, "%016" PRIx64, ++s->serials);
        m->boot = slice_of(boot);
        m->batch = 1;
    }
}
