/*
 * jwt.c: see jwt.h.
 *
 * A check has three steps, and none looks ahead: the shape of the text and its
 * header; the signature over both parts as they came; then the claims. Nothing
 * of the payload is parsed while its origin is unknown.
 */
#include "gateway/token/jwt.h"

#include <strings.h>

#include "gateway/token/base64.h"
#include "gateway/token/verdicts.h"
#include "proto/json.h"

#define HEADER_MEMBERS_MAX 32
#define SIGNATURE_MAX (KEY_RSA_BITS_MAX / 8)

/* The parts of a token, borrowed from it. */
struct parts {
    struct slice token;
    struct slice header, payload, signature;
    struct slice signed_text; /* header, dot, payload */
};

/* What a header says that means something here. */
struct header {
    enum algorithm algorithm; /* ALGORITHM_COUNT: none of ours, or none */
    char id[KEYS_ID_MAX + 1]; /* kid; "": none */
    size_t id_size;
};

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
    p->token = token;
    p->header = (struct slice){token.at, (size_t)(first - token.at)};
    p->payload = (struct slice){first + 1, (size_t)(second - first - 1)};
    p->signature = (struct slice){second + 1, (size_t)(end - second - 1)};
    p->signed_text = (struct slice){token.at, (size_t)(second - token.at)};
    return true;
}

/* The text of a member that has to be written without escapes, or an empty slice. */
static struct slice plain_text(struct slice value)
{
    if (!json_is_string(value) || memchr(value.at, '\\', value.size) != NULL) {
        return SLICE_NONE;
    }
    return json_inside(value);
}

/* RFC 7515 4.1.9: in any case, and "application/" may be left out. */
static bool is_type(struct slice given, const char *want)
{
    static const char prefix[] = "application/";
    size_t size = sizeof(prefix) - 1;

    if (given.size > size && strncasecmp(given.at, prefix, size) == 0) {
        given.at += size;
        given.size -= size;
    }
    return given.size == strlen(want) && strncasecmp(given.at, want, given.size) == 0;
}

/* NULL if the header asks for nothing that we do not do. */
static const char *read_member(struct header *h, const struct json_member *m)
{
    /* Extensions that must be understood, compression, nesting, encryption. */
    static const char *const refused[] = {"crit", "b64", "zip", "cty", "enc"};

    if (slice_equal(m->key, SLICE_LIT("alg"))) {
        h->algorithm = algorithm_find(plain_text(m->value));
    } else if (slice_equal(m->key, SLICE_LIT("kid"))) {
        struct slice id = plain_text(m->value);

        if (!keys_id_is_valid(id)) {
            return "bad kid";
        }
        memcpy(h->id, id.at, id.size);
        h->id_size = id.size;
    }
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (slice_equal(m->key, slice_of(refused[i]))) {
            return "unsupported header";
        }
    }
    return NULL;
}

static const char *read_text(const struct jwt_terms *terms, struct slice text, struct header *h)
{
    struct json_object o;
    struct json_member m;
    const char *why = NULL;

    if (!json_is_valid(text, JWT_DEPTH_MAX) || !json_object_open(&o, text) ||
        json_has_duplicates(text, HEADER_MEMBERS_MAX)) {
        return "bad header";
    }
    if (terms->type[0] != '\0' && !is_type(plain_text(json_get(text, "typ")), terms->type)) {
        return "wrong type";
    }
    while (why == NULL && json_object_next(&o, &m)) {
        /* A name with an escape could be a second spelling of one that counts. */
        why = memchr(m.key.at, '\\', m.key.size) != NULL ? "bad header" : read_member(h, &m);
    }
    return why != NULL || h->algorithm != ALGORITHM_COUNT ? why : "wrong algorithm";
}

static const char *read_header(const struct jwt_terms *terms, struct slice part, struct header *h)
{
    struct buf text = BUF_EMPTY;
    const char *why = "bad header";

    *h = (struct header){.algorithm = ALGORITHM_COUNT};
    if (base64url_decode(&text, part) == 0) {
        why = read_text(terms, buf_slice(&text), h);
    }
    buf_deinit(&text);
    return why;
}

/* Whether one of the keys that it can be by signed the token. */
static const char *check_signature(const struct jwt_terms *terms, const struct header *h,
                                   const struct parts *p)
{
    const struct slice id = {h->id, h->id_size};
    struct buf given = BUF_EMPTY;
    const struct key *key;
    const char *why = "no such key";
    size_t at = 0;

    if (base64url_decode(&given, p->signature) != 0 || given.size == 0 ||
        given.size > SIGNATURE_MAX) {
        buf_deinit(&given);
        return "bad signature";
    }
    while (why != NULL && (key = keys_next(terms->keys, id, h->algorithm, &at)) != NULL) {
        why = key_verify(key, p->signed_text, buf_slice(&given)) ? NULL : "bad signature";
    }
    buf_deinit(&given);
    return why;
}

