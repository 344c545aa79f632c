/*
 * told.h: which joins and leaves were told here lately, so that none is told twice.
 *
 * Who came just before an owner died may be told by it and by its successor. What
 * is remembered is the last move of each member, for as long as no other one takes
 * its place in a table of fixed size; what is forgotten may be told again.
 */
#ifndef WARREN_GATEWAY_ROOM_TOLD_H
#define WARREN_GATEWAY_ROOM_TOLD_H

#include "common/base.h"

struct told;

/* Freed with told_free(), which accepts NULL and returns NULL. */
struct told *told_new(void) MUST_CHECK;
/* See above. */
struct told *told_free(struct told *t);

/* Another number whenever a room begins to have people who are told: they know nothing yet. */
uint32_t told_begin(struct told *t);

/* True, and remembered, unless this was the last that was told of the client since `moving`. */
bool told_is_news(struct told *t, uint32_t moving, struct slice client, bool left);

#endif
