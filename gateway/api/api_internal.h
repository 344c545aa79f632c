/*
 * api_internal.h: what the files of the API share and nobody else sees.
 *
 * A task is a call, or a part of one (a channel of a broadcast, a command of a
 * batch). It ends once, with a result or an error; one that waits is named by its
 * id. The last part that ends ends the whole.
 */
#ifndef WARREN_GATEWAY_API_API_INTERNAL_H
#define WARREN_GATEWAY_API_API_INTERNAL_H

#include "common/buf.h"
#include "common/deadline.h"
#include "common/hash.h"
#include "common/httpd.h"
#include "gateway/api/api.h"
#include "proto/order.h"
#include "proto/reply.h"

struct api_method;
struct census;
struct question;
struct reading;

enum task_kind {
    TASK_LEAF,
    TASK_BROADCAST, /* its parts are results in a list */
    TASK_BATCH,     /* its parts are named by their methods */
};

struct task {
    UT_hash_handle hh; /* by id, while it is open */
    uint64_t id;
    struct api *api;      /* borrowed */
    struct task *parent;  /* NULL: a whole call */
    struct task **parts;  /* owns */
    uint32_t count, open; /* parts, and how many have not ended */
    enum task_kind kind;
    const struct api_method *method; /* borrowed: constant */
    const char *allow;     /* borrowed: of the caller's key; NULL once the call has begun */
    httpd_request request; /* of a whole call */
    struct deadline wait;
    struct { /* of a removal, until the room's position is known */
        uint64_t offset;
        char epoch[EPOCH_MAX + 1]; /* "": of whatever epoch */
    } removal;
    struct reading *reading; /* owns; of history */
    struct census *census;   /* owns; of channels */
    bool has_ended;
    enum reply_error error; /* when `has_failed` */
    bool has_failed;
    struct buf result; /* owns; a JSON object once it has ended well */
};

struct api {
    struct gateway *gateway; /* borrowed */
    struct httpd *httpd;
    struct task *open; /* owns: uthash */
    uint64_t last_id;
    struct deadline_queue wait;
};

struct api_method {
    const char *name;
    /* Does it, or begins to: task_succeed() or task_fail(), now or later. */
    void (*run)(struct task *t, struct slice params);
};

/* api_tasks.c */

/* Runs a whole call. `params` is valid JSON, an object. */
void task_call(struct api *a, const struct api_method *method, const char *allow,
               httpd_request request, struct slice params);

/* Runs a part of a task whose kind is not TASK_LEAF. The task stays open until task_close(). */
void task_part(struct task *whole, const struct api_method *method, struct slice params);

/* The result stands in t->result (empty: {}). Frees the task when it is a whole call. */
void task_succeed(struct task *t);
void task_fail(struct task *t, enum reply_error error);

/* All parts have begun. Frees the task if they have ended. */
void task_close(struct task *t);

/* The open task of that id, or NULL. */
struct task *task_find(struct api *a, uint64_t id);

/* Ends nothing, tells nobody. */
void tasks_free(struct api *a);

/* Whether so many more can be begun; counts if not. */
bool tasks_have_room(const struct api *a, size_t more);

/* api_methods.c: NULL: there is none. */
const struct api_method *api_method_find(struct slice name);

/* Publishes, asks, orders. */
void api_publish(struct task *t, struct slice params);
void api_broadcast(struct task *t, struct slice params);
void api_batch(struct task *t, struct slice params);
void api_presence(struct task *t, struct slice params);
void api_presence_stats(struct task *t, struct slice params);
void api_history(struct task *t, struct slice params);
void api_channels(struct task *t, struct slice params);
void api_info(struct task *t, struct slice params);
void api_order(struct task *t, struct slice params);
void api_remove(struct task *t, struct slice params);

/* Tells all gateways; the task ends when they have obeyed, or could not be told. */
void api_send_order(struct task *t, const struct order *o);

/* api_questions.c: the answer of an owner to one of these. */
void api_take_answer(struct task *t, const struct message *m);

/* api_history.c: the same of history. */
void api_take_history(struct task *t, struct slice rest);
struct reading *reading_free(struct reading *r);

/* api_surveys.c: adds how many gateways are missing to an open JSON object, if any are. */
void api_add_missing(struct buf *out, int64_t missing);
struct census *census_free(struct census *c);

/* Asks an owner; api_take_answer() follows, or the task fails. */
void api_ask(struct task *t, const struct question *q);

/* api_removals.c: the room's position, for a removal. */
void api_take_position(struct task *t, struct slice room, struct slice epoch, uint64_t offset);

/* api_params.c: values of a request. */

/* A valid room. False: there is none. */
bool param_room(struct slice params, struct buf *scratch, struct slice *room) MUST_CHECK;

/* A string, unescaped, at the end of `scratch` (which must not move any more: see
 * params_reserve()). Absent or null: empty. False: something else, or longer than `max`. */
bool param_text(struct slice params, const char *name, size_t max, struct buf *scratch,
                struct slice *text) MUST_CHECK;

/* The same, as the inside of a JSON string as json_escape() writes it. */
bool param_escaped(struct slice params, const char *name, size_t max, struct buf *scratch,
                   struct slice *text) MUST_CHECK;

/* A number or a flag; absent or null: `*value` is left alone. False: something else. */
bool param_i64(struct slice params, const char *name, int64_t *value) MUST_CHECK;
bool param_bool(struct slice params, const char *name, bool *value) MUST_CHECK;

/* api_foreign.c: raw JSON without line breaks, given as it is or, under the second name, as the
 * base64 of it; at the end of `scratch` as above. Absent: empty. False: something else, or both. */
bool param_value(struct slice params, const char *name, const char *b64_name, struct buf *scratch,
                 struct slice *value) MUST_CHECK;

/* A raw JSON array of client ids. Absent: empty. False: something else, or too many. */
bool param_clients(struct slice params, const char *name, struct buf *scratch,
                   struct slice *list) MUST_CHECK;

/* False: they ask for something that Centrifugo would do and we do not. */
bool params_are_served(const char *method, struct slice params);

/* Room for all texts of these parameters. */
void params_reserve(struct slice params, struct buf *scratch);

#endif
