/*
 * sends.h: messages to the control stream, until it has them and all gateways have obeyed.
 *
 * A message goes again until RabbitMQ has confirmed it, or for publish_wait_ms.
 * Whoever gave an order is told when every gateway that lives has obeyed it: this one
 * reads it back, and then asks all how far they have obeyed the stream. There is
 * one such question at a time: orders that are read while it is open wait together
 * for the next one. So an order waits for [api] gather twice at most, and a
 * thousand of them cost two questions. It stands, whoever does not answer.
 */
#ifndef WARREN_GATEWAY_ORDER_SENDS_H
#define WARREN_GATEWAY_ORDER_SENDS_H

#include "common/base.h"
#include "gateway/bus/lanes.h"
#include "gateway/order/control.h"

struct sends;

/* Freed with sends_free(), which accepts NULL and returns NULL; nobody is told any more. */
struct sends *sends_new(struct gateway *g) MUST_CHECK;
/* See above. */
struct sends *sends_free(struct sends *all);

/* See control_set_teller(). */
void sends_set_teller(struct sends *all, control_told *told, void *user);

/* Sends orders; `checkpoint` not below 0: a summary, true up to there. `call`: 0, or who is told.
 * The number of the message, above all earlier ones, or 0: the bus is full. */
uint64_t sends_add(struct sends *all, struct slice lines, int64_t checkpoint, uint64_t call);

/* Goes again however late it is: there is one such message. */
void sends_insist(struct sends *all, uint64_t request);

/* A message comes back from the bus: takes it over. */
void sends_on_result(struct sends *all, struct bus_out *out, enum bus_result result);

/* A message of ours was read at that offset of the stream, and obeyed. */
void sends_on_read(struct sends *all, uint64_t request, int64_t at);

/* Every GATEWAY_TICK_MS. */
void sends_tick(struct sends *all);

#endif
