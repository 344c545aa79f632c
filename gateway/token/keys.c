/*
 * keys.c: see keys.h.
 */
#include "gateway/token/keys.h"

#include <ctype.h>
#include <stdio.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

struct keys {
    struct {
        char id[KEYS_ID_MAX + 1]; /* "": none */
        struct key *key;          /* owns */
    } at[KEYS_MAX];
    size_t count;
};

bool keys_id_is_valid(struct slice id)
{
    for (size_t i = 0; i < id.size; i++) {
        char c = id.at[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-')) {
            return false;
        }
    }
    return id.size > 0 && id.size <= KEYS_ID_MAX;
}

static void set_text(char **field, const char *value)
{
    mem_free(*field);
    *field = mem_copy_text(value, strlen(value));
}

/* The section of that id, made if there was none; NULL: there are too many. */
static struct key_section *get_section(struct key_sections *s, const char *id)
{
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->at[i].id, id) == 0) {
            return &s->at[i];
        }
    }
    if (s->count == KEYS_MAX) {
        return NULL;
    }
    if (s->at == NULL) {
        s->at = mem_zalloc(KEYS_MAX, sizeof(s->at[0]));
    }
    set_text(&s->at[s->count].id, id);
    return &s->at[s->count++];
}

int key_sections_set(struct key_sections *s, const char *id, const char *key, const char *value,
                     char *error, size_t size)
{
    bool is_algorithm = strcmp(key, "algorithm") == 0;

    if (!is_algorithm && strcmp(key, "file") != 0) {
        snprintf(error, size, "unknown key of a [key]; there are: algorithm file");
        return -1;
    }
    if (!keys_id_is_valid(slice_of(id))) {
        snprintf(error, size, "the name of a key is 1 to %d of [A-Za-z0-9._-]", KEYS_ID_MAX);
        return -1;
    }
    struct key_section *section = get_section(s, id);
    if (section == NULL) {
        snprintf(error, size, "at most %d keys", KEYS_MAX);
        return -1;
    }
    char **field = is_algorithm ? &section->algorithm : &section->file;
    if (*field != NULL) {
        snprintf(error, size, "is given twice");
        return -1;
    }
    if (is_algorithm && algorithm_find(slice_of(value)) == ALGORITHM_COUNT) {
        snprintf(error, size,
                 "must be one of HS256 HS384 HS512 RS256 RS384 RS512 PS256 ES256 ES384 ES512 "
                 "EdDSA, not %s",
                 log_quote(value, strlen(value)));
        return -1;
    }
    set_text(field, value);
    return 0;
}

void key_sections_deinit(struct key_sections *s)
{
    for (size_t i = 0; i < s->count; i++) {
        mem_free(s->at[i].id);
        mem_free(s->at[i].algorithm);
        mem_free(s->at[i].file);
    }
    mem_free(s->at);
    *s = (struct key_sections){NULL, 0};
}

int keys_add(struct keys *k, struct slice id, struct key *key, char *error, size_t size)
{
    const char *why = NULL;

    assert(id.size == 0 || keys_id_is_valid(id));
    for (size_t i = 0; i < k->count && id.size > 0; i++) {
        if (slice_equal(slice_of(k->at[i].id), id)) {
            why = "there are two keys of this name";
        }
    }
    if (why == NULL && k->count == KEYS_MAX) {
        why = "there are too many keys: the limit is 16";
    }
    static_assert(KEYS_MAX == 16, "as the text says");
    if (why != NULL) {
        snprintf(error, size, "%s", why);
        key_free(key);
        return -1;
    }
    memcpy(k->at[k->count].id, id.size > 0 ? id.at : "", id.size);
    k->at[k->count++].key = key;
    return 0;
}

/* Adds what a file holds: a secret for HS*, a public key in PEM for the others. ALGORITHM_COUNT: by
 * the kind of the public key. */
static int add_file(struct keys *k, struct slice id, enum algorithm a, const char *path,
                    char *error, size_t size)
{
    struct buf text = BUF_EMPTY;
    struct key *key = NULL;
    char why[KEYS_ERROR_SIZE / 2];
    const char *reason = NULL;
    int r = file_read(path, KEYS_FILE_MAX, &text, &reason);

    if (r == 0 && a != ALGORITHM_COUNT && algorithm_is_hmac(a)) {
        while (text.size > 0 && isspace((unsigned char)text.at[text.size - 1])) {
            text.size--;
        }
        key = key_from_secret(a, buf_slice(&text), why, sizeof(why));
    } else if (r == 0) {
        key = key_from_public_pem(a, buf_slice(&text), why, sizeof(why));
    }
    if (text.size > 0) {
        explicit_bzero(text.at, text.size);
    }
    buf_deinit(&text);
    if (key != NULL && keys_add(k, id, key, why, sizeof(why)) == 0) {
        return 0;
    }
    snprintf(error, size, "file %s: %s", log_quote(path, strlen(path)), r == 0 ? why : reason);
    return -1;
}

