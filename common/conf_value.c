/*
 * conf_value.c: the text of one setting becomes the value of its field.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/mem.h"

/* Ends with a row without a suffix. Largest factor first. */
struct unit {
    const char *suffix;
    int64_t factor;
};

static const struct unit plain[] = {
    {NULL, 0},
};
static const struct unit bytes[] = {
    {"g", INT64_C(1) << 30},
    {"m", INT64_C(1) << 20},
    {"k", INT64_C(1) << 10},
    {NULL, 0},
};
static const struct unit milliseconds[] = {
    {"d", INT64_C(86400000)}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

static const struct unit *units_of(enum conf_type type)
{
    switch (type) {
    case CONF_SIZE:
        return bytes;
    case CONF_DURATION:
        return milliseconds;
    case CONF_NUMBER:
    case CONF_TEXT:
    case CONF_SECRET:
    case CONF_BOOL:
        return plain;
    }
    assert(false);
    return plain;
}

/* 0 for an unknown suffix. */
static int64_t factor_of(enum conf_type type, const char *suffix, int64_t number)
{
    if (*suffix == '\0') {
        return type != CONF_DURATION || number == 0; /* "10" of what? */
    }
    for (const struct unit *u = units_of(type); u->suffix != NULL; u++) {
        if (strcasecmp(u->suffix, suffix) == 0) {
            return u->factor;
        }
    }
    return 0;
}

/* False: no whole number with a unit of its type, or too large for 63 bits. */
static bool read_number(enum conf_type type, const char *text, int64_t *value)
{
    bool is_negative = *text == '-';
    int64_t number = 0;

    text += is_negative;
    if (*text < '0' || *text > '9') {
        return false;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *text - '0', &number)) {
            return false;
        }
    }
    int64_t factor = factor_of(type, text, number);
    if (factor == 0 || __builtin_mul_overflow(number, factor, value)) {
        return false;
    }
    *value = is_negative ? -*value : *value;
    return true;
}

/* A bound in the largest unit that shows it whole. */
static const char *show_number(enum conf_type type, int64_t value, char *text, size_t size)
{
    for (const struct unit *u = units_of(type); u->suffix != NULL; u++) {
        if (value != 0 && value % u->factor == 0) {
            snprintf(text, size, "%" PRId64 "%s", value / u->factor, u->suffix);
            return text;
        }
    }
    snprintf(text, size, "%" PRId64, value);
    return text;
}

static int set_number(const struct conf_key *key, int64_t *field, const char *value, char *error,
                      size_t size)
{
    static const char *const kinds[] = {
        [CONF_NUMBER] = "a number",
        [CONF_SIZE] = "a size such as 64k, 16m or 1g",
        [CONF_DURATION] = "a duration such as 500ms, 10s, 5m, 24h or 7d",
    };
    int64_t number;
    char min[32], max[32];

    assert(key->min <= key->max);
    if (read_number(key->type, value, &number) && number >= key->min && number <= key->max) {
        *field = number;
        return 0;
    }
    snprintf(error, size, "must be %s from %s to %s, not %s", kinds[key->type],
             show_number(key->type, key->min, min, sizeof(min)),
             show_number(key->type, key->max, max, sizeof(max)), log_quote(value, strlen(value)));
    return -1;
}

static int set_bool(bool *field, const char *value, char *error, size_t size)
{
    static const struct {
        const char *word;
        bool is_true;
    } words[] = {
        {"yes", true}, {"no", false},  {"true", true}, {"false", false},
        {"on", true},  {"off", false}, {"1", true},    {"0", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcasecmp(words[i].word, value) == 0) {
            *field = words[i].is_true;
            return 0;
        }
    }
    snprintf(error, size, "must be yes or no, not %s", log_quote(value, strlen(value)));
    return -1;
}

static void set_text(char **field, const char *value)
{
    char *old = *field;
    *field = mem_copy_text(value, strlen(value));
    mem_free(old);
}

int conf_set(const struct conf_key *key, void *settings, const char *value, char *error,
             size_t size)
{
    void *field = (char *)settings + key->offset;

    switch (key->type) {
    case CONF_TEXT:
    case CONF_SECRET:
        set_text(field, value);
        return 0;
    case CONF_NUMBER:
    case CONF_SIZE:
    case CONF_DURATION:
        return set_number(key, field, value, error, size);
    case CONF_BOOL:
        return set_bool(field, value, error, size);
    }
    assert(false);
    return -1;
}

size_t conf_add_name(char *names, size_t size, size_t used, const char *name)
{
    assert(used < size);
    if (used + 1 < size) {
        names[used++] = ' ';
    }
    size_t more = MIN(strlen(name), size - used - 1);
    memcpy(names + used, name, more);
    names[used + more] = '\0';
    return used + more;
}

static size_t size_of(enum conf_type type)
{
    switch (type) {
    case CONF_TEXT:
    case CONF_SECRET:
        return sizeof(char *);
    case CONF_NUMBER:
    case CONF_SIZE:
    case CONF_DURATION:
        return sizeof(int64_t);
    case CONF_BOOL:
        return sizeof(bool);
    }
    assert(false);
    return 0;
}

bool conf_differs(const struct conf_key *key, const void *a, const void *b)
{
    const void *of_a = (const char *)a + key->offset, *of_b = (const char *)b + key->offset;

    if (key->type == CONF_TEXT || key->type == CONF_SECRET) {
        return strcmp(*(char *const *)of_a, *(char *const *)of_b) != 0;
    }
    return memcmp(of_a, of_b, size_of(key->type)) != 0;
}

void conf_exchange(const struct conf_key *key, void *a, void *b)
{
    char held[sizeof(int64_t)];
    size_t size = size_of(key->type);

    static_assert(sizeof(held) >= sizeof(char *), "any field fits");
    memcpy(held, (char *)a + key->offset, size);
    memcpy((char *)a + key->offset, (char *)b + key->offset, size);
    memcpy((char *)b + key->offset, held, size);
}
