/*
 * worker.h: the thread that serves partitions over one AMQP connection.
 *
 * Locks, inputs, logs and deliveries share the connection, so that they die
 * together: an owner that lost its lock cannot deliver. When it is lost, all
 * partitions are forgotten and everything begins again, for ever, until
 * worker_stop() or a broker that was set up for another deployment.
 */
#ifndef WARREN_BROADCASTER_WORKER_H
#define WARREN_BROADCASTER_WORKER_H

#include "broadcaster/conf.h"
#include "broadcaster/metrics.h"
#include "common/base.h"

struct worker;

/* Starts the thread. `conf` and `metrics` are borrowed; the rules in `conf` are the thread's from
 * now on. `on_end` is called once from the thread, last of all. NULL after one line in the log. */
struct worker *worker_new(struct broadcaster_conf *conf, struct metrics *metrics,
                          void (*on_end)(void *user), void *user) MUST_CHECK;

/* Waits for the thread's end and frees; accepts NULL; returns NULL. Call after `on_end`. */
struct worker *worker_free(struct worker *w);

/* The rest may be called from any thread. */

/* Go by the rules of these settings, without giving any partition away. Taken over: made with
 * mem_new() and good. */
void worker_reload(struct worker *w, struct broadcaster_conf *fresh);

/* Leave all partitions, then end; after WORKER_STOP_MS in any case. */
#define WORKER_STOP_MS 10000
void worker_stop(struct worker *w);

/* Call about every WORKER_WATCH_MS: cuts a connection on which nothing goes on. The only one to
 * count `aborts`. */
#define WORKER_WATCH_MS 500
void worker_watch(struct worker *w);

/* False when the thread hangs. */
bool worker_is_live(const struct worker *w);

/* NULL when connected and counted among the broadcasters, else why not. */
const char *worker_not_ready(const struct worker *w);

/* After the end: false when it ended for a reason that a new start does not cure. */
bool worker_is_good(const struct worker *w);

#endif
