/*
 * route.h: what a path asks for, and the parameters behind it. Pure.
 *
 * Paths are compared as they came, byte for byte: no decoding, no dots, no
 * double slashes.
 */
#ifndef WARREN_GATEWAY_EDGE_ROUTE_H
#define WARREN_GATEWAY_EDGE_ROUTE_H

#include "common/base.h"
#include "common/buf.h"
#include "gateway/conf.h"
#include "gateway/session/session.h"

struct demo_file;

enum route_kind {
    ROUTE_NOWHERE,
    ROUTE_WEBSOCKET,  /* `dialect` is set */
    ROUTE_PAGE,       /* `file` is set */
    ROUTE_DEMO_TOKEN, /* a token for the demo page */
};

struct route {
    enum route_kind kind;
    enum dialect dialect;
    const struct demo_file *file; /* borrowed: constant */
};

/* ROUTE_NOWHERE, too, for what the settings do not open. */
struct route route_find(const struct gateway_conf *conf, struct slice path);

enum param_answer {
    PARAM_ABSENT = 1,
    PARAM_MALFORMED = 2, /* a '%' without two hexadecimal digits */
};

/* Appends the first value of that name, percent-decoded, '+' being a space. 0, PARAM_ABSENT or
 * PARAM_MALFORMED. */
int route_param(struct slice query, const char *name, struct buf *out) MUST_CHECK;

/* True if a parameter of that name has exactly this value. */
bool route_param_is(struct slice query, const char *name, const char *value);

#endif
