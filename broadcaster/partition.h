/*
 * partition.h: the logic of one partition's owner, without I/O.
 *
 *     claiming ──► replaying ──► owned ──► leaving ──► gone
 *
 * The machine is told what happened and answers with actions, which the shell
 * around it carries out in order. It knows no socket, no clock and no thread:
 * time comes in as an argument, randomness from the seed.
 *
 * What it guarantees, as long as the shell carries its actions out in order on
 * one connection:
 * - every record gets its room's next offset, once; a batch is numbered only
 *   if its lane has not shown that number or a later one in the valid part of the log, and of its
 *   records those whose key was not accepted within the window;
 * - one append is in flight; a batch is delivered and acked only after the
 *   confirm of the append that holds all of it;
 * - numbering begins only after the machine's own term marker came back, so
 *   that whatever stands before it is known; what a lower term appends behind
 *   it is void, and so is an append whose batches are all known.
 *
 * Bodies given to it are borrowed for the call. Actions own their bodies until
 * partition_action_done().
 */
#ifndef WARREN_BROADCASTER_PARTITION_H
#define WARREN_BROADCASTER_PARTITION_H

#include "broadcaster/limit.h"
#include "common/base.h"
#include "common/buf.h"
#include "common/stats.h"
#include "proto/audience.h"
#include "proto/message.h"
#include "proto/rules.h"

#define PARTITION_LEASE_MS 15000 /* usually */

struct partition_conf {
    uint32_t number;           /* which partition */
    uint32_t partitions;       /* of how many; 0: whether a room belongs here is not checked */
    const char *owner;         /* borrowed: this broadcaster's id */
    uint64_t seed;             /* for nonces and epochs */
    const struct rules *rules; /* borrowed: history by namespace; NULL: as follows for all rooms */
    uint32_t history_size;     /* records kept of a room */
    int64_t history_ttl_ms;    /* a room idle longer, that nobody follows, is forgotten */
    int64_t presence_max;      /* members listed */
    int64_t moves_max;         /* joins and leaves of a room told in a second */
    int64_t key_window_ms;     /* how long a record is known again by its key; 0: not at all */
    size_t keys_max;           /* of those keys; 0: KEYS_MAX */
    size_t memory_max;         /* bytes of records kept of all rooms of the partition */
    size_t rooms_max;          /* rooms remembered; 0: any number */
    int64_t era_ms;            /* at least, between two checkpoints that let idle rooms go */
    int64_t lease_ms;          /* a gateway silent longer is dropped: PARTITION_LEASE_MS */
    size_t checkpoint_bytes;   /* of log between two checkpoints (8 MiB) */
    size_t checkpoint_far;     /* the same at most, however large they are; 0: any number */
};

/* Counted by the machine, shown by the shell; shared by all partitions of the process (one thread
 * writes). */
struct partition_stats {
    struct owner_limits limits;          /* the shell counts those that it meets here, too */
    stat_value narrowed[AUDIENCE_RULES]; /* records that not everybody may see, by who decided it */
    stat_value records_in, batches_in, duplicates_dropped, poisoned, appends, append_bytes,
        append_retries, delivered_records, delivered_messages, checkpoints, takeovers, void_records,
        attaches, forgotten_rooms, replayed_records, history_memory, moves_told, history_incomplete,
        link_gaps, keys_dropped, fetches, events, events_open, events_again, events_refused,
        lookback_bytes, lookback_records, relayed,
        lost_positions; /* a gateway was ahead of the log: the room's epoch ended */
};

enum partition_state {
    PARTITION_CLAIMING,  /* the lock is ours; looking for the end of the log */
    PARTITION_REPLAYING, /* reading the tail up to our own marker */
    PARTITION_OWNED,
    PARTITION_LEAVING, /* no new input; what was delivered is finished */
    PARTITION_GONE,    /* released, or superseded: the shell ends it */
};

