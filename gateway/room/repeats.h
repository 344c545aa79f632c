/*
 * repeats.h: what came with each idempotency key lately.
 *
 * A publish that comes again under its key must be the same one: whoever uses a
 * key twice for two things would be told that both are in the room, and only the
 * first is. This gateway remembers the content of what its own sessions
 * published with a key, as hashes. The table has a fixed size: of more keys than
 * it holds some are forgotten early, and then the owner drops the second one.
 */
#ifndef WARREN_GATEWAY_ROOM_REPEATS_H
#define WARREN_GATEWAY_ROOM_REPEATS_H

#include "common/base.h"

#define REPEATS_PLACES 16384 /* of 24 bytes, once the first key has come */

struct repeats;

/* Freed with repeats_free(), which accepts NULL and returns NULL. */
struct repeats *repeats_new(void) MUST_CHECK;
/* See above. */
struct repeats *repeats_free(struct repeats *r);

/* What is published, under which key, and by whom. */
struct repeats_publish {
    struct slice room, user, key;
    struct slice content; /* as the client sent it */
};

/* Whether other content came with this key less than `window_ms` ago; if none did, this is it from
 * now on. */
bool repeats_is_other(struct repeats *r, const struct repeats_publish *p, int64_t window_ms,
                      int64_t now_ms) MUST_CHECK;

#endif
