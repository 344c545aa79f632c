/*
 * The demo page: its files as bytes inside the program, written by demo/embed.py at build time.
 *
 * Everything here is constant and lives as long as the program. Paths are the ones to answer:
 * "/" is the page itself, the others begin with a slash and carry no query. The page needs
 * nothing else but GET /demo/token and the WebSocket at /connection/websocket, has neither
 * inline scripts nor inline styles, and works under
 * "default-src 'self'; connect-src 'self' ws: wss:".
 */
#ifndef WARREN_GATEWAY_EDGE_DEMO_H
#define WARREN_GATEWAY_EDGE_DEMO_H

#include <stddef.h>

struct demo_file {
    const char *path;
    const char *content_type;   /* value of the Content-Type header */
    const unsigned char *bytes; /* not terminated */
    size_t size;
};

extern const struct demo_file demo_files[];
extern const size_t demo_files_count;

#endif
