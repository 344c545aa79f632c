/*
 * tls_pairs.c: certificates and keys: see tls.h. Each pair is one SSL_CTX, and so are two of other
 * kinds (RSA, EC) for the same names: OpenSSL shows each client the one that it can check.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "common/log.h"
#include "common/mem.h"
#include "gateway/edge/tls_internal.h"

struct pairs {
    SSL_CTX *contexts[TLS_PAIRS_MAX]; /* own */
    bool is_double[TLS_PAIRS_MAX];    /* has certificates of two kinds */
    size_t count;
    int64_t expires_s; /* the earliest */
};

struct tls {
    char *certs, *keys; /* own: the lists of files */
    struct pairs pairs;
};

static int complain(char *error, size_t size, const char *key, const char *path, const char *what)
{
    (void)snprintf(error, size, "[gateway] %s: %s %s", key, log_quote(path, strlen(path)), what);
    ERR_clear_error();
    return -1;
}

static int no_password(char *buf, int size, int writing, void *user)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)user;
    return -1; /* or OpenSSL would ask the terminal */
}

/* RFC 7301: http/1.1 is what we speak. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *in, unsigned int in_size, void *user)
{
    static const char spoken[] = "http/1.1";
    const size_t size = sizeof(spoken) - 1;

    (void)ssl;
    (void)user;
    for (unsigned at = 0; at < in_size; at += 1 + in[at]) {
        if (in[at] == size && at + 1 + size <= in_size && memcmp(in + at + 1, spoken, size) == 0) {
            *out = in + at + 1;
            *out_size = (unsigned char)size;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int choose_pair(SSL *ssl, int *alert, void *user)
{
    const struct tls *t = user;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    for (size_t i = 0; name != NULL && i < t->pairs.count; i++) {
        if (X509_check_host(SSL_CTX_get0_certificate(t->pairs.contexts[i]), name, 0, 0, NULL) ==
            1) {
            SSL_set_SSL_CTX(ssl, t->pairs.contexts[i]);
            break;
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *new_context(struct tls *t)
{
    static const unsigned char id[] = "warren";
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());

    if (c == NULL || SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
        SSL_CTX_set_session_id_context(c, id, sizeof(id) - 1) != 1) {
        SSL_CTX_free(c);
        return NULL;
    }
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_ENABLE_KTLS |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_clear_mode(c, SSL_MODE_AUTO_RETRY); /* or records without data keep tls_read() busy */
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF); /* tickets need no memory of ours */
    SSL_CTX_set_num_tickets(c, 1);
    SSL_CTX_set_default_passwd_cb(c, no_password);
    SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
    SSL_CTX_set_tlsext_servername_callback(c, choose_pair);
    SSL_CTX_set_tlsext_servername_arg(c, t);
    return c;
}

/* "" or why the file cannot be read. */
static const char *unreadable(const char *path)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return strerror(errno);
    }
    int c = fgetc(file);
    bool is_bad = c == EOF && ferror(file);
    (void)fclose(file);
    return is_bad ? "cannot be read" : "";
}

static int64_t seconds_of(const ASN1_TIME *when)
{
    struct tm tm;

    return ASN1_TIME_to_tm(when, &tm) == 1 ? timegm(&tm) : 0;
}

static void look_at_dates(struct pairs *pairs, const X509 *cert, const char *path)
{
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
        log_warn("certificate has expired file=%s", log_quote(path, strlen(path)));
    }
    if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) {
        log_warn("certificate is not valid yet file=%s", log_quote(path, strlen(path)));
    }
    int64_t end_s = seconds_of(X509_get0_notAfter(cert));
    if (pairs->count == 1 || end_s < pairs->expires_s) {
        pairs->expires_s = end_s;
    }
}

/* Whether each name that `other` is for is one of `cert`, and there is one. */
static bool covers(X509 *cert, const X509 *other)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(other, NID_subject_alt_name, NULL, NULL);
    int count = 0, covered = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *name = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type == GEN_DNS) {
            const char *text = (const char *)ASN1_STRING_get0_data(name);
            count++;
            covered += X509_check_host(cert, text, (size_t)ASN1_STRING_length(name), 0, NULL) == 1;
        }
    }
    GENERAL_NAMES_free(names);
    return count > 0 && covered == count;
}

/* The context that the newest one can become a part of: for the same names, with a key of another
 * kind. NULL: none. */
static SSL_CTX *find_twin(struct pairs *pairs)
{
    SSL_CTX *newest = pairs->contexts[pairs->count - 1];
    X509 *cert = SSL_CTX_get0_certificate(newest);
    int kind = EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(newest));

    for (size_t i = 0; i + 1 < pairs->count; i++) {
        SSL_CTX *c = pairs->contexts[i];
        X509 *shown = SSL_CTX_get0_certificate(c);
        if (!pairs->is_double[i] && covers(shown, cert) && covers(cert, shown) &&
            EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(c)) != kind) {
            pairs->is_double[i] = true;
            return c;
        }
    }
    return NULL;
}

