/*
 * worker_internal.h: what the files of the worker share.
 *
 * worker.c has the thread and the connection, worker_serve.c the loop while it
 * is up; member.c counts the broadcasters, claims partitions and gives them away.
 */
#ifndef WARREN_BROADCASTER_WORKER_INTERNAL_H
#define WARREN_BROADCASTER_WORKER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "broadcaster/dead.h"
#include "broadcaster/share.h"
#include "broadcaster/tenure.h"
#include "broadcaster/worker.h"
#include "common/mq.h"
#include "common/topology.h"

/* Channels that are not a partition's. */
enum channel {
    CHANNEL_CONTROL = 1, /* declarations, locks given back */
    CHANNEL_COUNT,       /* passive declarations */
    CHANNEL_CLAIM,       /* a claim that is refused costs the channel */
    CHANNEL_DELIVER,     /* to gateways, mandatory */
    CHANNEL_MEMBER,      /* consumes PREFIX.broadcasters and notices, sends notices */
    CHANNEL_DEAD,        /* dead letters, with confirms */
};
static_assert((int)CHANNEL_DEAD < TENURE_CHANNEL_FIRST, "the partitions' channels are their own");

/* Beside MQ_OK and MQ_LOST: why the worker's functions end the connection. */
enum worker_end {
    WORKER_TROUBLE = 20, /* `reason` says why; connect again */
    WORKER_STOPPED = 21, /* as was asked for */
    WORKER_FOREIGN = 22, /* the broker was set up for another deployment; was logged */
};

enum worker_readiness { WORKER_CONNECTING, WORKER_READY, WORKER_BLOCKED, WORKER_STOPPING };

#define WORKER_LIVE_MS 10000 /* a turn of the loop that takes longer hangs */
#define WORKER_REASON_SIZE TOPOLOGY_ERROR_SIZE

struct worker {
    struct broadcaster_conf *conf; /* borrowed; its rules belong to the thread */
    struct metrics *metrics;       /* borrowed */
    void (*on_end)(void *user);
    void *user;
    struct topology topology;
    struct mq_target *target; /* owns */
    char app_id[ID_MAX + 24];
    char name[ID_MAX + 24]; /* of the connection */
    pthread_t thread;
    int wake_fd; /* owns; an eventfd: worker_stop() was called */

    /* Written by the thread, read by others. */
    _Atomic int64_t alive_until_ms; /* it hangs when this has passed */
    atomic_int readiness;           /* enum worker_readiness */
    atomic_bool is_good;
    /* The other way. */
    atomic_bool is_asked_to_stop;
    _Atomic(struct broadcaster_conf *) fresh; /* owns; NULL: no new rules have come */

    pthread_mutex_t mutex; /* for `mq`, where another thread looks at it or it changes */
    struct mq *mq;         /* owns; NULL while not connected */
    bool is_aborted;       /* by the watchdog */

    /* Of the thread alone. */
    struct share share;
    struct tenure_env env;
    struct dead dead;
    struct tenure *tenures[PARTITIONS_MAX]; /* own */
    bool is_topology_stale;     /* something of it was missing: declare it before the next claim */
    bool is_member_lost;        /* the queue of the broadcasters is gone: declare and consume it */
    bool is_claiming;           /* there may be more to claim at once */
    bool is_give_due;           /* a partition was released, the next one may follow */
    int64_t tick_ms, period_ms; /* when the next are due */
    int64_t connected_ms;       /* since when */
    int64_t open_ms;            /* since when it takes publishes */
    int64_t look_ms;            /* when to look for what gateways use */
    int64_t race_ms;            /* of the last claim that came too late */
    int64_t patience_ms;        /* with a log that owes an answer; 0: not set yet */
    int64_t stop_ms;            /* when to end in any case; 0: not stopping */
    uint32_t failures;          /* of connecting, in a row */
    char reason[WORKER_REASON_SIZE]; /* why the connection failed */
    char told[WORKER_REASON_SIZE];   /* the last one logged as a warning */
};

/* worker.c */

/* Notes why the connection has to end; returns WORKER_TROUBLE. */
int worker_trouble(struct worker *w, const char *format, ...) PRINTF_LIKE(2, 3);

/* Hangs, if it does not say so again within `for_ms`. */
void worker_set_alive(struct worker *w, int64_t now_ms, int64_t for_ms);

/* Declares everything. MQ_OK, MQ_LOST or a worker_end. */
int worker_declare(struct worker *w) MUST_CHECK;

/* Takes new rules, if some have come. */
void worker_heed_reload(struct worker *w);

/* Opens a channel anew that is not a partition's: what was said on it is void. MQ_OK, MQ_LOST or
 * WORKER_TROUBLE. */
int worker_reopen(struct worker *w, uint16_t channel) MUST_CHECK;

/* worker_serve.c */

/* Serves until the connection has to end. MQ_LOST or a worker_end. */
int worker_serve(struct worker *w) MUST_CHECK;

/* member.c; all answer MQ_OK, MQ_LOST or a worker_end. */

/* Becomes one of the broadcasters. */
int member_join(struct worker *w) MUST_CHECK;

/* When `period_ms` has come: counts the broadcasters and claims what is missing. */
int member_period(struct worker *w, int64_t now_ms) MUST_CHECK;

/* Gives away what is too much. */
int member_give(struct worker *w) MUST_CHECK;

/* A delivery or the end of a consumer on CHANNEL_MEMBER. */
int member_on_event(struct worker *w, const struct mq_event *e, int64_t now_ms) MUST_CHECK;

/* Is none of the broadcasters any more and gives everything away. */
int member_leave(struct worker *w) MUST_CHECK;

/* Handles what a tenure's verb answered: passes on MQ_OK and MQ_LOST, ends the tenure on others. */
int member_judge(struct worker *w, uint32_t partition, int answer) MUST_CHECK;

#endif
