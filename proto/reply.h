/*
 * reply.h: what clients are told, before it is encoded (codec.h); and the plain dialect's texts.
 */
#ifndef WARREN_PROTO_REPLY_H
#define WARREN_PROTO_REPLY_H

#include "common/base.h"
#include "common/buf.h"
#include "proto/record.h"

enum reply_error {
#define ERROR(name, code, temporary, text) REPLY_##name = code,
#include "proto/error.def"
};

/* What goes with a code. */
struct reply_error_text {
    const char *text;
    bool is_temporary;
    uint32_t retry_after_s; /* 0: not told */
};
struct reply_error_text reply_error_text(enum reply_error code);
/* Whether a number is such a code. */
bool reply_error_is_known(uint32_t code);

/* An error that a backend has chosen. */
struct reply_refusal {
    uint32_t code;
    struct slice text; /* UTF-8 without control characters */
    bool is_temporary;
    uint32_t retry_after_s; /* when it may be tried again, 0: not told; the Protobuf schema has
                             * no place for it */
};

struct reply_connect {
    struct slice client, version;
    uint32_t ping_s;
    bool expires;      /* the client has to refresh its token ... */
    uint32_t ttl_s;    /* ... in so many seconds */
    struct slice data; /* raw JSON or empty */
    struct slice subs; /* a list of the codec, or empty */
};

struct reply_subscribe {
    bool recoverable; /* and positioned */
    struct slice epoch;
    uint64_t offset;
    bool was_recovering, recovered;
    struct slice publications; /* recovered: a list of the codec, or empty */
    bool expires;              /* the client has to refresh it ... */
    uint32_t ttl_s;            /* ... in so many seconds */
    struct slice data;         /* raw JSON or empty */
};

/* Of a connection (with client and version), or of a subscription or by the server (without). */
struct reply_refresh {
    struct slice client, version;
    bool expires;
    uint32_t ttl_s;
};

struct reply_history {
    struct slice publications; /* a list of the codec, or empty */
    struct slice epoch;
    uint64_t offset;
};

struct reply_presence_stats {
    uint64_t clients, users;
};

struct reply_member {
    struct slice client, user;
    struct slice info;      /* conn_info: raw JSON or empty */
    struct slice chan_info; /* likewise */
};

/* Somebody came into a room or left it. */
struct reply_move {
    struct slice room;
    struct reply_member member;
    bool left;
};

/* {"error":{"code":..,"message":..}}: an error in the plain dialect. */
void reply_plain_error(struct buf *out, enum reply_error code);
void reply_plain_refusal(struct buf *out, const struct reply_refusal *r);

/* {"event":"join","user":"..","client":"..","info":{..}}: the same in the plain dialect. */
void reply_plain_move(struct buf *out, const struct reply_move *m);

/* {"event":"message","data":..} */
void reply_plain_message(struct buf *out, struct slice data);
/* Plain clients get a record's bare payload (a valid JSON value), unless it is an object with a
 * member `event` or `error` at the top, which could be taken for words of ours: true for such a
 * one. */
bool reply_plain_looks_ours(struct slice payload) MUST_CHECK;
/* {"event":"publication","data":..}: what they get of it, whoever published it. */
void reply_plain_publication(struct buf *out, struct slice payload);
/* {"event":"entered","room":".."} */
void reply_plain_entered(struct buf *out, struct slice room);

/* Whether SDKs come back after a close with this code. */
static inline bool reply_comes_back(uint32_t code)
{
    return !(code >= 3500 && code < 4000) && !(code >= 4500 && code < 5000);
}

/* The plain dialect's payload: `payload` must be a valid JSON object; its top-level `username`
 * becomes `user` (inside of a JSON string) if that is not empty. Appends without line breaks. */
void plain_with_username(struct buf *out, struct slice payload, struct slice user);

#endif
