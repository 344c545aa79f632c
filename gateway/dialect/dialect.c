/*
 * dialect.c: chooses between the dialects; their words are in centrifuge.c and plain.c.
 */
#include "gateway/dialect/dialect.h"

#include "gateway/gateway.h"
#include "proto/json.h"
#include "proto/room.h"

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
    } else {
        struct session *s = sub->session; /* which may end here */

        plain_entered(sub);
        session_release(s);
    }
}

void dialect_not_subscribed(struct subscription *sub, enum reply_error why)
{
    struct session *s = sub->session; /* which may end here, and the subscription with it */

    if (session_codec(s) != NULL) {
        centrifuge_not_subscribed(sub, why);
    } else {
        session_send_error(s, 0, why);
        session_close(s, CLOSE_INTERNAL); /* it has no other room: it comes back */
    }
}

void dialect_unsubscribe(struct subscription *sub, uint32_t code, const char *reason)
{
    struct session *s = sub->session;

    if (session_codec(s) != NULL) {
        centrifuge_unsubscribe(sub, code, reason);
    } else {
        session_close(s, code >= UNSUBSCRIBE_INSUFFICIENT ? CLOSE_INSUFFICIENT_STATE
                                                          : CLOSE_FORCE_DISCONNECT);
    }
}

const char *unsubscribe_words(uint32_t code)
{
    switch (code) {
    case UNSUBSCRIBE_INSUFFICIENT:
        return "insufficient state";
    case UNSUBSCRIBE_EXPIRED:
        return "subscription expired";
    case UNSUBSCRIBE_INVALIDATED:
        return "state invalidated";
    default:
        return "server unsubscribe";
    }
}

void subscription_end(struct subscription *sub, uint32_t code, const char *reason)
{
    struct session *s = sub->session;

    if (sub->joining == NULL || session_codec(s) == NULL) {
        dialect_unsubscribe(sub, code, reason);
    } else if (sub->cause == ROOMS_BY_COMMAND) {
        session_send_error(s, sub->joining->command_id, REPLY_PERMISSION_DENIED);
        if (s->state == SESSION_OPEN) {
            rooms_leave(sub);
        }
    } else if (sub->cause == ROOMS_BY_SERVER) {
        rooms_leave(sub);
    } else {
        session_close(s, CLOSE_FORCE_RECONNECT); /* its connect command waits for this room */
    }
}

void dialect_lost(struct subscription *sub)
{
    /* Only what a client has subscribed to will it subscribe to again. */
    if (session_codec(sub->session) != NULL && sub->cause == ROOMS_BY_COMMAND) {
        centrifuge_unsubscribe(sub, UNSUBSCRIBE_INSUFFICIENT,
                               unsubscribe_words(UNSUBSCRIBE_INSUFFICIENT));
    } else {
        session_close(sub->session, CLOSE_INSUFFICIENT_STATE);
    }
}

bool dialect_room_is_good(struct session *s, struct slice room)
{
    if (room.size > ROOM_NAME_MAX) {
        limit_met(&s->gateway->metrics.limits, LIMIT_ROOM_NAME);
    }
    return room_is_valid(room);
}

bool dialect_data_is_good(struct session *s, struct slice data)
{
    int fault = json_check(data, (int)s->gateway->conf->max_depth);

    if (fault == JSON_TOO_DEEP) {
        limit_met(&s->gateway->metrics.limits, LIMIT_MAX_DEPTH);
    }
    return fault == 0;
}

bool dialect_key_is_good(struct session *s, struct slice key)
{
    if (key.size > KEY_MAX) {
        limit_met(&s->gateway->metrics.limits, LIMIT_KEY);
    }
    return record_key_is_valid(key);
}

bool dialect_data_fits(struct session *s, struct slice data)
{
    bool fits = data.size <= (size_t)s->gateway->conf->max_payload;

    if (!fits) {
        limit_met(&s->gateway->metrics.limits, LIMIT_MAX_PAYLOAD);
    }
    return fits;
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
