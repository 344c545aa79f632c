/*
 * fanout.c: the records of one message, to everybody who is in their rooms.
 *
 * Records of one room are gathered into a run; a run becomes one frame for each
 * dialect, and one for each window it is compressed for, made when the first
 * session needs it and shared by all. A session that has been given part of a run
 * before (it came ahead of its gateway) gets a frame of its own. So does a record that
 * not everybody may see: it is no part of a run.
 */
#include "common/clock.h"
#include "common/mem.h"
#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/room/rooms_internal.h"
#include "gateway/room/sight.h"

#define AGE_MAX_MS 3600000 /* older records count as so old */

/* Starts a new life of the room's numbers. */
static void room_renew(struct rooms *all, struct room *room, struct slice epoch)
{
    assert(epoch.size <= EPOCH_MAX);
    memcpy(room->epoch, epoch.at, epoch.size);
    room->epoch[epoch.size] = '\0';
    room->offset = 0;
    recents_free(all, room);
    for (uint32_t i = 0; i < room->count; i++) {
        room->subscriptions[i]->last = 0;
    }
}

/* What of the run is new for this one; counts from the front. */
static size_t run_seen(const struct record *const *run, size_t count, uint64_t last)
{
    size_t seen = 0;

    while (seen < count && run[seen]->offset <= last) {
        seen++;
    }
    return seen;
}

/* Makes the frames of a run as sessions of that variant get them. The plain ones of the dialect are
 * made on the way. */
static void run_frames_make(struct rooms *all, struct blob *frames[SESSION_VARIANTS],
                            unsigned variant, const struct record *const *run, size_t count)
{
    enum dialect dialect = session_variant_dialect(variant);
    unsigned window = session_variant_window(variant);
    struct blob **plain = &frames[session_variant(dialect, 0)];

    if (*plain == NULL) {
        *plain = dialect_frame(dialect, run, count);
        stat_add(&all->gateway->metrics.frames_built, 1);
    }
    if (window != 0) {
        frames[variant] = compress_shared(&all->gateway->compress, *plain, window);
    }
}

static void run_frames_free(struct blob *frames[SESSION_VARIANTS])
{
    for (size_t i = 0; i < SESSION_VARIANTS; i++) {
        if (frames[i] != NULL) {
            blob_unref(frames[i]);
        }
    }
}

static void give_rest(struct subscription *sub, const struct record *const *run, size_t count)
{
    size_t seen = run_seen(run, count, sub->last);

    if (seen < count) {
        session_take_frames(sub->session, dialect_frame((enum dialect)sub->session->dialect,
                                                        run + seen, count - seen));
    }
}

/* Records say what they like about their time. */
static int64_t record_age_us(const struct record *r)
{
    int64_t now = clock_wall_ms();

    return r->time > 0 && r->time < now ? MIN(now - r->time, AGE_MAX_MS) * 1000 : 0;
}

/* One frame a variant, a counted pointer a session. Nobody asks who may see what: everybody may. */
static void run_deliver(struct rooms *all, struct room *room, const struct record *const *run,
                        size_t count)
{
    struct metrics *metrics = &all->gateway->metrics;
    struct blob *frames[SESSION_VARIANTS] = {NULL};
    uint64_t first = run[0]->offset, last = run[count - 1]->offset;
    uint64_t given = 0;

    room->offset = last;
    recents_keep(room, run, count, all->gateway->conf->recent_records,
                 all->gateway->conf->recent_bytes);
    /* Backwards: one that is closed for being slow is replaced by one that has had its turn. */
    for (uint32_t i = room->count; i-- > 0;) {
        struct subscription *sub = room->subscriptions[i];
        struct session *s = sub->session;

        if (sub->joining != NULL) {
            continue; /* its answer comes first, and holds these */
        }
        if (sub->last >= first) {
            uint64_t before = sub->last;
            sub->last = MAX(before, last);
            struct subscription copy = *sub;
            copy.last = before;
            give_rest(&copy, run, count);
            continue;
        }
        if (frames[s->variant] == NULL) {
            run_frames_make(all, frames, s->variant, run, count);
        }
        sub->last = last;
        given += count;
        session_send_frame(s, frames[s->variant]);
    }
    run_frames_free(frames);
    stat_add(&metrics->deliveries, given);
    histogram_add(&metrics->delivery_us, record_age_us(run[0]));
}

