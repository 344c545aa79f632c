/*
 * admin.h: /live, /ready and /metrics on an address of its own.
 *
 * Runs in a libev loop; at most ADMIN_CLIENTS_MAX connections at once, each
 * for at most ADMIN_CLIENT_MS. Everything a request shows comes from the
 * callbacks, which only read.
 */
#ifndef WARREN_COMMON_ADMIN_H
#define WARREN_COMMON_ADMIN_H

#include <ev.h>

#include "common/base.h"
#include "common/buf.h"
#include "common/stats.h"

#define ADMIN_CLIENTS_MAX 32
#define ADMIN_CLIENT_MS 5000

struct admin_hooks {
    void *user;
    bool (*is_live)(void *user);
    /* NULL when ready, else the reason in a few words. */
    const char *(*not_ready)(void *user);
    void (*metrics)(void *user, struct buf *out);
    /* Counted: there were so many clients, one had no more time. May be NULL. */
    stat_value *were_full, *late;
};

struct admin;

/* Listens on `address` ("127.0.0.1:9180"). NULL after writing one error line. */
struct admin *admin_new(struct ev_loop *loop, const char *address,
                        const struct admin_hooks *hooks) MUST_CHECK;

/* Accepts NULL. Closes everything; returns NULL. */
struct admin *admin_free(struct admin *a);

#endif
