/*
 * rig.h: what the tests against a real RabbitMQ share.
 *
 * WARREN_TEST_AMQP names the broker as a URL, WARREN_TEST_CA_FILE the authority of its
 * certificate if that is amqps://; WARREN_TEST_BROKER_PID, where a test freezes it, its
 * process. A wait that does not end fails the program by SIGALRM.
 */
#ifndef WARREN_TESTS_BROKER_RIG_H
#define WARREN_TESTS_BROKER_RIG_H

#include "common/mq.h"

#define RIG_PATIENCE_MS 30000
#define RIG_CHANNEL 1 /* the one that rig_open() opens, with confirms */

/* A target made of WARREN_TEST_AMQP. */
struct mq_target *rig_target(void);

/* A connection with RIG_CHANNEL open; asserts that it works. */
struct mq *rig_open(void);

/* A name that no other run of these tests uses; valid until the process ends. */
const char *rig_name(const char *what);

/* A classic queue that lives as long as the connection. */
void rig_queue(struct mq *m, const char *name);

/* Consumes on RIG_CHANNEL with acks, tag "t". */
void rig_consume(struct mq *m, const char *queue);

/* Publishes through the default exchange on RIG_CHANNEL, so to the queue `key`. */
void rig_publish(struct mq *m, const char *key, struct slice body);

/* The next event, which must be of this kind. */
struct mq_event rig_expect(struct mq *m, enum mq_event_kind kind);

/* Reads events until `tag` and all before it are confirmed; nothing but confirms may come. */
void rig_await_confirms(struct mq *m, uint64_t tag);

/* Proves that connection and channel work: a declaration that the broker answers. */
void rig_assert_usable(struct mq *m, uint16_t channel);

/* Starts the alarm clock of the program. */
void rig_start(unsigned seconds);

#endif
