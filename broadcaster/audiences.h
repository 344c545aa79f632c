/*
 * audiences.h: decides who may see a record, by the rules of its room.
 *
 * The first that applies decides: the sender is muted or hidden; the room is
 * for some roles; the payload names somebody. Besides, there may be no echo.
 * Whoever it is for, the sender sees it too: by name, so that all of a user's
 * sessions do and history shows it again, or by client when there is no name.
 */
#ifndef WARREN_BROADCASTER_AUDIENCES_H
#define WARREN_BROADCASTER_AUDIENCES_H

#include "common/base.h"
#include "common/buf.h"
#include "proto/audience.h"
#include "proto/record.h"
#include "proto/rules.h"

/* Takes what only we may know of the sender off the record and gives it its audience, which stands
 * in `text` (emptied). Who decided it, or AUDIENCE_RULES: everybody sees it. */
enum audience_rule audiences_decide(const struct rule *rule, struct record *r, struct buf *text);

#endif
