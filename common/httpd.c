/*
 * httpd.c: see httpd.h.
 *
 *     HEAD ──► BODY ──► SERVED ──► WRITING ──► HEAD ...
 *       └────────┴─────────────────► WRITING ──► LEAVING   (a refusal, Connection: close)
 *
 * LEAVING: our side is shut and we wait for the peer to hang up, for a close over
 * unread bytes would reset the connection and take the answer with it.
 */
#include "common/httpd.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "common/acceptor.h"
#include "common/deadline.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"

#define READ_SIZE 16384
#define LEAVING_BYTES 65536 /* thrown away at most, beside a body */

enum client_state { HEAD, BODY, SERVED, WRITING, LEAVING };

struct client {
    UT_hash_handle hh; /* by request, while SERVED */
    httpd_request request;
    struct httpd *httpd;        /* borrowed: outlives its clients */
    struct client *prev, *next; /* links: all clients */
    enum client_state state;
    int fd; /* owns */
    ev_io io;
    struct deadline deadline;
    struct http_head head;
    struct buf rest; /* owns: what came behind the head: the body, and perhaps the next request */
    size_t body_size;
    struct buf answer; /* owns: what is left to write */
    bool ends;         /* after this answer */
    size_t discarded;  /* bytes, while leaving */
};

struct httpd {
    struct ev_loop *loop; /* borrowed */
    struct httpd_hooks hooks;
    struct httpd_limits limits;
    struct acceptor acceptor;
    struct deadline_queue idle, busy;
    struct client *clients;    /* owns: list */
    struct client *by_request; /* links: uthash */
    size_t client_count;
    httpd_request last_request;
};

static void client_free(struct client *c)
{
    struct httpd *h = c->httpd;

    if (c->state == SERVED) {
        HASH_DELETE(hh, h->by_request, c);
    }
    ev_io_stop(h->loop, &c->io);
    deadline_stop(&c->deadline);
    close(c->fd);
    http_head_deinit(&c->head);
    buf_deinit(&c->rest);
    buf_deinit(&c->answer);
    DL_DELETE(h->clients, c);
    h->client_count--;
    mem_free(c);
    acceptor_has_room(&h->acceptor);
}

static void client_watch(struct client *c, int events)
{
    ev_io_stop(c->httpd->loop, &c->io);
    if (events != 0) {
        ev_io_set(&c->io, c->fd, events);
        ev_io_start(c->httpd->loop, &c->io);
    }
}

static void client_wait(struct client *c, struct deadline_queue *q)
{
    deadline_stop(&c->deadline);
    deadline_start(q, &c->deadline);
}

static void client_begin(struct client *c);

/* May free the client. */
static void client_written(struct client *c)
{
    if (!c->ends) {
        client_begin(c);
        return;
    }
    if (shutdown(c->fd, SHUT_WR) < 0) {
        client_free(c);
        return;
    }
    c->state = LEAVING;
    client_watch(c, EV_READ);
}

/* May free the client. */
static void client_write(struct client *c)
{
    assert(c->state == WRITING);
    while (c->answer.size > 0) {
        ssize_t sent = send(c->fd, c->answer.at, c->answer.size, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            client_watch(c, EV_WRITE);
            return;
        }
        if (sent < 0) {
            client_free(c);
            return;
        }
        buf_consume(&c->answer, (size_t)sent);
    }
    client_written(c);
}

void httpd_error(struct buf *out, int code, const char *message)
{
    buf_addf(out, "{\"error\":{\"code\":%d,\"message\":\"%s\"}}", code, message);
}

/* May free the client. */
static void client_answer(struct client *c, int status, const char *extra, struct slice body)
{
    c->state = WRITING;
    client_wait(c, &c->httpd->busy);
    if (c->ends) {
        http_answer(&c->answer, status, "application/json", extra, body);
    } else {
        http_answer_open(&c->answer, status, "application/json", body);
    }
    client_write(c);
}

