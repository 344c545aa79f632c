/*
 * mq.h: one AMQP 0-9-1 connection, used by one thread.
 *
 * The only door to librabbitmq. Opening, declaring and consuming are requests
 * that wait for the broker's answer, each at most MQ_RPC_MS; publishing and
 * acking only write; everything the broker says by itself comes out of
 * mq_next(). A connection that failed once stays failed (mq_is_open() is
 * false, every call returns MQ_LOST) until it is closed and opened anew.
 *
 * librabbitmq blocks in a publish when the socket takes no more, or when the
 * broker has been silent for two heartbeats. So only bus threads use this, and
 * another thread that sees no progress (mq_progress_ms()) may call mq_abort().
 */
#ifndef WARREN_COMMON_MQ_H
#define WARREN_COMMON_MQ_H

#include "common/base.h"

#define MQ_RPC_MS 10000        /* longest wait for an answer of the broker */
#define MQ_CONNECT_MS 5000     /* longest wait for TCP, TLS and login, each */
#define MQ_BODY_MAX (16 << 20) /* bytes: a larger body is skipped, see mq_event.too_large */
#define MQ_HEADERS_MAX 12      /* headers kept of one message; further ones are ignored */
#define MQ_HEARTBEAT_S 5

struct mq; /* owned by the thread that uses it */

enum mq_result {
    MQ_OK = 0,
    MQ_LOST = -1,   /* the connection is gone: close it, open a new one */
    MQ_REFUSED = 1, /* the broker closed the channel: 403, 404, 405, 406; see mq_error(). The
                       channel is open again, empty */
    MQ_TIMEOUT = 2, /* mq_next(): nothing came in time */
};

/* Where to connect: parsed from amqp:// or amqps:// URLs, comma-separated. */
struct mq_target;
/* NULL after filling `error`. */
struct mq_target *mq_target_new(const char *urls, const char *ca_file, char *error,
                                size_t error_size) MUST_CHECK;
struct mq_target *mq_target_free(struct mq_target *t);

struct mq_header {
    struct slice name;
    bool is_number;
    int64_t number;
    struct slice text; /* when it is no number */
};

/* Properties and headers of a message, both ways. Empty slices and zero are left out when sent. */
struct mq_props {
    struct slice content_type, type, app_id, message_id, correlation_id;
    struct slice user_id; /* received only: the account of the sender, checked by the broker */
    int64_t timestamp_s;  /* seconds since 1970 */
    bool persistent;      /* delivery mode 2 */
    struct mq_header headers[MQ_HEADERS_MAX];
    size_t header_count;
    bool has_more; /* received only: there were further headers */
};

/* Adds a header; at most MQ_HEADERS_MAX (asserted: the names are ours). Slices are borrowed. */
void mq_props_number(struct mq_props *p, const char *name, int64_t value);
void mq_props_text(struct mq_props *p, const char *name, struct slice value);
/* The value of a received header; false when it is absent or of the other kind. */
bool mq_props_get_number(const struct mq_props *p, const char *name, int64_t *value);
bool mq_props_get_text(const struct mq_props *p, const char *name, struct slice *value);

enum mq_event_kind {
    MQ_DELIVERY,       /* a message for a consumer of ours */
    MQ_ACK,            /* publisher confirm */
    MQ_NACK,           /* publisher confirm, negative */
    MQ_RETURN,         /* a mandatory message that no queue took; its ack follows */
    MQ_CANCELLED,      /* the broker cancelled a consumer: its queue is gone */
    MQ_CHANNEL_CLOSED, /* by the broker; it is open again, empty; unconfirmed publishes on it are in
                          doubt */
    MQ_BLOCKED,        /* alarm: the broker does not read publishes */
    MQ_UNBLOCKED,
};

struct mq_event {
    enum mq_event_kind kind;
    uint16_t channel;
    uint64_t tag;  /* delivery or confirm */
    bool multiple; /* confirms up to and including `tag` */
    bool redelivered;
    struct slice consumer; /* consumer tag */
    struct slice key;      /* routing key of a delivery or return */
    struct slice exchange;
    struct mq_props props;
    struct slice body;
    bool too_large; /* the body was above MQ_BODY_MAX and is left out: nothing but reject or ack it
                     */
    int64_t stream_offset; /* of a stream delivery; else -1 */
};

/* Connects to the next URL of the target (round robin over calls). MQ_OK and `*out`, or MQ_LOST
 * with `error` filled. `name` shows as the connection name in the management page, e.g.
 * "warren-gateway g1 publish". */
int mq_open(struct mq **out, struct mq_target *target, const char *name, char *error,
            size_t error_size) MUST_CHECK;

