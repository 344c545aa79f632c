/*
 * checkpoint.h: when and how all positions are written down.
 *
 * A checkpoint is one message, or several when it is large: each part but the
 * last tells in header `batch` how many follow, and nothing comes between them.
 * It holds the era, every room's confirmed position, every lane's confirmed number and the
 * keys of the records that were accepted lately.
 * Whoever reads the log from a checkpoint on knows all that is to be known; what
 * was known before and is not in it was forgotten.
 *
 * The hint that our messages carry tells a reader where to begin: at the newest
 * checkpoint that has enough log after it, so that what is read holds the recent
 * records too, however many checkpoints were written on leaving. It is a lower
 * bound of the stream offset, since the broker itself takes one now and then.
 */
#ifndef WARREN_BROADCASTER_CHECKPOINT_H
#define WARREN_BROADCASTER_CHECKPOINT_H

#include "common/base.h"

#define CHECKPOINT_PART_BYTES (1 << 20) /* a part takes no further line above this */
#define CHECKPOINT_MESSAGES                                                                        \
    4096                          /* in the log between two checkpoints: reading costs by message  \
                                   */
#define CHECKPOINT_MARKS 8        /* kept in mind */
#define CHECKPOINT_SETTLE_MS 1000 /* after a take-over that read much */

struct partition;
struct append;

/* A checkpoint, and how much log is after it. */
struct checkpoint_mark {
    uint64_t offset; /* of the stream; it is there or somewhat later */
    size_t bytes, messages;
};

struct checkpoint {
    uint64_t hint;                                  /* stream offset; 0: the beginning */
    struct checkpoint_mark marks[CHECKPOINT_MARKS]; /* later ones, oldest first */
    size_t mark_count;
    uint64_t part_offset;          /* of the first part of the one that is being written or read */
    bool is_partial;               /* some but not all of its parts are there */
    uint64_t part_term, part_left; /* of the last part read */
    bool is_bad;                   /* a part of the one that is being read was not understood */
    uint32_t read;                 /* how many were read, the one that is being read included */
    uint64_t marker_offset;        /* of our own marker */
    size_t bytes, messages;        /* in the log since the last one */
    size_t last_bytes;             /* its size */
    int64_t due_ms;                /* write one then; 0: only by size */
    bool in_line;                  /* parts are waiting or in flight */
    bool thins;                    /* and of too many rooms leave some out */
    int64_t owned_ms;              /* since when the partition is ours */
};

/* True if one should be written now. */
bool checkpoint_is_due(const struct partition *p, int64_t now_ms);

/* Puts its parts first in line. Nothing is in flight. */
void checkpoint_write(struct partition *p, int64_t now_ms);

/* A part of ours was confirmed. */
void checkpoint_on_confirm(struct partition *p, const struct append *part);

/* Any message of ours was confirmed, or a valid one was read. */
void checkpoint_count(struct partition *p, size_t body_size);

/* A valid part was read at a stream offset. One that cannot be understood is no place to begin. */
struct message;
void checkpoint_read(struct partition *p, const struct message *m, uint64_t stream_offset,
                     int64_t now_ms);

#endif
