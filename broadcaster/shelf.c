/* shelf.c: the recent records of a partition's rooms, in memory. */
#include "broadcaster/shelf.h"

#include "common/mem.h"

static size_t cost_of(const struct kept *k)
{
    return sizeof(*k) + k->size;
}

/* Frees the oldest record of a room. */
static void shelf_drop(struct shelf *s, struct place *place)
{
    struct kept *k = place->oldest;

    place->oldest = k->next;
    if (place->oldest == NULL) {
        place->newest = NULL;
    }
    *(k->older != NULL ? &k->older->newer : &s->oldest) = k->newer;
    *(k->newer != NULL ? &k->newer->older : &s->newest) = k->older;
    if (s->fresh == k) {
        s->fresh = k->newer;
    }
    s->bytes -= cost_of(k);
    stat_sub(s->gauge, cost_of(k));
    mem_free(k);
}

/* The records of a room that are above its share, as far as they are not fresh. */
static void shelf_trim(struct shelf *s, struct place *place)
{
    while (place->oldest != NULL && place->oldest->is_aged &&
           place->newest->offset - place->oldest->offset >= (uint64_t)place->rule->history_size) {
        shelf_drop(s, place);
    }
}

static void shelf_link(struct shelf *s, struct place *place, struct kept *k)
{
    k->older = s->newest;
    *(s->newest != NULL ? &s->newest->newer : &s->oldest) = k;
    s->newest = k;
    if (s->fresh == NULL) {
        s->fresh = k;
    }
    *(place->newest != NULL ? &place->newest->next : &place->oldest) = k;
    place->newest = k;
    s->bytes += cost_of(k);
    stat_add(s->gauge, cost_of(k));
}

void shelf_add(struct shelf *s, struct place *place, struct slice record, int64_t time_ms)
{
    uint64_t offset = place->confirmed.offset;

    assert(record.size > 0 && record.size <= UINT32_MAX);
    if (place->newest != NULL && place->newest->offset + 1 != offset) {
        shelf_clear(s, place);
    }
    struct kept *k = mem_alloc(sizeof(*k) + record.size);
    *k = (struct kept){
        .place = place, .offset = offset, .time_ms = time_ms, .size = (uint32_t)record.size};
    memcpy(k->bytes, record.at, record.size);
    shelf_link(s, place, k);
    shelf_trim(s, place);
    while (s->bytes > s->bytes_max && s->oldest != NULL) {
        shelf_drop(s, s->oldest->place);
    }
}

void shelf_clear(struct shelf *s, struct place *place)
{
    while (place->oldest != NULL) {
        shelf_drop(s, place);
    }
}

static bool is_too_old(const struct kept *k, int64_t now_ms)
{
    return now_ms - k->time_ms > k->place->rule->history_ttl_ms;
}

void shelf_expire(struct shelf *s, struct place *place, int64_t now_ms)
{
    while (place->oldest != NULL && is_too_old(place->oldest, now_ms)) {
        shelf_drop(s, place);
    }
}

void shelf_tick(struct shelf *s, int64_t now_ms)
{
    while (s->oldest != NULL && is_too_old(s->oldest, now_ms)) {
        shelf_drop(s, s->oldest->place);
    }
    while (s->fresh != NULL && now_ms - s->fresh->time_ms > SHELF_FRESH_MS) {
        struct kept *k = s->fresh;

        k->is_aged = true;
        s->fresh = k->newer;
        shelf_trim(s, k->place);
    }
}

bool shelf_covers(const struct place *place, uint64_t offset)
{
    return offset == place->confirmed.offset ||
           (offset < place->confirmed.offset && place->oldest != NULL &&
            place->oldest->offset <= offset + 1);
}

const struct kept *shelf_after(const struct place *place, uint64_t offset)
{
    const struct kept *k = place->oldest;

    while (k != NULL && k->offset <= offset) {
        k = k->next;
    }
    return k;
}