static int add_set(struct keys *k, const char *path, char *error, size_t size)
{
    struct buf text = BUF_EMPTY;
    char why[KEYS_ERROR_SIZE / 2];
    const char *reason = why;
    int r = file_read(path, KEYS_FILE_MAX, &text, &reason);

    if (r == 0) {
        reason = why;
        r = keys_add_set(k, buf_slice(&text), why, sizeof(why));
    }
    if (text.size > 0) {
        explicit_bzero(text.at, text.size); /* it may hold secrets */
    }
    buf_deinit(&text);
    if (r != 0) {
        snprintf(error, size, "file %s: %s", log_quote(path, strlen(path)), reason);
    }
    return r;
}

static int add_section(struct keys *k, const struct key_section *s, char *error, size_t size)
{
    if (s->algorithm == NULL || s->file == NULL) {
        snprintf(error, size, "needs an algorithm and a file");
        return -1;
    }
    return add_file(k, slice_of(s->id), algorithm_find(slice_of(s->algorithm)), s->file, error,
                    size);
}

static int add_public_key(struct keys *k, const struct keys_source *from, char *error, size_t size)
{
    enum algorithm a = ALGORITHM_COUNT;

    if (from->public_key_algorithm[0] != '\0') {
        a = algorithm_find(slice_of(from->public_key_algorithm));
        if (a == ALGORITHM_COUNT || algorithm_is_hmac(a)) {
            snprintf(error, size,
                     "the algorithm of a public key is one of RS256 RS384 RS512 PS256 "
                     "ES256 ES384 ES512 EdDSA");
            return -1;
        }
    }
    return add_file(k, SLICE_NONE, a, from->public_key_file, error, size);
}

/* 0, or -1 with `error` filled and `where` telling which setting it is about. */
static int load(struct keys *k, const struct keys_source *from, char *where, size_t where_size,
                char *error, size_t size)
{
    if (from->hmac_key[0] != '\0') {
        snprintf(where, where_size, "[auth] hmac_key");
        struct key *key = key_from_secret(ALGORITHM_HS256, slice_of(from->hmac_key), error, size);
        if (key == NULL || keys_add(k, SLICE_NONE, key, error, size) != 0) {
            return -1;
        }
    }
    snprintf(where, where_size, "[auth] public_key_file");
    if (from->public_key_file[0] != '\0' && add_public_key(k, from, error, size) != 0) {
        return -1;
    }
    for (size_t i = 0; from->sections != NULL && i < from->sections->count; i++) {
        snprintf(where, where_size, "[key \"%s\"]", from->sections->at[i].id);
        if (add_section(k, &from->sections->at[i], error, size) != 0) {
            return -1;
        }
    }
    snprintf(where, where_size, "[auth] jwks_file");
    return from->jwks_file[0] == '\0' ? 0 : add_set(k, from->jwks_file, error, size);
}

struct keys *keys_load(const struct keys_source *from, char *error, size_t size)
{
    struct keys *k = mem_new(struct keys);
    char where[KEYS_ID_MAX + 32], why[KEYS_ERROR_SIZE - KEYS_ID_MAX - 40];

    if (load(k, from, where, sizeof(where), why, sizeof(why)) != 0) {
        snprintf(error, size, "%s: %s", where, why);
        return keys_free(k);
    }
    return k;
}

struct keys *keys_free(struct keys *k)
{
    if (k != NULL) {
        for (size_t i = 0; i < k->count; i++) {
            key_free(k->at[i].key);
        }
        mem_free(k);
    }
    return NULL;
}

size_t keys_count(const struct keys *k)
{
    return k->count;
}

const struct key *keys_next(const struct keys *k, struct slice id, enum algorithm a, size_t *at)
{
    while (*at < k->count) {
        size_t i = (*at)++;

        if ((id.size == 0 || slice_equal(slice_of(k->at[i].id), id)) &&
            key_algorithm(k->at[i].key) == a) {
            return k->at[i].key;
        }
    }
    return NULL;
}

const struct key *keys_signer(const struct keys *k, const char **id)
{
    for (size_t i = 0; i < k->count; i++) {
        if (key_can_sign(k->at[i].key)) {
            *id = k->at[i].id;
            return k->at[i].key;
        }
    }
    return NULL;
}
