/*
 * extension.h: which WebSocket extension is spoken (RFC 6455 9.1, RFC 7692 5 and 7.1). Pure.
 *
 * permessage-deflate is the only one. A client may offer it several times, the
 * one it likes best first; the first offer that can be kept to the letter is
 * accepted, and the others are declined in silence. What is always asked for in
 * the answer:
 *
 *   server_no_context_takeover  a frame is compressed once and shared by all
 *   client_no_context_takeover  nothing is kept for a client between messages
 *
 * A server may ask for both without an offer of them (7.1.1.1, 7.1.1.2). No
 * offer can insist on a client's context: who cannot do without one has to fail
 * the connection when it reads the answer (5.1). The window of a client is left
 * to itself, for any window can be read here (7.1.2.2).
 */
#ifndef WARREN_GATEWAY_WS_EXTENSION_H
#define WARREN_GATEWAY_WS_EXTENSION_H

#include "common/base.h"
#include "common/buf.h"
#include "common/http.h"

#define EXTENSION_OFFERS_MAX 8 /* what stands behind them is not considered */

struct extension {
    uint8_t window;     /* bits of the window towards the client, 9 to 15; 0: nothing is spoken */
    bool limits_window; /* the client asked for that window, so the answer names it */
    bool has_more;      /* there were more than EXTENSION_OFFERS_MAX offers */
};

#define EXTENSION_NONE ((struct extension){0, false, false})

enum extension_answer {
    EXTENSION_MALFORMED = 1, /* not the grammar of RFC 6455 9.1: the handshake fails */
};

/* Chooses among all Sec-WebSocket-Extensions fields of a request. 0 or EXTENSION_MALFORMED. */
int extension_choose(const struct http_head *h, struct extension *chosen) MUST_CHECK;

/* Appends the answer's header line, without a line end; nothing when nothing is spoken. */
void extension_add_answer(struct buf *out, const struct extension *chosen);

#endif
