/*
 * partition_kit.h: a partition without RabbitMQ: its log, its input, its owners, its gateways.
 *
 * Owners are real machines; the kit carries out their actions on fakes that
 * keep the broker's promises and no more: a stream whose offsets have gaps, a
 * queue that gives back in order what was not acked, one lock, gateways'
 * queues that vanish with their gateway. Whatever the broker may do late or
 * never is done by the test. Everything that must not happen is written down
 * in `fault`, the first one wins; kit_judge() reads the log as a stranger would.
 */
#ifndef WARREN_TESTS_UNIT_PARTITION_KIT_H
#define WARREN_TESTS_UNIT_PARTITION_KIT_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broadcaster/partition.h"
#include "common/mem.h"
#include "proto/line.h"
#include "proto/message.h"
#include "proto/record.h"

#define KIT_PARTITION 3
#define KIT_ROOMS 6
#define KIT_GATEWAYS 4
#define KIT_PREFETCH 8

/* A message that somebody keeps. */
struct letter {
    struct letter *next_made; /* the kit frees all at the end */
    struct message m;         /* slices point into `texts` */
    char gateway[ID_MAX + 1]; /* who it is for */
    size_t log_size;          /* of the log when it was sent */
    struct buf texts;
};

struct letters {
    struct letter **at; /* owns the array */
    size_t count, capacity;
};

enum input_state { INPUT_READY, INPUT_HELD, INPUT_ACKED, INPUT_DEAD };

struct input {
    struct letter *letter;
    enum input_state state;
    bool redelivered;
    size_t acked_at; /* size of the log */
};

/* One broadcaster's hold of the partition. */
struct kit_owner {
    struct kit_owner *next;
    struct partition *machine;
    bool has_lock; /* its connection lives: it gets input, and what it sends arrives */
    bool is_reading, is_consuming, is_released, is_superseded, was_announced;
    size_t read_at; /* index in the log */
    size_t *tags;   /* index in the input, by tag - 1 */
    size_t tag_count, tag_capacity;
    struct letter *flying; /* an append that was not answered */
    bool has_landed;       /* it is in the log */
    struct letters mail;
    size_t mail_at;
    const char *dead_reason; /* of the last dead letter */
    uint64_t told;           /* events; the kit's broker confirms each at once */
};

/* A gateway's view of a room. */
struct kit_view {
    bool follows, is_live;
    unsigned asked; /* joins and attaches that were not answered */
    char epoch[EPOCH_MAX + 1];
    uint64_t offset;
};

/* A record that a gateway took. */
struct kit_seen {
    uint32_t room;
    char epoch[EPOCH_MAX + 1];
    uint64_t offset;
    size_t log_size; /* when it was sent */
    char payload[64];
};

struct kit_gateway {
    bool is_up;
    char id[8], boot[BOOT_SIZE + 1];
    uint64_t lives, link, number_in, number_out, term;
    bool wants_attach, is_attached;
    struct kit_view views[KIT_ROOMS];
    struct letters inbox;
    size_t inbox_at;
    uint64_t batch;         /* of the lane */
    struct letter *doubted; /* in doubt */
    bool is_enqueued;       /* the broker has it, though it may not have said so */
    struct kit_seen *seen;  /* owns */
    size_t seen_count, seen_capacity;
    size_t link_holes, record_holes, positions_lost, positions_read;
};

/* What the kit does wrong on purpose, to show that it would be seen. */
enum kit_sabotage {
    KIT_HONEST,
    KIT_ACK_EARLY,     /* input is acked when it arrives */
    KIT_DELIVER_EARLY, /* gateways get an append's records before the log has them */
    KIT_LOSE_RECORD,   /* a delivery without its first record */
    KIT_SWAP_RECORDS,  /* an append whose first two records change places */
    KIT_APPEND_AGAIN,  /* an append whose batch is appended once more under another number */
    KIT_FORGET_TERM,   /* a marker that does not raise the term */
};

struct kit {
    uint64_t random;
    int64_t now_ms;
    struct partition_conf conf;
    struct partition_stats stats;
    struct letters log; /* NULL: an offset that the broker took for itself */
    size_t log_first;   /* what is before was cut off */
    unsigned gap_percent;
    struct input *input; /* owns */
    size_t input_count, input_capacity;
    struct letters pipe;      /* appends of the dead that may still land */
    struct kit_owner *owners; /* all that live, the last one first */
    struct kit_gateway gateways[KIT_GATEWAYS];
    struct letter *made;
    uint64_t lives; /* of owners */
    enum kit_sabotage sabotage;
    char fault[200]; /* "": none */
    struct buf told; /* owns: events, each as its key, a space, its body and LF */
    bool owes_told;  /* events are not confirmed but by the test */
};

/* `seed` fixes all that is random. */
void kit_init(struct kit *k, uint64_t seed);
/* Frees everything; looks once more for faults. */
void kit_deinit(struct kit *k);
/* 0 to below - 1. */
uint64_t kit_random(struct kit *k, uint64_t below);
/* Notes a fault, if it is the first one. */
void kit_fault(struct kit *k, const char *format, ...) PRINTF_LIKE(2, 3);

/* Keeps a message. */
struct letter *letter_new(struct kit *k, const struct message *m, struct slice body);
void letters_add(struct letters *l, struct letter *one);

