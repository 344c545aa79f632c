/*
 * mail.h: what gateways write to the owner's mailbox, and the answers.
 *
 * attach, join, leave and alive are numbered on the gateway's link; presence and
 * history are questions, answered at once from memory.
 */
#ifndef WARREN_BROADCASTER_MAIL_H
#define WARREN_BROADCASTER_MAIL_H

#include "common/base.h"

struct partition;
struct mq_event;
struct message;

/* Takes one message; what cannot be understood is counted. */
void mail_take(struct partition *p, const struct mq_event *e, int64_t now_ms);

/* answers.c: a question of a gateway; the answer goes straight back. */
void answers_presence(struct partition *p, const struct message *m, int64_t now_ms);
void answers_history(struct partition *p, const struct message *m, int64_t now_ms);

#endif
