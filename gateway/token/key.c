/*
 * key.c: see key.h. What OpenSSL calls them, checks them by, and signs with.
 */
#include "gateway/token/key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "common/mem.h"

#define FIELD_MAX 66 /* bytes of a number of P-521 */
#define DER_MAX 160  /* bytes of an ECDSA signature in DER */

enum family { FAMILY_HMAC, FAMILY_RSA, FAMILY_PSS, FAMILY_EC, FAMILY_ED };

struct key {
    enum algorithm algorithm;
    EVP_MAC_CTX *mac; /* owns; HMAC: has taken the secret and no text yet */
    EVP_PKEY *pkey;   /* owns; the others */
    bool can_sign;
};

static const struct {
    const char *name;
    enum family family;
    const EVP_MD *(*hash)(void);
    size_t size;       /* bytes: HMAC: of the hash; EC: of a number of the field */
    const char *group; /* EC: OpenSSL's name of the curve */
} algorithms[] = {
    [ALGORITHM_HS256] = {"HS256", FAMILY_HMAC, EVP_sha256, 32, NULL},
    [ALGORITHM_HS384] = {"HS384", FAMILY_HMAC, EVP_sha384, 48, NULL},
    [ALGORITHM_HS512] = {"HS512", FAMILY_HMAC, EVP_sha512, 64, NULL},
    [ALGORITHM_RS256] = {"RS256", FAMILY_RSA, EVP_sha256, 0, NULL},
    [ALGORITHM_RS384] = {"RS384", FAMILY_RSA, EVP_sha384, 0, NULL},
    [ALGORITHM_RS512] = {"RS512", FAMILY_RSA, EVP_sha512, 0, NULL},
    [ALGORITHM_PS256] = {"PS256", FAMILY_PSS, EVP_sha256, 0, NULL},
    [ALGORITHM_ES256] = {"ES256", FAMILY_EC, EVP_sha256, 32, "prime256v1"},
    [ALGORITHM_ES384] = {"ES384", FAMILY_EC, EVP_sha384, 48, "secp384r1"},
    [ALGORITHM_ES512] = {"ES512", FAMILY_EC, EVP_sha512, FIELD_MAX, "secp521r1"},
    [ALGORITHM_EDDSA] = {"EdDSA", FAMILY_ED, NULL, 0, NULL},
};

static_assert(ARRAY_LEN(algorithms) == ALGORITHM_COUNT, "a row for each");

const char *algorithm_name(enum algorithm a)
{
    return algorithms[a].name;
}

enum algorithm algorithm_find(struct slice name)
{
    int a = 0;

    while (a < ALGORITHM_COUNT && !slice_equal(name, slice_of(algorithms[a].name))) {
        a++;
    }
    return (enum algorithm)a;
}

bool algorithm_is_hmac(enum algorithm a)
{
    return algorithms[a].family == FAMILY_HMAC;
}

static struct key *key_new(enum algorithm a, EVP_PKEY *pkey)
{
    struct key *k = mem_new(struct key);

    k->algorithm = a;
    k->pkey = pkey;
    return k;
}

struct key *key_free(struct key *k)
{
    if (k != NULL) {
        EVP_MAC_CTX_free(k->mac);
        EVP_PKEY_free(k->pkey);
        mem_free(k);
    }
    return NULL;
}

enum algorithm key_algorithm(const struct key *k)
{
    return k->algorithm;
}

bool key_can_sign(const struct key *k)
{
    return k->can_sign;
}

/* HMAC that begins with the secret; NULL: OpenSSL cannot. */
static EVP_MAC_CTX *mac_new(enum algorithm a, struct slice secret)
{
    char hash[16];
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(hmac);

    snprintf(hash, sizeof(hash), "%s", EVP_MD_get0_name(algorithms[a].hash()));
    const OSSL_PARAM options[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0),
                                  OSSL_PARAM_construct_end()};
    EVP_MAC_free(hmac);
    if (ctx != NULL &&
        EVP_MAC_init(ctx, (const unsigned char *)secret.at, secret.size, options) != 1) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

struct key *key_from_secret(enum algorithm a, struct slice secret, char *error, size_t size)
{
    if (!algorithm_is_hmac(a)) {
        snprintf(error, size, "%s needs a public key", algorithm_name(a));
        return NULL;
    }
    if (secret.size < algorithms[a].size) {
        snprintf(error, size, "%s needs a key of at least %zu bytes", algorithm_name(a),
                 algorithms[a].size);
        return NULL;
    }
    struct key *k = key_new(a, NULL);

    k->mac = mac_new(a, secret);
    assert(k->mac != NULL);
    k->can_sign = true;
    return k;
}

static bool is_on(EVP_PKEY *pkey, const char *group)
{
    char name[64] = "";

    return EVP_PKEY_is_a(pkey, "EC") == 1 &&
           EVP_PKEY_get_group_name(pkey, name, sizeof(name), NULL) == 1 && strcmp(name, group) == 0;
}

