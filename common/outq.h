/*
 * outq.h: the blobs that wait to be written to one socket.
 *
 * A queue that is empty holds no memory, so that an idle session costs only
 * this struct. It does not know its limit: the owner compares `bytes` with the
 * limit before it adds, and closes whoever reads too slowly.
 */
#ifndef WARREN_COMMON_OUTQ_H
#define WARREN_COMMON_OUTQ_H

#include "common/base.h"
#include "common/blob.h"

#define OUTQ_IOV_MAX 64 /* blobs in one system call */
#define OUTQ_TURN_BYTES                                                                            \
    262144 /* a flush stops after so many bytes, so that neighbours get their turn */

struct outq {
    struct blob **slots; /* owns a ring of shared blobs; NULL while empty */
    uint32_t capacity;   /* slots in the ring, a power of two */
    uint32_t head;       /* slot of the oldest blob */
    uint32_t count;      /* blobs in the ring */
    uint32_t head_sent;  /* bytes of the oldest blob that have left */
    uint32_t passing;    /* blobs up to the one that may be replaced, with it; 0: none may */
    uint64_t bytes;      /* bytes that have not left, head_sent taken off */
};

#define OUTQ_EMPTY ((struct outq){NULL, 0, 0, 0, 0, 0, 0})

enum outq_answer {
    OUTQ_DRAINED = 1, /* everything has left */
    OUTQ_BLOCKED = 2, /* the socket takes no more now, or the turn's share is used up */
};

/* Drops every blob and makes the queue inert. */
void outq_deinit(struct outq *q);

/* Takes its own reference of the blob. One without bytes is not queued. */
void outq_add(struct outq *q, struct blob *b);

/* Takes over the caller's reference. */
void outq_take(struct outq *q, struct blob *b);

/* What was queued last may be replaced, and nothing that was queued before it. */
void outq_mark(struct outq *q);

/* Puts `b`, which has bytes, in the place of what may be replaced, with a reference of its own; it
 * may be replaced in turn. False: there is none, or some of it has left. */
bool outq_replace(struct outq *q, struct blob *b) MUST_CHECK;

/* Writes until empty, blocked or the turn's share is used up, with sendmsg() rather than writev():
 * a peer that is gone is an answer (-EPIPE), never a SIGPIPE. `fd` is a socket, blocking or not.
 * OUTQ_DRAINED, OUTQ_BLOCKED, or -errno. */
int outq_flush(struct outq *q, int fd) MUST_CHECK;

/* Copies up to `size` bytes from the front to `at` and forgets them, for who writes them by other
 * means. Returns how many. */
size_t outq_move(struct outq *q, char *at, size_t size);

#endif
