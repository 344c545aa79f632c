/*
 * api_methods.c: every method of the API, told once; publishing, and calls made of several.
 */
#include "common/clock.h"
#include "gateway/api/api_internal.h"
#include "gateway/api/api_keys.h"
#include "gateway/bus/lanes.h"
#include "gateway/gateway.h"
#include "proto/json.h"
#include "proto/room.h"

static const struct api_method methods[] = {
    {"publish", api_publish},   {"broadcast", api_broadcast},
    {"subscribe", api_order},   {"unsubscribe", api_order},
    {"disconnect", api_order},  {"refresh", api_order},
    {"presence", api_presence}, {"presence_stats", api_presence_stats},
    {"history", api_history},   {"channels", api_channels},
    {"info", api_info},         {"batch", api_batch},
    {"ban", api_order},         {"unban", api_order},
    {"mute", api_order},        {"unmute", api_order},
    {"kick", api_order},        {"revoke", api_order},
    {"close", api_order},       {"open", api_order},
    {"delete", api_remove},     {"history_remove", api_remove},
};

const struct api_method *api_method_find(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (slice_equal(slice_of(methods[i].name), name)) {
            return &methods[i];
        }
    }
    return NULL;
}

/* What publish and broadcast have in common. */
struct publication {
    struct buf scratch, payload; /* own */
    struct slice key;
};

static bool data_is_good(const struct task *t, struct slice data)
{
    struct gateway *g = t->api->gateway;
    int fault = json_check(data, (int)g->conf->max_depth);

    if (fault == JSON_TOO_DEEP) {
        limit_met(&g->metrics.limits, LIMIT_MAX_DEPTH);
    }
    return fault == 0;
}

/* The error to fail with, or 0. */
static int publication_read(struct publication *p, const struct task *t, struct slice params)
{
    const struct gateway_conf *conf = t->api->gateway->conf;
    struct slice data;

    *p = (struct publication){.scratch = BUF_EMPTY, .payload = BUF_EMPTY};
    params_reserve(params, &p->scratch);
    if (!params_are_served(t->method->name, params)) {
        return REPLY_NOT_AVAILABLE;
    }
    if (!param_value(params, "data", "b64data", &p->payload, &data) || data.size == 0 ||
        !data_is_good(t, data) ||
        !param_text(params, "idempotency_key", KEY_MAX, &p->scratch, &p->key) ||
        (p->key.size > 0 && !record_key_is_valid(p->key))) {
        if (p->key.size > KEY_MAX) {
            limit_met(&t->api->gateway->metrics.limits, LIMIT_KEY);
        }
        return REPLY_BAD_REQUEST;
    }
    if (p->payload.size > (size_t)conf->max_payload) {
        limit_met(&t->api->gateway->metrics.limits, LIMIT_MAX_PAYLOAD);
        return REPLY_LIMIT_EXCEEDED;
    }
    return 0;
}

static void publication_deinit(struct publication *p)
{
    buf_deinit(&p->scratch);
    buf_deinit(&p->payload);
}

static void publish_to(struct task *t, struct slice room, const struct publication *p)
{
    const struct record r = {
        .room = room,
        .time = clock_wall_ms(),
        .key = p->key,
        .payload = buf_slice(&p->payload),
    };

    int answer = lanes_publish(t->api->gateway->lanes, &r, &(struct publish_origin){.call = t->id});
    if (answer != 0) {
        task_fail(t, lanes_error(answer));
    } /* else api_published() */
}

void api_publish(struct task *t, struct slice params)
{
    struct publication p;
    struct slice room;
    int error = publication_read(&p, t, params);

    if (error == 0 && !param_room(params, &p.scratch, &room)) {
        error = REPLY_BAD_REQUEST;
    }
    if (error != 0) {
        task_fail(t, (enum reply_error)error);
    } else {
        publish_to(t, room, &p);
    }
    publication_deinit(&p);
}

/* How many elements an array has. False: it is none, or has none. */
static bool count_elements(struct slice array, size_t *count)
{
    struct json_array a;
    struct slice value;

    *count = 0;
    if (array.size == 0 || !json_array_open(&a, array)) {
        return false;
    }
    while (json_array_next(&a, &value)) {
        (*count)++;
    }
    return *count > 0;
}

/* The parameters of a part of a broadcast are the name of its channel. */
static void broadcast_one(struct task *t, struct slice channel)
{
    (void)t;
    (void)channel; /* api_broadcast() goes on with it */
}

static void broadcast_to(struct task *whole, struct slice channel, const struct publication *p)
{
    static const struct api_method method = {"publish", broadcast_one};
    struct buf name = BUF_EMPTY;

    task_part(whole, &method, channel);
    struct task *t = whole->parts[whole->count - 1];
    if (json_is_string(channel)) {
        json_unescape(&name, json_inside(channel));
    }
    if (room_is_valid(buf_slice(&name))) {
        publish_to(t, buf_slice(&name), p);
    } else {
        task_fail(t, REPLY_BAD_REQUEST);
    }
    buf_deinit(&name);
}

void api_broadcast(struct task *t, struct slice params)
{
    struct slice channels = json_get(params, "channels"), channel;
    struct publication p;
    struct json_array a;
    size_t count;
    int error = publication_read(&p, t, params);

    if (error == 0 && !count_elements(channels, &count)) {
        error = REPLY_BAD_REQUEST;
    } else if (error == 0 && !tasks_have_room(t->api, count)) {
        error = REPLY_TOO_MANY_REQUESTS;
    }
    if (error != 0) {
        task_fail(t, (enum reply_error)error);
        publication_deinit(&p);
        return;
    }
    t->kind = TASK_BROADCAST;
    bool is_open = json_array_open(&a, channels);
    assert(is_open);
    while (json_array_next(&a, &channel)) {
        broadcast_to(t, channel, &p);
    }
    publication_deinit(&p);
    task_close(t);
}

static void refuse_part(struct task *t, struct slice params)
{
    (void)params;
    task_fail(t, REPLY_PERMISSION_DENIED);
}

static void bad_part(struct task *t, struct slice params)
{
    (void)params;
    task_fail(t, REPLY_METHOD_NOT_FOUND);
}

/* {"publish":{..}} */
static void batch_one(struct task *whole, struct slice command)
{
    static const struct api_method refused = {"refused", refuse_part}, unknown = {"", bad_part};
    const struct api_method *method = NULL;
    struct json_object o;
    struct json_member m = {SLICE_NONE, SLICE_NONE};

    if (json_object_open(&o, command) && json_object_next(&o, &m) && json_is_object(m.value)) {
        method = api_method_find(m.key);
    }
    if (method == NULL || method->run == api_batch) {
        method = &unknown;
    } else if (!api_keys_allow(whole->allow, m.key)) {
        method = &refused;
    }
    task_part(whole, method, m.value);
}

void api_batch(struct task *t, struct slice params)
{
    struct slice commands = json_get(params, "commands"), command;
    struct json_array a;
    size_t count;

    if (!count_elements(commands, &count)) {
        task_fail(t, REPLY_BAD_REQUEST);
        return;
    }
    if (!tasks_have_room(t->api, count)) {
        task_fail(t, REPLY_TOO_MANY_REQUESTS);
        return;
    }
    t->kind = TASK_BATCH;
    bool is_open = json_array_open(&a, commands);
    assert(is_open);
    while (json_array_next(&a, &command)) {
        batch_one(t, command);
    }
    task_close(t);
}
