/*
 * control_lines.h: orders that hold, as they stand in the control stream and as they are kept.
 * Pure.
 *
 * Summaries are written of what is kept: bans, mutes, closed rooms and removals (standing.h), and
 * revocations (revoked.h).
 */
#ifndef WARREN_GATEWAY_ORDER_CONTROL_LINES_H
#define WARREN_GATEWAY_ORDER_CONTROL_LINES_H

#include "common/base.h"
#include "gateway/edge/address.h"
#include "gateway/order/standing.h"
#include "gateway/token/revoked.h"
#include "proto/order.h"

/* What an order is as something that stands; an address is kept in its one spelling, in `text`.
 * False: it is nothing of the kind. */
bool standing_of(const struct order *o, struct standing_order *to,
                 char text[ADDRESS_MAX + 1]) MUST_CHECK;

/* The inverse, and the same of a revocation. Slices are borrowed. */
struct order order_of_standing(const struct standing_order *s);
struct order order_of_revocation(const struct revocation *v);

#endif
