/*
 * takeover.h: from the claim to one's own marker in the log.
 *
 *     CLAIM ──► SEEK ──► READ ──► MARK ──► DONE
 *
 * CLAIM: a claim with our nonce is appended: from here on the log is not empty.
 * SEEK:  the end of the log is read for a message that tells where a checkpoint
 *        is; when the last chunk holds none, further and further back.
 * READ:  from the checkpoint on, up to our claim; then the highest term is known.
 * MARK:  a marker with the next term is appended, and read on until it comes
 *        back: the old owner's records in between are valid.
 *
 * What is valid: a message whose term is not below the highest seen so far, whose
 * number under that term is new, and (appends) whose batches are not all known.
 * Reading can begin behind a marker. Then a higher term shows in a message that
 * is no marker, and what was read of lower terms was void: all is forgotten, and
 * read again from where that message says.
 */
#ifndef WARREN_BROADCASTER_TAKEOVER_H
#define WARREN_BROADCASTER_TAKEOVER_H

#include "common/base.h"

#define TAKEOVER_STEP 64 /* first step back, stream offsets; each further one is 8 times as far */
#define TAKEOVER_SEEK_MS                                                                           \
    5000 /* when seeking found nothing for so long: read from the beginning                        \
          */

struct partition;
struct mq_event;

enum takeover_phase { TAKEOVER_CLAIM, TAKEOVER_SEEK, TAKEOVER_READ, TAKEOVER_MARK, TAKEOVER_DONE };

struct takeover {
    enum takeover_phase phase;
    int64_t seek_ms;   /* since when */
    uint64_t step;     /* how far back we looked; 0: at the last chunk */
    uint64_t from;     /* where reading was asked to begin */
    bool has_begun;    /* something was read */
    bool is_blind;     /* it was not the beginning of the log */
    bool is_whole;     /* what counts of the log is known up to where we have read */
    uint64_t begun_at; /* stream offset of the first message read */
    uint64_t highest;  /* term */
    uint64_t number;   /* of the last message read of that term */
    uint64_t records;  /* valid ones read */
};

/* Appends the claim. */
void takeover_begin(struct partition *p, int64_t now_ms);

/* The claim is confirmed. */
void takeover_on_claimed(struct partition *p, int64_t now_ms);

/* A message of the log that is being read. */
void takeover_on_log(struct partition *p, const struct mq_event *e, int64_t now_ms);

/* Ends a search that brings nothing. */
void takeover_tick(struct partition *p, int64_t now_ms);

#endif
