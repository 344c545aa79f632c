/*
 * tls.h: TLS 1.2 and 1.3 for sockets that never block.
 *
 * ECDHE and AEAD ciphers only; no renegotiation, no compression, no early data; ALPN answers
 * http/1.1 (RFC 7301: who offers only others is refused). Session tickets are stateless. With
 * several pairs the first certificate that is for the name the client asks for (SNI, RFC 6066 3) is
 * shown, and the first one to everybody else. Where the kernel can encrypt (kTLS), what is sent
 * takes the way of a plain socket.
 *
 * A peer that is idle holds no record buffers. One that takes no more holds one record, besides
 * what its queue holds.
 */
#ifndef WARREN_GATEWAY_EDGE_TLS_H
#define WARREN_GATEWAY_EDGE_TLS_H

#include <sys/types.h>

#include "common/base.h"

#define TLS_PAIRS_MAX 16
#define TLS_ERROR_SIZE 512 /* bytes that hold any error of tls_new() */

struct outq;
struct tls;      /* certificates and keys */
struct tls_peer; /* one connection */

/* Reads the files; both are comma-separated lists of PEM files, a chain and its key. Certificates
 * that have expired are told in a warning. NULL with one line in `error`. */
struct tls *tls_new(const char *certs, const char *keys, char *error, size_t size) MUST_CHECK;
/* Accepts NULL; returns NULL. Peers live on without it. */
struct tls *tls_free(struct tls *t);

/* Reads the same files again. Peers keep what they have. 0, or -1 with one line in `error`: then
 * everything stays as it was. */
int tls_reload(struct tls *t, char *error, size_t size) MUST_CHECK;

/* The earliest end of a certificate, seconds since 1970. */
int64_t tls_expires_s(const struct tls *t);

enum tls_answer {
    TLS_DONE = 1,
    TLS_WANTS_READ = 2,
    TLS_WANTS_WRITE = 3,
};

/* The server's side on an accepted, non-blocking socket, which stays the caller's. NULL when
 * OpenSSL has no memory. */
struct tls_peer *tls_accept(struct tls *t, int fd) MUST_CHECK;
void tls_peer_free(struct tls_peer *p);

/* Goes on with the handshake. TLS_DONE, what it waits for, or -EPROTO; tls_error() says why. */
int tls_handshake(struct tls_peer *p) MUST_CHECK;

/* True when what we send is encrypted by the kernel. After TLS_DONE. */
bool tls_is_in_kernel(const struct tls_peer *p);

/* See transport.h. `size` is at least a whole record: 16384. Takes one record that needs an answer
 * of TLS itself (a new key, a wish to renegotiate) at most, and answers -EAGAIN behind it: what is
 * still in the socket shows at the next poll. */
ssize_t tls_read(struct tls_peer *p, void *at, size_t size) MUST_CHECK;
int tls_flush(struct tls_peer *p, struct outq *q) MUST_CHECK;

/* Sends close-notify if that can be said now; a second time does nothing. */
void tls_end(struct tls_peer *p);

/* Words for the log about the last failure of this thread: no bytes of the peer are in them. */
const char *tls_error(void);

#endif
