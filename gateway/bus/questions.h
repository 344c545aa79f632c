/*
 * questions.h: what sessions and rooms asked the owners, until the answer comes.
 *
 * Who is in a room, what was said in it: the owner knows. A question that is
 * not answered in subscribe_wait_ms is answered with a temporary error.
 */
#ifndef WARREN_GATEWAY_BUS_QUESTIONS_H
#define WARREN_GATEWAY_BUS_QUESTIONS_H

#include "common/base.h"
#include "gateway/session/session.h"
#include "proto/message.h"

#define QUESTIONS_MAX 65536          /* open ones of all sessions */
#define QUESTIONS_OF_SESSION_MAX 256 /* and of one */

struct gateway;
struct questions;

enum question_kind {
    QUESTION_PRESENCE,
    QUESTION_PRESENCE_STATS,
    QUESTION_HISTORY,
    QUESTION_RECOVER, /* for a room, see rooms_past() */
};

struct question {
    enum question_kind kind;
    struct slice room;
    session_handle session; /* who is told; 0 for a recovery */
    uint64_t call;          /* 0, or a call of the API that is told instead: api_answered() */
    uint32_t command_id;
    struct slice epoch; /* history, recover: of `offset`; may be empty */
    uint64_t offset;    /* records after it (in reverse: before it) */
    bool has_offset, reverse;
    int64_t limit; /* 0: only the position */
};

/* Freed with questions_free(), which accepts NULL and returns NULL; nobody is told any more. */
struct questions *questions_new(struct gateway *g) MUST_CHECK;
/* See above. */
struct questions *questions_free(struct questions *q);

enum questions_answer {
    QUESTIONS_LIMIT = 1, /* the session has asked too much at once */
};

/* 0, QUESTIONS_LIMIT, or -1: nobody can be asked now. */
int questions_ask(struct questions *all, const struct question *q) MUST_CHECK;

/* A `present` or `past` message. */
void questions_on_answer(struct questions *all, const struct message *m);

/* Every GATEWAY_TICK_MS: the answers that did not come. */
void questions_tick(struct questions *all);

#endif