/* May free the client. */
static void client_refuse(struct client *c, const struct httpd_refusal *r)
{
    struct buf body = BUF_EMPTY;

    c->ends = true;
    httpd_error(&body, r->status, r->why);
    client_answer(c, r->status, r->extra, buf_slice(&body));
    buf_deinit(&body);
}

/* May free the client. */
static void client_serve(struct client *c)
{
    struct httpd *h = c->httpd;

    c->state = SERVED;
    c->request = ++h->last_request;
    HASH_ADD(hh, h->by_request, request, sizeof(c->request), c);
    c->ends = http_has_token(&c->head, "Connection", "close");
    deadline_stop(&c->deadline); /* whoever serves it has its own */
    client_watch(c, 0);
    h->hooks.serve(h->hooks.user, c->request, &c->head, (struct slice){c->rest.at, c->body_size});
}

/* How long the body is, or what to refuse the request with. */
static struct httpd_refusal read_length(struct client *c)
{
    const struct slice *length = http_find(&c->head, "Content-Length", NULL);
    size_t size = 0;

    if (http_find(&c->head, "Transfer-Encoding", NULL) != NULL) {
        return (struct httpd_refusal){501, "transfer codings are not supported", ""};
    }
    if (length == NULL) {
        return (struct httpd_refusal){411, "a Content-Length is needed", ""};
    }
    for (size_t i = 0; i < length->size; i++) { /* only digits: http.h */
        size = size * 10 + (size_t)(length->at[i] - '0');
        if (size > c->httpd->limits.body) {
            stat_note(c->httpd->limits.heavy);
            return (struct httpd_refusal){413, "the body is too large", ""};
        }
    }
    c->body_size = size;
    return (struct httpd_refusal){.status = 0};
}

/* More of the body has come, perhaps. May free the client. */
static void client_read_body(struct client *c)
{
    if (c->rest.size >= c->body_size) {
        client_serve(c);
    }
}

/* Of a complete head. May free the client. */
static void client_judge(struct client *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct httpd *h = c->httpd;
    struct httpd_refusal r = h->hooks.judge(h->hooks.user, &c->head);

    if (r.status == 0) {
        r = read_length(c);
    }
    if (r.status != 0) {
        client_refuse(c, &r);
        return;
    }
    c->state = BODY;
    buf_clear(&c->rest);
    buf_add(&c->rest, c->head.bytes.at + c->head.head_size, c->head.bytes.size - c->head.head_size);
    if (c->rest.size < c->body_size && http_has_token(&c->head, "Expect", "100-continue") &&
        send(c->fd, go_on, sizeof(go_on) - 1, MSG_NOSIGNAL) < 0) {
        client_free(c);
        return;
    }
    client_read_body(c);
}

/* May free the client. */
static void client_feed(struct client *c, const char *at, size_t size)
{
    if (c->state == BODY) {
        buf_add(&c->rest, at, size);
        client_read_body(c);
        return;
    }
    if (c->head.bytes.size == 0) {
        client_wait(c, &c->httpd->busy); /* a request has begun */
    }
    int verdict = http_head_feed(&c->head, at, size);
    if (verdict == HTTP_DONE) {
        client_judge(c);
    } else if (verdict != HTTP_MORE) {
        if (verdict == 431 || verdict == 414) {
            stat_note(c->httpd->limits.long_head);
        }
        client_refuse(c, &(struct httpd_refusal){verdict, http_reason(verdict), ""});
    }
}

/* The next request. */
static void client_begin(struct client *c)
{
    if (c->state == WRITING) { /* not the first one */
        buf_consume(&c->rest, c->body_size);
    }
    buf_deinit(&c->answer);
    http_head_deinit(&c->head);
    http_head_init(&c->head);
    c->state = HEAD;
    c->body_size = 0;
    client_wait(c, &c->httpd->idle);
    client_watch(c, EV_READ);
    if (c->rest.size > 0) { /* it has come already: its turn is the next one */
        ev_feed_event(c->httpd->loop, &c->io, EV_READ);
    }
}

