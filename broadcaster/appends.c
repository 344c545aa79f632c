/* appends.c: the line of messages on their way into the log. */
#include "broadcaster/appends.h"

#include "broadcaster/intake.h"
#include "broadcaster/partition_internal.h"
#include "common/mem.h"

#define SPARE_BYTES_MAX (4 * (size_t)APPEND_BYTES_MAX) /* a larger body is not kept for reuse */

void appends_init(struct appends *all)
{
    *all = (struct appends){.pause_ms = APPEND_RETRY_MS};
    all->last = &all->first;
}

static void append_free(struct append *a)
{
    buf_deinit(&a->body);
    buf_deinit(&a->lanes);
    mem_free(a->records);
    mem_free(a->batches);
    mem_free(a);
}

void appends_deinit(struct appends *all)
{
    while (all->first != NULL) {
        struct append *a = all->first;
        all->first = a->next;
        append_free(a);
    }
    if (all->spare != NULL) {
        append_free(all->spare);
    }
}

/* Keeps one for its memory. */
void append_discard(struct appends *all, struct append *a)
{
    if (all->spare != NULL || a->body.capacity > SPARE_BYTES_MAX) {
        append_free(a);
        return;
    }
    struct append empty = {.body = a->body,
                           .lanes = a->lanes,
                           .records = a->records,
                           .record_capacity = a->record_capacity,
                           .batches = a->batches,
                           .batch_capacity = a->batch_capacity};
    *a = empty;
    buf_clear(&a->body);
    buf_clear(&a->lanes);
    all->spare = a;
}

struct append *append_new(struct appends *all, enum message_type type)
{
    struct append *a = all->spare != NULL ? all->spare : mem_new(struct append);

    all->spare = NULL;
    a->type = type;
    return a;
}

void appends_put_last(struct appends *all, struct append *a)
{
    a->next = NULL;
    *all->last = a;
    all->last = &a->next;
}

void appends_put_first(struct appends *all, struct append *first, struct append *last)
{
    assert(!all->in_flight && all->retry_ms == 0);
    last->next = all->first;
    if (all->first == NULL) {
        all->last = &last->next;
    }
    all->first = first;
}

struct append *appends_tail(struct appends *all)
{
    return all->first != NULL ? container_of(all->last, struct append, next) : NULL;
}

struct append *appends_open(struct appends *all)
{
    struct append *a = appends_tail(all);

    bool is_open = a != NULL && a->type == MESSAGE_APPEND && !a->is_sent &&
                   a->body.size < APPEND_BYTES_MAX && a->batch_count < APPEND_BATCHES_MAX;

    return is_open ? a : NULL;
}

void append_add_record(struct append *a, const struct append_record *r)
{
    if (a->record_count == a->record_capacity) {
        a->record_capacity = MAX((size_t)16, a->record_capacity * 2);
        a->records = mem_realloc(a->records, a->record_capacity * sizeof(a->records[0]));
    }
    a->records[a->record_count++] = *r;
}

void append_add_batch(struct append *a, struct lane_mark *lane, struct slice boot, uint64_t number)
{
    if (a->batch_count == a->batch_capacity) {
        a->batch_capacity = MAX((size_t)4, a->batch_capacity * 2);
        a->batches = mem_realloc(a->batches, a->batch_capacity * sizeof(a->batches[0]));
    }
    a->batches[a->batch_count++] = (struct append_batch){lane, number};
    if (a->lanes.size > 0) {
        buf_add_char(&a->lanes, ' ');
    }
    buf_add_slice(&a->lanes, boot);
    buf_add_char(&a->lanes, ':');
    buf_add_u64(&a->lanes, number);
}

/* What the headers tell besides partition and owner. */
static struct message describe(const struct partition *p, const struct append *a)
{
    struct message m = {.type = a->type,
                        .partition = p->conf.number,
                        .owner = slice_of(p->conf.owner),
                        .time_ms = a->time_ms};

