/* checkpoint.c: when and how all positions are written down. */
#include "broadcaster/checkpoint.h"

#include "broadcaster/partition_internal.h"
#include "proto/line.h"

/* Who has sent the record of a key. */
#define BY_SESSION SLICE_LIT("session")
#define BY_PROGRAM SLICE_LIT("program")

/* A large checkpoint is written less often. */
#define WORTH_ITS_SIZE 4

/* Checkpoints are kept in mind when they are this part of the usual distance apart. */
#define MARKS_APART 4

static_assert(CHECKPOINT_MARKS > 2 * MARKS_APART - 1, "no mark is left out for want of room");

/* True if whoever follows a room has had the time to say so to us. */
static bool is_settled(const struct partition *p, int64_t now_ms)
{
    int64_t since_ms = now_ms - p->checkpoint.owned_ms;

    return since_ms >= p->conf.lease_ms || since_ms < 0;
}

bool checkpoint_is_due(const struct partition *p, int64_t now_ms)
{
    const struct checkpoint *c = &p->checkpoint;

    if (c->in_line) {
        return false;
    }
    if (roster_is_crowded(&p->roster) && is_settled(p, now_ms)) {
        return true;
    }
    if (era_is_due(p, now_ms)) {
        return true;
    }
    if (c->messages == 0) {
        return false;
    }
    if (c->due_ms != 0 && now_ms >= c->due_ms) {
        return true;
    }
    if (p->conf.checkpoint_far != 0 && c->bytes >= p->conf.checkpoint_far) {
        return true; /* before the log drops the last one */
    }
    return c->bytes >= c->last_bytes * WORTH_ITS_SIZE &&
           (c->bytes >= p->conf.checkpoint_bytes || c->messages >= CHECKPOINT_MESSAGES);
}

/* True if a share of what lies between two checkpoints is there. */
static bool is_much(const struct partition *p, size_t bytes, size_t messages, size_t share)
{
    return bytes >= p->conf.checkpoint_bytes / share || messages >= CHECKPOINT_MESSAGES / share;
}

void checkpoint_count(struct partition *p, size_t body_size)
{
    struct checkpoint *c = &p->checkpoint;
    size_t size = body_size + APPEND_OVERHEAD;

    c->messages++;
    c->bytes += size;
    for (size_t i = 0; i < c->mark_count; i++) {
        c->marks[i].messages++;
        c->marks[i].bytes += size;
    }
    while (c->mark_count > 0 && is_much(p, c->marks[0].bytes, c->marks[0].messages, 1)) {
        events_hint_moved(p, c->hint);
        c->hint = c->marks[0].offset;
        c->mark_count--;
        memmove(c->marks, c->marks + 1, c->mark_count * sizeof(c->marks[0]));
    }
}

/* The parts that are being made. */
struct parts {
    struct partition *p;
    struct append *first, *last;
    uint64_t count;
    size_t bytes;
};

static void parts_add(struct parts *all, const struct line *line)
{
    if (all->last == NULL || all->last->body.size >= CHECKPOINT_PART_BYTES) {
        struct append *a = append_new(&all->p->appends, MESSAGE_CHECKPOINT);
        a->next = NULL;
        *(all->last != NULL ? &all->last->next : &all->first) = a;
        all->last = a;
        all->count++;
    }
    size_t before = all->last->body.size;
    line_encode(&all->last->body, line);
    all->bytes += all->last->body.size - before;
}

/* Those whose records are in the log. */
static void add_keys(struct parts *all)
{
    for (const struct key_mark *k = all->p->keys.oldest; k != NULL; k = k->next) {
        if (!k->is_pending) {
            parts_add(all, &(struct line){.room = key_mark_room(k),
                                          .user = key_mark_user(k),
                                          .key = key_mark_key(k),
                                          .by = k->by_program ? BY_PROGRAM : BY_SESSION,
                                          .time = k->time_ms});
        }
    }
}

/* What is not told of is taken to stand at the beginning of the era. */
static bool is_worth_telling(const struct place *place, struct slice era)
{
    return place->confirmed.offset > 0 ||
           (place->confirmed.epoch[0] != '\0' && !position_has_epoch(&place->confirmed, era));
}

