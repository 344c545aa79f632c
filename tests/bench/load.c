/*
 * load.c: a load generator: many sessions in rooms, a few that publish, one thread.
 *
 * Prints one JSON object with what it counted in the measured seconds. Latency
 * is from the moment a record was due to be sent to its arrival at one session
 * of each room, by the same clock.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/mem.h"
#include "tests/bench/peer.h"

#define EVENTS_MAX 512
#define LATENCIES_MAX 1000000

struct load {
    const char *host;
    int port;
    uint32_t rooms, per_room, publishers, window, size;
    int64_t rate; /* records a second in all; 0: as many as the window allows */
    int64_t warmup_ms, measure_ms;
    bool idle; /* only connect, say so, and wait for the end of standard input */
    struct peer *peers;
    uint32_t count, subscribers;
    int epoll;
    struct peer_counts counts;
    uint64_t published;
    char read_buffer[65536];
};

static void take_ready(struct load *l, int wait_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(l->epoll, events, EVENTS_MAX, wait_ms);

    for (int i = 0; i < n; i++) {
        struct peer *p = events[i].data.ptr;
        ssize_t size = recv(p->fd, l->read_buffer, sizeof(l->read_buffer), 0);

        if (size > 0) {
            peer_take(p, l->read_buffer, (size_t)size, &l->counts);
        } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
            die("a connection was lost");
        }
    }
}

static void send_command(struct peer *p, const char *format, ...) PRINTF_LIKE(2, 3);
static void send_command(struct peer *p, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    peer_send(p, text, (size_t)size);
}

static void wait_replies(struct load *l, uint64_t wanted)
{
    int64_t until = clock_mono_ms() + 120000;

    while (l->counts.replies < wanted) {
        take_ready(l, 100);
        if (clock_mono_ms() > until) {
            die("only %" PRIu64 " of %" PRIu64 " replies", l->counts.replies, wanted);
        }
    }
}

static void connect_all(struct load *l)
{
    l->subscribers = l->rooms * l->per_room;
    l->count = l->subscribers + l->publishers;
    l->peers = mem_zalloc(l->count, sizeof(struct peer));
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < l->count; i++) {
        struct peer *p = &l->peers[i];

        peer_open(p, l->host, l->port, "/connection/websocket");
        p->room = i < l->subscribers ? i % l->rooms : (i - l->subscribers) % l->rooms;
        p->looks = i < l->rooms && i < l->subscribers;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, p->fd, &event);
        send_command(p, "{\"id\":1,\"connect\":{}}");
        if (i % 256 == 255) {
            wait_replies(l, i + 1);
        }
    }
    wait_replies(l, l->count);
    for (uint32_t i = 0; !l->idle && i < l->subscribers; i++) {
        send_command(&l->peers[i], "{\"id\":2,\"subscribe\":{\"channel\":\"bench-%u\"}}",
                     l->peers[i].room);
    }
    wait_replies(l, l->count + (l->idle ? 0 : l->subscribers));
}

static void publish(struct load *l, struct peer *p, int64_t due_us)
{
    char text[4096];
    int size = snprintf(text, sizeof(text),
                        "{\"id\":%u,\"publish\":{\"channel\":\"bench-%u\",\"data\":{\"t\":%" PRId64
                        ",\"x\":\"",
                        ++p->next_id + 10, p->room, due_us);

    memset(text + size, 'x', l->size);
    memcpy(text + size + l->size, "\"}}}", 4);
    peer_send(p, text, (size_t)size + l->size + 4);
    p->in_flight++;
    l->published++;
}

/* Open loop: records leave when they are due, whatever became of those before. */
static void publish_due(struct load *l, int64_t begun_us, uint64_t *sent, int64_t now_us)
{
    while (begun_us + (int64_t)(*sent * 1000000 / (uint64_t)l->rate) <= now_us) {
        int64_t due = begun_us + (int64_t)(*sent * 1000000 / (uint64_t)l->rate);

        publish(l, &l->peers[l->subscribers + *sent % l->publishers], due);
        ++*sent;
    }
}

