/* lookback.c: what memory does not hold is read back from the log. */
#include "broadcaster/lookback.h"

#include "broadcaster/mail.h"
#include "broadcaster/partition_internal.h"
#include "proto/record.h"

static void read_window(struct partition *p, int64_t now_ms)
{
    struct lookback *b = &p->lookback;
    struct partition_action *a = partition_act(p, PARTITION_READ_FROM);

    b->begin = b->end - MIN(b->end, b->width);
    b->has_begun = false;
    b->messages = b->window_bytes = 0;
    b->term = b->number = 0;
    b->heard_ms = now_ms;
    a->offset = b->begin;
    a->is_gentle = true;
}

/* Of the last of our own messages that is confirmed. */
static uint64_t own_end(const struct partition *p)
{
    const struct append *first = p->appends.first;
    uint64_t confirmed = p->appends.numbered - (first != NULL && first->is_sent);

    return p->checkpoint.marker_offset + MAX(confirmed, 1u) - 1;
}

static void begin(struct partition *p, uint64_t end, int64_t now_ms)
{
    struct lookback *b = &p->lookback;

    *b = (struct lookback){.is_reading = true,
                           .is_filled = b->is_filled,
                           .end = end,
                           .last = UINT64_MAX,
                           .width = LOOKBACK_WIDTH};
    for (const struct place *place = p->shelf.wanting; place != NULL; place = place->want_next) {
        b->life_ms = MAX(b->life_ms, place->rule->history_ttl_ms);
    }
    p->shelf.is_tight = false;
    read_window(p, now_ms);
}

/* Nothing further is read. `is_gone`: what is still wanted cannot be had. */
static void finish(struct partition *p, bool is_gone)
{
    struct lookback *b = &p->lookback;
    struct place *place;

    shelf_unstage(&p->shelf);
    while ((place = p->shelf.wanting) != NULL) {
        if (is_gone) {
            place->gone = MAX(place->gone, shelf_low(place) - 1);
        }
        shelf_want(&p->shelf, place, 0);
    }
    if (b->is_reading) {
        partition_act(p, PARTITION_STOP_READING);
    }
    b->is_filled |= p->shelf.is_filling;
    p->shelf.is_filling = false;
    b->is_reading = false;
}

void lookback_fill(struct partition *p, uint64_t begun_at)
{
    struct lookback *b = &p->lookback;

    *b = (struct lookback){.is_due = begun_at > 0, .is_filled = begun_at == 0, .end = begun_at};
}

static void fill(struct partition *p, int64_t now_ms)
{
    struct lookback *b = &p->lookback;

    b->is_due = false;
    for (struct place *place = p->roster.idlest; place != NULL; place = place->next) {
        uint64_t top = place->confirmed.offset;
        uint64_t shown = top - MIN(top, (uint64_t)place->rule->history_size);

        if (shown + 1 < shelf_low(place)) {
            shelf_want(&p->shelf, place, shown + 1);
        }
    }
    p->shelf.is_filling = true;
    if (p->shelf.wanting != NULL) {
        begin(p, b->end, now_ms);
    } else {
        finish(p, false);
        mail_retake(p, now_ms);
    }
}

bool lookback_fetch(struct partition *p, struct place *place, uint64_t since)
{
    struct lookback *b = &p->lookback;

    if (since + 1 >= shelf_low(place) || since < place->gone || b->is_over) {
        return false;
    }
    if (!b->is_reading && !b->is_due) {
        uint64_t from = since + 1;

        shelf_want(&p->shelf, place, place->wanted == 0 ? from : MIN(place->wanted, from));
    }
    return true; /* what is not looked for by this reading is by the next one */
}

void lookback_begin(struct partition *p, int64_t now_ms)
{
    uint64_t end = 0;

    if (p->lookback.is_reading || p->lookback.is_due || p->shelf.wanting == NULL) {
        return;
    }
    for (const struct place *place = p->shelf.wanting; place != NULL; place = place->want_next) {
        end = MAX(end, place->oldest != NULL ? place->oldest->log_at : own_end(p));
    }
    stat_add(&p->stats->fetches, 1);
    begin(p, end, now_ms);
}

/* Whether a message of the log counts, as far as the window can tell. */
static bool judge(struct partition *p, const struct message *m)
{
    struct lookback *b = &p->lookback;

    if (m->term > b->term) {
        bool is_next = m->type == MESSAGE_TERM && (b->term == 0 || m->term == b->term + 1);

        if (!is_next) {
            shelf_unstage(&p->shelf); /* a marker that we have not seen was before it */
        }
        b->term = m->term;
        b->number = 0;
    }
    if (m->term < b->term || ((m->has & HAS_NUMBER) != 0 && m->number <= b->number)) {
        return false;
    }
    b->number = (m->has & HAS_NUMBER) != 0 ? m->number : b->number;
    return true;
}

