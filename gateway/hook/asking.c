/*
 * asking.c: see asking.h.
 */
#include "gateway/hook/asking.h"

#include <utlist.h>

#include "common/blob.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/hook/hooks.h"

#define ASKED_MAX 8 /* questions of one session at once */

/* One question. */
struct asked {
    struct asked *prev, *next;
    struct session *session; /* borrowed: ends it before it dies */
    struct hook_call *call;  /* owns */
    enum hook which;
    struct blob *raw; /* owns: the command as it came */
    size_t channel_size;
    char channel[]; /* of subscribe */
};

struct asking {
    struct blob *headers; /* owns; NULL: none */
    struct asked *open;   /* owns: list */
    struct buf kept;      /* messages, each behind its size (uint32_t) */
    bool is_replaying;
    bool is_holding; /* the session is not read because of what is kept */
};

static struct asking *asking_of(struct session *s)
{
    if (s->asking == NULL) {
        s->asking = mem_new(struct asking);
    }
    return s->asking;
}

void asking_pass_on(struct session *s, struct blob *headers)
{
    if (headers != NULL) {
        asking_of(s)->headers = headers;
    }
}

static void asked_free(struct asked *q)
{
    blob_unref(q->raw);
    mem_free(q);
}

/* A plain session whose first act was refused has nothing else to do here. */
static void end_plain(struct session *s, bool may_come_back)
{
    session_close(s, may_come_back ? CLOSE_INTERNAL : CLOSE_BAD_REQUEST);
}

/* Tells that the command is not served. */
static void refuse(struct session *s, enum hook which, uint32_t id, const struct hook_answer *a)
{
    bool is_refusal = a->end == HOOK_END_ERROR;

    if (a->end == HOOK_END_DISCONNECT) {
        session_close_with(s, (uint16_t)a->code, a->text);
        return;
    }
    if (is_refusal && reply_error_is_known(a->code)) {
        session_send_error(s, id, (enum reply_error)a->code);
    } else if (is_refusal) {
        session_send_refusal(s, id,
                             &(struct reply_refusal){.code = a->code,
                                                     .text = slice_of(a->text),
                                                     .is_temporary = a->is_temporary});
    } else {
        session_send_error(s, id, REPLY_INTERNAL);
    }
    if (session_codec(s) == NULL && which != HOOK_PUBLISH) {
        end_plain(s, !is_refusal || a->is_temporary);
    } else if (which == HOOK_CONNECT) {
        s->is_refused = true; /* as after an expired token */
    }
}

void asking_complain(struct session *s, enum hook which, uint32_t id, const char *why)
{
    static struct log_limit limit;

    if (log_allowed(&limit)) {
        log_warn("hook answer refused hook=%s session=%s reason=\"%s\"", hook_label(which),
                 s->client, why);
    }
    refuse(s, which, id, &(struct hook_answer){.end = HOOK_END_BAD});
}

/* The backend lets it happen. */
static void obey(struct session *s, enum hook which, const struct command *c, struct buf *texts,
                 const struct hook_answer *a)
{
    bool is_plain = session_codec(s) == NULL;

    switch (which) {
    case HOOK_CONNECT:
        is_plain ? plain_admitted(s, c->raw, a) : centrifuge_admitted(s, c, texts, a);
        break;
    case HOOK_SUBSCRIBE:
        is_plain ? plain_let_in(s, c->raw, a) : centrifuge_let_in(s, c, a);
        break;
    case HOOK_PUBLISH:
        is_plain ? plain_let_publish(s, c->raw, a) : centrifuge_let_publish(s, c, texts, a);
        break;
    case HOOK_COUNT:
        assert(false);
    }
}

/* The command is read again: it was good. */
static void answer(struct session *s, const struct asked *q, const struct hook_answer *a)
{
    const struct codec *codec = session_codec(s);
    struct slice rest = blob_slice(q->raw);
    struct buf texts = BUF_EMPTY;
    struct command c = {0};

    if (codec != NULL) {
        int r = codec->next(&rest, &texts, &c);
        assert(r == 0);
        (void)r;
    }
    c.raw = blob_slice(q->raw);
    if (a->end == HOOK_END_RESULT) {
        obey(s, q->which, &c, &texts, a);
    } else {
        refuse(s, q->which, c.id, a);
    }
    buf_deinit(&texts);
}

/* What waits is served until something has to wait again; that is kept anew, and so is all behind
 * it. */
static void replay(struct session *s)
{
    struct asking *k = s->asking;
    struct buf kept = k->kept;
    size_t at = 0;

    k->kept = BUF_EMPTY;
    k->is_replaying = true;
    while (at < kept.size && k->kept.size == 0 && s->state == SESSION_OPEN) {
        uint32_t size;

        memcpy(&size, kept.at + at, sizeof(size));
        at += sizeof(size);
        if (session_codec(s) != NULL) {
            centrifuge_on_message(s, (struct slice){kept.at + at, size});
        } else {
            plain_on_text(s, (struct slice){kept.at + at, size});
        }
        at += size;
    }
    k->is_replaying = false;
    if (at < kept.size && s->state == SESSION_OPEN) {
        buf_add(&k->kept, kept.at + at, kept.size - at); /* each of these would be kept, too */
    }
    buf_deinit(&kept);
}

