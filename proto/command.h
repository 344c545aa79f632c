/*
 * command.h: what a client of the Centrifuge protocol v2 sends.
 *
 * A WebSocket message holds one or more commands. A command is decoded into
 * plain fields, the same ones for every codec (codec.h); raw JSON values (data)
 * stay slices of the input, texts are unescaped into a buffer that the caller
 * lends. What is declared here reads JSON, one command a line.
 */
#ifndef WARREN_PROTO_COMMAND_H
#define WARREN_PROTO_COMMAND_H

#include "common/base.h"
#include "common/buf.h"
#include "proto/limits.h"

#define COMMAND_MEMBERS_MAX 32 /* of one object of a command in JSON; more: COMMAND_BAD */

enum command_method {
    COMMAND_PONG, /* {} */
#define METHOD(name, text, command_number, reply_number) COMMAND_##name,
#include "proto/method.def"
    COMMAND_UNKNOWN, /* one member besides id, of a name we don't know */
};

struct command {
    enum command_method method;
    uint32_t id;          /* 0: none */
    struct slice raw;     /* all of it, as it came, if whoever reads it says so */
    struct slice channel; /* unescaped; empty when absent */
    struct slice token;   /* unescaped */
    struct slice name;    /* connect: of the client library; rpc: the method */
    struct slice version; /* connect: of the client library */
    struct slice subs;    /* connect: for the codec's next_sub(), empty when absent */
    struct slice delta;   /* subscribe: the kind of delta that is asked for */
    struct slice data;    /* raw JSON, empty when absent */
    struct slice key;     /* publish: idempotency_key; unescaped, not checked */
    struct slice epoch;   /* subscribe, and since.epoch of history; unescaped */
    uint64_t offset;      /* likewise */
    bool has_since;       /* history */
    bool recover, positioned, recoverable, join_leave;
    bool reverse;
    int64_t limit;
    uint32_t flag;
    uint32_t type;         /* subscribe: above 0 are kinds that we do not serve */
    bool has_filter;       /* subscribe: tf */
    bool is_deep, is_wide; /* in JSON: above JSON_DEPTH_MAX, above COMMAND_MEMBERS_MAX */
};

enum command_answer {
    COMMAND_END = 1,       /* nothing is left */
    COMMAND_MALFORMED = 2, /* not JSON, not an object, no method, two methods, bad id: close 3501 */
    COMMAND_BAD =
        3, /* readable id, but a member of the wrong kind, duplicate keys, too deep: reply 107 */
};

/* Takes the next command off `rest` (blank lines are skipped). `texts` is cleared and holds the
 * unescaped texts until the next call. 0, COMMAND_END, COMMAND_MALFORMED or COMMAND_BAD (out->id
 * and out->method are set). */
int command_next(struct slice *rest, struct buf *texts, struct command *out) MUST_CHECK;

/* Where a client says it was in a room that the server put it into. */
struct command_sub {
    struct slice channel, epoch; /* unescaped */
    uint64_t offset;
    bool recover;
};

/* Takes the next one off `subs`. `texts` is what command_next() was given and keeps what it holds.
 * 0, COMMAND_END or COMMAND_BAD. */
int command_next_sub(struct slice *subs, struct buf *texts, struct command_sub *out) MUST_CHECK;

/* The publish that the data of an rpc stands for: an object with the members of that command, read
 * into `out` under the id of the rpc. `texts` is what command_next() was given and keeps what it
 * holds. 0 or COMMAND_BAD. */
int command_publish_of(const struct command *rpc, struct buf *texts,
                       struct command *out) MUST_CHECK;

#endif
