/*
 * api.c: see api.h: who may call what, and what becomes of the answers of the bus.
 */
#include "gateway/api/api.h"

#include <strings.h>

#include "common/log.h"
#include "common/mem.h"
#include "gateway/api/api_internal.h"
#include "gateway/api/api_keys.h"
#include "gateway/gateway.h"
#include "gateway/order/control.h"
#include "proto/json.h"

#define PREFIX "/api/"

bool api_is_method(struct slice name)
{
    return api_method_find(name) != NULL;
}

/* The key that a request shows, or an empty slice. */
static struct slice key_of(const struct http_head *h)
{
    const struct slice scheme = SLICE_LIT("apikey ");
    const struct slice *key = http_find(h, "X-API-Key", NULL);

    if (key != NULL) {
        return *key;
    }
    key = http_find(h, "Authorization", NULL);
    if (key == NULL || key->size < scheme.size ||
        strncasecmp(key->at, scheme.at, scheme.size) != 0) {
        return SLICE_NONE;
    }
    return (struct slice){key->at + scheme.size, key->size - scheme.size};
}

static const struct api_method *method_of(const struct http_head *h)
{
    const struct slice prefix = SLICE_LIT(PREFIX);
    struct slice path = h->path;

    if (path.size <= prefix.size || memcmp(path.at, prefix.at, prefix.size) != 0) {
        return NULL;
    }
    return api_method_find((struct slice){path.at + prefix.size, path.size - prefix.size});
}

static const char *allowed(const struct api *a, const struct http_head *h)
{
    const struct gateway_conf *conf = a->gateway->conf;

    return api_keys_find(&conf->api_keys, conf->api_key, key_of(h));
}

static struct httpd_refusal refuse(struct api *a, int status, const char *why, const char *extra)
{
    stat_add(&a->gateway->metrics.api_refused, 1);
    return (struct httpd_refusal){status, why, extra};
}

/* Who has no key learns nothing else. */
static struct httpd_refusal judge(void *user, const struct http_head *h)
{
    struct api *a = user;
    const char *allow = allowed(a, h);

    if (allow == NULL) {
        return refuse(a, 401, "a key is needed: X-API-Key", "WWW-Authenticate: apikey\r\n");
    }
    const struct api_method *method = method_of(h);
    if (method == NULL) {
        return refuse(a, 404, "there is no such method", "");
    }
    if (!slice_equal(h->method, SLICE_LIT("POST"))) {
        return refuse(a, 405, "methods are called with POST", "Allow: POST\r\n");
    }
    if (!api_keys_allow(allow, slice_of(method->name))) {
        return refuse(a, 403, "this key may not do that", "");
    }
    if (!tasks_have_room(a, 1)) {
        return refuse(a, 429, "too many calls are open", "Retry-After: 1\r\n");
    }
    return (struct httpd_refusal){.status = 0};
}

static void refuse_body(struct api *a, httpd_request request, int status, const char *why)
{
    struct buf answer = BUF_EMPTY;

    stat_add(&a->gateway->metrics.api_refused, 1);
    httpd_error(&answer, status, why);
    httpd_answer(a->httpd, request, status, buf_slice(&answer));
    buf_deinit(&answer);
}

static void serve(void *user, httpd_request request, const struct http_head *h, struct slice body)
{
    struct api *a = user;

    stat_add(&a->gateway->metrics.api_calls, 1);
    if (body.size == 0) {
        body = SLICE_LIT("{}");
    }
    while (body.size > 0 && strchr(" \t\r\n", body.at[0]) != NULL) {
        body.at++;
        body.size--;
    }
    int fault = json_check(body, PAYLOAD_DEPTH_MAX);
    if (fault != 0 || body.at[0] != '{') {
        if (fault == JSON_TOO_DEEP) {
            limit_met(&a->gateway->metrics.limits, LIMIT_API_DEPTH);
        }
        refuse_body(a, request, 400, "the body is not a JSON object");
        return;
    }
    /* The keys may have been changed while the body came. */
    const struct api_method *method = method_of(h);
    const char *allow = allowed(a, h);
    if (allow == NULL) {
        refuse_body(a, request, 401, "a key is needed: X-API-Key");
        return;
    }
    if (!api_keys_allow(allow, slice_of(method->name))) {
        refuse_body(a, request, 403, "this key may not do that");
        return;
    }
    task_call(a, method, allow, request, body);
}

/* Nothing came in time: with a publish nobody knows whether it will be. */
static void on_late(struct deadline_queue *q, struct deadline *d)
{
    struct task *t = container_of(d, struct task, wait);

    (void)q;
    stat_add(&t->api->gateway->metrics.api_late, 1);
    limit_met(&t->api->gateway->metrics.limits, LIMIT_API_WAIT);
    task_fail(t, REPLY_INTERNAL);
}

void api_published(struct api *a, uint64_t call, bool ok)
{
    struct task *t = a != NULL ? task_find(a, call) : NULL;

    if (t != NULL && ok) {
        task_succeed(t);
    } else if (t != NULL) {
        task_fail(t, REPLY_INTERNAL);
    }
}

static void on_ordered(void *user, uint64_t call, bool is_done, int64_t missing)
{
    struct task *t = task_find(user, call);

    if (t != NULL && is_done && missing > 0) {
        buf_add_char(&t->result, '{');
        api_add_missing(&t->result, missing);
        buf_add_char(&t->result, '}');
    }
    api_published(user, call, is_done);
}

void api_answered(struct api *a, uint64_t call, const struct message *m)
{
    struct task *t = a != NULL ? task_find(a, call) : NULL;

    if (t != NULL && m != NULL) {
        api_take_answer(t, m);
    } else if (t != NULL) {
        task_fail(t, REPLY_INTERNAL);
    }
}

int api_new(struct gateway *g, struct api **out)
{
    const struct gateway_conf *conf = g->conf;
    struct api *a = mem_new(struct api);
    const struct httpd_hooks hooks = {a, judge, serve};
    const struct httpd_limits limits = {
        .connections = (size_t)conf->api_connections,
        .body = (size_t)conf->api_body,
        .request_ms = conf->api_request_ms,
        .were_full = &g->metrics.limits.met[LIMIT_API_CALLS],
        .heavy = &g->metrics.limits.met[LIMIT_API_BODY],
        .long_head = &g->metrics.limits.met[LIMIT_API_HEAD],
        .late = &g->metrics.limits.met[LIMIT_API_REQUEST],
    };

    *out = NULL;
    if (conf->api_listen[0] == '\0') {
        mem_free(a);
        return 0;
    }
    a->gateway = g;
    deadline_queue_init(&a->wait, g->loop, conf->api_wait_ms, on_late);
    a->httpd = httpd_new(g->loop, conf->api_listen, "[api]", &limits, &hooks);
    if (a->httpd == NULL) {
        mem_free(a);
        return -1;
    }
    control_set_teller(g->control, on_ordered, a);
    *out = a;
    return 0;
}

struct api *api_free(struct api *a)
{
    if (a != NULL) {
        control_set_teller(a->gateway->control, NULL, NULL);
        tasks_free(a);
        a->httpd = httpd_free(a->httpd);
        deadline_queue_deinit(&a->wait);
        mem_free(a);
    }
    return NULL;
}
