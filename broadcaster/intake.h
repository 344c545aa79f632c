/*
 * intake.h: what comes from warren.in.<p>: judged, numbered, put in line for the log.
 *
 * A batch is numbered as a whole or not at all, at once when it arrives and in
 * the order of arrival; but a record whose idempotency key is known is left out. A
 * batch of which nothing is left is put in line too: its append has no record of it
 * and names its lane, so that whoever takes over knows the batch, and it is acked
 * after the records that it repeats are in the log. A duplicate is acked when everything before it
 * is. What cannot be understood is dead-lettered at once.
 */
#ifndef WARREN_BROADCASTER_INTAKE_H
#define WARREN_BROADCASTER_INTAKE_H

#include "common/base.h"

#define INTAKE_BATCH_BYTES_MAX (4 << 20) /* a larger batch could not be read back from the log */

struct partition;
struct mq_event;
struct append;

/* Takes one delivery; answered by an ack or a dead letter, now or later. */
void intake_take(struct partition *p, const struct mq_event *e, int64_t now_ms);

/* An append is confirmed: its records are the rooms' newest ones; then the input is acked. */
void intake_on_confirm(struct partition *p, const struct append *a, int64_t now_ms);

#endif
