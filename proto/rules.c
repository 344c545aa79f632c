/*
 * rules.c: a sorted table of namespaces.
 */
#include "proto/rules.h"

#include <stdio.h>

#include "common/log.h"
#include "common/mem.h"
#include "proto/room.h"
#include "proto/who.h"

#define NAMES_FIRST 4 /* namespaces that the table begins with; a power of two */

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

/* Room for one more: the table doubles when it is full, from NAMES_FIRST on. */
static void make_room(struct rules *r)
{
    bool is_full = r->count >= NAMES_FIRST && (r->count & (r->count - 1)) == 0;

    if (r->names == NULL || is_full) {
        size_t capacity = MAX(r->count * 2, (size_t)NAMES_FIRST);
        r->names = mem_realloc(r->names, capacity * sizeof(r->names[0]));
    }
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
    make_room(r);
    memmove(&r->names[i + 1], &r->names[i], (r->count - i) * sizeof(r->names[0]));
    r->count++;
    r->names[i] = (struct rules_name){.name_size = name.size};
    memcpy(r->names[i].name, name.at, name.size);
    return &r->names[i];
}

static bool is_audience(const char *value)
{
    return strcmp(value, "everyone") == 0 || strcmp(value, "payload") == 0 || who_is_roles(value);
}

static bool is_fate(const char *value)
{
    return strcmp(value, "hidden") == 0 || strcmp(value, "refused") == 0;
}

static const struct {
    struct slice word;
    enum rule_tells bit;
} tellings[] = {
    {{"record", 6}, RULE_TELLS_RECORD},
    {{"join", 4}, RULE_TELLS_JOIN},
    {{"leave", 5}, RULE_TELLS_LEAVE},
};

/* The bits of a list of words. False: there is another word, or none. */
static bool read_tells(const char *value, unsigned *bits)
{
    static const char between[] = " \t,";

    *bits = 0;
    for (value += strspn(value, between); *value != '\0'; value += strspn(value, between)) {
        struct slice word = {value, strcspn(value, between)};
        size_t i = 0;

        while (i < ARRAY_LEN(tellings) && !slice_equal(word, tellings[i].word)) {
            i++;
        }
        if (i == ARRAY_LEN(tellings)) {
            return false;
        }
        *bits |= tellings[i].bit;
        value += word.size;
    }
    return *bits != 0;
}

static bool is_events(const char *value)
{
    unsigned bits;

    return strcmp(value, "none") == 0 || read_tells(value, &bits);
}

/* What the text of each key may be. */
static const struct text_kind {
    const char *key;
    bool (*is_good)(const char *value);
    const char *words;
} text_kinds[] = {
    {"audience", is_audience, "everyone or payload, or roles separated by spaces or commas"},
    {"moderators", who_is_roles, "none, or roles separated by spaces or commas"},
    {"events", is_events, "none, or some of record, join, leave"},
    {"muted", is_fate, "hidden or refused"},
    {"", who_is_valid, "* or none, or roles separated by spaces or commas"},
};

/* Says what a value that names people has to be. 0 or -1. */
static int check_text(const char *where, const char *key, const char *value, char *error,
                      size_t size)
{
    const struct text_kind *kind = text_kinds;

    while (kind->key[0] != '\0' && strcmp(kind->key, key) != 0) {
        kind++;
    }
    if (kind->is_good(value)) {
        return 0;
    }
    (void)snprintf(error, size, "%smust be %s, not %s", where, kind->words,
                   log_quote(value, strlen(value)));
    return -1;
}

static int unknown_key(char *error, size_t size)
{
    char names[RULES_ERROR_SIZE - 64] = "";
    size_t used = 0;

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        used = conf_add_name(names, sizeof(names), used, keys[i].name);
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
    if (keys[i].type == CONF_TEXT && check_text("", key, value, error, size) < 0) {
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

static char **text_at(struct rule *rule, const struct conf_key *key)
{
    return (char **)(void *)((char *)rule + key->offset);
}

/* What the texts of a rule come to. */
static void resolve(struct rule *rule)
{
    rule->audience_kind = strcmp(rule->audience, "everyone") == 0  ? RULE_EVERYONE
                          : strcmp(rule->audience, "payload") == 0 ? RULE_PAYLOAD
                                                                   : RULE_ROLES;
    if (!read_tells(rule->events, &rule->tells)) {
        rule->tells = 0; /* none */
    }
    rule->refuses_muted = strcmp(rule->muted, "refused") == 0;
    rule->narrows =
        rule->audience_kind != RULE_EVERYONE || !rule->echo || strcmp(rule->hidden, "none") != 0;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char *text = keys[i].type == CONF_TEXT ? who_rewrite(*text_at(rule, &keys[i])) : NULL;

        if (text != NULL) {
            mem_free(*text_at(rule, &keys[i]));
            *text_at(rule, &keys[i]) = text;
        }
    }
}

int rules_settle(struct rules *r, char *error, size_t size)
{
    char where[RULES_NAME_MAX];

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        (void)snprintf(where, sizeof(where), "[room] %s: ", keys[i].name);
        if (keys[i].type == CONF_TEXT &&
            check_text(where, keys[i].name, *text_at(&r->defaults, &keys[i]), error, size) < 0) {
            return -1;
        }
    }
    resolve(&r->defaults);
    for (size_t n = 0; n < r->count; n++) {
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            if ((r->names[n].given & 1u << i) == 0) {
                inherit(&r->names[n].rule, &r->defaults, &keys[i]);
            }
        }
        resolve(&r->names[n].rule);
    }
    return 0;
}

static bool asks(const struct rule *rule, enum rules_ask what)
{
    return what == RULES_ASK_SUBSCRIBE ? rule->hook_subscribe : rule->hook_publish;
}

bool rules_any_asks(const struct rules *r, enum rules_ask what)
{
    bool any = asks(&r->defaults, what);

    for (size_t n = 0; n < r->count && !any; n++) {
        any = asks(&r->names[n].rule, what);
    }
    return any;
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
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            if (keys[i].type == CONF_TEXT) {
                mem_free(*text_at(&r->names[n].rule, &keys[i]));
            }
        }
    }
    mem_free(r->names);
    r->names = NULL;
    r->count = 0;
}
