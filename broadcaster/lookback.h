/*
 * lookback.h: what memory does not hold is read back from the log, while the partition is served.
 *
 * The log is read backward in windows: each is read forward up to where the one
 * before it began, and what rooms want of it is staged and then joined to what
 * memory holds. One reading goes on at a time, of two kinds:
 * - filling, once after a take-over: every room wants its history;
 * - fetching: rooms want what somebody missed, at most LOOKBACK_FETCH_BYTES back.
 * Reading ends when nobody wants anything, at the beginning of the log, at what
 * is too old for every room that still wants something, or when memory is full.
 * Then rooms that got nothing know that it is gone, and are not read for again.
 *
 * A window begins anywhere, so which term is in force there shows later: a term
 * that appears without its marker voids what the window has of lower ones.
 */
#ifndef WARREN_BROADCASTER_LOOKBACK_H
#define WARREN_BROADCASTER_LOOKBACK_H

#include "common/base.h"

#define LOOKBACK_FETCH_BYTES (64 << 20) /* of log read for those who ask */
#define LOOKBACK_WIDTH 256              /* stream offsets in the first window */
#define LOOKBACK_WIDTH_MAX 32768
#define LOOKBACK_WINDOW_BYTES (16 << 20) /* aimed at */
#define LOOKBACK_STALL_MS 5000           /* a log that is silent for longer is not waited for */

struct partition;
struct place;
struct mq_event;

struct lookback {
    bool is_reading;
    bool is_due;    /* to fill at the next tick */
    bool is_filled; /* filling was tried to its end */
    bool is_over;   /* the partition is given away: nothing is read any more */
    uint64_t end;   /* the window ends at the message that was appended here; see kept.log_at */
    uint64_t width; /* stream offsets */
    int64_t heard_ms;
    int64_t life_ms; /* longest one of those who want something */
    uint64_t bytes;  /* read by this reading */
    /* Of the window. */
    bool has_begun;
    uint64_t begin; /* where it was asked to begin; from the first message on: where that stands */
    uint64_t last;  /* stream offset of the last message read; what is above is of a former window,
                       until the first one came */
    uint64_t messages, window_bytes;
    int64_t oldest_ms; /* time of its first message */
    uint64_t term;     /* highest seen */
    uint64_t number;   /* of the last message of that term */
};

/* The partition is ours; the log was read from stream offset `begun_at` on. */
void lookback_fill(struct partition *p, uint64_t begun_at);

/* True if the room's records above `since` are not all in memory and may come from the log: they
 * are looked for, so ask again when mail is retaken (mail.h). */
bool lookback_fetch(struct partition *p, struct place *place, uint64_t since);

/* Begins what lookback_fetch() was asked for. */
void lookback_begin(struct partition *p, int64_t now_ms);

/* A message of the log. */
void lookback_on_log(struct partition *p, const struct mq_event *e, int64_t now_ms);

/* Begins, and gives up a log that is silent. */
void lookback_tick(struct partition *p, int64_t now_ms);

/* Ends it for good. */
void lookback_end(struct partition *p);

#endif
