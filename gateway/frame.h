/*
 * frame.h: frames that a server sends (RFC 6455 5.2), ready to be shared.
 */
#ifndef WARREN_GATEWAY_FRAME_H
#define WARREN_GATEWAY_FRAME_H

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

/* A ping without payload; a pong that returns what came (at most 125 bytes). */
struct blob *frame_ping(void) MUST_CHECK;
struct blob *frame_pong(struct slice data) MUST_CHECK;

/* A close frame. `code` 0: without a body. The reason is cut to 123 bytes. */
struct blob *frame_close(uint16_t code, const char *reason) MUST_CHECK;

#endif
