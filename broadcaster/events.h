/*
 * events.h: what other programs are told of rooms whose rule says so: records, joins, leaves.
 *
 * One message each, a JSON object, to the exchange PREFIX.events with the key
 * "record.ROOM", "join.ROOM" or "leave.ROOM". Records are told once the log has
 * them, in its order and before their input is acked, and not again: an owner
 * that dies in between leaves a hole, which their offsets show. Joins and leaves
 * are hints. Schema: proto/schema/event.json.
 */
#ifndef WARREN_BROADCASTER_EVENTS_H
#define WARREN_BROADCASTER_EVENTS_H

#include "broadcaster/appends.h"

struct member;

/* The log has it. */
void events_records(struct partition *p, const struct append *a);

/* Somebody has come, or left. */
void events_move(struct partition *p, const struct member *m, bool left, int64_t now_ms);

#endif
