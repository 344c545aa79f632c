/*
 * json.c: whole values: checked, walked, compared, written.
 */
#include "proto/json.h"

#include "proto/scan.h"

#define OBJECT_MEMBERS_MAX 64 /* the most that json_has_duplicates() can be asked to look at */

int json_check(struct slice text, int depth_max)
{
    struct scan s = scan_of(text);
    struct slice value;

    if (text.size == 0 || !scan_value(&s, depth_max, &value) || !scan_is_done(&s) ||
        (s.faults & SCAN_TEXT) != 0) {
        return JSON_BROKEN;
    }
    return (s.faults & SCAN_DEEP) != 0 ? JSON_TOO_DEEP : 0;
}

bool json_is_valid(struct slice text, int depth_max)
{
    return json_check(text, depth_max) == 0;
}

struct slice json_trim(struct slice text)
{
    while (text.size > 0 && scan_is_space(text.at[0])) {
        text.at++;
        text.size--;
    }
    while (text.size > 0 && scan_is_space(text.at[text.size - 1])) {
        text.size--;
    }
    return text;
}

bool json_object_open(struct json_object *o, struct slice text)
{
    struct scan s = scan_of(text);

    if (text.size == 0 || !scan_enter(&s)) {
        return false;
    }
    *o = (struct json_object){.at = s.at, .end = s.end, .first = true};
    return true;
}

bool json_object_next(struct json_object *o, struct json_member *m)
{
    struct scan s = {.at = o->at, .end = o->end};

    if (scan_key(&s, &o->first, &m->key) != SCAN_MEMBER ||
        !scan_value(&s, SCAN_LEVELS_MAX, &m->value)) {
        return false;
    }
    o->at = s.at;
    return true;
}

bool json_array_open(struct json_array *a, struct slice text)
{
    struct scan s = scan_of(text);

    if (scan_peek(&s) != '[') {
        return false;
    }
    *a = (struct json_array){.at = s.at + 1, .end = s.end, .first = true};
    return true;
}

bool json_array_next(struct json_array *a, struct slice *value)
{
    struct scan s = {.at = a->at, .end = a->end};

    if (!a->first && scan_peek(&s) == ',') {
        s.at++;
    }
    if (scan_peek(&s) == ']' || !scan_value(&s, SCAN_LEVELS_MAX, value)) {
        return false;
    }
    a->first = false;
    a->at = s.at;
    return true;
}

bool json_has_duplicates(struct slice object, size_t max)
{
    struct slice keys[OBJECT_MEMBERS_MAX];
    struct json_object o;
    struct json_member m;
    size_t count = 0;

    assert(max <= OBJECT_MEMBERS_MAX);
    if (!json_object_open(&o, object)) {
        return false;
    }
    while (json_object_next(&o, &m)) {
        if (count == max) {
            return true;
        }
        for (size_t i = 0; i < count; i++) {
            if (slice_equal(keys[i], m.key)) {
                return true;
            }
        }
        keys[count++] = m.key;
    }
    return false;
}

struct slice json_get(struct slice object, const char *key)
{
    struct slice wanted = slice_of(key);
    struct json_object o;
    struct json_member m;

    if (json_object_open(&o, object)) {
        while (json_object_next(&o, &m)) {
            if (slice_equal(m.key, wanted)) {
                return m.value;
            }
        }
    }
    return SLICE_NONE;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *to++ = (char)(0xe0 | code >> 12);
        } else {
            *to++ = (char)(0xf0 | code >> 18);
            *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (code & 0x3f));
    return to;
}

/* The character of the \u escape at `*at`, which is passed; both halves of a pair. */
static uint32_t decode_u(const char **at, const char *end)
{
    int32_t code = scan_hex4(*at + 2, end);

    assert(code >= 0);
    *at += 6;
    if (code >= 0xd800 && code <= 0xdbff) {
        int32_t low = scan_hex4(*at + 2, end);
        assert(low >= 0xdc00 && low <= 0xdfff); /* valid text has no half pairs */
        *at += 6;
        return 0x10000 + (uint32_t)(code - 0xd800) * 0x400 + (uint32_t)(low - 0xdc00);
    }
    return (uint32_t)code;
}

