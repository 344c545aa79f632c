/*
 * admin.c: a small HTTP server for people and machines that look after us.
 *
 * A client is READING its request, then WRITING the answer, then LEAVING: our
 * side is shut and we wait for it to hang up, for a close over unread bytes would
 * reset the connection and take the answer with it. Its deadline ends all of it.
 * At the limit of clients the listener rests; more wait in the backlog.
 */
#include "common/admin.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "common/acceptor.h"
#include "common/deadline.h"
#include "common/http.h"
#include "common/log.h"
#include "common/mem.h"

#define READ_SIZE 4096
#define LEAVING_BYTES 65536 /* thrown away at most */

enum client_state { READING, WRITING, LEAVING };

struct client {
    struct admin *admin;        /* borrowed: outlives its clients */
    struct client *prev, *next; /* links: all clients */
    enum client_state state;
    int fd; /* owns */
    ev_io io;
    struct deadline deadline;
    struct http_head head;
    struct buf answer; /* owns; what is left to write */
    size_t discarded;  /* bytes, while leaving */
};

struct admin {
    struct ev_loop *loop; /* borrowed */
    struct admin_hooks hooks;
    struct acceptor acceptor;
    struct deadline_queue deadlines;
    struct client *clients; /* owns: list */
    size_t client_count;
};

static void client_free(struct client *c)
{
    struct admin *a = c->admin;

    ev_io_stop(a->loop, &c->io);
    deadline_stop(&c->deadline);
    close(c->fd);
    http_head_deinit(&c->head);
    buf_deinit(&c->answer);
    DL_DELETE(a->clients, c);
    a->client_count--;
    mem_free(c);
    acceptor_has_room(&a->acceptor);
}

static void client_watch(struct client *c, int events)
{
    ev_io_stop(c->admin->loop, &c->io);
    ev_io_set(&c->io, c->fd, events);
    ev_io_start(c->admin->loop, &c->io);
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
    if (shutdown(c->fd, SHUT_WR) < 0) {
        client_free(c);
        return;
    }
    c->state = LEAVING;
    client_watch(c, EV_READ);
}

static void answer_metrics(struct client *c)
{
    const struct admin_hooks *hooks = &c->admin->hooks;
    struct buf text = BUF_EMPTY;

    hooks->metrics(hooks->user, &text);
    http_answer(&c->answer, 200, "text/plain; version=0.0.4", "", buf_slice(&text));
    buf_deinit(&text);
}

static void answer_text(struct client *c, int status, const char *text)
{
    struct buf line = BUF_EMPTY;

    buf_addf(&line, "%s\n", text);
    http_answer(&c->answer, status, "text/plain", "Cache-Control: no-store\r\n", buf_slice(&line));
    buf_deinit(&line);
}

/* Of a complete head. */
static void answer_request(struct client *c)
{
    const struct admin_hooks *hooks = &c->admin->hooks;
    const struct http_head *h = &c->head;

    if (slice_equal(h->path, SLICE_LIT("/live"))) {
        bool is_live = hooks->is_live(hooks->user);
        answer_text(c, is_live ? 200 : 503, is_live ? "ok" : "not live");
    } else if (slice_equal(h->path, SLICE_LIT("/ready"))) {
        const char *reason = hooks->not_ready(hooks->user);
        answer_text(c, reason == NULL ? 200 : 503, reason == NULL ? "ready" : reason);
    } else if (slice_equal(h->path, SLICE_LIT("/metrics"))) {
        answer_metrics(c);
    } else {
        http_refuse(&c->answer, 404, "", "not found");
    }
}

/* A head without its body. */
static void drop_body(struct buf *answer)
{
    const char *end = memmem(answer->at, answer->size, "\r\n\r\n", 4);

    assert(end != NULL);
    answer->size = (size_t)(end + 4 - answer->at);
}

/* May free the client. */
static void client_answer(struct client *c, int verdict)
{
    bool is_head = slice_equal(c->head.method, SLICE_LIT("HEAD"));

    if (verdict != HTTP_DONE) {
        http_refuse(&c->answer, verdict, "", "bad request");
    } else if (is_head || slice_equal(c->head.method, SLICE_LIT("GET"))) {
        answer_request(c);
    } else {
        http_refuse(&c->answer, 405, "Allow: GET, HEAD\r\n", "method not allowed");
    }
    if (is_head) {
        drop_body(&c->answer);
    }
    c->state = WRITING;
    client_write(c);
}

/* May free the client. */
static void client_read(struct client *c)
{
    char bytes[READ_SIZE];
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
        if (c->discarded > LEAVING_BYTES) {
            client_free(c);
        }
        return;
    }
    int verdict = http_head_feed(&c->head, bytes, (size_t)size);
    if (verdict != HTTP_MORE) {
        client_answer(c, verdict);
    }
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
    case READING:
    case LEAVING:
        client_read(c);
        return;
    case WRITING:
        client_write(c);
        return;
    }
    assert(false);
}

static void on_due(struct deadline_queue *q, struct deadline *d)
{
    struct client *c = container_of(d, struct client, deadline);

    (void)q;
    stat_note(c->admin->hooks.late);
    client_free(c);
}

static void client_new(void *user, int fd)
{
    struct admin *a = user;
    struct client *c = mem_new(struct client);

    c->admin = a;
    c->fd = fd;
    c->state = READING;
    http_head_init(&c->head);
    DL_APPEND(a->clients, c);
    a->client_count++;
    ev_io_init(&c->io, on_io, fd, EV_READ);
    ev_io_start(a->loop, &c->io);
    deadline_start(&a->deadlines, &c->deadline);
}

static bool has_room(void *user)
{
    const struct admin *a = user;

    return a->client_count < ADMIN_CLIENTS_MAX;
}

static void were_full(void *user)
{
    stat_note(((const struct admin *)user)->hooks.were_full);
}

struct admin *admin_new(struct ev_loop *loop, const char *address, const struct admin_hooks *hooks)
{
    struct admin *a = mem_new(struct admin);

    if (acceptor_init(&a->acceptor, loop, address, "admin",
                      &(struct acceptor_hooks){has_room, client_new, a, were_full}) < 0) {
        mem_free(a);
        return NULL;
    }
    a->loop = loop;
    a->hooks = *hooks;
    deadline_queue_init(&a->deadlines, loop, ADMIN_CLIENT_MS, on_due);
    return a;
}

struct admin *admin_free(struct admin *a)
{
    if (a != NULL) {
        struct client *c, *next;
        DL_FOREACH_SAFE (a->clients, c, next) {
            client_free(c);
        }
        assert(a->client_count == 0);
        acceptor_deinit(&a->acceptor);
        deadline_queue_deinit(&a->deadlines);
        mem_free(a);
    }
    return NULL;
}
