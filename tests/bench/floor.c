/*
 * floor.c: a raw writer: answers every upgrade and every command at once, and
 * then does nothing but write the same frame to every connection, over and over.
 *
 * It is what a gateway cannot beat by much: the cost of the kernel's sockets
 * with no routing, no parsing and no broker. `--records` puts so many records
 * into each frame, as a gateway does under load.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/net.h"
#include "gateway/ws/frame.h"
#include "tests/bench/peer.h"

#define CLIENTS_MAX 19000

struct client {
    int fd;
    bool is_upgraded;
    uint32_t commands; /* replies owed so far */
    size_t sent;       /* bytes of the frame that have left */
    bool publishes;
};

struct floor {
    int listener, epoll;
    struct client clients[CLIENTS_MAX];
    uint32_t count;
    struct blob *frame;
    char read_buffer[65536];
};

static void reply(struct client *c, const char *text)
{
    struct blob *frame = frame_text(slice_of(text));

    if (send(c->fd, frame->bytes, frame->size, MSG_NOSIGNAL) != (ssize_t)frame->size) {
        die("floor: a reply did not fit");
    }
    blob_unref(frame);
}

/* Whatever comes: an upgrade first, then two commands of a subscriber. */
static void client_read(struct floor *f, struct client *c)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                 "Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    ssize_t size = recv(c->fd, f->read_buffer, sizeof(f->read_buffer), 0);

    if (size == 0) {
        exit(0); /* the load is over */
    }
    if (size < 0) {
        return;
    }
    if (!c->is_upgraded) {
        c->is_upgraded = true;
        send(c->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
        return;
    }
    c->publishes = memmem(f->read_buffer, (size_t)size, "\"publish\"", 9) != NULL;
    if (!c->publishes && c->commands < 2) {
        c->commands++;
        reply(c, c->commands == 1 ? "{\"id\":1,\"connect\":{}}" : "{\"id\":2,\"subscribe\":{}}");
    }
}

static void take_ready(struct floor *f)
{
    struct epoll_event events[256];
    int n = epoll_wait(f->epoll, events, 256, 0);

    for (int i = 0; i < n; i++) {
        struct client *c = events[i].data.ptr;

        if (c != NULL) {
            client_read(f, c);
            continue;
        }
        struct net_addr from;
        int fd = net_accept(f->listener, &from);
        if (fd >= 0 && f->count < CLIENTS_MAX) {
            c = &f->clients[f->count++];
            *c = (struct client){.fd = fd};
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
            epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &event);
        }
    }
}

/* One frame to everybody who has subscribed and can take it. */
static void write_round(struct floor *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct client *c = &f->clients[i];

        if (c->commands < 2) {
            continue;
        }
        ssize_t sent = send(c->fd, f->frame->bytes + c->sent, f->frame->size - c->sent,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            c->sent = (c->sent + (size_t)sent) % f->frame->size;
        } else if (sent < 0 && errno != EAGAIN) {
            exit(0);
        }
    }
}

static struct blob *make_frame(int records, const char *record)
{
    struct buf text = BUF_EMPTY;

    for (int i = 0; i < records; i++) {
        if (i > 0) {
            buf_add_char(&text, '\n');
        }
        buf_add(&text, record, strlen(record));
    }
    struct blob *frame = frame_text(buf_slice(&text));
    buf_deinit(&text);
    return frame;
}

int main(int argc, char **argv)
{
    static struct floor f;
    struct net_addr address;

    if (argc != 4) {
        fputs("usage: floor ADDRESS:PORT RECORDS-IN-A-FRAME RECORD\n", stderr);
        return 2;
    }
    f.frame = make_frame((int)strtol(argv[2], NULL, 10), argv[3]);
    if (net_parse(&address, argv[1]) != 0 || (f.listener = net_listen(&address, false)) < 0) {
        die("floor: cannot listen on %s", argv[1]);
    }
    f.epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(f.epoll, EPOLL_CTL_ADD, f.listener, &event);
    puts("listening");
    fflush(stdout);
    for (;;) {
        take_ready(&f);
        write_round(&f);
    }
}
