/*
 * told.c: see told.h: a table without chains, a word a member.
 */
#include "gateway/room/told.h"

#include "common/hash.h"
#include "common/mem.h"
#include "proto/limits.h"

#define TOLD_MAX 8192 /* members that are remembered; a power of two */

struct told {
    uint32_t begun;
    uint64_t last[TOLD_MAX]; /* hash of the member, its lowest bit: has left; 0: nothing */
};

struct told *told_new(void)
{
    return mem_new(struct told);
}

struct told *told_free(struct told *t)
{
    mem_free(t);
    return NULL;
}

uint32_t told_begin(struct told *t)
{
    return ++t->begun;
}

bool told_is_news(struct told *t, uint32_t moving, struct slice client, bool left)
{
    char key[sizeof(moving) + ID_MAX];
    size_t size = MIN(client.size, (size_t)ID_MAX);

    memcpy(key, &moving, sizeof(moving));
    memcpy(key + sizeof(moving), client.at, size);
    uint64_t hash = hash_frozen(key, sizeof(moving) + size);
    uint64_t *last = &t->last[(hash >> 1) % TOLD_MAX], now = (hash & ~UINT64_C(1)) | left;

    if (*last == now) {
        return false;
    }
    *last = now;
    return true;
}
