/* topology.c: every exchange and queue of a deployment, declared from one place. */
#include "common/topology.h"

#include <inttypes.h>
#include <stdio.h>

#define DEAD_MAX_LENGTH 10000       /* messages kept for a person to look at */
#define DELIVERY_LIMIT 1000000000   /* an owner that dies often must not kill good messages */
#define OWNER_MAX_LENGTH 10000      /* messages in the mailbox of an owner */
#define BROADCASTER_MAX_LENGTH 1000 /* notices */
#define MEMBERS_MAX_LENGTH 1000     /* messages: nobody sends any */
#define GATEWAY_MAX_BYTES 67108864  /* deliveries that wait for one gateway */
#define CONTROL_MAX_BYTES 64000000  /* of orders; what stands is summed up anew in time */
#define CONTROL_MAX_AGE "30D"
#define CONTROL_SEGMENT_BYTES 4000000

/* Where a series of declarations stands. The first failure stays; the rest is skipped. */
struct declaring {
    struct mq *m;
    uint16_t channel;
    const struct topology *t;
    char *error;
    size_t error_size;
    int rc;
};

struct topology topology_default(const char *prefix, uint32_t partitions, bool is_quorum)
{
    return (struct topology){
        .prefix = prefix,
        .partitions = partitions,
        .is_quorum = is_quorum,
        .in_max_length = 20000,
        .log_max_bytes = 1000000000,
        .log_max_age = "7D",
        .cluster_size = is_quorum ? 3 : 1,
    };
}

const char *topology_name(char name[TOPOLOGY_NAME_SIZE], const struct topology *t, const char *what)
{
    int size = snprintf(name, TOPOLOGY_NAME_SIZE, "%s.%s", t->prefix, what);

    assert(size > 0 && size < TOPOLOGY_NAME_SIZE);
    return name;
}

const char *topology_name_of(char name[TOPOLOGY_NAME_SIZE], const struct topology *t,
                             const char *what, uint32_t partition)
{
    int size = snprintf(name, TOPOLOGY_NAME_SIZE, "%s.%s.%" PRIu32, t->prefix, what, partition);

    assert(size > 0 && size < TOPOLOGY_NAME_SIZE);
    return name;
}

const char *topology_name_id(char name[TOPOLOGY_NAME_SIZE], const struct topology *t,
                             const char *what, const char *id)
{
    int size = snprintf(name, TOPOLOGY_NAME_SIZE, "%s.%s.%s", t->prefix, what, id);

    assert(size > 0 && size < TOPOLOGY_NAME_SIZE);
    return name;
}

const char *topology_key(char key[TOPOLOGY_KEY_SIZE], uint32_t partition)
{
    int size = snprintf(key, TOPOLOGY_KEY_SIZE, "%" PRIu32, partition);

    assert(size > 0 && size < TOPOLOGY_KEY_SIZE);
    return key;
}

/* What an argument comes from that the broker says is another one. */
static const char *cause_of(const char *refusal)
{
    static const struct {
        const char *argument, *cause;
    } causes[] = {
        {"'alternate-exchange'", "[topology] partitions"},
        {"'x-max-length'", "[topology] in_max_length"},
        {"'x-max-length-bytes'", "[topology] log_max_bytes"},
        {"'x-max-age'", "[topology] log_max_age"},
    };

    for (size_t i = 0; i < ARRAY_LEN(causes); i++) {
        if (strstr(refusal, causes[i].argument) != NULL) {
            return causes[i].cause;
        }
    }
    return "[topology] queue_type or version of warren";
}

static void note(struct declaring *d, const char *name, int rc)
{
    d->rc = rc;
    if (rc == MQ_REFUSED && mq_error_code(d->m) == 406) {
        (void)snprintf(d->error, d->error_size, "the broker's %s was made with another %s: %s",
                       name, cause_of(mq_error(d->m)), mq_error(d->m));
    } else if (rc != MQ_OK) {
        (void)snprintf(d->error, d->error_size, "%s: %s", name, mq_error(d->m));
    }
}

static void exchange(struct declaring *d, const char *name, const char *type)
{
    if (d->rc == MQ_OK) {
        note(d, name, mq_exchange_declare(d->m, d->channel, name, type, true, false, NULL));
    }
}

static void queue(struct declaring *d, const struct mq_queue *q)
{
    if (d->rc == MQ_OK) {
        note(d, q->name, mq_queue_declare(d->m, d->channel, q, NULL, NULL));
    }
}

static void bind(struct declaring *d, const char *queue_name, const char *exchange_name,
                 const char *key)
{
    if (d->rc == MQ_OK) {
        note(d, queue_name, mq_queue_bind(d->m, d->channel, queue_name, exchange_name, key));
    }
}