/* One record that not everybody may see. It moves those on who may not, too. */
static void narrow_deliver(struct rooms *all, struct room *room, const struct record *r)
{
    struct metrics *metrics = &all->gateway->metrics;
    struct blob *frames[SESSION_VARIANTS] = {NULL};
    uint64_t given = 0, kept_back = 0;
    struct sight sight;

    sight_init(&sight, r);
    room->offset = r->offset;
    room->is_narrow = true;
    recents_keep(room, &r, 1, all->gateway->conf->recent_records, all->gateway->conf->recent_bytes);
    for (uint32_t i = room->count; i-- > 0;) { /* as above */
        struct subscription *sub = room->subscriptions[i];
        struct session *s = sub->session;

        if (sub->joining != NULL || sub->last >= r->offset) {
            continue;
        }
        sub->last = r->offset;
        if (!sight_admits(&sight, s)) {
            kept_back++;
            continue;
        }
        if (frames[s->variant] == NULL) {
            run_frames_make(all, frames, s->variant, &r, 1);
        }
        given++;
        session_send_frame(s, frames[s->variant]);
    }
    run_frames_free(frames);
    stat_add(&metrics->deliveries, given);
    stat_add(&metrics->kept_back[sight.audience.rule], kept_back);
    histogram_add(&metrics->delivery_us, record_age_us(r));
}

static void scratch_grow(struct rooms *all)
{
    all->capacity = MAX((size_t)64, all->capacity * 2);
    all->records = mem_realloc(all->records, all->capacity * sizeof(all->records[0]));
    all->links = mem_realloc(all->links, all->capacity * sizeof(all->links[0]));
    all->run = mem_realloc(all->run, all->capacity * sizeof(all->run[0]));
    all->touched = mem_realloc(all->touched, all->capacity * sizeof(all->touched[0]));
}

/* Sorts the records into one list for each room; returns how many rooms there are. */
static size_t records_sort(struct rooms *all, struct slice body)
{
    struct metrics *metrics = &all->gateway->metrics;
    size_t count = 0, touched = 0;
    int r;

    for (;;) {
        if (count == all->capacity) {
            scratch_grow(all);
        }
        r = record_next(&body, true, &all->records[count]);
        if (r != 0) {
            break;
        }
        struct room *room = rooms_get(all, all->records[count].room);
        if (room == NULL || room->state != ROOM_LIVE) {
            stat_add(&metrics->records_stale, 1);
            continue;
        }
        all->links[count] = -1;
        if (room->run_first < 0) {
            room->run_first = (int32_t)count;
            room_pin(room); /* a session that ends on the way leaves all its rooms */
            all->touched[touched++] = room;
        } else {
            all->links[room->run_last] = (int32_t)count;
        }
        room->run_last = (int32_t)count;
        count++;
    }
    if (r == RECORD_BAD) {
        stat_add(&metrics->poisoned, 1);
    }
    stat_add(&metrics->records_in, count);
    return touched;
}

/* Delivers what continues the room; 0 or ROOMS_HOLE. */
static int room_take_run(struct rooms *all, struct room *room)
{
    const struct record **run = all->run;
    int32_t at = room->run_first;
    size_t count = 0;
    uint64_t next = room->offset + 1;

    room->run_first = -1;
    for (; at >= 0; at = all->links[at]) {
        const struct record *r = &all->records[at];

        if (!slice_equal(r->epoch, slice_of(room->epoch))) {
            if (r->offset != 1) {
                break;
            }
            if (count > 0) {
                run_deliver(all, room, run, count);
                count = 0;
            }
            room_renew(all, room, r->epoch);
            next = 1;
        }
        if (r->offset < next) {
            stat_add(&all->gateway->metrics.records_stale, 1);
            continue;
        }
        if (r->offset > next) {
            break;
        }
        next++;
        if (r->audience.size == 0) {
            run[count++] = r;
            continue;
        }
        if (count > 0) {
            run_deliver(all, room, run, count);
            count = 0;
        }
        narrow_deliver(all, room, r);
    }
    if (count > 0) {
        run_deliver(all, room, run, count);
    }
    return at >= 0 ? ROOMS_HOLE : 0;
}

int rooms_deliver(struct rooms *all, struct slice body)
{
    size_t touched = records_sort(all, body);
    int answer = 0;

    for (size_t i = 0; i < touched; i++) {
        if (room_take_run(all, all->touched[i]) == ROOMS_HOLE) {
            answer = ROOMS_HOLE;
        }
        room_unpin(all, all->touched[i]);
    }
    return answer;
}
