/* share.c: how many partitions this broadcaster should hold, and which. */
#include "broadcaster/share.h"

void share_init(struct share *s, uint32_t partitions, uint64_t seed)
{
    assert(partitions >= 1 && partitions <= PARTITIONS_MAX);
    *s = (struct share){.partitions = partitions, .random = seed};
}

void share_lost_all(struct share *s)
{
    s->broadcasters = 0;
    for (uint32_t p = 0; p < s->partitions; p++) {
        s->holds[p] = SHARE_NONE;
        s->claim_after_ms[p] = 0;
    }
}

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t share_random(struct share *s, uint64_t below)
{
    assert(below > 0);
    s->random += 0x9e3779b97f4a7c15;
    uint64_t z = s->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % below;
}

int64_t share_jitter(struct share *s, int64_t ms)
{
    assert(ms >= 0);
    return ms - ms / 4 + (int64_t)share_random(s, (uint64_t)(ms / 2) + 1);
}

uint32_t share_target(uint32_t partitions, uint32_t broadcasters)
{
    return broadcasters == 0 ? partitions : (partitions + broadcasters - 1) / broadcasters;
}

static uint32_t count(const struct share *s, enum share_hold hold)
{
    uint32_t n = 0;

    for (uint32_t p = 0; p < s->partitions; p++) {
        n += s->holds[p] == hold;
    }
    return n;
}

uint32_t share_held(const struct share *s)
{
    return count(s, SHARE_STARTING) + count(s, SHARE_OWNED);
}

uint32_t share_missing(const struct share *s)
{
    if (s->is_stopping || s->broadcasters == 0) {
        return 0;
    }
    uint32_t target = share_target(s->partitions, s->broadcasters), held = share_held(s);
    return held < target ? target - held : 0;
}

size_t share_candidates(struct share *s, int64_t now_ms, uint32_t order[PARTITIONS_MAX])
{
    size_t n = 0;

    for (uint32_t p = 0; p < s->partitions; p++) {
        if (s->holds[p] == SHARE_NONE && s->claim_after_ms[p] <= now_ms) {
            /* Fisher and Yates, inside out. */
            size_t at = share_random(s, n + 1);
            order[n] = order[at];
            order[at] = p;
            n++;
        }
    }
    return n;
}

bool share_surplus(struct share *s, uint32_t *partition)
{
    uint32_t candidates[PARTITIONS_MAX];
    uint32_t n = 0;

    if (!s->is_stopping && (s->broadcasters <= 1 || count(s, SHARE_LEAVING) > 0 ||
                            share_held(s) <= share_target(s->partitions, s->broadcasters))) {
        return false;
    }
    for (uint32_t p = 0; p < s->partitions; p++) {
        /* One that is starting will soon be owned; to give it away now would be to begin twice. */
        if (s->holds[p] == SHARE_OWNED || (s->is_stopping && s->holds[p] == SHARE_STARTING)) {
            candidates[n++] = p;
        }
    }
    if (n == 0) {
        return false;
    }
    *partition = candidates[share_random(s, n)];
    return true;
}
