/*
 * key.h: one key of tokens, with its one algorithm (RFC 7518, RFC 8037).
 *
 * The algorithm belongs to the key, never to the token. A key is of the kind and
 * strength that its algorithm asks for, or it is not made at all: HMAC keys as
 * long as the hash at least, RSA of 2048 to 8192 bits, EC on the very curve.
 *
 * Signatures of ES* are r and s, each as long as the curve's field (RFC 7518 3.4);
 * DER is not taken.
 */
#ifndef WARREN_GATEWAY_TOKEN_KEY_H
#define WARREN_GATEWAY_TOKEN_KEY_H

#include "common/base.h"
#include "common/buf.h"

#define KEY_RSA_BITS_MIN 2048
#define KEY_RSA_BITS_MAX 8192

enum algorithm {
    ALGORITHM_HS256,
    ALGORITHM_HS384,
    ALGORITHM_HS512,
    ALGORITHM_RS256,
    ALGORITHM_RS384,
    ALGORITHM_RS512,
    ALGORITHM_PS256,
    ALGORITHM_ES256,
    ALGORITHM_ES384,
    ALGORITHM_ES512,
    ALGORITHM_EDDSA, /* Ed25519 */
    ALGORITHM_COUNT
};

/* As `alg` writes it. */
const char *algorithm_name(enum algorithm a);
/* The one of that name, letter by letter; ALGORITHM_COUNT: none. */
enum algorithm algorithm_find(struct slice name);
/* True for HS*: whoever can check can sign. */
bool algorithm_is_hmac(enum algorithm a);

struct key;

/* The keys below are freed with key_free(). NULL with `error` filled when the material is not what
 * the algorithm needs. */
struct key *key_from_secret(enum algorithm a, struct slice secret, char *error,
                            size_t size) MUST_CHECK;
/* PEM (BEGIN PUBLIC KEY). ALGORITHM_COUNT: the usual one for the kind of key: RS256, ES256, ES384,
 * ES512, EdDSA. */
struct key *key_from_public_pem(enum algorithm a, struct slice pem, char *error,
                                size_t size) MUST_CHECK;
/* Likewise; signs as well. */
struct key *key_from_private_pem(enum algorithm a, struct slice pem, char *error,
                                 size_t size) MUST_CHECK;
/* Unsigned big-endian numbers, as in a JWK. */
struct key *key_from_rsa(enum algorithm a, struct slice modulus, struct slice exponent, char *error,
                         size_t size) MUST_CHECK;
struct key *key_from_point(enum algorithm a, struct slice x, struct slice y, char *error,
                           size_t size) MUST_CHECK;
struct key *key_from_ed25519(struct slice x, char *error, size_t size) MUST_CHECK;

/* Accepts NULL; returns NULL. */
struct key *key_free(struct key *k);

/* The one algorithm that it works with. */
enum algorithm key_algorithm(const struct key *k);
/* A secret or a private key. */
bool key_can_sign(const struct key *k);

/* Whether the key signed the text. */
bool key_verify(const struct key *k, struct slice text, struct slice signature);

/* Appends the signature of the text. Only for a key that can sign. */
void key_sign(const struct key *k, struct slice text, struct buf *out);

#endif
