/*
 * listener.c: see listener.h.
 */
#include "gateway/edge/listener.h"

#include <errno.h>
#include <ev.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/net.h"
#include "gateway/edge/conn.h"
#include "gateway/gateway.h"

struct listener {
    struct gateway *gateway; /* borrowed: outlives its parts */
    int fd;                  /* owns */
    ev_io acceptable;
    ev_timer pause;
    bool is_short; /* of descriptors or memory since the last good accept: said once */
};

static bool means_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    struct listener *l = container_of(timer, struct listener, pause);

    ev_io_start(loop, &l->acceptable);
}

/* Leaves those who knock in the backlog for a while. */
static void pause_accepting(struct listener *l, int error)
{
    stat_add(&l->gateway->metrics.accept_pauses, 1);
    if (!l->is_short) {
        l->is_short = true;
        log_warn("accepting pauses error=\"%s\"", strerror(error));
    }
    ev_io_stop(l->gateway->loop, &l->acceptable);
    ev_timer_set(&l->pause, LISTENER_PAUSE_MS / 1000.0, 0.0);
    ev_timer_start(l->gateway->loop, &l->pause);
}

/* Accepts one connection. False when there is none, or none can be had now. */
static bool accept_one(struct listener *l)
{
    struct net_addr peer;
    int fd = net_accept(l->fd, &peer);

    if (fd < 0 && means_shortage(-fd)) {
        pause_accepting(l, -fd);
        return false;
    }
    if (fd < 0) {
        return fd != -EAGAIN; /* anything else is the end of that one connection only */
    }
    if (l->is_short) {
        l->is_short = false;
        log_info("accepting goes on");
    }
    net_limit_silence(fd, l->gateway->conf->tcp_timeout_ms);
    stat_add(&l->gateway->metrics.connections_accepted, 1);
    conns_take(l->gateway->conns, fd, &peer);
    return true;
}

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    struct listener *l = container_of(watcher, struct listener, acceptable);

    if ((events & EV_ERROR) != 0) {
        pause_accepting(l, ENOMEM); /* common/loop.h */
        return;
    }
    for (int i = 0; i < LISTENER_TURN_MAX && accept_one(l); i++) {
    }
}

struct listener *listener_new(struct gateway *g)
{
    struct net_addr address;

    if (net_parse(&address, g->conf->listen) != 0) {
        log_error("cannot listen: no numeric address and port address=%s",
                  log_quote(g->conf->listen, strlen(g->conf->listen)));
        return NULL;
    }
    int fd = net_listen(&address, true);
    if (fd < 0) {
        log_error("cannot listen address=%s error=\"%s\"", g->conf->listen, strerror(-fd));
        return NULL;
    }
    if (g->conf->defer_accept_ms > 0) {
        net_defer_accept(fd, g->conf->defer_accept_ms);
    }
    struct listener *l = mem_new(struct listener);
    l->gateway = g;
    l->fd = fd;
    ev_io_init(&l->acceptable, on_acceptable, fd, EV_READ);
    ev_timer_init(&l->pause, on_pause_over, 0.0, 0.0);
    ev_io_start(g->loop, &l->acceptable);
    return l;
}

struct listener *listener_free(struct listener *l)
{
    if (l != NULL) {
        ev_io_stop(l->gateway->loop, &l->acceptable);
        ev_timer_stop(l->gateway->loop, &l->pause);
        close(l->fd);
        mem_free(l);
    }
    return NULL;
}