static void stage(struct partition *p, const struct message *m, uint64_t stream_offset,
                  int64_t now_ms)
{
    int64_t time_ms = MIN(m->time_ms, now_ms);
    struct slice rest = m->body;
    struct record r;

    for (;;) {
        const char *start = rest.at;

        if (record_next(&rest, true, &r) != 0) {
            return; /* whoever took over has counted it */
        }
        struct place *place = roster_find(&p->roster, r.room);
        if (place == NULL || place->wanted == 0 || r.offset < place->wanted ||
            r.offset >= shelf_low(place) || !position_has_epoch(&place->confirmed, r.epoch) ||
            now_ms - time_ms > place->rule->history_ttl_ms) {
            continue;
        }
        shelf_stage(&p->shelf, place,
                    &(struct shelf_record){.bytes = {start, (size_t)(rest.at - start)},
                                           .offset = r.offset,
                                           .log_at = stream_offset,
                                           .time_ms = time_ms});
        stat_add(&p->stats->lookback_records, 1);
    }
}

/* True if the message stands where the window ends, or behind. Our own messages' stream offsets are
 * known as lower bounds only, but their numbers are. */
static bool is_end(const struct partition *p, const struct message *m, uint64_t stream_offset)
{
    const uint64_t marker = p->checkpoint.marker_offset, end = p->lookback.end;

    if (end <= marker) {
        return stream_offset >= end;
    }
    return m->term > p->term || (m->term == p->term && m->number >= end - marker + 1);
}

/* The next window's width, by what this one took. */
static uint64_t next_width(const struct lookback *b)
{
    uint64_t average = b->window_bytes / MAX(b->messages, 1u) + 1;
    uint64_t aim = LOOKBACK_WINDOW_BYTES / average;

    return MIN(MIN(aim + 1, b->width * 4), LOOKBACK_WIDTH_MAX);
}

/* All of the window was read. */
static void end_window(struct partition *p, int64_t now_ms)
{
    struct lookback *b = &p->lookback;
    bool is_all = b->begin == 0 || b->begin >= b->end;
    bool is_too_old = now_ms - b->oldest_ms > b->life_ms;
    bool is_too_much = !p->shelf.is_filling && b->bytes > LOOKBACK_FETCH_BYTES;
    bool is_full = p->shelf.is_tight;

    shelf_join(&p->shelf);
    if (p->shelf.wanting != NULL && is_too_much && !is_all && !is_too_old) {
        owner_limit_met(&p->stats->limits, OWNER_LIMIT_LOG_READ);
    }
    if (p->shelf.wanting == NULL || is_all || is_too_old || is_too_much || is_full) {
        /* What history has no room for can be fetched when somebody wants it. */
        finish(p, is_all || is_too_old || !p->shelf.is_filling);
    } else {
        b->width = next_width(b);
        b->end = b->begin;
        read_window(p, now_ms);
    }
    mail_retake(p, now_ms);
    shelf_fit(&p->shelf);
}

void lookback_on_log(struct partition *p, const struct mq_event *e, int64_t now_ms)
{
    struct lookback *b = &p->lookback;
    uint64_t at = (uint64_t)e->stream_offset;
    struct message m;

    if (!b->is_reading || e->stream_offset < 0 || (!b->has_begun && at > b->last)) {
        return;
    }
    b->heard_ms = now_ms;
    if (message_from_event(e, &m) != NULL || m.partition != p->conf.number ||
        m.type == MESSAGE_CLAIM) {
        return;
    }
    if (!b->has_begun) {
        b->has_begun = true;
        b->oldest_ms = m.time_ms;
        b->begin = b->begin == 0 ? 0 : at;
    }
    b->last = at;
    b->messages++;
    b->bytes += e->body.size;
    b->window_bytes += e->body.size;
    stat_add(&p->stats->lookback_bytes, e->body.size);
    bool counts = judge(p, &m);
    if (counts && m.type == MESSAGE_APPEND) {
        stage(p, &m, at, now_ms);
    }
    if (is_end(p, &m, at) || (!p->shelf.is_filling && b->bytes > 2 * LOOKBACK_FETCH_BYTES)) {
        end_window(p, now_ms);
    }
}

void lookback_tick(struct partition *p, int64_t now_ms)
{
    struct lookback *b = &p->lookback;

    if (b->is_due) {
        fill(p, now_ms);
    } else if (b->is_reading && now_ms - b->heard_ms > LOOKBACK_STALL_MS) {
        owner_limit_met(&p->stats->limits, OWNER_LIMIT_LOG_SILENCE);
        finish(p, false);
        mail_retake(p, now_ms);
    }
}

void lookback_end(struct partition *p)
{
    finish(p, false);
    p->lookback.is_due = false;
    p->lookback.is_over = true;
}