/* Marks the rooms that are to be forgotten: those whose time is over, and of too many the idlest.
 * True: one of them ends the era. */
static bool leave_out_some(struct partition *p, int64_t now_ms)
{
    size_t surplus = p->checkpoint.thins ? roster_surplus(&p->roster) : 0;
    bool ends_era = false;

    for (struct place *place = p->roster.idlest; place != NULL; place = place->next) {
        bool is_idle = place_is_idle(place, now_ms);

        place->is_evicted = !is_idle && surplus > 0 && place_may_go(place);
        place->is_left_out = is_idle || place->is_evicted;
        if (place->is_left_out) {
            surplus -= MIN(surplus, 1u);
            ends_era |= era_holds(p, place);
        }
    }
    return ends_era;
}

static void forget(struct partition *p, struct place *place)
{
    shelf_clear(&p->shelf, place);
    roster_remove(&p->roster, place);
}

/* The log does not know them any more; but one that was wanted meanwhile stays. */
static void forget_left_out(struct partition *p)
{
    for (struct place *place = p->roster.idlest, *next; place != NULL; place = next) {
        next = place->next;
        if (place->is_left_out && place->pending == 0 && !place_is_wanted(place)) {
            if (place->is_evicted) {
                owner_limit_met(&p->stats->limits, OWNER_LIMIT_ROOMS);
            } else {
                stat_add(&p->stats->forgotten_rooms, 1);
            }
            forget(p, place);
        } else {
            place->is_left_out = false;
        }
    }
    if (p->checkpoint.thins) {
        roster_was_thinned(&p->roster);
    }
}

void checkpoint_write(struct partition *p, int64_t now_ms)
{
    struct parts all = {.p = p};
    uint64_t left;

    p->checkpoint.thins = is_settled(p, now_ms);
    struct slice era = era_checkpoint(p, leave_out_some(p, now_ms), now_ms);

    parts_add(&all, &(struct line){.epoch = era});
    for (struct place *place = p->roster.idlest; place != NULL; place = place->next) {
        if (!place->is_left_out && is_worth_telling(place, era)) {
            place->is_told = true;
            parts_add(&all, &(struct line){.room = place_name(place),
                                           .epoch = slice_of(place->confirmed.epoch),
                                           .has_offset = true,
                                           .offset = place->confirmed.offset,
                                           .from = place->confirmed.offset,
                                           .time = place->active_ms});
        }
    }
    for (const struct lane_mark *lane = p->lanes.idlest; lane != NULL; lane = lane->next) {
        if (lane->confirmed > 0) {
            parts_add(&all, &(struct line){.lane = {lane->boot, BOOT_SIZE},
                                           .batch = lane->confirmed,
                                           .time = lane->active_ms});
        }
    }
    add_keys(&all);
    left = all.count;
    for (struct append *a = all.first; a != NULL; a = a->next) {
        a->parts_left = --left;
    }
    appends_put_first(&p->appends, all.first, all.last);
    p->checkpoint.in_line = true;
    p->checkpoint.is_partial = false;
    p->checkpoint.last_bytes = all.bytes;
}

/* All parts are there, from `offset` on. */
static void complete(struct partition *p, uint64_t offset)
{
    struct checkpoint *c = &p->checkpoint;
    const struct checkpoint_mark *last = c->mark_count > 0 ? &c->marks[c->mark_count - 1] : NULL;
    bool is_far = last == NULL || is_much(p, last->bytes, last->messages, MARKS_APART);

    if (is_far && c->mark_count < CHECKPOINT_MARKS) {
        c->marks[c->mark_count++] = (struct checkpoint_mark){.offset = offset};
    }
    era_on_checkpoint(p);
    p->takeover.is_whole = true;
    c->is_partial = false;
    c->bytes = 0;
    c->messages = 0;
    c->due_ms = 0;
}

/* Notes one part at a stream offset. */
static void part_is_there(struct partition *p, uint64_t offset, uint64_t parts_left)
{
    struct checkpoint *c = &p->checkpoint;

    if (!c->is_partial) {
        c->is_partial = true;
        c->part_offset = offset;
    }
    if (parts_left == 0) {
        complete(p, c->part_offset);
    }
}

