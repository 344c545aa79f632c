/*
 * conf.c: where settings come from: defaults, then a file, then the environment.
 *
 * inih reads the lines, but keeps only 200 bytes of each and does not tell line
 * numbers. So it gets them from a reader of ours, which counts them, and the value
 * of a longer line is taken from the line itself.
 */
#include "common/conf.h"

#include <ctype.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

#define CONF_FILE_MAX (1 << 20)   /* bytes of the INI file */
#define CONF_SECRET_MAX (1 << 16) /* bytes of a secret's file */
#define CONF_SECTION_MAX 48       /* bytes; inih cuts a longer name after 49 without a word */
#define CONF_ERROR_SIZE 1024      /* bytes of a message */
#define CONF_VARIABLE_PREFIX "WARREN_"

/* How a key was given in the file, or in the environment. */
enum given { GIVEN_PLAINLY = 1, GIVEN_BY_FILE = 2 };

struct load {
    const struct conf_table *table; /* borrowed */
    void *settings;                 /* borrowed */
    const char *path;               /* borrowed; of the INI file */
    uint8_t *given;                 /* owns; enum given, for each key of the table */

    const char *next, *end; /* what the reader has not handed out */
    struct slice line;      /* the last one it has */
    int line_number;        /* from 1 */
    bool is_cut;            /* inih saw only the start of it */

    int error_line;              /* of the first error; 0 in the environment */
    char error[CONF_ERROR_SIZE]; /* "" while there is none */
};

