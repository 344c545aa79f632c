/*
 * chan.h: a bounded queue of messages from one thread to another.
 *
 * Messages are intrusive (struct chan_node first in them) and change owner when
 * they are put in. The bound is in bytes, as counted by the sender, so that a
 * receiver that stalls costs bounded memory. After a put the receiver is woken
 * by `wake`: ev_async_send() towards a loop, an eventfd towards a bus thread.
 */
#ifndef WARREN_COMMON_CHAN_H
#define WARREN_COMMON_CHAN_H

#include <pthread.h>

#include "common/base.h"

struct chan_node {
    struct chan_node *next;
    size_t cost; /* bytes, set by the sender */
};

struct chan {
    pthread_mutex_t mutex;
    pthread_cond_t room;     /* signalled when the queue gets shorter */
    struct chan_node *first; /* owns */
    struct chan_node **last;
    size_t cost, cost_max;
    bool closed; /* nothing more goes in */
    void (*wake)(void *user);
    void *user;
};

/* An empty queue; `wake(user)` is called in the thread of the sender, without a lock. */
void chan_init(struct chan *c, size_t cost_max, void (*wake)(void *user), void *user);

/* The queue must be empty. */
void chan_deinit(struct chan *c);

/* Puts a message in if there is room (an empty queue takes any size). False: full or closed, the
 * caller keeps it. */
bool chan_try_put(struct chan *c, struct chan_node *node) MUST_CHECK;

/* Waits for room. False: closed while waiting, the caller keeps it. */
bool chan_put(struct chan *c, struct chan_node *node) MUST_CHECK;

/* Takes everything, oldest first, as a list ended by NULL. Never waits for messages. */
struct chan_node *chan_take(struct chan *c);

/* Takes the oldest one, or NULL. */
struct chan_node *chan_take_one(struct chan *c);

/* From now on nothing goes in; waiting senders give up. */
void chan_close(struct chan *c);

#endif
