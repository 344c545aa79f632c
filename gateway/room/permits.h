/*
 * permits.h: what a session may do in a room, by the room's rules.
 *
 * Every refusal is counted by what it refused and why.
 */
#ifndef WARREN_GATEWAY_ROOM_PERMITS_H
#define WARREN_GATEWAY_ROOM_PERMITS_H

#include "common/base.h"
#include "gateway/session/session.h"
#include "proto/record.h"
#include "proto/rules.h"

/* What was refused. */
enum permit {
#define PERMIT(name, label) PERMIT_##name,
#include "gateway/room/permit.def"
    PERMIT_COUNT
};

/* The counter's label. */
const char *permit_label(enum permit permit);

/* True if the session may; else it is counted. */
bool permits_subscribe(const struct session *s, struct slice room);
bool permits_see_presence(const struct session *s, const struct rule *rule);
bool permits_see_history(const struct session *s, const struct rule *rule);

#define PERMITTED (-1)

/* Whether the session may publish this (valid JSON) in that room now: PERMITTED, or the
 * error to answer with (enum reply_error). A publish that is granted counts for its rate. Its `key`
 * (empty: none) must not be that of another one (repeats.h). */
int permits_publish(struct session *s, struct slice room, struct slice payload,
                    struct slice key) MUST_CHECK;

/* The same for one that was granted and has been asked about since, perhaps with another payload:
 * it does not count again. */
int permits_publish_now(struct session *s, struct slice room, struct slice payload) MUST_CHECK;

/* Gives the record of a session what the owner has to know of the sender. */
void permits_stamp(const struct session *s, struct record *r);

#endif
