/*
 * bus.h: the gateway's two bus threads and the queues between them and the loop.
 *
 * librabbitmq can block; so one thread with one connection publishes (with
 * confirms), another one consumes, and both trade messages with the loop
 * over bounded queues. The loop never waits for them. A thread that makes no
 * progress has its socket cut by bus_tick().
 */
#ifndef WARREN_GATEWAY_BUS_BUS_H
#define WARREN_GATEWAY_BUS_BUS_H

#include "common/base.h"
#include "common/blob.h"
#include "common/chan.h"
#include "gateway/bus/lanes.h"
#include "proto/message.h"

#define BUS_OUT_MAX (64 << 20) /* bytes on their way to the publishing thread */
/* Bytes on their way to the loop; then the consuming thread waits. */
#define BUS_IN_MAX (32 << 20)
#define BUS_KEY_SIZE (USER_MAX + 16) /* bytes of a routing key of ours and its NUL */
#define BUS_STALL_MS 8000            /* a thread without progress for so long is cut off */

struct gateway;
struct bus;
struct raw;

enum bus_target {
    BUS_TO_INPUT,    /* warren.in, with a confirm: comes back through lanes_on_result() */
    BUS_TO_OWNER,    /* warren.owner: sent and forgotten */
    BUS_TO_CONTROL,  /* warren.control, with a confirm: comes back through control_on_result() */
    BUS_TO_SESSIONS, /* warren.sessions, with a confirm: comes back through notices_on_result() */
    BUS_TARGETS
};

/* A message to publish. The slices of `message` other than the body must outlive it: they name this
 * gateway, or are in `texts`. */
struct bus_out {
    struct chan_node node; /* first */
    enum bus_target target;
    struct message message; /* its body is `body` */
    struct blob *body;      /* owns; one owner at a time, see blob.h */
    uint64_t tag;           /* private to the publishing thread, as is the next one */
    uint32_t refusals;      /* by the broker */
    int64_t sent_us;
    /* BUS_TO_SESSIONS, instead of a message: */
    const char *event; /* static text: its type */
    uint64_t serial;   /* private to the sender */
    char key[BUS_KEY_SIZE];
    char texts[]; /* what those slices point to when they name somebody else */
};

/* Starts both threads; the queues' ends are watched in the gateway's loop. NULL after one error
 * line. */
struct bus *bus_new(struct gateway *g) MUST_CHECK;
/* Ends both threads (a blocked one is cut off) and frees what is on the way. Accepts NULL; returns
 * NULL. */
struct bus *bus_free(struct bus *b);

/* Hands a message over. False: full; the caller keeps it. */
bool bus_send(struct bus *b, struct bus_out *out) MUST_CHECK;

/* A message of PREFIX.publish is safe: acks it, if its delivery still counts. Takes it over. */
void bus_raw_done(struct bus *b, struct raw *raw);
/* Takes no more of them: those that are not acked go back. */
void bus_raw_end(struct bus *b);

/* Frees a message that came back or was never sent. */
void bus_out_free(struct bus_out *out);

/* Counts the gateways that RabbitMQ sees. Returns the number of the count, 1, 2, 3 ...:
 * surveys_on_count() is told of it, or of a later one instead. */
uint64_t bus_count(struct bus *b);

/* Every GATEWAY_TICK_MS: the watchdog. */
void bus_tick(struct bus *b);

/* NULL when both connections are up and nothing is blocked, else what is missing in a few words. */
const char *bus_not_ready(const struct bus *b);

#endif