static char decode_short(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c; /* a quote, a slash or a backslash */
    }
}

void json_unescape(struct buf *out, struct slice inside)
{
    if (inside.size == 0) {
        return;
    }
    const char *at = inside.at, *end = inside.at + inside.size;
    char *start, *to;

    start = to = buf_reserve(out, inside.size); /* no escape is shorter than what it stands for */
    for (;;) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((slash != NULL ? slash : end) - at);

        memcpy(to, at, plain);
        to += plain;
        if (slash == NULL) {
            break;
        }
        at = slash;
        if (at[1] == 'u') {
            to = put_utf8(to, decode_u(&at, end));
        } else {
            *to++ = decode_short(at[1]);
            at += 2;
        }
    }
    buf_grew(out, (size_t)(to - start));
}

/* Appends the escape of one character. */
static void add_escape(struct buf *out, unsigned char c)
{
    static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";

    for (const char *s = short_forms; *s != '\0'; s += 2) {
        if ((unsigned char)*s == c) {
            buf_add_char(out, '\\');
            buf_add_char(out, s[1]);
            return;
        }
    }
    buf_addf(out, "\\u%04x", c);
}

void json_escape(struct buf *out, struct slice text)
{
    size_t start = 0;

    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if (c < 0x20 || c == '"' || c == '\\') {
            buf_add(out, text.at + start, i - start);
            add_escape(out, c);
            start = i + 1;
        }
    }
    if (start < text.size) {
        buf_add(out, text.at + start, text.size - start);
    }
}

bool json_u64(struct slice v, uint64_t *out)
{
    uint64_t value = 0;

    if (v.size == 0 || v.size > 20 || (v.at[0] == '0' && v.size > 1)) {
        return false;
    }
    for (size_t i = 0; i < v.size; i++) {
        unsigned digit = (unsigned)(v.at[i] - '0');

        if (digit > 9) {
            return false;
        }
        if (i == 19 &&
            (value > UINT64_MAX / 10 || (value == UINT64_MAX / 10 && digit > UINT64_MAX % 10))) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool json_i64(struct slice v, int64_t *out)
{
    bool is_negative = v.size > 0 && v.at[0] == '-';
    uint64_t value;

    if (is_negative) {
        v = (struct slice){v.at + 1, v.size - 1};
    }
    if (!json_u64(v, &value)) {
        return false;
    }
    if (value > (uint64_t)INT64_MAX + is_negative || (is_negative && value == 0)) {
        return false; /* there is no whole number -0 */
    }
    *out = is_negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool json_bool(struct slice v, bool *out)
{
    if (slice_equal(v, SLICE_LIT("true"))) {
        *out = true;
        return true;
    }
    if (slice_equal(v, SLICE_LIT("false"))) {
        *out = false;
        return true;
    }
    return false;
}

void json_add_flat(struct buf *out, struct slice v)
{
    if (v.size == 0) {
        return;
    }
    char *start = buf_reserve(out, v.size), *to = start;
    if (memchr(v.at, '\n', v.size) == NULL && memchr(v.at, '\r', v.size) == NULL) {
        memcpy(to, v.at, v.size);
        to += v.size;
    } else {
        /* In strings they are always escaped: these are between tokens. */
        for (size_t i = 0; i < v.size; i++) {
            if (v.at[i] != '\n' && v.at[i] != '\r') {
                *to++ = v.at[i];
            }
        }
    }
    buf_grew(out, (size_t)(to - start));
}

bool text_is_clean(struct slice text)
{
    struct scan s = scan_of(text);

    while (s.at < s.end) {
        size_t size = scan_utf8(s.at, s.end);

        if (size == 0 || (unsigned char)*s.at < 0x20 || *s.at == 0x7f) {
            return false;
        }
        s.at += size;
    }
    return true;
}
