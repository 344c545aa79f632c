/*
 * tries.c: see tries.h.
 */
#include "gateway/edge/tries.h"

#include "common/hash.h"
#include "common/mem.h"
#include "gateway/edge/crowd.h"

struct place {
    uint8_t ip[NET_IP_SIZE];
    int64_t begin_ms; /* of its window */
    int64_t count;
};

struct tries {
    int64_t max;
    struct place places[TRIES_PLACES]; /* by the hash of the address */
};

struct tries *tries_new(int64_t max)
{
    struct tries *t = mem_new(struct tries);

    t->max = max;
    return t;
}

struct tries *tries_free(struct tries *t)
{
    mem_free(t);
    return NULL;
}

static size_t place_of(const uint8_t ip[NET_IP_SIZE])
{
    return hash_seeded(ip, NET_IP_SIZE) % TRIES_PLACES;
}

static bool is_of(const struct place *p, const uint8_t ip[NET_IP_SIZE], int64_t now_ms)
{
    return p->count > 0 && now_ms - p->begin_ms < TRIES_WINDOW_MS &&
           memcmp(p->ip, ip, NET_IP_SIZE) == 0;
}

void tries_add(struct tries *t, const struct net_addr *a, int64_t now_ms)
{
    uint8_t ip[NET_IP_SIZE];

    if (t->max == 0 || !crowd_key(a, ip)) {
        return;
    }
    struct place *p = &t->places[place_of(ip)];
    if (!is_of(p, ip, now_ms)) {
        *p = (struct place){.begin_ms = now_ms};
        memcpy(p->ip, ip, sizeof(ip));
    }
    p->count++;
}

bool tries_is_over(const struct tries *t, const struct net_addr *a, int64_t now_ms)
{
    uint8_t ip[NET_IP_SIZE];

    if (t->max == 0 || !crowd_key(a, ip)) {
        return false;
    }
    const struct place *p = &t->places[place_of(ip)];
    return is_of(p, ip, now_ms) && p->count >= t->max;
}