    if (a->type == MESSAGE_CLAIM || a->type == MESSAGE_TERM) {
        m.boot = slice_of(p->nonce);
    }
    if (a->type != MESSAGE_CLAIM) {
        m.has |= HAS_NUMBER | HAS_CHECKPOINT;
        m.term = p->term;
        m.number = a->number;
        m.checkpoint = a->hint;
    }
    if (a->type == MESSAGE_APPEND) {
        m.has |= HAS_RECORDS;
        m.records = a->record_count;
        m.lanes = buf_slice(&a->lanes);
    }
    if (a->has_told) {
        m.has |= HAS_TOLD;
        m.told = a->told;
    }
    if (a->parts_left > 0) {
        m.has |= HAS_BATCH;
        m.batch = a->parts_left;
    }
    return m;
}

static void send_first(struct partition *p, int64_t now_ms)
{
    struct append *a = p->appends.first;
    struct partition_action *act = partition_act(p, PARTITION_APPEND);

    if (!a->is_sent) {
        a->is_sent = true;
        a->time_ms = now_ms;
        a->has_told = a->type != MESSAGE_CLAIM && events_are_open(p, &a->told);
        /* Readers have to find what is not told. */
        a->hint = a->has_told ? MIN(p->checkpoint.hint, a->told) : p->checkpoint.hint;
        a->number = a->type == MESSAGE_CLAIM ? 0 : ++p->appends.numbered;
    }
    buf_add_slice(&act->body, buf_slice(&a->body));
    struct message m = describe(p, a);
    partition_action_fill(act, &m);
    p->appends.in_flight = true;
}

void appends_pump(struct partition *p, int64_t now_ms)
{
    struct appends *all = &p->appends;

    if (all->first != NULL && !all->in_flight && all->retry_ms == 0) {
        send_first(p, now_ms);
    }
}

static void refused(struct appends *all, int64_t now_ms)
{
    all->retry_ms = now_ms + all->pause_ms;
    all->pause_ms = MIN(all->pause_ms * 2, APPEND_RETRY_MAX_MS);
}

static void confirmed(struct partition *p, const struct append *a, int64_t now_ms)
{
    if (a->type != MESSAGE_CLAIM) {
        checkpoint_count(p, a->body.size);
    }
    if (a->type == MESSAGE_CLAIM) {
        takeover_on_claimed(p, now_ms);
    } else if (a->type == MESSAGE_CHECKPOINT) {
        checkpoint_on_confirm(p, a);
    } else if (a->type == MESSAGE_APPEND) {
        stat_add(&p->stats->appends, 1);
        stat_add(&p->stats->append_bytes, a->body.size);
        intake_on_confirm(p, a, now_ms);
    }
}

void appends_on_confirm(struct partition *p, bool ok, int64_t now_ms)
{
    struct appends *all = &p->appends;
    struct append *a = all->first;

    if (!all->in_flight) {
        return;
    }
    all->in_flight = false;
    /* A marker that was read back is in the log, whatever the broker says. */
    if (!ok && !(a->type == MESSAGE_TERM && p->takeover.phase == TAKEOVER_DONE)) {
        refused(all, now_ms);
        return;
    }
    all->pause_ms = APPEND_RETRY_MS;
    all->first = a->next;
    if (all->first == NULL) {
        all->last = &all->first;
    }
    confirmed(p, a, now_ms);
    append_discard(all, a);
}

void appends_tick(struct partition *p, int64_t now_ms)
{
    struct appends *all = &p->appends;
    int64_t wait_ms = all->retry_ms - now_ms;
    bool is_over = wait_ms <= 0 || wait_ms > APPEND_RETRY_MAX_MS; /* the clock was set back */

    if (all->retry_ms != 0 && is_over) {
        all->retry_ms = 0;
        stat_add(&p->stats->append_retries, 1);
        send_first(p, now_ms);
    }
}
