/*
 * strays.h: answers that are due for rooms that were left before they came.
 *
 * Such an answer says nothing about a room of the same name that may be here by
 * then: that one has asked anew.
 */
#ifndef WARREN_GATEWAY_ROOM_STRAYS_H
#define WARREN_GATEWAY_ROOM_STRAYS_H

#include "common/base.h"

struct stray;

struct strays {
    struct stray *by_room; /* owns */
};

/* One more answer about this room will be a stray one. */
void strays_add(struct strays *s, struct slice room);

/* True: the answer about this room is a stray one, and now it has come. */
bool strays_take(struct strays *s, struct slice room);

/* Nothing is due any more. */
void strays_clear(struct strays *s);

#endif
