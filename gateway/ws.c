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
#include "gateway/ws.h"

#include <wslay/wslay.h>

#include "common/buf.h"
#include "common/mem.h"

#define HEAD_MAX 14      /* bytes: 2, a length of 8, a mask of 4 */
#define CONTROL_SIZE 125 /* bytes of a control frame's payload at most */
#define EMPTY_MAX 100    /* frames without payload in one message: 1008 above it */

enum opcode {
    OPCODE_CONTINUATION = 0x0,
    OPCODE_TEXT = 0x1,
    OPCODE_BINARY = 0x2,
    OPCODE_CLOSE = 0x8,
    OPCODE_PING = 0x9,
    OPCODE_PONG = 0xa,
};

struct ws_engine {
    wslay_event_context_ptr wslay; /* owns; NULL before the first data frame */
    /* The frame in progress. */
    unsigned char head[HEAD_MAX];
    uint8_t head_size; /* bytes of the header so far; 0 between frames */
    bool is_head_whole;
    uint64_t frame_left; /* bytes of the payload to come */
    unsigned char control[CONTROL_SIZE];
    uint8_t control_size;
    /* The message in progress. */
    bool in_message; /* a data frame has begun, the final one has not ended */
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

static bool is_control(const struct ws_engine *e)
{
    return (e->head[0] & 0x8) != 0;
}

static bool is_final(const struct ws_engine *e)
{
    return (e->head[0] & 0x80) != 0;
}

static enum opcode opcode_of(const struct ws_engine *e)
{
    return (enum opcode)(e->head[0] & 0x0f);
}

static void violate(struct ws_engine *e, enum close_reason reason)
{
    e->ws->is_closed = true;
    e->events->on_violation(e->user, reason);
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
    assert(e->message.size <= e->limits->message_max);
}

static void on_wslay_message(wslay_event_context_ptr ctx,
                             const struct wslay_event_on_msg_recv_arg *message, void *user)
{
    (void)ctx;
    struct ws_engine *e = user;
    assert(!wslay_is_ctrl_frame(message->opcode));

    e->in_message = false;
    if (message->opcode == WSLAY_TEXT_FRAME) {
        e->events->on_text(e->user, buf_slice(&e->message));
    } else {
        e->events->on_binary(e->user, buf_slice(&e->message));
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
    wslay_event_config_set_max_recv_msg_length(ctx, e->limits->message_max);
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

/* The size of the header that is being collected, as far as it is known. */
static size_t head_wanted(const struct ws_engine *e)
{
    if (e->head_size < 2) {
        return 2;
    }
    size_t mask = (e->head[1] & 0x80) != 0 ? 4 : 0;
    switch (e->head[1] & 0x7f) {
    case 126:
        return 4 + mask;
    case 127:
        return 10 + mask;
    default:
        return 2 + mask;
    }
}

static uint64_t payload_size(const struct ws_engine *e)
{
    uint64_t size = e->head[1] & 0x7f;
    int length_bytes = size == 126 ? 2 : size == 127 ? 8 : 0;

    if (length_bytes > 0) {
        size = 0;
        for (int i = 0; i < length_bytes; i++) {
            size = size << 8 | e->head[2 + i];
        }
    }
    return size;
}

/* What the first two bytes of a header show. */
static bool start_is_legal(const struct ws_engine *e)
{
    unsigned size = e->head[1] & 0x7f;

    if ((e->head[0] & 0x70) != 0 || (e->head[1] & 0x80) == 0) {
        return false; /* reserved bits (no extension is spoken), no mask */
    }
    switch (opcode_of(e)) {
    case OPCODE_CONTINUATION:
        return e->in_message;
    case OPCODE_TEXT:
    case OPCODE_BINARY:
        return !e->in_message;
    case OPCODE_CLOSE:
        return is_final(e) && size <= CONTROL_SIZE && size != 1;
    case OPCODE_PING:
    case OPCODE_PONG:
        return is_final(e) && size <= CONTROL_SIZE;
    }
    return false;
}

static bool length_is_shortest(const struct ws_engine *e, uint64_t size)
{
    switch (e->head[1] & 0x7f) {
    case 126:
        return size > 125;
    case 127:
        return size > UINT16_MAX && size <= INT64_MAX;
    default:
        return true;
    }
}

/* Counts a ping or pong. False: there are too many in this second. */
static bool control_is_allowed(struct ws_engine *e)
{
    int64_t second = e->now_ms / 1000;

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
        e->fragments = e->empty_fragments = 0;
        e->announced = 0;
    }
    if (size > e->limits->message_max || e->announced > e->limits->message_max - size) {
        violate(e, CLOSE_TOO_BIG);
        return;
    }
    e->announced += size;
    e->fragments++;
    e->empty_fragments += size == 0;
    if (e->fragments > e->limits->fragments_max || e->empty_fragments > EMPTY_MAX) {
        violate(e, CLOSE_TOO_MANY_FRAGMENTS);
        return;
    }
    wslay_push(e, e->head, e->head_size);
}

/* The header is complete. */
static void begin_frame(struct ws_engine *e)
{
    uint64_t size = payload_size(e);

    if (!length_is_shortest(e, size)) {
        violate(e, CLOSE_PROTOCOL_ERROR);
        return;
    }
    e->is_head_whole = true;
    e->frame_left = size;
    if (!is_control(e)) {
        begin_data_frame(e, size);
        return;
    }
    e->control_size = 0;
    if (opcode_of(e) != OPCODE_CLOSE && !control_is_allowed(e)) {
        violate(e, CLOSE_PING_FLOOD);
    }
}

/* Takes what belongs to the header; returns how many bytes that was. */
static size_t take_head(struct ws_engine *e, const char *at, size_t size)
{
    size_t taken = MIN(size, head_wanted(e) - e->head_size);

    memcpy(e->head + e->head_size, at, taken);
    e->head_size = (uint8_t)(e->head_size + taken);
    if (e->head_size == 2 && !start_is_legal(e)) {
        violate(e, CLOSE_PROTOCOL_ERROR);
    } else if (e->head_size >= 2 && e->head_size == head_wanted(e)) {
        begin_frame(e);
    }
    return taken;
}

/* The codes that may be sent (RFC 6455 7.4 and IANA's registry). */
static bool close_code_is_legal(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

/* True if the bytes are UTF-8 (RFC 3629). */
static bool is_utf8(const unsigned char *at, size_t size)
{
    for (size_t i = 0; i < size;) {
        unsigned char c = at[i++];
        if (c < 0x80) {
            continue;
        }
        int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c < 0xc2 || c > 0xf4 || size - i < (size_t)more) {
            return false;
        }
        unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (at[i] < low || at[i] > high) {
            return false; /* overlong, surrogate, or above U+10FFFF */
        }
        for (i++; --more > 0; i++) {
            if ((at[i] & 0xc0) != 0x80) {
                return false;
            }
        }
    }
    return true;
}

static void end_close_frame(struct ws_engine *e)
{
    uint16_t code = 0;

    if (e->control_size > 0) {
        assert(e->control_size >= 2);
        code = (uint16_t)(e->control[0] << 8 | e->control[1]);
        if (!close_code_is_legal(code)) {
            violate(e, CLOSE_PROTOCOL_ERROR);
            return;
        }
        if (!is_utf8(e->control + 2, e->control_size - 2u)) {
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
    const unsigned char *mask = e->head + 2;

    for (unsigned i = 0; i < e->control_size; i++) {
        e->control[i] ^= mask[i % 4];
    }
    switch (opcode_of(e)) {
    case OPCODE_PING:
        e->events->on_ping(e->user, (struct slice){(const char *)e->control, e->control_size});
        return;
    case OPCODE_PONG:
        e->events->on_pong(e->user);
        return;
    case OPCODE_CLOSE:
        end_close_frame(e);
        return;
    case OPCODE_CONTINUATION:
    case OPCODE_TEXT:
    case OPCODE_BINARY:
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
    if (is_control(e)) {
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
        if (is_control(e)) {
            end_control_frame(e);
        }
        e->is_head_whole = false;
        e->head_size = 0;
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

void ws_feed(struct ws *w, const struct ws_limits *limits, const char *at, size_t size,
             int64_t now_ms, const struct ws_events *events, void *user)
{
    if (w->is_closed || size == 0) {
        return;
    }
    if (w->engine == NULL) {
        w->engine = mem_new(struct ws_engine);
    }
    struct ws_engine *e = w->engine;
    e->ws = w;
    e->limits = limits;
    e->events = events;
    e->user = user;
    e->now_ms = now_ms;

    while (size > 0 && !w->is_closed) {
        size_t taken = take_some(e, at, size);
        at += taken;
        size -= taken;
    }
    if (w->is_closed || (e->head_size == 0 && !e->in_message)) {
        w->engine = engine_free(e);
    }
}

void ws_deinit(struct ws *w)
{
    if (w->engine != NULL) {
        w->engine = engine_free(w->engine);
    }
    w->is_closed = true;
}
