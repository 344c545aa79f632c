/*
 * audience.c: see audience.h.
 */
#include "proto/audience.h"

#include "proto/json.h"
#include "proto/put.h"
#include "proto/scan.h"

#define TEXTS_SLACK 64 /* bytes that buf_addf() asks for beside what it writes */

/* Beside the names: the sender, twice a client, the framing. */
static_assert(AUDIENCE_WISH_MAX + 6 * USER_MAX + 2 * ID_MAX + 128 <= AUDIENCE_MAX,
              "an audience holds what was wished and the sender");

static const char *const words[AUDIENCE_RULES] = {
#define AUDIENCE(name, word, when) word,
#include "proto/audience.def"
};

const char *audience_word(enum audience_rule rule)
{
    assert(rule < AUDIENCE_RULES);
    return words[rule];
}

static enum audience_rule rule_of(struct slice word)
{
    size_t i = 0;

    while (i < AUDIENCE_RULES && !slice_equal(word, slice_of(words[i]))) {
        i++;
    }
    return (enum audience_rule)i;
}

bool audience_has(const struct audience_names *names, struct slice name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (slice_equal(names->at[i], name)) {
            return true;
        }
    }
    return false;
}

static bool scan_name(struct scan *s, size_t max, struct audience_names *out)
{
    struct slice *name = &out->at[out->count];

    if (out->count == AUDIENCE_NAMES_MAX || !scan_text(s, max, name) || name->size == 0) {
        return false;
    }
    out->count++;
    return true;
}

static bool scan_names(struct scan *s, size_t max, struct audience_names *out)
{
    out->count = 0;
    if (scan_peek(s) != '[') {
        return false;
    }
    s->at++;
    if (scan_peek(s) == ']') {
        s->at++;
        return true;
    }
    while (scan_name(s, max, out)) {
        char next = scan_peek(s);

        s->at += next != '\0';
        if (next == ']') {
            return true;
        }
        if (next != ',') {
            return false;
        }
    }
    return false;
}

bool audience_read_names(struct slice text, size_t max, struct audience_names *out)
{
    struct scan s = scan_of(text);

    return scan_names(&s, max, out) && scan_is_done(&s) && (s.faults & SCAN_REFUSED) == 0;
}

static bool scan_member(struct scan *s, struct slice key, struct audience *a)
{
    struct slice value;

    if (slice_equal(key, SLICE_LIT("roles"))) {
        return a->roles.count == 0 && scan_names(s, ROLE_MAX, &a->roles);
    }
    if (slice_equal(key, SLICE_LIT("users"))) {
        return a->users.count == 0 && scan_names(s, USER_MAX, &a->users);
    }
    if (slice_equal(key, SLICE_LIT("client"))) {
        return scan_plain(s, ID_MAX, &a->client);
    }
    if (slice_equal(key, SLICE_LIT("not"))) {
        return scan_plain(s, ID_MAX, &a->except);
    }
    if (slice_equal(key, SLICE_LIT("by"))) {
        if (!scan_plain(s, ID_MAX, &value)) {
            return false;
        }
        a->rule = rule_of(value);
        return true;
    }
    a->is_opaque = true;
    return scan_value(s, JSON_DEPTH_MAX - 2, &value);
}

bool audience_read(struct slice text, struct audience *out)
{
    struct scan s = scan_of(text);
    struct slice key;
    bool is_first = true;
    int answer;

    out->rule = AUDIENCE_RULES;
    out->roles.count = out->users.count = 0;
    out->client = out->except = SLICE_NONE;
    out->is_opaque = false;
    if (text.size > AUDIENCE_MAX || !scan_enter(&s)) {
        return false;
    }
    while ((answer = scan_key(&s, &is_first, &key)) == SCAN_MEMBER) {
        if (!scan_member(&s, key, out)) {
            return false;
        }
    }
    return answer == SCAN_CLOSED && scan_is_done(&s) && (s.faults & SCAN_REFUSED) == 0;
}

