/*
 * session.h: one WebSocket client.
 *
 *     OPEN ──► CLOSING ──► DEAD
 *       └───────────────────▲
 *
 * OPEN reads and writes. CLOSING has queued its close frame, left all rooms and
 * waits for the peer's close; after close_wait_ms TCP is reset. DEAD is freed at
 * the end of the turn, never inside a callback. Only session_enter() writes the
 * state.
 *
 * Others refer to a session across an asynchronous gap by its handle, which is never used again.
 */
#ifndef WARREN_GATEWAY_SESSION_SESSION_H
#define WARREN_GATEWAY_SESSION_SESSION_H

#include <ev.h>

#include "common/base.h"
#include "common/deadline.h"
#include "common/outq.h"
#include "gateway/session/close.h"
#include "gateway/token/identity.h"
#include "gateway/ws/deflate.h"
#include "gateway/ws/ws.h"
#include "proto/limits.h"
#include "proto/reply.h"

#define SESSION_READ_SIZE 16384 /* bytes for each read, from one buffer that all sessions share */
#define SESSION_UNPACK_MAX                                                                         \
    262144 /* bytes inflated for a session in one turn: it reads on in the next one */

enum dialect {
    DIALECT_CENTRIFUGE, /* /connection/websocket, in JSON */
    DIALECT_PROTOBUF,   /* the same in Protobuf */
    DIALECT_PLAIN,      /* /ws */
    DIALECT_ECHO,       /* /echo */
    DIALECT_COUNT
};

/* Sessions of one variant get the very same frames: its dialect, and how these are compressed. */
#define SESSION_WINDOWS (DEFLATE_WINDOW_MAX - DEFLATE_WINDOW_MIN + 2)
#define SESSION_VARIANTS (DIALECT_COUNT * SESSION_WINDOWS)

/* The variant of a dialect and a window's bits (0: not compressed). */
static inline unsigned session_variant(enum dialect dialect, unsigned window)
{
    assert(window == 0 || (window >= DEFLATE_WINDOW_MIN && window <= DEFLATE_WINDOW_MAX));
    return (window == 0 ? 0 : window - DEFLATE_WINDOW_MIN + 1) * DIALECT_COUNT + dialect;
}

static inline unsigned session_variant_window(unsigned variant)
{
    return variant < DIALECT_COUNT ? 0 : variant / DIALECT_COUNT + DEFLATE_WINDOW_MIN - 1;
}

static inline enum dialect session_variant_dialect(unsigned variant)
{
    return (enum dialect)(variant % DIALECT_COUNT);
}

enum session_state { SESSION_OPEN, SESSION_CLOSING, SESSION_DEAD };

struct codec;
struct account;
struct asking;
struct connecting;
struct crowd_place;
struct gateway;
struct session_strain;
struct subscription;
struct tls_peer;

typedef uint64_t session_handle; /* 0: nobody */

