/*
 * link_lines.h: the lines that tell an owner of rooms and members (proto/line.h).
 *
 * Each function appends one line.
 */
#ifndef WARREN_GATEWAY_BUS_LINK_LINES_H
#define WARREN_GATEWAY_BUS_LINK_LINES_H

#include "gateway/room/rooms.h"

static inline struct slice room_slice(const struct room *room)
{
    return (struct slice){room->name, room->name_size};
}

/* A room that is followed, and its position if it has one. */
void link_line_room(struct buf *out, const struct room *room);

/* Somebody here wants to be told of joins and leaves, or, in a leave, nobody any more. */
void link_line_moves(struct buf *out, struct room *room);

/* Somebody is in a room. `is_known`: an owner has taken that before. */
void link_line_member(struct buf *out, const struct subscription *sub, bool is_known);

/* Somebody of whom an owner may know has left while nobody could be told. */
void link_line_gone(struct buf *out, const struct subscription *sub);

#endif