static int read_payload(const struct jwt_terms *terms, enum jwt_kind kind, struct slice part,
                        int64_t now_s, struct jwt_claims *claims, const char **why)
{
    const struct claims_rules *rules =
        kind == JWT_CONNECTION ? &terms->connection : &terms->subscription;
    struct buf payload = BUF_EMPTY;
    int r = CLAIMS_INVALID;

    *why = "bad payload";
    if (base64url_decode(&payload, part) == 0) {
        r = claims_read(claims, kind, buf_slice(&payload), rules, now_s, why);
    }
    buf_deinit(&payload);
    return r;
}

static enum jwt_verdict check(const struct jwt_terms *terms, enum jwt_kind kind, struct slice token,
                              int64_t now_s, struct jwt_claims *claims, const char **why)
{
    struct parts p;
    struct header h;

    *why = "malformed";
    if (token.size == 0 || token.size > JWT_TOKEN_MAX || !split(token, &p)) {
        return JWT_INVALID;
    }
    *why = read_header(terms, p.header, &h);
    if (*why != NULL) {
        return JWT_INVALID;
    }
    struct verdicts *verdicts = algorithm_is_hmac(h.algorithm) ? NULL : terms->verdicts;
    bool is_known = verdicts != NULL && verdicts_has(verdicts, token, now_s);

    if (!is_known) {
        *why = check_signature(terms, &h, &p);
        if (*why != NULL) {
            return JWT_INVALID;
        }
    }
    int r = read_payload(terms, kind, p.payload, now_s, claims, why);
    if (r == 0 && !is_known && verdicts != NULL) {
        verdicts_add(verdicts, token, claims->exp_s);
    }
    return r == 0 ? JWT_GOOD : r == CLAIMS_EXPIRED ? JWT_EXPIRED : JWT_INVALID;
}

enum jwt_verdict jwt_check(const struct jwt_terms *terms, enum jwt_kind kind, struct slice token,
                           int64_t now_s, struct jwt_claims *claims, const char **why)
{
    const char *wrong = NULL;

    memset(claims, 0, sizeof(*claims));
    enum jwt_verdict verdict = check(terms, kind, token, now_s, claims, &wrong);
    assert((verdict == JWT_GOOD) == (wrong == NULL));
    if (verdict != JWT_GOOD) {
        memset(claims, 0, sizeof(*claims));
    }
    if (why != NULL) {
        *why = wrong != NULL ? wrong : "";
    }
    return verdict;
}

static void add_claim(struct buf *out, const char *name, const char *text)
{
    if (text[0] != '\0') {
        buf_addf(out, "\"%s\":\"", name);
        json_escape(out, slice_of(text));
        buf_add_lit(out, "\",");
    }
}

static void add_claims(struct buf *out, const struct jwt_order *o, int64_t now_s)
{
    buf_add_char(out, '{');
    add_claim(out, "sub", o->user);
    add_claim(out, "name", o->name);
    add_claim(out, "iss", o->issuer);
    add_claim(out, "aud", o->audience);
    add_claim(out, "jti", o->id);
    for (size_t i = 0; i < o->role_count; i++) {
        buf_add_slice(out, i == 0 ? SLICE_LIT("\"roles\":[\"") : SLICE_LIT(",\""));
        json_escape(out, slice_of(o->roles[i]));
        buf_add_slice(out, i + 1 == o->role_count ? SLICE_LIT("\"],") : SLICE_LIT("\""));
    }
    buf_addf(out, "\"iat\":%lld,\"exp\":%lld}", (long long)now_s, (long long)(now_s + o->ttl_s));
}

/* Appends header, payload and signature. */
static void sign(const struct key *key, const char *key_id, struct slice payload, struct buf *out)
{
    struct buf header = BUF_EMPTY, signature = BUF_EMPTY;
    size_t start = out->size;

    buf_addf(&header, "{\"alg\":\"%s\",\"typ\":\"JWT\"", algorithm_name(key_algorithm(key)));
    if (key_id[0] != '\0') {
        buf_addf(&header, ",\"kid\":\"%s\"", key_id);
    }
    buf_add_char(&header, '}');
    base64url_encode(out, header.at, header.size);
    buf_add_char(out, '.');
    base64url_encode(out, payload.at, payload.size);
    key_sign(key, (struct slice){out->at + start, out->size - start}, &signature);
    buf_add_char(out, '.');
    base64url_encode(out, signature.at, signature.size);
    buf_deinit(&header);
    buf_deinit(&signature);
}

int jwt_mint(const struct key *key, const char *key_id, const struct jwt_order *order,
             int64_t now_s, struct buf *out)
{
    const struct claims_rules rules = {order->audience, order->issuer, 0, 0};
    struct buf payload = BUF_EMPTY;
    struct jwt_claims claims = {.role_count = 0};
    const char *why = NULL;
    size_t start = out->size;

    add_claims(&payload, order, now_s);
    /* Nobody should get a token that nobody takes. */
    int r = claims_read(&claims, JWT_CONNECTION, buf_slice(&payload), &rules, now_s, &why);
    if (r != CLAIMS_INVALID) {
        sign(key, key_id, buf_slice(&payload), out);
    }
    buf_deinit(&payload);
    if (r == CLAIMS_INVALID || out->size - start > JWT_TOKEN_MAX) {
        out->size = start;
        return -1;
    }
    return 0;
}
