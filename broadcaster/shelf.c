/* shelf.c: the recent records of a partition's rooms, in memory. */
#include "broadcaster/shelf.h"

#include <utlist.h>

#include "common/mem.h"

static size_t cost_of(const struct kept *k)
{
    return sizeof(*k) + k->size;
}

/* Into its line, behind all others or in front of them. */
static void link_last(struct shelf *s, struct kept *k, enum shelf_line line)
{
    k->line = line;
    k->newer = NULL;
    k->older = s->lines[line].newest;
    *(k->older != NULL ? &k->older->newer : &s->lines[line].oldest) = k;
    s->lines[line].newest = k;
    s->lines[line].bytes += cost_of(k);
}

static void link_first(struct shelf *s, struct kept *k, enum shelf_line line)
{
    k->line = line;
    k->older = NULL;
    k->newer = s->lines[line].oldest;
    *(k->newer != NULL ? &k->newer->older : &s->lines[line].newest) = k;
    s->lines[line].oldest = k;
    s->lines[line].bytes += cost_of(k);
}

static void unlink_kept(struct shelf *s, struct kept *k)
{
    *(k->older != NULL ? &k->older->newer : &s->lines[k->line].oldest) = k->newer;
    *(k->newer != NULL ? &k->newer->older : &s->lines[k->line].newest) = k->older;
    s->lines[k->line].bytes -= cost_of(k);
}

static struct kept *kept_new(struct shelf *s, struct place *place, uint64_t offset,
                             const struct shelf_record *r)
{
    assert(r->bytes.size > 0 && r->bytes.size <= UINT32_MAX);
    struct kept *k = mem_alloc(sizeof(*k) + r->bytes.size);

    *k = (struct kept){.place = place,
                       .offset = offset,
                       .log_at = r->log_at,
                       .time_ms = r->time_ms,
                       .size = (uint32_t)r->bytes.size};
    memcpy(k->bytes, r->bytes.at, r->bytes.size);
    stat_add(s->gauge, cost_of(k));
    return k;
}

static void kept_free(struct shelf *s, struct kept *k)
{
    unlink_kept(s, k);
    stat_sub(s->gauge, cost_of(k));
    mem_free(k);
}

/* Frees the oldest record of a room's run. */
static void drop_oldest(struct shelf *s, struct place *place)
{
    struct kept *k = place->oldest;

    place->oldest = k->next;
    if (place->oldest == NULL) {
        place->newest = NULL;
    }
    if (place->shown == k) {
        place->shown = k->next;
    }
    kept_free(s, k);
}

/* Frees the oldest record that is staged for a room. */
static void drop_staged(struct shelf *s, struct place *place)
{
    struct kept *k = place->staged_oldest;

    place->staged_oldest = k->next;
    if (place->staged_oldest == NULL) {
        place->staged_newest = NULL;
    }
    kept_free(s, k);
}

/* It is too old: the log has nothing of the room, up to here, that anybody may see. */
static void expire_oldest(struct shelf *s, struct place *place)
{
    place->gone = MAX(place->gone, place->oldest->offset);
    drop_oldest(s, place);
}

void shelf_fit(struct shelf *s)
{
    const size_t max = s->bytes_max - s->bytes_max / SHELF_STAGED_PART;

    while (s->lines[SHELF_HISTORY].bytes + s->lines[SHELF_SURPLUS].bytes > max) {
        /* Surplus is older than the history of its room: these are the oldest ones of their rooms.
         */
        if (s->lines[SHELF_SURPLUS].oldest != NULL) {
            drop_oldest(s, s->lines[SHELF_SURPLUS].oldest->place);
        } else {
            s->is_tight = true;
            stat_add(s->full, 1);
            drop_oldest(s, s->lines[SHELF_HISTORY].oldest->place);
        }
    }
}

static bool is_history(const struct kept *k)
{
    return k->place->newest->offset - k->offset < (uint64_t)k->place->rule->history_size;
}

void shelf_settle(struct shelf *s, struct place *place)
{
    while (place->shown != NULL && !is_history(place->shown)) {
        struct kept *left = place->shown;
        place->shown = left->next;
        unlink_kept(s, left);
        link_last(s, left, SHELF_SURPLUS);
    }
}

void shelf_add(struct shelf *s, struct place *place, const struct shelf_record *r)
{
    if (place->newest != NULL && place->newest->offset + 1 != place->confirmed.offset) {
        shelf_clear(s, place);
    }
    struct kept *k = kept_new(s, place, place->confirmed.offset, r);

    *(place->newest != NULL ? &place->newest->next : &place->oldest) = k;
    place->newest = k;
    link_last(s, k, SHELF_HISTORY);
    if (place->shown == NULL) {
        place->shown = k;
    }
    shelf_settle(s, place);
    shelf_fit(s);
}

