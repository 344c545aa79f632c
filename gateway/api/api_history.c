/*
 * api_history.c: what was said in a room, without what was removed.
 *
 * The owner counts removed records too: when some of those that it sent are not shown, it
 * is asked on from there, until there are enough or there are no more.
 */
#include <inttypes.h>

#include "common/mem.h"
#include "gateway/api/api_internal.h"
#include "gateway/bus/questions.h"
#include "gateway/gateway.h"
#include "gateway/order/control.h"
#include "proto/codec.h"
#include "proto/json.h"
#include "proto/line.h"
#include "proto/record.h"

struct reading {
    int64_t limit, shown;
    int64_t asked; /* records of the owner, by the last question */
    bool is_reverse;
    uint16_t room_size;
    char room[ROOM_NAME_MAX];
    struct buf publications; /* owns */
};

struct reading *reading_free(struct reading *r)
{
    if (r != NULL) {
        buf_deinit(&r->publications);
        mem_free(r);
    }
    return NULL;
}

static struct reading *reading_new(const struct question *q)
{
    struct reading *r = mem_new(struct reading);

    r->limit = r->asked = q->limit;
    r->is_reverse = q->reverse;
    r->room_size = (uint16_t)q->room.size;
    memcpy(r->room, q->room.at, q->room.size);
    return r;
}

/* since: {"offset":N,"epoch":".."} */
static bool read_since(struct slice params, struct buf *scratch, struct question *q)
{
    struct slice since = json_get(params, "since");
    int64_t offset = 0;

    if (since.size == 0 || slice_equal(since, SLICE_LIT("null"))) {
        return true;
    }
    q->has_offset = true;
    bool is_good = json_is_object(since) && param_i64(since, "offset", &offset) && offset >= 0 &&
                   param_text(since, "epoch", EPOCH_MAX, scratch, &q->epoch) &&
                   record_epoch_is_possible(q->epoch); /* the owner is told it as it is */
    q->offset = (uint64_t)offset;
    return is_good;
}

void api_history(struct task *t, struct slice params)
{
    struct buf scratch = BUF_EMPTY;
    struct question q = {.kind = QUESTION_HISTORY, .call = t->id};

    params_reserve(params, &scratch);
    bool is_good = param_room(params, &scratch, &q.room) && param_i64(params, "limit", &q.limit) &&
                   param_bool(params, "reverse", &q.reverse) && read_since(params, &scratch, &q);
    if (q.limit > API_HISTORY_MAX) {
        limit_met(&t->api->gateway->metrics.limits, LIMIT_API_HISTORY);
    }
    if (q.limit < 0 || q.limit > API_HISTORY_MAX) {
        q.limit = API_HISTORY_MAX;
    }
    if (is_good) {
        t->reading = reading_new(&q);
        api_ask(t, &q);
    } else {
        task_fail(t, REPLY_BAD_REQUEST);
    }
    buf_deinit(&scratch);
}

/* The records of one answer. */
struct page {
    int64_t records;
    uint64_t last; /* offset of the last one */
};

static struct page read_page(const struct task *t, struct slice rest)
{
    struct reading *reading = t->reading;
    struct page page = {.records = 0};
    struct record r;

    while (reading->shown < reading->limit && record_next(&rest, true, &r) == 0) {
        page.records++;
        page.last = r.offset;
        if (!control_is_removed(t->api->gateway->control, &r)) {
            codec_json.publication(&reading->publications, &r);
            reading->shown++;
        }
    }
    return page;
}

/* Whether the owner may have more of what was asked for. `complete`: it left out nothing of it. */
static bool may_have_more(const struct reading *reading, const struct page *page,
                          const struct line *top)
{
    bool is_last = reading->is_reverse ? page->last <= 1 : page->last >= top->offset;

    return reading->shown < reading->limit && page->records > 0 && !is_last &&
           (page->records >= reading->asked || !top->complete);
}

static void ask_on(struct task *t, const struct page *page, struct slice epoch)
{
    struct reading *reading = t->reading;
    const struct question q = {
        .kind = QUESTION_HISTORY,
        .room = {reading->room, reading->room_size},
        .call = t->id,
        .epoch = epoch,
        .offset = page->last,
        .has_offset = true,
        .reverse = reading->is_reverse,
        .limit = API_HISTORY_MAX, /* many may be removed: not in small steps */
    };

    reading->asked = q.limit;
    api_ask(t, &q);
}

void api_take_history(struct task *t, struct slice rest)
{
    struct line top;

    if (line_next(&rest, &top) != 0) {
        task_fail(t, REPLY_INTERNAL);
        return;
    }
    if (top.limit == LINE_UNRECOVERABLE) {
        /* The owner does not have what came after that position, or has no more. */
        task_fail(t, REPLY_UNRECOVERABLE_POSITION);
        return;
    }
    const struct page page = read_page(t, rest);
    if (may_have_more(t->reading, &page, &top)) {
        ask_on(t, &page, top.epoch);
        return;
    }
    buf_add_lit(&t->result, "{\"publications\":[");
    buf_add_slice(&t->result, buf_slice(&t->reading->publications));
    buf_addf(&t->result, "],\"epoch\":\"%.*s\",\"offset\":%" PRIu64 "}", SLICE_ARG(top.epoch),
             top.offset);
    task_succeed(t);
}
