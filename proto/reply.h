/*
 * reply.h: what a client of the Centrifuge protocol v2 (JSON) is told.
 *
 * Each function appends one document without a line break; the caller puts LF
 * between documents that share a WebSocket message.
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

/* {"id":N,"error":{...}} */
void reply_error(struct buf *out, uint32_t id, enum reply_error code);

/* {"error":{"code":..,"message":..}}: the same in the plain dialect. */
void reply_plain_error(struct buf *out, enum reply_error code);

/* {"id":N,"<method>":{}} */
void reply_empty(struct buf *out, uint32_t id, const char *method);

/* {"id":N,"rpc":{"data":{}}} */
void reply_rpc(struct buf *out, uint32_t id);

struct reply_connect {
    struct slice client, version;
    uint32_t ping_s;
    struct slice data; /* raw JSON or empty */
};
void reply_connect(struct buf *out, uint32_t id, const struct reply_connect *r);

struct reply_subscribe {
    bool recoverable; /* and positioned */
    struct slice epoch;
    uint64_t offset;
    bool was_recovering, recovered;
    struct slice
        publications; /* recovered: comma-separated publications, see reply_publication() */
};
void reply_subscribe(struct buf *out, uint32_t id, const struct reply_subscribe *r);

/* One publication object {"data":..,"info":{..},"offset":..,"time":..}. */
void reply_publication(struct buf *out, const struct record *r);

/* {"push":{"channel":"..","pub":{..}}} */
void reply_push_record(struct buf *out, const struct record *r);

/* {"push":{"channel":"..","unsubscribe":{"code":..,"reason":".."}}} */
void reply_push_unsubscribe(struct buf *out, struct slice room, uint32_t code, const char *reason);

/* {"id":N,"history":{"publications":[..],"epoch":"..","offset":N}} */
void reply_history(struct buf *out, uint32_t id, struct slice publications, struct slice epoch,
                   uint64_t offset);

/* {"id":N,"presence":{"presence":{..}}}; `members` as reply_member() wrote them, comma-separated.
 */
void reply_presence(struct buf *out, uint32_t id, struct slice members);
/* "<client>":{"user":"..","client":"..","conn_info":{..}} */
void reply_member(struct buf *out, struct slice client, struct slice user, struct slice info);
/* {"id":N,"presence_stats":{"num_clients":N,"num_users":N}} */
void reply_presence_stats(struct buf *out, uint32_t id, uint64_t clients, uint64_t users);

/* The plain dialect's payload: `payload` must be a valid JSON object; its top-level `username`
 * becomes `user` (inside of a JSON string) if that is not empty. Appends without line breaks. */
void plain_with_username(struct buf *out, struct slice payload, struct slice user);

#endif
