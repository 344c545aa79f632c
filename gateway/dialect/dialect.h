/*
 * dialect.h: what the messages of a session mean, by its dialect.
 *
 * centrifuge: Centrifuge client protocol v2, in the codec of the session. plain: each text message
 * is a JSON object that is published to the session's one room.
 */
#ifndef WARREN_GATEWAY_DIALECT_DIALECT_H
#define WARREN_GATEWAY_DIALECT_DIALECT_H

#include "common/base.h"
#include "gateway/hook/hook.h"
#include "gateway/room/rooms.h"
#include "gateway/session/session.h"
#include "proto/codec.h"

/* The codec of a dialect; NULL for those that are not Centrifuge's. */
const struct codec *dialect_codec(enum dialect dialect);

/* A whole message, of the kind that the session's codec wants, of an open session. */
void centrifuge_on_message(struct session *s, struct slice message);
/* A whole text message, valid UTF-8, of an open session. */
void plain_on_text(struct session *s, struct slice text);

/* The backend lets a command happen that it was asked about (asking.h). */
void centrifuge_admitted(struct session *s, const struct command *c, struct buf *texts,
                         const struct hook_answer *a);
void centrifuge_let_in(struct session *s, const struct command *c, const struct hook_answer *a);
void centrifuge_let_publish(struct session *s, const struct command *c, struct buf *texts,
                            const struct hook_answer *a);
void plain_admitted(struct session *s, struct slice room, const struct hook_answer *a);
void plain_let_in(struct session *s, struct slice room, const struct hook_answer *a);
void plain_let_publish(struct session *s, struct slice text, const struct hook_answer *a);

/* The plain session's first act: it enters its room. */
void plain_open(struct session *s, struct slice room);
/* It is in. */
void plain_entered(const struct subscription *sub);

/* What the functions below do for sessions of one dialect. */
void centrifuge_published(struct session *s, uint32_t id);
void centrifuge_published_by_rpc(struct session *s, uint32_t id);
void centrifuge_subscribed(struct subscription *sub, uint64_t offset, bool recovered,
                           struct slice publications);
void centrifuge_not_subscribed(struct subscription *sub, enum reply_error why);
void centrifuge_unsubscribe(struct subscription *sub, uint32_t code, const char *reason);
/* The server has said when the session ends: a client that refreshes is told by a push. (SDKs of
 * today pass over it, and refresh when they would have: with a good token nothing is lost.) */
void centrifuge_refreshed_by_server(struct session *s);
/* The rooms that a connect command waited for are there, or the session is refused. */
void centrifuge_connect_done(struct session *s);
struct blob *centrifuge_frame(const struct codec *codec, const struct record *const *run,
                              size_t count) MUST_CHECK;
struct blob *centrifuge_moves_frame(const struct codec *codec, const struct reply_move *run,
                                    size_t count) MUST_CHECK;
struct blob *plain_frame(const struct record *const *run, size_t count) MUST_CHECK;
struct blob *plain_moves_frame(const struct reply_move *run, size_t count) MUST_CHECK;

enum published {
    PUBLISHED,        /* confirmed */
    PUBLISHED_BY_RPC, /* likewise: the command was an rpc */
    NOT_PUBLISHED,    /* refused with a temporary error */
};

/* How a publish of this session went. */
void dialect_published(struct session *s, uint32_t id, enum published how);

/* A subscription got its position (and what was missed): tell the client. `publications`: a list of
 * the session's codec. */
void dialect_subscribed(struct subscription *sub, uint64_t offset, bool recovered,
                        struct slice publications);

/* A subscription could not be made. The caller removes it afterwards, if the session is still
 * open. */
void dialect_not_subscribed(struct subscription *sub, enum reply_error why);

/* Codes of unsubscribe pushes; from 2500 on the client subscribes again. */
#define UNSUBSCRIBE_SERVER 2000
#define UNSUBSCRIBE_INSUFFICIENT 2500
#define UNSUBSCRIBE_EXPIRED 2501
#define UNSUBSCRIBE_INVALIDATED 2502

/* The protocol's words for the code; for one that it does not know, those of UNSUBSCRIBE_SERVER. */
const char *unsubscribe_words(uint32_t code);

/* Takes an answered subscription away: the client is told by a push, a plain session is ended. The
 * subscription is gone when this returns. */
void dialect_unsubscribe(struct subscription *sub, uint32_t code, const char *reason);

/* The same, but it need not be answered yet: then the answer is error 103, and nobody is told of
 * what the server was about to do. The session may be closed when this returns. */
void subscription_end(struct subscription *sub, uint32_t code, const char *reason);

/* Records that the room's position lost: the client has to begin anew. The subscription is gone
 * when this returns. */
void dialect_lost(struct subscription *sub);

/* What a client names or says, against the limits, which count it. */
bool dialect_room_is_good(struct session *s, struct slice room) MUST_CHECK;
bool dialect_data_is_good(struct session *s, struct slice data) MUST_CHECK;
bool dialect_key_is_good(struct session *s, struct slice key) MUST_CHECK;
bool dialect_data_fits(struct session *s, struct slice data) MUST_CHECK;

/* Builds the one frame (or frames) for all sessions of a dialect. */
struct blob *dialect_frame(enum dialect dialect, const struct record *const *run,
                           size_t count) MUST_CHECK;
/* The same for who came and went. */
struct blob *dialect_moves_frame(enum dialect dialect, const struct reply_move *run,
                                 size_t count) MUST_CHECK;

#endif
