/*
 * frame.c: see frame.h. A server's frames carry no mask (RFC 6455 5.1).
 */
#include "gateway/ws/frame.h"

#define FIN 0x80
#define RSV1 0x40
#define OPCODE_TEXT 0x1
#define OPCODE_BINARY 0x2
#define OPCODE_CLOSE 0x8
#define OPCODE_PING 0x9
#define OPCODE_PONG 0xa
#define CONTROL_MAX 125 /* bytes of a control frame's payload */

/* Writes the head of an unfragmented frame in the shortest form; returns its size. */
static size_t frame_head(char head[FRAME_HEAD_MAX], int opcode, uint64_t size)
{
    head[0] = (char)(FIN | opcode);
    if (size < 126) {
        head[1] = (char)size;
        return 2;
    }
    int length_size = size <= UINT16_MAX ? 2 : 8;
    head[1] = length_size == 2 ? 126 : 127;
    for (int i = 0; i < length_size; i++) {
        head[2 + i] = (char)(size >> 8 * (length_size - 1 - i) & 0xff);
    }
    return 2 + (size_t)length_size;
}

static struct blob *frame_new(int opcode, struct slice payload)
{
    char head[FRAME_HEAD_MAX];
    size_t head_size = frame_head(head, opcode, payload.size);
    assert(payload.size <= UINT32_MAX - FRAME_HEAD_MAX);

    struct blob *b = blob_new((uint32_t)(head_size + payload.size));
    memcpy(b->bytes, head, head_size);
    if (payload.size > 0) {
        memcpy(b->bytes + head_size, payload.at, payload.size);
    }
    return b;
}

struct blob *frame_text(struct slice text)
{
    return frame_new(OPCODE_TEXT, text);
}

struct blob *frame_binary(struct slice data)
{
    return frame_new(OPCODE_BINARY, data);
}

static void frame_add(struct buf *out, int opcode, struct slice payload)
{
    char head[FRAME_HEAD_MAX];

    buf_add(out, head, frame_head(head, opcode, payload.size));
    buf_add_slice(out, payload);
}

void frame_add_text(struct buf *out, struct slice text)
{
    frame_add(out, OPCODE_TEXT, text);
}

void frame_add_binary(struct buf *out, struct slice data)
{
    frame_add(out, OPCODE_BINARY, data);
}

void frame_add_packed(struct buf *out, bool is_text, struct slice packed)
{
    frame_add(out, RSV1 | (is_text ? OPCODE_TEXT : OPCODE_BINARY), packed);
}

bool frame_next(struct slice *rest, struct frame_part *out)
{
    const unsigned char *at = (const unsigned char *)rest->at;
    size_t head_size = 2;

    if (rest->size == 0) {
        return false;
    }
    uint64_t size = at[1];
    if (size >= 126) {
        size_t digits = size == 126 ? 2 : 8;
        size = 0;
        for (size_t i = 0; i < digits; i++) {
            size = size << 8 | at[2 + i];
        }
        head_size += digits;
    }
    assert(at[0] == (FIN | OPCODE_TEXT) || at[0] == (FIN | OPCODE_BINARY));
    assert(rest->size >= head_size + size);
    out->is_text = at[0] == (FIN | OPCODE_TEXT);
    out->whole = (struct slice){rest->at, head_size + size};
    out->payload = (struct slice){rest->at + head_size, size};
    rest->at += head_size + size;
    rest->size -= head_size + size;
    return true;
}

struct blob *frame_ping(void)
{
    return frame_new(OPCODE_PING, SLICE_NONE);
}

struct blob *frame_pong(struct slice data)
{
    assert(data.size <= CONTROL_MAX);
    return frame_new(OPCODE_PONG, data);
}

struct blob *frame_close(uint16_t code, const char *reason)
{
    if (code == 0) {
        return frame_new(OPCODE_CLOSE, SLICE_NONE);
    }
    char payload[CONTROL_MAX];
    size_t size = strlen(reason);
    if (size > CONTROL_MAX - 2) {
        size = CONTROL_MAX - 2;
        while (size > 0 &&
               ((unsigned char)reason[size] & 0xc0) == 0x80) { /* not inside a character */
            size--;
        }
    }
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    memcpy(payload + 2, reason, size);
    return frame_new(OPCODE_CLOSE, (struct slice){payload, size + 2});
}
