/*
 * conn_arrive.c: a connection before its request: who it is, and TLS.
 *
 *     conn_arrive() ──► CONN_PROXY ──► CONN_HANDSHAKE ──► CONN_READING
 *
 * Each step is skipped when it is not configured. Who is to be refused is refused at once where
 * that can be said in plain HTTP, and behind its TLS handshake otherwise.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/edge/conn_internal.h"
#include "gateway/edge/tries.h"
#include "gateway/edge/trust.h"
#include "gateway/gateway.h"

static void refuse_address(struct conn *c, enum limit limit, const char *why)
{
    limit_met(&c->conns->gateway->metrics.limits, limit);
    c->refusal = 429;
    c->refusal_why = why;
}

void conn_set_client(struct conn *c, const struct net_addr *a)
{
    struct gateway *g = c->conns->gateway;

    c->peer = *a;
    (void)net_text(a, c->peer_text);
    if (trust_has(g->trust, a)) {
        return; /* a balancer's connections are those of many */
    }
    int64_t now_ms = clock_mono_ms();

    if (tries_is_over(g->comers, a, now_ms)) {
        refuse_address(c, LIMIT_ADDRESS_RATE, "this address comes too often");
        return;
    }
    tries_add(g->comers, a, now_ms);
    if (!crowd_enter(g->crowd, a, &c->place)) {
        stat_add(&g->metrics.crowded, 1);
        refuse_address(c, LIMIT_PER_ADDRESS, "too many connections of this address");
        return;
    }
    if (c->head != NULL) {
        return; /* its request is here: a balancer has told who it is */
    }
    if (!crowd_knock(c->place, g->conf->address_handshakes)) {
        refuse_address(c, LIMIT_ADDRESS_HANDSHAKES, "too many unfinished handshakes");
        return;
    }
    c->knock = c->place;
}

bool conn_take_forwarded(struct conn *c)
{
    struct gateway *g = c->conns->gateway;
    struct net_addr client;

    if (!trust_has(g->trust, &c->peer) || !trust_forwarded(g->trust, c->head, &client)) {
        return true;
    }
    conn_set_client(c, &client);
    if (c->refusal != 0) {
        conn_refuse(c, c->refusal, RETRY_AFTER, c->refusal_why);
        return false;
    }
    return true;
}

void conn_has_arrived(struct conn *c)
{
    c->conns->arriving -= c->is_arriving;
    c->is_arriving = false;
    crowd_arrived(c->knock);
    c->knock = NULL;
    stat_set(&c->conns->gateway->metrics.handshakes, c->conns->arriving);
}

static void begin_reading(struct conn *c)
{
    c->state = CONN_READING;
    mem_free(c->proxy);
    c->proxy = NULL;
    if (c->refusal != 0) {
        conn_refuse(c, c->refusal, RETRY_AFTER, c->refusal_why);
        return;
    }
    conn_watch(c, EV_READ);
}

static void fail_handshake(struct conn *c)
{
    static struct log_limit limit;

    stat_add(&c->conns->gateway->metrics.tls_failed, 1);
    if (log_is_debug() && log_allowed(&limit)) {
        log_debug("TLS handshake failed peer=%s error=\"%s\"", c->peer_text, tls_error());
    }
    conn_free(c);
}

static void go_on_shaking(struct conn *c)
{
    struct metrics *m = &c->conns->gateway->metrics;

    switch (tls_handshake(c->tls)) {
    case TLS_DONE:
        stat_add(&m->tls_handshakes, 1);
        stat_add(&m->tls_kernel, tls_is_in_kernel(c->tls));
        begin_reading(c);
        return;
    case TLS_WANTS_READ:
        conn_watch(c, EV_READ);
        return;
    case TLS_WANTS_WRITE:
        conn_watch(c, EV_WRITE);
        return;
    default:
        fail_handshake(c);
    }
}

static void begin_shaking(struct conn *c)
{
    struct tls *tls = c->conns->gateway->tls;

    if (tls == NULL) {
        begin_reading(c);
        return;
    }
    c->state = CONN_HANDSHAKE;
    c->tls = tls_accept(tls, c->fd);
    if (c->tls == NULL) {
        fail_handshake(c);
        return;
    }
    conn_watch(c, EV_READ);
}

static void refuse_proxy(struct conn *c)
{
    static struct log_limit limit;

    stat_add(&c->conns->gateway->metrics.proxy_bad, 1);
    if (log_allowed(&limit)) {
        log_warn("no PROXY header from a trusted balancer peer=%s", c->peer_text);
    }
    conn_free(c);
}

static void read_proxy(struct conn *c)
{
    struct proxy_bytes *p = c->proxy;
    struct net_addr client;
    size_t need;
    int r = proxy_read(p->at, p->size, &need, &client);

    while (r == PROXY_MORE) {
        ssize_t size = recv(c->fd, p->at + p->size, need - p->size, 0);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (size <= 0) {
            conn_free(c);
            return;
        }
        p->size += (size_t)size;
        r = proxy_read(p->at, p->size, &need, &client);
    }
    if (r < 0) {
        refuse_proxy(c);
        return;
    }
    if (r == PROXY_CLIENT) {
        conn_set_client(c, &client);
    }
    begin_shaking(c);
}

void conn_arrive(struct conn *c)
{
    struct gateway *g = c->conns->gateway;

    if (g->conf->proxy_protocol && trust_has(g->trust, &c->peer)) {
        c->state = CONN_PROXY;
        c->proxy = mem_new(struct proxy_bytes);
        conn_watch(c, EV_READ);
        return;
    }
    begin_shaking(c);
}

void conn_go_on_arriving(struct conn *c)
{
    if (c->state == CONN_PROXY) {
        read_proxy(c);
    } else {
        assert(c->state == CONN_HANDSHAKE);
        go_on_shaking(c);
    }
}
