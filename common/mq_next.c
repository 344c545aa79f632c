/* mq_next.c: what the broker says, from frames to events. */
#include <poll.h>
#include <sys/time.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/mq_internal.h"

#define EVENT_SLICES (9 + 2 * MQ_HEADERS_MAX) /* texts of an event, the body not among them */
#define IDLE_MS 1000                          /* heartbeats want mq_next() at least so often */

/* All texts of an event, so that a copy can be made of them. */
static size_t list_slices(struct mq_event *e, struct slice **list)
{
    struct mq_props *p = &e->props;
    struct slice *fixed[] = {&e->consumer, &e->key,        &e->exchange, &p->content_type,
                             &p->type,     &p->message_id, &p->app_id,   &p->correlation_id,
                             &p->user_id};
    size_t count = ARRAY_LEN(fixed);

    memcpy(list, fixed, sizeof(fixed));
    for (size_t i = 0; i < p->header_count; i++) {
        list[count++] = &p->headers[i].name;
        list[count++] = &p->headers[i].text;
    }
    return count;
}

/* A copy that owns its texts, with room for a body that is still to come. */
static struct mq_saved *saved_new(struct mq_event *from, size_t body_size)
{
    struct slice *list[EVENT_SLICES];
    size_t count = list_slices(from, list);
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        size += list[i]->size;
    }
    struct mq_saved *s = mem_alloc(sizeof(*s) + size + body_size);
    s->next = NULL;
    s->event = *from;
    char *at = s->bytes;
    count = list_slices(&s->event, list);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = list[i]->size;
        if (bytes > 0) {
            memcpy(at, list[i]->at, bytes);
        }
        *list[i] = bytes > 0 ? (struct slice){at, bytes} : SLICE_NONE;
        at += bytes;
    }
    s->body = at;
    s->event.body = body_size > 0 ? (struct slice){at, body_size} : SLICE_NONE;
    return s;
}

static void save(struct mq *m, struct mq_saved *s)
{
    *m->saved_last = s;
    m->saved_last = &s->next;
}

void mq_drop_events(struct mq *m, uint16_t channel)
{
    struct mq_saved **at = &m->saved;

    while (*at != NULL) {
        struct mq_saved *s = *at;
        if (s->event.channel == channel) {
            *at = s->next;
            mem_free(s);
        } else {
            at = &s->next;
        }
    }
    m->saved_last = at;
    struct mq_channel *c = mq_channel_find(m, channel);
    if (c != NULL) {
        mem_free(c->saved);
        c->saved = NULL;
        c->stage = MQ_STAGE_IDLE;
    }
}

/* An event on its way out of a frame: `saved` owns its slices, or they are borrowed from the
 * channel's pool. */
struct taken {
    struct mq_event event;
    struct mq_saved *saved;
};

static int start_message(struct mq *m, struct mq_channel *c, const struct mq_event *event)
{
    if (c->stage != MQ_STAGE_IDLE) {
        return mq_lose(m, 0, "a message inside a message");
    }
    c->event = *event;
    c->stage = MQ_STAGE_HEADER;
    c->body_size = 0;
    c->body_received = 0;
    return MQ_TIMEOUT;
}

/* The close-ok is owed until the event is handed out. */
static int take_close(struct mq_channel *c, const amqp_channel_close_t *close)
{
    struct slice text = mq_slice(close->reply_text);
    size_t size = MIN(text.size, sizeof(c->close_text) - 1);

    c->is_closing = true;
    c->close_code = close->reply_code;
    if (size > 0) {
        memcpy(c->close_text, text.at, size);
    }
    c->close_text[size] = '\0';
    return MQ_OK;
}

