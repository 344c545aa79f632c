/*
 * conn_internal.h: what conn.c and conn_arrive.c share and nobody else sees.
 */
#ifndef WARREN_GATEWAY_EDGE_CONN_INTERNAL_H
#define WARREN_GATEWAY_EDGE_CONN_INTERNAL_H

#include <ev.h>

#include "common/deadline.h"
#include "common/net.h"
#include "common/outq.h"
#include "gateway/edge/conn.h"
#include "gateway/edge/crowd.h"
#include "gateway/edge/proxy.h"
#include "gateway/edge/tls.h"

enum conn_state { CONN_PROXY, CONN_HANDSHAKE, CONN_READING, CONN_ANSWERING, CONN_LINGERING };

struct proxy_bytes {
    size_t size;
    uint8_t at[PROXY_HEADER_MAX];
};

struct conn {
    struct conns *conns;       /* borrowed: outlives its members */
    struct conn *prev, *next;  /* links: all connections */
    int fd;                    /* owns; -1 once a session has it */
    struct tls_peer *tls;      /* owns; NULL: plain, or the handshake has not begun */
    struct crowd_place *place; /* owns; NULL: not counted */
    struct crowd_place *knock; /* borrowed: the same, while it counts there as without a request */
    enum conn_state state;
    ev_io io;
    struct deadline deadline;  /* of the head, of taking the answer, of lingering */
    struct proxy_bytes *proxy; /* owns; while the balancer's header arrives */
    struct http_head *head;    /* owns; NULL before the first byte and after the verdict */
    struct outq answer;        /* what is still to be written */
    size_t discarded;          /* bytes, while lingering */
    bool is_surplus;           /* refused for want of room */
    bool is_arriving;          /* counts as an unfinished handshake */
    int refusal;               /* 0, or the status that it will get whatever it says */
    const char *refusal_why;
    struct net_addr peer; /* the client as far as we know it */
    char peer_text[NET_TEXT_MAX];
};

struct conns {
    struct gateway *gateway; /* borrowed: outlives its parts */
    struct conn *all;        /* owns: list */
    size_t count, surplus, arriving;
    struct deadline_queue head_wait, linger_wait;
};

#define RETRY_AFTER "Retry-After: 2\r\n"

/* Frees it and closes its socket. Returns NULL. */
struct conn *conn_free(struct conn *c);

/* Watches the socket for EV_READ or EV_WRITE. */
void conn_watch(struct conn *c, int events);

/* Answers with an error and ends the connection. May free it. */
void conn_refuse(struct conn *c, int status, const char *extra, const char *why);

/* The first thing to wait for: the balancer's header, a TLS handshake, a request. May free it. */
void conn_arrive(struct conn *c);

/* The socket can be read or written, in the states before CONN_READING. May free it. */
void conn_go_on_arriving(struct conn *c);

/* The client is `a`: from now on it counts as a connection of that address. */
void conn_set_client(struct conn *c, const struct net_addr *a);

/* The request's head is here: a trusted balancer may say in it who the client is. False: it was
 * refused, and may be gone. */
bool conn_take_forwarded(struct conn *c) MUST_CHECK;

/* Not an unfinished handshake any more. */
void conn_has_arrived(struct conn *c);

#endif
