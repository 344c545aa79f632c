/*
 * notices.h: other programs are told who connects and who disconnects, if `[gateway] events` says
 * so.
 *
 * One message each, a JSON object, to the exchange PREFIX.sessions with the key
 * "connect.USER" or "disconnect.USER", from where the broker passes those two on
 * to PREFIX.events. Schema: proto/schema/event.json. A gateway may not write
 * PREFIX.events itself, so that one that was taken over forges no record.
 *
 * They are confirmed, and told again after an outage, in order; a confirm that got lost makes one
 * come twice. But they die with the gateway, and of those that wait NOTICES_MAX are kept.
 */
#ifndef WARREN_GATEWAY_SESSION_NOTICES_H
#define WARREN_GATEWAY_SESSION_NOTICES_H

#include "common/base.h"
#include "gateway/bus/lanes.h"

#define NOTICES_MAX 20000 /* not confirmed; more are dropped and counted */
#define NOTICES_WINDOW 64 /* of them with the bus */

struct bus_out;
struct gateway;
struct notices;
struct session;

/* NULL, or what `[gateway] events` has to be. */
const char *notices_check(const char *events) MUST_CHECK;

/* Freed with notices_free(), which accepts NULL and returns NULL; after the bus. */
struct notices *notices_new(struct gateway *g) MUST_CHECK;
/* See above. */
struct notices *notices_free(struct notices *n);

/* Somebody is here; somebody who was is not any more. */
void notices_connect(struct notices *n, struct session *s);
void notices_disconnect(struct notices *n, const struct session *s, uint16_t code,
                        const char *reason);

/* A message comes back from the bus: takes it over. */
void notices_on_result(struct notices *n, struct bus_out *out, enum bus_result result);

/* Every GATEWAY_TICK_MS: goes on after an outage. */
void notices_tick(struct notices *n);

/* Those that are not confirmed. */
size_t notices_waiting(const struct notices *n);

#endif
