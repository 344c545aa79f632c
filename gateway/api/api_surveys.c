/*
 * api_surveys.c: what the API asks all gateways: how they are, which rooms they have sessions in.
 */
#include <inttypes.h>

#include "common/mem.h"
#include "gateway/api/api_internal.h"
#include "gateway/bus/surveys.h"
#include "gateway/gateway.h"
#include "proto/json.h"
#include "proto/line.h"

static_assert(REPORT_ROOMS_MAX >= API_CHANNELS_MAX, "one gateway can report as many as fit");

struct census_room {
    UT_hash_handle hh;
    uint64_t clients;
    uint16_t size;
    char name[ROOM_NAME_MAX];
};

struct census {
    struct census_room *rooms; /* owns: uthash by name */
    bool is_too_much;
};

struct census *census_free(struct census *c)
{
    struct census_room *r, *next;

    if (c != NULL) {
        HASH_ITER (hh, c->rooms, r, next) {
            HASH_DELETE(hh, c->rooms, r);
            mem_free(r);
        }
        mem_free(c);
    }
    return NULL;
}

static void census_add(struct census *c, const struct line *l)
{
    struct census_room *r;

    HASH_FIND(hh, c->rooms, l->room.at, l->room.size, r);
    if (r == NULL && HASH_COUNT(c->rooms) >= API_CHANNELS_MAX) {
        c->is_too_much = true;
        return;
    }
    if (r == NULL) {
        r = mem_new(struct census_room);
        r->size = (uint16_t)l->room.size;
        memcpy(r->name, l->room.at, l->room.size);
        HASH_ADD(hh, c->rooms, name, r->size, r);
    }
    r->clients += l->clients;
}

static void add_node(struct buf *out, const struct report *r)
{
    buf_addf(out,
             "%s{\"uid\":\"%.*s\",\"name\":\"%.*s\",\"version\":\"%.*s\",\"num_clients\":%" PRIu64
             ",\"num_users\":%" PRIu64 ",\"num_subs\":%" PRIu64 ",\"num_channels\":%" PRIu64
             ",\"uptime\":%" PRIu64 "}",
             out->size > 0 ? "," : "{\"nodes\":[", SLICE_ARG(r->uid), SLICE_ARG(r->name),
             SLICE_ARG(r->version), r->num_clients, r->num_users, r->num_subs, r->num_channels,
             r->uptime);
}

static void on_report(struct gateway *g, uint64_t call, const struct report *r, struct slice lines)
{
    struct task *t = task_find(g->api, call);
    struct line line;

    if (t == NULL) {
        return;
    }
    if (t->census == NULL) {
        add_node(&t->result, r);
        return;
    }
    t->census->is_too_much |= r->more;
    while (line_next(&lines, &line) == 0) {
        if (line.room.size > 0) {
            census_add(t->census, &line);
        }
    }
}

void api_add_missing(struct buf *out, int64_t missing)
{
    if (missing > 0) {
        buf_addf(out, "%s\"missing\":%" PRId64, out->size > 1 ? "," : "", missing);
    }
}

static void add_channels(struct buf *out, const struct census *c)
{
    struct census_room *r, *next;

    buf_add_lit(out, "{\"channels\":{");
    HASH_ITER (hh, c->rooms, r, next) {
        buf_addf(out, "%s\"%.*s\":{\"num_clients\":%" PRIu64 "}", r != c->rooms ? "," : "",
                 (int)r->size, r->name, r->clients);
    }
    buf_add_char(out, '}');
}

static void on_end(struct gateway *g, uint64_t call, int64_t missing)
{
    struct task *t = task_find(g->api, call);

    if (t == NULL) {
        return;
    }
    if (missing == SURVEY_UNKNOWN) {
        task_fail(t, REPLY_INTERNAL); /* whether this is all nobody knows */
        return;
    }
    if (t->census != NULL && t->census->is_too_much) {
        limit_met(&g->metrics.limits, LIMIT_API_CHANNELS);
        task_fail(t, REPLY_LIMIT_EXCEEDED);
        return;
    }
    if (t->census != NULL) {
        add_channels(&t->result, t->census);
    } else {
        buf_add_char(&t->result, ']');
    }
    api_add_missing(&t->result, missing);
    buf_add_char(&t->result, '}');
    task_succeed(t);
}

static void ask(struct task *t, const struct survey *s)
{
    static const struct survey_asker asker = {on_report, on_end};

    if (surveys_ask(t->api->gateway->surveys, s, 0, &asker, t->id) != 0) {
        task_fail(t, REPLY_TOO_MANY_REQUESTS);
    }
}

void api_channels(struct task *t, struct slice params)
{
    struct buf scratch = BUF_EMPTY;
    struct survey s = {.kind = SURVEY_CHANNELS};

    params_reserve(params, &scratch);
    if (!param_escaped(params, "pattern", ROOM_NAME_MAX, &scratch, &s.pattern)) {
        task_fail(t, REPLY_BAD_REQUEST);
    } else {
        t->census = mem_new(struct census);
        ask(t, &s);
    }
    buf_deinit(&scratch);
}

void api_info(struct task *t, struct slice params)
{
    (void)params;
    ask(t, &(struct survey){.kind = SURVEY_INFO});
}
