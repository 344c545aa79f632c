/*
 * appends.h: the line of messages on their way into the log.
 *
 * One is in flight at a time and stays first in line, to be sent again byte for
 * byte, until the broker has confirmed it. Batches that arrive meanwhile are
 * numbered into the last one in line, as long as that is open.
 */
#ifndef WARREN_BROADCASTER_APPENDS_H
#define WARREN_BROADCASTER_APPENDS_H

#include "common/base.h"
#include "common/buf.h"
#include "proto/message.h"

#define APPEND_BATCHES_MAX 1024 /* batches in one append: their names fit a frame */
#define APPEND_RETRY_MS 100     /* pause after the first refusal; doubles */
#define APPEND_RETRY_MAX_MS 2000
#define APPEND_OVERHEAD 300 /* bytes that a message takes in the log beside its body */

struct partition;
struct place;
struct lane_mark;
struct key_mark;

/* A numbered record in an append's body. */
struct append_record {
    struct place *place;  /* borrowed: stays while something of it is pending */
    struct key_mark *key; /* borrowed: waits with the record; NULL: it has none */
    uint64_t offset;
    size_t at, end; /* bytes */
};

struct append_batch {
    struct lane_mark *lane; /* borrowed: as above */
    uint64_t number;
};

struct append {
    struct append *next;
    enum message_type type;
    bool is_sent;    /* from then on nothing of it changes */
    int64_t time_ms; /* when it was sent first */
    uint64_t number; /* of our messages to the log under this term */
    uint64_t hint;   /* header `checkpoint` */
    bool has_told;   /* has header `told` */
    uint64_t told;
    uint64_t parts_left; /* CHECKPOINT: parts that follow */
    struct buf body, lanes;
    struct append_record *records; /* owns */
    size_t record_count, record_capacity;
    struct append_batch *batches; /* owns */
    size_t batch_count, batch_capacity;
    uint64_t ack_tag; /* input that is done with this; 0: none */
    size_t inputs;    /* how many deliveries that are */
};

struct appends {
    struct append *first; /* owns */
    struct append **last;
    struct append *spare; /* owns: memory for the next one */
    bool in_flight;       /* the first one was sent and not answered */
    int64_t retry_ms;     /* the first one was refused: send it again then; 0: it was not */
    int64_t pause_ms;
    uint64_t numbered; /* messages sent under this term */
};

/* An empty line; frees what is still in it. */
void appends_init(struct appends *all);
void appends_deinit(struct appends *all);

/* A new one that is not in line yet. */
struct append *append_new(struct appends *all, enum message_type type);

/* Puts one last in line; puts a chain first in line, when nothing is in doubt. */
void appends_put_last(struct appends *all, struct append *a);
void appends_put_first(struct appends *all, struct append *first, struct append *last);

/* The last in line, or NULL. */
struct append *appends_tail(struct appends *all);

/* The last in line if it is an APPEND that takes further batches, or NULL. */
struct append *appends_open(struct appends *all);

/* Frees one that is not in line. */
void append_discard(struct appends *all, struct append *a);

/* Appends a record's place in the body, or a batch's name. */
void append_add_record(struct append *a, const struct append_record *r);
void append_add_batch(struct append *a, struct lane_mark *lane, struct slice boot, uint64_t number);

/* Sends the first in line if nothing is in flight and no pause holds it back. */
void appends_pump(struct partition *p, int64_t now_ms);

/* Answers the one in flight. */
void appends_on_confirm(struct partition *p, bool ok, int64_t now_ms);

/* Sends again what was refused, when its pause is over. */
void appends_tick(struct partition *p, int64_t now_ms);

#endif
