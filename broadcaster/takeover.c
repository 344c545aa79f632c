/* takeover.c: from the claim to one's own marker in the log. */
#include "broadcaster/takeover.h"

#include "broadcaster/partition_internal.h"
#include "proto/record.h"

#define STEP_FACTOR 8

static struct partition_action *read_from(struct partition *p, uint64_t offset)
{
    struct partition_action *a = partition_act(p, PARTITION_READ_FROM);

    a->offset = offset;
    return a;
}

static bool is_ours(const struct partition *p, const struct message *m)
{
    return slice_equal(m->boot, slice_of(p->nonce));
}

static void append_control(struct partition *p, enum message_type type, int64_t now_ms)
{
    struct append *a = append_new(&p->appends, type);

    if (type == MESSAGE_TERM) {
        era_mark(p, &a->body);
    }
    appends_put_last(&p->appends, a);
    appends_pump(p, now_ms);
}

void takeover_begin(struct partition *p, int64_t now_ms)
{
    p->takeover.phase = TAKEOVER_CLAIM;
    append_control(p, MESSAGE_CLAIM, now_ms);
}

void takeover_on_claimed(struct partition *p, int64_t now_ms)
{
    if (p->takeover.phase == TAKEOVER_CLAIM && p->state != PARTITION_GONE) {
        p->takeover.phase = TAKEOVER_SEEK;
        p->takeover.seek_ms = now_ms;
        partition_act(p, PARTITION_READ_LAST);
    }
}

/* Reads all from `offset` on, knowing nothing. */
static void begin_to_read(struct partition *p, uint64_t offset)
{
    struct takeover *t = &p->takeover;

    partition_forget_log(p);
    *t = (struct takeover){.phase = TAKEOVER_READ, .from = offset};
    p->checkpoint = (struct checkpoint){.hint = offset};
    p->state = PARTITION_REPLAYING;
    read_from(p, offset);
}

/* Our claim is met and nothing before it, in what we read, told where a checkpoint is. */
static void seek_further(struct partition *p, uint64_t claim, int64_t now_ms)
{
    struct takeover *t = &p->takeover;

    t->step = t->step == 0 ? TAKEOVER_STEP : t->step * STEP_FACTOR;
    if (claim <= t->step) {
        begin_to_read(p, 0);
    } else {
        t->seek_ms = now_ms;
        read_from(p, claim - t->step);
    }
}

static void seek(struct partition *p, const struct message *m, uint64_t offset, int64_t now_ms)
{
    if (m->type == MESSAGE_CLAIM) {
        if (is_ours(p, m)) {
            seek_further(p, offset, now_ms);
        }
    } else if ((m->has & HAS_CHECKPOINT) != 0 && m->checkpoint <= offset) {
        begin_to_read(p, m->checkpoint);
    }
}

/* What we have read was void. The message that shows it knows where to begin. */
static void begin_anew(struct partition *p, const struct message *m)
{
    struct takeover *t = &p->takeover;
    uint64_t hint = (m->has & HAS_CHECKPOINT) != 0 ? m->checkpoint : 0;

    stat_add(&p->stats->void_records, p->takeover.records);
    if (hint < t->from) {
        begin_to_read(p, hint);
        return;
    }
    /* There is nothing before: go on with what follows. */
    partition_forget_log(p);
    t->is_whole = false;
    p->checkpoint = (struct checkpoint){.hint = t->from};
}

enum verdict { VALID, VOID, RESTARTED };

/* An append or checkpoint: does it count? */
static enum verdict judge(struct partition *p, const struct message *m)
{
    struct takeover *t = &p->takeover;

    if (m->term < t->highest) {
        return VOID;
    }
    if (m->term > t->highest) {
        if (!t->is_blind) {
            return VOID; /* its marker would be in the log */
        }
        if (t->phase == TAKEOVER_MARK) {
            partition_end(p, PARTITION_SUPERSEDED);
            return RESTARTED;
        }
        if (t->highest != 0) {
            begin_anew(p, m);
        }
        if (!t->has_begun) {
            return RESTARTED;
        }
        t->highest = m->term;
        t->number = 0;
    }
    if ((m->has & HAS_NUMBER) != 0) {
        if (m->number <= t->number) {
            return VOID; /* the second copy of one that was sent twice */
        }
        t->number = m->number;
    }
    return VALID;
}

/* The lanes' marks rise to what an append names. False: none of its batches is new. */
static bool read_lanes(struct partition *p, const struct message *m, int64_t time_ms)
{
    struct slice rest = m->lanes, boot;
    uint64_t batch;
    bool has_new = false;

    while (lane_marks_next(&rest, &boot, &batch)) {
        struct lane_mark *lane = lane_marks_get(&p->lanes, boot, time_ms);

        if (batch > lane->confirmed) {
            lane->confirmed = lane->numbered = batch;
            has_new = true;
        }
    }
    return has_new;
}

