/*
 * relay.h: what gateways ask each other and report, passed on.
 *
 * A gateway may not write to PREFIX.gateways: it could forge deliveries. So it writes to an owner,
 * which passes on these two types of message and makes nothing else of them.
 */
#ifndef WARREN_BROADCASTER_RELAY_H
#define WARREN_BROADCASTER_RELAY_H

#include "common/base.h"

struct partition;
struct message;

/* True for MESSAGE_SURVEY, which goes to all gateways, and MESSAGE_REPORT, which goes to the one
 * that it names. */
bool relay_is_for(const struct message *m);

/* Passes such a message on as it is. */
void relay_take(struct partition *p, const struct message *m, int64_t now_ms);

#endif
