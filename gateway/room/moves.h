/*
 * moves.h: joins and leaves, to those in a room who want to know.
 *
 * The owner tells them, a few at a time (broadcaster/moves.h). A run of one room
 * becomes one frame for each dialect. A subscription that is not answered yet is
 * told nothing.
 */
#ifndef WARREN_GATEWAY_ROOM_MOVES_H
#define WARREN_GATEWAY_ROOM_MOVES_H

#include "common/base.h"

struct rooms;

/* The lines of one `moves` message. */
void moves_deliver(struct rooms *all, struct slice body);

#endif
