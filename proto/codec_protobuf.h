/*
 * codec_protobuf.h: what the two halves of codec_protobuf share; the rest of the world uses
 * codec.h.
 *
 * A WebSocket message is one or more messages, each behind its length. Field
 * numbers are those of the Centrifuge protocol's schema.
 */
#ifndef WARREN_PROTO_CODEC_PROTOBUF_H
#define WARREN_PROTO_CODEC_PROTOBUF_H

#include "proto/codec.h"

/* codec.next: also COMMAND_MALFORMED when a message is cut off, and COMMAND_BAD when raw JSON is
 * none, a text is no clean UTF-8, or a field is there twice. */
int pb_command_next(struct slice *rest, struct buf *texts, struct command *out) MUST_CHECK;

/* codec.next_sub: `subs` is the whole ConnectRequest, of which only the entries of that map
 * count. */
int pb_command_next_sub(struct slice *subs, struct buf *texts, struct command_sub *out) MUST_CHECK;

#endif
