/*
 * upgrade.h: the opening handshake (RFC 6455 section 4), as a verdict on a request head. Pure.
 */
#ifndef WARREN_GATEWAY_EDGE_UPGRADE_H
#define WARREN_GATEWAY_EDGE_UPGRADE_H

#include "common/base.h"
#include "common/buf.h"
#include "common/http.h"
#include "gateway/ws/extension.h"

/* 101, or the status to refuse with (400, 405, 426); `*why` gets the words for the body, `*extra`
 * header lines (may be ""). */
int upgrade_check(const struct http_head *h, const char **why, const char **extra) MUST_CHECK;

/* Appends the 101 answer for a checked head. `subprotocol` is "" or the one to select. */
void upgrade_accept(struct buf *out, const struct http_head *h, const char *subprotocol,
                    const struct extension *extension);

#endif
