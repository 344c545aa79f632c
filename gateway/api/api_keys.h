/*
 * api_keys.h: who may use the API, and what of it.
 *
 * [api] key may do everything; [api "NAME"] has a key (or key_file) and `allow`,
 * the names of methods between spaces or commas, or *. Keys are compared in a time
 * that depends on what is presented only.
 */
#ifndef WARREN_GATEWAY_API_API_KEYS_H
#define WARREN_GATEWAY_API_API_KEYS_H

#include "common/base.h"

#define API_KEY_MIN 16      /* bytes */
#define API_KEY_SECTIONS 64 /* sections [api "NAME"] */
#define API_KEY_NAME_MAX 40 /* bytes */
#define API_KEY_FILE_MAX 4096

struct api_key {
    char name[API_KEY_NAME_MAX + 1];
    char *key, *allow; /* owned; NULL: not given */
};

struct api_keys {
    struct api_key of[API_KEY_SECTIONS];
    size_t count;
};

/* A key of a section [api "name"]. 0, or -1 with `error` filled. */
int api_keys_set(struct api_keys *k, const char *name, const char *key, const char *value,
                 char *error, size_t size) MUST_CHECK;

/* All is read. `is_method` says what can be allowed. 0, or -1 with `error` filled. */
int api_keys_check(const struct api_keys *k, const char *main_key,
                   bool (*is_method)(struct slice name), char *error, size_t size) MUST_CHECK;

/* Frees the texts. */
void api_keys_deinit(struct api_keys *k);

/* What this key may do: "*" or names; NULL: nobody has such a key. */
const char *api_keys_find(const struct api_keys *k, const char *main_key, struct slice presented);

/* Whether a list names a method. */
bool api_keys_allow(const char *allow, struct slice method);

#endif
