/*
 * followers.h: the gateways of a partition, what they follow, and what they are sent.
 *
 * A follower is a gateway with a link: a numbered flow of messages in both
 * directions that begins with the gateway's attach. An interest joins a
 * follower and a room. All of it is soft state: whatever goes wrong, the
 * follower is dropped and told to attach anew.
 */
#ifndef WARREN_BROADCASTER_FOLLOWERS_H
#define WARREN_BROADCASTER_FOLLOWERS_H

#include "common/base.h"
#include "common/buf.h"
#include "common/hash.h"
#include "proto/message.h"

#define FOLLOWER_BODY_BYTES                                                                        \
    (1 << 20) /* an answer's message takes no further line or record above this */

/* What gateways may ask of a partition. The rooms are those of 15,000 sessions with 128 rooms each,
 * in 16 partitions. */
#define FOLLOWERS_MAX 1024u           /* gateways with a link */
#define FOLLOWER_ROOMS_MAX (1u << 17) /* rooms that one of them follows */

struct partition;
struct partition_action;
struct place;
struct append;
struct member;

struct interest {
    struct interest *prev, *next; /* links: of the room */
    struct interest *prev_of_gateway, *next_of_gateway;
    struct follower *follower;
    struct place *place;
    bool wants_moves; /* to be told who comes and goes */
};

struct follower {
    UT_hash_handle hh;
    struct interest *interests; /* owns */
    uint32_t rooms;             /* how many that are */
    struct member *members;     /* owns */
    uint64_t link;
    uint64_t number_in;  /* of the last message received on the link */
    uint64_t number_out; /* of the last message sent on it */
    int64_t heard_ms;
    /* While an append is delivered: the run of its bytes that is not copied yet, and what is. */
    struct follower *next_touched;
    struct partition_action *out;
    size_t run_at, run_end;
    uint64_t run_records;
    struct buf moves; /* owns; lines that are not sent yet */
    bool has_stale;   /* members that the gateway has not named on this link */
    bool has_lapsed;  /* it was dropped before: its members were told to have left */
    bool is_answered; /* a message for it is being filled: no other one may overtake it */
    char boot[BOOT_SIZE];
    uint16_t gateway_size;
    char gateway[ID_MAX + 1];
};

/* A life of a gateway that was dropped with members, and may come back. */
struct lapsed {
    char gateway[ID_MAX + 1], boot[BOOT_SIZE];
};

#define LAPSED_MAX 16u /* remembered */

struct followers {
    struct follower *by_gateway; /* owns */
    size_t members;              /* of all */
    struct lapsed lapsed[LAPSED_MAX];
    unsigned lapsed_count; /* of all that there ever were */
};

/* The gateway's follower, or NULL. */
struct follower *followers_find(const struct followers *all, struct slice gateway);

/* A new link; what was known of the gateway is dropped, but for the members of the same life of it:
 * they are stale until it names them. `m` is an attach. NULL: there are too many gateways. */
struct follower *followers_attach(struct partition *p, const struct message *m, int64_t now_ms);

/* The gateway has named all that it has: what is stale has left. */
void follower_end_stale(struct partition *p, struct follower *f, int64_t now_ms);

/* Drops a gateway with all its interests and members. */
void followers_drop(struct partition *p, struct follower *f, int64_t now_ms);

/* Drops all; at the end. */
void followers_clear(struct partition *p);

/* The follower follows the room, or ceases to. False: it follows too many. */
bool follower_follow(struct partition *p, struct follower *f, struct place *place, int64_t now_ms);
void follower_unfollow(struct partition *p, struct follower *f, struct place *place,
                       int64_t now_ms);

/* Joins and leaves of a room that it follows are for this follower, or not any more. */
void follower_wants_moves(struct follower *f, struct place *place, bool wants);

/* A member leaves with its session or its gateway. */
void followers_member_left(struct partition *p, struct member *m, int64_t now_ms);

/* A message to a gateway outside of its link: fill its body, then partition_action_fill(). */
struct partition_action *followers_action(struct partition *p, struct slice gateway);

/* The next message on the link: fill its body, then follower_sent(). */
struct partition_action *follower_send(struct partition *p, struct follower *f);
void follower_sent(struct partition *p, struct follower *f, struct partition_action *a,
                   enum message_type type, uint64_t records, int64_t now_ms);

/* Tells a gateway that it has to attach anew. */
void followers_call(struct partition *p, struct slice gateway, int64_t now_ms);

/* A confirmed append's records, to each follower those of the rooms that it follows. */
void followers_deliver(struct partition *p, const struct append *a, int64_t now_ms);

/* Drops those that were silent for too long. */
void followers_tick(struct partition *p, int64_t now_ms);

#endif
