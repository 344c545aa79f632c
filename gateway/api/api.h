/*
 * api.h: the HTTP API for backends: POST /api/<method> with a JSON body and a key.
 *
 * The shapes are those of Centrifugo: {"result":{..}} or
 * {"error":{"code":..,"message":".."}} with status 200; what is wrong with the HTTP
 * request itself is told by its status (httpd.h). Answers come when the broker or the
 * owner or all gateways have answered, at most [api] wait later; nothing here waits.
 *
 * Layers: httpd (bytes) < api.c (who may) < api_tasks.c (what is open) < api_methods.c and
 * its like (what each method does).
 */
#ifndef WARREN_GATEWAY_API_API_H
#define WARREN_GATEWAY_API_API_H

#include "common/base.h"
#include "proto/message.h"

#define API_TASKS_MAX 20000    /* open ones: calls, and the parts of batches and broadcasts */
#define API_CHANNELS_MAX 10000 /* in one answer, of all gateways together */
#define API_HISTORY_MAX 1000   /* records in one answer */

struct api;
struct gateway;

/* Listens if [api] listen says so. 0, or -1 after one error line. `*out` is NULL when it is off. */
int api_new(struct gateway *g, struct api **out) MUST_CHECK;
/* Accepts NULL; returns NULL. */
struct api *api_free(struct api *a);

/* True if the API has a method of that name. */
bool api_is_method(struct slice name);

/* How a publish went (api NULL or a call that is over: nothing happens). `ok` false:
 * it failed, or nobody knows. */
void api_published(struct api *a, uint64_t call, bool ok);

/* The owner's answer to a question, or NULL: none came. */
void api_answered(struct api *a, uint64_t call, const struct message *m);

#endif
