/*
 * frame.h: frames that a server sends (RFC 6455 5.2), ready to be shared.
 */
#ifndef WARREN_GATEWAY_WS_FRAME_H
#define WARREN_GATEWAY_WS_FRAME_H

#include "common/base.h"
#include "common/blob.h"
#include "common/buf.h"

#define FRAME_HEAD_MAX 10

/* One text frame with a copy of `text`. One reference. */
struct blob *frame_text(struct slice text) MUST_CHECK;

/* Appends a frame to a buffer: several frames can share one blob. */
void frame_add_text(struct buf *out, struct slice text);
void frame_add_binary(struct buf *out, struct slice data);

/* The same with a binary frame. */
struct blob *frame_binary(struct slice data) MUST_CHECK;

/* A frame of ours, as it stands in a blob. */
struct frame_part {
    bool is_text; /* else binary */
    struct slice whole, payload;
};

/* Takes the next frame off `rest`, which frames of text and data fill (frame_add_*()). False: there
 * is none left. */
bool frame_next(struct slice *rest, struct frame_part *out) MUST_CHECK;

/* Appends a frame whose payload permessage-deflate made (RFC 7692 6: its RSV1 is set). */
void frame_add_packed(struct buf *out, bool is_text, struct slice packed);

/* A ping without payload; a pong that returns what came (at most 125 bytes). */
struct blob *frame_ping(void) MUST_CHECK;
struct blob *frame_pong(struct slice data) MUST_CHECK;

/* A close frame. `code` 0: without a body. The reason is cut to 123 bytes. */
struct blob *frame_close(uint16_t code, const char *reason) MUST_CHECK;

#endif
