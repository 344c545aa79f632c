/* worker.c: the thread that serves partitions over one AMQP connection. */
#include "broadcaster/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broadcaster/worker_internal.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"

#define CONNECT_LIVE_MS (4 * MQ_CONNECT_MS)       /* the same while connecting */
#define STUCK_MS (1500 * (int64_t)MQ_HEARTBEAT_S) /* without progress on the connection */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define STEADY_MS 5000 /* a connection that lived so long starts the backoff anew */

int worker_trouble(struct worker *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(w->reason, sizeof(w->reason), format, args);
    va_end(args);
    return WORKER_TROUBLE;
}

static void set_mq(struct worker *w, struct mq *m)
{
    (void)pthread_mutex_lock(&w->mutex);
    w->mq = m;
    w->is_aborted = false;
    (void)pthread_mutex_unlock(&w->mutex);
}

void worker_set_alive(struct worker *w, int64_t now_ms, int64_t for_ms)
{
    atomic_store(&w->alive_until_ms, now_ms + for_ms);
}

int worker_declare(struct worker *w)
{
    int (*const declare[])(struct mq *, uint16_t, const struct topology *, char *, size_t) = {
        topology_declare_common,
        topology_declare_logs,
    };
    int rc = MQ_OK;

    for (size_t i = 0; i < ARRAY_LEN(declare) && rc == MQ_OK; i++) {
        rc = declare[i](w->mq, CHANNEL_CONTROL, &w->topology, w->reason, sizeof(w->reason));
    }
    if (rc == MQ_OK) {
        rc = topology_declare_broadcaster(w->mq, CHANNEL_CONTROL, &w->topology, w->conf->id,
                                          w->reason, sizeof(w->reason));
    }
    if (rc == MQ_REFUSED && mq_error_code(w->mq) == 406) {
        log_error("%s", w->reason);
        return WORKER_FOREIGN;
    }
    return rc == MQ_REFUSED ? WORKER_TROUBLE : rc;
}

static int open_channel(struct worker *w, uint16_t channel)
{
    int rc = mq_channel_open(w->mq, channel, channel == CHANNEL_DEAD);

    return rc == MQ_REFUSED ? worker_trouble(w, "channel %u: %s", channel, mq_error(w->mq)) : rc;
}

static int open_channels(struct worker *w)
{
    int rc = MQ_OK;

    for (uint16_t c = CHANNEL_CONTROL; c <= CHANNEL_DEAD && rc == MQ_OK; c++) {
        rc = open_channel(w, c);
    }
    return rc;
}

int worker_reopen(struct worker *w, uint16_t channel)
{
    int rc = mq_channel_close(w->mq, channel);

    return rc == MQ_OK ? open_channel(w, channel) : rc;
}

/* Up to being one of the broadcasters. */
static int connect_broker(struct worker *w)
{
    struct mq *m = NULL;

    worker_set_alive(w, clock_mono_ms(), CONNECT_LIVE_MS);
    if (mq_open(&m, w->target, w->name, w->reason, sizeof(w->reason)) != MQ_OK) {
        return WORKER_TROUBLE;
    }
    set_mq(w, m);
    w->env.mq = m;
    w->env.is_blocked = false;
    w->is_topology_stale = false;
    w->is_member_lost = false;
    w->is_claiming = false;
    w->connected_ms = w->open_ms = clock_mono_ms();
    w->look_ms = 0;
    worker_set_alive(w, w->connected_ms, CONNECT_LIVE_MS);
    int rc = open_channels(w);
    if (rc == MQ_OK) {
        rc = worker_declare(w);
    }
    if (rc == MQ_OK) {
        rc = member_join(w);
    }
    if (rc == MQ_OK) {
        stat_add(&w->metrics->connects, 1);
        stat_set(&w->metrics->connected, 1);
        atomic_store(&w->readiness, WORKER_READY);
        w->told[0] = '\0';
        log_info("connected partitions=%" PRIu32 " queue_type=%s", w->share.partitions,
                 w->conf->queue_type);
    }
    return rc;
}

