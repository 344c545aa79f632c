/*
 * conn.c: see conn.h.
 *
 *     READING ──► ANSWERING ──► LINGERING ──► freed
 *        ├─────────────────────────────────────▲
 *        └──► upgraded: the socket is a session's, freed
 *
 * READING collects the head. ANSWERING has bytes to write. LINGERING has shut
 * its writing side and throws away what still comes, for a close over unread
 * bytes would reset the connection and take the answer with it.
 */
#include "gateway/conn.h"

#include <errno.h>
#include <ev.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/deadline.h"
#include "common/http.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/admit.h"
#include "gateway/gateway.h"
#include "gateway/page.h"
#include "gateway/route.h"
#include "gateway/sessions.h"
#include "gateway/upgrade.h"

#define READ_SIZE 4096     /* bytes for each read */
#define LINGER_MS 1000     /* for the peer to take the answer and go */
#define LINGER_BYTES 65536 /* thrown away at most */
#define REFUSING_MAX 256   /* refused for want of room and not gone yet; more are closed at once */
#define RETRY_AFTER "Retry-After: 2\r\n"

enum conn_state { CONN_READING, CONN_ANSWERING, CONN_LINGERING };

struct conn {
    struct conns *conns;      /* borrowed: outlives its members */
    struct conn *prev, *next; /* links: all connections */
    int fd;                   /* owns; -1 once a session has it */
    enum conn_state state;
    ev_io io;
    struct deadline deadline; /* of the head, of taking the answer, of lingering */
    struct http_head *head;   /* owns; NULL before the first byte and after the verdict */
    struct buf answer;        /* owns; what is still to be written */
    size_t discarded;         /* bytes, while lingering */
    bool is_surplus;          /* refused for want of room */
    char peer[48];
};

struct conns {
    struct gateway *gateway; /* borrowed: outlives its parts */
    struct conn *all;        /* owns: list */
    size_t count, surplus;
    struct deadline_queue head_wait, linger_wait;
};

static struct conn *conn_free(struct conn *c)
{
    struct conns *all = c->conns;

    ev_io_stop(all->gateway->loop, &c->io);
    deadline_stop(&c->deadline);
    if (c->fd >= 0) {
        close(c->fd);
    }
    if (c->head != NULL) {
        http_head_deinit(c->head);
        mem_free(c->head);
    }
    buf_deinit(&c->answer);
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        all->all = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    all->count--;
    all->surplus -= c->is_surplus;
    stat_set(&all->gateway->metrics.connections, all->count);
    mem_free(c);
    return NULL;
}

static void watch(struct conn *c, int events)
{
    struct ev_loop *loop = c->conns->gateway->loop;

    ev_io_stop(loop, &c->io);
    ev_io_set(&c->io, c->fd, events);
    ev_io_start(loop, &c->io);
}

static void begin_lingering(struct conn *c)
{
    c->state = CONN_LINGERING;
    buf_deinit(&c->answer);
    deadline_stop(&c->deadline);
    if (shutdown(c->fd, SHUT_WR) < 0) {
        conn_free(c); /* the peer is gone */
        return;
    }
    deadline_start(&c->conns->linger_wait, &c->deadline);
    watch(c, EV_READ);
}

/* Writes what can be written now. May free the connection. */
static void write_answer(struct conn *c)
{
    assert(c->state == CONN_ANSWERING);
    while (c->answer.size > 0) {
        ssize_t sent = send(c->fd, c->answer.at, c->answer.size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno != EAGAIN) {
            conn_free(c);
            return;
        }
        if (sent < 0) {
            watch(c, EV_WRITE);
            return;
        }
        buf_consume(&c->answer, (size_t)sent);
    }
    begin_lingering(c);
}

/* The answer is in c->answer. May free the connection. */
static void begin_answering(struct conn *c)
{
    c->state = CONN_ANSWERING;
    if (c->head != NULL) {
        http_head_deinit(c->head);
        mem_free(c->head);
        c->head = NULL;
    }
    deadline_stop(&c->deadline);
    deadline_start(&c->conns->head_wait, &c->deadline);
    write_answer(c);
}

