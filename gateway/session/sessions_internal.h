/*
 * sessions_internal.h: what session.c and sessions.c share and nobody else sees.
 */
#ifndef WARREN_GATEWAY_SESSION_SESSIONS_INTERNAL_H
#define WARREN_GATEWAY_SESSION_SESSIONS_INTERNAL_H

#include "common/buf.h"
#include "common/deadline.h"
#include "gateway/session/session.h"
#include "gateway/session/sessions.h"

#define PING_STARTS                                                                                \
    4 /* queues for a session's first ping: a returning crowd is not pinged at once */

struct session_slot {
    struct session *session; /* NULL: free */
    uint32_t generation;     /* of the session that is or was here last */
    uint32_t next_free;
};

struct sessions {
    struct gateway *gateway;         /* borrowed */
    struct session *all;             /* owns: list */
    struct session *dirty;           /* links: to be flushed */
    struct session *dead;            /* owns: to be freed */
    struct session *ready;           /* links: connect commands to be answered */
    struct session_slot *slots;      /* owns */
    uint32_t slot_count, first_free; /* first_free == slot_count: none */
    size_t count;
    struct deadline_queue ping_first[PING_STARTS];
    struct deadline_queue ping; /* every ping_ms */
    struct deadline_queue pong, stale, close_wait;
    struct deadline_queue paced;  /* sessions that are not read for a while */
    struct deadline_queue rested; /* those that have had their share of a turn */
    struct deadline_queue late;   /* those whose peers do not take what is queued */
    struct deadline_queue expiry; /* once a second: looks at the token's end */
    struct blob *ping_frames[DIALECT_COUNT];
    struct ws_loop ws_loop;
    int64_t taken_ms;   /* when the bytes came that are being taken */
    size_t inflated;    /* bytes, in this turn, for the session that is being read */
    struct buf scratch; /* texts of replies while they are built */
    char read_buffer[SESSION_READ_SIZE];
};

/* The only function that writes the state. */
void session_enter(struct session *s, enum session_state next);

/* Puts the session on the flush list. */
void session_mark_dirty(struct session *s);

/* Gives the slot back, frees what is left. Only for SESSION_DEAD. */
void session_free(struct session *s);

/* Starts to watch an opened session's socket. */
void session_begin(struct session *s);

/* Writes what is queued and watches for writability if needed. */
void session_flush(struct session *s);

/* While its bytes are taken: `count` messages came: beyond [gateway] message_rate and message_burst
 * nothing more is taken for a while. */
void session_charge(struct session *s, uint64_t count);

/* The same: so many bytes were inflated: beyond SESSION_UNPACK_MAX nothing more is taken in this
 * turn. */
void session_charge_inflated(struct session *s, size_t size);

/* True while it is not read. */
bool session_is_paced(const struct session *s);

/* Ends all waits of session_io.c. */
void session_unstrain(struct session *s);

/* The same, and it is read, whatever it was that had to wait. */
void session_let_go(struct session *s);

/* For the queues of that name. */
void sessions_on_pace_due(struct deadline_queue *q, struct deadline *d);
void sessions_on_late_due(struct deadline_queue *q, struct deadline *d);

/* Bytes that came from the peer; those that have to wait are kept as `early`, which must be free.
 */
void session_take_bytes(struct session *s, const char *at, size_t size);

#endif
