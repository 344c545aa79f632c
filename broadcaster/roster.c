/* roster.c: the rooms of one partition, as their owner sees them. */
#include "broadcaster/roster.h"

#include <utlist.h>

#include "common/mem.h"

void roster_init(struct roster *r, const struct rules *rules, size_t max)
{
    *r = (struct roster){.rules = rules,
                         .ttl_min_ms = rules_history_ttl_min_ms(rules),
                         .max = max > 0 ? max : SIZE_MAX};
    r->crowd = r->max;
}

void roster_rules_changed(struct roster *r)
{
    struct place *place, *next;

    r->ttl_min_ms = rules_history_ttl_min_ms(r->rules);
    HASH_ITER (hh, r->by_name, place, next) {
        place->rule = rules_find(r->rules, place_name(place));
    }
}

struct place *roster_find(const struct roster *r, struct slice name)
{
    struct place *place;

    HASH_FIND(hh, r->by_name, name.at, name.size, place);
    return place;
}

struct place *roster_get(struct roster *r, struct slice name, int64_t now_ms)
{
    struct place *place = roster_find(r, name);

    if (place != NULL) {
        return place;
    }
    assert(name.size > 0 && name.size <= ROOM_NAME_MAX);
    place = mem_zalloc(1, sizeof(*place) + name.size);
    memcpy(place->name, name.at, name.size);
    place->name_size = (uint16_t)name.size;
    place->active_ms = now_ms;
    place->rule = rules_find(r->rules, name);
    HASH_ADD_KEYPTR(hh, r->by_name, place->name, place->name_size, place);
    DL_APPEND(r->idlest, place);
    return place;
}

/* The place leaves its place in the list. */
static void pass_sweep(struct roster *r, const struct place *place)
{
    if (r->sweep == place) {
        r->sweep = place->next;
    }
}

void roster_touch(struct roster *r, struct place *place, int64_t now_ms)
{
    place->active_ms = now_ms;
    if (place->next != NULL) {
        pass_sweep(r, place);
        DL_DELETE(r->idlest, place);
        DL_APPEND(r->idlest, place);
    }
}

bool place_is_wanted(const struct place *place)
{
    return place->interests != NULL || place->members != NULL;
}

bool place_may_go(const struct place *place)
{
    return !place_is_wanted(place) && place->pending == 0;
}

bool place_is_idle(const struct place *place, int64_t now_ms)
{
    return place_may_go(place) && now_ms - place->active_ms > place->rule->history_ttl_ms;
}

void roster_release_unused(struct roster *r, struct place *place)
{
    if (place->pending == 0 && place->confirmed.offset == 0 && !place->renews && !place->is_told &&
        !place_is_wanted(place)) {
        roster_remove(r, place);
    }
}

void roster_remove(struct roster *r, struct place *place)
{
    assert(place->oldest == NULL && place->staged_oldest == NULL && place->wanted == 0);
    assert(!place_is_wanted(place));
    pass_sweep(r, place);
    HASH_DELETE(hh, r->by_name, place);
    DL_DELETE(r->idlest, place);
    mem_free(place);
}

struct place *roster_sweep(struct roster *r, int64_t now_ms)
{
    struct place *place = r->sweep != NULL ? r->sweep : r->idlest;

    if (place == NULL || now_ms - place->active_ms <= r->ttl_min_ms) {
        r->sweep = NULL;
        return NULL;
    }
    r->sweep = place->next;
    return place;
}

size_t roster_count(const struct roster *r)
{
    return HASH_COUNT(r->by_name);
}

bool roster_is_crowded(const struct roster *r)
{
    return roster_count(r) > r->crowd;
}

size_t roster_surplus(const struct roster *r)
{
    size_t count = roster_count(r);

    return count > r->max ? count - r->max / 2 : 0;
}

void roster_was_thinned(struct roster *r)
{
    size_t count = roster_count(r);

    r->crowd = MAX(r->max, count + count / 2);
}

void position_set(struct position *p, struct slice epoch, uint64_t offset)
{
    assert(epoch.size <= EPOCH_MAX);
    if (epoch.size > 0) {
        memcpy(p->epoch, epoch.at, epoch.size);
    }
    p->epoch[epoch.size] = '\0';
    p->offset = offset;
}

bool position_has_epoch(const struct position *p, struct slice epoch)
{
    return slice_equal(slice_of(p->epoch), epoch);
}
