/*
 * listener.h: accepts connections, at most LISTENER_TURN_MAX a turn.
 *
 * When descriptors or places run out, accepting pauses for LISTENER_PAUSE_MS and says so once;
 * whoever waits in the backlog is served when there is room. When the gateway is full a connection
 * is accepted and refused with 503.
 */
#ifndef WARREN_GATEWAY_EDGE_LISTENER_H
#define WARREN_GATEWAY_EDGE_LISTENER_H

#include "common/base.h"

#define LISTENER_TURN_MAX 64
#define LISTENER_PAUSE_MS 200

struct gateway;
struct listener;

/* Listens on [gateway] listen. NULL after one error line. */
struct listener *listener_new(struct gateway *g) MUST_CHECK;
/* Stops accepting. Accepts NULL; returns NULL. */
struct listener *listener_free(struct listener *l);

#endif
