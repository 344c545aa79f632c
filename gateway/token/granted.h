/*
 * granted.h: the rooms that a connection token puts its session into: claims `channels` and `subs`.
 */
#ifndef WARREN_GATEWAY_TOKEN_GRANTED_H
#define WARREN_GATEWAY_TOKEN_GRANTED_H

#include "common/base.h"
#include "gateway/token/claims.h"

struct buf;

struct granted_room {
    char *room;       /* owns */
    char *info;       /* owns; chan_info: record_info_is_valid(), or "" */
    char *data;       /* owns; raw JSON for the client, or "" */
    bool wants_moves; /* override.force_push_join_leave */
};

struct granted {
    size_t count;
    struct granted_room at[]; /* each room once */
};

/* NULL: the token names none. Freed with granted_free(), which accepts NULL and returns NULL. */
struct granted *granted_new(const struct jwt_claims *claims) MUST_CHECK;
struct granted *granted_free(struct granted *g);

/* Whether that room is among them; `g` may be NULL. */
bool granted_has(const struct granted *g, struct slice room);

/* Whether an `override` claim (raw JSON object, or empty) asks for joins and leaves. */
bool override_wants_moves(struct slice override);

/* Appends a claim's raw JSON without line breaks; nothing if it is empty. */
void claim_add_raw(struct buf *out, struct slice value);

/* The same of what becomes an `info` or `chan_info`; nothing if it cannot be one
 * (record_info_is_valid()). */
void claim_add_info(struct buf *out, struct slice value);

#endif