static int load_files(SSL_CTX *c, const char *cert, const char *key, char *error, size_t size)
{
    if (SSL_CTX_use_certificate_chain_file(c, cert) != 1) {
        return complain(error, size, "tls_cert", cert, "holds no certificate in PEM form");
    }
    if (SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1) {
        bool is_other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
                        ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH;
        return complain(error, size, "tls_key", key,
                        is_other ? "does not belong to the certificate"
                                 : "holds no private key in PEM form (without a password)");
    }
    if (SSL_CTX_check_private_key(c) != 1) {
        return complain(error, size, "tls_key", key, "does not belong to the certificate");
    }
    return 0;
}

static int load_pair(struct tls *t, struct pairs *pairs, const char *cert, const char *key,
                     char *error, size_t size)
{
    const char *why = unreadable(cert);

    if (why[0] != '\0') {
        return complain(error, size, "tls_cert", cert, why);
    }
    why = unreadable(key);
    if (why[0] != '\0') {
        return complain(error, size, "tls_key", key, why);
    }
    SSL_CTX *c = new_context(t);
    if (c == NULL) {
        return complain(error, size, "tls_cert", cert, tls_error());
    }
    pairs->is_double[pairs->count] = false;
    pairs->contexts[pairs->count++] = c;
    int r = load_files(c, cert, key, error, size);
    if (r != 0) {
        return r;
    }
    look_at_dates(pairs, SSL_CTX_get0_certificate(c), cert);
    SSL_CTX *twin = find_twin(pairs);
    if (twin != NULL) {
        pairs->count--;
        SSL_CTX_free(c);
        r = load_files(twin, cert, key, error, size);
    }
    return r;
}

static void free_pairs(struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        SSL_CTX_free(pairs->contexts[i]);
    }
    *pairs = (struct pairs){.count = 0};
}

/* Takes the next file off the list, without the blanks around it. NULL at the end. */
static char *next_file(const char **list)
{
    const char *at = *list + strspn(*list, " \t,");
    size_t size = strcspn(at, ",");

    *list = at + size;
    while (size > 0 && (at[size - 1] == ' ' || at[size - 1] == '\t')) {
        size--;
    }
    return size > 0 ? mem_copy_text(at, size) : NULL;
}

static int load(struct tls *t, struct pairs *pairs, char *error, size_t size)
{
    const char *certs = t->certs, *keys = t->keys;

    for (;;) {
        char *cert = next_file(&certs), *key = next_file(&keys);
        int r = cert == NULL && key == NULL ? 1 : 0;

        if (r == 0 && (cert == NULL || key == NULL)) {
            (void)snprintf(error, size,
                           "[gateway] tls_cert, tls_key: as many keys as certificates");
            r = -1;
        } else if (r == 0 && pairs->count == TLS_PAIRS_MAX) {
            (void)snprintf(error, size, "[gateway] tls_cert: more than %d", TLS_PAIRS_MAX);
            r = -1;
        } else if (r == 0) {
            r = load_pair(t, pairs, cert, key, error, size);
        }
        mem_free(cert);
        mem_free(key);
        if (r != 0) {
            ERR_clear_error();
            return r > 0 ? 0 : -1;
        }
    }
}

struct tls *tls_new(const char *certs, const char *keys, char *error, size_t size)
{
    struct tls *t = mem_new(struct tls);

    t->certs = mem_copy_text(certs, strlen(certs));
    t->keys = mem_copy_text(keys, strlen(keys));
    if (load(t, &t->pairs, error, size) != 0) {
        return tls_free(t);
    }
    if (t->pairs.count == 0) {
        (void)snprintf(error, size, "[gateway] tls_cert: no file is named");
        return tls_free(t);
    }
    return t;
}

struct tls *tls_free(struct tls *t)
{
    if (t != NULL) {
        free_pairs(&t->pairs);
        mem_free(t->certs);
        mem_free(t->keys);
        mem_free(t);
        tls_forget_spare();
    }
    return NULL;
}

int tls_reload(struct tls *t, char *error, size_t size)
{
    struct pairs fresh = {.count = 0};

    if (load(t, &fresh, error, size) != 0) {
        free_pairs(&fresh);
        return -1;
    }
    free_pairs(&t->pairs);
    t->pairs = fresh;
    return 0;
}

int64_t tls_expires_s(const struct tls *t)
{
    return t->pairs.expires_s;
}

SSL_CTX *tls_default_context(const struct tls *t)
{
    return t->pairs.contexts[0];
}
