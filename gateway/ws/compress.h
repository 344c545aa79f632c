/*
 * compress.h: what is said to sessions that speak permessage-deflate, made smaller.
 *
 * Works on frames that are ready to be sent, so whoever builds frames need not
 * know of it. Each message is compressed by itself, and what a room hears once
 * for all.
 *
 * What stands together in one message is compressed together, and its size tells
 * something about it (the CRIME and BREACH family of attacks): so nothing that
 * is sent to clients may hold a secret. Tokens are never sent back to anybody.
 */
#ifndef WARREN_GATEWAY_WS_COMPRESS_H
#define WARREN_GATEWAY_WS_COMPRESS_H

#include "common/base.h"
#include "common/blob.h"
#include "gateway/conf.h"
#include "gateway/metrics.h"
#include "gateway/ws/deflate.h"

struct compress {
    struct deflate *deflate; /* owns; NULL: nobody speaks permessage-deflate here */
    size_t size_min;         /* bytes of a message: smaller ones are left as they are */
    size_t turn_left;        /* bytes of messages for one session that this turn may still pack */
    struct metrics *metrics; /* borrowed */
};

/* `metrics` has to outlive it. */
void compress_init(struct compress *c, const struct gateway_conf *conf, struct metrics *metrics);
void compress_deinit(struct compress *c);

/* The same frames, compressed where that makes them smaller, for windows of so many bits. A
 * reference: perhaps to `frames` itself. */
struct blob *compress_shared(struct compress *c, struct blob *frames, unsigned window) MUST_CHECK;

/* The same for frames that only one session gets. A crowd that comes back is answered in full, not
 * made smaller one by one: what goes beyond the turn's share stays as it is. */
struct blob *compress_single(struct compress *c, struct blob *frames, unsigned window) MUST_CHECK;

/* A new turn of the loop has begun. */
void compress_turn(struct compress *c);

/* The message of a compressed payload: promises as deflate_unpack(). */
int compress_undo(struct compress *c, struct slice payload, size_t size_max,
                  struct slice *message) MUST_CHECK;

#endif
