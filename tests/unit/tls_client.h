/*
 * tls_client.h: a client that speaks TLS with the gateway over a pair of sockets, in ways that
 * Python's cannot, and a certificate for the gateway.
 */
#ifndef WARREN_TESTS_UNIT_TLS_CLIENT_H
#define WARREN_TESTS_UNIT_TLS_CLIENT_H

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/edge/tls.h"
#include "tests/unit/gateway_kit.h"

static struct tls *server;
static SSL_CTX *clients;

struct tls_client {
    SSL *ssl;
    struct tls_peer *peer; /* the other end; the session's, once there is one */
    int fds[2];            /* the peer's and the client's */
    struct buf heard;
};

/* A key and a certificate by itself, as PEM in a file that is gone when it was read. */
static inline int set_up_tls(void **state)
{
    char path[] = "/tmp/warren-test-XXXXXX", error[TLS_ERROR_SIZE];
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();

    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the gateway does */
    assert_non_null(file);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"chat.test", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(file);
    server = tls_new(path, path, error, sizeof(error));
    unlink(path);
    X509_free(cert);
    EVP_PKEY_free(key);
    clients = SSL_CTX_new(TLS_client_method());
    return server == NULL || clients == NULL;
}

static inline int tear_down_tls(void **state)
{
    (void)state;
    SSL_CTX_free(clients);
    server = tls_free(server);
    return 0;
}

/* Both ends behind the handshake. */
static inline void tls_client_open(struct tls_client *c)
{
    int shaken = 0, connected = 0;

    *c = (struct tls_client){.ssl = SSL_new(clients)};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, c->fds), 0);
    c->peer = tls_accept(server, c->fds[0]);
    SSL_set_fd(c->ssl, c->fds[1]);
    for (int i = 0; i < 20 && (shaken != TLS_DONE || connected != 1); i++) {
        connected = SSL_connect(c->ssl);
        shaken = shaken == TLS_DONE ? TLS_DONE : tls_handshake(c->peer);
        assert_true(shaken > 0);
    }
    assert_int_equal(connected, 1);
    assert_int_equal(shaken, TLS_DONE);
}

/* The same, and the gateway's end is a session's that echoes. */
static inline struct session *tls_client_join(struct tls_client *c, struct kit *k)
{
    tls_client_open(c);
    sessions_open(k->gateway.sessions, &(struct session_opening){
                                           .fd = c->fds[0],
                                           .tls = c->peer,
                                           .peer = "127.0.0.1:1",
                                           .dialect = DIALECT_ECHO,
                                           .room = SLICE_LIT(""),
                                           .identity = identity_new(NULL),
                                           .answer = blob_new(0),
                                       });
    c->peer = NULL;
    return k->gateway.sessions->all->prev;
}

static inline void tls_client_end(struct tls_client *c)
{
    if (c->peer != NULL) {
        tls_peer_free(c->peer);
        close(c->fds[0]);
    }
    SSL_free(c->ssl);
    close(c->fds[1]);
    buf_deinit(&c->heard);
}

static inline void tls_client_write(struct tls_client *c, const void *at, size_t size)
{
    assert_int_equal(SSL_write(c->ssl, at, (int)size), size);
}

/* Records that carry no data: a new key each, and the wish for one if `asks`. */
static inline void tls_client_change_keys(struct tls_client *c, unsigned count, bool asks)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(
            SSL_key_update(c->ssl, asks ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED),
            1);
        assert_int_equal(SSL_do_handshake(c->ssl), 1);
    }
}

/* Reads what there is. False: the other side has ended. */
static inline bool tls_client_hear(struct tls_client *c)
{
    for (;;) {
        int got = SSL_read(c->ssl, buf_reserve(&c->heard, 16384), 16384);

        if (got <= 0) {
            return SSL_get_error(c->ssl, got) == SSL_ERROR_WANT_READ;
        }
        buf_grew(&c->heard, (size_t)got);
    }
}

#endif