/* Serves what waited, and reads on. */
static void go_on(struct session *s)
{
    struct asking *k = s->asking;

    if (s->is_refused) {
        buf_deinit(&k->kept); /* what stands behind a refused connect command was said in vain */
        k->kept = BUF_EMPTY;
    } else if (k->kept.size > 0) {
        replay(s);
    }
    if (s->state == SESSION_OPEN && k->is_holding && k->kept.size <= ASKING_KEPT_MAX) {
        k->is_holding = false;
        session_release(s);
    }
}

static void on_answer(void *user, const struct hook_answer *a)
{
    struct asked *q = user;
    struct session *s = q->session;

    DL_DELETE(s->asking->open, q);
    answer(s, q, a);
    asked_free(q);
    if (s->state == SESSION_OPEN) {
        go_on(s);
    }
}

/* The name of the dialect's encoding, as the question has it. */
static const char *protocol_of(const struct session *s)
{
    const struct codec *codec = session_codec(s);

    return codec == NULL ? "plain" : codec->is_binary ? "protobuf" : "json";
}

void asking_ask(struct session *s, enum hook which, struct slice raw, uint32_t id,
                struct hook_question *question)
{
    struct asking *k = asking_of(s);
    struct asked *q = mem_zalloc(1, sizeof(*q) + question->channel.size);
    struct buf body = BUF_EMPTY;

    q->session = s;
    q->which = which;
    q->raw = blob_copy(raw.at, raw.size);
    q->channel_size = question->channel.size;
    memcpy(q->channel, question->channel.size > 0 ? question->channel.at : "", q->channel_size);
    question->client = s->client;
    question->address = s->peer;
    question->protocol = protocol_of(s);
    question->user = s->identity != NULL ? s->identity->user : NULL;
    hook_question_write(&body, question);
    q->call = hooks_ask(s->gateway->hooks, which, k->headers, buf_slice(&body), on_answer, q);
    buf_deinit(&body);
    if (q->call != NULL) {
        DL_APPEND(k->open, q);
        return;
    }
    asked_free(q);
    refuse(s, which, id, &(struct hook_answer){.end = HOOK_END_OPEN});
}

/* Whether a subscribe command can be served beside those that are asked about. */
static bool may_pass(const struct asking *k, const struct command *c)
{
    const struct asked *q;
    size_t count = 0;

    if (c->method != COMMAND_SUBSCRIBE || k->kept.size > 0) {
        return false;
    }
    DL_FOREACH (k->open, q) {
        if (q->which != HOOK_SUBSCRIBE ||
            slice_equal(c->channel, (struct slice){q->channel, q->channel_size})) {
            return false;
        }
        count++;
    }
    return count < ASKED_MAX;
}

bool asking_holds(const struct session *s, const struct command *c)
{
    const struct asking *k = s->asking;

    if (k == NULL || (k->open == NULL && k->kept.size == 0)) {
        return false;
    }
    return c == NULL || (c->method != COMMAND_PONG && !may_pass(k, c));
}

void asking_keep(struct session *s, struct slice message)
{
    struct buf *kept = &s->asking->kept;
    uint32_t size = (uint32_t)message.size;

    buf_add(kept, &size, sizeof(size));
    buf_add_slice(kept, message);
    if (kept->size > ASKING_KEPT_MAX && !s->asking->is_holding) {
        s->asking->is_holding = true;
        limit_met(&s->gateway->metrics.limits, LIMIT_ASKING);
        session_hold(s);
    }
}

bool asking_is_open(const struct session *s)
{
    return s->asking != NULL && s->asking->open != NULL;
}

bool asking_is_replaying(const struct session *s)
{
    return s->asking != NULL && s->asking->is_replaying;
}

bool asking_take_identity(struct session *s, uint32_t id, const struct hook_answer *a)
{
    int64_t now_s = clock_wall_ms() / 1000;
    struct jwt_claims claims;
    const char *why = "";
    bool is_known;

    assert(s->identity == NULL);
    switch (hook_result_claims(a->result, now_s, &claims, &is_known, &why)) {
    case 0:
        claims.issued_s = now_s; /* what was revoked before is another matter */
        s->identity = identity_new(is_known ? &claims : NULL);
        return true;
    case HOOK_RESULT_EXPIRED:
        session_close(s, CLOSE_EXPIRED);
        return false;
    default:
        asking_complain(s, HOOK_CONNECT, id, why);
        return false;
    }
}

void asking_end(struct session *s)
{
    struct asking *k = s->asking;
    struct asked *q, *next;

    if (k == NULL) {
        return;
    }
    DL_FOREACH_SAFE (k->open, q, next) {
        DL_DELETE(k->open, q);
        hooks_cancel(q->call);
        asked_free(q);
    }
    buf_deinit(&k->kept);
    k->kept = BUF_EMPTY;
}

void asking_free(struct session *s)
{
    if (s->asking != NULL) {
        asking_end(s);
        blob_unref(s->asking->headers);
        mem_free(s->asking);
        s->asking = NULL;
    }
}
