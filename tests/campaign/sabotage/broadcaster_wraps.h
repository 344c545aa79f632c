/*
 * broadcaster_wraps.h: functions of the broadcaster that are sabotaged.
 *
 * The linker's --wrap=f sends calls from other files to __wrap_f(); what is shipped is __real_f().
 */
#ifndef WARREN_TESTS_CAMPAIGN_SABOTAGE_BROADCASTER_WRAPS_H
#define WARREN_TESTS_CAMPAIGN_SABOTAGE_BROADCASTER_WRAPS_H

#include "broadcaster/lane_marks.h"
#include "common/mq.h"

/* The shipped ones, and what is called in their place. */
int __real_mq_consume(struct mq *m, uint16_t channel, const struct mq_consume *c);
int __wrap_mq_consume(struct mq *m, uint16_t channel, const struct mq_consume *c);
int __real_mq_ack(struct mq *m, uint16_t channel, uint64_t tag, bool multiple);
int __wrap_mq_ack(struct mq *m, uint16_t channel, uint64_t tag, bool multiple);
struct lane_mark *__wrap_lane_marks_find(const struct lane_marks *l, struct slice boot);

#endif
