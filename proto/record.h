/*
 * record.h: one accepted message, as two lines of JSON.
 *
 *     {"room":"lobby","offset":42,"epoch":"k3","user":"ann","client":"6f..","time":1790000000123}
 *     {"username":"ann","message":"hello"}
 *
 * The first line is what warren says, the second what the user said, byte for
 * byte but for its line breaks. The bodies of publish, append, deliver and past
 * messages are records one after the other. Each line ends with LF. Room, epoch
 * and client are written without escapes, so that they can be compared as they
 * stand; what is read has a valid room (room.h) and every text within its limit.
 * Two members are what a gateway says of the sender to the owner of the room,
 * and to nobody else: `roles`, `muted`. The owner takes them off when it numbers
 * the record, and says who may see it, when not everybody may: `audience` (audience.h).
 * Schema: proto/schema/record.json.
 */
#ifndef WARREN_PROTO_RECORD_H
#define WARREN_PROTO_RECORD_H

#include "common/base.h"
#include "common/buf.h"
#include "proto/limits.h"

struct record {
    struct slice room;
    uint64_t offset;     /* 0: not numbered yet (left out) */
    struct slice epoch;  /* empty: not numbered yet (left out) */
    struct slice user;   /* inside of a JSON string, escapes kept; may be empty (left out) */
    struct slice client; /* client id; may be empty (left out): not every publisher is a session */
    struct slice
        info; /* raw JSON object about the sender (name, gateway); may be empty (left out) */
    struct slice chan_info; /* likewise: what a subscription token said of the sender */
    int64_t time;           /* milliseconds since 1970, given by the gateway */
    struct slice key;       /* idempotency key, record_key_is_valid(); may be empty (left out) */
    struct slice audience;  /* raw JSON object; numbered records only; empty: everybody */
    struct slice roles;   /* raw JSON array of the sender's; not numbered ones only; may be empty */
    bool is_muted;        /* the sender, in this room; likewise */
    struct slice payload; /* raw JSON value without line breaks */
};

/* True if it says anything of who sent it. */
static inline bool record_has_sender(const struct record *r)
{
    return r->user.size > 0 || r->client.size > 0 || r->info.size > 0 || r->chan_info.size > 0;
}

/* True if a publish can have this key: 1 to KEY_MAX printable ASCII characters without quote and
 * backslash, so that it can be written and compared as it is. */
bool record_key_is_valid(struct slice key);

/* True if a client can have this epoch from us (or none): short, and written as it is. */
bool record_epoch_is_possible(struct slice epoch);

/* True if it can be the `info` or `chan_info` of a record or a member: a JSON object of at most
 * INFO_MAX bytes and INFO_DEPTH_MAX levels. Whatever becomes one is asked this, for who reads it
 * refuses all else, and what stands beside it. */
bool record_info_is_valid(struct slice info);

/* Appends both lines. */
void record_encode(struct buf *out, const struct record *r);

/* Appends a record that is not numbered yet, if record_next() will take it: then true. Else nothing
 * is appended. Whoever puts records of many people into one body does it with this. */
bool record_encode_checked(struct buf *out, const struct record *r) MUST_CHECK;

enum record_answer {
    RECORD_END = 1, /* nothing is left */
    RECORD_BAD = 2, /* not a record; `rest` is left as it was */
};

/* Takes the next record off `rest`; slices point into it. Unknown members are skipped.
 * `is_numbered`: offset and epoch must be there (else they must not). 0, RECORD_END or RECORD_BAD.
 */
int record_next(struct slice *rest, bool is_numbered, struct record *out) MUST_CHECK;

#endif
