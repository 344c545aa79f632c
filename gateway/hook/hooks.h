/*
 * hooks.h: asks a backend, and stops asking one that does not answer.
 *
 * Each hook has a circuit breaker of its own (breaker.h). Whatever goes wrong, nobody comes in and
 * nothing is said unasked: who cannot ask is refused.
 */
#ifndef WARREN_GATEWAY_HOOK_HOOKS_H
#define WARREN_GATEWAY_HOOK_HOOKS_H

#include "common/base.h"
#include "gateway/hook/hook.h"

struct gateway;
struct gateway_conf;
struct http_head;
struct blob;
struct hooks;
struct hook_call; /* an open question */

/* What section [hooks] has. */
struct hooks_conf {
    char *connect_url, *subscribe_url, *publish_url; /* "": that hook is off */
    char *headers;                                   /* of the upgrade, passed on: a list */
    char *secret, *ca_file;
    int64_t timeout_ms, connections, in_flight, answer_max;
    int64_t breaker_failures, breaker_wait_ms;
};

#define HOOKS_ERROR_SIZE 200
/* What a single key cannot show. 0, or -1 with `error` filled. */
int hooks_check(const struct hooks_conf *c, char *error, size_t size) MUST_CHECK;

/* NULL after one error line. */
struct hooks *hooks_new(struct gateway *g) MUST_CHECK;
/* No question is open any more. Accepts NULL; returns NULL. */
struct hooks *hooks_free(struct hooks *h);
/* The settings have been read anew; whoever was left alone is asked again. */
void hooks_reloaded(struct hooks *h);

/* Whether that hook has somebody to ask. */
bool hooks_has(const struct gateway_conf *conf, enum hook which);

/* The lines of a request's head that are passed on, each ended by NUL; NULL: none, or no hook.
 * Browsers send cookies along with any page's requests: they are passed on only when no page is
 * named as the Origin, or one that [origin] allow names itself. */
struct blob *hooks_headers(const struct gateway *g, const struct http_head *h) MUST_CHECK;

/* Called once. The call is gone when it returns. */
typedef void hook_done(void *user, const struct hook_answer *a);

/* Asks. `headers` is what hooks_headers() made, or NULL. NULL: nobody can be asked now; `done` is
 * not called. */
struct hook_call *hooks_ask(struct hooks *h, enum hook which, const struct blob *headers,
                            struct slice question, hook_done *done, void *user) MUST_CHECK;
void hooks_cancel(struct hook_call *call);

#endif