static void run_for(struct load *l, int64_t ms)
{
    int64_t begun = clock_mono_us(), until = begun + ms * 1000, now;
    uint64_t sent = 0;

    while ((now = clock_mono_us()) < until) {
        if (l->rate > 0) {
            publish_due(l, begun, &sent, now);
        } else {
            for (uint32_t i = l->subscribers; i < l->count; i++) {
                while (l->peers[i].in_flight < l->window) {
                    publish(l, &l->peers[i], now);
                }
            }
        }
        take_ready(l, 1);
    }
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int64_t percentile(const struct load *l, double part)
{
    size_t n = l->counts.latency_count;

    return n == 0 ? 0 : l->counts.latencies[MIN(n - 1, (size_t)((double)n * part))];
}

static void measure(struct load *l)
{
    l->counts.latencies = mem_zalloc(LATENCIES_MAX, sizeof(int64_t));
    l->counts.latency_max = LATENCIES_MAX;
    run_for(l, l->warmup_ms);
    int64_t *latencies = l->counts.latencies;
    l->counts = (struct peer_counts){.latencies = latencies, .latency_max = LATENCIES_MAX};
    l->published = 0;
    puts("{\"event\":\"begin\"}");
    fflush(stdout);
    int64_t begun = clock_mono_us();
    run_for(l, l->measure_ms);
    double seconds = (double)(clock_mono_us() - begun) / 1e6;
    qsort(latencies, l->counts.latency_count, sizeof(int64_t), by_value);
    printf("{\"event\":\"end\",\"seconds\":%.3f,\"published\":%" PRIu64 ",\"deliveries\":%" PRIu64
           ",\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"replies\":%" PRIu64
           ",\"errors\":%" PRIu64 ",\"samples\":%zu,\"p50_us\":%" PRId64 ",\"p99_us\":%" PRId64
           "}\n",
           seconds, l->published, l->counts.publications, l->counts.frames, l->counts.bytes,
           l->counts.replies, l->counts.errors, l->counts.latency_count, percentile(l, 0.50),
           percentile(l, 0.99));
    fflush(stdout);
}

/* Says that all are connected and keeps them until standard input ends. */
static void stay(struct load *l)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    puts("{\"event\":\"connected\"}");
    fflush(stdout);
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, 0, &event);
    for (;;) {
        struct epoll_event ready[EVENTS_MAX];
        int n = epoll_wait(l->epoll, ready, EVENTS_MAX, -1);

        for (int i = 0; i < n; i++) {
            struct peer *p = ready[i].data.ptr;
            if (p == NULL) {
                return;
            }
            ssize_t size = recv(p->fd, l->read_buffer, sizeof(l->read_buffer), 0);
            if (size > 0) {
                peer_take(p, l->read_buffer, (size_t)size, &l->counts);
            } else if (size == 0) {
                die("a connection was lost");
            }
        }
    }
}

static const char usage[] =
    "usage: load [--host 127.0.0.1] --port N [--rooms 1] [--per-room 10] [--publishers 1]\n"
    "            [--window 32] [--size 100] [--rate 0] [--warmup-ms 1000] [--measure-ms 5000]\n"
    "            [--idle]\n";

static void parse(struct load *l, int argc, char **argv)
{
    static const struct option options[] = {
        {"host", 1, NULL, 'h'},       {"port", 1, NULL, 'p'},       {"rooms", 1, NULL, 'r'},
        {"per-room", 1, NULL, 'n'},   {"publishers", 1, NULL, 'P'}, {"window", 1, NULL, 'w'},
        {"size", 1, NULL, 's'},       {"rate", 1, NULL, 'R'},       {"warmup-ms", 1, NULL, 'W'},
        {"measure-ms", 1, NULL, 'M'}, {"idle", 0, NULL, 'i'},       {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        int64_t value = optarg != NULL ? strtoll(optarg, NULL, 10) : 0;

        switch (option) {
        case 'h':
            l->host = optarg;
            break;
        case 'p':
            l->port = (int)value;
            break;
        case 'r':
            l->rooms = (uint32_t)value;
            break;
        case 'n':
            l->per_room = (uint32_t)value;
            break;
        case 'P':
            l->publishers = (uint32_t)value;
            break;
        case 'w':
            l->window = (uint32_t)value;
            break;
        case 's':
            l->size = (uint32_t)MIN(value, 3000);
            break;
        case 'R':
            l->rate = value;
            break;
        case 'W':
            l->warmup_ms = value;
            break;
        case 'M':
            l->measure_ms = value;
            break;
        case 'i':
            l->idle = true;
            break;
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (l->port == 0 || l->rooms == 0 || (l->publishers == 0 && !l->idle)) {
        fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct load load = {
        .host = "127.0.0.1",
        .rooms = 1,
        .per_room = 10,
        .publishers = 1,
        .window = 32,
        .size = 100,
        .warmup_ms = 1000,
        .measure_ms = 5000,
    };

    parse(&load, argc, argv);
    connect_all(&load);
    if (load.idle) {
        stay(&load);
    } else {
        measure(&load);
    }
    mem_free(load.counts.latencies);
    mem_free(load.peers);
    return 0;
}
