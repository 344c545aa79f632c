/*
 * topology.h: every exchange and queue of a deployment, declared from one place.
 *
 * Whoever needs a thing and may make it declares it, always with the same
 * arguments; a gateway whose account may make nothing but its own exchange and
 * queue waits for a broadcaster. So the order in which services start does not
 * matter. With P partitions, p = 0..P-1:
 *
 *   exchange          kind                       carries
 *   PREFIX.in         direct, durable            batches of publishes, key p
 *   PREFIX.unrouted.P fanout, durable            what PREFIX.in has no queue for; into PREFIX.dead
 *                                                and PREFIX.spill
 *   PREFIX.spill      direct, durable            what RabbitMQ drops from a PREFIX.in.p, key p, and
 *                                                what comes while that is not there
 *   PREFIX.log        direct, durable            appends, key p
 *   PREFIX.owner      direct, durable            soft state for owners, key p; notices, key "all"
 *   PREFIX.gateways   direct, durable            deliveries, key of a gateway, or "all"
 *   PREFIX.gateway.ID fanout, auto-delete        between PREFIX.gateways and one gateway
 *   PREFIX.control    fanout, durable            orders to all gateways
 *   PREFIX.publish    topic, durable             what other programs publish, key: the room
 *   PREFIX.events     topic, durable             what other programs are told, key: what and room
 *   PREFIX.sessions   topic, durable             who connects and disconnects; into PREFIX.events
 *   PREFIX.dead       fanout, durable            what nobody could use
 *
 *   queue             kind                       bound to
 *   PREFIX.in.p       classic or quorum          PREFIX.in, key p
 *   PREFIX.spill.p    classic                    PREFIX.spill, key p
 *   PREFIX.log.p      stream                     PREFIX.log, key p
 *   PREFIX.owner.p    exclusive: the lock        PREFIX.owner, key p
 *   PREFIX.broadcasters    classic; its consumers are the broadcasters
 *   PREFIX.broadcaster.ID  exclusive             PREFIX.owner, key "all"
 *   PREFIX.members    classic; its consumers are the gateways
 *   PREFIX.gateway.ID exclusive                  the exchange of its name
 *   PREFIX.control    stream                     the exchange of its name
 *   PREFIX.publish    classic or quorum          the exchange of its name, key "#"
 *   PREFIX.dead       classic or quorum          the exchange of its name
 *
 * A classic PREFIX.in.p is cut down to its length when RabbitMQ starts, from its
 * head and before it knows that it should refuse publishes instead; and it is
 * longer than that if its owner died while it was full. So its dead-letter
 * exchange is PREFIX.spill, and what is in PREFIX.spill.p stands before what is
 * in PREFIX.in.p. The dead-letter exchange of PREFIX.spill.p, and of a quorum
 * PREFIX.in.p, is PREFIX.dead. Quorum queues are not cut: they have no spill.
 *
 * When somebody deletes a PREFIX.in.p, what is published until a broadcaster has
 * made it anew would be lost, though RabbitMQ confirms it: so that gets into
 * PREFIX.spill.p, too, but for quorum queues.
 *
 * A durable classic queue is away while its node is, and to declare it is
 * refused meanwhile: a cluster has none.
 *
 * Gateways may write PREFIX.sessions, and not PREFIX.events, where they could forge
 * records. Two bindings, which only broadcasters may make, let nothing through
 * but keys that begin with "connect." and "disconnect.".
 *
 * The alternate exchange of PREFIX.in has P in its name, because RabbitMQ
 * compares that argument: a service that believes in another P is refused.
 */
#ifndef WARREN_COMMON_TOPOLOGY_H
#define WARREN_COMMON_TOPOLOGY_H

#include "common/base.h"
#include "common/mq.h"

#define TOPOLOGY_NAME_SIZE 256          /* bytes of a name and its NUL, AMQP's limit */
#define TOPOLOGY_PREFIX_MAX 64          /* bytes */
#define TOPOLOGY_ID_MAX 128             /* bytes of the id of a gateway or broadcaster */
#define TOPOLOGY_ERROR_SIZE 512         /* bytes that hold any error of this file */
#define TOPOLOGY_SEGMENT_BYTES 50000000 /* of a log, which drops whole segments only */

