/*
 * idle.c: what the bus can do and nobody here needs: no other program publishes, nobody asks all
 * gateways, and the thread that would hang is none.
 */
#include "common/mem.h"
#include "gateway/bus/raw.h"
#include "tests/sim/sim.h"

void bus_raw_done(struct bus *b, struct raw *raw)
{
    (void)b;
    mem_free(raw);
}

void bus_raw_end(struct bus *b)
{
    (void)b;
}

uint64_t bus_count(struct bus *b)
{
    (void)b;
    return 0;
}

void bus_tick(struct bus *b)
{
    (void)b;
}
