/*
 * codec.h: one table for each encoding of the Centrifuge protocol v2.
 *
 * Who serves commands and who tells replies sees only this: a WebSocket message
 * in, decoded commands out (command.h); what is to be told in (reply.h), bytes
 * of a WebSocket message out. The encodings are codec_json and codec_protobuf.
 *
 * A writer appends one document to a message, framed as the encoding wants it
 * (JSON: LF between documents), so that several of them make one message. Lists
 * (publications of a subscribe or history reply, members of a presence reply)
 * are put together first, one element at a time, in a buffer of their own that
 * begins empty; what stands in it is the codec's business.
 *
 * A new reply or push is: its struct in reply.h, a writer here, and a row in
 * the table of every codec (tests/unit/test_codec.c misses the forgotten one).
 *
 * Texts: `user` is the inside of a JSON string, as records hold it; all other
 * texts are plain. Raw JSON values have no line breaks.
 */
#ifndef WARREN_PROTO_CODEC_H
#define WARREN_PROTO_CODEC_H

#include "common/base.h"
#include "common/buf.h"
#include "proto/command.h"
#include "proto/record.h"
#include "proto/reply.h"

enum codec_id { CODEC_JSON, CODEC_PROTOBUF, CODEC_COUNT };

struct codec {
    enum codec_id id;
    bool is_binary;    /* its WebSocket messages are binary ones, else text */
    struct slice ping; /* a whole message */

    /* The next command of a message; promises as command_next() in command.h. */
    int (*next)(struct slice *rest, struct buf *texts, struct command *out);

    /* The next member of `subs` of a connect command; `texts` is what next() was given and keeps
     * what it holds. 0, COMMAND_END or COMMAND_BAD. */
    int (*next_sub)(struct slice *subs, struct buf *texts, struct command_sub *out);

    /* Replies: to the command of that id. */
    void (*error)(struct buf *out, uint32_t id, enum reply_error code);
    void (*refusal)(struct buf *out, uint32_t id, const struct reply_refusal *r);
    void (*empty)(struct buf *out, uint32_t id, enum command_method method);
    void (*connect)(struct buf *out, uint32_t id, const struct reply_connect *r);
    void (*subscribe)(struct buf *out, uint32_t id, const struct reply_subscribe *r);
    void (*history)(struct buf *out, uint32_t id, const struct reply_history *r);
    void (*presence)(struct buf *out, uint32_t id, struct slice members);
    void (*presence_stats)(struct buf *out, uint32_t id, const struct reply_presence_stats *r);
    void (*rpc)(struct buf *out, uint32_t id, struct slice data);
    void (*refresh)(struct buf *out, uint32_t id, const struct reply_refresh *r);
    void (*sub_refresh)(struct buf *out, uint32_t id, const struct reply_refresh *r);

    /* Pushes. */
    void (*push_record)(struct buf *out, const struct record *r);
    void (*push_unsubscribe)(struct buf *out, struct slice room, uint32_t code, const char *reason);
    void (*push_disconnect)(struct buf *out, uint32_t code, const char *reason);
    void (*push_move)(struct buf *out, const struct reply_move *m);
    void (*push_subscribe)(struct buf *out, struct slice room, const struct reply_subscribe *r);
    void (*push_message)(struct buf *out, struct slice data);
    void (*push_refresh)(struct buf *out, const struct reply_refresh *r);

    /* Elements of lists. */
    void (*sub)(struct buf *list, struct slice room, const struct reply_subscribe *r);
    void (*publication)(struct buf *list, const struct record *r);
    void (*member)(struct buf *list, const struct reply_member *m);
};

extern const struct codec codec_json;
extern const struct codec codec_protobuf;

#endif
