/*
 * jwks.c: keys of a JWK Set (RFC 7517, RFC 7518 6, RFC 8037 2): see keys.h.
 *
 * The only user of jansson here. What a key does not say of its algorithm follows
 * from its kind: RS256, ES* by its curve, EdDSA, HS256.
 */
#include <jansson.h>
#include <stdio.h>

#include "common/mem.h"
#include "gateway/token/base64.h"
#include "gateway/token/keys.h"

#define COMPONENT_MAX 2048 /* bytes of a number or a secret */

enum taken { KEY_TAKEN = 0, KEY_PASSED_OVER = 1 };

static const char *text_of(const json_t *jwk, const char *name)
{
    return json_string_value(json_object_get(jwk, name));
}

/* Decodes a member. False if it is not there, or not base64url, empty or too long. */
static bool read_bytes(const json_t *jwk, const char *name, struct buf *out)
{
    const char *text = text_of(jwk, name);

    return text != NULL && base64url_decode(out, slice_of(text)) == 0 && out->size > 0 &&
           out->size <= COMPONENT_MAX;
}

static bool lists(const json_t *list, const char *word)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (text != NULL && strcmp(text, word) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a key is for checking signatures. */
static bool is_for_signatures(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use");
    const json_t *operations = json_object_get(jwk, "key_ops");
    const char *kind = text_of(jwk, "kty");
    bool is_secret = kind != NULL && strcmp(kind, "oct") == 0;

    if (use != NULL && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0)) {
        return false;
    }
    return operations == NULL || lists(operations, "verify") ||
           (is_secret && lists(operations, "sign"));
}

/* The algorithm of a key of that kind: the one it names, else the usual one. ALGORITHM_COUNT: none
 * that we have. */
static enum algorithm algorithm_of(const json_t *jwk, enum algorithm usual)
{
    const json_t *named = json_object_get(jwk, "alg");

    if (named == NULL) {
        return usual;
    }
    return json_is_string(named) ? algorithm_find(slice_of(json_string_value(named)))
                                 : ALGORITHM_COUNT;
}

static enum algorithm algorithm_of_curve(const char *curve)
{
    static const struct {
        const char *curve;
        enum algorithm algorithm;
    } curves[] = {
        {"P-256", ALGORITHM_ES256},
        {"P-384", ALGORITHM_ES384},
        {"P-521", ALGORITHM_ES512},
    };

    for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
        if (curve != NULL && strcmp(curve, curves[i].curve) == 0) {
            return curves[i].algorithm;
        }
    }
    return ALGORITHM_COUNT;
}

/* Two numbers make the key. */
static struct key *make_pair(struct key *(*make)(enum algorithm a, struct slice first,
                                                 struct slice second, char *error, size_t size),
                             const json_t *jwk, enum algorithm a, const char *const names[2],
                             char *error, size_t size)
{
    struct buf first = BUF_EMPTY, second = BUF_EMPTY;
    struct key *key = NULL;

    if (!read_bytes(jwk, names[0], &first) || !read_bytes(jwk, names[1], &second)) {
        snprintf(error, size, "%s and %s have to be base64url", names[0], names[1]);
    } else {
        key = make(a, buf_slice(&first), buf_slice(&second), error, size);
    }
    buf_deinit(&first);
    buf_deinit(&second);
    return key;
}

static struct key *make_secret(const json_t *jwk, enum algorithm a, char *error, size_t size)
{
    struct buf secret = BUF_EMPTY;
    struct key *key = NULL;

    if (read_bytes(jwk, "k", &secret)) {
        key = key_from_secret(a, buf_slice(&secret), error, size);
        explicit_bzero(secret.at, secret.size);
    } else {
        snprintf(error, size, "k has to be base64url");
    }
    buf_deinit(&secret);
    return key;
}

static struct key *make_ed25519(const json_t *jwk, char *error, size_t size)
{
    struct buf x = BUF_EMPTY;
    struct key *key = NULL;