enum partition_action_kind {
    PARTITION_READ_LAST, /* consume the log from "last" */
    PARTITION_READ_FROM, /* stop any reading, then consume the log from `offset` */
    PARTITION_STOP_READING,
    PARTITION_APPEND,     /* `message` with `body` to the log; answered by partition_on_confirm() */
    PARTITION_CONSUME,    /* start to consume the input and serve the mailbox */
    PARTITION_ACK,        /* all input up to and including `tag` */
    PARTITION_DEAD,       /* the input `tag` cannot be understood: dead-letter it with `reason` */
    PARTITION_SEND,       /* `message` with `body` to gateway `gateway` */
    PARTITION_ANNOUNCE,   /* `message` to all gateways */
    PARTITION_EVENT,      /* `body` to other programs, with the key in `texts`; answered by
                             partition_on_event_confirm() */
    PARTITION_STOP_INPUT, /* take no more input: cancel its consumer */
    PARTITION_RELEASE,    /* nothing is in flight any more: close the channel, delete the lock */
    PARTITION_SUPERSEDED, /* a higher term is in the log: give up at once */
};

struct partition_action {
    struct partition_action *next;
    enum partition_action_kind kind;
    uint64_t offset;          /* READ_FROM */
    bool is_gentle;           /* READ_FROM: in small portions, for other work goes on */
    uint64_t tag;             /* ACK, DEAD */
    const char *reason;       /* DEAD: static text */
    const char *event;        /* EVENT: static text */
    char gateway[ID_MAX + 1]; /* SEND */
    struct message message;   /* APPEND, SEND, ANNOUNCE; its slices point into `texts` and `body` */
    struct buf texts, body;   /* own */
};

struct partition;

/* The lock is held. The first actions are there when this returns. `stats` is borrowed. */
struct partition *partition_new(const struct partition_conf *conf, struct partition_stats *stats,
                                int64_t now_ms) MUST_CHECK;

/* The rules that it borrows say something else now: rooms are kept by them from here on. */
void partition_rules_changed(struct partition *p, int64_t key_window_ms);

/* In any state; accepts NULL; returns NULL. */
struct partition *partition_free(struct partition *p);

/* The next action, oldest first, or NULL; then partition_action_done() frees it. */
struct partition_action *partition_next_action(struct partition *p);
void partition_action_done(struct partition_action *a);

/* A record of the log, in order, while reading. `stream_offset` is the broker's. Foreign or broken
 * ones are skipped and counted. */
void partition_on_log(struct partition *p, const struct mq_event *e, int64_t now_ms);

/* The one append in flight was confirmed, or refused (it is then appended again, byte for byte, by
 * a new action when partition_on_tick() finds the pause over). */
void partition_on_confirm(struct partition *p, bool ok, int64_t now_ms);

/* The broker has confirmed the event `number`, counted from the first PARTITION_EVENT on, or
 * refused it; or all up to it. */
void partition_on_event_confirm(struct partition *p, uint64_t number, bool multiple, bool ok);

/* A message from warren.in.<p>. */
void partition_on_input(struct partition *p, const struct mq_event *e, int64_t now_ms);

/* A message from the mailbox warren.owner.<p>. */
void partition_on_mail(struct partition *p, const struct mq_event *e, int64_t now_ms);

/* A gateway's exchange is gone (its message came back): forget it. */
void partition_on_gateway_gone(struct partition *p, struct slice gateway);

/* Call about every 100 ms: retries, leases, checkpoints by time. */
void partition_on_tick(struct partition *p, int64_t now_ms);

/* Begin to leave. When nothing is in flight any more: a last checkpoint, then PARTITION_RELEASE. */
void partition_leave(struct partition *p, int64_t now_ms);

/* What is shown: state, term, and how many of what. */
enum partition_state partition_state(const struct partition *p);
uint64_t partition_term(const struct partition *p);
size_t partition_rooms(const struct partition *p);
size_t partition_gateways(const struct partition *p);
size_t partition_members(const struct partition *p);
/* True when a room's history is in memory as far as there is one and it fits. */
bool partition_is_filled(const struct partition *p);
/* Batches taken from the input and not acked. */
size_t partition_backlog(const struct partition *p);

#endif
