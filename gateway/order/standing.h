/*
 * standing.h: what moderators have ordered and what holds until it ends or is lifted. Pure.
 *
 * Bans of users and of addresses, mutes of a user in one room or in all, closed
 * rooms, records that were taken out of histories. Each has an end (or none) and the place in the
 * control stream where it was ordered, so that a summary that was written before a later order does
 * not undo it. Bounded: STANDING_MAX entries of all kinds together,
 * REMOVALS_MAX of removed records.
 *
 * A user is the inside of a JSON string as json_escape() writes it, as in
 * struct identity; an address (or prefix) is address_text().
 */
#ifndef WARREN_GATEWAY_ORDER_STANDING_H
#define WARREN_GATEWAY_ORDER_STANDING_H

#include "common/base.h"
#include "common/buf.h"

#define STANDING_MAX 200000
#define REMOVALS_MAX (STANDING_MAX / 2) /* of them: so that bans always find room */
#define STANDING_LIFTED_MS 3600000 /* how long a lifted one is remembered, for late summaries */
#define STANDING_FOREVER INT64_MAX

enum standing_kind {
    STANDING_BAN_USER,    /* what: a user */
    STANDING_BAN_ADDRESS, /* what: an address */
    STANDING_MUTE,        /* what: a user; room: empty for all rooms */
    STANDING_CLOSED,      /* what: a room */
    STANDING_DELETED,     /* what: an epoch; room; offset: of one record */
    STANDING_CLEARED,     /* what: an epoch; room; offset: of the last record of many */
    STANDING_KINDS
};

struct standing;

/* Nothing stands. Freed with standing_free(), which accepts NULL and returns NULL. */
struct standing *standing_new(void) MUST_CHECK;
/* See above. */
struct standing *standing_free(struct standing *s);

struct standing_order {
    enum standing_kind kind;
    struct slice what, room;
    uint64_t offset;  /* deleted, cleared */
    int64_t until_ms; /* wall clock; STANDING_FOREVER; ignored when it is lifted */
    bool is_lifted;
    int64_t at; /* place in the control stream */
};

enum standing_answer {
    STANDING_OLD = 1,  /* a later order is known; or it had ended before it came */
    STANDING_FULL = 2, /* no room for one more */
};

/* An order came: the one with the highest `at` holds. 0 or an answer. */
int standing_set(struct standing *s, const struct standing_order *o, int64_t now_ms) MUST_CHECK;

/* True while it stands. */
bool standing_has(const struct standing *s, enum standing_kind kind, struct slice what,
                  struct slice room, int64_t now_ms);

/* True while the user is muted in that room, or in all. */
bool mutes_has(const struct standing *s, struct slice user, struct slice room, int64_t now_ms);

/* True while that record of the room's history was taken out, alone or with all before it. */
bool removals_have(const struct standing *s, struct slice room, struct slice epoch, uint64_t offset,
                   int64_t now_ms);

/* True when there is room for one more of that kind. */
bool standing_has_room(const struct standing *s, enum standing_kind kind);

/* How many entries of a kind there are, ended ones that are not forgotten yet included; of all
 * kinds together with those that were lifted. */
size_t standing_count(const struct standing *s, enum standing_kind kind);
size_t standing_size(const struct standing *s);

/* Forgets what has ended. Walks everything: not more often than each minute. */
void standing_forget(struct standing *s, int64_t now_ms);

/* Calls `each` for all that stands. The slices are valid during the call. */
void standing_each(const struct standing *s, int64_t now_ms,
                   void (*each)(void *user, const struct standing_order *o), void *user);

#endif
