/*
 * ws.h: WebSocket frames of one connection (RFC 6455, RFC 7692 6), as a server.
 *
 * The only user of wslay, which unmasks, joins fragments and checks UTF-8.
 * In front of it stands a check of our own: every frame header is judged
 * before wslay sees it (mask, reserved bits, opcode, shortest length, limits),
 * and control frames are held until they are whole. That check also knows when
 * nothing is in progress; then the wslay context (8.7 KB) is given back, so that an idle
 * connection costs only this struct. One context waits in the loop for the next message, whose
 * ever it is: most messages are whole when they are read, and take no memory.
 *
 * Text is judged while it comes, across fragments. A compressed message is
 * collected as it came, inflated when it is whole, and its text judged then:
 * an inflater of its own, and memory between its fragments, is what it must not
 * have.
 */
#ifndef WARREN_GATEWAY_WS_WS_H
#define WARREN_GATEWAY_WS_WS_H

#include "common/base.h"
#include "common/blob.h"
#include "gateway/session/close.h"

struct ws_limits {
    uint32_t message_max;   /* bytes of a message: 1009 above it, before memory is taken; also of
                             * a compressed one, and of what it becomes */
    uint32_t fragments_max; /* frames of one message: 1008 above it */
    uint32_t empty_max;     /* of them without payload: 1008 above it */
    uint32_t control_max;   /* ping and pong frames in one second: 1008 above it */
};

struct ws_engine; /* wslay's context and what is in progress; only while something is */

/* What the connections of one loop share. */
struct ws_loop {
    struct ws_limits limits;
    struct ws_engine *spare; /* owns; nothing is in progress in it; NULL: there is none */
};

/* Frees the spare engine. The connections are ended by ws_deinit(). */
void ws_loop_deinit(struct ws_loop *loop);

struct ws {
    struct ws_engine *engine; /* owns; NULL while idle */
    uint32_t control_second;  /* of the clock: when control_count began */
    uint16_t control_count;
    bool is_closed : 1;  /* a close frame came or a violation was found: what follows is ignored */
    bool is_full : 1;    /* set and cleared by the owner: it takes nothing more now */
    bool may_packed : 1; /* permessage-deflate was negotiated: messages may come with RSV1 */
};

#define WS_IDLE ((struct ws){NULL, 0, 0, false, false, false})

/* What happened; called from ws_feed(), in order. The slices are valid during the call. A callback
 * may not call ws_feed() or ws_deinit() of the same connection, but may set ws.is_closed to have
 * the rest ignored, and ws.is_full to have it left alone. */
struct ws_events {
    void (*on_text)(void *user, struct slice text); /* a whole message, valid UTF-8 */
    void (*on_binary)(void *user, struct slice data);
    /* At most 125 bytes: answer with frame_pong(). */
    void (*on_ping)(void *user, struct slice data);
    void (*on_pong)(void *user);
    /* The peer's close frame: its code, or 0 when it carried none. The answer is the caller's. */
    void (*on_close)(void *user, uint16_t code);
    /* A violation: close with this reason. Nothing more is reported. */
    void (*on_violation)(void *user, enum close_reason reason);
    /* Inflates a message that came compressed: promises as deflate_unpack(). Never called without
     * ws.may_packed. */
    int (*unpack)(void *user, struct slice payload, size_t size_max, struct slice *message);
};

/* Takes bytes from the peer. `now_ms` for the rate of control frames. Returns how many were taken:
 * all, unless ws.is_full was set; then the rest is the caller's, who brings it again. */
size_t ws_feed(struct ws *w, struct ws_loop *loop, const char *at, size_t size, int64_t now_ms,
               const struct ws_events *events, void *user);

/* True when no message or frame is in progress. */
static inline bool ws_is_idle(const struct ws *w)
{
    return w->engine == NULL;
}

/* Forgets what is in progress; bytes that come later are ignored. */
void ws_deinit(struct ws *w);

#endif