/* Keeps the first error. Returns -1. */
static int PRINTF_LIKE(2, 3) fail(struct load *l, const char *format, ...)
{
    if (l->error[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(l->error, sizeof(l->error), format, args);
        va_end(args);
        l->error_line = l->line_number;
    }
    return -1;
}

/* A secret is in the file `path`, without the white space at its end. */
static int set_from_file(struct load *l, const char *where, const struct conf_key *key,
                         const char *path)
{
    struct buf contents = BUF_EMPTY;
    const char *reason = NULL;
    char why[CONF_ERROR_SIZE / 2];
    int r = file_read(path, CONF_SECRET_MAX, &contents, &reason);

    if (r < 0) {
        fail(l, "%s: file %s %s", where, log_quote(path, strlen(path)), reason);
    } else {
        while (contents.size > 0 && isspace((unsigned char)contents.at[contents.size - 1])) {
            contents.size--;
        }
        buf_add_char(&contents, '\0');
        r = conf_set(key, l->settings, contents.at, why, sizeof(why));
        assert(r == 0); /* any text is a secret */
        explicit_bzero(contents.at, contents.size);
    }
    buf_deinit(&contents);
    return r;
}

/* Sets key number `index`; `where` begins the message. */
static int set_key(struct load *l, const char *where, size_t index, enum given how,
                   const char *value)
{
    const struct conf_key *key = &l->table->keys[index];
    char why[CONF_ERROR_SIZE / 2];

    if (l->given[index] & how) {
        return fail(l, "%s: is given twice", where);
    }
    l->given[index] = (uint8_t)(l->given[index] | how);
    if (l->given[index] == (GIVEN_PLAINLY | GIVEN_BY_FILE)) {
        return fail(l, "%s: give either %s or %s_file, not both", where, key->name, key->name);
    }
    if (how == GIVEN_BY_FILE) {
        return set_from_file(l, where, key, value);
    }
    if (conf_set(key, l->settings, value, why, sizeof(why)) < 0) {
        return fail(l, "%s: %s", where, why);
    }
    return 0;
}

/* Most names of the table differ from a given one in their first letter. */
static bool is_same(const char *a, const char *b)
{
    return *a == *b && strcmp(a, b) == 0;
}

static bool is_foreign(const struct conf_table *t, const char *section, size_t size)
{
    for (const char *const *f = t->foreign; f != NULL && *f != NULL; f++) {
        if (strlen(*f) == size && memcmp(*f, section, size) == 0) {
            return true;
        }
    }
    return false;
}

/* True if `given` is "<name>_file" of a secret. */
static bool is_file_of(const struct conf_key *key, const char *given)
{
    size_t size = strlen(key->name);
    return key->type == CONF_SECRET && strncmp(given, key->name, size) == 0 &&
           strcmp(given + size, "_file") == 0;
}

/* Says what there is instead of a key or section that there is not. */
static int fail_unknown(struct load *l, const char *where, const char *section)
{
    char names[CONF_ERROR_SIZE / 2] = "";
    const struct conf_table *t = l->table;
    const char *last = "";
    bool is_section = false;
    size_t used = 0;

    for (size_t i = 0; i < t->count; i++) {
        is_section |= is_same(t->keys[i].section, section);
    }
    for (size_t i = 0; i < t->count; i++) {
        const struct conf_key *k = &t->keys[i];
        if (is_section && is_same(k->section, section)) {
            used = conf_add_name(names, sizeof(names), used, k->name);
        } else if (!is_section && strcmp(k->section, last) != 0) {
            char shown[CONF_SECTION_MAX + 3];

            snprintf(shown, sizeof(shown), "[%s]", k->section);
            used = conf_add_name(names, sizeof(names), used, shown);
            last = k->section;
        }
    }
    return fail(l, "%s: unknown %s; there are:%s", where, is_section ? "key" : "section", names);
}

/* [room "support"]: gives the key to the service. */
static int set_named(struct load *l, const char *where, const char *section, const char *quote,
                     const char *key, const char *value)
{
    char base[CONF_SECTION_MAX + 1], name[CONF_SECTION_MAX + 1];
    char why[CONF_ERROR_SIZE / 2] = "not possible";
    size_t base_size = (size_t)(quote - section), name_size = strlen(quote + 1);

    while (base_size > 0 && isspace((unsigned char)section[base_size - 1])) {
        base_size--;
    }
    if (name_size < 2 || quote[name_size] != '"' || memchr(quote + 1, '"', name_size - 1) != NULL) {
        return fail(l, "%s: a section with a name looks like [room \"support\"]", where);
    }
    if (is_foreign(l->table, section, base_size)) {
        return 0;
    }
    if (l->table->named == NULL) {
        return fail(l, "%s: unknown section", where);
    }
    snprintf(base, sizeof(base), "%.*s", (int)base_size, section);
    snprintf(name, sizeof(name), "%.*s", (int)(name_size - 1), quote + 1);
    if (l->table->named(l->settings, base, name, key, value, why, sizeof(why)) != 0) {
        return fail(l, "%s: %s", where, why);
    }
    return 0;
}

/* One line of the file. */
static int set_in_file(struct load *l, const char *section, const char *name, const char *value)
{
    char where[CONF_ERROR_SIZE / 2];
    const struct conf_table *t = l->table;

    snprintf(where, sizeof(where), "[%.60s] %.80s", section, name);
    if (strlen(section) > CONF_SECTION_MAX) {
        return fail(l, "%s: a section's name has at most %d bytes", where, CONF_SECTION_MAX);
    }
    const char *quote = strchr(section, '"');
    if (quote != NULL) {
        return set_named(l, where, section, quote, name, value);
    }
    if (is_foreign(t, section, strlen(section))) {
        return 0;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (is_same(t->keys[i].name, name) && is_same(t->keys[i].section, section)) {
            return set_key(l, where, i, GIVEN_PLAINLY, value);
        }
    }
    for (size_t i = 0; i < t->count; i++) {
        if (is_file_of(&t->keys[i], name) && is_same(t->keys[i].section, section)) {
            return set_key(l, where, i, GIVEN_BY_FILE, value);
        }
    }
    return fail_unknown(l, where, section);
}

/* The value of the line, as inih would give it if it had seen it whole. */
static struct slice value_of(struct slice line)
{
    const char *end = line.at + line.size;
    const char *at = line.at;

    while (at < end && *at != '=' && *at != ':') {
        at++;
    }
    at = MIN(at + 1, end);
    for (const char *c = at; c < end; c++) { /* white space and a semicolon begin a comment */
        if (*c == ';' && isspace((unsigned char)c[-1])) {
            end = c;
        }
    }
    while (at < end && isspace((unsigned char)*at)) {
        at++;
    }
    while (at < end && isspace((unsigned char)end[-1])) {
        end--;
    }
    return (struct slice){at, (size_t)(end - at)};
}

/* Called by inih. 1, or 0 for an error. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
    struct load *l = user;

    if (!l->is_cut) {
        return set_in_file(l, section, name, value) == 0;
    }
    struct slice s = value_of(l->line);
    char *whole = mem_copy_text(s.at, s.size);
    int r = set_in_file(l, section, name, whole);
    mem_free(whole);
    return r == 0;
}

/* Gives inih one line, as fgets() would: without what goes over `room`, and without indentation,
 * which to inih would mean that the line before goes on. */
static char *next_line(char *line, int room, void *user)
{
    struct load *l = user;

    if (l->next == l->end) {
        return NULL;
    }
    const char *stop = memchr(l->next, '\n', (size_t)(l->end - l->next));
    const char *end = stop != NULL ? stop : l->end;
    const char *at = l->next;
    while (at < end && isspace((unsigned char)*at)) {
        at++;
    }
    l->next = stop != NULL ? stop + 1 : l->end;
    l->line = (struct slice){at, (size_t)(end - at)};
    l->line_number++;

    size_t size = MIN(l->line.size, (size_t)room - 2);
    l->is_cut = size < l->line.size;
    memcpy(line, at, size);
    line[size] = '\n';
    line[size + 1] = '\0';
    return line;
}

static int load_file(struct load *l)
{
    struct buf contents = BUF_EMPTY;
    const char *reason = NULL;

    if (file_read(l->path, CONF_FILE_MAX, &contents, &reason) < 0) {
        fail(l, "%s", reason);
    } else if (contents.size > 0) {
        l->next = contents.at;
        l->end = contents.at + contents.size;
        int line = ini_parse_stream(next_line, l, on_setting, l);
        if (line != 0 && line != l->error_line) { /* its own complaint came before ours */
            snprintf(l->error, sizeof(l->error), "neither [section] nor key = value nor comment");
            l->error_line = line;
        }
    }
    if (contents.size > 0) {
        explicit_bzero(contents.at, contents.size); /* it may hold secrets */
    }
    buf_deinit(&contents);
    if (l->error[0] == '\0') {
        return 0;
    }
    if (l->error_line > 0) {
        fprintf(stderr, "%s:%d: %s\n", l->path, l->error_line, l->error);
    } else {
        fprintf(stderr, "%s: %s\n", l->path, l->error);
    }
    return -1;
}

/* If `text` begins with the upper-case form of `lower` and then '_' or the end: what follows. */
static const char *skip_upper(const char *text, const char *lower)
{
    for (; *lower != '\0'; text++, lower++) {
        if (*text != toupper((unsigned char)*lower)) {
            return NULL;
        }
    }
    return *text == '\0' ? text : *text == '_' ? text + 1 : NULL;
}

static bool is_foreign_variable(const struct conf_table *t, const char *name)
{
    for (const char *const *f = t->foreign; f != NULL && *f != NULL; f++) {
        const char *rest = skip_upper(name, *f);
        if (rest != NULL && *rest != '\0') {
            return true;
        }
    }
    return false;
}

/* `name` without WARREN_. Index in the table, or -1. */
static int find_variable(const struct conf_table *t, const char *name, enum given *how)
{
    int found = -1;

    for (size_t i = 0; i < t->count; i++) {
        const struct conf_key *key = &t->keys[i];
        const char *rest = skip_upper(name, key->section);
        rest = rest != NULL ? skip_upper(rest, key->name) : NULL;
        if (rest != NULL && *rest == '\0') {
            *how = GIVEN_PLAINLY;
            return (int)i; /* a key of its own wins over a secret's file */
        }
        if (rest != NULL && key->type == CONF_SECRET && strcmp(rest, "FILE") == 0) {
            *how = GIVEN_BY_FILE;
            found = (int)i;
        }
    }
    return found;
}

static int set_in_environment(struct load *l, const char *entry)
{
    char variable[CONF_ERROR_SIZE / 4];
    const char *equals = strchr(entry, '=');
    size_t size = equals != NULL ? (size_t)(equals - entry) : strlen(entry);
    enum given how = GIVEN_PLAINLY;

    if (size >= sizeof(variable)) {
        return fail(l, "%.80s...: unknown variable", entry);
    }
    memcpy(variable, entry, size);
    variable[size] = '\0';
    int index = find_variable(l->table, variable + strlen(CONF_VARIABLE_PREFIX), &how);
    if (index >= 0) {
        return set_key(l, variable, (size_t)index, how, equals != NULL ? equals + 1 : "");
    }
    if (is_foreign_variable(l->table, variable + strlen(CONF_VARIABLE_PREFIX))) {
        return 0;
    }
    return fail(l, "%s: unknown variable; a setting's is WARREN_<SECTION>_<KEY>", variable);
}

static int load_environment(struct load *l)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, CONF_VARIABLE_PREFIX, strlen(CONF_VARIABLE_PREFIX)) == 0 &&
            set_in_environment(l, *entry) < 0) {
            fprintf(stderr, "%s\n", l->error);
            return -1;
        }
    }
    return 0;
}

