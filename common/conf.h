/*
 * conf.h: settings from a table, an INI file and the environment.
 *
 * A service has one struct of settings and one table with a row per key. The
 * order of precedence is: default, file, environment (WARREN_<SECTION>_<KEY>,
 * upper case). A secret key `hmac_key` can also be given as `hmac_key_file`:
 * the file's contents without trailing white space. Unknown sections and keys
 * in the file, unknown WARREN_ variables and bad values are errors, each told
 * in one line that names file, line, key and what would be right. So are a key
 * that stands twice in the file and a secret that is given both ways in one place.
 * A comment starts with '#' or ';' at the start of a line, or with ';' after
 * white space. Indentation means nothing.
 *
 * Sections such as [room "support"] reach the service as rows of their own:
 * see conf_table.named.
 */
#ifndef WARREN_COMMON_CONF_H
#define WARREN_COMMON_CONF_H

#include "common/base.h"

enum conf_type {
    CONF_TEXT,     /* char *: owned by the struct, never NULL */
    CONF_SECRET,   /* char *: as text; never printed; also as <key>_file */
    CONF_NUMBER,   /* int64_t with bounds */
    CONF_SIZE,     /* int64_t bytes: 65536, 64k, 16m, 1g */
    CONF_DURATION, /* int64_t milliseconds: 500ms, 10s, 5m, 24h, 7d */
    CONF_BOOL,     /* bool: yes or no (true, false, on, off, 1, 0 too) */
};

struct conf_key {
    const char *section;
    const char *name;
    enum conf_type type;
    size_t offset;        /* of the field in the struct of settings */
    const char *fallback; /* the default, in the notation of the file */
    int64_t min, max;     /* numbers, sizes, durations: the bounds, in the unit of the field */
    const char *help;     /* one line for --help and the README */
};

struct conf_table {
    const struct conf_key *keys;
    size_t count;
    const char *const
        *foreign; /* sections of the other service, NULL-terminated: accepted and ignored */
    /* Called for each key of a section with a name, e.g. [room "support"]. 0, or -1 with a
     * message of at most `size` bytes in `error`. NULL: such sections are errors. */
    int (*named)(void *settings, const char *section, const char *name, const char *key,
                 const char *value, char *error, size_t size);
};

/* Fills `settings` (zeroed by the caller): defaults, then `path` (may be NULL), then the
 * environment. 0, or -1 after writing one line to standard error and freeing the texts. */
int conf_load(const struct conf_table *table, const char *path, void *settings) MUST_CHECK;

/* Parses one value as the table's row says; used by conf_load and by `named`. 0 or -1 with `error`
 * filled. */
int conf_set(const struct conf_key *key, void *settings, const char *value, char *error,
             size_t size) MUST_CHECK;

/* For messages: appends a name behind a space to the text of `used` bytes in `names`, as far as
 * there is room. Returns the size then. */
size_t conf_add_name(char *names, size_t size, size_t used, const char *name);

/* Whether a setting of two structs is not the same. */
bool conf_differs(const struct conf_key *key, const void *a, const void *b);

/* Exchanges it. */
void conf_exchange(const struct conf_key *key, void *a, void *b);

/* The default of a key of the table, in the notation of the file. */
const char *conf_fallback(const struct conf_table *table, const char *section, const char *name);

/* Frees the texts. */
void conf_free(const struct conf_table *table, void *settings);

/* Prints the table for --help: section, key, default, help. Secrets show no value. */
void conf_print(const struct conf_table *table);

#endif
