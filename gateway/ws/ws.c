/*
 * ws.c: see ws.h.
 *
 * The bytes of a frame pass three places: `head` collects and judges its
 * header; a control frame's payload is held in `control` until it is whole and
 * never reaches wslay; a data frame goes to wslay, header first, which unmasks
 * it, checks UTF-8 as the bytes come and hands the pieces to `message`.
 *
 * wslay never speaks: its writing side is shut from the start, so the closes
 * and pongs it would queue by itself are dropped. It does not buffer either,
 * for it would take a frame's announced size at once; `message` grows as bytes
 * arrive.
 */
#include "gateway/ws/ws.h"

#include <wslay/wslay.h>

#include "common/buf.h"
#include "common/mem.h"
#include "gateway/ws/deflate.h"
#include "gateway/ws/ws_rules.h"

#define SPARE_MESSAGE_MAX 4096 /* bytes of the room for a message that a spare engine keeps */

struct ws_engine {
    wslay_event_context_ptr wslay; /* owns; NULL before the first data frame */
    /* The frame in progress. */
    struct ws_head head; /* size 0 between frames */
    bool is_head_whole;
    uint64_t frame_left; /* bytes of the payload to come */
    unsigned char control[WS_CONTROL_SIZE];
    uint8_t control_size;
    /* The message in progress. */
    bool in_message; /* a data frame has begun, the final one has not ended */
    bool is_packed;  /* it is compressed */
    uint32_t fragments, empty_fragments;
    uint64_t announced; /* bytes of its frames so far, as their headers say */
    struct buf message; /* owns */
    /* Only during ws_feed(). */
    struct ws *ws;
    const struct ws_limits *limits;
    const struct ws_events *events;
    void *user;
    int64_t now_ms;
    struct slice input; /* what wslay may take now */
};

static void violate(struct ws_engine *e, enum close_reason reason)
{
    e->ws->is_closed = true;
    e->events->on_violation(e->user, reason);
}

/* The bytes that may come for one message. One that does not get smaller gets a little longer when
 * it is compressed. */
static uint64_t payload_max(const struct ws_engine *e)
{
    uint64_t max = e->limits->message_max;

    return e->is_packed ? max + max / 16 + 64 : max;
}

/* Inflates the message that has come. False: it was a violation. */
static bool unpack(struct ws_engine *e, bool is_text, struct slice *message)
{
    switch (e->events->unpack(e->user, *message, e->limits->message_max, message)) {
    case DEFLATE_BROKEN:
        violate(e, CLOSE_BAD_DEFLATE);
        return false;
    case DEFLATE_TOO_BIG:
        violate(e, CLOSE_TOO_BIG);
        return false;
    default:
        break;
    }
    if (is_text && !ws_text_is_legal(*message)) {
        violate(e, CLOSE_BAD_UTF8);
        return false;
    }
    return true;
}

/* wslay's three callbacks. */

static ssize_t on_wslay_recv(wslay_event_context_ptr ctx, uint8_t *to, size_t size, int flags,
                             void *user)
{
    (void)flags;
    struct ws_engine *e = user;
    size_t taken = MIN(size, e->input.size);

    if (taken == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(to, e->input.at, taken);
    e->input.at += taken;
    e->input.size -= taken;
    return (ssize_t)taken;
}

static void on_wslay_chunk(wslay_event_context_ptr ctx,
                           const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *user)
{
    (void)ctx;
    struct ws_engine *e = user;

    buf_add(&e->message, chunk->data, chunk->data_length);
    assert(e->message.size <= e->announced);
}

static void on_wslay_message(wslay_event_context_ptr ctx,
                             const struct wslay_event_on_msg_recv_arg *message, void *user)
{
    (void)ctx;
    struct ws_engine *e = user;
    struct slice whole = buf_slice(&e->message);
    bool is_text = message->opcode == WSLAY_TEXT_FRAME;
    assert(!wslay_is_ctrl_frame(message->opcode));

    e->in_message = false;
    if (e->is_packed && !unpack(e, is_text, &whole)) {
        return;
    }
    if (is_text) {
        e->events->on_text(e->user, whole);
    } else {
        e->events->on_binary(e->user, whole);
    }
    buf_clear(&e->message);
}

static wslay_event_context_ptr wslay_new(struct ws_engine *e)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_wslay_recv,
        .on_frame_recv_chunk_callback = on_wslay_chunk,
        .on_msg_recv_callback = on_wslay_message,
    };
    wslay_event_context_ptr ctx = NULL;

    if (wslay_event_context_server_init(&ctx, &callbacks, e) != 0) {
        mem_exhausted(); /* there is no other reason */
    }
    wslay_event_config_set_no_buffering(ctx, 1);
    wslay_event_config_set_allowed_rsv_bits(ctx, WSLAY_RSV1_BIT); /* its text is not judged then */
    wslay_event_config_set_max_recv_msg_length(ctx, UINT32_MAX);  /* begin_data_frame() looks */
    wslay_event_shutdown_write(ctx);
    return ctx;
}