/* Whether the key is of the kind that the algorithm works with. */
static bool fits(EVP_PKEY *pkey, enum algorithm a)
{
    switch (algorithms[a].family) {
    case FAMILY_HMAC:
        return false;
    case FAMILY_RSA:
    case FAMILY_PSS:
        return EVP_PKEY_is_a(pkey, "RSA") == 1;
    case FAMILY_EC:
        return is_on(pkey, algorithms[a].group);
    case FAMILY_ED:
        return EVP_PKEY_is_a(pkey, "ED25519") == 1;
    }
    return false;
}

static enum algorithm usual_for(EVP_PKEY *pkey)
{
    static const enum algorithm usual[] = {ALGORITHM_RS256, ALGORITHM_ES256, ALGORITHM_ES384,
                                           ALGORITHM_ES512, ALGORITHM_EDDSA};

    for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
        if (fits(pkey, usual[i])) {
            return usual[i];
        }
    }
    return ALGORITHM_COUNT;
}

static bool is_sound(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool is = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;

    EVP_PKEY_CTX_free(ctx);
    return is;
}

/* NULL, or why the key does not do. */
static const char *judge(EVP_PKEY *pkey, enum algorithm *a)
{
    *a = *a == ALGORITHM_COUNT ? usual_for(pkey) : *a;
    if (*a == ALGORITHM_COUNT) {
        return "is a kind of key that no algorithm here works with";
    }
    if (!fits(pkey, *a)) {
        return "is not the kind of key that the algorithm works with";
    }
    if (EVP_PKEY_is_a(pkey, "RSA") == 1 && (EVP_PKEY_get_bits(pkey) < KEY_RSA_BITS_MIN ||
                                            EVP_PKEY_get_bits(pkey) > KEY_RSA_BITS_MAX)) {
        return "RSA keys have 2048 to 8192 bits here";
    }
    return is_sound(pkey) ? NULL : "is broken";
}

/* Takes `pkey` over, which may be NULL. */
static struct key *key_of(enum algorithm a, EVP_PKEY *pkey, const char *missing, char *error,
                          size_t size)
{
    const char *why = pkey != NULL ? judge(pkey, &a) : missing;

    ERR_clear_error();
    if (why != NULL) {
        snprintf(error, size, "%s", why);
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return key_new(a, pkey);
}

/* Nobody is asked for a pass phrase. */
static int no_phrase(char *to, int size, int is_writing, void *user)
{
    (void)to;
    (void)size;
    (void)is_writing;
    (void)user;
    return -1;
}

struct key *key_from_public_pem(enum algorithm a, struct slice pem, char *error, size_t size)
{
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.size);
    EVP_PKEY *pkey = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, no_phrase, NULL) : NULL;

    BIO_free(bio);
    return key_of(a, pkey, "has no public key in PEM (BEGIN PUBLIC KEY)", error, size);
}

struct key *key_from_private_pem(enum algorithm a, struct slice pem, char *error, size_t size)
{
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.size);
    EVP_PKEY *pkey = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_phrase, NULL) : NULL;

    BIO_free(bio);
    struct key *k =
        key_of(a, pkey, "has no private key in PEM that is not encrypted (BEGIN PRIVATE KEY)",
               error, size);
    if (k != NULL) {
        k->can_sign = true;
    }
    return k;
}

/* A public key of parameters; frees these. NULL: it is none. */
static EVP_PKEY *build(const char *kind, OSSL_PARAM_BLD *builder)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    EVP_PKEY *pkey = NULL;

    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        pkey = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static BIGNUM *number_of(struct slice bytes)
{
    return BN_bin2bn((const unsigned char *)bytes.at, (int)bytes.size, NULL);
}

struct key *key_from_rsa(enum algorithm a, struct slice modulus, struct slice exponent, char *error,
                         size_t size)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = number_of(modulus), *e = number_of(exponent);

    assert(builder != NULL && n != NULL && e != NULL);
    (void)OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n);
    (void)OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e);
    EVP_PKEY *pkey = build("RSA", builder);
    BN_free(n);
    BN_free(e);
    return key_of(a, pkey, "is no RSA key", error, size);
}

struct key *key_from_point(enum algorithm a, struct slice x, struct slice y, char *error,
                           size_t size)
{
    size_t field = algorithms[a].size;
    unsigned char point[1 + 2 * FIELD_MAX] = {0x04}; /* not compressed */

    assert(algorithms[a].family == FAMILY_EC);
    if (x.size != field || y.size != field) {
        snprintf(error, size, "is no point of its curve");
        return NULL;
    }
    memcpy(point + 1, x.at, field);
    memcpy(point + 1 + field, y.at, field);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    assert(builder != NULL);
    (void)OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, algorithms[a].group,
                                          0);
    (void)OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * field);
    return key_of(a, build("EC", builder), "is no point of its curve", error, size);
}

