/*
 * peer.c: frames in, counts out; see peer.h.
 */
#include "tests/bench/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

void die(const char *format, ...)
{
    va_list arguments;

    fputs("load: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static void send_all(int fd, const char *at, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);

        if (sent > 0) {
            at += sent;
            size -= (size_t)sent;
        } else if (sent < 0 && errno == EAGAIN) {
            struct pollfd writable = {.fd = fd, .events = POLLOUT};
            poll(&writable, 1, 1000);
        } else if (sent < 0 && errno != EINTR) {
            die("send: %s", strerror(errno));
        }
    }
}

static void read_upgrade(int fd)
{
    char answer[2048];
    size_t size = 0;

    /* Byte by byte: what follows the head belongs to the frames. */
    while (size < 4 || memcmp(answer + size - 4, "\r\n\r\n", 4) != 0) {
        if (size == sizeof(answer) || recv(fd, answer + size, 1, 0) != 1) {
            die("no answer to the upgrade");
        }
        size++;
    }
    if (size < 12 || memcmp(answer, "HTTP/1.1 101", 12) != 0) {
        die("not upgraded: %.60s", answer);
    }
}

void peer_open(struct peer *p, const char *host, int port, const char *path)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char request[512];

    *p = (struct peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .next_id = 1};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        die("not an address: %s", host);
    }
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        die("connect: %s", strerror(errno));
    }
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    int size = snprintf(request, sizeof(request),
                        "GET %s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                        path);
    send_all(p->fd, request, (size_t)size);
    read_upgrade(p->fd);
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
}

void peer_send(struct peer *p, const char *text, size_t size)
{
    char frame[70000];
    size_t head;

    if (size > 65535) {
        die("too large to send");
    }
    frame[0] = (char)0x81;
    if (size < 126) {
        frame[1] = (char)(0x80 | size);
        head = 2;
    } else {
        frame[1] = (char)(0x80 | 126);
        frame[2] = (char)(size >> 8);
        frame[3] = (char)size;
        head = 4;
    }
    memset(frame + head, 0, 4); /* a mask of zeros leaves the text as it is */
    memcpy(frame + head + 4, text, size);
    send_all(p->fd, frame, head + 4 + size);
}

/* The time stamps `"t":123` in the bytes of a payload; a cut one is kept for the next read. */
static void look(struct peer *p, const char *at, size_t size, struct peer_counts *counts)
{
    static const char mark[] = "\"t\":";
    char joined[sizeof(p->tail) + 65536];
    int64_t now = clock_mono_us();
    size_t joined_size = p->tail_size;

    size = MIN(size, sizeof(joined) - joined_size);
    memcpy(joined, p->tail, p->tail_size);
    memcpy(joined + joined_size, at, size);
    joined_size += size;
    const char *from = joined, *end = joined + joined_size, *found;
    while ((found = memmem(from, (size_t)(end - from), mark, sizeof(mark) - 1)) != NULL &&
           end - found > 32) {
        if (counts->latency_count < counts->latency_max) {
            counts->latencies[counts->latency_count++] = now - atoll(found + sizeof(mark) - 1);
        }
        from = found + sizeof(mark) - 1;
    }
    const char *keep = found != NULL ? found : end - MIN((size_t)(end - from), sizeof(mark));
    p->tail_size = (size_t)(end - keep);
    memcpy(p->tail, keep, p->tail_size);
}

static uint64_t lines(const char *at, size_t size)
{
    uint64_t count = 0;
    const char *end = at + size;

    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        count++;
        at++;
    }
    return count;
}

/* The first bytes of a payload are known. */
static void payload_began(struct peer *p, struct peer_counts *counts)
{
    if (memcmp(p->begin, "{\"pu", 4) == 0) {
        counts->publications++;
        counts->frames++;
    } else if (memcmp(p->begin, "{\"id", 4) == 0) {
        counts->replies++;
        p->in_flight -= p->in_flight > 0;
    }
}

static void payload_take(struct peer *p, const char *at, size_t size, struct peer_counts *counts)
{
    size_t begin = MIN(size, sizeof(p->begin) - p->begin_size);

    if (begin > 0) {
        memcpy(p->begin + p->begin_size, at, begin);
        p->begin_size = (uint8_t)(p->begin_size + begin);
        if (p->begin_size == sizeof(p->begin)) {
            payload_began(p, counts);
        }
    }
    uint64_t more = lines(at, size);
    if (p->begin[2] == 'p') {
        counts->publications += more;
        if (p->looks) {
            look(p, at, size, counts);
        }
    } else {
        counts->replies += more;
        p->in_flight -= (uint32_t)MIN(more, p->in_flight);
        if (memmem(at, size, "\"error\"", 7) != NULL) {
            counts->errors++;
        }
    }
}

static size_t head_wanted(const struct peer *p)
{
    size_t code = p->head_size >= 2 ? p->head[1] & 0x7f : 0;

    return code == 127 ? 10 : code == 126 ? 4 : 2;
}

static void head_done(struct peer *p)
{
    p->left = p->head[1] & 0x7f;
    if (p->left == 126) {
        p->left = (uint64_t)p->head[2] << 8 | p->head[3];
    } else if (p->left == 127) {
        p->left = 0;
        for (int i = 2; i < 10; i++) {
            p->left = p->left << 8 | p->head[i];
        }
    }
    if ((p->head[0] & 0x0f) == 8) {
        die("the server closed a connection");
    }
    p->in_payload = true;
    p->begin_size = 0;
    memset(p->begin, 0, sizeof(p->begin));
}

void peer_take(struct peer *p, const char *at, size_t size, struct peer_counts *counts)
{
    counts->bytes += size;
    while (size > 0) {
        if (!p->in_payload) {
            p->head[p->head_size++] = (uint8_t)*at++;
            size--;
            if (p->head_size >= 2 && p->head_size == head_wanted(p)) {
                head_done(p);
            }
            continue;
        }
        size_t now = (size_t)MIN((uint64_t)size, p->left);
        payload_take(p, at, now, counts);
        at += now;
        size -= now;
        p->left -= now;
        if (p->left == 0) {
            if (p->begin_size == 2) { /* {}: a ping */
                counts->pings++;
                peer_send(p, "{}", 2);
            }
            p->in_payload = false;
            p->head_size = 0;
        }
    }
}