static void count_refusal(struct conn *c, int status, const char *why)
{
    struct gateway *g = c->conns->gateway;
    struct slice path = c->head != NULL ? c->head->path : SLICE_NONE;

    assert(status >= 400 && (size_t)status < ARRAY_LEN(g->metrics.refused));
    stat_add(&g->metrics.refused[status], 1);
    if (log_is_debug()) { /* the path only: a query may hold a token */
        log_debug("refused peer=%s status=%d path=%s reason=\"%s\"", c->peer, status,
                  log_quote(path.at, path.size), why);
    }
}

/* HEAD has no body in any answer. */
static void drop_body(struct buf *answer)
{
    const char *end = memmem(answer->at, answer->size, "\r\n\r\n", 4);

    assert(end != NULL);
    answer->size = (size_t)(end + 4 - answer->at);
}

/* May free the connection. */
static void refuse(struct conn *c, int status, const char *extra, const char *why)
{
    count_refusal(c, status, why);
    http_refuse(&c->answer, status, extra, why);
    if (c->head != NULL && slice_equal(c->head->method, SLICE_LIT("HEAD"))) {
        drop_body(&c->answer);
    }
    begin_answering(c);
}

/* Gives the socket to a new session and frees the connection. */
static void upgrade(struct conn *c, struct admission *a)
{
    struct gateway *g = c->conns->gateway;
    struct http_head *h = c->head;
    struct buf text = BUF_EMPTY;

    upgrade_accept(&text, h, a->subprotocol);
    struct session_opening opening = {
        .fd = c->fd,
        .peer = c->peer,
        .dialect = a->dialect,
        .room = buf_slice(&a->room),
        .wants_events = a->wants_events,
        .identity = a->identity,
        .answer = blob_copy(text.at, text.size),
        .early = {h->bytes.at + h->head_size, h->bytes.size - h->head_size},
    };
    buf_deinit(&text);
    ev_io_stop(g->loop, &c->io);
    deadline_stop(&c->deadline);
    c->fd = -1;
    a->identity = NULL;
    sessions_open(g->sessions, &opening);
    conn_free(c);
}

/* May free the connection. */
static void answer_websocket(struct conn *c, enum dialect dialect)
{
    struct gateway *g = c->conns->gateway;
    struct admission a;

    if (g->is_draining) {
        refuse(c, 503, RETRY_AFTER, "shutting down");
        return;
    }
    admit(&a, g->conf, g->verifier, g->origins, c->head, dialect, clock_wall_ms() / 1000);
    stat_add(&g->metrics.tokens_good, a.token == ADMIT_TOKEN_GOOD);
    stat_add(&g->metrics.tokens_refused, a.token == ADMIT_TOKEN_REFUSED);
    if (a.status == 101) {
        upgrade(c, &a);
    } else {
        refuse(c, a.status, a.extra, a.why);
    }
    admission_deinit(&a);
}

/* The answer of a page is in c->answer. May free the connection. */
static void finish_page(struct conn *c, int status)
{
    if (status != 200) {
        count_refusal(c, status, http_reason(status));
    }
    begin_answering(c);
}

/* A whole, legal head has come. May free the connection. */
static void answer_head(struct conn *c)
{
    const struct gateway_conf *conf = c->conns->gateway->conf;
    struct route route = route_find(conf, c->head->path);

    switch (route.kind) {
    case ROUTE_NOWHERE:
        refuse(c, 404, "", "not found");
        return;
    case ROUTE_WEBSOCKET:
        answer_websocket(c, route.dialect);
        return;
    case ROUTE_PAGE:
        finish_page(c, page_file(&c->answer, c->head, route.file));
        return;
    case ROUTE_DEMO_TOKEN:
        finish_page(c, page_token(&c->answer, conf, c->head, clock_wall_ms() / 1000));
        return;
    }
    assert(false);
}

