/* chan.c: a bounded queue of messages from one thread to another. */
#include "common/chan.h"

static void lock(struct chan *c)
{
    int rc = pthread_mutex_lock(&c->mutex);

    assert(rc == 0);
}

static void unlock(struct chan *c)
{
    int rc = pthread_mutex_unlock(&c->mutex);

    assert(rc == 0);
}

/* An empty queue takes any size, or a message above the bound would wait for ever. */
static bool has_room(const struct chan *c, const struct chan_node *node)
{
    return c->first == NULL || (c->cost <= c->cost_max && node->cost <= c->cost_max - c->cost);
}

static void append(struct chan *c, struct chan_node *node)
{
    node->next = NULL;
    *c->last = node;
    c->last = &node->next;
    c->cost += node->cost;
}

void chan_init(struct chan *c, size_t cost_max, void (*wake)(void *user), void *user)
{
    *c = (struct chan){.cost_max = cost_max, .wake = wake, .user = user};
    c->last = &c->first;
    int rc = pthread_mutex_init(&c->mutex, NULL);
    assert(rc == 0);
    rc = pthread_cond_init(&c->room, NULL);
    assert(rc == 0);
}

void chan_deinit(struct chan *c)
{
    assert(c->first == NULL);
    int rc = pthread_cond_destroy(&c->room);
    assert(rc == 0);
    rc = pthread_mutex_destroy(&c->mutex);
    assert(rc == 0);
}

bool chan_try_put(struct chan *c, struct chan_node *node)
{
    lock(c);
    bool is_put = !c->closed && has_room(c, node);
    if (is_put) {
        append(c, node);
    }
    unlock(c);
    if (is_put) {
        c->wake(c->user);
    }
    return is_put;
}

bool chan_put(struct chan *c, struct chan_node *node)
{
    lock(c);
    while (!c->closed && !has_room(c, node)) {
        int rc = pthread_cond_wait(&c->room, &c->mutex);
        assert(rc == 0);
    }
    bool is_put = !c->closed;
    if (is_put) {
        append(c, node);
    }
    unlock(c);
    if (is_put) {
        c->wake(c->user);
    }
    return is_put;
}

struct chan_node *chan_take(struct chan *c)
{
    lock(c);
    struct chan_node *first = c->first;
    c->first = NULL;
    c->last = &c->first;
    c->cost = 0;
    if (first != NULL) {
        pthread_cond_broadcast(&c->room);
    }
    unlock(c);
    return first;
}

struct chan_node *chan_take_one(struct chan *c)
{
    lock(c);
    struct chan_node *node = c->first;
    if (node != NULL) {
        c->first = node->next;
        if (c->first == NULL) {
            c->last = &c->first;
        }
        c->cost -= node->cost;
        node->next = NULL;
        pthread_cond_broadcast(&c->room);
    }
    unlock(c);
    return node;
}

void chan_close(struct chan *c)
{
    lock(c);
    c->closed = true;
    pthread_cond_broadcast(&c->room);
    unlock(c);
}
