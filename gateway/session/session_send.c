/*
 * session_send.c: what is said to one session alone.
 */
#include "common/clock.h"
#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/session/sessions_internal.h"
#include "gateway/ws/frame.h"

#define ERROR_WINDOW_MS 10000

void session_take_frames(struct session *s, struct blob *frames)
{
    unsigned window = session_variant_window(s->variant);

    if (window != 0 && s->state == SESSION_OPEN) {
        struct blob *packed = compress_single(&s->gateway->compress, frames, window);

        blob_unref(frames);
        frames = packed;
    }
    session_send_frame(s, frames);
    blob_unref(frames);
}

void session_send_text(struct session *s, struct slice text)
{
    session_take_frames(s, frame_text(text));
}

const struct codec *session_codec(const struct session *s)
{
    return dialect_codec((enum dialect)s->dialect);
}

struct buf *session_reply(struct session *s)
{
    struct buf *reply = &s->gateway->sessions->scratch;

    buf_clear(reply);
    return reply;
}

void session_send_reply(struct session *s, const struct buf *reply)
{
    const struct codec *codec = session_codec(s);

    if (s->state != SESSION_OPEN) {
        return;
    }
    session_take_frames(s, codec != NULL && codec->is_binary ? frame_binary(buf_slice(reply))
                                                             : frame_text(buf_slice(reply)));
}

/* Whoever provokes too many errors is closed. */
static void count_error(struct session *s, uint32_t code)
{
    int64_t now = clock_mono_ms();

    if (now - s->error_window_ms > ERROR_WINDOW_MS) {
        s->error_window_ms = now;
        s->errors = 0;
    }
    if (++s->errors > s->gateway->conf->errors_max && s->state == SESSION_OPEN) {
        limit_met(&s->gateway->metrics.limits, LIMIT_ERRORS);
        session_close(s, code == REPLY_TOO_MANY_REQUESTS ? CLOSE_TOO_MANY_REQUESTS
                                                         : CLOSE_TOO_MANY_ERRORS);
    }
}

void session_send_error(struct session *s, uint32_t id, enum reply_error code)
{
    const struct codec *codec = session_codec(s);
    struct buf *out = session_reply(s);

    stat_add(&s->gateway->metrics.errors_sent, 1);
    stat_add(&s->gateway->metrics.errors[code - METRICS_ERROR_FIRST], 1);
    if (codec != NULL) {
        codec->error(out, id, code);
    } else {
        reply_plain_error(out, code);
    }
    session_send_reply(s, out);
    if (code != REPLY_INTERNAL) { /* or it is not the client's fault */
        count_error(s, code);
    }
}

void session_send_refusal(struct session *s, uint32_t id, const struct reply_refusal *r)
{
    const struct codec *codec = session_codec(s);
    struct buf *out = session_reply(s);

    stat_add(&s->gateway->metrics.errors_sent, 1);
    if (codec != NULL) {
        codec->refusal(out, id, r);
    } else {
        reply_plain_refusal(out, r);
    }
    session_send_reply(s, out);
    count_error(s, r->code);
}
