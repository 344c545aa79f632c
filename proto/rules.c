/*
 * rules.c: a sorted table of namespaces.
 */
#include "proto/rules.h"

#include <stdio.h>

#include "common/log.h"
#include "common/mem.h"
#include "proto/room.h"

static const struct conf_key keys[] = {RULES_ROOM_ROWS(0)};

struct rules_name {
    char name[RULES_NAME_MAX + 1];
    size_t name_size;
    unsigned given; /* bits: which of `keys` its section has */
    struct rule rule;
};

/* The order of the table: bytes, then length. */
static int compare(const struct rules_name *n, struct slice name)
{
    int c = memcmp(n->name, name.at, MIN(n->name_size, name.size));

    return c != 0 ? c : (n->name_size > name.size) - (n->name_size < name.size);
}

/* Index of the first one that is not below `name`. */
static size_t lower_bound(const struct rules *r, struct slice name)
{
    size_t low = 0, high = r->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(&r->names[middle], name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct rules_name *find_name(const struct rules *r, struct slice name)
{
    size_t i = lower_bound(r, name);

    return i < r->count && compare(&r->names[i], name) == 0 ? &r->names[i] : NULL;
}

const struct rule *rules_find(const struct rules *r, struct slice room)
{
    if (r->count == 0 || room.size == 0) {
        return &r->defaults;
    }
    const char *colon = memchr(room.at, ':', room.size);
    struct slice name = {room.at, colon != NULL ? (size_t)(colon - room.at) : room.size};
    const struct rules_name *found = find_name(r, name);

    return found != NULL ? &found->rule : &r->defaults;
}

/* The place of a namespace in the table, made if there was none; NULL: the table is full. */
static struct rules_name *get_name(struct rules *r, struct slice name)
{
    size_t i = lower_bound(r, name);

    if (i < r->count && compare(&r->names[i], name) == 0) {
        return &r->names[i];
    }
    if (r->count == RULES_NAMES_MAX) {
        return NULL;
    }
    if (r->names == NULL) {
        r->names = mem_zalloc(RULES_NAMES_MAX, sizeof(r->names[0]));
    }
    memmove(&r->names[i + 1], &r->names[i], (r->count - i) * sizeof(r->names[0]));
    r->count++;
    r->names[i] = (struct rules_name){.name_size = name.size};
    memcpy(r->names[i].name, name.at, name.size);
    return &r->names[i];
}

static bool is_separator(char c)
{
    return c == ' ' || c == ',' || c == '\t';
}

/* "*" and "none" stand alone; else there is a role at least. */
static bool is_who(const char *rule)
{
    size_t words = 0;
    bool is_alone = false;

    while (*rule != '\0') {
        const char *start = rule;

        while (*rule != '\0' && !is_separator(*rule)) {
            rule++;
        }
        struct slice word = {start, (size_t)(rule - start)};
        words += word.size > 0;
        is_alone =
            is_alone || slice_equal(word, SLICE_LIT("*")) || slice_equal(word, SLICE_LIT("none"));
        rule += *rule != '\0';
    }
    return words == 1 || (words > 1 && !is_alone);
}

/* Says what a value that names people has to be. 0 or -1. */
static int check_who(const char *where, const char *value, char *error, size_t size)
{
    if (is_who(value)) {
        return 0;
    }
    (void)snprintf(error, size,
                   "%smust be * or none, or roles separated by spaces or commas, not %s", where,
                   log_quote(value, strlen(value)));
    return -1;
}

static int unknown_key(char *error, size_t size)
{
    char names[RULES_ERROR_SIZE / 2] = "";

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        size_t used = strlen(names);
        (void)snprintf(names + used, sizeof(names) - used, " %s", keys[i].name);
    }
    (void)snprintf(error, size, "unknown key of a namespace; there are:%s", names);
    return -1;
}

static int bad_name(char *error, size_t size)
{
    (void)snprintf(error, size,
                   "a namespace is 1 to %d characters that a room can have, without ':'",
                   RULES_NAME_MAX);
    return -1;
}

int rules_set(struct rules *r, const char *section, const char *name, const char *key,
              const char *value, char *error, size_t size)
{
    struct slice n = slice_of(name);
    size_t i = 0;

    if (strcmp(section, "room") != 0) {
        (void)snprintf(error, size, "only [room \"NAME\"] can have a name");
        return -1;
    }
    if (n.size > RULES_NAME_MAX || !room_is_valid(n) || strchr(name, ':') != NULL) {
        return bad_name(error, size);
    }
    while (i < ARRAY_LEN(keys) && strcmp(keys[i].name, key) != 0) {
        i++;
    }
    if (i == ARRAY_LEN(keys)) {
        return unknown_key(error, size);
    }
    if (keys[i].type == CONF_TEXT && check_who("", value, error, size) < 0) {
        return -1;
    }
    struct rules_name *of = get_name(r, n);
    if (of == NULL) {
        (void)snprintf(error, size, "at most %d namespaces", RULES_NAMES_MAX);
        return -1;
    }
    if ((of->given & 1u << i) != 0) {
        (void)snprintf(error, size, "is given twice");
        return -1;
    }
    if (conf_set(&keys[i], &of->rule, value, error, size) < 0) {
        return -1;
    }
    of->given |= 1u << i;
    return 0;
}

/* A namespace gets one value of the defaults. */
static void inherit(struct rule *to, const struct rule *from, const struct conf_key *key)
{
    void *field = (char *)to + key->offset;
    const void *value = (const char *)from + key->offset;

    if (key->type == CONF_TEXT) {
        const char *text = *(char *const *)value;
        *(char **)field = mem_copy_text(text, strlen(text));
    } else if (key->type == CONF_BOOL) {
        *(bool *)field = *(const bool *)value;
    } else {
        *(int64_t *)field = *(const int64_t *)value;
    }
}

int rules_settle(struct rules *r, char *error, size_t size)
{
    if (check_who("[room] subscribe: ", r->defaults.subscribe, error, size) < 0 ||
        check_who("[room] publish: ", r->defaults.publish, error, size) < 0) {
        return -1;
    }
    for (size_t n = 0; n < r->count; n++) {
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            if ((r->names[n].given & 1u << i) == 0) {
                inherit(&r->names[n].rule, &r->defaults, &keys[i]);
            }
        }
    }
    return 0;
}

int64_t rules_history_ttl_min_ms(const struct rules *r)
{
    int64_t min = r->defaults.history_ttl_ms;

    for (size_t n = 0; n < r->count; n++) {
        min = MIN(min, r->names[n].rule.history_ttl_ms);
    }
    return min;
}

void rules_deinit(struct rules *r)
{
    for (size_t n = 0; n < r->count; n++) {
        mem_free(r->names[n].rule.subscribe);
        mem_free(r->names[n].rule.publish);
    }
    mem_free(r->names);
    r->names = NULL;
    r->count = 0;
}
