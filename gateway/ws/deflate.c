/*
 * deflate.c: see deflate.h.
 *
 * A message begins with the state that deflateReset() or inflateReset() leaves:
 * nothing of an earlier message can be referred to, whoever sent it.
 */
#include "gateway/ws/deflate.h"

#define ZLIB_CONST
#include <zlib.h>

#include "common/buf.h"
#include "common/mem.h"

#define KEEP_MAX 262144 /* bytes of a result that are not given back afterwards */
#define STEP_MIN 4096   /* bytes inflated at once */
#define FLUSH_SIZE 16   /* bytes that a flush adds, and some */

/* What a sender takes off and a receiver puts back (RFC 7692 7.2.1, 7.2.2). */
static const unsigned char tail[4] = {0x00, 0x00, 0xff, 0xff};

struct deflate {
    int level, memory;
    z_stream *packers[DEFLATE_WINDOW_MAX + 1]; /* owns; by window, NULL: not asked for yet */
    z_stream unpacker;
    struct buf packed, unpacked; /* own: the last results */
};

static void *on_alloc(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return mem_zalloc(count, size);
}

static void on_free(void *opaque, void *at)
{
    (void)opaque;
    mem_free(at);
}

struct deflate *deflate_new(int level, int memory)
{
    struct deflate *d = mem_new(struct deflate);

    d->level = level;
    d->memory = memory;
    d->unpacker = (z_stream){.zalloc = on_alloc, .zfree = on_free};
    int r = inflateInit2(&d->unpacker, -DEFLATE_WINDOW_MAX);
    assert(r == Z_OK);
    return d;
}

struct deflate *deflate_free(struct deflate *d)
{
    if (d == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(d->packers); i++) {
        if (d->packers[i] != NULL) {
            (void)deflateEnd(d->packers[i]); /* "data was discarded" is no failure */
            mem_free(d->packers[i]);
        }
    }
    inflateEnd(&d->unpacker);
    buf_deinit(&d->packed);
    buf_deinit(&d->unpacked);
    mem_free(d);
    return NULL;
}

/* An empty buffer, without what one huge message made of it. */
static void result_begin(struct buf *b)
{
    if (b->capacity > KEEP_MAX) {
        buf_deinit(b);
    }
    buf_clear(b);
}

/* A compressor at the start of a message. */
static z_stream *packer_begin(struct deflate *d, unsigned window)
{
    int r;

    assert(window >= DEFLATE_WINDOW_MIN && window <= DEFLATE_WINDOW_MAX);
    if (d->packers[window] != NULL) {
        r = deflateReset(d->packers[window]);
    } else {
        d->packers[window] = mem_new(z_stream);
        *d->packers[window] = (z_stream){.zalloc = on_alloc, .zfree = on_free};
        r = deflateInit2(d->packers[window], d->level, Z_DEFLATED, -(int)window, d->memory,
                         Z_DEFAULT_STRATEGY);
    }
    assert(r == Z_OK);
    return d->packers[window];
}

struct slice deflate_pack(struct deflate *d, struct slice message, unsigned window)
{
    z_stream *z = packer_begin(d, window);

    assert(message.size <= UINT32_MAX);
    result_begin(&d->packed);
    z->next_in = (const Bytef *)message.at;
    z->avail_in = (uInt)message.size;
    do {
        size_t room = deflateBound(z, z->avail_in) + FLUSH_SIZE;
        z->next_out = (Bytef *)buf_reserve(&d->packed, room);
        z->avail_out = (uInt)room;
        int r = deflate(z, Z_SYNC_FLUSH);
        assert(r == Z_OK || r == Z_BUF_ERROR);
        buf_grew(&d->packed, room - z->avail_out);
    } while (z->avail_out == 0);
    assert(z->avail_in == 0);
    assert(d->packed.size > sizeof(tail));
    assert(memcmp(d->packed.at + d->packed.size - sizeof(tail), tail, sizeof(tail)) == 0);
    d->packed.size -= sizeof(tail);
    return buf_slice(&d->packed);
}

/* True if the data stops where a block may begin. */
static bool is_between_blocks(const z_stream *z)
{
    return (z->data_type & 128) != 0;
}

/* Inflates some more of the message. 0, DEFLATE_TOO_BIG or DEFLATE_BROKEN; `*ends` tells whether
 * the last byte ended a final block. With Z_BLOCK as `flush` zlib stops between two blocks. */
static int unpack_some(struct deflate *d, struct slice part, int flush, size_t size_max, bool *ends)
{
    z_stream *z = &d->unpacker;
    size_t step = MAX((size_t)STEP_MIN, part.size * 4);

    assert(part.size <= UINT32_MAX);
    z->next_in = (const Bytef *)part.at;
    z->avail_in = (uInt)part.size;
    do {
        size_t room = MIN(step, size_max + 1 - d->unpacked.size);
        z->next_out = (Bytef *)buf_reserve(&d->unpacked, room);
        z->avail_out = (uInt)room;
        int r = inflate(z, flush);
        buf_grew(&d->unpacked, room - z->avail_out);
        if (r != Z_OK && r != Z_BUF_ERROR && r != Z_STREAM_END) {
            return DEFLATE_BROKEN;
        }
        if (d->unpacked.size > size_max) {
            return DEFLATE_TOO_BIG;
        }
        *ends = r == Z_STREAM_END;
        if (*ends) {
            inflateReset(z); /* another stream may follow (RFC 7692 7.2.3.4) */
        }
    } while (z->avail_in > 0 || (z->avail_out == 0 && !*ends));
    return 0;
}

int deflate_unpack(struct deflate *d, struct slice payload, size_t size_max, struct slice *message)
{
    bool ends = false;

    assert(size_max < UINT32_MAX);
    result_begin(&d->unpacked);
    inflateReset(&d->unpacker);
    if (payload.size > 0) { /* some send nothing for the empty message */
        int r = unpack_some(d, payload, Z_SYNC_FLUSH, size_max, &ends);
        if (r == 0 && !ends) {
            const struct slice rest = {(const char *)tail, sizeof(tail)};
            r = unpack_some(d, rest, Z_BLOCK, size_max, &ends);
            if (r == 0 && (ends || !is_between_blocks(&d->unpacker))) {
                r = DEFLATE_BROKEN;
            }
        }
        if (r != 0) {
            return r;
        }
    }
    *message = buf_slice(&d->unpacked);
    return 0;
}