static void chain(struct declaring *d, const char *destination, const char *source, const char *key)
{
    if (d->rc == MQ_OK) {
        note(d, destination, mq_exchange_bind(d->m, d->channel, destination, source, key));
    }
}

/* First of all: a refusal because of another P leaves nothing behind. */
static void declare_in_exchange(struct declaring *d)
{
    char in[TOPOLOGY_NAME_SIZE], unrouted[TOPOLOGY_NAME_SIZE];
    const struct mq_arg args[] = {
        {.name = "alternate-exchange",
         .text = topology_name_of(unrouted, d->t, "unrouted", d->t->partitions)},
        {.name = NULL},
    };

    (void)topology_name(in, d->t, "in");
    if (d->rc == MQ_OK) {
        note(d, in, mq_exchange_declare(d->m, d->channel, in, "direct", true, false, args));
    }
}

static void declare_dead(struct declaring *d)
{
    const struct mq_arg classic[] = {
        {.name = "x-max-length", .number = DEAD_MAX_LENGTH},
        {.name = "x-overflow", .text = "drop-head"},
        {.name = "x-queue-mode", .text = "lazy"},
        {.name = NULL},
    };
    const struct mq_arg quorum[] = {
        {.name = "x-queue-type", .text = "quorum"},
        {.name = "x-quorum-initial-group-size", .number = d->t->cluster_size},
        {.name = "x-max-length", .number = DEAD_MAX_LENGTH},
        {.name = "x-overflow", .text = "drop-head"},
        {.name = NULL},
    };
    char dead[TOPOLOGY_NAME_SIZE], unrouted[TOPOLOGY_NAME_SIZE];
    const struct mq_queue q = {.name = topology_name(dead, d->t, "dead"),
                               .durable = true,
                               .args = d->t->is_quorum ? quorum : classic};

    exchange(d, dead, "fanout");
    queue(d, &q);
    bind(d, dead, dead, "");
    exchange(d, topology_name_of(unrouted, d->t, "unrouted", d->t->partitions), "fanout");
    chain(d, dead, unrouted, "");
}

/* Before the input, whose letters it takes; see topology.h. Unbounded: what is in it was in the
 * input, or has nowhere else to go. */
static void declare_spill(struct declaring *d, uint32_t partition)
{
    char exchange_name[TOPOLOGY_NAME_SIZE], name[TOPOLOGY_NAME_SIZE], dead[TOPOLOGY_NAME_SIZE];
    char key[TOPOLOGY_KEY_SIZE];
    const struct mq_arg args[] = {
        {.name = "x-dead-letter-exchange", .text = topology_name(dead, d->t, "dead")},
        {.name = NULL},
    };
    const struct mq_queue q = {
        .name = topology_name_of(name, d->t, "spill", partition), .durable = true, .args = args};

    queue(d, &q);
    bind(d, name, topology_name(exchange_name, d->t, "spill"), topology_key(key, partition));
}

static void declare_in(struct declaring *d, uint32_t partition)
{
    char in[TOPOLOGY_NAME_SIZE], name[TOPOLOGY_NAME_SIZE], dead[TOPOLOGY_NAME_SIZE];
    char spill[TOPOLOGY_NAME_SIZE], key[TOPOLOGY_KEY_SIZE];
    const struct topology *t = d->t;
    const char *dead_name = topology_name(dead, t, "dead");
    const struct mq_arg classic[] = {
        {.name = "x-max-length", .number = t->in_max_length},
        {.name = "x-overflow", .text = "reject-publish"},
        {.name = "x-dead-letter-exchange", .text = topology_name(spill, t, "spill")},
        {.name = NULL},
    };
    const struct mq_arg quorum[] = {
        {.name = "x-queue-type", .text = "quorum"},
        {.name = "x-single-active-consumer", .number = 1, .is_flag = true},
        {.name = "x-delivery-limit", .number = DELIVERY_LIMIT},
        {.name = "x-quorum-initial-group-size", .number = t->cluster_size},
        {.name = "x-max-length", .number = t->in_max_length},
        {.name = "x-overflow", .text = "reject-publish"},
        {.name = "x-dead-letter-exchange", .text = dead_name},
        {.name = NULL},
    };
    const struct mq_queue q = {.name = topology_name_of(name, t, "in", partition),
                               .durable = true,
                               .args = t->is_quorum ? quorum : classic};

    queue(d, &q);
    bind(d, name, topology_name(in, t, "in"), topology_key(key, partition));
}

