/*
 * order.h: what concerns all gateways, as one line of JSON.
 *
 *     {"do":"ban","user":"ann","until":1790000000123}
 *     {"do":"delete","room":"lobby","epoch":"k3x9a","offset":42}
 *     {"do":"disconnect","user":"ann","client":"6f..","code":3503,"reason":"force disconnect"}
 *
 * The bodies of control messages are such lines. Some orders are done once and
 * over (disconnect, subscribe, unsubscribe, refresh), the others stand until
 * `until` or until they are lifted. Which members an order needs is in order.def;
 * besides, a ban names a user or an address, and nobody is meant by an
 * order that names neither user nor client where one is needed.
 * Schema: proto/schema/order.json.
 */
#ifndef WARREN_PROTO_ORDER_H
#define WARREN_PROTO_ORDER_H

#include "common/base.h"
#include "common/buf.h"
#include "proto/limits.h"

#define ADDRESS_MAX 49         /* bytes of a numeric address, or of a prefix */
#define TOKEN_ID_MAX 128       /* bytes of a token's id (jti), decoded */
#define REASON_MAX 123         /* bytes of a close frame's reason */
#define ORDER_CLIENTS_MAX 8192 /* bytes of a list of clients */

enum order_kind {
#define ORDER(name, text, has) ORDER_##name,
#include "proto/order.def"
    ORDER_KINDS
};

enum order_has {
    ORDER_HAS_USER = 1 << 0,
    ORDER_HAS_ROOM = 1 << 1,
    ORDER_HAS_POSITION = 1 << 2, /* epoch and offset */
};

struct order {
    enum order_kind kind;
    struct slice user;      /* inside of a JSON string, escapes kept; may be empty */
    struct slice client;    /* one session; may be empty */
    struct slice room;      /* may be empty */
    struct slice epoch;     /* of `offset`; may be empty */
    uint64_t offset;        /* of a record, or of the last one of many; 0: none */
    struct slice address;   /* numeric, or a prefix (10.0.0.0/8); may be empty */
    struct slice token;     /* a token's id, as `user`; may be empty */
    struct slice reason;    /* as `user`; may be empty */
    struct slice data;      /* raw JSON value; may be empty */
    struct slice info;      /* raw JSON object; may be empty */
    uint64_t code;          /* 0: the usual one */
    int64_t until;          /* milliseconds since 1970; 0: for ever */
    int64_t before;         /* revoke: tokens that were made before, seconds since 1970; 0: all */
    bool expired;           /* refresh: the sessions' time is over */
    bool join_leave;        /* subscribe: they are told who comes and goes */
    struct slice whitelist; /* disconnect: raw JSON array of clients that stay; may be empty */
};

/* Appends one line, LF included. Texts must be what order_next() accepts. */
void order_encode(struct buf *out, const struct order *o);

enum order_answer {
    ORDER_END = 1, /* nothing is left */
    ORDER_BAD = 2, /* not an order, or one of another time; `rest` is left as it was */
};

/* Takes the next line off `rest`; slices point into it. Unknown members are passed over. 0,
 * ORDER_END or ORDER_BAD. */
int order_next(struct slice *rest, struct order *out) MUST_CHECK;

/* The name on the wire. */
const char *order_name(enum order_kind kind);

#endif
