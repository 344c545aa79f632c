/*
 * tenure_internal.h: what the files of a tenure share.
 *
 * tenure.c takes what happens to the machine; tenure_do.c carries out what the
 * machine wants done.
 */
#ifndef WARREN_BROADCASTER_TENURE_INTERNAL_H
#define WARREN_BROADCASTER_TENURE_INTERNAL_H

#include "broadcaster/acks.h"
#include "broadcaster/tenure.h"

#define TENURE_TROUBLE_SIZE 256
#define TENURE_LOG_ACK_EVERY 125 /* deliveries of the log */

enum lane { LANE_INPUT, LANE_APPEND, LANE_MAIL, LANE_LOG }; /* channels from the first one on */

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
    struct acks acks;
    uint64_t last_input; /* tag of the newest delivery */
    int64_t arrived_us[ACKS_PREFETCH]; /* of the delivery `tag`, at tag % ACKS_PREFETCH */

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

/* The number of one of the partition's channels. */
uint16_t tenure_channel(const struct tenure *t, enum lane lane);

/* Opens a channel that is closed. */
int tenure_open_lane(struct tenure *t, enum lane lane) MUST_CHECK;

/* Closes a channel if it is open. */
int tenure_close_lane(struct tenure *t, enum lane lane) MUST_CHECK;

/* Ends the consumer of the log, if there is one, and its channel. */
int tenure_stop_reading(struct tenure *t) MUST_CHECK;

/* Begins to consume the input, or leaves that to a later try when somebody still does. */
int tenure_consume_input(struct tenure *t) MUST_CHECK;

/* Sends the acks that are due. */
int tenure_settle(struct tenure *t) MUST_CHECK;

/* Carries out one action. MQ_OK, MQ_LOST or a tenure_answer. */
int tenure_act(struct tenure *t, const struct partition_action *a) MUST_CHECK;

#endif