/* Reads some bytes. Their count; 0: nothing now; -1: the peer is gone, and so is the connection. */
static ssize_t read_some(struct conn *c, char bytes[READ_SIZE])
{
    ssize_t size = recv(c->fd, bytes, READ_SIZE, 0);

    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (size <= 0) {
        conn_free(c);
        return -1;
    }
    return size;
}

static void read_head(struct conn *c)
{
    char bytes[READ_SIZE];
    ssize_t size = read_some(c, bytes);

    if (size <= 0) {
        return;
    }
    if (c->head == NULL) {
        c->head = mem_new(struct http_head);
        http_head_init(c->head);
    }
    int verdict = http_head_feed(c->head, bytes, (size_t)size);
    if (verdict == HTTP_DONE) {
        answer_head(c);
    } else if (verdict != HTTP_MORE) {
        refuse(c, verdict, "", "bad request");
    }
}

static void discard(struct conn *c)
{
    char bytes[READ_SIZE];
    ssize_t size = read_some(c, bytes);

    if (size <= 0) {
        return;
    }
    c->discarded += (size_t)size;
    if (c->discarded > LINGER_BYTES) {
        conn_free(c);
    }
}

static void on_io(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    struct conn *c = container_of(watcher, struct conn, io);

    if ((events & EV_ERROR) != 0) {
        conn_free(c); /* common/loop.h: nobody would tell us of it any more */
        return;
    }
    switch (c->state) {
    case CONN_READING:
        read_head(c);
        return;
    case CONN_ANSWERING:
        write_answer(c);
        return;
    case CONN_LINGERING:
        discard(c);
        return;
    }
    assert(false);
}

/* The head did not come, or the answer was not taken, in time. */
static void on_head_due(struct deadline_queue *q, struct deadline *d)
{
    (void)q;
    struct conn *c = container_of(d, struct conn, deadline);

    if (c->state == CONN_READING && c->head != NULL) {
        refuse(c, 408, "", "request timed out");
        return;
    }
    conn_free(c);
}

static void on_linger_due(struct deadline_queue *q, struct deadline *d)
{
    (void)q;
    conn_free(container_of(d, struct conn, deadline));
}

struct conns *conns_new(struct gateway *g)
{
    struct conns *all = mem_new(struct conns);

    all->gateway = g;
    deadline_queue_init(&all->head_wait, g->loop, g->conf->handshake_ms, on_head_due);
    deadline_queue_init(&all->linger_wait, g->loop, LINGER_MS, on_linger_due);
    return all;
}

struct conns *conns_free(struct conns *all)
{
    if (all != NULL) {
        while (all->all != NULL) {
            conn_free(all->all);
        }
        assert(all->count == 0);
        deadline_queue_deinit(&all->head_wait);
        deadline_queue_deinit(&all->linger_wait);
        mem_free(all);
    }
    return NULL;
}

static struct conn *conn_new(struct conns *all, int fd, const char *peer)
{
    struct conn *c = mem_new(struct conn);

    c->conns = all;
    c->fd = fd;
    c->next = all->all;
    if (c->next != NULL) {
        c->next->prev = c;
    }
    all->all = c;
    all->count++;
    stat_set(&all->gateway->metrics.connections, all->count);
    size_t size = MIN(strlen(peer), sizeof(c->peer) - 1);
    memcpy(c->peer, peer, size);
    ev_io_init(&c->io, on_io, fd, EV_READ);
    return c;
}

void conns_take(struct conns *all, int fd, const char *peer)
{
    struct gateway *g = all->gateway;
    bool is_surplus = g->is_draining || !gateway_has_room(g);

    if (is_surplus && all->surplus >= REFUSING_MAX) {
        stat_add(&g->metrics.refused[503], 1);
        close(fd);
        return;
    }
    struct conn *c = conn_new(all, fd, peer);
    if (is_surplus) {
        c->is_surplus = true;
        all->surplus++;
        refuse(c, 503, RETRY_AFTER, g->is_draining ? "shutting down" : "full");
        return;
    }
    ev_io_start(g->loop, &c->io);
    deadline_start(&all->head_wait, &c->deadline);
}

size_t conns_count(const struct conns *all)
{
    return all->count;
}
