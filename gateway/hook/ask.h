/*
 * ask.h: questions over HTTP, asked from the loop. The one door of libcurl.
 *
 * A question is one POST; its answer comes later, from the loop, exactly once, unless the question
 * is cancelled. Nothing here waits: sockets and timers are the loop's own, and names are resolved
 * by a thread of libcurl that nobody joins. Redirects are not followed, proxies of the environment
 * not used, certificates and host names of https checked.
 */
#ifndef WARREN_GATEWAY_HOOK_ASK_H
#define WARREN_GATEWAY_HOOK_ASK_H

#include <ev.h>

#include "common/base.h"

struct asker; /* what all questions share: connections that stay open, the loop's watchers */
struct ask;   /* an open question */

struct asker_terms {
    struct slice ca;     /* PEM, of https; empty: the system's. Borrowed */
    int64_t connections; /* at once to one host; more questions wait for one */
    int64_t timeout_ms;  /* for all of a question, waiting included */
    size_t answer_max;   /* bytes of an answer's body */
};

enum ask_outcome {
    ASK_ANSWERED,  /* whatever the status is */
    ASK_LATE,      /* not within the time */
    ASK_UNREACHED, /* no connection, no certificate, no HTTP */
    ASK_TOO_BIG,   /* its body, or its head */
};

struct ask_answer {
    enum ask_outcome outcome;
    int status;        /* when answered */
    struct slice body; /* likewise; borrowed during the call */
    const char *why;   /* a few words for the log when not; borrowed likewise */
};

struct ask_question {
    const char *url;            /* ask_url_is_good() */
    const char *const *headers; /* "Name: value", NULL-terminated; besides Content-Type: JSON */
    struct slice body;
};

/* Called once. It may ask anew and cancel others; the question is gone when it returns. */
typedef void ask_done(void *user, const struct ask_answer *a);

/* NULL: libcurl cannot be had, which was logged. */
struct asker *asker_new(struct ev_loop *loop, const struct asker_terms *terms) MUST_CHECK;
/* No question is open any more. Accepts NULL; returns NULL. */
struct asker *asker_free(struct asker *a);

/* For the questions from now on: other certificates mean other connections. */
void asker_change(struct asker *a, const struct asker_terms *terms);

/* Asks; everything is copied. NULL: libcurl refused it, and `done` will not be called. */
struct ask *ask_post(struct asker *a, const struct ask_question *q, ask_done *done,
                     void *user) MUST_CHECK;

/* The question is gone, and `done` will not be called. */
void ask_cancel(struct ask *q);

/* http or https, a host, no user, no fragment. */
bool ask_url_is_good(const char *url);

#endif
