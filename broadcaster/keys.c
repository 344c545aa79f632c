/* keys.c: the idempotency keys of records that were accepted lately. */
#include "broadcaster/keys.h"

#include <utlist.h>

#include "common/mem.h"

/* As users are escaped: a text of USER_MAX bytes may take six for each. */
#define TEXTS_MAX (ROOM_NAME_MAX + USER_MAX * 6 + KEY_MAX + 3)

static size_t put(char *to, struct slice s)
{
    if (s.size > 0) {
        memcpy(to, s.at, s.size);
    }
    return s.size;
}

/* The texts one after the other, so that they can be compared at once. Returns their size. */
static size_t put_texts(char texts[TEXTS_MAX], const struct key_name *name)
{
    size_t size = put(texts, name->room);

    texts[size++] = '\0';
    size += put(texts + size, name->user);
    texts[size++] = '\0';
    size += put(texts + size, name->key);
    if (name->by_program) {
        texts[size++] = '\0'; /* as no other does */
    }
    return size;
}

/* False: no record has such texts. */
static bool fits(const struct key_name *name)
{
    return name->room.size <= ROOM_NAME_MAX && name->user.size <= (size_t)USER_MAX * 6 &&
           name->key.size <= KEY_MAX;
}

static struct key_mark *find(const struct keys *k, const char *texts, size_t size)
{
    struct key_mark *mark;

    HASH_FIND(hh, k->by_texts, texts, size, mark);
    return mark;
}

static struct key_mark *add(struct keys *k, const struct key_name *name, const char *texts,
                            size_t size, int64_t time_ms)
{
    struct key_mark *mark = mem_zalloc(1, sizeof(*mark) + size);

    memcpy(mark->texts, texts, size);
    mark->room_size = (uint16_t)name->room.size;
    mark->user_size = (uint16_t)name->user.size;
    mark->key_size = (uint16_t)name->key.size;
    mark->by_program = name->by_program;
    mark->time_ms = time_ms;
    HASH_ADD_KEYPTR(hh, k->by_texts, mark->texts, size, mark);
    DL_APPEND(k->oldest, mark);
    return mark;
}

static void drop(struct keys *k, struct key_mark *mark)
{
    HASH_DELETE(hh, k->by_texts, mark);
    DL_DELETE(k->oldest, mark);
    mem_free(mark);
}

static bool is_over(const struct keys *k, const struct key_mark *mark, int64_t now_ms)
{
    return !mark->is_pending && now_ms - mark->time_ms > k->window_ms;
}

struct key_mark *keys_take(struct keys *k, const struct key_name *name, int64_t now_ms)
{
    char texts[TEXTS_MAX];

    assert(name->key.size > 0 && fits(name));
    size_t size = put_texts(texts, name);
    struct key_mark *mark = find(k, texts, size);
    if (mark != NULL && !is_over(k, mark, now_ms)) {
        return NULL;
    }
    if (mark != NULL) {
        drop(k, mark);
    }
    mark = add(k, name, texts, size, now_ms);
    mark->is_pending = true;
    return mark;
}

void keys_confirm(struct key_mark *mark)
{
    assert(mark->is_pending);
    mark->is_pending = false;
}

void keys_take_back(struct keys *k, struct key_mark *mark)
{
    assert(mark->is_pending);
    drop(k, mark);
}

void keys_read(struct keys *k, const struct key_name *name, int64_t time_ms, int64_t now_ms)
{
    char texts[TEXTS_MAX];

    if (now_ms - time_ms > k->window_ms || !fits(name)) {
        return;
    }
    size_t size = put_texts(texts, name);
    struct key_mark *mark = find(k, texts, size);
    if (mark == NULL) {
        (void)add(k, name, texts, size, time_ms);
    } else {
        mark->time_ms = MAX(mark->time_ms, time_ms);
    }
}

static int by_time(const struct key_mark *a, const struct key_mark *b)
{
    return (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
}

/* How many left before their time. */
static uint64_t trim(struct keys *k, int64_t now_ms)
{
    uint64_t evicted = 0;

    while (k->oldest != NULL && is_over(k, k->oldest, now_ms)) {
        drop(k, k->oldest);
    }
    for (; HASH_COUNT(k->by_texts) > k->max && !k->oldest->is_pending; evicted++) {
        drop(k, k->oldest);
    }
    return evicted;
}

void keys_settle(struct keys *k, int64_t now_ms)
{
    DL_SORT(k->oldest, by_time);
    (void)trim(k, now_ms); /* whoever was here before has counted them */
}

void keys_trim(struct keys *k, int64_t now_ms)
{
    stat_add(k->evicted, trim(k, now_ms));
}

void keys_clear(struct keys *k)
{
    while (k->oldest != NULL) {
        drop(k, k->oldest);
    }
}
