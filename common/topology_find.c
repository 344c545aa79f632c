/*
 * topology_find.c: whether the permanent exchanges and queues of a deployment are there.
 *
 * Asks passively: a service that only uses them needs no right to make them, and so has none to
 * delete them. PREFIX.gateways is the last that topology_declare_common() makes: with it, the other
 * exchanges are there too, or they were made with other settings. The queues are looked at one by
 * one, because people delete them to change their arguments.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/topology.h"

/* Where a series of questions stands: it goes on while all is there. */
struct finding {
    struct mq *m;
    uint16_t channel;
    const struct topology *t;
    enum topology_found found;
    char absent[TOPOLOGY_NAME_SIZE];
    int rc;
};

static bool goes_on(const struct finding *f)
{
    return f->rc == MQ_OK && f->found == TOPOLOGY_WHOLE;
}

/* A refusal is an answer here. */
static bool settle(struct finding *f, const char *name, int rc)
{
    bool is_absent = rc == MQ_REFUSED && mq_error_code(f->m) == 404;

    f->rc = is_absent ? MQ_OK : rc;
    if (is_absent) {
        (void)snprintf(f->absent, sizeof(f->absent), "%s", name);
    }
    return rc == MQ_OK;
}

static bool has_exchange(struct finding *f, const char *name)
{
    return f->rc == MQ_OK && settle(f, name, mq_exchange_find(f->m, f->channel, name));
}

static void find_exchange(struct finding *f, const char *what)
{
    char name[TOPOLOGY_NAME_SIZE];

    if (goes_on(f) && !has_exchange(f, topology_name(name, f->t, what))) {
        f->found = TOPOLOGY_ABSENT;
    }
}

static void find_queue(struct finding *f, const char *name)
{
    const struct mq_queue q = {.name = name, .passive = true};

    if (goes_on(f) && !settle(f, name, mq_queue_declare(f->m, f->channel, &q, NULL, NULL))) {
        f->found = TOPOLOGY_ABSENT;
    }
}

/* PREFIX.gateways is there: the exchanges whose names tell with which settings. */
static void compare(struct finding *f, char *error, size_t error_size)
{
    const struct topology *t = f->t;
    char in[TOPOLOGY_NAME_SIZE], name[TOPOLOGY_NAME_SIZE];
    bool has_count = has_exchange(f, topology_name_of(name, t, "unrouted", t->partitions));
    bool has_spill = has_exchange(f, topology_name(name, t, "spill"));

    if (f->rc == MQ_OK && (!has_count || has_spill == t->is_quorum)) {
        f->found = TOPOLOGY_OTHER;
        (void)snprintf(error, error_size, "the broker's %s was made with other settings (%s)",
                       topology_name(in, t, "in"),
                       has_count ? "another queue_type" : "another number of partitions");
    }
}

/* Each exchange stands before its queue: with the queue, it has been made too. */
static void find_shared(struct finding *f, bool is_thorough)
{
    static const char *const names[] = {"control", "publish"};
    char name[TOPOLOGY_NAME_SIZE];

    find_queue(f, topology_name(name, f->t, "members"));
    for (size_t i = 0; i < ARRAY_LEN(names) && is_thorough; i++) {
        find_queue(f, topology_name(name, f->t, names[i]));
        find_exchange(f, names[i]);
    }
}

int topology_find_shared(struct mq *m, uint16_t channel, const struct topology *t,
                         enum topology_found *found)
{
    struct finding f = {.m = m, .channel = channel, .t = t, .found = TOPOLOGY_WHOLE, .rc = MQ_OK};

    find_shared(&f, !t->is_quorum);
    *found = f.found;
    return f.rc;
}

int topology_find_common(struct mq *m, uint16_t channel, const struct topology *t,
                         enum topology_found *found, char *error, size_t error_size)
{
    struct finding f = {.m = m, .channel = channel, .t = t, .found = TOPOLOGY_WHOLE, .rc = MQ_OK};
    char name[TOPOLOGY_NAME_SIZE];

    find_exchange(&f, "gateways");
    if (goes_on(&f)) {
        compare(&f, error, error_size);
    }
    for (uint32_t p = 0; p < t->partitions && goes_on(&f); p++) {
        find_queue(&f, topology_name_of(name, t, "in", p));
    }
    find_shared(&f, true);
    *found = f.found;
    if (f.rc != MQ_OK) {
        (void)snprintf(error, error_size, "%s", mq_error(m));
    } else if (f.found == TOPOLOGY_ABSENT) {
        (void)snprintf(error, error_size, "%s is not there", f.absent);
    }
    return f.rc;
}