struct topology {
    const char *prefix; /* 1..TOPOLOGY_PREFIX_MAX bytes */
    uint32_t partitions;
    bool is_quorum;        /* for a cluster */
    int64_t in_max_length; /* messages that wait in one PREFIX.in.p */
    int64_t log_max_bytes; /* of one PREFIX.log.p */
    const char *log_max_age;
    int64_t cluster_size; /* members of a quorum queue and of a stream */
};

/* 20000 messages, 1 GB, "7D", 3 members if quorum else 1. */
struct topology topology_default(const char *prefix, uint32_t partitions, bool is_quorum);

/* "PREFIX.in", "PREFIX.in.3", "PREFIX.gateway.g1" into `name`, which it returns. */
const char *topology_name(char name[TOPOLOGY_NAME_SIZE], const struct topology *t,
                          const char *what);
const char *topology_name_of(char name[TOPOLOGY_NAME_SIZE], const struct topology *t,
                             const char *what, uint32_t partition);
const char *topology_name_id(char name[TOPOLOGY_NAME_SIZE], const struct topology *t,
                             const char *what, const char *id);

/* The routing key of a partition, into `key`, which it returns. */
#define TOPOLOGY_KEY_SIZE 12
const char *topology_key(char key[TOPOLOGY_KEY_SIZE], uint32_t partition);

/*
 * Declarations answer MQ_OK, MQ_LOST, or MQ_REFUSED with one line in `error`;
 * the AMQP code is in mq_error_code(). The channel is usable after a refusal.
 */

/* What both services need: the permanent exchanges, PREFIX.in.p, PREFIX.dead, and what
 * topology_declare_shared() makes. */
int topology_declare_common(struct mq *m, uint16_t channel, const struct topology *t, char *error,
                            size_t error_size) MUST_CHECK;

/* What is there of it. */
enum topology_found {
    TOPOLOGY_WHOLE,
    TOPOLOGY_ABSENT, /* or not whole yet */
    TOPOLOGY_OTHER,  /* made with other settings, as `error` says; not all of them are looked at */
};

/* Looks for what topology_declare_common() makes, without any right in the broker. If it is absent,
 * `error` says what. */
int topology_find_common(struct mq *m, uint16_t channel, const struct topology *t,
                         enum topology_found *found, char *error, size_t error_size) MUST_CHECK;

/* What all gateways use: PREFIX.members, PREFIX.control, PREFIX.publish. They must not be able to
 * delete it, so they cannot make it either: broadcasters do. */
int topology_declare_shared(struct mq *m, uint16_t channel, const struct topology *t, char *error,
                            size_t error_size) MUST_CHECK;

/* Whether somebody has deleted any of that. In a cluster only PREFIX.members is looked for, which
 * goes with its node: the others stay unless a person deletes them, and to ask for a stream may
 * take as long as the node of its leader hangs. */
int topology_find_shared(struct mq *m, uint16_t channel, const struct topology *t,
                         enum topology_found *found) MUST_CHECK;

/* Binds the stream PREFIX.control to the exchange of its name. That takes the rights to write the
 * one and to read the other: gateways have both anyway, and nobody else has either. */
int topology_bind_control(struct mq *m, uint16_t channel, const struct topology *t, char *error,
                          size_t error_size) MUST_CHECK;

/* PREFIX.log.p: the streams. */
int topology_declare_logs(struct mq *m, uint16_t channel, const struct topology *t, char *error,
                          size_t error_size) MUST_CHECK;

/* PREFIX.events with its bindings, PREFIX.broadcasters and PREFIX.broadcaster.ID. 405: a connection
 * that died has not been noticed yet, try again. */
int topology_declare_broadcaster(struct mq *m, uint16_t channel, const struct topology *t,
                                 const char *id, char *error, size_t error_size) MUST_CHECK;

/* Exchange and queue PREFIX.gateway.ID. 405 and 404: as above, try again. */
int topology_declare_gateway(struct mq *m, uint16_t channel, const struct topology *t,
                             const char *id, char *error, size_t error_size) MUST_CHECK;

/* Takes the lock of a partition for this connection. MQ_REFUSED with code 405: somebody has it. */
int topology_claim(struct mq *m, uint16_t channel, const struct topology *t,
                   uint32_t partition) MUST_CHECK;

/* Gives the lock back. */
int topology_release(struct mq *m, uint16_t channel, const struct topology *t,
                     uint32_t partition) MUST_CHECK;

#endif
