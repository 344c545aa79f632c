/*
 * crowd.c: see crowd.h.
 */
#include "gateway/edge/crowd.h"

#include "common/hash.h"
#include "common/mem.h"

#define V6_SIZE 8 /* bytes of an IPv6 address that count */

struct crowd_place {
    struct crowd *all; /* borrowed: outlives its places */
    uint8_t ip[NET_IP_SIZE];
    int64_t count;
    int64_t knocking; /* of them */
    UT_hash_handle hh;
};

struct crowd {
    struct crowd_place *by_ip; /* owns */
    int64_t max;
};

struct crowd *crowd_new(int64_t max)
{
    struct crowd *all = mem_new(struct crowd);

    all->max = max;
    return all;
}

struct crowd *crowd_free(struct crowd *all)
{
    assert(all == NULL || all->by_ip == NULL);
    mem_free(all);
    return NULL;
}

static bool is_v4(const uint8_t ip[NET_IP_SIZE])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

bool crowd_key(const struct net_addr *a, uint8_t key[NET_IP_SIZE])
{
    if (!net_ip(a, key)) {
        return false;
    }
    if (!is_v4(key)) {
        memset(key + V6_SIZE, 0, NET_IP_SIZE - V6_SIZE);
    }
    return true;
}

bool crowd_enter(struct crowd *all, const struct net_addr *a, struct crowd_place **place)
{
    uint8_t ip[NET_IP_SIZE];
    struct crowd_place *p;

    *place = NULL;
    if (all->max == 0 || !crowd_key(a, ip)) {
        return true;
    }
    HASH_FIND(hh, all->by_ip, ip, sizeof(ip), p);
    if (p == NULL) {
        p = mem_new(struct crowd_place);
        p->all = all;
        memcpy(p->ip, ip, sizeof(ip));
        HASH_ADD(hh, all->by_ip, ip, sizeof(p->ip), p);
    }
    if (p->count >= all->max) {
        return false; /* it has connections, so it stays without this one */
    }
    p->count++;
    *place = p;
    return true;
}

void crowd_leave(struct crowd_place *place)
{
    if (place == NULL) {
        return;
    }
    assert(place->count > 0);
    if (--place->count == 0) {
        HASH_DELETE(hh, place->all->by_ip, place);
        mem_free(place);
    }
}

bool crowd_knock(struct crowd_place *place, int64_t max)
{
    if (place == NULL) {
        return true;
    }
    if (max > 0 && place->knocking >= max) {
        return false;
    }
    place->knocking++;
    return true;
}

void crowd_arrived(struct crowd_place *place)
{
    if (place != NULL) {
        assert(place->knocking > 0);
        place->knocking--;
    }
}
