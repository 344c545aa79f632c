/*
 * orders.h: what an order does to the sessions of this gateway, at once.
 */
#ifndef WARREN_GATEWAY_ORDER_ORDERS_H
#define WARREN_GATEWAY_ORDER_ORDERS_H

#include "common/base.h"
#include "proto/order.h"

struct gateway;

/* True for orders that are done once and over; the others stand. */
bool order_is_momentary(enum order_kind kind);

/* Carries it out: sessions that are banned or meant end, or lose a room. */
void orders_apply(struct gateway *g, const struct order *o);

#endif