static size_t staged_max(const struct shelf *s)
{
    const size_t part = s->bytes_max / SHELF_STAGED_PART;
    const size_t left =
        s->bytes_max - part - MIN(s->bytes_max - part, s->lines[SHELF_HISTORY].bytes);

    return s->is_filling ? MAX(left, part) : part;
}

static size_t bytes_of_all(const struct shelf *s)
{
    size_t bytes = 0;

    for (int line = 0; line < SHELF_LINES; line++) {
        bytes += s->lines[line].bytes;
    }
    return bytes;
}

void shelf_stage(struct shelf *s, struct place *place, const struct shelf_record *r)
{
    if (place->staged_newest != NULL && place->staged_newest->offset + 1 != r->offset) {
        while (place->staged_oldest != NULL) {
            drop_staged(s, place);
        }
    }
    struct kept *k = kept_new(s, place, r->offset, r);

    *(place->staged_newest != NULL ? &place->staged_newest->next : &place->staged_oldest) = k;
    place->staged_newest = k;
    link_last(s, k, SHELF_STAGED);
    while (bytes_of_all(s) > s->bytes_max && s->lines[SHELF_SURPLUS].oldest != NULL) {
        drop_oldest(s, s->lines[SHELF_SURPLUS].oldest->place);
    }
    while (s->lines[SHELF_STAGED].bytes > staged_max(s)) {
        s->is_tight = true;
        drop_staged(s, s->lines[SHELF_STAGED].oldest->place);
    }
}

/* The newest staged record goes in front of its room's run, if it is what stands before it. */
static void join_newest(struct shelf *s, struct kept *k)
{
    struct place *place = k->place;

    if (k->offset + 1 != shelf_low(place)) {
        kept_free(s, k);
        return;
    }
    unlink_kept(s, k);
    k->next = place->oldest;
    place->oldest = k;
    if (place->newest == NULL) {
        place->newest = k;
    }
    if (is_history(k)) {
        place->shown = k;
        link_first(s, k, SHELF_HISTORY);
    } else {
        link_first(s, k, SHELF_SURPLUS);
    }
    if (place->wanted != 0 && k->offset <= place->wanted) {
        shelf_want(s, place, 0);
    }
}

void shelf_join(struct shelf *s)
{
    struct kept *k;

    while ((k = s->lines[SHELF_STAGED].newest) != NULL) {
        k->place->staged_oldest = k->place->staged_newest = NULL;
        join_newest(s, k);
    }
}

void shelf_unstage(struct shelf *s)
{
    while (s->lines[SHELF_STAGED].oldest != NULL) {
        drop_staged(s, s->lines[SHELF_STAGED].oldest->place);
    }
}

void shelf_want(struct shelf *s, struct place *place, uint64_t offset)
{
    if (place->wanted == 0 && offset != 0) {
        DL_APPEND2(s->wanting, place, want_prev, want_next);
    } else if (place->wanted != 0 && offset == 0) {
        DL_DELETE2(s->wanting, place, want_prev, want_next);
    }
    place->wanted = offset;
}

void shelf_clear(struct shelf *s, struct place *place)
{
    while (place->oldest != NULL) {
        drop_oldest(s, place);
    }
    while (place->staged_oldest != NULL) {
        drop_staged(s, place);
    }
    shelf_want(s, place, 0);
    place->gone = 0;
}

static bool is_too_old(const struct kept *k, int64_t now_ms)
{
    return now_ms - k->time_ms > k->place->rule->history_ttl_ms;
}

void shelf_expire(struct shelf *s, struct place *place, int64_t now_ms)
{
    while (place->oldest != NULL && is_too_old(place->oldest, now_ms)) {
        expire_oldest(s, place);
    }
}

void shelf_tick(struct shelf *s, int64_t now_ms)
{
    for (enum shelf_line line = SHELF_HISTORY; line <= SHELF_SURPLUS; line++) {
        const struct kept *k;

        while ((k = s->lines[line].oldest) != NULL && is_too_old(k, now_ms)) {
            expire_oldest(s, k->place);
        }
    }
}

uint64_t shelf_low(const struct place *place)
{
    return place->oldest != NULL ? place->oldest->offset : place->confirmed.offset + 1;
}

bool shelf_covers(const struct place *place, uint64_t offset)
{
    return offset <= place->confirmed.offset && shelf_low(place) <= offset + 1;
}

const struct kept *shelf_after(const struct place *place, uint64_t offset)
{
    const struct kept *k = place->oldest;

    while (k != NULL && k->offset <= offset) {
        k = k->next;
    }
    return k;
}
