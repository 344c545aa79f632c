/*
 * gateway_peer.c: the client's end of a session: see gateway_kit.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "gateway/session/sessions_internal.h"
#include "gateway/token/jwt.h"
#include "tests/unit/gateway_kit.h"

#define RSV1 0x40
#define OPCODE_TEXT 0x1
#define OPCODE_CLOSE 0x8
#define OPCODE_PING 0x9
#define OPCODE_PONG 0xa

static struct identity *identity_of(const char *user)
{
    struct jwt_claims claims = {.role_count = 0};

    if (user[0] == '\0') {
        return NULL;
    }
    snprintf(claims.user, sizeof(claims.user), "%s", user);
    snprintf(claims.name, sizeof(claims.name), "%s", user);
    return identity_new(&claims);
}

static void open_peer(struct peer *p, struct kit *k, enum dialect dialect, const char *user,
                      const char *room, bool wants_events, unsigned window)
{
    int fds[2];

    *p = (struct peer){.kit = k};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    p->fd = fds[1];
    sessions_open(k->gateway.sessions, &(struct session_opening){
                                           .fd = fds[0],
                                           .peer = "127.0.0.1:1",
                                           .dialect = dialect,
                                           .window = window,
                                           .room = slice_of(room),
                                           .wants_events = wants_events,
                                           .identity = identity_of(user),
                                           .answer = blob_new(0),
                                       });
    p->handle = k->gateway.sessions->all->prev->handle; /* the newest one is the last one */
    assert_int_not_equal(p->handle, 0);
}

void peer_open(struct peer *p, struct kit *k, enum dialect dialect, const char *user,
               const char *room)
{
    open_peer(p, k, dialect, user, room, false, 0);
}

void peer_open_packed(struct peer *p, struct kit *k, enum dialect dialect, const char *user,
                      const char *room, unsigned window)
{
    open_peer(p, k, dialect, user, room, false, window);
}

void peer_open_with_events(struct peer *p, struct kit *k, const char *user, const char *room)
{
    open_peer(p, k, DIALECT_PLAIN, user, room, true, 0);
}

void peer_connect(struct peer *p, struct kit *k, const char *user)
{
    peer_open(p, k, DIALECT_CENTRIFUGE, user, "");
    peer_send(p, "{\"id\":1,\"connect\":{}}");
    peer_expect_part(p, "{\"id\":1,\"connect\":{\"client\":\"");
}

void peer_join(struct peer *p, struct kit *k, const char *user, const char *room)
{
    peer_connect(p, k, user);
    peer_subscribe(p, room);
    peer_expect_part(p, "{\"id\":2,\"subscribe\":{\"recoverable\":true");
}

void peer_subscribe(struct peer *p, const char *room)
{
    char command[256];

    snprintf(command, sizeof(command), "{\"id\":2,\"subscribe\":{\"channel\":\"%s\"}}", room);
    peer_send(p, command);
    kit_settle(p->kit);
}

void peer_end(struct peer *p)
{
    close(p->fd);
    buf_deinit(&p->bytes);
    buf_deinit(&p->message);
}

struct session *peer_session(const struct peer *p)
{
    return sessions_find(p->kit->gateway.sessions, p->handle);
}

void peer_send_frame(struct peer *p, int opcode, const void *at, size_t size)
{
    static const char mask[4] = {0x12, 0x34, 0x56, 0x78};
    struct buf frame = BUF_EMPTY;

    buf_add_char(&frame, (char)(0x80 | opcode));
    if (size < 126) {
        buf_add_char(&frame, (char)(0x80 | size));
    } else {
        assert_true(size <= UINT16_MAX);
        buf_add_char(&frame, (char)(0x80 | 126));
        buf_add_char(&frame, (char)(size >> 8));
        buf_add_char(&frame, (char)(size & 0xff));
    }
    buf_add(&frame, mask, sizeof(mask));
    for (size_t i = 0; i < size; i++) {
        buf_add_char(&frame, (char)(((const char *)at)[i] ^ mask[i % 4]));
    }
    assert_int_equal(send(p->fd, frame.at, frame.size, MSG_NOSIGNAL), frame.size);
    buf_deinit(&frame);
}

void peer_send(struct peer *p, const char *text)
{
    peer_send_frame(p, OPCODE_TEXT, text, strlen(text));
}

static void take_bytes(struct peer *p)
{
    ssize_t size;

    do {
        size = recv(p->fd, buf_reserve(&p->bytes, 65536), 65536, 0);
        if (size > 0) {
            buf_grew(&p->bytes, (size_t)size);
        }
    } while (size > 0);
    p->is_ended = p->is_ended || size == 0 || (errno != EAGAIN && errno != EINTR);
}

