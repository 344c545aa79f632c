/*
 * recent.c: the newest records of a followed room, for sessions that come back.
 */
#include "common/clock.h"
#include "common/mem.h"
#include "gateway/room/rooms_internal.h"
#include "gateway/room/sight.h"

static void recents_drop_first(struct room *room)
{
    struct recent *first = room->recent;

    room->recent = first->next;
    if (room->recent == NULL) {
        room->recent_last = NULL;
    }
    room->recent_count -= (uint32_t)(first->last - first->first + 1);
    room->recent_bytes -= first->lines->size;
    blob_unref(first->lines);
    mem_free(first);
}

void rooms_history_changed(struct rooms *all)
{
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        all->made[i].room = NULL;
    }
}

void recents_free(struct rooms *all, struct room *room)
{
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        if (all->made[i].room == room) {
            all->made[i].room = NULL;
        }
    }
    while (room->recent != NULL) {
        recents_drop_first(room);
    }
    assert(room->recent_count == 0);
    assert(room->recent_bytes == 0);
}

void recents_keep(struct room *room, const struct record *const *run, size_t count,
                  int64_t records_max, int64_t bytes_max)
{
    struct buf lines = BUF_EMPTY;

    if (records_max == 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        record_encode(&lines, run[i]);
    }
    struct recent *r = mem_new(struct recent);
    r->first = run[0]->offset;
    r->last = run[count - 1]->offset;
    r->came_ms = clock_mono_ms();
    r->lines = blob_copy(lines.at, lines.size);
    buf_deinit(&lines);
    if (room->recent_last != NULL) {
        room->recent_last->next = r;
    } else {
        room->recent = r;
    }
    room->recent_last = r;
    room->recent_count += (uint32_t)count;
    room->recent_bytes += r->lines->size;
    while (room->recent != NULL &&
           (room->recent_bytes > (size_t)bytes_max ||
            (room->recent_count > records_max && room->recent != room->recent_last))) {
        recents_drop_first(room);
    }
}

static bool has_all_since(const struct room *room, uint64_t since)
{
    return since == room->offset || (room->recent != NULL && room->recent->first <= since + 1);
}

bool recents_add(const struct room *room, uint64_t since, uint64_t top, const struct session *s,
                 bool *is_common, struct buf *list)
{
    const struct codec *codec = session_codec(s);
    size_t before = list->size;
    uint64_t next = since + 1;

    assert(since <= top);
    if (since == top) {
        return true;
    }
    if (top - since > ROOMS_RECOVER_MAX || !has_all_since(room, since)) {
        return false;
    }
    for (const struct recent *r = room->recent; r != NULL && next <= top; r = r->next) {
        struct slice rest = blob_slice(r->lines);
        struct record record;

        while (next <= top && record_next(&rest, true, &record) == 0) {
            if (record.offset < next) {
                continue;
            }
            assert(record.offset == next); /* fanout.c keeps only what continues */
            next++;
            *is_common &= record.audience.size == 0;
            if (session_sees(s, &record)) {
                codec->publication(list, &record);
            }
        }
    }
    if (next != top + 1) {
        list->size = before;
        return false;
    }
    return true;
}

/* What is older than the room's history. */
static void recents_expire(struct room *room)
{
    int64_t now = clock_mono_ms();

    while (room->recent != NULL && now - room->recent->came_ms > room->rule->history_ttl_ms) {
        recents_drop_first(room);
    }
}

bool made_from_recent(struct rooms *all, struct room *room, uint64_t since, const struct session *s)
{
    struct made *made = &all->made[session_codec(s)->id];
    bool is_common = true;

    if (room->offset - since > (uint64_t)room->rule->history_size) {
        return false; /* the owner's affair; the rest is for those who wait for its answer */
    }
    recents_expire(room);
    if (made->room == room && has_all_since(room, since) && made->since == since &&
        made->top == room->offset) {
        return true;
    }
    buf_clear(&made->publications);
    made->room = NULL;
    if (!recents_add(room, since, room->offset, s, &is_common, &made->publications)) {
        return false;
    }
    made->room = is_common ? room : NULL;
    made->since = since;
    made->top = room->offset;
    return true;
}
