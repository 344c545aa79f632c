/*
 * fuzz_ws.c: WebSocket frames of a client: however they are cut, and whenever who hears them takes
 * a rest, what is reported is the same; a text is UTF-8; and what a client frames comes out as it
 * went in. With and without permessage-deflate.
 */
#include "gateway/ws/deflate.h"
#include "gateway/ws/ws.h"
#include "tests/fuzz/fuzz.h"

#define MESSAGE_MAX 1000
#define TEXT 0x1
#define BINARY 0x2

static struct ws_loop loop = {
    .limits = {
        .message_max = MESSAGE_MAX, .fragments_max = 8, .empty_max = 100, .control_max = 20}};

static struct deflate *deflate;

struct listener {
    struct ws ws;
    bool rests; /* is full after each message */
    struct buf heard;
};

static void hear(struct listener *l, const char *what, struct slice bytes)
{
    buf_add_slice(&l->heard, slice_of(what));
    buf_add_char(&l->heard, ' ');
    buf_add_u64(&l->heard, bytes.size);
    buf_add_char(&l->heard, ':');
    buf_add_slice(&l->heard, bytes);
}

static void rest(struct listener *l)
{
    l->ws.is_full = l->rests;
}

/* Another decoder than the one that judged the text. */
static void check_utf8(struct slice text)
{
    for (size_t i = 0; i < text.size;) {
        unsigned char c = (unsigned char)text.at[i];
        size_t more = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : 3;
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        uint32_t point = more == 0 ? c : c & (0x3fu >> more);

        FUZZ_CHECK((c < 0x80 || c >= 0xc0) && c < 0xf8 && more < text.size - i);
        for (size_t n = 1; n <= more; n++) {
            FUZZ_CHECK(((unsigned char)text.at[i + n] & 0xc0) == 0x80);
            point = point << 6 | ((unsigned char)text.at[i + n] & 0x3fu);
        }
        FUZZ_CHECK(point >= least[more] && point <= 0x10ffff);
        FUZZ_CHECK(point < 0xd800 || point > 0xdfff);
        i += more + 1;
    }
}

static void on_text(void *user, struct slice text)
{
    FUZZ_CHECK(text.size <= MESSAGE_MAX);
    check_utf8(text);
    hear(user, "text", text);
    rest(user);
}

static void on_binary(void *user, struct slice data)
{
    FUZZ_CHECK(data.size <= MESSAGE_MAX);
    hear(user, "binary", data);
    rest(user);
}

static void on_ping(void *user, struct slice data)
{
    FUZZ_CHECK(data.size <= 125);
    hear(user, "ping", data);
}

static void on_pong(void *user)
{
    hear(user, "pong", SLICE_NONE);
}

static void on_close(void *user, uint16_t code)
{
    struct listener *l = user;

    buf_addf(&l->heard, "close %u", code);
}

static void on_violation(void *user, enum close_reason reason)
{
    struct listener *l = user;

    buf_addf(&l->heard, "violation %d", reason);
}

static int on_unpack(void *user, struct slice payload, size_t size_max, struct slice *message)
{
    const struct listener *l = user;

    FUZZ_CHECK(l->ws.may_packed);
    FUZZ_CHECK(size_max == MESSAGE_MAX);
    FUZZ_CHECK(payload.size <= 2 * MESSAGE_MAX);
    return deflate_unpack(deflate, payload, size_max, message);
}

static const struct ws_events events = {
    .on_text = on_text,
    .on_binary = on_binary,
    .on_ping = on_ping,
    .on_pong = on_pong,
    .on_close = on_close,
    .on_violation = on_violation,
    .unpack = on_unpack,
};

/* Who rests is brought the rest until all is taken. */
static void feed(struct listener *l, const char *at, size_t size)
{
    do {
        l->ws.is_full = false;
        size_t taken = ws_feed(&l->ws, &loop, at, size, 1000, &events, l);
        FUZZ_CHECK(taken <= size && taken > 0);
        FUZZ_CHECK(taken == size || (l->rests && l->ws.is_full && !l->ws.is_closed));
        at += taken;
        size -= taken;
    } while (size > 0);
}

