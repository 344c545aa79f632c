/*
 * tls.c: see tls.h: one connection. What it is shown is tls_pairs.c's.
 *
 * OpenSSL wants a write that it could not finish to be repeated with the same bytes. So a record's
 * bytes leave the queue before they are encrypted, into a buffer that all peers of the thread
 * share; if the socket takes no more, the buffer becomes that peer's until the record has left.
 */
#include "gateway/edge/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/mem.h"
#include "common/outq.h"
#include "gateway/edge/tls_internal.h"

#define RECORD_MAX 16384

struct tls_peer {
    SSL *ssl;      /* owns */
    char *held;    /* owns; the bytes of a record that has not left; NULL: none */
    uint32_t owed; /* how many */
    bool is_done;  /* the handshake is */
    bool has_failed, has_ended, is_in_kernel;
};

static char *spare; /* owns: a record's bytes on their way to OpenSSL; the loop's thread only */

struct tls_peer *tls_accept(struct tls *t, int fd)
{
    SSL *ssl = SSL_new(tls_default_context(t));

    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    struct tls_peer *p = mem_new(struct tls_peer);
    SSL_set_accept_state(ssl);
    p->ssl = ssl;
    return p;
}

void tls_peer_free(struct tls_peer *p)
{
    SSL_free(p->ssl);
    mem_free(p->held);
    mem_free(p);
    ERR_clear_error();
}

/* What a call of OpenSSL that did not succeed means. */
static int failure(struct tls_peer *p, int result)
{
    switch (SSL_get_error(p->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        p->has_failed = true;
        return errno == ETIMEDOUT ? -ETIMEDOUT : -EPROTO; /* tcp_timeout is counted by it */
    default:
        p->has_failed = true; /* nothing may be sent any more, close-notify neither */
        return -EPROTO;
    }
}

int tls_handshake(struct tls_peer *p)
{
    assert(!p->is_done);
    ERR_clear_error();
    int r = SSL_accept(p->ssl);
    if (r == 1) {
        p->is_done = true;
        p->is_in_kernel = BIO_get_ktls_send(SSL_get_wbio(p->ssl)) > 0;
        return TLS_DONE;
    }
    r = failure(p, r);
    return r == 0 ? -EPROTO : r;
}

bool tls_is_in_kernel(const struct tls_peer *p)
{
    return p->is_in_kernel;
}

ssize_t tls_read(struct tls_peer *p, void *at, size_t size)
{
    assert(p->is_done && size >= RECORD_MAX);
    if (p->has_failed) {
        return -EPROTO;
    }
    ERR_clear_error();
    int got = SSL_read(p->ssl, at, (int)MIN(size, (size_t)INT32_MAX));
    if (got > 0) {
        return got;
    }
    int r = failure(p, got);
    return r == TLS_WANTS_READ ? -EAGAIN : r <= 0 ? r : -EPROTO;
}

/* Encrypts and sends the bytes of one record. 0: it has left, or is in the socket. */
static int send_record(struct tls_peer *p)
{
    char *bytes = p->held != NULL ? p->held : spare;

    ERR_clear_error();
    int sent = SSL_write(p->ssl, bytes, (int)p->owed);
    if (sent > 0) {
        assert((uint32_t)sent == p->owed); /* without SSL_MODE_ENABLE_PARTIAL_WRITE: all of it */
        p->owed = 0;
        mem_free(p->held);
        p->held = NULL;
        return 0;
    }
    if (failure(p, sent) != TLS_WANTS_WRITE) {
        p->has_failed = true;
        return -EPROTO;
    }
    if (p->held == NULL) {
        p->held = spare;
        spare = NULL;
    }
    return OUTQ_BLOCKED;
}

int tls_flush(struct tls_peer *p, struct outq *q)
{
    size_t share = OUTQ_TURN_BYTES;

    assert(p->is_done);
    if (p->has_failed || p->has_ended) {
        return -EPIPE;
    }
    if (p->is_in_kernel) {
        return outq_flush(q, SSL_get_wfd(p->ssl));
    }
    for (;;) {
        if (p->owed == 0 && q->count == 0) {
            return OUTQ_DRAINED;
        }
        if (p->owed == 0 && share == 0) {
            return OUTQ_BLOCKED;
        }
        if (p->owed == 0) {
            if (spare == NULL) {
                spare = mem_alloc(RECORD_MAX);
            }
            p->owed = (uint32_t)outq_move(q, spare, MIN(share, RECORD_MAX));
            share -= p->owed;
        }
        int r = send_record(p);
        if (r != 0) {
            return r;
        }
    }
}

void tls_end(struct tls_peer *p)
{
    if (p->is_done && !p->has_failed && !p->has_ended && p->owed == 0) {
        ERR_clear_error();
        int r = SSL_shutdown(p->ssl);
        (void)r; /* nobody waits for it, and who does not get it sees the end of TCP */
    }
    p->has_ended = true;
}

const char *tls_error(void)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());

    return why != NULL ? why : "the peer ended";
}

void tls_forget_spare(void)
{
    mem_free(spare);
    spare = NULL;
}
