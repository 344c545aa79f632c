/*
 * keys.h: all keys that tokens are checked with.
 *
 * They come from [auth] hmac_key (HS256), [auth] public_key_file, sections such as
 * [key "2026-01"] with `algorithm` and `file`, and [auth] jwks_file (RFC 7517). A
 * key with an id is found by the token's `kid`. A token without one is checked by
 * each key of its algorithm.
 *
 * Of a JWK Set those are passed over that are not for signatures, or of a kind
 * that no algorithm here works with. Whatever else is wrong with a file is an error.
 */
#ifndef WARREN_GATEWAY_TOKEN_KEYS_H
#define WARREN_GATEWAY_TOKEN_KEYS_H

#include "common/base.h"
#include "gateway/token/key.h"

#define KEYS_MAX 16
#define KEYS_FILE_MAX 65536 /* bytes of one file */
#define KEYS_ID_MAX 64      /* [A-Za-z0-9._-] */
#define KEYS_ERROR_SIZE 400 /* bytes of a message */

/* [key "id"], as it was read. */
struct key_section {
    char *id, *algorithm, *file; /* own; NULL: not given yet */
};

struct key_sections {
    struct key_section *at; /* owns; KEYS_MAX of them */
    size_t count;
};

/* A key of such a section, as conf_table.named gets it. 0, or -1 with `error` filled. */
int key_sections_set(struct key_sections *s, const char *id, const char *key, const char *value,
                     char *error, size_t size) MUST_CHECK;
void key_sections_deinit(struct key_sections *s);

/* Where keys are. Texts that are not given are "". */
struct keys_source {
    const char *hmac_key;
    const char *public_key_file, *public_key_algorithm;
    const char *jwks_file;
    const struct key_sections *sections;
};

struct keys;

/* Reads all files and checks all keys. NULL with one line in `error`. */
struct keys *keys_load(const struct keys_source *from, char *error, size_t size) MUST_CHECK;
/* Accepts NULL; returns NULL. */
struct keys *keys_free(struct keys *k);

/* How many there are. */
size_t keys_count(const struct keys *k);

/* For keys.c and jwks.c: takes a key over; `id` "" for one without. 0, or -1 with `error` filled.
 */
int keys_add(struct keys *k, struct slice id, struct key *key, char *error, size_t size) MUST_CHECK;
/* jwks.c: adds the keys of a JWK Set. */
int keys_add_set(struct keys *k, struct slice text, char *error, size_t size) MUST_CHECK;

/* The keys that a token with that `kid` (empty: it has none) and that algorithm can be signed with,
 * one after the other; `*at` is 0 at first. NULL: no more. */
const struct key *keys_next(const struct keys *k, struct slice id, enum algorithm a, size_t *at);

/* The first key that can sign, with its id, or NULL. */
const struct key *keys_signer(const struct keys *k, const char **id);

/* [A-Za-z0-9._-]{1,64} */
bool keys_id_is_valid(struct slice id);

#endif
