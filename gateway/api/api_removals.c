/*
 * api_removals.c: records that the API takes out of a room's history: one, or all that there are.
 *
 * The log keeps them, and so do the owners: all gateways are told not to show
 * them any more. What is meant is fixed by the room's epoch, so its owner is
 * asked first.
 */
#include "common/clock.h"
#include "gateway/api/api_internal.h"
#include "gateway/bus/questions.h"
#include "gateway/gateway.h"
#include "proto/order.h"

#define KEPT_MS                                                                                    \
    (INT64_C(30) * 86400000) /* longer than a log is by default, or the room's history */

static bool is_one(const struct task *t)
{
    return strcmp(t->method->name, order_name(ORDER_DELETE)) == 0;
}

void api_remove(struct task *t, struct slice params)
{
    struct buf scratch = BUF_EMPTY;
    struct question q = {.kind = QUESTION_HISTORY, .call = t->id};
    struct slice epoch;
    int64_t offset = 0;

    params_reserve(params, &scratch);
    bool is_good = param_room(params, &scratch, &q.room) && param_i64(params, "offset", &offset) &&
                   param_text(params, "epoch", EPOCH_MAX, &scratch, &epoch) &&
                   (is_one(t) ? offset > 0 : offset == 0);
    if (is_good) {
        t->removal.offset = (uint64_t)offset;
        if (epoch.size > 0) {
            memcpy(t->removal.epoch, epoch.at, epoch.size);
        }
        api_ask(t, &q);
    } else {
        task_fail(t, REPLY_BAD_REQUEST);
    }
    buf_deinit(&scratch);
}

void api_take_position(struct task *t, struct slice room, struct slice epoch, uint64_t offset)
{
    struct gateway *g = t->api->gateway;
    const struct rule *rule = rules_find(&g->conf->rules, room);
    const struct order o = {
        .kind = is_one(t) ? ORDER_DELETE : ORDER_HISTORY_REMOVE,
        .room = room,
        .epoch = epoch,
        .offset = is_one(t) ? t->removal.offset : offset,
        .until = clock_wall_ms() + MAX(rule->history_ttl_ms, KEPT_MS),
    };

    if (t->removal.epoch[0] != '\0' && !slice_equal(slice_of(t->removal.epoch), epoch)) {
        task_fail(t, REPLY_UNRECOVERABLE_POSITION);
    } else if (o.offset > offset) {
        task_fail(t, REPLY_BAD_REQUEST); /* nothing was said there yet */
    } else if (offset == 0) {
        task_succeed(t); /* nothing was said at all */
    } else {
        api_send_order(t, &o);
    }
}