/* Forgets the connection and all that lived on it. */
static void disconnect(struct worker *w)
{
    struct mq *m = w->mq;

    atomic_store(&w->readiness, w->stop_ms != 0 ? WORKER_STOPPING : WORKER_CONNECTING);
    for (uint32_t p = 0; p < w->share.partitions; p++) {
        w->tenures[p] = tenure_free(w->tenures[p]);
    }
    dead_clear(&w->dead);
    share_lost_all(&w->share);
    stat_set(&w->metrics->connected, 0);
    stat_set(&w->metrics->blocked, 0);
    stat_set(&w->metrics->broadcasters, 0);
    stat_set(&w->metrics->target, 0);
    set_mq(w, NULL);
    (void)mq_close(m);
}

/* Warns once for each reason. */
static void tell(struct worker *w, bool was_connected, int64_t retry_ms)
{
    const char *reason = log_quote(w->reason, strlen(w->reason));

    if (was_connected) {
        log_warn("connection lost reason=%s retry_ms=%" PRId64, reason, retry_ms);
    } else if (strcmp(w->reason, w->told) != 0) {
        log_warn("cannot connect, trying on reason=%s retry_ms=%" PRId64, reason, retry_ms);
    } else {
        log_debug("cannot connect reason=%s retry_ms=%" PRId64, reason, retry_ms);
    }
    memcpy(w->told, w->reason, sizeof(w->told));
}

/* Full jitter: clients of a broker that comes back must not all knock at once. */
static int64_t backoff_ms(struct worker *w, bool was_steady)
{
    w->failures = was_steady ? 0 : MIN(w->failures + 1, 16);
    int64_t cap = MIN((int64_t)BACKOFF_MIN_MS << w->failures, (int64_t)BACKOFF_MAX_MS);
    return 1 + (int64_t)share_random(&w->share, (uint64_t)cap);
}

static struct broadcaster_conf *drop_conf(struct broadcaster_conf *c)
{
    if (c != NULL) {
        broadcaster_conf_free(c);
        mem_free(c);
    }
    return NULL;
}

void worker_heed_reload(struct worker *w)
{
    struct broadcaster_conf *fresh = atomic_exchange(&w->fresh, NULL);

    if (fresh == NULL) {
        return;
    }
    struct rules old = w->conf->rules;
    w->conf->rules = fresh->rules;
    fresh->rules = old;
    for (uint32_t p = 0; p < w->share.partitions; p++) {
        if (w->tenures[p] != NULL) {
            tenure_rules_changed(w->tenures[p]);
        }
    }
    (void)drop_conf(fresh);
    stat_add(&w->metrics->reloads, 1);
    log_info("rules of rooms reloaded");
}

static void *run(void *arg)
{
    struct worker *w = arg;
    int rc = MQ_OK;

    while (rc != WORKER_FOREIGN && !atomic_load(&w->is_asked_to_stop)) {
        worker_heed_reload(w);
        rc = connect_broker(w);
        bool was_connected = rc == MQ_OK;
        if (was_connected) {
            rc = worker_serve(w);
        }
        if (rc == MQ_LOST) {
            (void)worker_trouble(w, "%s", mq_error(w->mq));
        }
        if (w->mq != NULL) {
            disconnect(w);
        }
        if (rc == WORKER_FOREIGN || rc == WORKER_STOPPED) {
            break;
        }
        stat_add(&w->metrics->reconnects, was_connected);
        bool was_steady = was_connected && clock_mono_ms() - w->connected_ms >= STEADY_MS;
        int64_t retry_ms = backoff_ms(w, was_steady);
        tell(w, was_connected, retry_ms);
        worker_set_alive(w, clock_mono_ms(), retry_ms + WORKER_LIVE_MS);
        struct pollfd wake = {.fd = w->wake_fd, .events = POLLIN};
        (void)poll(&wake, 1, (int)retry_ms);
    }
    atomic_store(&w->is_good, rc != WORKER_FOREIGN);
    w->on_end(w->user);
    return NULL;
}

static struct topology make_topology(const struct broadcaster_conf *c)
{
    struct topology t = topology_default(c->amqp_prefix, (uint32_t)c->partitions,
                                         strcmp(c->queue_type, "quorum") == 0);

    t.in_max_length = c->in_max_length;
    t.log_max_bytes = c->log_max_bytes;
    t.log_max_age = c->log_max_age;
    return t;
}