static void write_names(struct buf *out, const char *key, const struct audience_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        if (i == 0) {
            buf_addf(out, ",\"%s\":[\"", key);
        } else {
            buf_add_lit(out, ",\"");
        }
        buf_add_slice(out, names->at[i]);
        buf_add_char(out, '"');
    }
    if (names->count > 0) {
        buf_add_char(out, ']');
    }
}

static void write_text(struct buf *out, const char *key, struct slice text)
{
    if (text.size > 0) {
        buf_addf(out, ",\"%s\":\"", key);
        buf_add_slice(out, text);
        buf_add_char(out, '"');
    }
}

void audience_write(struct buf *out, const struct audience *a)
{
    buf_addf(out, "{\"by\":\"%s\"", audience_word(a->rule));
    write_names(out, "roles", &a->roles);
    write_names(out, "users", &a->users);
    write_text(out, "client", a->client);
    write_text(out, "not", a->except);
    buf_add_char(out, '}');
}

/* What is between the quotes of a valid string, in the one way of writing it, which is never
 * longer. The buffer was made large enough before: what was put there stays where it is. */
static struct slice rewrite(struct buf *texts, struct slice inside)
{
    size_t at;

    if (inside.size == 0 || memchr(inside.at, '\\', inside.size) == NULL) {
        return inside;
    }
    struct buf plain = BUF_EMPTY;
    json_unescape(&plain, inside);
    at = texts->size;
    json_escape(texts, buf_slice(&plain));
    buf_deinit(&plain);
    return (struct slice){texts->at + at, texts->size - at};
}

/* True if the member's key is that name, however it is written. */
static bool is_key(struct slice key, struct slice name)
{
    struct buf plain = BUF_EMPTY;

    if (key.size == name.size || memchr(key.at, '\\', key.size) == NULL) {
        return slice_equal(key, name);
    }
    json_unescape(&plain, key);
    bool same = slice_equal(buf_slice(&plain), name);
    buf_deinit(&plain);
    return same;
}

/* A string, or a list of strings. */
static bool read_wish(struct slice value, size_t max, struct buf *texts, struct audience_names *out)
{
    if (json_is_string(value)) {
        struct scan s = scan_of(value);

        if (!scan_name(&s, max, out)) {
            return false;
        }
    } else if (!audience_read_names(value, max, out)) {
        return false;
    }
    for (size_t i = 0; i < out->count; i++) {
        out->at[i] = rewrite(texts, out->at[i]);
    }
    return true;
}

int audience_of_payload(struct slice payload, struct buf *texts, struct audience_names *users,
                        struct audience_names *roles)
{
    bool has_users = false, has_roles = false;
    struct json_object o;
    struct json_member m;

    users->count = roles->count = 0;
    if (!json_object_open(&o, payload)) {
        return AUDIENCE_NO_WISH;
    }
    while (json_object_next(&o, &m)) {
        bool is_users = is_key(m.key, SLICE_LIT("to"));
        bool is_roles = !is_users && is_key(m.key, SLICE_LIT("roles"));

        if (!is_users && !is_roles) {
            continue;
        }
        if (m.value.size > AUDIENCE_WISH_MAX / 2 || (is_users ? has_users : has_roles)) {
            return AUDIENCE_BAD_WISH;
        }
        if (!has_users && !has_roles) {
            buf_reserve(texts, AUDIENCE_WISH_MAX + TEXTS_SLACK); /* once: slices point into it */
        }
        if (!read_wish(m.value, is_users ? USER_MAX : ROLE_MAX, texts, is_users ? users : roles)) {
            return AUDIENCE_BAD_WISH;
        }
        has_users |= is_users;
        has_roles |= is_roles;
    }
    if (users->count == AUDIENCE_NAMES_MAX) {
        return AUDIENCE_BAD_WISH; /* the sender is one of them */
    }
    return has_users || has_roles ? 0 : AUDIENCE_NO_WISH;
}
