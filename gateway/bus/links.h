/*
 * links.h: the gateway's side of its links to the owners of all partitions.
 *
 *     IDLE ──► WANTED ──► ATTACHING ──► ATTACHED
 *                ▲            │             │
 *                └────────────┴─────────────┘  hole, new owner, no answer, bus down
 *
 * A link is numbered in both directions. Whatever goes wrong is cured in one
 * way: the gateway attaches anew, under a new link number, with all its rooms
 * of the partition and their positions; the owner answers with what is missing.
 *
 * While the broker takes no publishes (alarm) the links stay as they are: what is
 * still delivered on them counts, and nothing is said anew that could only wait.
 */
#ifndef WARREN_GATEWAY_BUS_LINKS_H
#define WARREN_GATEWAY_BUS_LINKS_H

#include "common/base.h"
#include "proto/message.h"

#define LINK_ANSWER_MS 2000  /* without an answer to an attach or join for so long: attach anew */
#define LINK_ALIVE_MS 5000   /* between two signs of life */
#define LINK_SILENT_MS 13000 /* nothing from the owner for so long: attach anew */

struct gateway;
struct links;
struct room;
struct subscription;

/* Freed with links_free(), which accepts NULL and returns NULL. */
struct links *links_new(struct gateway *g) MUST_CHECK;
/* See above. */
struct links *links_free(struct links *l);

/* Who is shown in rooms of a partition has changed: all is told anew. */
void links_tell_again(struct links *l, uint32_t partition);

/* Both bus connections are up (again), or one is down. */
void links_up(struct links *l);
void links_down(struct links *l);

/* The broker takes no publishes, or takes them again. */
void links_blocked(struct links *l, bool is_blocked);

/* A message for this gateway; slices are valid during the call. */
void links_on_message(struct links *l, const struct message *m);

/* A room was born or died here; a session entered or left one (presence). */
void links_join(struct links *l, struct room *room);
void links_leave(struct links *l, const struct room *room);
void links_enter(struct links *l, struct subscription *sub);
void links_exit(struct links *l, const struct subscription *sub);

/* Sends a question to the owner's mailbox: not numbered, answered by a message with the same
 * `request`. 0, or -1 when nobody can be asked now. */
int links_send_question(struct links *l, const struct message *m, struct slice body) MUST_CHECK;

/* Sends what the turn has gathered. */
void links_flush(struct links *l);
/* Every GATEWAY_TICK_MS: answers that did not come, signs of life. */
void links_tick(struct links *l);

/* True when every partition with rooms is attached: for /ready. */
bool links_are_settled(const struct links *l);

#endif
