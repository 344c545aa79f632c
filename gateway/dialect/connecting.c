/*
 * connecting.c: see connecting.h.
 */
#include "gateway/dialect/connecting.h"

#include "common/mem.h"
#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/session/sessions_internal.h"

void connecting_begin(struct session *s, uint32_t command_id)
{
    assert(s->connecting == NULL);
    s->connecting = mem_new(struct connecting);
    s->connecting->command_id = command_id;
    s->connecting->pending = 1;
    s->connecting->held = OUTQ_EMPTY;
}

void connecting_less(struct session *s)
{
    struct sessions *all = s->gateway->sessions;
    struct connecting *c = s->connecting;

    assert(c->pending > 0);
    if (--c->pending == 0) {
        c->is_ready = true;
        s->next_ready = all->ready;
        all->ready = s;
    }
}

void connecting_keep(struct session *s, struct slice message)
{
    struct connecting *c = s->connecting;

    if (c->later.size + message.size > (size_t)s->gateway->conf->max_message) {
        limit_met(&s->gateway->metrics.limits, LIMIT_CONNECTING);
        session_close(s, CLOSE_BAD_REQUEST); /* nobody has that much to say before the reply */
        return;
    }
    if (c->later.size > 0 && !session_codec(s)->is_binary) {
        buf_add_char(&c->later, '\n');
    }
    buf_add_slice(&c->later, message);
}

void connecting_hold(struct session *s, struct blob *frame)
{
    struct outq *held = &s->connecting->held;

    if (held->bytes > 0 && held->bytes + frame->size > (uint64_t)s->gateway->conf->out_queue) {
        limit_met(&s->gateway->metrics.limits, LIMIT_OUT_QUEUE);
        session_close(s, CLOSE_SLOW);
        return;
    }
    outq_add(held, frame);
}

struct connecting *connecting_take(struct session *s)
{
    struct connecting *c = s->connecting;
    struct session **link = &s->gateway->sessions->ready;

    if (c->is_ready) {
        while (*link != s) {
            link = &(*link)->next_ready;
        }
        *link = s->next_ready;
        s->next_ready = NULL;
    }
    s->connecting = NULL;
    return c;
}

void connecting_free(struct connecting *c)
{
    buf_deinit(&c->subs);
    buf_deinit(&c->later);
    outq_deinit(&c->held);
    blob_unref(c->data);
    mem_free(c);
}

void connecting_release(struct session *s, const struct connecting *c)
{
    const struct outq *q = &c->held;

    for (uint32_t i = 0; i < q->count; i++) {
        session_send_frame(s, q->slots[(q->head + i) & (q->capacity - 1)]);
    }
}

void connecting_end(struct session *s)
{
    if (s->connecting != NULL) {
        connecting_free(connecting_take(s));
    }
}
