/*
 * net.h: addresses and sockets.
 */
#ifndef WARREN_COMMON_NET_H
#define WARREN_COMMON_NET_H

#include <sys/socket.h>

#include "common/base.h"

#define NET_BACKLOG 4096
#define NET_TEXT_MAX 64

struct net_addr {
    struct sockaddr_storage ss;
    socklen_t size;
};

/* "127.0.0.1:8080", "[::1]:8080", "*:8080", ":8080". Numeric only. 0 or -1. */
int net_parse(struct net_addr *a, const char *text) MUST_CHECK;

/* A listening, non-blocking, close-on-exec socket (SO_REUSEADDR; SO_REUSEPORT if `shared`). fd or
 * -errno. */
int net_listen(const struct net_addr *a, bool shared) MUST_CHECK;

/* A non-blocking, close-on-exec connection from `listener` with TCP_NODELAY; its peer in `peer`. fd
 * or -errno. */
int net_accept(int listener, struct net_addr *peer) MUST_CHECK;

/* "127.0.0.1:8080" into `text`. Returns `text`. */
const char *net_text(const struct net_addr *a, char text[NET_TEXT_MAX]);

#endif