    if (read_bytes(jwk, "x", &x)) {
        key = key_from_ed25519(buf_slice(&x), error, size);
    } else {
        snprintf(error, size, "x has to be base64url");
    }
    buf_deinit(&x);
    return key;
}

static bool is_rsa(enum algorithm a)
{
    return a == ALGORITHM_RS256 || a == ALGORITHM_RS384 || a == ALGORITHM_RS512 ||
           a == ALGORITHM_PS256;
}

/* Makes the key that a JWK tells. KEY_TAKEN, KEY_PASSED_OVER, or -1 with `error` filled. */
static int make_key(const json_t *jwk, struct key **key, char *error, size_t size)
{
    static const char *const rsa[2] = {"n", "e"}, *const ec[2] = {"x", "y"};
    const char *kind = text_of(jwk, "kty"), *curve = text_of(jwk, "crv");
    enum algorithm a = ALGORITHM_COUNT;

    if (kind == NULL) {
        snprintf(error, size, "kty is missing");
        return -1;
    }
    if (strcmp(kind, "RSA") == 0 && is_rsa(a = algorithm_of(jwk, ALGORITHM_RS256))) {
        *key = make_pair(key_from_rsa, jwk, a, rsa, error, size);
    } else if (strcmp(kind, "EC") == 0 && (a = algorithm_of_curve(curve)) != ALGORITHM_COUNT &&
               algorithm_of(jwk, a) == a) {
        *key = make_pair(key_from_point, jwk, a, ec, error, size);
    } else if (strcmp(kind, "OKP") == 0 && curve != NULL && strcmp(curve, "Ed25519") == 0 &&
               algorithm_of(jwk, ALGORITHM_EDDSA) == ALGORITHM_EDDSA) {
        *key = make_ed25519(jwk, error, size);
    } else if (strcmp(kind, "oct") == 0 &&
               (a = algorithm_of(jwk, ALGORITHM_HS256)) != ALGORITHM_COUNT &&
               algorithm_is_hmac(a)) {
        *key = make_secret(jwk, a, error, size);
    } else {
        return KEY_PASSED_OVER;
    }
    return *key != NULL ? KEY_TAKEN : -1;
}

static int add_jwk(struct keys *k, const json_t *jwk, char *error, size_t size)
{
    const json_t *id = json_object_get(jwk, "kid");
    struct slice name = SLICE_NONE;
    struct key *key = NULL;

    if (!json_is_object(jwk)) {
        snprintf(error, size, "is no object");
        return -1;
    }
    if (!is_for_signatures(jwk)) {
        return 0;
    }
    if (id != NULL) {
        name = json_is_string(id) ? slice_of(json_string_value(id)) : SLICE_NONE;
        if (!keys_id_is_valid(name)) {
            snprintf(error, size, "kid has to be 1 to %d of [A-Za-z0-9._-]", KEYS_ID_MAX);
            return -1;
        }
    }
    int r = make_key(jwk, &key, error, size);
    if (r != KEY_TAKEN) {
        return r < 0 ? r : 0;
    }
    return keys_add(k, name, key, error, size);
}

int keys_add_set(struct keys *k, struct slice text, char *error, size_t size)
{
    json_t *set = json_loadb(text.at, text.size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *list = json_object_get(set, "keys");
    char why[KEYS_ERROR_SIZE / 4];
    size_t before = keys_count(k);
    int r = 0;

    if (!json_is_array(list)) {
        snprintf(error, size, "is no JWK Set: {\"keys\":[...]}");
        json_decref(set);
        return -1;
    }
    for (size_t i = 0; i < json_array_size(list) && r == 0; i++) {
        r = add_jwk(k, json_array_get(list, i), why, sizeof(why));
        if (r != 0) {
            snprintf(error, size, "key %zu: %s", i + 1, why);
        }
    }
    json_decref(set);
    if (r == 0 && keys_count(k) == before) {
        snprintf(error, size, "has no key that tokens could be checked with");
        r = -1;
    }
    return r;
}
