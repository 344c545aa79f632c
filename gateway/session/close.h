/*
 * close.h: why sessions end: the table of close.def as an enum and three look-ups.
 */
#ifndef WARREN_GATEWAY_SESSION_CLOSE_H
#define WARREN_GATEWAY_SESSION_CLOSE_H

#include "common/base.h"

enum close_reason {
#define CLOSE(name, code, label, text) CLOSE_##name,
#include "gateway/session/close.def"
    CLOSE_REASON_COUNT
};

/* The WebSocket close code, the text for the peer, the label of the metric. */
uint16_t close_code(enum close_reason reason);
const char *close_text(enum close_reason reason);
const char *close_label(enum close_reason reason);

/* The words of the protocol for one of its codes; NULL for any other. */
const char *close_words(uint16_t code);

#endif
