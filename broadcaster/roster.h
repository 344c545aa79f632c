/*
 * roster.h: the rooms of one partition, as their owner sees them.
 *
 * A room is in the roster from its first record, or from the first gateway that
 * follows it, until it has been idle for long enough and nobody follows it. It
 * has two positions: the last record numbered, and the last one that is
 * confirmed in the log. What stands between them is on its way into the log.
 *
 * Of too many rooms the idlest ones that nobody follows go before their time,
 * half of what there may be at once, so that it is seldom. Those that somebody
 * follows stay; when they alone are too many, what comes to them is looked
 * through again only when it is half as many once more.
 *
 * The roster owns its rooms and keeps them in the order of their last activity.
 * What hangs on a room (recent records, followers, members) belongs to others,
 * who take it off before the room is released.
 */
#ifndef WARREN_BROADCASTER_ROSTER_H
#define WARREN_BROADCASTER_ROSTER_H

#include "common/base.h"
#include "common/hash.h"
#include "proto/limits.h"
#include "proto/rules.h"

/* At offset 0 nothing was said yet. No epoch: nobody has asked for the position. */
struct position {
    uint64_t offset;
    char epoch[EPOCH_MAX + 1];
};

struct kept;     /* shelf.h */
struct interest; /* followers.h */
struct member;   /* presence.h */
struct person;   /* presence.h */

struct place {
    UT_hash_handle hh;
    struct place *prev, *next;    /* links: order of activity, the idlest first */
    struct position numbered;     /* of the last record numbered */
    struct position confirmed;    /* of the last record confirmed in the log */
    uint32_t pending;             /* records numbered and not confirmed */
    bool renews;                  /* the next record begins a new epoch */
    bool is_told;                 /* a checkpoint tells of it */
    bool is_left_out;             /* the checkpoint that is on its way does not */
    bool is_evicted;              /* that is before its time: there are too many */
    uint32_t told_in;             /* of the checkpoints read, the last one that tells of it */
    const struct rule *rule;      /* borrowed: what is kept of it */
    int64_t active_ms;            /* last record, or last time somebody began or ceased to follow */
    struct kept *oldest, *newest; /* links: recent records without a hole, up to `confirmed` */
    struct kept *shown;           /* link: the oldest of them that history shows; NULL: none */
    struct kept *staged_oldest, *staged_newest; /* links: read back from the log, not joined yet */
    struct place *want_prev, *want_next;        /* links: rooms that want older records */
    uint64_t wanted; /* its records from here on are looked for in the log; 0: they are not */
    uint64_t gone;   /* its records up to here cannot be had any more, as far as we know */
    struct interest *interests; /* links: the gateways that follow it */
    struct member *members;     /* links: sessions present, by client id */
    struct person *persons;     /* owns: users present, by user id */
    int64_t moves_ms;           /* since when joins and leaves are counted */
    uint32_t moves;             /* told since then */
    uint16_t name_size;         /* bytes */
    char name[];
};

struct roster {
    struct place *by_name;     /* owns */
    struct place *idlest;      /* ring of utlist: by activity */
    struct place *sweep;       /* link: where the search for rooms to forget goes on; NULL: anew */
    const struct rules *rules; /* borrowed */
    int64_t ttl_min_ms;        /* of all rules */
    size_t max;                /* rooms that there may be */
    size_t crowd;              /* when there are more, some are to go */
};

/* No rooms yet. `rules` is borrowed. `max`: rooms that there may be; 0: any number. */
void roster_init(struct roster *r, const struct rules *rules, size_t max);

/* The rules say something else now: each room gets its own. */
void roster_rules_changed(struct roster *r);

static inline struct slice place_name(const struct place *place)
{
    return (struct slice){place->name, place->name_size};
}

/* The room's place, or NULL. */
struct place *roster_find(const struct roster *r, struct slice name);

/* The room's place, new and active now if there was none. `name` is room_is_valid(). */
struct place *roster_get(struct roster *r, struct slice name, int64_t now_ms);

/* Something happened in the room. */
void roster_touch(struct roster *r, struct place *place, int64_t now_ms);

/* True if it was idle for as long as its history lives, and nobody is interested. */
bool place_is_idle(const struct place *place, int64_t now_ms);

/* True if nothing but its time keeps it from being forgotten. */
bool place_may_go(const struct place *place);

/* True if a gateway follows it or a session is in it. */
bool place_is_wanted(const struct place *place);

/* Frees the place if it knows nothing that the era does not tell: nothing said or on its way,
 * nobody interested, and no checkpoint tells of it. */
void roster_release_unused(struct roster *r, struct place *place);

/* Frees the place; nothing may hang on it any more. */
void roster_remove(struct roster *r, struct place *place);

/* The next room of a round over all that are idle for longer than the shortest life of history, the
 * idlest first; NULL: the round is over, and the next call begins another one. */
struct place *roster_sweep(struct roster *r, int64_t now_ms);

/* Rooms known. */
size_t roster_count(const struct roster *r);

/* True if there are so many that some are to go. */
bool roster_is_crowded(const struct roster *r);

/* How many of them, if they can. */
size_t roster_surplus(const struct roster *r);

/* Those that could go have gone. */
void roster_was_thinned(struct roster *r);

/* `epoch` is copied; at most EPOCH_MAX bytes. */
void position_set(struct position *p, struct slice epoch, uint64_t offset);
/* True if the epoch is exactly that one. */
bool position_has_epoch(const struct position *p, struct slice epoch);

#endif
