/*
 * jwt.c: see jwt.h. The only user of jansson here, and of OpenSSL for MACs.
 *
 * A check has three steps, and none looks ahead: the shape of the text and its
 * header; the MAC over both parts as they came; then the claims. Nothing of the
 * payload is parsed while its origin is unknown.
 */
#include "gateway/jwt.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "gateway/base64.h"

#define MAC_SIZE 32 /* bytes of an HMAC-SHA256 */

/* The parts of a token, borrowed from it. */
struct parts {
    struct slice header, payload, signature;
    struct slice signed_text; /* header, dot, payload */
};

static void *crypto_alloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return mem_alloc(size);
}

static void *crypto_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size == 0) {
        mem_free(old);
        return NULL;
    }
    return mem_realloc(old, size);
}

static void crypto_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    mem_free(p);
}

void jwt_init(void)
{
    int done = CRYPTO_set_mem_functions(crypto_alloc, crypto_realloc, crypto_free);

    assert(done == 1); /* OpenSSL has not allocated anything yet */
    json_set_alloc_funcs(mem_alloc, mem_free);
}

/* Exactly three parts. False otherwise. */
static bool split(struct slice token, struct parts *p)
{
    const char *end = token.at + token.size;
    const char *first = memchr(token.at, '.', token.size);
    if (first == NULL) {
        return false;
    }
    const char *second = memchr(first + 1, '.', (size_t)(end - first - 1));
    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL) {
        return false;
    }
    p->header = (struct slice){token.at, (size_t)(first - token.at)};
    p->payload = (struct slice){first + 1, (size_t)(second - first - 1)};
    p->signature = (struct slice){second + 1, (size_t)(end - second - 1)};
    p->signed_text = (struct slice){token.at, (size_t)(second - token.at)};
    return true;
}

/* The object that a part holds, or NULL. */
static json_t *decode_object(struct slice part)
{
    struct buf text = BUF_EMPTY;
    json_t *object = NULL;

    if (base64url_decode(&text, part) == 0 && text.size > 0) {
        object = json_loadb(text.at, text.size, JSON_REJECT_DUPLICATES, NULL);
    }
    buf_deinit(&text);
    if (object != NULL && !json_is_object(object)) {
        json_decref(object);
        object = NULL;
    }
    return object;
}

/* NULL if the header names our algorithm and asks for nothing that we do not do. */
static const char *judge_header(const json_t *header)
{
    /* Extensions that must be understood, compression, nesting, and names of keys: there is one key
     * and it has no name. Members that point to keys (jku, jwk, x5u, x5c) are not looked at. */
    static const char *const refused[] = {"crit", "b64", "zip", "cty", "kid", "enc"};
    const char *algorithm = json_string_value(json_object_get(header, "alg"));

    if (algorithm == NULL || strcmp(algorithm, "HS256") != 0) {
        return "wrong algorithm";
    }
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (json_object_get(header, refused[i]) != NULL) {
            return "unsupported header";
        }
    }
    return NULL;
}

static void make_mac(const char *key, struct slice text, unsigned char mac[MAC_SIZE])
{
    unsigned size = 0;

    const unsigned char *done = HMAC(EVP_sha256(), key, (int)strlen(key),
                                     (const unsigned char *)text.at, text.size, mac, &size);
    assert(done != NULL);
    assert(size == MAC_SIZE);
}

static bool signature_is_good(const char *key, const struct parts *p)
{
    struct buf given = BUF_EMPTY;
    unsigned char mac[MAC_SIZE];

    make_mac(key, p->signed_text, mac);
    bool good = base64url_decode(&given, p->signature) == 0 && given.size == MAC_SIZE &&
                CRYPTO_memcmp(given.at, mac, MAC_SIZE) == 0;
    buf_deinit(&given);
    return good;
}

/* NULL if the token has the shape and the signature of one of ours. */
static const char *judge_signature(const struct jwt_key *key, struct slice token, struct parts *p)
{
    if (strlen(key->hmac_key) < JWT_KEY_MIN) {
        return "no key";
    }
    if (token.size == 0 || token.size > JWT_TOKEN_MAX || !split(token, p)) {
        return "malformed";
    }
    json_t *header = decode_object(p->header);
    if (header == NULL) {
        return "bad header";
    }
    const char *wrong = judge_header(header);
    json_decref(header);
    if (wrong == NULL && !signature_is_good(key->hmac_key, p)) {
        wrong = "bad signature";
    }
    return wrong;
}

