/*
 * standing.c: see standing.h: one map, keyed by kind and texts.
 */
#include "gateway/order/standing.h"

#include "common/hash.h"
#include "common/mem.h"
#include "proto/limits.h"

/* Kind, what, NUL, room; and the offset of a record. A user's text may be all escapes of six
 * bytes. */
#define KEY_SIZE (2 + USER_MAX * 6 + ROOM_NAME_MAX + sizeof(uint64_t))

struct entry {
    UT_hash_handle hh;
    int64_t until_ms; /* of a lifted one: when it may be forgotten */
    int64_t at;
    uint64_t offset;
    bool is_lifted;
    uint16_t what_size, room_size, key_size;
    char key[];
};

struct standing {
    struct entry *entries; /* owns */
    size_t count[STANDING_KINDS];
};

struct standing *standing_new(void)
{
    return mem_new(struct standing);
}

static enum standing_kind kind_of(const struct entry *e)
{
    return (enum standing_kind)e->key[0];
}

static void entry_free(struct standing *s, struct entry *e)
{
    s->count[kind_of(e)] -= !e->is_lifted;
    HASH_DELETE(hh, s->entries, e);
    mem_free(e);
}

struct standing *standing_free(struct standing *s)
{
    struct entry *e, *next;

    if (s != NULL) {
        HASH_ITER (hh, s->entries, e, next) {
            entry_free(s, e);
        }
        mem_free(s);
    }
    return NULL;
}

/* The size of the key, or 0: no such thing can stand. */
static size_t make_key(char key[KEY_SIZE], const struct standing_order *o)
{
    const struct slice what = o->what, room = o->room;
    char *to = key;

    if (what.size == 0 || what.size > USER_MAX * 6 || room.size > ROOM_NAME_MAX) {
        return 0;
    }
    *to++ = (char)o->kind;
    memcpy(to, what.at, what.size);
    to += what.size;
    *to++ = '\0';
    if (room.size > 0) {
        memcpy(to, room.at, room.size);
        to += room.size;
    }
    if (o->kind == STANDING_DELETED) {
        memcpy(to, &o->offset, sizeof(o->offset));
        to += sizeof(o->offset);
    }
    return (size_t)(to - key);
}

static struct entry *find(const struct standing *s, const char *key, size_t size)
{
    struct entry *e;

    HASH_FIND(hh, s->entries, key, size, e);
    return e;
}

static bool stands(const struct entry *e, int64_t now_ms)
{
    return !e->is_lifted && now_ms < e->until_ms;
}

/* Single records that were taken out, and now all up to one behind them. */
static void forget_covered(struct standing *s, const struct entry *cleared)
{
    size_t names = (size_t)cleared->key_size - 1; /* what and room, behind the kind */
    struct entry *e, *next;

    HASH_ITER (hh, s->entries, e, next) {
        if (kind_of(e) == STANDING_DELETED &&
            e->key_size == cleared->key_size + sizeof(e->offset) &&
            memcmp(e->key + 1, cleared->key + 1, names) == 0 && e->offset <= cleared->offset) {
            entry_free(s, e);
        }
    }
}

int standing_set(struct standing *s, const struct standing_order *o, int64_t now_ms)
{
    char key[KEY_SIZE];
    size_t size = make_key(key, o);
    struct entry *e = size > 0 ? find(s, key, size) : NULL;

    bool is_over = !o->is_lifted && o->until_ms <= now_ms;
    bool is_lifted = o->is_lifted || is_over;

    if (size == 0 || (e != NULL ? e->at > o->at : is_over)) {
        return STANDING_OLD;
    }
    if (e == NULL) {
        if (!standing_has_room(s, o->kind)) {
            return STANDING_FULL;
        }
        e = mem_zalloc(1, sizeof(*e) + size);
        memcpy(e->key, key, size);
        e->key_size = (uint16_t)size;
        e->what_size = (uint16_t)o->what.size;
        e->room_size = (uint16_t)o->room.size;
        HASH_ADD_KEYPTR(hh, s->entries, e->key, e->key_size, e);
        s->count[o->kind]++;
    }
    s->count[o->kind] += (size_t)e->is_lifted - (size_t)is_lifted;
    e->is_lifted = is_lifted;
    e->offset = MAX(e->offset, o->offset); /* who cleared less later has not brought it back */
    e->until_ms = is_lifted ? now_ms + STANDING_LIFTED_MS : o->until_ms;
    e->at = o->at;
    if (o->kind == STANDING_CLEARED && s->count[STANDING_DELETED] > 0) {
        forget_covered(s, e);
    }
    return 0;
}

static const struct entry *find_standing(const struct standing *s, const struct standing_order *o,
                                         int64_t now_ms)
{
    char key[KEY_SIZE];

    if (s->count[o->kind] == 0) {
        return NULL;
    }
    size_t size = make_key(key, o);
    const struct entry *e = size > 0 ? find(s, key, size) : NULL;
    return e != NULL && stands(e, now_ms) ? e : NULL;
}

bool standing_has(const struct standing *s, enum standing_kind kind, struct slice what,
                  struct slice room, int64_t now_ms)
{
    const struct standing_order o = {.kind = kind, .what = what, .room = room};

    return find_standing(s, &o, now_ms) != NULL;
}

bool removals_have(const struct standing *s, struct slice room, struct slice epoch, uint64_t offset,
                   int64_t now_ms)
{
    struct standing_order o = {
        .kind = STANDING_CLEARED, .what = epoch, .room = room, .offset = offset};
    const struct entry *cleared = find_standing(s, &o, now_ms);

    o.kind = STANDING_DELETED;
    return (cleared != NULL && offset <= cleared->offset) || find_standing(s, &o, now_ms) != NULL;
}

bool mutes_has(const struct standing *s, struct slice user, struct slice room, int64_t now_ms)
{
    return standing_has(s, STANDING_MUTE, user, SLICE_NONE, now_ms) ||
           standing_has(s, STANDING_MUTE, user, room, now_ms);
}

static bool is_removal(enum standing_kind kind)
{
    return kind == STANDING_DELETED || kind == STANDING_CLEARED;
}

bool standing_has_room(const struct standing *s, enum standing_kind kind)
{
    size_t removals = s->count[STANDING_DELETED] + s->count[STANDING_CLEARED];

    return standing_size(s) < STANDING_MAX && (!is_removal(kind) || removals < REMOVALS_MAX);
}

size_t standing_count(const struct standing *s, enum standing_kind kind)
{
    return s->count[kind];
}

size_t standing_size(const struct standing *s)
{
    return HASH_COUNT(s->entries);
}

void standing_forget(struct standing *s, int64_t now_ms)
{
    struct entry *e, *next;

    HASH_ITER (hh, s->entries, e, next) {
        if (now_ms >= e->until_ms) {
            entry_free(s, e);
        }
    }
}

void standing_each(const struct standing *s, int64_t now_ms,
                   void (*each)(void *user, const struct standing_order *o), void *user)
{
    for (const struct entry *e = s->entries; e != NULL; e = e->hh.next) {
        if (stands(e, now_ms)) {
            size_t room_at = 2u + e->what_size;

            each(user, &(struct standing_order){
                           .kind = kind_of(e),
                           .what = {e->key + 1, e->what_size},
                           .room = {e->key + room_at, e->room_size},
                           .offset = e->offset,
                           .until_ms = e->until_ms,
                           .at = e->at,
                       });
        }
    }
}
