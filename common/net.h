/*
 * net.h: addresses and sockets.
 */
#ifndef WARREN_COMMON_NET_H
#define WARREN_COMMON_NET_H

#include <sys/socket.h>

#include "common/base.h"

#define NET_BACKLOG 4096
#define NET_TEXT_MAX 64
#define NET_IP_SIZE 16 /* bytes */

struct net_addr {
    struct sockaddr_storage ss;
    socklen_t size;
};

/* "127.0.0.1:8080", "[::1]:8080", "*:8080", ":8080". Numeric only. 0 or -1. */
int net_parse(struct net_addr *a, const char *text) MUST_CHECK;

/* "10.0.0.1", "::1": an address without a port. 0 or -1. */
int net_parse_ip(struct net_addr *a, const char *text) MUST_CHECK;

/* The address as that of IPv6, an IPv4 one as ::ffff:a.b.c.d. False when it is neither. */
bool net_ip(const struct net_addr *a, uint8_t ip[NET_IP_SIZE]) MUST_CHECK;

/* Made of 4 or 16 bytes in the order of the network. */
void net_from_ip(struct net_addr *a, bool is_v6, const uint8_t *ip, uint16_t port);

/* A listening, non-blocking, close-on-exec socket (SO_REUSEADDR; SO_REUSEPORT if `shared`). fd or
 * -errno. */
int net_listen(const struct net_addr *a, bool shared) MUST_CHECK;

/* The kernel keeps connections of a listener to itself until something was said, for about `ms`. */
void net_defer_accept(int listener, int64_t ms);
/* A connection ends when what was sent stays without any sign of the peer for so long. */
void net_limit_silence(int fd, int64_t ms);

/* Closing resets the connection: what has not left is dropped, and the kernel waits for nobody. */
void net_close_resets(int fd);

/* A non-blocking, close-on-exec connection from `listener` with TCP_NODELAY; its peer in `peer`. fd
 * or -errno. */
int net_accept(int listener, struct net_addr *peer) MUST_CHECK;

/* "127.0.0.1:8080" into `text`, without the port if that is 0. Returns `text`. */
const char *net_text(const struct net_addr *a, char text[NET_TEXT_MAX]);

#endif
