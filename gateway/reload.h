/*
 * reload.h: SIGHUP: other settings while everything runs.
 *
 * The new ones are read and checked whole, with all files that they name. If
 * anything is wrong with them, one line says what, and the old ones stay. Certificates are read
 * again from the files that the gateway began with.
 */
#ifndef WARREN_GATEWAY_RELOAD_H
#define WARREN_GATEWAY_RELOAD_H

#include "gateway/conf.h"
#include "gateway/gateway.h"

/* Reads `path` (may be NULL) and the environment anew into `conf`, which is the one that the
 * gateway borrowed. Keys and origins count from now on for those who come; rooms get their new
 * rules, and sessions that lost the right to subscribe lose the subscription. Settings that differ
 * and cannot change without a restart are named in a warning. 0, or -1: nothing has changed. */
int gateway_reload(struct gateway *g, struct gateway_conf *conf, const char *path);

#endif