/* `cuts`: 0 for one byte at a time, SIZE_MAX for all at once, else at random. What was heard before
 * is forgotten. */
static void listen_to(struct listener *l, bool may_packed, const char *at, size_t size,
                      uint64_t cuts)
{
    l->ws = WS_IDLE;
    l->ws.may_packed = may_packed;
    buf_clear(&l->heard);
    while (size > 0) {
        size_t part = cuts == 0 ? 1 : cuts == SIZE_MAX ? size : fuzz_part(&cuts, size);
        const char one = *at, *copy = part == 1 ? &one : fuzz_copy(at, part);

        feed(l, copy, part);
        if (copy != &one) {
            fuzz_free(copy);
        }
        FUZZ_CHECK(!l->ws.is_closed || ws_is_idle(&l->ws));
        at += part;
        size -= part;
    }
    ws_deinit(&l->ws);
}

/* The input as the payload of a client's frames: two fragments, masked. */
static void check_payload(const char *at, size_t size, int opcode)
{
    const char mask[4] = {at[0], at[size / 2], '\x5a', at[size - 1]};
    size_t first = size / 2;
    static struct buf stream;
    static struct listener l, want;

    buf_clear(&stream);
    for (int i = 0; i < 2; i++) {
        size_t begin = i == 0 ? 0 : first, end = i == 0 ? first : size;

        buf_add_char(&stream, (char)(i == 0 ? opcode : 0x80));
        if (end - begin < 126) {
            buf_add_char(&stream, (char)(0x80 | (end - begin)));
        } else {
            buf_add_char(&stream, (char)(0x80 | 126));
            buf_add_char(&stream, (char)((end - begin) >> 8));
            buf_add_char(&stream, (char)((end - begin) & 0xff));
        }
        buf_add(&stream, mask, sizeof(mask));
        char *to = buf_reserve(&stream, end - begin);
        for (size_t n = begin; n < end; n++) {
            to[n - begin] = (char)(at[n] ^ mask[(n - begin) % 4]);
        }
        buf_grew(&stream, end - begin);
    }
    listen_to(&l, false, stream.at, stream.size, SIZE_MAX);
    buf_clear(&want.heard);
    hear(&want, opcode == TEXT ? "text" : "binary", (struct slice){at, size});
    if (opcode == BINARY || (l.heard.size > 0 && l.heard.at[0] == 't')) {
        FUZZ_CHECK(slice_equal(buf_slice(&l.heard), buf_slice(&want.heard)));
    }
}

static void check_cuts(const uint8_t *data, size_t size, bool may_packed, uint64_t *seed)
{
    const uint64_t cuts[] = {0, *seed, fuzz_seed(data, size / 2)};
    static struct listener whole, parts;

    listen_to(&whole, may_packed, (const char *)data, size, SIZE_MAX);
    for (struct fuzz_ways cut = fuzz_ways(seed, ARRAY_LEN(cuts)); cut.is < cut.end; cut.is++) {
        parts.rests = (cuts[cut.is] & 1) != 0;
        listen_to(&parts, may_packed, (const char *)data, size, cuts[cut.is]);
        FUZZ_CHECK(slice_equal(buf_slice(&whole.heard), buf_slice(&parts.heard)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t seed = fuzz_seed(data, size);

    if (deflate == NULL) {
        deflate = deflate_new(1, 1);
    }
    for (struct fuzz_ways way = fuzz_ways(&seed, 3); way.is < way.end; way.is++) {
        if (way.is < 2) {
            check_cuts(data, size, way.is == 1, &seed);
        } else if (size > 0 && size <= MESSAGE_MAX) {
            check_payload((const char *)data, size, TEXT);
            check_payload((const char *)data, size, BINARY);
        }
    }
    return 0;
}