static void load_defaults(const struct conf_table *t, void *settings)
{
    char why[CONF_ERROR_SIZE];

    for (size_t i = 0; i < t->count; i++) {
        int r = conf_set(&t->keys[i], settings, t->keys[i].fallback, why, sizeof(why));
        assert(r == 0); /* a default that its own row forbids */
    }
}

int conf_load(const struct conf_table *table, const char *path, void *settings)
{
    struct load l = {.table = table, .settings = settings, .path = path};
    int r = 0;

    load_defaults(table, settings);
    l.given = mem_zalloc(table->count, sizeof(*l.given));
    if (path != NULL) {
        r = load_file(&l);
    }
    if (r == 0) {
        l.line_number = 0;
        memset(l.given, 0, table->count * sizeof(*l.given)); /* a variable may replace a key */
        r = load_environment(&l);
    }
    mem_free(l.given);
    if (r < 0) {
        conf_free(table, settings);
    }
    return r;
}

const char *conf_fallback(const struct conf_table *table, const char *section, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct conf_key *key = &table->keys[i];

        if (strcmp(key->section, section) == 0 && strcmp(key->name, name) == 0) {
            return key->fallback;
        }
    }
    assert(false);
    return "";
}

void conf_free(const struct conf_table *table, void *settings)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct conf_key *key = &table->keys[i];
        if (key->type == CONF_TEXT || key->type == CONF_SECRET) {
            char **field = (char **)(void *)((char *)settings + key->offset);
            mem_free(*field);
            *field = NULL;
        }
    }
}

void conf_print(const struct conf_table *table)
{
    const char *section = "";

    for (size_t i = 0; i < table->count; i++) {
        const struct conf_key *key = &table->keys[i];
        if (strcmp(section, key->section) != 0) {
            section = key->section;
            printf("%s[%s]\n", i > 0 ? "\n" : "", section);
        }
        const char *shown = key->type == CONF_SECRET ? "(secret)" : key->fallback;
        printf("  %-20s %-24s  %s\n", key->name, shown, key->help);
    }
}