void checkpoint_on_confirm(struct partition *p, const struct append *part)
{
    struct checkpoint *c = &p->checkpoint;

    part_is_there(p, partition_log_at(p, part->number), part->parts_left);
    if (part->parts_left == 0) {
        c->in_line = false;
        forget_left_out(p);
        stat_add(&p->stats->checkpoints, 1);
    }
}

/* When it was: not to come, and not before there was any. */
static int64_t time_of(const struct line *line, int64_t now_ms)
{
    return MAX(MIN(line->time, now_ms), 0);
}

static void read_room(struct partition *p, const struct line *line, int64_t now_ms)
{
    struct place *place = roster_get(&p->roster, line->room, now_ms);
    bool is_same = position_has_epoch(&place->confirmed, line->epoch);

    place->is_told = true;
    place->told_in = p->checkpoint.read;
    if (is_same && place->confirmed.offset >= line->offset) {
        return;
    }
    shelf_clear(&p->shelf, place); /* records in between were not read */
    position_set(&place->confirmed, line->epoch, line->offset);
    place->numbered = place->confirmed;
    roster_touch(&p->roster, place, time_of(line, now_ms));
}

static void read_lane(struct partition *p, const struct line *line, int64_t now_ms)
{
    struct lane_mark *lane = lane_marks_get(&p->lanes, line->lane, time_of(line, now_ms));

    lane->confirmed = lane->numbered = MAX(lane->confirmed, line->batch);
}

/* Of a checkpoint that does not say whose it is, it may be either's. */
static void read_key(struct partition *p, const struct line *line, int64_t now_ms)
{
    struct key_name name = {line->room, line->user, line->key, false};

    if (!slice_equal(line->by, BY_PROGRAM)) {
        keys_read(&p->keys, &name, time_of(line, now_ms), now_ms);
    }
    name.by_program = true;
    if (!slice_equal(line->by, BY_SESSION)) {
        keys_read(&p->keys, &name, time_of(line, now_ms), now_ms);
    }
}

/* Is it the next part of the checkpoint that is being read, or the first one of another? */
static void begin_part(struct partition *p, const struct message *m)
{
    struct checkpoint *c = &p->checkpoint;
    uint64_t left = (m->has & HAS_BATCH) != 0 ? m->batch : 0;
    bool goes_on = m->term == c->part_term && left + 1 == c->part_left;

    if (!c->is_partial || !goes_on) {
        c->is_partial = false;
        c->read++;
    }
    c->is_bad = c->is_bad && goes_on;
    c->part_term = m->term;
    c->part_left = left;
}

/* All of a checkpoint was read: its writer knew no other rooms. */
static void forget_untold(struct partition *p)
{
    for (struct place *place = p->roster.idlest, *next; place != NULL; place = next) {
        next = place->next;
        if (place->told_in != p->checkpoint.read) {
            forget(p, place);
        }
    }
}

static bool is_sound(const struct line *line)
{
    if (line->key.size > 0) {
        return line->room.size > 0;
    }
    if (line->lane.size > 0) {
        return line->lane.size == BOOT_SIZE && line->batch > 0;
    }
    return line->epoch.size > 0 && (line->room.size > 0) == line->has_offset;
}

void checkpoint_read(struct partition *p, const struct message *m, uint64_t stream_offset,
                     int64_t now_ms)
{
    struct checkpoint *c = &p->checkpoint;
    struct slice rest = m->body;
    struct line line;
    bool is_good = true;
    int rc;

    begin_part(p, m);
    while (is_good && (rc = line_next(&rest, &line)) == 0 && is_sound(&line)) {
        if (line.room.size == 0 && line.lane.size == 0) {
            is_good = era_read_checkpoint(p, line.epoch);
        } else if (line.key.size > 0) {
            read_key(p, &line, now_ms);
        } else if (line.lane.size > 0) {
            read_lane(p, &line, now_ms);
        } else {
            read_room(p, &line, now_ms);
        }
    }
    if (rc != LINE_END) {
        stat_add(&p->stats->poisoned, 1);
        c->is_bad = true;
    }
    if (c->is_bad) {
        c->is_partial = false;
        return; /* it cannot be relied on as a place to begin, nor to tell of all rooms */
    }
    part_is_there(p, stream_offset, c->part_left);
    if (c->part_left == 0) {
        forget_untold(p);
    }
}
