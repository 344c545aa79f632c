/*
 * connecting.h: a connect command that waits for the rooms that the server puts its session into.
 *
 * Its reply names their positions, and nothing may be sent before it: what comes
 * for the session is held, and what comes from the client waits. The reply is
 * sent at the end of the turn in which the last room is there.
 */
#ifndef WARREN_GATEWAY_DIALECT_CONNECTING_H
#define WARREN_GATEWAY_DIALECT_CONNECTING_H

#include "common/base.h"
#include "common/buf.h"
#include "common/outq.h"

struct blob;
struct session;

struct connecting {
    uint32_t command_id;
    uint32_t pending;  /* rooms, and one while these are being entered */
    bool is_ready;     /* in sessions->ready */
    struct buf subs;   /* a list of the session's codec: the answered ones */
    struct buf later;  /* messages of the client */
    struct outq held;  /* frames for the client */
    struct blob *data; /* owns; raw JSON of the backend for the reply; NULL: none */
};

/* The session waits from now on, for one thing until connecting_less() is called. */
void connecting_begin(struct session *s, uint32_t command_id);

/* One thing less to wait for. */
void connecting_less(struct session *s);

/* A message of the client waits; the session is closed when it is too much. */
void connecting_keep(struct session *s, struct slice message);

/* A frame for the client waits; the session is closed when it is too far behind. */
void connecting_hold(struct session *s, struct blob *frame);

/* It waits no longer, and what was kept is forgotten. Does nothing if it does not wait. */
void connecting_end(struct session *s);

/* The same, but the caller gets what was kept. Freed with connecting_free(). */
struct connecting *connecting_take(struct session *s) MUST_CHECK;
void connecting_free(struct connecting *c);

/* Sends the frames that were held. */
void connecting_release(struct session *s, const struct connecting *c);

#endif
