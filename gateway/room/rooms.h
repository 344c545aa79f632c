/*
 * rooms.h: rooms with sessions in them, and the fan-out.
 *
 * A room exists here while somebody is subscribed. It is JOINING until its
 * owner told its position, then LIVE: it knows (epoch, offset) of the last
 * record it was given and keeps a few recent ones for those who come back.
 * Records reach a room only through links.c, in order. Each is encoded once per
 * dialect; each subscription remembers the last offset it was given and drops
 * what is not above it.
 */
#ifndef WARREN_GATEWAY_ROOM_ROOMS_H
#define WARREN_GATEWAY_ROOM_ROOMS_H

#include "common/base.h"
#include "common/deadline.h"
#include "common/hash.h"
#include "gateway/session/session.h"
#include "proto/record.h"
#include "proto/rules.h"

enum room_state { ROOM_JOINING, ROOM_LIVE };

/* A run of records as they came, kept for recovery. */
struct recent {
    struct recent *next;
    uint64_t first, last; /* offsets */
    int64_t came_ms;      /* monotonic */
    struct blob *lines;   /* owns: the records' lines */
};

/* What a subscription waits for; only until it is answered. */
struct joining {
    struct subscription *subscription; /* borrowed: owns this */
    struct deadline wait;              /* subscribe_wait_ms */
    struct blob *data;                 /* owns; raw JSON that the client is told; NULL: none */
    uint32_t command_id;               /* of the subscribe command */
    bool recovers;                     /* the client told where it was */
    bool asks_owner;                   /* what it missed has to come from the owner */
    bool is_late;                      /* that question was on its way before: it may know less */
    bool is_strict;                    /* what cannot be recovered is an error */
    uint64_t since;                    /* offset that the client has */
    char epoch[EPOCH_MAX + 1];         /* of that offset; "" matches any */
};

/* Who let the session in. */
enum rooms_cause {
    ROOMS_BY_COMMAND, /* its own subscribe command, which is answered; plain: the upgrade */
    ROOMS_BY_CONNECT, /* the server, at once: the connect command is answered with it */
    ROOMS_BY_SERVER,  /* the server, later: a push tells */
};

/* What a token said about a subscription. */
struct grant {
    int64_t expires_s;  /* 0: never */
    int64_t issued_s;   /* of the subscription token; 0: it does not say */
    char *token_id;     /* owns; of that token, decoded; NULL: it has none */
    uint16_t info_size; /* bytes */
    char info[];        /* chan_info: raw JSON, or nothing */
};

struct subscription {
    struct session *session;              /* borrowed: the session leaves before it dies */
    struct room *room;                    /* borrowed: lives while it has subscriptions */
    struct subscription *next_of_session; /* links */
    struct joining *joining;              /* owns; not NULL: not answered yet, gets no records */
    struct grant *grant;                  /* owns; what a token said about it; NULL: nothing */
    uint64_t last;                        /* offset of the last record given */
    uint32_t index;                       /* in room->subscriptions */
    uint32_t told_round;                  /* heard.h: when an owner was told of it; 0: never */
    uint8_t cause;                        /* enum rooms_cause */
    bool wants_moves;                     /* is told who comes and goes, if it may see presence */
    bool asked_moves;                     /* its command asked for that */
    bool moves_granted;                   /* the server wants it told, whatever the rule says */
    bool by_token;                        /* a subscription token let it in */
    bool by_claim;                        /* the connection token names the room */
};

/* chan_info of a subscription, raw JSON, or nothing. */
static inline struct slice subscription_info(const struct subscription *sub)
{
    return sub->grant != NULL ? (struct slice){sub->grant->info, sub->grant->info_size}
                              : SLICE_NONE;
}

