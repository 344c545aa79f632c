/*
 * mq_internal.h: what the files of the AMQP connection share.
 *
 * Included by common/mq_*.c only: no other file sees librabbitmq.
 *
 * Memory. librabbitmq decodes frames into one pool per channel and forgets the
 * whole pool at once. An event made of one body frame borrows from there, so
 * the pool of its channel is kept until the next mq_next(). An event of several
 * body frames, and one that was met while waiting for something else, is copied
 * into a struct mq_saved.
 *
 * Lives of a channel. Tags and confirm numbers start again when a channel is
 * reopened. So a close by the broker is answered only when its event is handed
 * out: until then the broker ignores what is written in the belief that the old
 * life goes on. Whatever is left of an old life is dropped with it.
 */
#ifndef WARREN_COMMON_MQ_INTERNAL_H
#define WARREN_COMMON_MQ_INTERNAL_H

#include <amqp.h>
#include <stdatomic.h>

#include "common/mq.h"

#define MQ_CHANNEL_MAX 2047
#define MQ_FRAME_MAX 131072
#define MQ_SHORT_MAX 255 /* bytes of an AMQP short string: names, keys, properties */
#define MQ_ERROR_SIZE 320
#define MQ_CA_FILE "/etc/ssl/certs/ca-certificates.crt" /* for amqps:// without a ca_file */

/* An event that owns its slices. */
struct mq_saved {
    struct mq_saved *next;
    struct mq_event event;
    char *body;   /* where the body goes, inside `bytes` */
    char bytes[]; /* the texts, then the body */
};

enum mq_stage { MQ_STAGE_IDLE, MQ_STAGE_HEADER, MQ_STAGE_BODY };

struct mq_channel {
    bool is_open;
    bool has_confirms;
    bool is_closing; /* the broker closed it, close-ok is still owed */
    int close_code;
    char close_text[MQ_ERROR_SIZE];

    /* The message whose frames are coming in. */
    enum mq_stage stage;
    struct mq_event event;  /* borrows from the pool of the channel */
    struct mq_saved *saved; /* owns; set when the body comes in several frames */
    uint64_t body_size, body_received;
};

struct mq {
    amqp_connection_state_t amqp; /* owns; its socket too */
    int fd; /* owns a duplicate of the socket: never reused under mq_abort() */
    int heartbeat_ms;
    bool is_lost;
    atomic_bool is_aborted;
    _Atomic int64_t progress_ms;
    int64_t heard_ms;  /* the broker was heard from at this time or later */
    bool is_drained;   /* the library said that nothing is left to read */
    bool has_borrowed; /* the last event borrows from the pool of `borrowed` */
    uint16_t borrowed;
    struct mq_saved *current; /* owns the last event, or NULL */
    struct mq_saved *saved;   /* owns events that wait for mq_next() */
    struct mq_saved **saved_last;
    struct mq_channel **channels; /* owns; indexed by number, NULL where never opened */
    size_t channel_count;
    int error_code;
    char error[MQ_ERROR_SIZE];
};

static inline amqp_bytes_t mq_bytes(struct slice s)
{
    return (amqp_bytes_t){s.size, (void *)(uintptr_t)s.at};
}

static inline amqp_bytes_t mq_bytes_of(const char *text)
{
    return mq_bytes(slice_of(text));
}

static inline struct slice mq_slice(amqp_bytes_t b)
{
    return (struct slice){b.bytes, b.len};
}

/* mq_conn.c */

/* True while calls may be made. Counts as progress. */
bool mq_enter(struct mq *m) MUST_CHECK;

/* Ends the connection with a text and an AMQP code; returns MQ_LOST. The first reason stays. */
int mq_lose(struct mq *m, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same for a status of the library. */
int mq_lose_status(struct mq *m, int status);

/* The same for a connection.close of the broker, which it answers. */
int mq_lose_closed(struct mq *m, const amqp_connection_close_t *close);

/* Keeps "CODE TEXT" as the last error, or the text alone when there is no code. */
void mq_set_error(struct mq *m, int code, struct slice text);

/* Text of a failed library answer, for errors before there is a connection. */
void mq_reply_text(amqp_rpc_reply_t reply, char *text, size_t size);

/* Forgets the frames of a channel, unless the last event or a message on its way needs them. */
void mq_release(struct mq *m, uint16_t channel);

/* mq_target.c */

/* The broker to try next; valid as long as the target. */
const struct amqp_connection_info *mq_target_next(struct mq_target *t);
const char *mq_target_ca_file(const struct mq_target *t);

/* mq_channel.c */

/* The channel, or NULL when it was never opened. */
struct mq_channel *mq_channel_find(const struct mq *m, uint16_t number);

/* Answers a close by the broker and opens the channel again. MQ_OK or MQ_LOST. */
int mq_channel_reopen(struct mq *m, uint16_t number) MUST_CHECK;

/* mq_next.c */

/* Waits for one frame. AMQP_STATUS_OK, AMQP_STATUS_TIMEOUT, or another status of the library. */
int mq_wait_frame(struct mq *m, amqp_frame_t *frame, int wait_ms) MUST_CHECK;

/* Takes in one frame. MQ_OK: it completed an event, which went to the end of the saved ones;
 * MQ_TIMEOUT: it did not; MQ_LOST. */
int mq_take_frame(struct mq *m, const amqp_frame_t *frame) MUST_CHECK;

/* Saves the events of all frames that the library queued. */
int mq_save_queued(struct mq *m) MUST_CHECK;

/* Drops what is left of a channel's life: saved events and a message on its way. */
void mq_drop_events(struct mq *m, uint16_t channel);

/* mq_props.c */

/* Properties and headers of a received message, borrowed. `stream_offset`: -1 when absent. */
void mq_props_read(struct mq_props *p, const amqp_basic_properties_t *from, int64_t *stream_offset);

/* `entries` has room for MQ_HEADERS_MAX and must live as long as `to`. False: a text is longer than
 * AMQP allows. */
bool mq_props_write(const struct mq_props *p, amqp_basic_properties_t *to,
                    amqp_table_entry_t *entries) MUST_CHECK;

#endif
