/*
 * pb.h: the wire format of Protocol Buffers (proto3): fields in, fields out.
 *
 * Only bytes: which numbers mean what is in pb_command.c and pb_reply.c. A
 * message inside of a field is a slice that is read in its turn, so nothing
 * here recurses, and what nobody asks for is passed by its type. Groups, long
 * out of use, are refused. Private to this folder, but for its tests.
 */
#ifndef WARREN_PROTO_PB_H
#define WARREN_PROTO_PB_H

#include "common/base.h"
#include "common/buf.h"

#define PB_VARINT_MAX 10               /* bytes of a 64-bit number */
#define PB_NUMBER_MAX ((1u << 29) - 1) /* of a field */

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_field {
    uint32_t number; /* 1 to PB_NUMBER_MAX */
    enum pb_type type;
    uint64_t value;     /* PB_VARINT; the others are nobody's business here */
    struct slice bytes; /* PB_BYTES: points into what was read */
};

enum pb_answer {
    PB_END = 1,    /* nothing is left */
    PB_BROKEN = 2, /* cut off, a number above 64 bits, field 0, a group, an unknown type */
};

/* Takes the next field off `rest`. 0, PB_END or PB_BROKEN (then `rest` is of no use any more). */
int pb_next(struct slice *rest, struct pb_field *out) MUST_CHECK;

/* Takes a length and as many bytes off `rest`: one message of several. 0, PB_END or PB_BROKEN. */
int pb_next_message(struct slice *rest, struct slice *out) MUST_CHECK;

/* Appends a number in its shortest form. */
void pb_add_varint(struct buf *out, uint64_t value);

/* Appends a field, or nothing when its value is 0, false or empty. */
void pb_add_u64(struct buf *out, uint32_t number, uint64_t value);
void pb_add_flag(struct buf *out, uint32_t number, bool is_set);
void pb_add_bytes(struct buf *out, uint32_t number, struct slice bytes);

/* Begins a field of bytes (a message, a text) of a size that is not known yet: append them, then
 * pb_close() with what this returned. Such fields nest. */
size_t pb_open(struct buf *out, uint32_t number) MUST_CHECK;
/* The same without a field: only the length goes before, as pb_next_message() wants it. */
size_t pb_open_message(struct buf *out) MUST_CHECK;
/* Writes the length where it belongs. */
void pb_close(struct buf *out, size_t opened);

#endif