/* Consumed by every gateway, carries nothing: so they can be counted. As PREFIX.broadcasters. */
static void declare_members(struct declaring *d)
{
    const struct mq_arg args[] = {
        {.name = "x-max-length", .number = MEMBERS_MAX_LENGTH},
        {.name = NULL},
    };
    char name[TOPOLOGY_NAME_SIZE];
    const struct mq_queue q = {
        .name = topology_name(name, d->t, "members"), .durable = !d->t->is_quorum, .args = args};

    queue(d, &q);
}

static void declare_control(struct declaring *d)
{
    const struct mq_arg args[] = {
        {.name = "x-queue-type", .text = "stream"},
        {.name = "x-max-length-bytes", .number = CONTROL_MAX_BYTES},
        {.name = "x-max-age", .text = CONTROL_MAX_AGE},
        {.name = "x-stream-max-segment-size-bytes", .number = CONTROL_SEGMENT_BYTES},
        {.name = "x-initial-cluster-size", .number = d->t->cluster_size},
        {.name = NULL},
    };
    char name[TOPOLOGY_NAME_SIZE];
    const struct mq_queue q = {
        .name = topology_name(name, d->t, "control"), .durable = true, .args = args};

    exchange(d, name, "fanout");
    queue(d, &q); /* bound by gateways: see topology_bind_control() */
}

/* One gateway consumes it, so that there is an order; the next one takes over. It is as long as it
 * gets: a program that publishes without confirms would not hear of a refusal. A topic exchange,
 * because the broker can restrict an account to some keys of it. */
static void declare_publish(struct declaring *d)
{
    char name[TOPOLOGY_NAME_SIZE], dead[TOPOLOGY_NAME_SIZE];
    const char *dead_name = topology_name(dead, d->t, "dead");
    const struct mq_arg classic[] = {
        {.name = "x-single-active-consumer", .number = 1, .is_flag = true},
        {.name = "x-dead-letter-exchange", .text = dead_name},
        {.name = NULL},
    };
    const struct mq_arg quorum[] = {
        {.name = "x-queue-type", .text = "quorum"},
        {.name = "x-single-active-consumer", .number = 1, .is_flag = true},
        {.name = "x-delivery-limit", .number = DELIVERY_LIMIT},
        {.name = "x-quorum-initial-group-size", .number = d->t->cluster_size},
        {.name = "x-dead-letter-exchange", .text = dead_name},
        {.name = NULL},
    };
    const struct mq_queue q = {.name = topology_name(name, d->t, "publish"),
                               .durable = true,
                               .args = d->t->is_quorum ? quorum : classic};

    exchange(d, name, "topic");
    queue(d, &q);
    bind(d, name, name, "#");
}

static void declare_shared(struct declaring *d)
{
    declare_members(d);
    declare_control(d);
    declare_publish(d);
}

int topology_declare_shared(struct mq *m, uint16_t channel, const struct topology *t, char *error,
                            size_t error_size)
{
    struct declaring d = {m, channel, t, error, error_size, MQ_OK};

    declare_shared(&d);
    return d.rc;
}

int topology_declare_common(struct mq *m, uint16_t channel, const struct topology *t, char *error,
                            size_t error_size)
{
    static const char *const direct[] = {"log", "owner"};
    struct declaring d = {m, channel, t, error, error_size, MQ_OK};
    char name[TOPOLOGY_NAME_SIZE], unrouted[TOPOLOGY_NAME_SIZE];

    declare_in_exchange(&d);
    declare_dead(&d);
    for (size_t i = 0; i < ARRAY_LEN(direct); i++) {
        exchange(&d, topology_name(name, t, direct[i]), "direct");
    }
    if (!t->is_quorum) {
        exchange(&d, topology_name(name, t, "spill"), "direct");
        chain(&d, name, topology_name_of(unrouted, t, "unrouted", t->partitions), "");
    }
    exchange(&d, topology_name(name, t, "sessions"), "topic");
    for (uint32_t p = 0; p < t->partitions; p++) {
        if (!t->is_quorum) {
            declare_spill(&d, p);
        }
        declare_in(&d, p);
    }
    declare_shared(&d);
    exchange(&d, topology_name(name, t, "gateways"),
             "direct"); /* the last: topology_find_common() */
    return d.rc;
}

