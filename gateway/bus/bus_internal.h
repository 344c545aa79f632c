/*
 * bus_internal.h: what the loop's side of the bus and its two threads share.
 */
#ifndef WARREN_GATEWAY_BUS_BUS_INTERNAL_H
#define WARREN_GATEWAY_BUS_BUS_INTERNAL_H

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/chan.h"
#include "common/mq.h"
#include "common/topology.h"
#include "gateway/bus/bus.h"

#define BUS_BACKOFF_MIN_MS 100
#define BUS_BACKOFF_MAX_MS 2000
#define BUS_POLL_MS 200 /* longest sleep of a thread: heartbeats are served after it */
#define BUS_ERROR_SIZE 256
#define BUS_CHANNEL_DECLARE 1 /* of both threads; each has its own for the rest */
#define BUS_CHANNEL_RAW 6     /* consumes PREFIX.publish, see bus_raw.c */
#define BUS_CHANNEL_MEMBER 8  /* consumes PREFIX.members, see bus_members.c */

enum bus_news_kind {
    NEWS_UP,
    NEWS_DOWN,
    NEWS_BLOCKED,
    NEWS_UNBLOCKED,
    NEWS_RESULT,  /* a batch comes back */
    NEWS_MESSAGE, /* from an owner */
    NEWS_CONTROL, /* from the control stream */
    NEWS_RAW,     /* from PREFIX.publish */
    NEWS_COUNT,   /* the gateways were counted */
    NEWS_FATAL,   /* the broker holds another topology: the process has to end */
    NEWS_POISON,  /* a message that could not be understood */
};

/* What a thread tells the loop. */
struct bus_news {
    struct chan_node node; /* first */
    enum bus_news_kind kind;
    bool from_publisher;
    struct bus_out *batch; /* RESULT: owns */
    enum bus_result result;
    struct message message; /* MESSAGE, CONTROL: slices point into `bytes` */
    int64_t at;             /* CONTROL: its offset in the stream */
    uint64_t count;         /* COUNT: its number */
    int64_t gateways;       /* COUNT: how many; below 0: they cannot be counted now */
    struct blob *bytes;     /* owns */
    struct raw *raw;        /* RAW: owns */
};

/* One thread and its connection. */
struct bus_thread {
    struct bus *bus;
    const char *role; /* "publish" or "consume": part of the connection's name */
    pthread_t thread;
    bool is_started;
    int event_fd; /* wakes it */
    _Atomic bool stops;
    _Atomic int64_t progress_ms; /* of its last turn; 0: it is waiting to reconnect */
    pthread_mutex_t mutex;       /* guards mq against the watchdog */
    struct mq *mq;               /* owned by the thread */
    struct chan to_loop;
    uint32_t attempts;  /* since the last time it was up */
    int64_t control_at; /* consume: offset of the last control message handed over, or -1 */
};

struct bus {
    struct gateway *gateway; /* borrowed; the threads read only what is fixed: conf, boot */
    struct topology topology;
    struct mq_target *target[2]; /* owns: one for each thread */
    struct bus_thread publish, consume;
    struct chan to_publish;
    /* See bus_raw.c. But for these two, the consuming thread's. */
    struct chan raw_done; /* from the loop: records that are safe */
    _Atomic bool raw_ends;
    bool raw_is_open;
    uint32_t raw_life;
    uint64_t raw_copies;            /* published on the channel's present life */
    struct raw_letter *raw_letters; /* owns */
    /* See bus_members.c. */
    _Atomic uint64_t counts_wanted; /* number of the last count that the loop wants */
    uint64_t counts_told;           /* the consuming thread's, as the next two */
    bool is_member_lost;            /* the queue of the gateways is gone: declare and consume it */
    int64_t rejoin_ms;              /* then: not before */
    ev_async wake;                  /* a thread has news */
    bool publish_is_up, consume_is_up, is_blocked;
};

/* bus_threads.c: the publishing thread, and what both threads share. */
void *bus_publish_run(void *user);

/* Tells the loop something that costs nothing, so that there is always room. Takes it over. */
void bus_tell(struct bus_thread *t, struct bus_news *news);
struct bus_news *bus_news_new(const struct bus_thread *t, enum bus_news_kind kind) MUST_CHECK;

/* Opens the connection and declares what every service needs. */
bool bus_connect(struct bus_thread *t, size_t which) MUST_CHECK;
void bus_disconnect(struct bus_thread *t);

/* The thread is alive; it has to end; it waits before the next attempt. */
void bus_progress(struct bus_thread *t);
bool bus_stops(struct bus_thread *t);
void bus_pause_before_retry(struct bus_thread *t);

/* Says why, once for each time that the broker goes away. */
void bus_complain(struct bus_thread *t, const char *what, const char *error);

/* Forgets that it was woken. */
void bus_event_clear(struct bus_thread *t);

/* bus_raw.c; all but the last one in the consuming thread. Results as mq.h has them. */
int bus_raw_open(struct bus_thread *t) MUST_CHECK;
/* Deliveries of BUS_CHANNEL_RAW, and confirms. */
int bus_raw_on_event(struct bus_thread *t, const struct mq_event *e) MUST_CHECK;
/* Acks what is safe. */
int bus_raw_settle(struct bus_thread *t) MUST_CHECK;
/* When the threads have ended. */
void bus_raw_free(struct bus *b);

/* bus_members.c; in the consuming thread. Results as mq.h has them. */
int bus_member_join(struct bus_thread *t) MUST_CHECK;
/* The broker ended the consumer that makes us count. */
void bus_member_lost(struct bus_thread *t);
/* Joins again, counts, if either is due. */
int bus_member_settle(struct bus_thread *t) MUST_CHECK;

/* bus_consume.c */
void *bus_consume_run(void *user);

#endif
