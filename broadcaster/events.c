/* events.c: see events.h. */
#include "broadcaster/events.h"

#include <inttypes.h>

#include "broadcaster/partition_internal.h"
#include "common/mem.h"
#include "proto/line.h"

/* An append with records that programs are told of. */
struct told {
    struct told *next;
    uint64_t at;     /* its stream offset: exact if it was read, a lower bound if it is our own */
    uint64_t number; /* of its last event; 0: they wait, in `first` */
    size_t count;    /* of its events */
    struct partition_action *first; /* owns */
    struct partition_action **last;
};

void events_init(struct events *e)
{
    *e = (struct events){.first = NULL};
    e->last = &e->first;
}

static void drop_first(struct events *e)
{
    struct told *t = e->first;

    while (t->first != NULL) {
        struct partition_action *a = t->first;
        t->first = a->next;
        partition_action_done(a);
    }
    e->first = t->next;
    if (e->first == NULL) {
        e->last = &e->first;
    }
    mem_free(t);
}

void events_deinit(struct partition *p)
{
    events_forget_read(p);
    stat_sub(&p->stats->events_open, confirms_open(&p->events.confirms));
    confirms_deinit(&p->events.confirms);
}

/* The last one in line is for the append at this stream offset. */
static struct told *told_at(struct events *e, uint64_t stream_offset)
{
    struct told *t = e->first != NULL ? container_of(e->last, struct told, next) : NULL;

    if (t == NULL || t->at != stream_offset) {
        t = mem_new(struct told);
        t->at = stream_offset;
        t->last = &t->first;
        *e->last = t;
        e->last = &t->next;
    }
    return t;
}

static struct partition_action *event_new(const char *event, const struct place *place)
{
    struct partition_action *a = partition_action_new(PARTITION_EVENT);

    a->event = event;
    buf_addf(&a->texts, "%s.%.*s", event, SLICE_ARG(place_name(place)));
    buf_add_char(&a->texts, '\0');
    return a;
}

/* The two lines of a record as one object: {what warren says,"data":what the user said}. */
static struct partition_action *record_new(const struct place *place, struct slice lines)
{
    struct partition_action *a = event_new("record", place);
    const char *end = memchr(lines.at, '\n', lines.size);
    const char *brace = end;

    assert(end != NULL);
    while (brace > lines.at && brace[-1] != '}') {
        brace--; /* in the log there may be space behind it */
    }
    assert(brace > lines.at);
    buf_add(&a->body, lines.at, (size_t)(brace - 1 - lines.at));
    buf_add_lit(&a->body, ",\"data\":");
    buf_add(&a->body, end + 1, (size_t)(lines.at + lines.size - 1 - (end + 1)));
    buf_add_char(&a->body, '}');
    return a;
}

/* Its number. */
static uint64_t tell(struct partition *p, struct partition_action *a)
{
    partition_act_put(p, a);
    stat_add(&p->stats->events, 1);
    stat_add(&p->stats->events_open, 1);
    return confirms_add(&p->events.confirms);
}

static bool is_told(const struct place *place)
{
    return (place->rule->tells & RULE_TELLS_RECORD) != 0;
}

void events_records(struct partition *p, const struct append *a)
{
    struct told *t = NULL;

    for (size_t i = 0; i < a->record_count; i++) {
        const struct append_record *r = &a->records[i];

        if (is_told(r->place)) {
            if (t == NULL) {
                t = told_at(&p->events, partition_log_at(p, a->number));
            }
            struct slice lines = {a->body.at + r->at, r->end - r->at};
            t->number = tell(p, record_new(r->place, lines));
            t->count++;
        }
    }
}

void events_move(struct partition *p, const struct place *place, const struct line *move,
                 int64_t now_ms)
{
    bool left = move->left;
    struct line line = *move;

    if ((place->rule->tells & (left ? RULE_TELLS_LEAVE : RULE_TELLS_JOIN)) == 0) {
        return;
    }
    struct partition_action *event = event_new(left ? "leave" : "join", place);
    line.left = false; /* its key says so */
    line.time = now_ms;
    line_encode(&event->body, &line);
    event->body.size--; /* its LF */
    (void)tell(p, event);
}

bool events_are_open(const struct partition *p, uint64_t *told)
{
    if (p->events.first == NULL) {
        return false;
    }
    *told = p->events.first->at;
    return true;
}

void events_on_confirm(struct partition *p, uint64_t number, bool multiple, bool ok)
{
    struct events *e = &p->events;
    uint64_t count = confirms_take(&e->confirms, number, multiple);

    stat_sub(&p->stats->events_open, count);
    if (!ok) {
        stat_add(&p->stats->events_refused, count);
    }
    while (e->first != NULL && e->first->number != 0 && e->first->number <= e->confirms.settled) {
        drop_first(e);
    }
}

void events_read(struct partition *p, const struct message *m, uint64_t stream_offset)
{
    uint64_t told = (m->has & HAS_TOLD) != 0 ? m->told : stream_offset;

    while (p->events.first != NULL && p->events.first->at < told) {
        drop_first(&p->events);
    }
}

void events_read_record(struct partition *p, const struct place *place, struct slice lines,
                        uint64_t stream_offset)
{
    if (is_told(place)) {
        struct told *t = told_at(&p->events, stream_offset);

        *t->last = record_new(place, lines);
        t->last = &(*t->last)->next;
        t->count++;
    }
}

void events_forget_read(struct partition *p)
{
    while (p->events.first != NULL) {
        drop_first(&p->events);
    }
}

void events_taken_over(struct partition *p)
{
    for (struct told *t = p->events.first; t != NULL; t = t->next) {
        while (t->first != NULL) {
            struct partition_action *a = t->first;
            t->first = a->next;
            t->number = tell(p, a);
            stat_add(&p->stats->events_again, 1);
        }
    }
}

/* At the second move: so much log is behind them then that a reader had better not have to. */
void events_hint_moved(struct partition *p, uint64_t old)
{
    struct events *e = &p->events;

    if (p->state != PARTITION_OWNED && p->state != PARTITION_LEAVING) {
        return;
    }
    while (e->first != NULL && e->first->at < e->limit) {
        stat_add(&p->stats->limits.met[OWNER_LIMIT_EVENTS], e->first->count);
        /* What is never answered must not hold up those behind it for ever. */
        stat_sub(&p->stats->events_open, confirms_take(&e->confirms, e->first->number, true));
        drop_first(e);
    }
    e->limit = old;
}
