/*
 * sessions.h: all sessions: births, the flush at the end of a turn, deaths.
 */
#ifndef WARREN_GATEWAY_SESSION_SESSIONS_H
#define WARREN_GATEWAY_SESSION_SESSIONS_H

#include "common/base.h"
#include "common/blob.h"
#include "gateway/session/session.h"

struct sessions;

/* No sessions yet. */
struct sessions *sessions_new(struct gateway *g) MUST_CHECK;
/* Ends what is left without a word. Accepts NULL; returns NULL. */
struct sessions *sessions_free(struct sessions *all);

/* What an upgraded connection brings. */
struct session_opening {
    int fd;                    /* taken over */
    struct tls_peer *tls;      /* taken over; NULL: plain */
    struct crowd_place *place; /* taken over; may be NULL */
    const char *peer;          /* address as text */
    enum dialect dialect;
    unsigned window;           /* bits: permessage-deflate is spoken (extension.h); 0: it is not */
    struct slice room;         /* plain dialect: the room to enter */
    bool wants_events;         /* plain dialect: joins and leaves, too */
    bool native_pings;         /* WebSocket's pings rather than the protocol's */
    struct identity *identity; /* taken over; NULL: connect has to bring a token (centrifuge), or
                                  the backend tells (plain) */
    struct blob *headers;      /* taken over: lines for the backend (hooks.h); NULL: none */
    struct blob *answer;       /* taken over: the 101 head, to be sent first */
    struct slice early;        /* bytes that came behind the request head */
};

/* A new session. It may be closing already when this returns (bad early bytes). */
void sessions_open(struct sessions *all, const struct session_opening *o);

/* The live session of a handle, or NULL. */
struct session *sessions_find(struct sessions *all, session_handle handle);

/* Those that are not freed yet. */
size_t sessions_count(const struct sessions *all);

/* End of the turn, first of all: connect commands whose rooms are there are answered. */
void sessions_go_on(struct sessions *all);

/* End of the turn: one write for each session that was given something; then the dead are freed. */
void sessions_flush(struct sessions *all);
void sessions_reap(struct sessions *all);

/* Calls `act` for every open session; it may end the session that it is given. */
void sessions_each(struct sessions *all, void (*act)(struct session *s, void *user), void *user);

/* Ends the oldest sessions, with 3001, so that `stay` are left. Those that wait for the answer to a
 * publish are not read any more and end when they have it, or at once if nobody `waits` for that.
 * Returns how many are open. */
size_t sessions_drain(struct sessions *all, size_t stay, bool waits);

/* Ends all whose token was revoked, and subscriptions whose own token was, if anything was since
 * the last time. The end of a turn. */
void sessions_end_revoked(struct sessions *all);

#endif
