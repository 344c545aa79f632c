/*
 * api_questions.c: what the API asks owners: who is in a room; what was said there is
 * api_history.c.
 */
#include <inttypes.h>

#include "gateway/api/api_internal.h"
#include "gateway/bus/questions.h"
#include "gateway/gateway.h"
#include "proto/codec.h"
#include "proto/json.h"
#include "proto/line.h"

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
        limit_met(&t->api->gateway->metrics.limits, LIMIT_PRESENCE_MAX);
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
        api_take_history(t, m->body);
    } else if (t->method->run == api_remove) {
        take_position(t, m->body);
    } else {
        take_presence(t, m->body, t->method->run == api_presence_stats);
    }
}
