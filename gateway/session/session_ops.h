/*
 * session_ops.h: what a backend does to sessions of this gateway.
 *
 * Each function does one thing to all sessions that are meant and answers how
 * many these were. Sessions of other gateways are theirs to do it to. A session
 * that is not connected yet (no good connect command) is nobody's.
 */
#ifndef WARREN_GATEWAY_SESSION_SESSION_OPS_H
#define WARREN_GATEWAY_SESSION_SESSION_OPS_H

#include "common/base.h"

struct sessions;

/* Which sessions are meant. */
struct ops_who {
    struct slice user;   /* inside of a JSON string, as json_escape() writes it; "" with `has_user`:
                            people without a token */
    bool has_user;       /* false: of any user; then `client` must be given */
    struct slice client; /* empty: all clients of the user */
    struct slice except; /* empty, or a client that is not meant */
    struct slice spared; /* empty, or a raw JSON array of such clients */
};

/* How sessions are put into a room. */
struct ops_subscribe {
    struct slice data; /* raw JSON; empty: none */
    struct slice info; /* chan_info, raw JSON; empty: none */
    int64_t expires_s; /* 0: never */
    bool join_leave;   /* is told who comes and goes */
};

/* Puts sessions into a room, whatever its rule says: a `subscribe` push tells them. Those that are
 * in it stay as they are and count. `room` is room_is_valid(). */
size_t ops_subscribe(struct sessions *all, const struct ops_who *who, struct slice room,
                     const struct ops_subscribe *how);

/* Takes them out of a room, or out of all their rooms when `room` is empty: an `unsubscribe` push
 * with code (2000: stay out; 2500 and above: come again) and reason (not empty) tells them. Plain
 * sessions are ended. Counts those that were in. */
size_t ops_unsubscribe(struct sessions *all, const struct ops_who *who, struct slice room,
                       uint32_t code, const char *reason);

/* Ends them: `code` 3000 to 4999 says whether to come back, `reason` is never empty nor JSON. */
size_t ops_disconnect(struct sessions *all, const struct ops_who *who, uint16_t code,
                      const char *reason);

/* A `message` push with raw JSON data (plain dialect: {"event":"message","data":..} if events are
 * asked for). */
size_t ops_message(struct sessions *all, const struct ops_who *who, struct slice data);

/* Their tokens are good until then; 0: for ever. */
size_t ops_refresh(struct sessions *all, const struct ops_who *who, int64_t expires_s);

/* How many there are. */
size_t ops_count(const struct sessions *all, const struct ops_who *who);

#endif
