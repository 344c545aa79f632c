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

/* A refusal is an answer here: `is_there`. */
static int settle(struct mq *m, int rc, bool *is_there)
{
    *is_there = rc == MQ_OK;
    return rc == MQ_REFUSED && mq_error_code(m) == 404 ? MQ_OK : rc;
}

static int find_exchange(struct mq *m, uint16_t channel, const char *name, bool *is_there)
{
    return settle(m, mq_exchange_find(m, channel, name), is_there);
}

static int find_input(struct mq *m, uint16_t channel, const struct topology *t, uint32_t partition,
                      bool *is_there)
{
    char name[TOPOLOGY_NAME_SIZE];
    const struct mq_queue q = {.name = topology_name_of(name, t, "in", partition), .passive = true};

    return settle(m, mq_queue_declare(m, channel, &q, NULL, NULL), is_there);
}

/* PREFIX.gateways is there: the exchanges whose names tell with which settings. */
static int compare(struct mq *m, uint16_t channel, const struct topology *t,
                   enum topology_found *found, char *error, size_t error_size)
{
    char in[TOPOLOGY_NAME_SIZE], name[TOPOLOGY_NAME_SIZE];
    bool has_count, has_spill = false;
    int rc =
        find_exchange(m, channel, topology_name_of(name, t, "unrouted", t->partitions), &has_count);

    if (rc == MQ_OK) {
        rc = find_exchange(m, channel, topology_name(name, t, "spill"), &has_spill);
    }
    if (rc == MQ_OK && (!has_count || has_spill == t->is_quorum)) {
        *found = TOPOLOGY_OTHER;
        (void)snprintf(error, error_size, "the broker's %s was made with other settings (%s)",
                       topology_name(in, t, "in"),
                       has_count ? "another queue_type" : "another number of partitions");
    }
    return rc;
}

int topology_find_common(struct mq *m, uint16_t channel, const struct topology *t,
                         enum topology_found *found, char *error, size_t error_size)
{
    char name[TOPOLOGY_NAME_SIZE];
    bool is_there;
    int rc = find_exchange(m, channel, topology_name(name, t, "gateways"), &is_there);

    *found = is_there ? TOPOLOGY_WHOLE : TOPOLOGY_ABSENT;
    if (rc == MQ_OK && is_there) {
        rc = compare(m, channel, t, found, error, error_size);
    }
    for (uint32_t p = 0; p < t->partitions && rc == MQ_OK && *found == TOPOLOGY_WHOLE; p++) {
        rc = find_input(m, channel, t, p, &is_there);
        *found = is_there ? TOPOLOGY_WHOLE : TOPOLOGY_ABSENT;
    }
    if (rc == MQ_REFUSED) {
        (void)snprintf(error, error_size, "%s", mq_error(m));
    }
    return rc;
}