static enum jwt_verdict judge_payload(const struct jwt_key *key, enum jwt_kind kind,
                                      struct slice part, int64_t now_s, struct jwt_claims *claims,
                                      const char **why)
{
    const struct claims_rules rules = {key->audience, key->issuer, JWT_LEEWAY_S};
    struct buf payload = BUF_EMPTY;
    int r = CLAIMS_INVALID;

    *why = "bad payload";
    if (base64url_decode(&payload, part) == 0) {
        r = claims_read(claims, kind, buf_slice(&payload), &rules, now_s, why);
    }
    buf_deinit(&payload);
    return r == 0 ? JWT_GOOD : r == CLAIMS_EXPIRED ? JWT_EXPIRED : JWT_INVALID;
}

enum jwt_verdict jwt_check_kind(const struct jwt_key *key, enum jwt_kind kind, struct slice token,
                                int64_t now_s, struct jwt_claims *claims, const char **why)
{
    enum jwt_verdict verdict = JWT_INVALID;
    struct parts p;

    memset(claims, 0, sizeof(*claims));
    const char *wrong = judge_signature(key, token, &p);
    if (wrong == NULL) {
        verdict = judge_payload(key, kind, p.payload, now_s, claims, &wrong);
    }
    assert((verdict == JWT_GOOD) == (wrong == NULL));
    if (verdict != JWT_GOOD) {
        memset(claims, 0, sizeof(*claims));
    }
    if (why != NULL) {
        *why = wrong != NULL ? wrong : "";
    }
    return verdict;
}

enum jwt_verdict jwt_check(const struct jwt_key *key, struct slice token, int64_t now_s,
                           struct jwt_claims *claims, const char **why)
{
    return jwt_check_kind(key, JWT_CONNECTION, token, now_s, claims, why);
}

/* The claims of a new token, or NULL if a text is not UTF-8. */
static json_t *new_claims(const struct jwt_key *key, const char *user, const char *name,
                          const char *const *roles, size_t role_count)
{
    json_t *payload = json_object();
    int r = json_object_set_new(payload, "sub", json_string(user));

    if (name[0] != '\0') {
        r |= json_object_set_new(payload, "name", json_string(name));
    }
    if (role_count > 0) {
        json_t *list = json_array();
        for (size_t i = 0; i < role_count; i++) {
            r |= json_array_append_new(list, json_string(roles[i]));
        }
        r |= json_object_set_new(payload, "roles", list);
    }
    if (key->issuer[0] != '\0') {
        r |= json_object_set_new(payload, "iss", json_string(key->issuer));
    }
    if (key->audience[0] != '\0') {
        r |= json_object_set_new(payload, "aud", json_string(key->audience));
    }
    if (r != 0) {
        json_decref(payload);
        return NULL;
    }
    return payload;
}

/* Appends header, payload and signature. */
static void sign(const struct jwt_key *key, struct slice payload, struct buf *out)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    unsigned char mac[MAC_SIZE];
    size_t start = out->size;

    base64url_encode(out, header, sizeof(header) - 1);
    buf_add_char(out, '.');
    base64url_encode(out, payload.at, payload.size);
    make_mac(key->hmac_key, (struct slice){out->at + start, out->size - start}, mac);
    buf_add_char(out, '.');
    base64url_encode(out, mac, sizeof(mac));
}

int jwt_mint(const struct jwt_key *key, const char *user, const char *name,
             const char *const *roles, size_t role_count, int64_t ttl_s, int64_t now_s,
             struct buf *out)
{
    struct jwt_claims claims;
    size_t start = out->size;

    if (strlen(key->hmac_key) < JWT_KEY_MIN) {
        return -1;
    }
    json_t *payload = new_claims(key, user, name, roles, role_count);
    if (payload == NULL) {
        return -1;
    }
    json_object_set_new(payload, "iat", json_integer(now_s));
    json_object_set_new(payload, "exp", json_integer(now_s + ttl_s));
    char *text = json_dumps(payload, JSON_COMPACT);
    json_decref(payload);
    assert(text != NULL);
    sign(key, slice_of(text), out);
    free(text);

    /* Nobody should get a token that nobody takes. */
    struct slice token = {out->at + start, out->size - start};
    if (jwt_check(key, token, now_s, &claims, NULL) == JWT_INVALID) {
        out->size = start;
        return -1;
    }
    return 0;
}