struct room {
    UT_hash_handle hh;
    struct room *prev, *next;            /* links: rooms of the same partition */
    struct subscription **subscriptions; /* owns */
    uint32_t count, capacity;
    uint32_t movers;  /* subscriptions that want to be told who comes and goes */
    uint32_t moving;  /* told.h: since when there are some */
    bool asked_moves; /* an owner was asked to tell it */
    uint32_t pins;    /* walks through it: it may not be freed */
    uint32_t asking;  /* subscriptions that wait for the owner's memory */
    bool is_narrow;   /* it had records that not everybody may see */
    bool asks_owner;  /* a question for missed records is open, after `asked_since` */
    uint64_t asked_since;
    uint32_t partition;
    const struct rule *rule; /* borrowed: what people may do here */
    enum room_state state;
    char epoch[EPOCH_MAX + 1];           /* "" until the room spoke */
    uint64_t offset;                     /* of the last record given to the room */
    struct recent *recent, *recent_last; /* owns: oldest first */
    uint32_t recent_count;               /* records */
    size_t recent_bytes;
    int32_t run_first, run_last; /* scratch of the fan-out: -1 outside of it */
    uint16_t name_size;
    char name[];
};

struct gateway;
struct rooms;

/* No rooms yet. */
struct rooms *rooms_new(struct gateway *g) MUST_CHECK;
/* All sessions have left. Accepts NULL; returns NULL. */
struct rooms *rooms_free(struct rooms *all);

enum rooms_answer {
    ROOMS_ALREADY = 1, /* the session is in that room */
    ROOMS_LIMIT = 2,   /* it is in as many rooms as it may be */
    ROOMS_FULL = 3,    /* the room has as many sessions here as it may have */
};

/* Where a client says it was. */
struct rooms_since {
    bool recovers;
    bool is_strict; /* an error rather than an answer without what was missed */
    struct slice epoch;
    uint64_t offset;
};

/* How a session enters. Zeros are what a plain subscribe says. */
struct rooms_entry {
    enum rooms_cause cause;
    uint32_t command_id; /* of the subscribe command */
    struct rooms_since since;
    bool wants_moves;      /* asks for joins and leaves */
    bool moves_granted;    /* a token or the server does */
    bool by_token;         /* a subscription token lets it in */
    bool by_claim;         /* the connection token names the room */
    struct slice data;     /* raw JSON that the client is told with the answer; empty: none */
    int64_t expires_s;     /* of the subscription; 0: never */
    struct slice info;     /* chan_info, raw JSON; empty: none */
    int64_t issued_s;      /* by_token: of that token */
    struct slice token_id; /* likewise, decoded */
};

/* Lets an open session in. Answered through dialect_subscribed(), perhaps before this returns. 0 or
 * an answer. */
int rooms_enter(struct session *s, struct slice name, const struct rooms_entry *entry) MUST_CHECK;

/* The session's subscription of that room, or NULL. */
struct subscription *rooms_find(struct session *s, struct slice name);

/* A newer subscription token says so; what it shows of the person (info) stays. */
void subscription_renew(struct subscription *sub, int64_t expires_s, int64_t issued_s,
                        struct slice token_id);

/* Frees the subscription; the last one takes the room with it. */
void rooms_leave(struct subscription *sub);
void rooms_leave_all(struct session *s);

/* The rules are others now: each room and whoever is in it goes by its own. */
void rooms_rules_changed(struct rooms *all);

/* Records were taken out of histories: answers that were put together for many are void. */
void rooms_history_changed(struct rooms *all);

/* For links.c. */

/* The room of that name, or NULL. */
struct room *rooms_get(struct rooms *all, struct slice name);
/* First room of a partition; the others follow by ->next. NULL: none. */
struct room *rooms_of(struct rooms *all, uint32_t partition);

/* The owner told the room's position; records after `from` follow on the link. */
void rooms_positioned(struct rooms *all, struct room *room, struct slice epoch, uint64_t from);

enum rooms_deliver_answer {
    ROOMS_HOLE = 1, /* a record does not continue its room: the link has to begin anew */
};

/* The records of one deliver message, to all rooms that are followed. 0 or ROOMS_HOLE (what came
 * before it is delivered). */
int rooms_deliver(struct rooms *all, struct slice body) MUST_CHECK;

/* The owner's answer to the question for what came after `since`: the records it has, up to the
 * room's offset `top`. */
void rooms_past(struct rooms *all, struct room *room, uint64_t since, struct slice epoch,
                uint64_t top, struct slice records);
/* That question was not answered in time. */
void rooms_past_late(struct room *room, uint64_t since);

/* Rooms of a partition that wait for their position. */
uint32_t rooms_joining(const struct rooms *all, uint32_t partition);

/* Rooms that somebody is in. */
size_t rooms_count(const struct rooms *all);

#endif
