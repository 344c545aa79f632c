/*
 * transport.h: the bytes between a client's socket and us: plain, or TLS when there is a tls_peer.
 *
 * A plain socket costs one comparison: what follows it is the system call itself.
 */
#ifndef WARREN_GATEWAY_EDGE_TRANSPORT_H
#define WARREN_GATEWAY_EDGE_TRANSPORT_H

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/outq.h"
#include "gateway/edge/tls.h"

/* A read has to offer at least so much room: a whole TLS record. What did not fit would wait inside
 * OpenSSL, where no poll sees it. */
#define TRANSPORT_READ_SIZE 16384

/* Reads once. Bytes; 0: the peer has ended its side; -EAGAIN: nothing now; another -errno: it is
 * gone. */
static inline ssize_t transport_read(int fd, struct tls_peer *tls, void *at, size_t size)
{
    if (tls != NULL) {
        return tls_read(tls, at, size);
    }
    ssize_t got = recv(fd, at, size, 0);
    return got >= 0 ? got : -errno;
}

/* As outq_flush(). */
static inline int transport_flush(int fd, struct tls_peer *tls, struct outq *q)
{
    return tls == NULL ? outq_flush(q, fd) : tls_flush(tls, q);
}

/* Nothing more comes from us: close-notify, and the end of TCP's half. 0 or -errno. */
static inline int transport_end(int fd, struct tls_peer *tls)
{
    if (tls != NULL) {
        tls_end(tls);
    }
    return shutdown(fd, SHUT_WR) == 0 ? 0 : -errno;
}

/* Ends both ways and frees the TLS part; without a word where nothing can be said any more. */
static inline void transport_close(int fd, struct tls_peer *tls)
{
    if (tls != NULL) {
        tls_end(tls);
        tls_peer_free(tls);
    }
    close(fd);
}

#endif