int topology_declare_logs(struct mq *m, uint16_t channel, const struct topology *t, char *error,
                          size_t error_size)
{
    const struct mq_arg args[] = {
        {.name = "x-queue-type", .text = "stream"},
        {.name = "x-max-length-bytes", .number = t->log_max_bytes},
        {.name = "x-max-age", .text = t->log_max_age},
        {.name = "x-stream-max-segment-size-bytes", .number = TOPOLOGY_SEGMENT_BYTES},
        {.name = "x-initial-cluster-size", .number = t->cluster_size},
        {.name = NULL},
    };
    struct declaring d = {m, channel, t, error, error_size, MQ_OK};
    char log[TOPOLOGY_NAME_SIZE], name[TOPOLOGY_NAME_SIZE], key[TOPOLOGY_KEY_SIZE];

    (void)topology_name(log, t, "log");
    for (uint32_t p = 0; p < t->partitions; p++) {
        const struct mq_queue q = {
            .name = topology_name_of(name, t, "log", p), .durable = true, .args = args};
        queue(&d, &q);
        bind(&d, name, log, topology_key(key, p));
    }
    return d.rc;
}

int topology_declare_broadcaster(struct mq *m, uint16_t channel, const struct topology *t,
                                 const char *id, char *error, size_t error_size)
{
    const struct mq_arg args[] = {
        {.name = "x-max-length", .number = BROADCASTER_MAX_LENGTH},
        {.name = NULL},
    };
    struct declaring d = {m, channel, t, error, error_size, MQ_OK};
    char all[TOPOLOGY_NAME_SIZE], own[TOPOLOGY_NAME_SIZE], owner[TOPOLOGY_NAME_SIZE];
    char events[TOPOLOGY_NAME_SIZE], sessions[TOPOLOGY_NAME_SIZE];
    static const char *const of_sessions[] = {"connect.#", "disconnect.#"};
    /* In a cluster it goes with its node, to be declared on another one at once. A quorum queue
     * would stay and go on counting the consumers of the dead node. */
    const struct mq_queue members = {
        .name = topology_name(all, t, "broadcasters"), .durable = !t->is_quorum, .args = args};
    const struct mq_queue mailbox = {
        .name = topology_name_id(own, t, "broadcaster", id), .exclusive = true, .args = args};

    exchange(&d, topology_name(events, t, "events"), "topic");
    for (size_t i = 0; i < ARRAY_LEN(of_sessions); i++) {
        chain(&d, events, topology_name(sessions, t, "sessions"), of_sessions[i]);
    }
    queue(&d, &members);
    queue(&d, &mailbox);
    bind(&d, own, topology_name(owner, t, "owner"), "all");
    return d.rc;
}

int topology_declare_gateway(struct mq *m, uint16_t channel, const struct topology *t,
                             const char *id, char *error, size_t error_size)
{
    const struct mq_arg args[] = {
        {.name = "x-max-length-bytes", .number = GATEWAY_MAX_BYTES},
        {.name = "x-overflow", .text = "drop-head"},
        {.name = NULL},
    };
    struct declaring d = {m, channel, t, error, error_size, MQ_OK};
    char own[TOPOLOGY_NAME_SIZE], gateways[TOPOLOGY_NAME_SIZE];
    const struct mq_queue q = {
        .name = topology_name_id(own, t, "gateway", id), .exclusive = true, .args = args};

    (void)topology_name(gateways, t, "gateways");
    note(&d, own, mq_exchange_declare(m, channel, own, "fanout", false, true, NULL));
    queue(&d, &q);
    /* In this order: an auto-delete exchange goes away only after something was bound behind it. */
    bind(&d, own, own, "");
    chain(&d, own, gateways, id);
    chain(&d, own, gateways, "all");
    return d.rc;
}

int topology_bind_control(struct mq *m, uint16_t channel, const struct topology *t, char *error,
                          size_t error_size)
{
    struct declaring d = {m, channel, t, error, error_size, MQ_OK};
    char name[TOPOLOGY_NAME_SIZE];

    bind(&d, topology_name(name, t, "control"), name, "");
    return d.rc;
}

int topology_claim(struct mq *m, uint16_t channel, const struct topology *t, uint32_t partition)
{
    const struct mq_arg args[] = {
        {.name = "x-max-length", .number = OWNER_MAX_LENGTH},
        {.name = NULL},
    };
    char name[TOPOLOGY_NAME_SIZE], owner[TOPOLOGY_NAME_SIZE], key[TOPOLOGY_KEY_SIZE];
    const struct mq_queue q = {
        .name = topology_name_of(name, t, "owner", partition), .exclusive = true, .args = args};
    int rc = mq_queue_declare(m, channel, &q, NULL, NULL);

    if (rc == MQ_OK) {
        rc = mq_queue_bind(m, channel, name, topology_name(owner, t, "owner"),
                           topology_key(key, partition));
    }
    return rc;
}

int topology_release(struct mq *m, uint16_t channel, const struct topology *t, uint32_t partition)
{
    char name[TOPOLOGY_NAME_SIZE];

    return mq_queue_delete(m, channel, topology_name_of(name, t, "owner", partition));
}
