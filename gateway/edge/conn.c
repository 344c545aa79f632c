/*
 * conn.c: see conn.h.
 *
 *     arriving ──► READING ──► ANSWERING ──► LINGERING ──► freed
 *                     ├─────────────────────────────────────▲
 *                     └──► upgraded: the socket is a session's, freed
 *
 * conn_arrive.c has the first part. READING collects the head. ANSWERING has bytes to write.
 * LINGERING has shut its writing side and throws away what still comes, for a close over unread
 * bytes would reset the connection and take the answer with it.
 */
#include "gateway/edge/conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/http.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/edge/admit.h"
#include "gateway/edge/conn_internal.h"
#include "gateway/edge/page.h"
#include "gateway/edge/route.h"
#include "gateway/edge/transport.h"
#include "gateway/edge/tries.h"
#include "gateway/edge/trust.h"
#include "gateway/edge/upgrade.h"
#include "gateway/gateway.h"
#include "gateway/hook/hooks.h"
#include "gateway/session/sessions.h"

struct conn *conn_free(struct conn *c)
{
    struct conns *all = c->conns;

    ev_io_stop(all->gateway->loop, &c->io);
    deadline_stop(&c->deadline);
    if (c->fd >= 0) {
        transport_close(c->fd, c->tls);
    }
    conn_has_arrived(c);
    crowd_leave(c->place);
    mem_free(c->proxy);
    if (c->head != NULL) {
        http_head_deinit(c->head);
        mem_free(c->head);
    }
    outq_deinit(&c->answer);
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

void conn_watch(struct conn *c, int events)
{
    struct ev_loop *loop = c->conns->gateway->loop;

    ev_io_stop(loop, &c->io);
    ev_io_set(&c->io, c->fd, events);
    ev_io_start(loop, &c->io);
}

static void begin_lingering(struct conn *c)
{
    c->state = CONN_LINGERING;
    deadline_stop(&c->deadline);
    if (transport_end(c->fd, c->tls) < 0) {
        conn_free(c); /* the peer is gone */
        return;
    }
    deadline_start(&c->conns->linger_wait, &c->deadline);
    conn_watch(c, EV_READ);
}

/* Writes what can be written now. May free the connection. */
static void write_answer(struct conn *c)
{
    assert(c->state == CONN_ANSWERING);
    int r = transport_flush(c->fd, c->tls, &c->answer);
    if (r == OUTQ_BLOCKED) {
        conn_watch(c, EV_WRITE);
        return;
    }
    if (r != OUTQ_DRAINED) {
        conn_free(c);
        return;
    }
    begin_lingering(c);
}

/* Empties `answer`. May free the connection. */
static void begin_answering(struct conn *c, struct buf *answer)
{
    conn_has_arrived(c);
    outq_take(&c->answer, blob_copy(answer->at, answer->size));
    buf_deinit(answer);
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
        log_debug("refused peer=%s status=%d path=%s reason=\"%s\"", c->peer_text, status,
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

void conn_refuse(struct conn *c, int status, const char *extra, const char *why)
{
    struct buf answer = BUF_EMPTY;

    count_refusal(c, status, why);
    http_refuse(&answer, status, extra, why);
    if (c->head != NULL && slice_equal(c->head->method, SLICE_LIT("HEAD"))) {
        drop_body(&answer);
    }
    begin_answering(c, &answer);
}

/* Gives the socket to a new session and frees the connection. */
static void upgrade(struct conn *c, struct admission *a)
{
    struct gateway *g = c->conns->gateway;
    struct http_head *h = c->head;
    struct buf text = BUF_EMPTY;

    upgrade_accept(&text, h, a->subprotocol, &a->extension);
    struct session_opening opening = {
        .fd = c->fd,
        .tls = c->tls,
        .place = c->place,
        .peer = c->peer_text,
        .dialect = a->dialect,
        .window = a->extension.window,
        .room = buf_slice(&a->room),
        .wants_events = a->wants_events,
        .native_pings = a->native_pings,
        .identity = a->identity,
        .headers = hooks_headers(g, h),
        .answer = blob_copy(text.at, text.size),
        .early = {h->bytes.at + h->head_size, h->bytes.size - h->head_size},
    };
    buf_deinit(&text);
    ev_io_stop(g->loop, &c->io);
    deadline_stop(&c->deadline);
    conn_has_arrived(c);
    c->fd = -1;
    c->tls = NULL;
    c->place = NULL;
    a->identity = NULL;
    sessions_open(g->sessions, &opening);
    conn_free(c);
}

/* A balancer's connections are those of many. */
static bool has_tried_too_often(const struct conn *c)
{
    const struct gateway *g = c->conns->gateway;

    return !trust_has(g->trust, &c->peer) && tries_is_over(g->tries, &c->peer, clock_mono_ms());
}

static void count_admission(struct gateway *g, const struct admission *a)
{
    stat_add(&g->metrics.tokens_good, a->token == ADMIT_TOKEN_GOOD);
    stat_add(&g->metrics.tokens_refused, a->token == ADMIT_TOKEN_REFUSED);
    if (a->has_more_offers) {
        limit_met(&g->metrics.limits, LIMIT_EXTENSION_OFFERS);
    }
    if (a->has_long_room) {
        limit_met(&g->metrics.limits, LIMIT_ROOM_NAME);
    }
}

/* May free the connection. */
static void answer_websocket(struct conn *c, enum dialect dialect)
{
    struct gateway *g = c->conns->gateway;
    struct admission a;

    if (g->is_draining) {
        conn_refuse(c, 503, RETRY_AFTER, "shutting down");
        return;
    }
    if (has_tried_too_often(c)) {
        stat_add(&g->metrics.tries_refused, 1);
        limit_met(&g->metrics.limits, LIMIT_BAD_TOKENS);
        conn_refuse(c, 429, RETRY_AFTER, "too many bad tokens");
        return;
    }
    admit(&a, g->conf, g->verifier, g->origins, c->head, dialect, clock_wall_ms() / 1000);
    count_admission(g, &a);
    if (a.token == ADMIT_TOKEN_REFUSED) {
        tries_add(g->tries, &c->peer, clock_mono_ms());
    }
    if (a.status == 101) {
        upgrade(c, &a);
    } else {
        conn_refuse(c, a.status, a.extra, a.why);
    }
    admission_deinit(&a);
}

/* Empties `answer`. May free the connection. */
static void finish_page(struct conn *c, int status, struct buf *answer)
{
    if (status != 200) {
        count_refusal(c, status, http_reason(status));
    }
    begin_answering(c, answer);
}

/* A whole, legal head has come. May free the connection. */
static void answer_head(struct conn *c)
{
    const struct gateway_conf *conf = c->conns->gateway->conf;
    struct route route = route_find(conf, c->head->path);
    struct buf answer = BUF_EMPTY;
    int status;

    if (!conn_take_forwarded(c)) {
        return;
    }
    switch (route.kind) {
    case ROUTE_NOWHERE:
        conn_refuse(c, 404, "", "not found");
        return;
    case ROUTE_WEBSOCKET:
        answer_websocket(c, route.dialect);
        return;
    case ROUTE_PAGE:
        status = page_file(&answer, c->head, route.file);
        finish_page(c, status, &answer);
        return;
    case ROUTE_DEMO_TOKEN:
        status = page_token(&answer, conf, c->head, clock_wall_ms() / 1000);
        finish_page(c, status, &answer);
        return;
    }
    assert(false);
}

/* A head that is refused for its size. */
static void count_limit(struct conn *c, int verdict)
{
    struct limits *l = &c->conns->gateway->metrics.limits;

    if (verdict == 414) {
        limit_met(l, LIMIT_MAX_LINE);
    } else if (verdict == 431) {
        limit_met(l, c->head->has_many_fields ? LIMIT_MAX_FIELDS : LIMIT_MAX_HEAD);
    }
}

static void read_head(struct conn *c)
{
    char bytes[TRANSPORT_READ_SIZE];
    ssize_t size = transport_read(c->fd, c->tls, bytes, sizeof(bytes));

    if (size == -EAGAIN || size == -EINTR) {
        return;
    }
    if (size <= 0) {
        conn_free(c);
        return;
    }
    if (c->head == NULL) {
        c->head = mem_new(struct http_head);
        http_head_init(c->head);
        const struct gateway_conf *conf = c->conns->gateway->conf;
        c->head->size_max = (size_t)conf->head_max;
        c->head->line_max = (size_t)conf->line_max;
        c->head->fields_max = (size_t)conf->fields_max;
    }
    int verdict = http_head_feed(c->head, bytes, (size_t)size);
    if (verdict == HTTP_DONE) {
        answer_head(c);
    } else if (verdict != HTTP_MORE) {
        count_limit(c, verdict);
        conn_refuse(c, verdict, "", "bad request");
    }
}

static void discard(struct conn *c)
{
    char bytes[TRANSPORT_READ_SIZE];
    ssize_t size = recv(c->fd, bytes, sizeof(bytes), 0); /* nobody decrypts what nobody reads */

    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size <= 0) {
        conn_free(c);
        return;
    }
    c->discarded += (size_t)size;
    if (c->discarded > CONN_LINGER_BYTES) {
        limit_met(&c->conns->gateway->metrics.limits, LIMIT_LINGER_BYTES);
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
    case CONN_PROXY:
    case CONN_HANDSHAKE:
        conn_go_on_arriving(c);
        return;
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

    if (c->state != CONN_ANSWERING) {
        limit_met(&c->conns->gateway->metrics.limits, LIMIT_HANDSHAKE);
    }
    if (c->state == CONN_READING && c->head != NULL) {
        conn_refuse(c, 408, "", "request timed out");
        return;
    }
    conn_free(c);
}

static void on_linger_due(struct deadline_queue *q, struct deadline *d)
{
    struct conn *c = container_of(d, struct conn, deadline);

    (void)q;
    limit_met(&c->conns->gateway->metrics.limits, LIMIT_LINGER);
    conn_free(c);
}

struct conns *conns_new(struct gateway *g)
{
    struct conns *all = mem_new(struct conns);

    all->gateway = g;
    deadline_queue_init(&all->head_wait, g->loop, g->conf->handshake_ms, on_head_due);
    deadline_queue_init(&all->linger_wait, g->loop, CONN_LINGER_MS, on_linger_due);
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

static struct conn *conn_new(struct conns *all, int fd)
{
    struct conn *c = mem_new(struct conn);

    c->conns = all;
    c->fd = fd;
    c->answer = OUTQ_EMPTY;
    c->next = all->all;
    if (c->next != NULL) {
        c->next->prev = c;
    }
    all->all = c;
    all->count++;
    stat_set(&all->gateway->metrics.connections, all->count);
    ev_io_init(&c->io, on_io, fd, EV_READ);
    return c;
}

/* Whether there is room for one more; decides what it is told if there is none. */
static bool is_surplus(struct conns *all, const char **why)
{
    struct gateway *g = all->gateway;

    if (g->is_draining) {
        *why = "shutting down";
        return true;
    }
    if (!gateway_has_room(g)) {
        limit_met(&g->metrics.limits, LIMIT_CONNECTIONS);
        *why = "full";
        return true;
    }
    if (all->arriving >= (size_t)g->conf->handshakes_max) {
        stat_add(&g->metrics.handshakes_refused, 1);
        limit_met(&g->metrics.limits, LIMIT_HANDSHAKES);
        *why = "too many unfinished handshakes";
        return true;
    }
    return false;
}

void conns_take(struct conns *all, int fd, const struct net_addr *peer)
{
    struct gateway *g = all->gateway;
    const char *why = NULL;
    bool surplus = is_surplus(all, &why);
    struct conn *c = conn_new(all, fd);

    conn_set_client(c, peer);
    if (surplus) {
        c->refusal = 503;
        c->refusal_why = why;
    }
    if (c->refusal != 0 && all->surplus >= CONN_REFUSING_MAX) {
        limit_met(&g->metrics.limits, LIMIT_REFUSALS);
        stat_add(&g->metrics.refused[c->refusal], 1);
        conn_free(c);
        return;
    }
    if (c->refusal != 0) {
        c->is_surplus = true;
        all->surplus++;
    } else {
        c->is_arriving = true;
        all->arriving++;
        stat_set(&g->metrics.handshakes, all->arriving);
    }
    deadline_start(&all->head_wait, &c->deadline);
    conn_arrive(c);
}

size_t conns_count(const struct conns *all)
{
    return all->count;
}
