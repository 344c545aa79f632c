/*
 * tenure_internal.h: what the files of a tenure share.
 *
 * tenure.c takes what happens to the machine; tenure_do.c carries out what the
 * machine wants done; tenure_input.c is about where the partition's input comes
 * from.
 */
#ifndef WARREN_BROADCASTER_TENURE_INTERNAL_H
#define WARREN_BROADCASTER_TENURE_INTERNAL_H

#include "broadcaster/acks.h"
#include "broadcaster/tenure.h"

#define TENURE_TROUBLE_SIZE 256
#define TENURE_TAG_SIZE (ID_MAX + 24) /* bytes of a consumer tag and its NUL */
#define TENURE_LOG_ACK_EVERY 125      /* deliveries of the log */

/* Channels from the first one on. */
enum lane { LANE_INPUT, LANE_APPEND, LANE_MAIL, LANE_LOG, LANE_EVENTS };

struct tenure {
    struct tenure_env *env;    /* borrowed */
    struct partition *machine; /* owns */
    uint32_t partition;
    bool is_open[TENURE_CHANNELS];
    enum partition_state state;       /* last seen */
    int64_t start_ms;                 /* monotonic */
    struct partition_action *actions; /* owns: not carried out yet */
    struct partition_action **actions_last;

    bool wants_input; /* the machine has asked for it */
    bool has_input;
    int64_t wants_input_ms; /* monotonic: since when; 0 once we have complained */
    bool has_spill;
    bool is_spill_over;   /* what stood before the input has been delivered */
    uint64_t spilled;     /* batches of it that the machine was given */
    uint64_t unrouted;    /* of these, those that came while there was no input */
    uint64_t spill_nonce; /* in our marker */
    int64_t spill_ms;     /* monotonic: when the spill last brought something, or was asked to */
    char spill_tag[TENURE_TAG_SIZE];
    struct acks acks;
    uint64_t last_input;               /* tag of the newest delivery */
    int64_t arrived_us[ACKS_OPEN_MAX]; /* of the delivery `tag`, at tag % ACKS_OPEN_MAX */

    uint64_t published; /* appends on the channel's present life */
    bool in_flight;     /* the last of them is not confirmed */
    bool is_returned;   /* it came back: the log has no queue */
    int64_t append_us;  /* when it was published */
    int nacks;          /* in a row */

    bool is_reading;      /* the log */
    int64_t log_ms;       /* monotonic: when it last brought something, or was asked to */
    uint64_t log_read;    /* messages of this tenure */
    uint32_t log_unacked; /* deliveries of the log since the last ack */
    uint32_t log_ack_every;
    bool is_filled; /* history was read from the log */
    char trouble[TENURE_TROUBLE_SIZE];
};

/* tenure.c */

/* Notes why the tenure cannot go on; returns TENURE_BROKEN. */
int tenure_break(struct tenure *t, const char *format, ...) PRINTF_LIKE(2, 3);

/* tenure_do.c */

/* A refused request is the end of this tenure; other results are handed through. */
int tenure_judge(struct tenure *t, const char *what, int rc) MUST_CHECK;

/* What the broker calls our consumer of a queue, "ID/in.3", into `tag`, which it returns. */
const char *tenure_consumer(const struct tenure *t, const char *what, char tag[TENURE_TAG_SIZE]);

/* The number of one of the partition's channels. */
uint16_t tenure_channel(const struct tenure *t, enum lane lane);

/* Opens a channel that is closed. */
int tenure_open_lane(struct tenure *t, enum lane lane) MUST_CHECK;

/* Closes a channel if it is open. */
int tenure_close_lane(struct tenure *t, enum lane lane) MUST_CHECK;

/* Ends the consumer of the log, if there is one, and its channel. */
int tenure_stop_reading(struct tenure *t) MUST_CHECK;

/* Sends the acks that are due. */
int tenure_settle(struct tenure *t) MUST_CHECK;

/* tenure_input.c */

/* What the machine wants: mailbox, spill and input; and none of them any more, where what is
 * delivered already is ours to finish. */
int tenure_begin_input(struct tenure *t) MUST_CHECK;
int tenure_stop_input(struct tenure *t) MUST_CHECK;

/* Goes on towards consuming the input; what cannot be had yet is left to a later call. */
int tenure_consume_input(struct tenure *t) MUST_CHECK;

/* Deals with a delivery of LANE_INPUT, unless `*is_input`: then it is a batch for the machine. */
int tenure_on_spill(struct tenure *t, const struct mq_event *e, bool *is_input) MUST_CHECK;

/* tenure_do.c */

/* Carries out one action. MQ_OK, MQ_LOST or a tenure_answer. */
int tenure_act(struct tenure *t, const struct partition_action *a) MUST_CHECK;

#endif