/* Frames as a server sends them: unmasked, whole. False: there is no whole one yet. */
static bool take_frame(struct peer *p, int *opcode, struct slice *payload, size_t *taken)
{
    const unsigned char *at = (const unsigned char *)p->bytes.at;
    size_t head = 2, size;

    if (p->bytes.size < head) {
        return false;
    }
    size = at[1];
    assert_int_equal(at[0] & 0xb0, 0x80);
    assert_true(size <= 127);
    if (size >= 126) {
        size_t digits = size == 126 ? 2 : 8;

        head += digits;
        if (p->bytes.size < head) {
            return false;
        }
        size = 0;
        for (size_t i = 0; i < digits; i++) {
            size = size << 8 | at[2 + i];
        }
    }
    *opcode = at[0] & (RSV1 | 0x0f);
    *payload = (struct slice){p->bytes.at + head, size};
    *taken = head + size;
    return p->bytes.size >= head + size;
}

static void describe(struct peer *p, int opcode, struct slice payload)
{
    buf_clear(&p->message);
    if ((opcode & RSV1) != 0) {
        assert_int_equal(
            deflate_unpack(p->kit->gateway.compress.deflate, payload, 1 << 20, &payload), 0);
        p->packed++;
        opcode &= ~RSV1;
    }
    if (opcode == OPCODE_TEXT) {
        buf_add_slice(&p->message, payload);
    } else if (opcode == OPCODE_PING) {
        buf_add_lit(&p->message, "ping");
    } else if (opcode == OPCODE_PONG) {
        buf_add_lit(&p->message, "pong ");
        buf_add_slice(&p->message, payload);
    } else if (opcode == OPCODE_CLOSE) {
        const unsigned char *code = (const unsigned char *)payload.at;

        buf_addf(&p->message, "close %d %.*s", payload.size >= 2 ? code[0] << 8 | code[1] : 0,
                 payload.size > 2 ? (int)payload.size - 2 : 0, payload.at + 2);
    } else {
        buf_add_lit(&p->message, "binary ");
        for (size_t i = 0; i < payload.size; i++) {
            buf_addf(&p->message, "%02x", (unsigned char)payload.at[i]);
        }
    }
    buf_add_char(&p->message, '\0');
}

const char *peer_next(struct peer *p)
{
    int64_t until = clock_mono_ms() + KIT_WAIT_MS;
    struct slice payload;
    int opcode;
    size_t taken;

    for (;;) {
        kit_turn(p->kit);
        take_bytes(p);
        if (take_frame(p, &opcode, &payload, &taken)) {
            describe(p, opcode, payload);
            buf_consume(&p->bytes, taken);
            return p->message.at;
        }
        if (p->is_ended) {
            return "end";
        }
        if (clock_mono_ms() > until) {
            fail_msg("the peer heard nothing");
        }
        kit_turn_slowly(p->kit);
    }
}

void peer_expect(struct peer *p, const char *want)
{
    const char *got = peer_next(p);

    if (strcmp(got, want) != 0) {
        fail_msg("the peer heard\n%s\ninstead of\n%s", got, want);
    }
}

void peer_expect_part(struct peer *p, const char *part)
{
    const char *got = peer_next(p);

    if (strstr(got, part) == NULL) {
        fail_msg("the peer heard\n%s\nwithout\n%s", got, part);
    }
}

void peer_expect_nothing(struct peer *p)
{
    kit_settle(p->kit);
    take_bytes(p);
    if (p->bytes.size > 0) {
        fail_msg("the peer heard\n%s\ninstead of nothing", peer_next(p));
    }
}

void peer_expect_records(struct peer *p, const char *room, uint64_t first, uint64_t last)
{
    struct buf want = BUF_EMPTY;

    for (uint64_t n = first; n <= last; n++) {
        buf_addf(&want,
                 "%s{\"push\":{\"channel\":\"%s\",\"pub\":{\"data\":{\"n\":%" PRIu64
                 "},\"offset\":%" PRIu64 "}}}",
                 n > first ? "\n" : "", room, n, n);
    }
    buf_add_char(&want, '\0');
    peer_expect(p, want.at);
    buf_deinit(&want);
}

void peer_expect_plain(struct peer *p, uint64_t first, uint64_t last)
{
    char want[64];

    for (uint64_t n = first; n <= last; n++) {
        snprintf(want, sizeof(want), "{\"n\":%" PRIu64 "}", n);
        peer_expect(p, want);
    }
}