struct key *key_from_ed25519(struct slice x, char *error, size_t size)
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.at, x.size);

    return key_of(ALGORITHM_EDDSA, pkey, "is no Ed25519 key", error, size);
}

static void make_mac(const struct key *k, struct slice text, unsigned char mac[EVP_MAX_MD_SIZE])
{
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(k->mac);
    size_t size = 0;

    assert(ctx != NULL);
    bool is_done = EVP_MAC_update(ctx, (const unsigned char *)text.at, text.size) == 1 &&
                   EVP_MAC_final(ctx, mac, &size, EVP_MAX_MD_SIZE) == 1;
    assert(is_done && size == algorithms[k->algorithm].size);
    EVP_MAC_CTX_free(ctx);
}

/* r and s in DER. Its size, or 0. */
static size_t to_der(struct slice raw, unsigned char der[DER_MAX])
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = number_of((struct slice){raw.at, raw.size / 2});
    BIGNUM *s = number_of((struct slice){raw.at + raw.size / 2, raw.size / 2});
    unsigned char *to = der;

    assert(pair != NULL && r != NULL && s != NULL);
    (void)ECDSA_SIG_set0(pair, r, s);
    int size = i2d_ECDSA_SIG(pair, NULL);
    assert(size > 0 && size <= DER_MAX);
    size = i2d_ECDSA_SIG(pair, &to);
    ECDSA_SIG_free(pair);
    return size > 0 ? (size_t)size : 0;
}

/* Appends r and s of DER. */
static void add_raw(struct buf *out, size_t field, const unsigned char *der, size_t size)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)size);

    assert(pair != NULL);
    unsigned char *to = (unsigned char *)buf_reserve(out, 2 * field);
    int r = BN_bn2binpad(ECDSA_SIG_get0_r(pair), to, (int)field);
    int s = BN_bn2binpad(ECDSA_SIG_get0_s(pair), to + field, (int)field);
    assert(r == (int)field && s == (int)field);
    buf_grew(out, 2 * field);
    ECDSA_SIG_free(pair);
}

/* RFC 7518 3.5: the salt is as long as the hash. */
static bool set_padding(const struct key *k, EVP_PKEY_CTX *ctx)
{
    return algorithms[k->algorithm].family != FAMILY_PSS ||
           (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static const EVP_MD *hash_of(const struct key *k)
{
    return algorithms[k->algorithm].hash != NULL ? algorithms[k->algorithm].hash() : NULL;
}

static bool verify_public(const struct key *k, struct slice text, struct slice signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    bool is_good = ctx != NULL &&
                   EVP_DigestVerifyInit(ctx, &options, hash_of(k), NULL, k->pkey) == 1 &&
                   set_padding(k, options) &&
                   EVP_DigestVerify(ctx, (const unsigned char *)signature.at, signature.size,
                                    (const unsigned char *)text.at, text.size) == 1;

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return is_good;
}

bool key_verify(const struct key *k, struct slice text, struct slice signature)
{
    size_t size = algorithms[k->algorithm].size;
    unsigned char bytes[MAX(DER_MAX, EVP_MAX_MD_SIZE)];

    switch (algorithms[k->algorithm].family) {
    case FAMILY_HMAC:
        make_mac(k, text, bytes);
        return signature.size == size && CRYPTO_memcmp(signature.at, bytes, size) == 0;
    case FAMILY_RSA:
    case FAMILY_PSS:
    case FAMILY_ED:
        return signature.size > 0 && verify_public(k, text, signature);
    case FAMILY_EC:
        if (signature.size != 2 * size) {
            return false;
        }
        size = to_der(signature, bytes);
        return size > 0 && verify_public(k, text, (struct slice){(const char *)bytes, size});
    }
    return false;
}

static void sign_private(const struct key *k, struct slice text, struct buf *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    unsigned char bytes[KEY_RSA_BITS_MAX / 8];
    size_t size = sizeof(bytes);

    assert(ctx != NULL);
    int r = EVP_DigestSignInit(ctx, &options, hash_of(k), NULL, k->pkey);
    assert(r == 1);
    bool is_padded = set_padding(k, options);
    assert(is_padded);
    r = EVP_DigestSign(ctx, bytes, &size, (const unsigned char *)text.at, text.size);
    assert(r == 1);
    EVP_MD_CTX_free(ctx);
    if (algorithms[k->algorithm].family == FAMILY_EC) {
        add_raw(out, algorithms[k->algorithm].size, bytes, size);
    } else {
        buf_add(out, bytes, size);
    }
}

void key_sign(const struct key *k, struct slice text, struct buf *out)
{
    unsigned char mac[EVP_MAX_MD_SIZE];

    assert(k->can_sign);
    if (algorithm_is_hmac(k->algorithm)) {
        make_mac(k, text, mac);
        buf_add(out, mac, algorithms[k->algorithm].size);
    } else {
        sign_private(k, text, out);
    }
}
