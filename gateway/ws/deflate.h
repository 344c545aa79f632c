/*
 * deflate.h: messages of permessage-deflate (RFC 7692 7.2). The only user of zlib.
 *
 * One object serves all sessions of a loop, for no message depends on another:
 * neither side takes its context over. So whatever was compressed can be given
 * to many, and between two messages of a session nothing is held for it.
 *
 * A compressor is made for each size of window that clients ask for, when the
 * first one does; the only inflater has the largest window, which reads all.
 */
#ifndef WARREN_GATEWAY_WS_DEFLATE_H
#define WARREN_GATEWAY_WS_DEFLATE_H

#include "common/base.h"

#define DEFLATE_WINDOW_MIN 9 /* bits: zlib makes no raw streams with 8 */
#define DEFLATE_WINDOW_MAX 15

struct deflate;

/* `level` and `memory` (both 1 to 9) are zlib's: effort, and what a compressor may take. */
struct deflate *deflate_new(int level, int memory) MUST_CHECK;
/* Accepts NULL; returns NULL. */
struct deflate *deflate_free(struct deflate *d);

/* The payload for a message, by RFC 7692 7.2.1, with distances below 2^window. Valid until the next
 * call. */
struct slice deflate_pack(struct deflate *d, struct slice message, unsigned window) MUST_CHECK;

enum deflate_answer {
    DEFLATE_BROKEN = 1,  /* that is no whole DEFLATE data */
    DEFLATE_TOO_BIG = 2, /* the message has more than `size_max` bytes */
};

/* The message of a payload, by RFC 7692 7.2.2; blocks with BFINAL may stand anywhere. No more than
 * `size_max` bytes (and one) are ever inflated. 0 or an answer; `*message` is valid until the next
 * call. */
int deflate_unpack(struct deflate *d, struct slice payload, size_t size_max,
                   struct slice *message) MUST_CHECK;

#endif
