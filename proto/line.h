/*
 * line.h: one line of JSON about a room, a member or a lane, or an epoch alone.
 *
 * The bodies of all messages that carry no records are such lines:
 *   attach, join   {"room":"lobby","epoch":"k3","offset":42}   a room to follow; epoch and offset
 * when known
 *                  {"room":"lobby","client":"6f..","user":"ann","info":{..}}  a session that is in
 * it leave          {"room":"lobby"}  {"room":"lobby","client":"6f.."} positions
 * {"room":"lobby","epoch":"k3","offset":45,"from":42}  records after `from` follow on the link
 *   checkpoint     {"room":"lobby","epoch":"k3","offset":45,"time":..}
 * {"lane":"<boot>","batch":17,"time":..}
 * {"epoch":"k3"}   that of all rooms of the partition that nobody has spoken in; also in `term`
 * {"room":"lobby","key":"7f3","user":"ann","by":"session","time":..}
 *   presence       {"room":"lobby"} (question)
 * present
 * {"room":"lobby","client":..,"user":..,"info":{..}}   (answer, a line a session) history
 * {"room":"lobby","epoch":"k3","offset":42,"limit":100,"reverse":true}  (question: after offset)
 *   moves          {"room":"lobby","client":..,"user":..,"info":{..},"left":true}
 *   past           {"room":"lobby","epoch":"k3","offset":45,"complete":true}  (answer: first line,
 * records follow) Absent members are empty slices and zeros. Schema: proto/schema/line.json.
 */
#ifndef WARREN_PROTO_LINE_H
#define WARREN_PROTO_LINE_H

#include "common/base.h"
#include "common/buf.h"
#include "proto/limits.h"

struct line {
    struct slice room, epoch, client;
    struct slice user;      /* inside of a JSON string, escapes kept */
    struct slice info;      /* raw JSON object */
    struct slice chan_info; /* likewise: what a subscription token said of a member */
    struct slice lane;
    struct slice key; /* record_key_is_valid() */
    struct slice by;  /* of a key: who has sent it: session or program; empty: either */
    bool has_offset;  /* offset was there (0 is a position too) */
    uint64_t offset, from, batch;
    int64_t time, limit;
    bool reverse, complete;
    uint64_t clients, users; /* present: how many there are */
    bool count;              /* presence: nothing but the numbers is wanted */
    bool moves; /* attach, join, leave: joins and leaves of the room are wanted, or not */
    bool again; /* attach: a member that an owner was told of before; or moves, likewise */
    bool left;  /* moves: the member has left */
};

/* `limit` of a past line: the position that was asked for cannot be continued. */
#define LINE_UNRECOVERABLE (-1)

/* Appends one line, LF included. `from` is written when offset is and it differs from offset. */
void line_encode(struct buf *out, const struct line *l);

enum line_answer {
    LINE_END = 1,
    LINE_BAD = 2,
};

/* Takes the next line off `rest`; slices point into it. When `from` is absent it equals offset. 0,
 * LINE_END or LINE_BAD. */
int line_next(struct slice *rest, struct line *out) MUST_CHECK;

#endif
