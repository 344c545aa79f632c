/*
 * api_tasks.c: what is open of the API: calls and their parts, until they end.
 */
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/api/api_internal.h"
#include "gateway/gateway.h"

bool tasks_have_room(const struct api *a, size_t more)
{
    bool have = HASH_COUNT(a->open) + more <= API_TASKS_MAX;

    if (!have) {
        limit_met(&a->gateway->metrics.limits, LIMIT_API_TASKS);
    }
    return have;
}

struct task *task_find(struct api *a, uint64_t id)
{
    struct task *t;

    HASH_FIND(hh, a->open, &id, sizeof(id), t);
    return t;
}

static struct task *task_new(struct api *a, const struct api_method *method, const char *allow)
{
    struct task *t = mem_new(struct task);

    t->api = a;
    t->method = method;
    t->allow = allow;
    t->id = ++a->last_id;
    HASH_ADD(hh, a->open, id, sizeof(t->id), t);
    stat_set(&a->gateway->metrics.api_open, HASH_COUNT(a->open));
    return t;
}

static void task_shut(struct task *t)
{
    HASH_DELETE(hh, t->api->open, t);
    deadline_stop(&t->wait);
    stat_set(&t->api->gateway->metrics.api_open, HASH_COUNT(t->api->open));
}

static void task_free(struct task *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        task_free(t->parts[i]);
    }
    if (!t->has_ended) {
        task_shut(t);
    }
    t->reading = reading_free(t->reading);
    t->census = census_free(t->census);
    mem_free(t->parts);
    buf_deinit(&t->result);
    mem_free(t);
}

void tasks_free(struct api *a)
{
    while (a->open != NULL) {
        struct task *t = a->open;

        while (t->parent != NULL) {
            t = t->parent;
        }
        task_free(t);
    }
}

static void add_result(struct buf *out, const struct task *t)
{
    if (t->result.size > 0) {
        buf_add_slice(out, buf_slice(&t->result));
    } else {
        buf_add_lit(out, "{}");
    }
}

/* {"error":{..}} or {"<name>":result} */
static void add_answer(struct buf *out, const struct task *t, const char *name)
{
    if (t->has_failed) {
        reply_plain_error(out, t->error);
        return;
    }
    buf_addf(out, "{\"%s\":", name);
    add_result(out, t);
    buf_add_char(out, '}');
}

static void compose(struct task *t)
{
    bool is_batch = t->kind == TASK_BATCH;

    buf_clear(&t->result);
    buf_addf(&t->result, "{\"%s\":[", is_batch ? "replies" : "responses");
    for (uint32_t i = 0; i < t->count; i++) {
        const struct task *part = t->parts[i];

        if (i > 0) {
            buf_add_char(&t->result, ',');
        }
        add_answer(&t->result, part, is_batch ? part->method->name : "result");
    }
    buf_add_lit(&t->result, "]}");
}

/* A whole call has ended: tells it and frees it. */
static void task_tell(struct task *t)
{
    struct buf answer = BUF_EMPTY;

    if (t->kind == TASK_BATCH && !t->has_failed) {
        add_result(&answer, t); /* {"replies":[..]} stands alone */
    } else {
        add_answer(&answer, t, "result");
    }
    httpd_answer(t->api->httpd, t->request, 200, buf_slice(&answer));
    buf_deinit(&answer);
    task_free(t);
}

static void task_end(struct task *t)
{
    struct task *whole = t->parent;

    assert(!t->has_ended);
    t->has_ended = true;
    task_shut(t);
    if (whole == NULL) {
        task_tell(t);
    } else if (--whole->open == 0) {
        compose(whole);
        task_end(whole);
    }
}

void task_succeed(struct task *t)
{
    task_end(t);
}

void task_fail(struct task *t, enum reply_error error)
{
    t->has_failed = true;
    t->error = error;
    stat_add(&t->api->gateway->metrics.api_failed, 1);
    task_end(t);
}

void task_call(struct api *a, const struct api_method *method, const char *allow,
               httpd_request request, struct slice params)
{
    struct task *t = task_new(a, method, allow);

    t->request = request;
    deadline_start(&a->wait, &t->wait);
    uint64_t id = t->id;
    method->run(t, params);
    t = task_find(a, id);
    if (t != NULL) {
        t->allow = NULL; /* the settings may change before it ends */
    }
}

void task_part(struct task *whole, const struct api_method *method, struct slice params)
{
    struct task *t = task_new(whole->api, method, whole->allow);

    assert(whole->kind != TASK_LEAF);
    if (whole->count == 0) {
        whole->open = 1; /* task_close() */
    }
    if ((whole->count & (whole->count - 1)) == 0) { /* full at each power of two */
        whole->parts = mem_realloc(whole->parts, MAX(1u, whole->count * 2) * sizeof(*whole->parts));
    }
    whole->parts[whole->count++] = t;
    whole->open++;
    t->parent = whole;
    deadline_start(&whole->api->wait, &t->wait);
    method->run(t, params);
}

void task_close(struct task *t)
{
    assert(t->kind != TASK_LEAF);
    deadline_stop(&t->wait); /* the parts have their own */
    if (t->count == 0 || --t->open == 0) {
        compose(t);
        task_end(t);
    }
}