/* Closes politely if the connection is open, waits at most a second; accepts NULL; returns NULL. */
struct mq *mq_close(struct mq *m);

/* False from the first failure or mq_abort() on. */
bool mq_is_open(const struct mq *m);

/* The last refusal or failure as text ("404 NOT_FOUND - no queue ..."), and its AMQP code (0 if
 * none). */
const char *mq_error(const struct mq *m);
int mq_error_code(const struct mq *m);

/* From any thread: clock_mono_ms() of the last time a call on this connection began, or the library
 * came back with something. Older than the caller's patience means stuck. */
int64_t mq_progress_ms(const struct mq *m);

/* From any thread: makes every blocked and later call fail with MQ_LOST. The struct must be alive.
 */
void mq_abort(struct mq *m);

/* Channels 1..2047. Confirms: publishes are numbered 1, 2, 3 ... and answered by MQ_ACK or MQ_NACK.
 */
int mq_channel_open(struct mq *m, uint16_t channel, bool confirms) MUST_CHECK;
/* Closes: unacked deliveries go back in their old place. */
int mq_channel_close(struct mq *m, uint16_t channel) MUST_CHECK;

/* Queue and exchange arguments as name/value pairs ended by a NULL name. */
struct mq_arg {
    const char *name;
    const char *text; /* NULL: a number */
    int64_t number;
    bool is_flag; /* `number` is 0 or 1 and sent as a boolean */
};

struct mq_queue {
    const char *name;
    bool durable, exclusive, auto_delete, passive;
    const struct mq_arg *args; /* may be NULL */
};

/* MQ_REFUSED with mq_error_code() 404 (passive, absent), 405 (locked), 406 (other arguments).
 * Counts may be NULL. */
int mq_queue_declare(struct mq *m, uint16_t channel, const struct mq_queue *q, uint32_t *messages,
                     uint32_t *consumers) MUST_CHECK;
int mq_queue_delete(struct mq *m, uint16_t channel, const char *name) MUST_CHECK;
int mq_exchange_declare(struct mq *m, uint16_t channel, const char *name, const char *type,
                        bool durable, bool auto_delete, const struct mq_arg *args) MUST_CHECK;
/* Whether it is there: needs no right. MQ_REFUSED with code 404: it is not. */
int mq_exchange_find(struct mq *m, uint16_t channel, const char *name) MUST_CHECK;
int mq_queue_bind(struct mq *m, uint16_t channel, const char *queue, const char *exchange,
                  const char *key) MUST_CHECK;
int mq_exchange_bind(struct mq *m, uint16_t channel, const char *destination, const char *source,
                     const char *key) MUST_CHECK;

struct mq_consume {
    const char *queue;
    const char *tag;
    uint16_t prefetch; /* 0: no limit */
    bool no_ack, exclusive;
    const char *stream_from; /* "first", "last", "next", or NULL */
    int64_t stream_offset;   /* used when stream_from is NULL and this is >= 0 */
};
int mq_consume(struct mq *m, uint16_t channel, const struct mq_consume *c) MUST_CHECK;

/* Cancels a consumer; deliveries already on the way are still handed out or dropped by the caller.
 */
int mq_cancel(struct mq *m, uint16_t channel, const char *tag) MUST_CHECK;

/* Writes a message. May block: see the top. MQ_REFUSED: a text is longer than AMQP can carry (255
 * bytes; all headers together a frame) or a key is not UTF-8; nothing was written and the channel
 * is as it was. On a channel that the broker has closed nothing is written either: the
 * MQ_CHANNEL_CLOSED that puts it in doubt is on its way. */
int mq_publish(struct mq *m, uint16_t channel, const char *exchange, const char *key,
               bool mandatory, const struct mq_props *props, struct slice body) MUST_CHECK;
int mq_ack(struct mq *m, uint16_t channel, uint64_t tag, bool multiple) MUST_CHECK;
/* Without requeue: goes to the dead-letter exchange of its queue. Never on a stream. */
int mq_reject(struct mq *m, uint16_t channel, uint64_t tag) MUST_CHECK;

/* The next thing the broker said, waiting at most `wait_ms` (0: only what is there). MQ_OK,
 * MQ_TIMEOUT or MQ_LOST. The event's slices are valid until the next mq_next(). Serves heartbeats:
 * call at least once a second. */
int mq_next(struct mq *m, struct mq_event *event, int wait_ms) MUST_CHECK;

/* Sleeps until mq_next() has something to do, `other_fd` (-1: none) is readable, or `wait_ms` have
 * passed. Returns at once when something may already be inside the library, also behind TLS. */
void mq_idle_wait(struct mq *m, int other_fd, int wait_ms);

#endif
