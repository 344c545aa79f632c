/*
 * acceptor.h: listens on an address and hands over whoever connects, while there is room.
 *
 * Who has no room waits in the backlog; so does everybody for a moment when descriptors or memory
 * have run out: without that rest the listener would wake the loop at once, again and again.
 */
#ifndef WARREN_COMMON_ACCEPTOR_H
#define WARREN_COMMON_ACCEPTOR_H

#include <ev.h>

#include "common/base.h"

struct acceptor_hooks {
    bool (*has_room)(void *user);
    /* The socket is non-blocking, and the callee's from here on. */
    void (*take)(void *user, int fd);
    void *user;
    void (*were_full)(void *user); /* somebody waits for want of room; may be NULL */
};

struct acceptor {
    struct ev_loop *loop; /* borrowed */
    struct acceptor_hooks hooks;
    int fd; /* owns; listens */
    ev_io acceptable;
    ev_timer rest;
};

/* Listens on "ADDRESS:PORT". `name` says in the log whose address it is. 0, or -1 after one line;
 * then there is nothing to deinit. */
int acceptor_init(struct acceptor *a, struct ev_loop *loop, const char *address, const char *name,
                  const struct acceptor_hooks *hooks) MUST_CHECK;

/* Closes the listening socket; sockets that were handed over live on. */
void acceptor_deinit(struct acceptor *a);

/* There may be room again. */
void acceptor_has_room(struct acceptor *a);

#endif
