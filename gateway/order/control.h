/*
 * control.h: orders to all gateways, through one RabbitMQ stream.
 *
 * The stream PREFIX.control is both the broadcast and the memory: every gateway
 * reads it from the first message at its start, and follows it. What stands
 * (bans, mutes, closed rooms, revoked tokens, removed records) is known to a gateway that starts
 * later; what is done once (disconnect, subscribe ...) is left alone when it was
 * ordered before the gateway started. Nothing of it ends before it says so: an entry has its
 * own end, or none, and is in every summary until then.
 *
 * A gateway knows that it has read everything when its own `hello` comes back;
 * until then it is not ready. The stream forgets what is old: so whoever finds
 * that the last summary is old writes down anew what stands. A summary names the
 * offset up to which it is true, and does not undo what was ordered after that.
 *
 * Whoever gave an order is told when all gateways that live have obeyed it (sends.h), or after a
 * bounded wait: it stands all the same.
 */
#ifndef WARREN_GATEWAY_ORDER_CONTROL_H
#define WARREN_GATEWAY_ORDER_CONTROL_H

#include "common/base.h"
#include "gateway/bus/lanes.h"
#include "gateway/order/standing.h"
#include "proto/message.h"
#include "proto/order.h"

struct bus_out;
struct control;
struct gateway;
struct identity;
struct record;
struct sends;

/* Freed with control_free(), which accepts NULL and returns NULL. */
struct control *control_new(struct gateway *g) MUST_CHECK;
/* See above. */
struct control *control_free(struct control *c);

/* How an order went. `is_done`: it is in the stream, and all gateways but `missing` have obeyed it
 * (at least so many have not; they will as they read it); else nobody knows. */
typedef void control_told(void *user, uint64_t call, bool is_done, int64_t missing);

/* Who is told how an order of control_send() went: by the number that came with it. */
void control_set_teller(struct control *c, control_told *told, void *user);

enum control_answer {
    CONTROL_FULL = 1, /* too much stands already */
    CONTROL_BAD = 2,  /* no gateway could read it */
};

/* Sends an order to all gateways, this one included. `call`: 0, or who is told. 0, an answer, or
 * -1: nobody can be told anything now. */
int control_send(struct control *c, const struct order *o, uint64_t call) MUST_CHECK;

/* Both bus connections are up (again). */
void control_up(struct control *c);

/* The next message of the stream, at this offset; slices are valid during the call. */
void control_on_message(struct control *c, const struct message *m, int64_t at);

/* A message comes back from the bus: takes it over. */
void control_on_result(struct control *c, struct bus_out *out, enum bus_result result);

/* Every GATEWAY_TICK_MS: repeats, what has ended, summaries. */
void control_tick(struct control *c);

/* All of the stream before this offset was obeyed here. */
uint64_t control_obeyed(const struct control *c);

/* What was sent: for sends.c, which is told of the others through the gateway. */
struct sends *control_sends(struct control *c);

/* NULL, or why this gateway does not know yet what stands. */
const char *control_not_ready(const struct control *c);

/* What stands here: for mutes_has(). */
const struct standing *control_standing(const struct control *c);

/* True if this user may not be here, or nobody from this address ("10.0.0.1:4711", "[::1]:4711") or
 * from a prefix that it is in; in whatever spelling that was banned. */
bool control_is_banned(const struct control *c, const struct identity *i, const char *peer);

/* True if that record was taken out of its room's history, or any record was of any room. */
bool control_is_removed(const struct control *c, const struct record *r);
bool control_has_removals(const struct control *c);

/* True if nobody may be in this room. */
bool control_is_closed(const struct control *c, struct slice room);

#endif
