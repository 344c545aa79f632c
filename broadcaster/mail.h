/*
 * mail.h: what gateways write to the owner's mailbox, and the answers.
 *
 * attach, join, leave and alive are numbered on the gateway's link; presence and
 * history are questions. All are answered at once from memory, or, when what is
 * asked for may be in the log, a little later. What gateways ask each other is passed on (relay.h).
 */
#ifndef WARREN_BROADCASTER_MAIL_H
#define WARREN_BROADCASTER_MAIL_H

#include "common/base.h"

#define ANSWER_BYTES_MAX                                                                           \
    (8 << 20) /* of an answer: history is cut behind it, members are not listed */
#define ANSWER_RECORDS_MAX 1000

struct partition;
struct mq_event;
struct message;

/* Takes one message; what cannot be understood is counted. */
void mail_take(struct partition *p, const struct mq_event *e, int64_t now_ms);

/* More of the log is in memory, or nothing more will be: what waits is looked at again. */
void mail_retake(struct partition *p, int64_t now_ms);

/* Answers what has waited for too long. */
void mail_tick(struct partition *p, int64_t now_ms);

/* answers.c: a question of a gateway; the answer goes straight back. */
void answers_presence(struct partition *p, const struct message *m, int64_t now_ms);
void answers_history(struct partition *p, const struct message *m, int64_t now_ms);
/* True if an answer would lack records that are being looked for in the log. */
bool answers_need_log(struct partition *p, const struct message *m, int64_t now_ms);

#endif
