/* acceptor.c: see acceptor.h. */
#include "common/acceptor.h"

#include <errno.h>
#include <unistd.h>

#include "common/log.h"
#include "common/net.h"

#define REST_S 0.2

void acceptor_has_room(struct acceptor *a)
{
    if (!ev_is_active(&a->rest)) {
        ev_io_start(a->loop, &a->acceptable);
    }
}

static void on_rested(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)events;
    struct acceptor *a = container_of(watcher, struct acceptor, rest);

    if (a->hooks.has_room(a->hooks.user)) {
        ev_io_start(loop, &a->acceptable);
    }
}

static void take_a_rest(struct acceptor *a)
{
    ev_io_stop(a->loop, &a->acceptable);
    ev_timer_set(&a->rest, REST_S, 0);
    ev_timer_start(a->loop, &a->rest);
}

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct acceptor *a = container_of(watcher, struct acceptor, acceptable);

    if ((events & EV_ERROR) != 0) {
        take_a_rest(a); /* common/loop.h */
        return;
    }
    if (!a->hooks.has_room(a->hooks.user)) {
        ev_io_stop(loop, &a->acceptable);
        if (a->hooks.were_full != NULL) {
            a->hooks.were_full(a->hooks.user);
        }
        return;
    }
    do {
        struct net_addr peer;
        int fd = net_accept(a->fd, &peer);

        if (fd == -EAGAIN || fd == -ECONNABORTED) {
            return;
        }
        if (fd < 0) {
            take_a_rest(a);
            return;
        }
        a->hooks.take(a->hooks.user, fd);
    } while (a->hooks.has_room(a->hooks.user));
}

int acceptor_init(struct acceptor *a, struct ev_loop *loop, const char *address, const char *name,
                  const struct acceptor_hooks *hooks)
{
    struct net_addr addr;

    if (net_parse(&addr, address) < 0) {
        log_error("%s address is not ADDRESS:PORT address=%s", name,
                  log_quote(address, strlen(address)));
        return -1;
    }
    int fd = net_listen(&addr, false);
    if (fd < 0) {
        log_error("%s cannot listen address=%s reason=\"%s\"", name, address, strerror(-fd));
        return -1;
    }
    *a = (struct acceptor){.loop = loop, .hooks = *hooks, .fd = fd};
    ev_timer_init(&a->rest, on_rested, 0, 0);
    ev_io_init(&a->acceptable, on_acceptable, fd, EV_READ);
    ev_io_start(loop, &a->acceptable);
    return 0;
}

void acceptor_deinit(struct acceptor *a)
{
    ev_io_stop(a->loop, &a->acceptable);
    ev_timer_stop(a->loop, &a->rest);
    close(a->fd);
}
