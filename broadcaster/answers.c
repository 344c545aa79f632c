/* answers.c: presence and history, from memory: what it lacks is looked for in the log. */
#include "broadcaster/mail.h"
#include "broadcaster/partition_internal.h"
#include "broadcaster/presence.h"
#include "common/mem.h"
#include "proto/line.h"

static void answer(struct partition *p, struct partition_action *a, const struct message *question,
                   enum message_type type, int64_t now_ms)
{
    partition_action_fill(a, &(struct message){.type = type,
                                               .partition = p->conf.number,
                                               .boot = question->boot,
                                               .request = question->request,
                                               .time_ms = now_ms});
}

/* The numbers, and the members if they are wanted and not too many. */
static void put_presence(struct partition *p, struct buf *body, const struct place *place,
                         const struct line *q)
{
    size_t count = place != NULL ? presence_members(place) : 0;
    bool is_crowd = place != NULL && count > (uint64_t)place->rule->presence_max;
    struct line numbers = {.room = q->room,
                           .clients = count,
                           .users = place != NULL ? presence_persons(place) : 0,
                           .complete = !q->count && !is_crowd};
    const struct member *member = numbers.complete && place != NULL ? place->members : NULL;
    struct line line;

    if (is_crowd && !q->count) {
        owner_limit_met(&p->stats->limits, OWNER_LIMIT_PRESENCE_MAX);
    }
    line_encode(body, &numbers);
    for (; member != NULL && body->size < ANSWER_BYTES_MAX; member = member->hh.next) {
        member_line(member, &line);
        line_encode(body, &line);
    }
    if (member != NULL) { /* a part of them would pass for all */
        owner_limit_met(&p->stats->limits, OWNER_LIMIT_ANSWER_BYTES);
        numbers.complete = false;
        buf_clear(body);
        line_encode(body, &numbers);
    }
}

void answers_presence(struct partition *p, const struct message *m, int64_t now_ms)
{
    struct slice rest = m->body;
    struct line line;

    if (line_next(&rest, &line) != 0 || line.room.size == 0) {
        stat_add(&p->stats->poisoned, 1);
        return;
    }
    struct partition_action *a = followers_action(p, m->gateway);

    put_presence(p, &a->body, roster_find(&p->roster, line.room), &line);
    answer(p, a, m, MESSAGE_PRESENT, now_ms);
}

/* What a question is about: the records above `low` up to `high`. */
struct range {
    uint64_t low, high;
    bool is_known;  /* the position that it starts at is one of ours */
    bool is_strict; /* all of them, or none: somebody continues from `low` */
    bool is_late;   /* it starts before what history shows */
    bool is_many;   /* there are more than one answer has, and they are wanted */
};

static struct range range_of(const struct place *place, const struct line *q)
{
    const uint64_t top = place->confirmed.offset;
    const uint64_t shown = top - MIN(top, (uint64_t)place->rule->history_size);
    const uint64_t limit =
        q->limit < 0 ? ANSWER_RECORDS_MAX : MIN((uint64_t)q->limit, ANSWER_RECORDS_MAX);
    const bool is_open = q->limit < 0 || q->limit > ANSWER_RECORDS_MAX;
    struct range r = {.low = shown, .high = top, .is_known = true};

    r.is_strict = q->has_offset && !q->reverse && q->limit < 0;

    if (q->has_offset) {
        r.is_known = q->offset <= top &&
                     (q->epoch.size == 0 || position_has_epoch(&place->confirmed, q->epoch));
    }
    if (!r.is_known) {
        r.low = r.high;
    } else if (q->reverse) {
        if (q->has_offset) {
            r.high = q->offset - MIN(q->offset, 1);
        }
        r.low = MIN(r.low, r.high);
        r.is_many = is_open && r.high - r.low > limit;
        r.low = MAX(r.low, r.high - MIN(r.high, limit));
    } else {
        if (q->has_offset) {
            r.is_late = !r.is_strict && q->offset < shown;
            r.low = r.is_late ? shown : q->offset;
        }
        r.is_many = is_open && r.high - r.low > limit;
        r.high = MIN(r.high, r.low + limit);
    }
    return r;
}

/* The records of the range that are in memory and fit, oldest first. */
struct found {
    const struct kept **at; /* owns */
    size_t count;
    bool is_cut; /* there were more than fit */
};

static struct found find_records(const struct place *place, const struct range *r, bool reverse)
{
    struct found found = {.at = mem_zalloc(r->high - r->low, sizeof(found.at[0]))};
    size_t bytes = 0;

