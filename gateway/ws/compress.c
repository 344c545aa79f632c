/*
 * compress.c: see compress.h.
 */
#include "gateway/ws/compress.h"

#include "common/buf.h"
#include "gateway/ws/frame.h"

#define TURN_BYTES 131072 /* about 2 ms of one core */

void compress_init(struct compress *c, const struct gateway_conf *conf, struct metrics *metrics)
{
    *c = (struct compress){
        .size_min = (size_t)conf->compression_min,
        .turn_left = TURN_BYTES,
        .metrics = metrics,
    };
    if (conf->compression) {
        c->deflate = deflate_new((int)conf->compression_level, (int)conf->compression_memory);
    }
}

void compress_deinit(struct compress *c)
{
    c->deflate = deflate_free(c->deflate);
}

void compress_turn(struct compress *c)
{
    c->turn_left = TURN_BYTES;
}

/* Appends a frame, packed if that makes it smaller. True if it was. */
static bool add_frame(struct compress *c, struct buf *out, const struct frame_part *frame,
                      unsigned window)
{
    struct slice packed = SLICE_NONE;

    if (frame->payload.size >= c->size_min && frame->payload.size > 0) {
        packed = deflate_pack(c->deflate, frame->payload, window);
        stat_add(&c->metrics->packed, 1);
        stat_add(&c->metrics->packed_before, frame->payload.size);
        stat_add(&c->metrics->packed_after, MIN(packed.size, frame->payload.size));
    }
    if (packed.size > 0 && packed.size < frame->payload.size) {
        frame_add_packed(out, frame->is_text, packed);
        return true;
    }
    buf_add_slice(out, frame->whole);
    return false;
}

struct blob *compress_shared(struct compress *c, struct blob *frames, unsigned window)
{
    struct slice rest = blob_slice(frames);
    struct buf out = BUF_EMPTY;
    struct frame_part frame;
    bool is_smaller = false;

    if (frames->size < c->size_min) {
        return blob_ref(frames);
    }
    while (frame_next(&rest, &frame)) {
        is_smaller = add_frame(c, &out, &frame, window) || is_smaller;
    }
    struct blob *packed = is_smaller ? blob_copy(out.at, out.size) : blob_ref(frames);
    buf_deinit(&out);
    return packed;
}

struct blob *compress_single(struct compress *c, struct blob *frames, unsigned window)
{
    if (frames->size < c->size_min || frames->size > c->turn_left) {
        return blob_ref(frames);
    }
    c->turn_left -= frames->size;
    return compress_shared(c, frames, window);
}

int compress_undo(struct compress *c, struct slice payload, size_t size_max, struct slice *message)
{
    int r = deflate_unpack(c->deflate, payload, size_max, message);

    stat_add(&c->metrics->unpacked, 1);
    stat_add(&c->metrics->unpacked_before, payload.size);
    stat_add(&c->metrics->unpacked_after, r == 0 ? message->size : 0);
    return r;
}