struct session {
    struct gateway *gateway; /* borrowed: outlives every session */
    session_handle handle;
    struct identity *identity; /* owns; NULL before a good connect command */
    struct subscription
        *subscriptions; /* links: of this session, through subscription.next_of_session */
    struct connecting *connecting; /* owns; NULL but while the connect command waits for rooms */
    struct session *next_dirty;    /* links: those with something to flush */
    struct session *next_ready;    /* links: those whose connect command can be answered */
    struct session *prev, *next;   /* links: all sessions */
    struct account *account;       /* borrowed; users.h; NULL: nothing is limited by user */
    ev_io io;                      /* readable, and writable while blocked */
    struct tls_peer *tls;          /* owns; NULL: plain */
    struct crowd_place *place;     /* owns; NULL: its address is not counted */
    struct session_strain *strain; /* owns; NULL unless it speaks too fast or reads too slowly */
    int64_t spent_us;              /* see session_charge() */
    struct asking *asking;         /* owns; asking.h; NULL: nothing was asked about it yet */
    struct ws ws;
    struct outq out;
    struct blob *early;     /* owns: input that was read already and has to wait; NULL: none */
    struct deadline ping;   /* next ping, or the first one */
    struct deadline wait;   /* stale, pong or close: one of them at a time */
    struct deadline expiry; /* of the token and of subscriptions' */
    int64_t opened_ms;
    int64_t error_window_ms;
    int64_t publish_full_us; /* pace.h */
    uint32_t errors;         /* error replies in this window */
    uint32_t unanswered;     /* publishes that wait for the broker */
    uint16_t questions;      /* open ones */
    uint16_t room_count;
    uint8_t dialect, variant, state, reason;
    bool is_dirty;     /* in the flush list */
    bool is_held;      /* nothing is read: what it says has to wait */
    bool is_going;     /* the gateway ends: closed as soon as its publishes are answered */
    bool is_connected; /* centrifuge: connect was answered; plain: from the start */
    bool awaits_pong;
    bool refreshes;         /* the client can refresh its token: it came by the connect command */
    bool wants_events;      /* plain: it is told of more than records */
    bool native_pings;      /* WebSocket's rather than the protocol's; plain: always */
    bool is_closed_by_peer; /* its close frame came */
    bool is_noticed;        /* programs are told when it ends */
    bool is_refused; /* the connect command was answered with an error: nothing more is served */
    char client[CLIENT_ID_SIZE + 1];
    char peer[48];
};

/* Text for this session alone, as one frame. */
void session_send_text(struct session *s, struct slice text);

/* The codec of its commands and replies (proto/codec.h); NULL when its dialect is not Centrifuge's.
 */
const struct codec *session_codec(const struct session *s);

/* An empty buffer for a message of the session's codec. It is one for all sessions: fill it and
 * send it at once. */
struct buf *session_reply(struct session *s) MUST_CHECK;
/* Sends what was written there, as one frame. */
void session_send_reply(struct session *s, const struct buf *reply);

/* Frames for this session alone, compressed if it likes that; takes them over. */
void session_take_frames(struct session *s, struct blob *frames);

/* A frame that others get too; takes a reference of its own. Whoever is further behind than
 * out_queue is closed. */
void session_send_frame(struct session *s, struct blob *frame);

/* An error reply; whoever provokes too many of them is closed. */
void session_send_error(struct session *s, uint32_t id, enum reply_error code);
/* The same, of a backend. */
void session_send_refusal(struct session *s, uint32_t id, const struct reply_refusal *r);

/* Ends the session: queues the close frame, leaves all rooms. The first reason counts.
 *
 * Centrifuge clients are told by the close frame's code and reason and not by a `disconnect` push,
 * which the protocol has for transports that cannot close with words: SDKs act on both alike, but
 * what is between (balancers, logs, clients of the plain dialect) understands the frame alone, and
 * nothing can come behind it. */
void session_close(struct session *s, enum close_reason reason);

/* The same with a code of 3000 to 4999 and words that somebody chose; these are not empty. */
void session_close_with(struct session *s, uint16_t code, const char *text);

/* Watches the ends of its token and of its subscriptions, if they have any. */
void session_watch_expiry(struct session *s);

/* The connect command was good (centrifuge), or the upgrade brought an identity: pings begin, the
 * token's end is watched. The session is closed if its user has as many as may be. */
void session_connected(struct session *s);

/* Takes nothing from the peer until it is released; closing releases it too. What was read already
 * is kept (`early`). */
void session_hold(struct session *s);
void session_release(struct session *s);

/* The peer answered a ping (or sent anything that counts as one). */
void session_pong(struct session *s);

/* `{"name":"Ann","gateway":"g1"}`, or the token's `info`: what records and presence say about the
 * sender. */
void session_info(const struct session *s, struct buf *out);

static inline bool session_is_open(const struct session *s)
{
    return s->state == SESSION_OPEN;
}

#endif
