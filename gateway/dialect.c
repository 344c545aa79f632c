/*
 * dialect.c: chooses between the dialects; their words are in centrifuge.c and plain.c.
 */
#include "gateway/dialect.h"

static const struct codec *const codecs[DIALECT_COUNT] = {
    [DIALECT_CENTRIFUGE] = &codec_json,
    [DIALECT_PROTOBUF] = &codec_protobuf,
};

const struct codec *dialect_codec(enum dialect dialect)
{
    return codecs[dialect];
}

void dialect_published(struct session *s, uint32_t id, enum published how)
{
    if (how == NOT_PUBLISHED) {
        session_send_error(s, id, REPLY_INTERNAL);
    } else if (session_codec(s) == NULL) {
        return; /* plain: the record itself is the answer */
    } else if (how == PUBLISHED_BY_RPC) {
        centrifuge_published_by_rpc(s, id);
    } else {
        centrifuge_published(s, id);
    }
}

void dialect_subscribed(struct subscription *sub, uint64_t offset, bool recovered,
                        struct slice publications)
{
    if (session_codec(sub->session) != NULL) {
        centrifuge_subscribed(sub, offset, recovered, publications);
    }
}

void dialect_not_subscribed(struct subscription *sub, enum reply_error why)
{
    struct session *s = sub->session; /* which may end here, and the subscription with it */
    bool is_plain = s->dialect == DIALECT_PLAIN;

    session_send_error(s, sub->joining->command_id, why);
    if (is_plain) {
        session_close(s, CLOSE_INTERNAL); /* it has no other room: it comes back */
    }
}

void dialect_lost(struct subscription *sub)
{
    if (session_codec(sub->session) != NULL) {
        centrifuge_lost(sub);
    } else {
        session_close(sub->session, CLOSE_INSUFFICIENT_STATE);
    }
}

struct blob *dialect_frame(enum dialect dialect, const struct record *const *run, size_t count)
{
    const struct codec *codec = dialect_codec(dialect);

    assert(count > 0);
    return codec != NULL ? centrifuge_frame(codec, run, count) : plain_frame(run, count);
}

struct blob *dialect_moves_frame(enum dialect dialect, const struct reply_move *run, size_t count)
{
    const struct codec *codec = dialect_codec(dialect);

    assert(count > 0);
    return codec != NULL ? centrifuge_moves_frame(codec, run, count)
                         : plain_moves_frame(run, count);
}