    for (const struct kept *k = shelf_after(place, r->low); k != NULL && k->offset <= r->high;
         k = k->next) {
        found.at[found.count++] = k;
        bytes += k->size;
    }
    while (bytes > ANSWER_BYTES_MAX) { /* the far end goes */
        found.is_cut = true;
        if (reverse) {
            bytes -= found.at[0]->size;
            memmove(found.at, found.at + 1, --found.count * sizeof(found.at[0]));
        } else {
            bytes -= found.at[--found.count]->size;
        }
    }
    return found;
}

static void put_records(struct buf *body, const struct found *found, bool reverse)
{
    for (size_t i = 0; i < found->count; i++) {
        buf_add_slice(body, kept_slice(found->at[reverse ? found->count - 1 - i : i]));
    }
}

/* The offset after which the answer's records have to be here. What is known to be gone is no part
 * of history any more. */
static uint64_t needed_from(const struct place *place, const struct range *r)
{
    return r->is_strict ? r->low : MIN(MAX(r->low, place->gone), r->high);
}

static void count_limits(struct partition *p, const struct range *r, const struct found *found)
{
    const struct {
        bool is_met;
        enum owner_limit limit;
    } limits[] = {
        {r->is_late, OWNER_LIMIT_HISTORY_SIZE},
        {r->is_many, OWNER_LIMIT_ANSWER_RECORDS},
        {found->is_cut, OWNER_LIMIT_ANSWER_BYTES},
    };

    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        if (limits[i].is_met) {
            owner_limit_met(&p->stats->limits, limits[i].limit);
        }
    }
}

static void put_history(struct partition *p, struct buf *body, const struct place *place,
                        const struct line *q)
{
    const struct range r = range_of(place, q);
    const uint64_t from = needed_from(place, &r);
    struct found found = find_records(place, &r, q->reverse);
    bool has_all = r.is_known && (from == r.high || shelf_low(place) <= from + 1);
    bool complete = has_all && !r.is_late && !found.is_cut;
    bool is_lost = q->has_offset && (!r.is_known || (!has_all && !q->reverse));

    line_encode(body, &(struct line){.room = place_name(place),
                                     .epoch = slice_of(place->confirmed.epoch),
                                     .has_offset = true,
                                     .offset = place->confirmed.offset,
                                     .from = place->confirmed.offset,
                                     .limit = is_lost ? LINE_UNRECOVERABLE : 0,
                                     .complete = complete});
    if (!is_lost) {
        put_records(body, &found, q->reverse);
    }
    if (!complete) {
        stat_add(&p->stats->history_incomplete, 1);
    }
    count_limits(p, &r, &found);
    mem_free(found.at);
}

bool answers_need_log(struct partition *p, const struct message *m, int64_t now_ms)
{
    struct slice rest = m->body;
    struct line q;
    struct place *place = line_next(&rest, &q) == 0 ? roster_find(&p->roster, q.room) : NULL;

    if (place == NULL || place->confirmed.offset == 0) {
        return false;
    }
    shelf_expire(&p->shelf, place, now_ms);
    const struct range r = range_of(place, &q);
    const uint64_t from = needed_from(place, &r);
    bool needs_log = r.is_known && from < r.high && lookback_fetch(p, place, from);

    lookback_begin(p, now_ms);
    return needs_log;
}

/* Nobody has spoken in the room in its epoch. */
static void put_nothing(struct buf *body, const struct line *q, struct slice epoch)
{
    bool is_present = q->epoch.size == 0 || slice_equal(q->epoch, epoch);
    bool is_lost = q->has_offset && (q->offset > 0 || !is_present);

    line_encode(body, &(struct line){.room = q->room,
                                     .epoch = epoch,
                                     .has_offset = true,
                                     .limit = is_lost ? LINE_UNRECOVERABLE : 0,
                                     .complete = !is_lost});
}

void answers_history(struct partition *p, const struct message *m, int64_t now_ms)
{
    struct slice rest = m->body;
    struct line q;

    if (line_next(&rest, &q) != 0 || q.room.size == 0) {
        stat_add(&p->stats->poisoned, 1);
        return;
    }
    struct partition_action *a = followers_action(p, m->gateway);
    struct place *place = roster_find(&p->roster, q.room);

    if (place != NULL && place->confirmed.offset > 0) {
        shelf_expire(&p->shelf, place, now_ms);
        put_history(p, &a->body, place, &q);
    } else {
        bool has_epoch = place != NULL && place->confirmed.epoch[0] != '\0';

        put_nothing(&a->body, &q, has_epoch ? slice_of(place->confirmed.epoch) : era_epoch(p));
    }
    answer(p, a, m, MESSAGE_PAST, now_ms);
}
