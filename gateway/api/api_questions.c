/*
 * api_questions.c: what the API asks owners: who is in a room, what was said there.
 */
#include <inttypes.h>

#include "gateway/api/api_internal.h"
#include "gateway/bus/questions.h"
#include "gateway/gateway.h"
#include "gateway/order/control.h"
#include "proto/codec.h"
#include "proto/json.h"
#include "proto/line.h"

#define HISTORY_LIMIT_MAX 1000

void api_ask(struct task *t, const struct question *q)
{
    if (questions_ask(t->api->gateway->questions, q) != 0) {
        task_fail(t, REPLY_INTERNAL);
    } /* else api_answered() */
}

static void ask_presence(struct task *t, struct slice params, enum question_kind kind)
{
    struct buf scratch = BUF_EMPTY;
    struct question q = {.kind = kind, .call = t->id};

    params_reserve(params, &scratch);
    if (!param_room(params, &scratch, &q.room)) {
        task_fail(t, REPLY_BAD_REQUEST);
    } else if (!rules_find(&t->api->gateway->conf->rules, q.room)->presence) {
        task_fail(t, REPLY_NOT_AVAILABLE);
    } else {
        api_ask(t, &q);
    }
    buf_deinit(&scratch);
}

void api_presence(struct task *t, struct slice params)
{
    ask_presence(t, params, QUESTION_PRESENCE);
}

void api_presence_stats(struct task *t, struct slice params)
{
    ask_presence(t, params, QUESTION_PRESENCE_STATS);
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
                   param_text(since, "epoch", EPOCH_MAX, scratch, &q->epoch);
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
    if (q.limit < 0 || q.limit > HISTORY_LIMIT_MAX) {
        q.limit = HISTORY_LIMIT_MAX;
    }
    if (is_good) {
        api_ask(t, &q);
    } else {
        task_fail(t, REPLY_BAD_REQUEST);
    }
    buf_deinit(&scratch);
}

/* The first line has the numbers; the members follow if they are not too many. */
static void take_presence(struct task *t, struct slice rest, bool is_stats)
{
    struct buf members = BUF_EMPTY;
    struct line numbers, line;

    if (line_next(&rest, &numbers) != 0 || numbers.client.size > 0) {
        task_fail(t, REPLY_INTERNAL);
        return;
    }
    if (is_stats) {
        buf_addf(&t->result, "{\"num_clients\":%" PRIu64 ",\"num_users\":%" PRIu64 "}",
                 numbers.clients, numbers.users);
        task_succeed(t);
        return;
    }
    if (!numbers.complete) {
        task_fail(t, REPLY_LIMIT_EXCEEDED);
        return;
    }
    while (line_next(&rest, &line) == 0) {
        if (line.client.size > 0) {
            codec_json.member(&members, &(struct reply_member){line.client, line.user, line.info,
                                                               line.chan_info});
        }
    }
    buf_add_lit(&t->result, "{\"presence\":{");
    buf_add_slice(&t->result, buf_slice(&members));
    buf_add_lit(&t->result, "}}");
    buf_deinit(&members);
    task_succeed(t);
}

static void take_history(struct task *t, struct slice rest)
{
    struct buf publications = BUF_EMPTY;
    struct line top;
    struct record r;

    if (line_next(&rest, &top) != 0) {
        task_fail(t, REPLY_INTERNAL);
        return;
    }
    if (top.limit ==
        LINE_UNRECOVERABLE) { /* the owner does not have what came after that position */
        task_fail(t, REPLY_UNRECOVERABLE_POSITION);
        return;
    }
    while (record_next(&rest, true, &r) == 0) {
        if (!control_is_removed(t->api->gateway->control, &r)) {
            codec_json.publication(&publications, &r);
        }
    }
    buf_add_lit(&t->result, "{\"publications\":[");
    buf_add_slice(&t->result, buf_slice(&publications));
    buf_addf(&t->result, "],\"epoch\":\"%.*s\",\"offset\":%" PRIu64 "}", SLICE_ARG(top.epoch),
             top.offset);
    buf_deinit(&publications);
    task_succeed(t);
}

static void take_position(struct task *t, struct slice rest)
{
    struct line top;

    if (line_next(&rest, &top) == 0) {
        api_take_position(t, top.room, top.epoch, top.offset);
    } else {
        task_fail(t, REPLY_INTERNAL);
    }
}

void api_take_answer(struct task *t, const struct message *m)
{
    if (t->method->run == api_history) {
        take_history(t, m->body);
    } else if (t->method->run == api_remove) {
        take_position(t, m->body);
    } else {
        take_presence(t, m->body, t->method->run == api_presence_stats);
    }
}