/* `kept` is the record as it stands in the log. */
static void read_record(struct partition *p, const struct record *r,
                        const struct shelf_record *kept, int64_t now_ms)
{
    struct place *place = roster_get(&p->roster, r->room, now_ms);
    bool is_same = position_has_epoch(&place->confirmed, r->epoch);

    if (is_same && r->offset <= place->confirmed.offset) {
        stat_add(&p->stats->void_records, 1);
        return;
    }
    if (!is_same) {
        shelf_clear(&p->shelf, place);
    }
    position_set(&place->confirmed, r->epoch, r->offset);
    place->numbered = place->confirmed;
    roster_touch(&p->roster, place, kept->time_ms);
    shelf_add(&p->shelf, place, kept);
    events_read_record(p, place, kept->bytes, kept->log_at);
    if (r->key.size > 0) {
        keys_read(&p->keys, &(struct key_name){r->room, r->user, r->key, r->client.size == 0},
                  kept->time_ms, now_ms);
    }
    p->takeover.records++;
    stat_add(&p->stats->replayed_records, 1);
}

static void read_append(struct partition *p, const struct message *m, uint64_t offset,
                        int64_t now_ms)
{
    struct slice rest = m->body;
    int64_t time_ms = MIN(m->time_ms, now_ms);
    struct record r;
    int rc;

    if (!read_lanes(p, m, time_ms)) {
        stat_add(&p->stats->void_records, (m->has & HAS_RECORDS) != 0 ? m->records : 0);
        return;
    }
    for (;;) {
        const char *start = rest.at;

        rc = record_next(&rest, true, &r);
        if (rc != 0) {
            break;
        }
        read_record(p, &r,
                    &(struct shelf_record){.bytes = {start, (size_t)(rest.at - start)},
                                           .log_at = offset,
                                           .time_ms = time_ms},
                    now_ms);
    }
    if (rc == RECORD_BAD) {
        stat_add(&p->stats->poisoned, 1);
    }
}

static void read_counted(struct partition *p, const struct message *m, uint64_t offset,
                         int64_t now_ms)
{
    switch (judge(p, m)) {
    case RESTARTED:
        return;
    case VOID:
        stat_add(&p->stats->void_records, (m->has & HAS_RECORDS) != 0 ? m->records : 0);
        return;
    case VALID:
        break;
    }
    checkpoint_count(p, m->body.size);
    events_read(p, m, offset);
    if (m->type == MESSAGE_APPEND) {
        read_append(p, m, offset, now_ms);
    } else {
        checkpoint_read(p, m, offset, now_ms);
    }
}

static void read_marker(struct partition *p, const struct message *m, uint64_t offset,
                        int64_t now_ms)
{
    struct takeover *t = &p->takeover;

    if (is_ours(p, m)) {
        t->phase = TAKEOVER_DONE;
        p->checkpoint.marker_offset = offset;
        partition_taken_over(p, now_ms);
        return;
    }
    if (t->phase == TAKEOVER_MARK && m->term >= p->term) {
        partition_end(p, PARTITION_SUPERSEDED);
        return;
    }
    if (m->term > t->highest) {
        t->highest = m->term;
        t->number = (m->has & HAS_NUMBER) != 0 ? m->number : 0;
        t->is_whole |= m->term == 1; /* nothing counts that stands before the first marker */
        era_read_mark(p, m, t->is_whole);
    }
}

static void read_claim(struct partition *p, const struct message *m, int64_t now_ms)
{
    struct takeover *t = &p->takeover;

    if (t->phase == TAKEOVER_READ && is_ours(p, m)) {
        t->phase = TAKEOVER_MARK;
        p->term = t->highest + 1;
        append_control(p, MESSAGE_TERM, now_ms);
    }
}

static void read_on(struct partition *p, const struct message *m, uint64_t offset, int64_t now_ms)
{
    struct takeover *t = &p->takeover;

    if (!t->has_begun) {
        t->has_begun = true;
        t->is_blind = offset > 0;
        t->begun_at = offset;
    }
    if (m->type == MESSAGE_CLAIM) {
        read_claim(p, m, now_ms);
    } else if (m->type == MESSAGE_TERM) {
        read_marker(p, m, offset, now_ms);
    } else if (m->type == MESSAGE_APPEND || m->type == MESSAGE_CHECKPOINT) {
        read_counted(p, m, offset, now_ms);
    } else {
        stat_add(&p->stats->poisoned, 1); /* it does not belong here */
    }
}

void takeover_on_log(struct partition *p, const struct mq_event *e, int64_t now_ms)
{
    struct takeover *t = &p->takeover;
    struct message m;

    if (t->phase == TAKEOVER_CLAIM || t->phase == TAKEOVER_DONE || p->state == PARTITION_GONE) {
        return; /* asked for no more, and still on its way */
    }
    if (e->stream_offset < 0 || message_from_event(e, &m) != NULL ||
        m.partition != p->conf.number) {
        stat_add(&p->stats->poisoned, 1);
        return;
    }
    if (t->phase == TAKEOVER_SEEK) {
        seek(p, &m, (uint64_t)e->stream_offset, now_ms);
    } else {
        read_on(p, &m, (uint64_t)e->stream_offset, now_ms);
    }
}

void takeover_tick(struct partition *p, int64_t now_ms)
{
    struct takeover *t = &p->takeover;

    if (t->phase == TAKEOVER_SEEK && now_ms - t->seek_ms > TAKEOVER_SEEK_MS) {
        begin_to_read(p, 0);
    }
}