/* Hands bytes of a data frame to wslay, which takes them all unless it finds bad UTF-8. */
static void wslay_push(struct ws_engine *e, const void *at, size_t size)
{
    if (e->wslay == NULL) {
        e->wslay = wslay_new(e);
    }
    e->input = (struct slice){at, size};
    int r = wslay_event_recv(e->wslay);
    if (r == WSLAY_ERR_NOMEM) {
        mem_exhausted();
    }
    if (e->ws->is_closed) {
        return; /* the message's receiver wants no more */
    }
    if (r != 0 || !wslay_event_get_read_enabled(e->wslay)) {
        /* Frames were judged before: what is left for wslay to find is the text. */
        violate(e, r == 0 ? CLOSE_BAD_UTF8 : CLOSE_PROTOCOL_ERROR);
        return;
    }
    assert(e->input.size == 0);
}

/* Counts a ping or pong. False: there are too many in this second. */
static bool control_is_allowed(struct ws_engine *e)
{
    uint32_t second = (uint32_t)(e->now_ms / 1000);

    if (e->ws->control_second != second) {
        e->ws->control_second = second;
        e->ws->control_count = 0;
    }
    if (e->ws->control_count >= e->limits->control_max) {
        return false;
    }
    if (e->ws->control_count < UINT16_MAX) {
        e->ws->control_count++;
    }
    return true;
}

/* Judges a data frame against the limits and counts it. */
static void begin_data_frame(struct ws_engine *e, uint64_t size)
{
    if (!e->in_message) {
        e->in_message = true;
        e->is_packed = ws_head_is_packed(&e->head);
        e->fragments = e->empty_fragments = 0;
        e->announced = 0;
    }
    if (size > payload_max(e) || e->announced > payload_max(e) - size) {
        violate(e, CLOSE_TOO_BIG);
        return;
    }
    e->announced += size;
    e->fragments++;
    e->empty_fragments += size == 0;
    if (e->fragments > e->limits->fragments_max) {
        violate(e, CLOSE_TOO_MANY_FRAGMENTS);
        return;
    }
    if (e->empty_fragments > e->limits->empty_max) {
        violate(e, CLOSE_TOO_MANY_EMPTY);
        return;
    }
    wslay_push(e, e->head.at, e->head.size);
}

/* The header is complete. */
static void begin_frame(struct ws_engine *e)
{
    uint64_t size;

    if (!ws_head_payload(&e->head, &size)) {
        violate(e, CLOSE_PROTOCOL_ERROR);
        return;
    }
    e->is_head_whole = true;
    e->frame_left = size;
    if (!ws_head_is_control(&e->head)) {
        begin_data_frame(e, size);
        return;
    }
    e->control_size = 0;
    if (ws_head_opcode(&e->head) != WS_OPCODE_CLOSE && !control_is_allowed(e)) {
        violate(e, CLOSE_PING_FLOOD);
    }
}

/* Takes what belongs to the header; returns how many bytes that was. */
static size_t take_head(struct ws_engine *e, const char *at, size_t size)
{
    struct ws_head *h = &e->head;
    size_t taken = MIN(size, ws_head_wanted(h) - h->size);

    memcpy(h->at + h->size, at, taken);
    h->size = (uint8_t)(h->size + taken);
    if (h->size == 2 && !ws_head_start_is_legal(h, e->in_message, e->ws->may_packed)) {
        violate(e, CLOSE_PROTOCOL_ERROR);
    } else if (h->size >= 2 && h->size == ws_head_wanted(h)) {
        begin_frame(e);
    }
    return taken;
}

