/*
 * hook.h: what a backend is asked, and what it answers. Pure.
 *
 * The shapes are those of Centrifugo's proxies: a question is one JSON object; an answer is
 * {"result":{..}}, {"error":{"code":400,"message":"..","temporary":true}} or
 * {"disconnect":{"code":4000,"reason":".."}}.
 */
#ifndef WARREN_GATEWAY_HOOK_HOOK_H
#define WARREN_GATEWAY_HOOK_HOOK_H

#include "common/base.h"
#include "common/buf.h"
#include "gateway/token/claims.h"

enum hook {
#define HOOK(name, label) HOOK_##name,
#include "gateway/hook/hook.def"
    HOOK_COUNT
};

/* How a question ends: a legal answer of one of three kinds, or no answer that could be obeyed. */
enum hook_end {
#define HOOK_END(name, label, is_failure) HOOK_END_##name,
#include "gateway/hook/hook.def"
    HOOK_ENDS
};

/* The labels of metrics and the log, and whether such an end speaks against the backend. */
const char *hook_label(enum hook which);
/* Likewise. */
const char *hook_end_label(enum hook_end end);
/* Likewise. */
bool hook_end_is_failure(enum hook_end end);

#define HOOK_TEXT_MAX 123 /* bytes of a message or reason: what fits a close frame */

struct hook_answer {
    enum hook_end end;
    uint32_t code; /* error: 400 to 1999 or enum reply_error; disconnect: 3000 to 4999 */
    bool is_temporary;
    char text[HOOK_TEXT_MAX + 1]; /* error: its message; disconnect: its reason; never empty */
    struct slice result;          /* a JSON object, borrowed from the body */
};

/* Reads the body of an answer with status 200. When it is none of the three, `end` is HOOK_END_BAD
 * and `why` says what is wrong with it. */
void hook_answer_read(struct hook_answer *a, struct slice body, const char **why);

/* The result of connect as the claims of a token: user, name, roles, info, channels, subs,
 * expire_at. 0 (`is_known` is false and the claims mean nothing when it names no user), or
 * HOOK_RESULT_BAD or HOOK_RESULT_EXPIRED with a few words. */
enum hook_result { HOOK_RESULT_BAD = 1, HOOK_RESULT_EXPIRED = 2 };
int hook_result_claims(struct slice result, int64_t now_s, struct jwt_claims *claims,
                       bool *is_known, const char **why) MUST_CHECK;

/* The result of subscribe. */
struct hook_subscribe {
    struct slice info, data; /* raw JSON; empty: none */
    int64_t expires_s;       /* 0: never */
    bool wants_moves;
};
/* 0 or HOOK_RESULT_BAD. */
int hook_result_subscribe(struct slice result, struct hook_subscribe *out) MUST_CHECK;

/* What a question says; empty slices are left out. */
struct hook_question {
    const char *client, *protocol, *address;
    const char *user; /* inside of a JSON string; NULL: not known yet */
    struct slice channel, name, version;
    struct slice data; /* raw JSON */
};
void hook_question_write(struct buf *out, const struct hook_question *q);

#endif
