/*
 * members.h: JSON objects that are written and read by a table of their members.
 *
 * A table says once what members an object has and where their values are in a
 * struct: line.c and order.c have one each. Absent members are empty slices and
 * zeros. Private to this folder.
 */
#ifndef WARREN_PROTO_MEMBERS_H
#define WARREN_PROTO_MEMBERS_H

#include "common/base.h"
#include "proto/put.h"
#include "proto/scan.h"

enum member_kind {
    MEMBER_ROOM,   /* a string as room.h has it */
    MEMBER_KEY,    /* a string as record.h has it */
    MEMBER_PLAIN,  /* a string without escapes */
    MEMBER_TEXT,   /* a string: its inside */
    MEMBER_VALUE,  /* raw JSON */
    MEMBER_OBJECT, /* likewise, an object */
    MEMBER_U64,
    MEMBER_I64,
    MEMBER_TOLD, /* a U64 of which the owner says whether it is there: 0 can be a value */
    MEMBER_FLAG,
    MEMBER_OWN, /* read by the table's own function, written by its owner */
};

#define MEMBER_NAME_MAX 12 /* bytes */

struct member_row {
    char name[MEMBER_NAME_MAX]; /* not terminated when it is that long */
    enum member_kind kind;
    size_t name_size;
    size_t at;    /* in the struct */
    uint64_t max; /* bytes of a slice, or the greatest number */
};

/* The row of a member that is named like its field. */
#define MEMBER_ROW(type, field, what, most)                                                        \
    {                                                                                              \
        .name = #field, .kind = MEMBER_##what, .name_size = sizeof(#field) - 1,                    \
        .at = offsetof(type, field), .max = (most),                                                \
    }

/* In the order in which they are written. Sets of members are words: bit i is row i. */
struct member_table {
    const struct member_row *rows;
    size_t count;                                   /* MEMBERS_MAX at most */
    bool (*read_own)(struct scan *s, void *object); /* NULL: no row is MEMBER_OWN */
};

#define MEMBERS_MAX 32

/* Bytes of a member beside its text: name, quotes, colon, comma, the digits of a number. */
#define MEMBER_FRAMING (MEMBER_NAME_MAX + sizeof(",'':''") + PUT_DIGITS_MAX)

/* Writes `,"name":value` for each member that is there: those that are not empty or zero, and of
 * the MEMBER_TOLD ones those in `told`. Returns where the next byte goes; the caller made room for
 * the texts and MEMBER_FRAMING for each row. */
char *members_put(char *to, const struct member_table *table, const void *object, unsigned told);

/* Reads a text that is one object. Slices point into it; unknown members are passed over; `seen`
 * gets the known ones. False: not such an object, or a member is there twice; what was read until
 * then stays in `object`. */
bool members_read(struct slice text, const struct member_table *table, void *object,
                  unsigned *seen) MUST_CHECK;

/* The same for the next line of `rest`, which then begins behind it. */
bool members_next(struct slice *rest, const struct member_table *table, void *object,
                  unsigned *seen) MUST_CHECK;

#endif