static void end_close_frame(struct ws_engine *e)
{
    uint16_t code = 0;

    if (e->control_size > 0) {
        assert(e->control_size >= 2);
        code = (uint16_t)(e->control[0] << 8 | e->control[1]);
        if (!ws_close_code_is_legal(code)) {
            violate(e, CLOSE_PROTOCOL_ERROR);
            return;
        }
        if (!ws_text_is_legal((struct slice){(const char *)e->control + 2, e->control_size - 2u})) {
            violate(e, CLOSE_BAD_UTF8);
            return;
        }
    }
    e->ws->is_closed = true;
    e->events->on_close(e->user, code);
}

/* A control frame is whole: acts on it. */
static void end_control_frame(struct ws_engine *e)
{
    ws_head_unmask(&e->head, e->control, e->control_size);
    switch (ws_head_opcode(&e->head)) {
    case WS_OPCODE_PING:
        e->events->on_ping(e->user, (struct slice){(const char *)e->control, e->control_size});
        return;
    case WS_OPCODE_PONG:
        e->events->on_pong(e->user);
        return;
    case WS_OPCODE_CLOSE:
        end_close_frame(e);
        return;
    case WS_OPCODE_CONTINUATION:
    case WS_OPCODE_TEXT:
    case WS_OPCODE_BINARY:
        break;
    }
    assert(false);
}

/* Takes what belongs to the payload; returns how many bytes that was. */
static size_t take_payload(struct ws_engine *e, const char *at, size_t size)
{
    size_t taken = e->frame_left < size ? (size_t)e->frame_left : size;

    if (taken == 0) {
        return 0;
    }
    e->frame_left -= taken;
    if (ws_head_is_control(&e->head)) {
        memcpy(e->control + e->control_size, at, taken);
        e->control_size = (uint8_t)(e->control_size + taken);
    } else {
        wslay_push(e, at, taken);
    }
    return taken;
}

/* One step: some header bytes, or some payload bytes, and the end of the frame. Returns the bytes
 * taken. */
static size_t take_some(struct ws_engine *e, const char *at, size_t size)
{
    size_t taken = e->is_head_whole ? take_payload(e, at, size) : take_head(e, at, size);

    if (!e->ws->is_closed && e->is_head_whole && e->frame_left == 0) {
        if (ws_head_is_control(&e->head)) {
            end_control_frame(e);
        }
        e->is_head_whole = false;
        e->head.size = 0;
    }
    return taken;
}

static struct ws_engine *engine_free(struct ws_engine *e)
{
    if (e->wslay != NULL) {
        assert(wslay_event_get_queued_msg_count(e->wslay) == 0);
        wslay_event_context_free(e->wslay);
    }
    buf_deinit(&e->message);
    mem_free(e);
    return NULL;
}

static struct ws_engine *engine_take(struct ws_loop *loop)
{
    struct ws_engine *e = loop->spare;

    loop->spare = NULL;
    return e != NULL ? e : mem_new(struct ws_engine);
}

/* Gives an engine back in which nothing is in progress. */
static struct ws_engine *engine_give(struct ws_loop *loop, struct ws_engine *e)
{
    assert(e->head.size == 0 && !e->is_head_whole && !e->in_message && e->message.size == 0);
    if (loop->spare != NULL) {
        return engine_free(e);
    }
    if (e->message.capacity > SPARE_MESSAGE_MAX) {
        buf_deinit(&e->message);
    }
    loop->spare = e;
    return NULL;
}

size_t ws_feed(struct ws *w, struct ws_loop *loop, const char *at, size_t size, int64_t now_ms,
               const struct ws_events *events, void *user)
{
    size_t left = size;

    if (w->is_closed) {
        return size;
    }
    if (w->is_full || size == 0) {
        return 0;
    }
    if (w->engine == NULL) {
        w->engine = engine_take(loop);
    }
    struct ws_engine *e = w->engine;
    e->ws = w;
    e->limits = &loop->limits;
    e->events = events;
    e->user = user;
    e->now_ms = now_ms;

    while (left > 0 && !w->is_closed && !w->is_full) {
        size_t taken = take_some(e, at, left);
        at += taken;
        left -= taken;
    }
    if (w->is_closed) {
        w->engine = engine_free(e);
        return size;
    }
    if (e->head.size == 0 && !e->in_message) {
        w->engine = engine_give(loop, e);
    }
    return size - left;
}

void ws_loop_deinit(struct ws_loop *loop)
{
    if (loop->spare != NULL) {
        loop->spare = engine_free(loop->spare);
    }
}

void ws_deinit(struct ws *w)
{
    if (w->engine != NULL) {
        w->engine = engine_free(w->engine);
    }
    w->is_closed = true;
}