static int take_channel_method(struct mq *m, struct mq_channel *c, const amqp_method_t *method,
                               struct mq_event *e)
{
    switch (method->id) {
    case AMQP_BASIC_DELIVER_METHOD: {
        const amqp_basic_deliver_t *d = method->decoded;
        e->kind = MQ_DELIVERY;
        e->tag = d->delivery_tag;
        e->redelivered = d->redelivered;
        e->consumer = mq_slice(d->consumer_tag);
        e->key = mq_slice(d->routing_key);
        e->exchange = mq_slice(d->exchange);
        return start_message(m, c, e);
    }
    case AMQP_BASIC_RETURN_METHOD: {
        const amqp_basic_return_t *r = method->decoded;
        e->kind = MQ_RETURN;
        e->key = mq_slice(r->routing_key);
        e->exchange = mq_slice(r->exchange);
        return start_message(m, c, e);
    }
    case AMQP_BASIC_ACK_METHOD: {
        const amqp_basic_ack_t *a = method->decoded;
        e->kind = MQ_ACK;
        e->tag = a->delivery_tag;
        e->multiple = a->multiple;
        return MQ_OK;
    }
    case AMQP_BASIC_NACK_METHOD: {
        const amqp_basic_nack_t *n = method->decoded;
        e->kind = MQ_NACK;
        e->tag = n->delivery_tag;
        e->multiple = n->multiple;
        return MQ_OK;
    }
    case AMQP_BASIC_CANCEL_METHOD: {
        const amqp_basic_cancel_t *cancel = method->decoded;
        e->kind = MQ_CANCELLED;
        e->consumer = mq_slice(cancel->consumer_tag);
        return MQ_OK;
    }
    case AMQP_CHANNEL_CLOSE_METHOD:
        e->kind = MQ_CHANNEL_CLOSED;
        return take_close(c, method->decoded);
    default:
        return MQ_TIMEOUT; /* the late answer to a request of an earlier life */
    }
}

static int take_connection_method(struct mq *m, const amqp_method_t *method, struct mq_event *e)
{
    switch (method->id) {
    case AMQP_CONNECTION_CLOSE_METHOD:
        return mq_lose_closed(m, method->decoded);
    case AMQP_CONNECTION_BLOCKED_METHOD: {
        const amqp_connection_blocked_t *b = method->decoded;
        e->kind = MQ_BLOCKED;
        mq_set_error(m, 0, mq_slice(b->reason));
        return MQ_OK;
    }
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        e->kind = MQ_UNBLOCKED;
        return MQ_OK;
    default:
        return MQ_TIMEOUT;
    }
}

static int take_header(struct mq *m, struct mq_channel *c, const amqp_frame_t *frame,
                       struct taken *out)
{
    if (c->stage != MQ_STAGE_HEADER || frame->payload.properties.class_id != AMQP_BASIC_CLASS) {
        return mq_lose(m, 0, "a header without a message");
    }
    mq_props_read(&c->event.props, frame->payload.properties.decoded, &c->event.stream_offset);
    c->body_size = frame->payload.properties.body_size;
    c->event.too_large = c->body_size > MQ_BODY_MAX;
    if (c->body_size > 0) {
        c->stage = MQ_STAGE_BODY;
        return MQ_TIMEOUT;
    }
    c->stage = MQ_STAGE_IDLE;
    out->event = c->event;
    return MQ_OK;
}

static int take_body(struct mq *m, struct mq_channel *c, amqp_bytes_t part, struct taken *out)
{
    if (c->stage != MQ_STAGE_BODY || part.len > c->body_size - c->body_received) {
        return mq_lose(m, 0, "a body without a message");
    }
    if (part.len == c->body_size && !c->event.too_large) {
        c->stage = MQ_STAGE_IDLE;
        out->event = c->event;
        out->event.body = mq_slice(part);
        return MQ_OK;
    }
    if (c->saved == NULL) {
        c->saved = saved_new(&c->event, c->event.too_large ? 0 : (size_t)c->body_size);
    }
    if (!c->event.too_large && part.len > 0) {
        memcpy(c->saved->body + c->body_received, part.bytes, part.len);
    }
    c->body_received += part.len;
    if (c->body_received < c->body_size) {
        mq_release(m, c->event.channel);
        return MQ_TIMEOUT;
    }
    c->stage = MQ_STAGE_IDLE;
    out->saved = c->saved;
    out->event = c->saved->event;
    c->saved = NULL;
    return MQ_OK;
}

/* MQ_OK: `out` holds an event. MQ_TIMEOUT: not yet. MQ_LOST. */
static int take(struct mq *m, const amqp_frame_t *frame, struct taken *out)
{
    struct mq_channel *c = mq_channel_find(m, frame->channel);

    if (frame->channel != 0 && (c == NULL || !c->is_open)) {
        return MQ_TIMEOUT; /* said before the broker knew that we closed it */
    }
    out->saved = NULL;
    switch (frame->frame_type) {
    case AMQP_FRAME_METHOD:
        out->event = (struct mq_event){.channel = frame->channel, .stream_offset = -1};
        return frame->channel == 0 ? take_connection_method(m, &frame->payload.method, &out->event)
                                   : take_channel_method(m, c, &frame->payload.method, &out->event);
    case AMQP_FRAME_HEADER:
        return c != NULL ? take_header(m, c, frame, out) : mq_lose(m, 0, "a header on channel 0");
    case AMQP_FRAME_BODY:
        return c != NULL ? take_body(m, c, frame->payload.body_fragment, out)
                         : mq_lose(m, 0, "a body on channel 0");
    default:
        return MQ_TIMEOUT; /* a heartbeat */
    }
}