/* What came behind the last request. May free the client. */
static void client_read_rest(struct client *c)
{
    struct buf rest = c->rest;

    c->rest = BUF_EMPTY;
    client_feed(c, rest.at, rest.size);
    buf_deinit(&rest);
}

/* May free the client. */
static void client_read(struct client *c)
{
    char bytes[READ_SIZE];

    if (c->state == HEAD && c->rest.size > 0) {
        client_read_rest(c);
        return;
    }
    ssize_t size = recv(c->fd, bytes, sizeof(bytes), 0);

    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size <= 0) {
        client_free(c);
        return;
    }
    if (c->state == LEAVING) {
        c->discarded += (size_t)size;
        if (c->discarded > LEAVING_BYTES + c->httpd->limits.body) {
            client_free(c);
        }
        return;
    }
    client_feed(c, bytes, (size_t)size);
}

static void on_io(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    struct client *c = container_of(watcher, struct client, io);

    if ((events & EV_ERROR) != 0) {
        client_free(c); /* common/loop.h: nobody would tell us of it any more */
        return;
    }
    switch (c->state) {
    case HEAD:
    case BODY:
    case LEAVING:
        client_read(c);
        return;
    case WRITING:
        client_write(c);
        return;
    case SERVED:
        break; /* not watched */
    }
    assert(false);
}

static void on_idle(struct deadline_queue *q, struct deadline *d)
{
    (void)q;
    client_free(container_of(d, struct client, deadline));
}

static void on_late(struct deadline_queue *q, struct deadline *d)
{
    (void)q;
    struct client *c = container_of(d, struct client, deadline);

    if (c->state != LEAVING) { /* that was answered and only closes late */
        stat_note(c->httpd->limits.late);
    }
    if (c->state == HEAD || c->state == BODY) {
        client_refuse(c, &(struct httpd_refusal){408, "the request did not come in time", ""});
    } else {
        client_free(c); /* the answer was not taken in time */
    }
}

static void client_new(void *user, int fd)
{
    struct httpd *h = user;
    struct client *c = mem_new(struct client);

    c->httpd = h;
    c->fd = fd;
    c->state = HEAD;
    DL_APPEND(h->clients, c);
    h->client_count++;
    http_head_init(&c->head);
    ev_io_init(&c->io, on_io, fd, EV_READ);
    client_begin(c);
}

void httpd_answer(struct httpd *h, httpd_request request, int status, struct slice body)
{
    struct client *c;

    HASH_FIND(hh, h->by_request, &request, sizeof(request), c);
    if (c != NULL) {
        HASH_DELETE(hh, h->by_request, c);
        client_answer(c, status, "", body);
    }
}

static bool has_room(void *user)
{
    const struct httpd *h = user;

    return h->client_count < h->limits.connections;
}

static void were_full(void *user)
{
    stat_note(((const struct httpd *)user)->limits.were_full);
}

struct httpd *httpd_new(struct ev_loop *loop, const char *address, const char *name,
                        const struct httpd_limits *limits, const struct httpd_hooks *hooks)
{
    struct httpd *h = mem_new(struct httpd);

    if (acceptor_init(&h->acceptor, loop, address, name,
                      &(struct acceptor_hooks){has_room, client_new, h, were_full}) < 0) {
        mem_free(h);
        return NULL;
    }
    h->loop = loop;
    h->hooks = *hooks;
    h->limits = *limits;
    deadline_queue_init(&h->idle, loop, HTTPD_IDLE_MS, on_idle);
    deadline_queue_init(&h->busy, loop, limits->request_ms, on_late);
    return h;
}

struct httpd *httpd_free(struct httpd *h)
{
    struct client *c, *next;

    if (h == NULL) {
        return NULL;
    }
    DL_FOREACH_SAFE (h->clients, c, next) {
        client_free(c);
    }
    assert(h->client_count == 0);
    acceptor_deinit(&h->acceptor);
    deadline_queue_deinit(&h->idle);
    deadline_queue_deinit(&h->busy);
    mem_free(h);
    return NULL;
}
