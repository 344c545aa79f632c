/* intake.c: what comes from warren.in.<p>: judged, numbered, put in line for the log. */
#include "broadcaster/intake.h"

#include "broadcaster/audiences.h"
#include "broadcaster/events.h"
#include "broadcaster/partition_internal.h"
#include "proto/record.h"
#include "proto/room.h"

/* The reasons are stable: they go into headers and metrics. */
static const char *judge(const struct partition *p, const struct mq_event *e, struct message *m)
{
    const char *why = e->too_large ? "too large" : message_from_event(e, m);

    why = why != NULL                      ? why
          : m->type != MESSAGE_PUBLISH     ? "no publish"
          : m->partition != p->conf.number ? "other partition"
          : m->batch == 0                  ? "bad batch"
          : m->body.size == 0              ? "no records"
                                           : NULL;
    if (why == NULL && m->body.size > INTAKE_BATCH_BYTES_MAX) {
        owner_limit_met(&p->stats->limits, OWNER_LIMIT_BATCH_BYTES);
        why = "too large";
    }
    return why;
}

static void put_to_death(struct partition *p, uint64_t tag, const char *why)
{
    struct partition_action *a = partition_act(p, PARTITION_DEAD);

    a->tag = tag;
    a->reason = why;
    stat_add(&p->stats->poisoned, 1);
}

static void ack(struct partition *p, uint64_t tag, size_t inputs)
{
    assert(p->backlog >= inputs);
    p->backlog -= inputs;
    partition_act(p, PARTITION_ACK)->tag = tag;
}

/* Nothing of it is new; done when everything before it is. */
static void take_duplicate(struct partition *p, uint64_t tag)
{
    struct append *last = appends_tail(&p->appends);

    stat_add(&p->stats->duplicates_dropped, 1);
    p->backlog++;
    if (last == NULL || last->type != MESSAGE_APPEND) {
        ack(p, tag, 1);
    } else {
        last->ack_tag = tag;
        last->inputs++;
    }
}

/* The room's next number. */
static void number_next(struct partition *p, struct place *place, int64_t now_ms)
{
    if (place->renews) {
        era_renew(p, place);
    } else {
        era_place(p, place);
    }
    place->numbered.offset++;
    place->pending++;
    roster_touch(&p->roster, place, now_ms);
}

/* Takes the numbers back that were given from record `from` on. */
static void roll_back(struct partition *p, struct append *a, size_t from, size_t body_size)
{
    while (a->record_count > from) {
        struct place *place = a->records[--a->record_count].place;

        if (a->records[a->record_count].key != NULL) {
            keys_take_back(&p->keys, a->records[a->record_count].key);
        }
        place->numbered.offset--;
        place->pending--;
        roster_release_unused(&p->roster, place);
    }
    a->body.size = body_size;
}

/* Numbers a record into the append. False: its key is known, and it is dropped. */
static bool number_record(struct partition *p, struct append *a, struct record *r, int64_t now_ms)
{
    struct key_mark *key = NULL;
    size_t at = a->body.size;

    if (r->key.size > 0 && p->keys.window_ms > 0) {
        key = keys_take(&p->keys, &(struct key_name){r->room, r->user, r->key, r->client.size == 0},
                        now_ms);
        if (key == NULL) {
            return false;
        }
    }
    struct place *place = roster_get(&p->roster, r->room, now_ms);
    number_next(p, place, now_ms);
    enum audience_rule rule = audiences_decide(place->rule, r, &p->audience);
    if (rule != AUDIENCE_RULES) {
        stat_add(&p->stats->narrowed[rule], 1);
    }
    r->offset = place->numbered.offset;
    r->epoch = slice_of(place->numbered.epoch);
    record_encode(&a->body, r);
    append_add_record(a, &(struct append_record){place, key, r->offset, at, a->body.size});
    return true;
}

/* Numbers all records of a batch into the append, or none. NULL, or why not. */
static const char *number_batch(struct partition *p, struct append *a, struct slice rest,
                                int64_t now_ms)
{
    const size_t from = a->record_count, body_size = a->body.size;
    size_t count = 0, dropped = 0;
    const char *why = NULL;
    struct record r;
    int rc;

    while (why == NULL && (rc = record_next(&rest, false, &r)) != RECORD_END) {
        if (rc == RECORD_BAD) {
            why = "bad record";
        } else if (p->conf.partitions != 0 &&
                   room_partition(r.room, p->conf.partitions) != p->conf.number) {
            why = "room of another partition";
        } else if (count++ == BATCH_RECORDS_MAX) {
            owner_limit_met(&p->stats->limits, OWNER_LIMIT_BATCH_RECORDS);
            why = "too many records";
        } else {
            dropped += !number_record(p, a, &r, now_ms);
        }
    }
    if (why != NULL) {
        roll_back(p, a, from, body_size);
    } else {
        stat_add(&p->stats->records_in, a->record_count - from);
        stat_add(&p->stats->keys_dropped, dropped);
        keys_trim(&p->keys, now_ms);
    }
    return why;
}

/* The batch's records are numbered: it is part of the append. */
static void put_in_line(struct partition *p, struct append *a, const struct message *m,
                        uint64_t tag, int64_t now_ms)
{
    struct lane_mark *lane = lane_marks_get(&p->lanes, m->boot, now_ms);

    lane->numbered = m->batch;
    append_add_batch(a, lane, m->boot, m->batch);
    a->ack_tag = tag;
    a->inputs++;
    p->backlog++;
    stat_add(&p->stats->batches_in, 1);
}

void intake_take(struct partition *p, const struct mq_event *e, int64_t now_ms)
{
    struct message m;
    const char *why = judge(p, e, &m);
    struct lane_mark *lane = why == NULL ? lane_marks_find(&p->lanes, m.boot) : NULL;

    if (why == NULL && lane != NULL && m.batch <= lane->numbered) {
        take_duplicate(p, e->tag);
        return;
    }
    if (why == NULL) {
        struct append *a = appends_open(&p->appends);
        bool is_new = a == NULL;

        if (is_new) {
            a = append_new(&p->appends, MESSAGE_APPEND);
        }
        why = number_batch(p, a, m.body, now_ms);
        if (why == NULL) {
            put_in_line(p, a, &m, e->tag, now_ms);
        }
        if (is_new && why == NULL) {
            appends_put_last(&p->appends, a);
        } else if (is_new) {
            append_discard(&p->appends, a);
        }
    }
    if (why != NULL) {
        put_to_death(p, e->tag, why);
    }
}

void intake_on_confirm(struct partition *p, const struct append *a, int64_t now_ms)
{
    for (size_t i = 0; i < a->batch_count; i++) {
        a->batches[i].lane->confirmed = a->batches[i].number;
    }
    for (size_t i = 0; i < a->record_count; i++) {
        const struct append_record *r = &a->records[i];
        struct place *place = r->place;

        if (r->key != NULL) {
            keys_confirm(r->key);
        }
        if (r->offset == 1) { /* at most one epoch is on its way */
            shelf_clear(&p->shelf, place);
            place->confirmed = place->numbered;
        }
        place->confirmed.offset = r->offset;
        place->pending--;
        shelf_add(&p->shelf, place,
                  &(struct shelf_record){.bytes = {a->body.at + r->at, r->end - r->at},
                                         .log_at = partition_log_at(p, a->number),
                                         .time_ms = now_ms});
    }
    followers_deliver(p, a, now_ms);
    events_records(p, a);
    ack(p, a->ack_tag, a->inputs);
}