int mq_take_frame(struct mq *m, const amqp_frame_t *frame)
{
    struct taken taken;
    int rc = take(m, frame, &taken);

    if (rc == MQ_OK) {
        if (taken.saved == NULL) {
            struct slice body = taken.event.body;
            taken.saved = saved_new(&taken.event, body.size);
            if (body.size > 0) {
                memcpy(taken.saved->body, body.at, body.size);
            }
        }
        save(m, taken.saved);
        mq_release(m, frame->channel);
    }
    return rc;
}

int mq_wait_frame(struct mq *m, amqp_frame_t *frame, int wait_ms)
{
    struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = (wait_ms % 1000) * 1000};
    /* Only a frame that cannot have been in memory before proves that the broker is alive. */
    bool may_be_old = amqp_frames_enqueued(m->amqp) || amqp_data_in_buffer(m->amqp);
    int64_t start_ms = clock_mono_ms();
    int status = amqp_simple_wait_frame_noblock(m->amqp, frame, &wait);

    if (status == AMQP_STATUS_OK && !may_be_old) {
        m->heard_ms = start_ms;
    }
    m->is_drained = status == AMQP_STATUS_TIMEOUT;
    atomic_store(&m->progress_ms, wait_ms > 0 ? clock_mono_ms() : start_ms);
    return status;
}

int mq_save_queued(struct mq *m)
{
    while (amqp_frames_enqueued(m->amqp)) {
        amqp_frame_t frame;
        int status = mq_wait_frame(m, &frame, 0);
        if (status != AMQP_STATUS_OK) {
            return mq_lose_status(m, status);
        }
        if (mq_take_frame(m, &frame) == MQ_LOST) {
            return MQ_LOST;
        }
    }
    return MQ_OK;
}

/* The slices of the last event end here. */
static void forget_last(struct mq *m)
{
    mem_free(m->current);
    m->current = NULL;
    if (m->has_borrowed) {
        m->has_borrowed = false;
        mq_release(m, m->borrowed);
    }
}

static int hand_out(struct mq *m, struct mq_event *event, const struct mq_event *from)
{
    *event = *from;
    if (event->kind != MQ_CHANNEL_CLOSED) {
        return MQ_OK;
    }
    const struct mq_channel *c = mq_channel_find(m, event->channel);
    assert(c != NULL && c->is_closing);
    mq_set_error(m, c->close_code, slice_of(c->close_text));
    return mq_channel_reopen(m, event->channel);
}

/* Reads until a frame completes an event. */
static int next_taken(struct mq *m, struct taken *taken, int wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;

    for (;;) {
        int64_t left_ms = wait_ms > 0 ? until_ms - clock_mono_ms() : 0;
        amqp_frame_t frame;
        int status = mq_wait_frame(m, &frame, (int)MAX(left_ms, 0));
        if (status == AMQP_STATUS_TIMEOUT) {
            return MQ_TIMEOUT;
        }
        if (status != AMQP_STATUS_OK) {
            return mq_lose_status(m, status);
        }
        int rc = take(m, &frame, taken);
        if (rc != MQ_TIMEOUT) {
            m->has_borrowed = rc == MQ_OK;
            m->borrowed = frame.channel;
            return rc;
        }
    }
}

int mq_next(struct mq *m, struct mq_event *event, int wait_ms)
{
    if (!mq_enter(m)) {
        return MQ_LOST;
    }
    forget_last(m);
    if (m->saved != NULL) {
        struct mq_saved *s = m->saved;
        m->saved = s->next;
        if (m->saved == NULL) {
            m->saved_last = &m->saved;
        }
        m->current = s;
        return hand_out(m, event, &s->event);
    }
    struct taken taken;
    int rc = next_taken(m, &taken, wait_ms);
    if (rc != MQ_OK) {
        return rc;
    }
    m->current = taken.saved;
    return hand_out(m, event, &taken.event);
}

void mq_idle_wait(struct mq *m, int other_fd, int wait_ms)
{
    bool is_quiet = mq_is_open(m) && m->is_drained && m->saved == NULL &&
                    !amqp_frames_enqueued(m->amqp) && !amqp_data_in_buffer(m->amqp);
    struct pollfd fds[] = {{.fd = m->fd, .events = POLLIN}, {.fd = other_fd, .events = POLLIN}};

    if (is_quiet) {
        (void)poll(fds, ARRAY_LEN(fds), MIN(wait_ms, IDLE_MS));
    }
}
