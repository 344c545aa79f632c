/*
 * centrifuge_internal.h: what the files of the Centrifuge dialect share.
 *
 * centrifuge.c            messages in, frames out, questions
 * centrifuge_connect.c    connect, refresh
 * centrifuge_subscribe.c  subscribe, sub_refresh, unsubscribe
 * centrifuge_publish.c    publish, rpc
 */
#ifndef WARREN_GATEWAY_DIALECT_CENTRIFUGE_INTERNAL_H
#define WARREN_GATEWAY_DIALECT_CENTRIFUGE_INTERNAL_H

#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/session/sessions_internal.h"
#include "proto/command.h"

#define CENTRIFUGE_VERSION SLICE_LIT("warren " WARREN_VERSION)

/* Each serves one command of an open session. `texts` is what the command was read with. */
void centrifuge_connect(struct session *s, const struct command *c, struct buf *texts);
void centrifuge_refresh(struct session *s, const struct command *c);
void centrifuge_subscribe(struct session *s, const struct command *c);
void centrifuge_sub_refresh(struct session *s, const struct command *c);
void centrifuge_leave(struct session *s, const struct command *c);
void centrifuge_publish(struct session *s, const struct command *c, bool is_rpc);
void centrifuge_rpc(struct session *s, const struct command *c, struct buf *texts);

/* {"id":N,"<method>":{}} */
void centrifuge_reply_done(struct session *s, uint32_t id, enum command_method method);

/* Seconds until then, at least 1. */
uint32_t centrifuge_ttl_s(int64_t expires_s);

#endif