static void init(struct worker *w)
{
    uint64_t seed;

    hash_random(&seed, sizeof(seed));
    w->topology = make_topology(w->conf);
    (void)snprintf(w->app_id, sizeof(w->app_id), "warren-broadcaster/%s", w->conf->id);
    (void)snprintf(w->name, sizeof(w->name), "warren-broadcaster %s", w->conf->id);
    dead_init(&w->dead, w->metrics);
    share_init(&w->share, (uint32_t)w->conf->partitions, seed);
    stat_set(&w->metrics->partitions, (uint64_t)w->conf->partitions);
    w->env = (struct tenure_env){
        .topology = &w->topology,
        .conf = w->conf,
        .metrics = w->metrics,
        .dead = &w->dead,
        .deliver_channel = CHANNEL_DELIVER,
        .control_channel = CHANNEL_CONTROL,
        .app_id = slice_of(w->app_id),
    };
    atomic_init(&w->readiness, WORKER_CONNECTING);
    atomic_init(&w->is_good, true);
    atomic_init(&w->is_asked_to_stop, false);
    atomic_init(&w->fresh, NULL);
    worker_set_alive(w, clock_mono_ms(), WORKER_LIVE_MS);
}

/* Signals are the main thread's. */
static int start_thread(struct worker *w)
{
    sigset_t all, old;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&w->thread, NULL, run, w);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

static void release(struct worker *w)
{
    (void)mq_target_free(w->target);
    (void)drop_conf(atomic_load(&w->fresh));
    (void)close(w->wake_fd);
    (void)pthread_mutex_destroy(&w->mutex);
    mem_free(w);
}

struct worker *worker_new(struct broadcaster_conf *conf, struct metrics *metrics,
                          void (*on_end)(void *user), void *user)
{
    char error[WORKER_REASON_SIZE];
    struct mq_target *target =
        mq_target_new(conf->amqp_url, conf->amqp_ca_file, error, sizeof(error));

    if (target == NULL) {
        log_error("bad setting key=amqp.url: %s", error);
        return NULL;
    }
    struct worker *w = mem_new(struct worker);
    w->conf = conf;
    w->metrics = metrics;
    w->on_end = on_end;
    w->user = user;
    w->target = target;
    int rc = pthread_mutex_init(&w->mutex, NULL);
    assert(rc == 0);
    init(w);
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake_fd < 0) {
        log_error("cannot make an eventfd error=%s", strerror(errno));
        release(w);
        return NULL;
    }
    rc = start_thread(w);
    if (rc != 0) {
        log_error("cannot start a thread error=%s", strerror(rc));
        release(w);
        return NULL;
    }
    return w;
}

struct worker *worker_free(struct worker *w)
{
    if (w != NULL) {
        (void)pthread_join(w->thread, NULL);
        release(w);
    }
    return NULL;
}

void worker_reload(struct worker *w, struct broadcaster_conf *fresh)
{
    (void)drop_conf(atomic_exchange(&w->fresh, fresh)); /* two signals at once: the later counts */
}

void worker_stop(struct worker *w)
{
    atomic_store(&w->is_asked_to_stop, true);
    /* Any other failure means that it is awake, and it looks each tick anyway. */
    while (write(w->wake_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0 && errno == EINTR) {
    }
}

void worker_watch(struct worker *w)
{
    (void)pthread_mutex_lock(&w->mutex);
    if (w->mq != NULL && !w->is_aborted && clock_mono_ms() - mq_progress_ms(w->mq) > STUCK_MS) {
        w->is_aborted = true;
        mq_abort(w->mq);
        stat_add(&w->metrics->aborts, 1);
        log_warn("connection cut: nothing went on for %" PRId64 " ms", STUCK_MS);
    }
    (void)pthread_mutex_unlock(&w->mutex);
}

bool worker_is_live(const struct worker *w)
{
    return clock_mono_ms() < atomic_load((_Atomic int64_t *)(uintptr_t)&w->alive_until_ms);
}

const char *worker_not_ready(const struct worker *w)
{
    switch ((enum worker_readiness)atomic_load((atomic_int *)(uintptr_t)&w->readiness)) {
    case WORKER_CONNECTING:
        return "not connected to the broker";
    case WORKER_READY:
        return NULL;
    case WORKER_BLOCKED:
        return "the broker takes no publishes";
    case WORKER_STOPPING:
        break;
    }
    return "stopping";
}

bool worker_is_good(const struct worker *w)
{
    return atomic_load((atomic_bool *)(uintptr_t)&w->is_good);
}