/* A new broadcaster has the lock. */
struct kit_owner *kit_owner_new(struct kit *k);
/* Its connection is gone: what it held goes back; the machine lives on, cut off. */
void kit_cut(struct kit *k, struct kit_owner *o);
/* The machine is gone too. What flies may land later. */
void kit_kill(struct kit *k, struct kit_owner *o);

/* Steps. Each carries out the actions that follow from it. False: there was nothing to do. */
bool kit_read(struct kit *k, struct kit_owner *o);    /* one message of the log */
bool kit_take(struct kit *k, struct kit_owner *o);    /* one of the input */
bool kit_mail(struct kit *k, struct kit_owner *o);    /* one of the mailbox */
bool kit_land(struct kit *k, struct kit_owner *o);    /* the append gets into the log, unanswered */
bool kit_confirm(struct kit *k, struct kit_owner *o); /* it is in the log, and confirmed */
bool kit_nack(struct kit *k, struct kit_owner *o);    /* it is refused, landed or not */
void kit_tick(struct kit *k, struct kit_owner *o, int64_t ms);
void kit_leave(struct kit *k, struct kit_owner *o);
/* All of them, until nothing is left to do. */
void kit_run(struct kit *k, struct kit_owner *o);
/* A new owner, run until it owns. */
struct kit_owner *kit_owner_settled(struct kit *k);

/* Into the input. */
void kit_enqueue(struct kit *k, const struct message *m, struct slice body);
/* A batch of one lane with `count` records, all of `room`. */
void kit_publish(struct kit *k, const char *boot, uint64_t batch, const char *room, unsigned count);
/* The same at random rooms. */
struct letter *kit_batch(struct kit *k, const char *boot, uint64_t batch, unsigned count);
/* A batch of these records, to be enqueued by the test. */
struct letter *kit_batch_of(struct kit *k, const char *boot, uint64_t batch,
                            const struct record *records, size_t count);
void kit_land_letter(struct kit *k, struct letter *l);
struct mq_event kit_event(const struct letter *l, struct mq_props *props, char scratch[ID_MAX * 2]);

/* Gateways. */
struct kit_gateway *kit_gateway_start(struct kit *k, unsigned which);
void kit_gateway_stop(struct kit *k, struct kit_gateway *g);
void kit_gateway_follow(struct kit *k, struct kit_gateway *g, uint32_t room, bool follows);
bool kit_gateway_take(struct kit *k, struct kit_gateway *g); /* one message of its queue */
void kit_gateway_attach(struct kit *k, struct kit_gateway *g);
void kit_gateway_alive(struct kit *k, struct kit_gateway *g);
/* Sends a message to the owner's mailbox, if anybody owns. */
void kit_write(struct kit *k, const struct message *m, struct slice body);
void kit_gateways_get(struct kit *k, const struct letter *l, bool all);
const char *kit_room(uint32_t room);
/* The last letter that the gateway got, of this type, or NULL. */
const struct letter *kit_last(const struct kit_gateway *g, enum message_type type);

/* What sabotage makes of a message. */
void kit_spoil_append(struct kit *k, struct letter *l);
void kit_spoil_send(struct kit *k, struct letter *l);

/* Reads the whole log and compares it with what was published and seen. `is_settled`: everything
 * must be there. */
void kit_judge(struct kit *k, bool is_settled, bool one_epoch);

/* partition_kit_steps.c: a kit for each test, whose fault must be none at its end. What stops may
 * be any struct that begins with a kit. */
int kit_test_start(void **state);
int kit_test_stop(void **state);

/* Publishes batches first..last of KIT_LANE with one record each and lets the owner finish them. */
#define KIT_LANE "aaaaaaaaaaaaaaaa"
void kit_publish_many(struct kit *k, struct kit_owner *o, uint64_t first, uint64_t last);

/* The offset of the last record of the log, and its epoch. */
uint64_t kit_last_offset(const struct kit *k, char epoch[EPOCH_MAX + 1]);

/* A message that some broadcaster wrote into the log. */
void kit_land_message(struct kit *k, const struct message *m, const char *body);

/* A partition with an owner and two gateways. */
struct kit_world {
    struct kit kit;
    struct kit_owner *o;
    struct kit_gateway *g, *h;
    uint64_t batch; /* the last one of KIT_LANE that was said */
    size_t read;    /* letters of g that the test has looked at */
};

/* The state of a test: a world that is settled. It ends with kit_test_stop(). */
int kit_world_start(void **state);
/* Starts owner and gateways; settings of the kit are made before. */
void kit_world_settle(struct kit_world *w);
/* Everything is done by everybody, until nothing is left to do. */
void kit_world_run(struct kit_world *w);
/* The owner dies, the next one serves. */
void kit_world_change_owner(struct kit_world *w);
/* Publishes `count` records in a room, a batch each. */
void kit_world_say(struct kit_world *w, uint32_t room, unsigned count);
void kit_world_attach(struct kit_world *w, struct kit_gateway *g);
/* A gateway's question, which has KIT_REQUEST, or its news about members. */
#define KIT_REQUEST 77
void kit_world_tell(struct kit_world *w, struct kit_gateway *g, enum message_type type,
                    const char *body);

#endif
