/*
 * edge.h: what stands between the internet and a request: trusted balancers, crowds, certificates.
 */
#ifndef WARREN_GATEWAY_EDGE_EDGE_H
#define WARREN_GATEWAY_EDGE_EDGE_H

#include "gateway/gateway.h"

/* Makes g->trust, g->crowd, g->comers, g->tries and g->tls from the settings. 0, or -1 after one
 * error line; edge_stop() is legal then too. */
int edge_start(struct gateway *g) MUST_CHECK;
void edge_stop(struct gateway *g);

/* Reads the certificates again; nobody is dropped. 0; -1 after one error line: those that were read
 * before stay in use. */
int edge_reload(struct gateway *g) MUST_CHECK;

/* For --check-config: 0, or -1 after one line on standard error. */
int edge_check(const struct gateway_conf *conf) MUST_CHECK;

#endif
