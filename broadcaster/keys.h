/*
 * keys.h: the idempotency keys of records that were accepted lately.
 *
 * A record is known again by (room, user, key) for as long as the window lasts, and by whether a
 * session or a program (the API, a publisher of RabbitMQ's) sent it: people without a token have
 * the user of programs, and are not to use up the keys of these.
 * A key is in the table from the moment its record is numbered, and confirmed
 * when that is in the log: only then may a checkpoint tell of it, for the record
 * of a key that waits could still be lost with its owner, and must then be
 * accepted when it comes again. Keys that wait never leave.
 *
 * Whoever takes over fills the table from checkpoints and records, in any order,
 * and then settles it.
 */
#ifndef WARREN_BROADCASTER_KEYS_H
#define WARREN_BROADCASTER_KEYS_H

#include "common/base.h"
#include "common/hash.h"
#include "common/stats.h"
#include "proto/limits.h"

#define KEYS_MAX 100000 /* known in one partition; the oldest leave early when there are more */

struct key_mark {
    UT_hash_handle hh;
    struct key_mark *prev, *next; /* links: by time, the oldest first */
    int64_t time_ms;
    bool is_pending; /* its record is numbered and not confirmed */
    bool by_program;
    uint16_t room_size, user_size, key_size;
    char texts[]; /* room, user (inside of a JSON string), key: with a NUL between them; of a
                     program with one behind them */
};

struct keys {
    struct key_mark *by_texts; /* owns */
    struct key_mark *oldest;
    size_t max;
    int64_t window_ms;   /* 0: keys mean nothing */
    stat_value *evicted; /* borrowed: keys that left early */
};

static inline struct slice key_mark_room(const struct key_mark *k)
{
    return (struct slice){k->texts, k->room_size};
}

static inline struct slice key_mark_user(const struct key_mark *k)
{
    return (struct slice){k->texts + k->room_size + 1, k->user_size};
}

static inline struct slice key_mark_key(const struct key_mark *k)
{
    return (struct slice){k->texts + k->room_size + k->user_size + 2, k->key_size};
}

/* What a key is about. */
struct key_name {
    struct slice room, user, key;
    bool by_program; /* the record has no client */
};

/* The key of a record that is new, which waits from now on; NULL: a record with this key was
 * accepted within the window. */
struct key_mark *keys_take(struct keys *k, const struct key_name *name, int64_t now_ms);

/* The record is in the log. */
void keys_confirm(struct key_mark *mark);

/* The record was not numbered after all. */
void keys_take_back(struct keys *k, struct key_mark *mark);

/* The log tells of a record with this key, accepted at `time_ms`. */
void keys_read(struct keys *k, const struct key_name *name, int64_t time_ms, int64_t now_ms);

/* All of the log was read. */
void keys_settle(struct keys *k, int64_t now_ms);

/* Lets go of what is too old, or too much. */
void keys_trim(struct keys *k, int64_t now_ms);

/* Nothing waits. */
void keys_clear(struct keys *k);

#endif
