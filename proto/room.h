/*
 * room.h: names of rooms and the partition they belong to.
 *
 * A name is 1 to ROOM_NAME_MAX printable ASCII bytes (0x21 to 0x7e) without
 * the quote, the backslash, '*', and without "..": so it can stand in
 * JSON, in logs and in AMQP headers as it is.
 */
#ifndef WARREN_PROTO_ROOM_H
#define WARREN_PROTO_ROOM_H

#include "common/base.h"
#include "proto/limits.h"

/* True if a room can have this name. */
bool room_is_valid(struct slice name);

/* XXH3_64(name) mod partitions: frozen for ever. */
uint32_t room_partition(struct slice name, uint32_t partitions);

#endif
