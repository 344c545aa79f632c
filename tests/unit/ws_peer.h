/*
 * ws_peer.h: streams of WebSocket frames for tests, and what was heard of them.
 *
 * Every stream is fed whole, byte by byte, to one who rests after each thing that
 * it hears, and cut in two at every position; what is reported must be the same
 * each time. What was reported is kept as a line of text.
 */
#ifndef WARREN_TESTS_UNIT_WS_PEER_H
#define WARREN_TESTS_UNIT_WS_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"
#include "gateway/ws/deflate.h"
#include "gateway/ws/ws.h"

#define MESSAGE_MAX 1000
#define FRAGMENTS_MAX 8
#define EMPTY_MAX 100
#define CONTROL_MAX 20
#define FRAMES_MAX 6

static struct ws_loop loop = {.limits = {MESSAGE_MAX, FRAGMENTS_MAX, EMPTY_MAX, CONTROL_MAX}};

/* What a peer's callbacks heard. */
struct listener {
    struct ws ws;
    struct buf heard;
    bool stops_at_text;      /* closes at the first message, as a session does that refuses it */
    bool rests;              /* is full after each thing that it hears */
    struct deflate *deflate; /* borrowed; NULL: permessage-deflate was not negotiated */
};

/* The inflater of listeners that expect() makes; NULL: they have none. */
static struct deflate *shared_deflate;

static inline void hear(struct listener *l, const char *what, struct slice bytes)
{
    buf_addf(&l->heard, "%s(", what);
    buf_add_slice(&l->heard, bytes);
    buf_add_lit(&l->heard, ")");
    l->ws.is_full = l->rests;
}

static inline void on_text(void *user, struct slice text)
{
    struct listener *l = user;

    hear(l, "text", text);
    if (l->stops_at_text) {
        l->ws.is_closed = true;
    }
}

static inline void on_binary(void *user, struct slice data)
{
    hear(user, "binary", data);
}

static inline void on_ping(void *user, struct slice data)
{
    hear(user, "ping", data);
}

static inline void on_pong(void *user)
{
    hear(user, "pong", SLICE_NONE);
}

static inline void on_close(void *user, uint16_t code)
{
    struct listener *l = user;

    buf_addf(&l->heard, "close(%u)", code);
}

static inline void on_violation(void *user, enum close_reason reason)
{
    struct listener *l = user;

    buf_addf(&l->heard, "violation(%s)", close_label(reason));
}

static inline int on_unpack(void *user, struct slice payload, size_t size_max,
                            struct slice *message)
{
    struct listener *l = user;

    assert_non_null(l->deflate);
    return deflate_unpack(l->deflate, payload, size_max, message);
}

static const struct ws_events events = {
    on_text, on_binary, on_ping, on_pong, on_close, on_violation, on_unpack,
};

/* One frame of a table. */
struct frame {
    uint8_t first; /* FIN, reserved bits, opcode */
    const char *payload;
    int size;         /* of the payload; 0: its strlen() */
    int length_bytes; /* 0: the shortest form; else 2 or 8 */
    bool is_bare;     /* not masked */
    bool is_cut;      /* the payload is announced but does not come */
};

/* A frame by its first byte and payload; with further members. */
#define F(first_byte, bytes)                                                                       \
    {                                                                                              \
        .first = (first_byte), .payload = (bytes)                                                  \
    }
#define F_AS(first_byte, bytes, ...)                                                               \
    {                                                                                              \
        .first = (first_byte), .payload = (bytes), __VA_ARGS__                                     \
    }

#define FIN 0x80
#define CONTINUATION 0x0
#define TEXT 0x1
#define BINARY 0x2
#define CLOSE 0x8
#define PING 0x9
#define PONG 0xa

static inline void add_length(struct buf *out, uint64_t size, int length_bytes, int mask_bit)
{
    if (length_bytes == 0) {
        length_bytes = size < 126 ? 0 : size <= UINT16_MAX ? 2 : 8;
    }
    if (length_bytes == 0) {
        buf_add_char(out, (char)(mask_bit | (int)size));
        return;
    }
    buf_add_char(out, (char)(mask_bit | (length_bytes == 2 ? 126 : 127)));
    for (int i = length_bytes - 1; i >= 0; i--) {
        buf_add_char(out, (char)(size >> 8 * i & 0xff));
    }
}

static inline void add_frame(struct buf *out, const struct frame *f)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t size = f->size > 0 ? (size_t)f->size : strlen(f->payload);

    buf_add_char(out, (char)f->first);
    add_length(out, size, f->length_bytes, f->is_bare ? 0 : 0x80);
    if (!f->is_bare) {
        buf_add(out, mask, sizeof(mask));
    }
    for (size_t i = 0; i < size && !f->is_cut; i++) {
        buf_add_char(out, (char)(f->payload[i] ^ (f->is_bare ? 0 : mask[i % 4])));
    }
}

static inline void feed(struct listener *l, const char *at, size_t size)
{
    size_t taken;

    do {
        l->ws.is_full = false;
        taken = ws_feed(&l->ws, &loop, at, size, 5000, &events, l);
        assert_true(taken == size || (l->rests && taken > 0));
        at += taken;
        size -= taken;
    } while (size > 0);
}

static inline struct listener listener_new(bool stops_at_text)
{
    return (struct listener){
        .ws = {.may_packed = shared_deflate != NULL},
        .stops_at_text = stops_at_text,
        .deflate = shared_deflate,
    };
}

static inline void expect_heard(struct listener *l, const char *want, const char *how, size_t at)
{
    buf_add_char(&l->heard, '\0');
    if (strcmp(l->heard.at, want) != 0) {
        fail_msg("fed %s (%zu): heard \"%s\" instead of \"%s\"", how, at, l->heard.at, want);
    }
    ws_deinit(&l->ws);
    ws_loop_deinit(&loop);
    assert_true(ws_is_idle(&l->ws));
    buf_deinit(&l->heard);
    *l = listener_new(l->stops_at_text);
}

/* Feeds the stream in all the ways. */
static inline void expect(struct slice stream, const char *want, bool stops_at_text)
{
    struct listener l = listener_new(stops_at_text);

    feed(&l, stream.at, stream.size);
    expect_heard(&l, want, "whole", stream.size);
    for (size_t i = 0; i < stream.size; i++) {
        feed(&l, stream.at + i, 1);
    }
    expect_heard(&l, want, "byte by byte", 1);
    l.rests = true;
    feed(&l, stream.at, stream.size);
    expect_heard(&l, want, "with rests", stream.size);
    for (size_t cut = 1; cut < stream.size; cut++) {
        feed(&l, stream.at, cut);
        feed(&l, stream.at + cut, stream.size - cut);
        expect_heard(&l, want, "cut at", cut);
    }
}

struct stream {
    struct frame frames[FRAMES_MAX]; /* ended by one without a payload */
    const char *want;
};

static inline void expect_all(const struct stream *streams, size_t count, bool stops_at_text)
{
    for (size_t i = 0; i < count; i++) {
        struct buf bytes = BUF_EMPTY;
        for (size_t k = 0; k < FRAMES_MAX && streams[i].frames[k].payload != NULL; k++) {
            add_frame(&bytes, &streams[i].frames[k]);
        }
        expect(buf_slice(&bytes), streams[i].want, stops_at_text);
        buf_deinit(&bytes);
    }
}

#endif
