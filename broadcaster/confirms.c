/* confirms.c: which publishes on one channel the broker has answered. */
#include "broadcaster/confirms.h"

#include "common/mem.h"

#define CAPACITY_MIN 64

void confirms_deinit(struct confirms *c)
{
    mem_free(c->early);
    *c = (struct confirms){0};
}

static bool *early(const struct confirms *c, uint64_t number)
{
    return &c->early[number & (c->capacity - 1)];
}

static void grow(struct confirms *c)
{
    struct confirms old = *c;

    c->capacity = MAX((size_t)CAPACITY_MIN, old.capacity * 2);
    c->early = mem_zalloc(c->capacity, sizeof(c->early[0]));
    for (uint64_t n = c->settled + 1; n <= c->sent && old.capacity > 0; n++) {
        *early(c, n) = *early(&old, n);
    }
    mem_free(old.early);
}

uint64_t confirms_add(struct confirms *c)
{
    if (c->sent - c->settled == c->capacity) {
        grow(c);
    }
    c->sent++;
    return c->sent;
}

uint64_t confirms_take(struct confirms *c, uint64_t number, bool multiple)
{
    uint64_t count = 0;

    if (number <= c->settled || number > c->sent) {
        return 0;
    }
    for (uint64_t n = multiple ? c->settled + 1 : number; n <= number; n++) {
        count += !*early(c, n);
        *early(c, n) = true;
    }
    c->ahead += count;
    while (c->settled < c->sent && *early(c, c->settled + 1)) {
        c->settled++;
        *early(c, c->settled) = false;
        c->ahead--;
    }
    return count;
}

uint64_t confirms_open(const struct confirms *c)
{
    return c->sent - c->settled - c->ahead;
}
