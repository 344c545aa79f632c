/*
 * repeats.c: see repeats.h.
 */
#include "gateway/room/repeats.h"

#include "common/hash.h"
#include "common/mem.h"

struct place {
    uint64_t name, content; /* hashes; of no key: 0 */
    int64_t since_ms;
};

struct repeats {
    uint64_t salt;        /* nobody outside can choose a place */
    struct place *places; /* owned; NULL: no key has come yet */
};

struct repeats *repeats_new(void)
{
    struct repeats *r = mem_new(struct repeats);

    hash_random(&r->salt, sizeof(r->salt));
    return r;
}

struct repeats *repeats_free(struct repeats *r)
{
    if (r != NULL) {
        mem_free(r->places);
        mem_free(r);
    }
    return NULL;
}

static uint64_t hash_of(struct slice s)
{
    return hash_frozen(s.size > 0 ? s.at : "", s.size);
}

static uint64_t name_of(const struct repeats *r, const struct repeats_publish *p)
{
    const uint64_t parts[] = {r->salt, hash_of(p->room), hash_of(p->user), hash_of(p->key)};

    return hash_frozen(parts, sizeof(parts)) | 1; /* never 0 */
}

bool repeats_is_other(struct repeats *r, const struct repeats_publish *p, int64_t window_ms,
                      int64_t now_ms)
{
    uint64_t name = name_of(r, p), content = hash_of(p->content);

    if (r->places == NULL) {
        r->places = mem_zalloc(REPEATS_PLACES, sizeof(*r->places));
    }
    struct place *place = &r->places[(name >> 1) % REPEATS_PLACES];
    if (place->name == name && now_ms - place->since_ms < window_ms) {
        return place->content != content;
    }
    *place = (struct place){.name = name, .content = content, .since_ms = now_ms};
    return false;
}
