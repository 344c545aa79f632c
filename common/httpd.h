/*
 * httpd.h: a small HTTP/1.1 server for programs: requests with bodies, answers later, keep-alive.
 *
 * Runs in a libev loop. A body comes with Content-Length (else 411; 501 for
 * transfer codings) and has a limit (413); a request that is not complete in
 * time is answered 408; a connection without a request ends silently
 * after HTTPD_IDLE_MS. One connection's requests are served one after the other, so
 * the connections are the bound of the requests that are open; more connections
 * wait in the backlog. Refusals have the body {"error":{"code":..,"message":".."}}
 * and end the connection; `code` is the status.
 */
#ifndef WARREN_COMMON_HTTPD_H
#define WARREN_COMMON_HTTPD_H

#include <ev.h>

#include "common/base.h"
#include "common/http.h"
#include "common/stats.h"

#define HTTPD_IDLE_MS 60000 /* between two requests */

struct httpd;

/* Names one request until it is answered. */
typedef uint64_t httpd_request;

/* What a request is refused with, before its body was read. */
struct httpd_refusal {
    int status; /* 0: not refused */
    const char *why;
    const char *extra; /* header lines that end with CRLF, or "" */
};

struct httpd_hooks {
    void *user;
    /* Of a whole head. */
    struct httpd_refusal (*judge)(void *user, const struct http_head *h);
    /* To be answered once with httpd_answer(), now or later; the slices are valid during the call.
     */
    void (*serve)(void *user, httpd_request request, const struct http_head *h, struct slice body);
};

struct httpd_limits {
    size_t connections;
    size_t body;        /* bytes */
    int64_t request_ms; /* from the first byte of a request to its last, and to take an answer */
    /* Counted, each may be NULL: all connections were taken; a body was too large, a head (or its
     * first line); a request or the taking of its answer was too slow. */
    stat_value *were_full, *heavy, *long_head, *late;
};

/* Listens on `address` ("127.0.0.1:9380"). NULL after writing one error line that begins with
 * `name`. Freed with httpd_free(), which accepts NULL and returns NULL. */
struct httpd *httpd_new(struct ev_loop *loop, const char *address, const char *name,
                        const struct httpd_limits *limits,
                        const struct httpd_hooks *hooks) MUST_CHECK;
/* See above. */
struct httpd *httpd_free(struct httpd *h);

/* Answers with JSON; nothing happens if the client has gone. */
void httpd_answer(struct httpd *h, httpd_request request, int status, struct slice body);

/* Appends {"error":{"code":..,"message":".."}}; `message` needs no escapes. */
void httpd_error(struct buf *out, int code, const char *message);

#endif
