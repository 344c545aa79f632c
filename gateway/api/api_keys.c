/*
 * api_keys.c: see api_keys.h.
 */
#include "gateway/api/api_keys.h"

#include <stdio.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

static const char separators[] = " ,\t";

/* The contents of a file without the white space at its end; NULL with a reason. */
static char *read_file(const char *path, const char **reason)
{
    struct buf text = BUF_EMPTY;
    char *copy = NULL;

    if (file_read(path, API_KEY_FILE_MAX - 1, &text, reason) == 0) {
        while (text.size > 0 && strchr(" \t\r\n", text.at[text.size - 1]) != NULL) {
            text.size--;
        }
        copy = mem_copy_text(text.size > 0 ? text.at : "", text.size);
    }
    if (text.size > 0) {
        explicit_bzero(text.at, text.size);
    }
    buf_deinit(&text);
    return copy;
}

static struct api_key *get(struct api_keys *k, const char *name)
{
    for (size_t i = 0; i < k->count; i++) {
        if (strcmp(k->of[i].name, name) == 0) {
            return &k->of[i];
        }
    }
    if (k->count == API_KEY_SECTIONS) {
        return NULL;
    }
    snprintf(k->of[k->count].name, sizeof(k->of[0].name), "%s", name);
    return &k->of[k->count++];
}

int api_keys_set(struct api_keys *k, const char *name, const char *key, const char *value,
                 char *error, size_t size)
{
    const char *reason = NULL;

    if (strlen(name) > API_KEY_NAME_MAX) {
        (void)snprintf(error, size, "the name is too long");
        return -1;
    }
    struct api_key *of = get(k, name);
    if (of == NULL) {
        (void)snprintf(error, size, "at most %d sections [api \"NAME\"]", API_KEY_SECTIONS);
        return -1;
    }
    bool is_allow = strcmp(key, "allow") == 0, is_file = strcmp(key, "key_file") == 0;
    if (!is_allow && !is_file && strcmp(key, "key") != 0) {
        (void)snprintf(error, size, "unknown key of an API key; there are: key key_file allow");
        return -1;
    }
    char **field = is_allow ? &of->allow : &of->key;
    if (*field != NULL) {
        (void)snprintf(error, size, "is given twice");
        return -1;
    }
    *field = is_file ? read_file(value, &reason) : mem_copy_text(value, strlen(value));
    if (*field == NULL) {
        (void)snprintf(error, size, "file %s %s", log_quote(value, strlen(value)), reason);
        return -1;
    }
    return 0;
}

/* The next word of a list; false at its end. */
static bool next_word(const char **list, struct slice *word)
{
    *list += strspn(*list, separators);
    *word = (struct slice){*list, strcspn(*list, separators)};
    *list += word->size;
    return word->size > 0;
}

static int check_one(const struct api_key *of, bool (*is_method)(struct slice name), char *error,
                     size_t size)
{
    struct slice word;

    if (of->key == NULL || strlen(of->key) < API_KEY_MIN) {
        (void)snprintf(error, size, "[api \"%s\"] key: at least %d bytes", of->name, API_KEY_MIN);
        return -1;
    }
    for (const char *list = of->allow != NULL ? of->allow : ""; next_word(&list, &word);) {
        if (!slice_equal(word, SLICE_LIT("*")) && !is_method(word)) {
            (void)snprintf(error, size, "[api \"%s\"] allow: there is no method %s", of->name,
                           log_quote(word.at, word.size));
            return -1;
        }
    }
    return 0;
}

int api_keys_check(const struct api_keys *k, const char *main_key,
                   bool (*is_method)(struct slice name), char *error, size_t size)
{
    if (main_key[0] != '\0' && strlen(main_key) < API_KEY_MIN) {
        (void)snprintf(error, size, "[api] key: at least %d bytes", API_KEY_MIN);
        return -1;
    }
    for (size_t i = 0; i < k->count; i++) {
        if (check_one(&k->of[i], is_method, error, size) != 0) {
            return -1;
        }
    }
    return 0;
}

void api_keys_deinit(struct api_keys *k)
{
    for (size_t i = 0; i < k->count; i++) {
        mem_free(k->of[i].key);
        mem_free(k->of[i].allow);
    }
    *k = (struct api_keys){.count = 0};
}

/* Looks at every byte of what is presented, whatever the key is. */
static bool is_key(const char *key, struct slice presented)
{
    size_t size = strlen(key);
    unsigned difference = size != presented.size;

    for (size_t i = 0; i < presented.size; i++) {
        difference |= (unsigned char)presented.at[i] ^ (unsigned char)key[size > 0 ? i % size : 0];
    }
    return size > 0 && difference == 0;
}

const char *api_keys_find(const struct api_keys *k, const char *main_key, struct slice presented)
{
    const char *found = is_key(main_key, presented) ? "*" : NULL;

    for (size_t i = 0; i < k->count; i++) { /* all of them, for the time it takes */
        if (is_key(k->of[i].key, presented) && found == NULL) {
            found = k->of[i].allow != NULL ? k->of[i].allow : "";
        }
    }
    return found;
}

bool api_keys_allow(const char *allow, struct slice method)
{
    struct slice word;

    while (next_word(&allow, &word)) {
        if (slice_equal(word, SLICE_LIT("*")) || slice_equal(word, method)) {
            return true;
        }
    }
    return false;
}
