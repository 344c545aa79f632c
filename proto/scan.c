/*
 * scan.c: the grammar of RFC 8259 as loops.
 *
 * Nearly all bytes of chat are plain characters inside strings: those are passed
 * eight at a time. Nothing recurses: which bracket closes which level is one bit
 * a level in a word.
 */
#include "proto/scan.h"

#include <endian.h>

#include "proto/json.h"

#define EACH_BYTE (UINT64_MAX / 0xff) /* times c: a word of eight c */

/* Marks (with 0x80) at least the first of the eight bytes that is a quote, a backslash, a control
 * character or not ASCII; bytes before it are not marked. The first byte is the lowest one. */
static inline uint64_t mark_special(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE * '"';
    uint64_t slash = word ^ EACH_BYTE * '\\';
    uint64_t marks = word; /* not ASCII */

    marks |= (quote - EACH_BYTE) & ~quote;
    marks |= (slash - EACH_BYTE) & ~slash;
    marks |= (word - EACH_BYTE * 0x20) & ~word;
    return marks & EACH_BYTE * 0x80;
}

/* Passes the plain bytes of a string. */
static inline const char *skip_plain(const char *at, const char *end)
{
    while (end - at >= 8) {
        uint64_t word;

        memcpy(&word, at, sizeof(word));
        uint64_t marks = mark_special(le64toh(word));
        if (marks != 0) {
            return at + (__builtin_ctzll(marks) >> 3);
        }
        at += 8;
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\') {
        at++;
    }
    return at;
}

size_t scan_utf8(const char *at, const char *end)
{
    const unsigned char *b = (const unsigned char *)at;

    if (b[0] < 0x80) {
        return 1;
    }
    size_t size = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4 || (size_t)(end - at) < size) {
        return 0;
    }
    /* RFC 3629: neither overlong forms, nor surrogates, nor anything above U+10FFFF. */
    unsigned char low = b[0] == 0xe0 ? 0xa0 : b[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = b[0] == 0xed ? 0x9f : b[0] == 0xf4 ? 0x8f : 0xbf;
    if (b[1] < low || b[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if ((b[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

int32_t scan_hex4(const char *at, const char *end)
{
    int32_t code = 0;

    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        char lower = (char)(c | 0x20);

        if (c >= '0' && c <= '9') {
            code = code * 16 + (c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            code = code * 16 + (lower - 'a' + 10);
        } else {
            return -1;
        }
    }
    return code;
}

/* Passes the escape at `at`. NULL: there is no such escape. */
static const char *skip_escape(const char *at, const char *end, unsigned *faults)
{
    *faults |= SCAN_ESCAPE;
    if (end - at < 2) {
        return NULL;
    }
    if (at[1] != 'u') {
        return at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) != NULL ? at + 2 : NULL;
    }
    int32_t code = scan_hex4(at + 2, end);
    if (code < 0) {
        return NULL;
    }
    at += 6;
    if (code >= 0xd800 && code <= 0xdbff && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        int32_t low = scan_hex4(at + 2, end);
        if (low >= 0xdc00 && low <= 0xdfff) {
            return at + 6;
        }
    }
    if (code == 0 || (code >= 0xd800 && code <= 0xdfff)) {
        *faults |= SCAN_TEXT;
    }
    return at;
}

/* From behind the opening quote to the closing one. NULL: not a string. */
static inline const char *skip_string(const char *at, const char *end, unsigned *faults)
{
    for (;;) {
        at = skip_plain(at, end);
        if (at == end) {
            return NULL;
        }
        if (*at == '"') {
            return at;
        }
        if (*at == '\\') {
            at = skip_escape(at, end, faults);
            if (at == NULL) {
                return NULL;
            }
            continue;
        }
        while (at < end && (unsigned char)*at >= 0x80) {
            size_t size = scan_utf8(at, end);
            if (size == 0) {
                return NULL;
            }
            at += size;
        }
        if (at < end && (unsigned char)*at < 0x20) {
            return NULL;
        }
    }
}

static inline const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at;
}

/* Digits, at least one. */
static inline const char *skip_some_digits(const char *at, const char *end)
{
    const char *after = skip_digits(at, end);

    return after > at ? after : NULL;
}

static const char *skip_number(const char *at, const char *end)
{
    if (*at == '-') {
        at++;
    }
    /* A leading zero stands alone. */
    at = at < end && *at == '0' ? at + 1 : skip_some_digits(at, end);
    if (at != NULL && at < end && *at == '.') {
        at = skip_some_digits(at + 1, end);
    }
    if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) {
            at++;
        }
        at = skip_some_digits(at, end);
    }
    return at;
}

static inline const char *skip_word(const char *at, const char *end, struct slice word)
{
    bool is_it = (size_t)(end - at) >= word.size && memcmp(at, word.at, word.size) == 0;

    return is_it ? at + word.size : NULL;
}

/* Passes a string, a number or a word. */
static inline const char *skip_scalar(const char *at, const char *end, unsigned *faults)
{
    switch (*at) {
    case '"':
        at = skip_string(at + 1, end, faults);
        return at != NULL ? at + 1 : NULL;
    case 't':
        return skip_word(at, end, SLICE_LIT("true"));
    case 'f':
        return skip_word(at, end, SLICE_LIT("false"));
    case 'n':
        return skip_word(at, end, SLICE_LIT("null"));
    default:
        return *at == '-' || (*at >= '0' && *at <= '9') ? skip_number(at, end) : NULL;
    }
}

static inline const char *skip_space(const char *at, const char *end)
{
    while (at < end && scan_is_space(*at)) {
        at++;
    }
    return at;
}

/* Passes white space, a key and its colon. */
static inline const char *skip_key(const char *at, const char *end, unsigned *faults)
{
    at = skip_space(at, end);
    if (at == end || *at != '"') {
        return NULL;
    }
    at = skip_string(at + 1, end, faults);
    if (at == NULL) {
        return NULL;
    }
    at = skip_space(at + 1, end);
    return at < end && *at == ':' ? at + 1 : NULL;
}

/* Passes an array or object by counting brackets alone, whatever its depth. */
static const char *skip_brackets(const char *at, const char *end, unsigned *faults)
{
    size_t depth = 0;

    for (; at < end; at++) {
        if (*at == '"') {
            at = skip_string(at + 1, end, faults);
            if (at == NULL) {
                return NULL;
            }
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if ((*at == '}' || *at == ']') && --depth == 0) {
            return at + 1;
        }
    }
    return NULL;
}

/* The brackets that are open. */
struct nest {
    uint64_t kinds; /* the lowest bit is the innermost level: 1 for an object */
    int depth, levels;
};

/* Passes an opening bracket, and with an object its first key; or a whole array or object that is
 * empty or too deep: then `is_whole` is set. */
static inline const char *skip_opening(const char *at, const char *end, unsigned *faults,
                                       struct nest *n, bool *is_whole)
{
    bool is_object = *at == '{';

    *is_whole = true;
    if (n->depth == n->levels) {
        *faults |= SCAN_DEEP;
        return skip_brackets(at, end, faults);
    }
    at = skip_space(at + 1, end);
    if (at == end) {
        return NULL;
    }
    if (*at == (is_object ? '}' : ']')) {
        return at + 1;
    }
    *is_whole = false;
    n->kinds = n->kinds << 1 | is_object;
    n->depth++;
    return is_object ? skip_key(at, end, faults) : at;
}

/* Behind a value: passes the brackets that close, and a comma (with an object, the next key too).
 */
static inline const char *skip_closing(const char *at, const char *end, unsigned *faults,
                                       struct nest *n)
{
    while (n->depth > 0) {
        at = skip_space(at, end);
        if (at == end) {
            return NULL;
        }
        if (*at == ',') {
            return n->kinds & 1 ? skip_key(at + 1, end, faults) : at + 1;
        }
        if (*at != (n->kinds & 1 ? '}' : ']')) {
            return NULL;
        }
        at++;
        n->kinds >>= 1;
        n->depth--;
    }
    return at;
}

bool scan_value(struct scan *s, int levels, struct slice *value)
{
    struct nest n = {.levels = levels};
    unsigned faults = 0;
    const char *end = s->end, *at = skip_space(s->at, end), *start = at;

    assert(levels >= 0 && levels <= SCAN_LEVELS_MAX);
    do {
        bool is_whole = true;

        at = skip_space(at, end);
        if (at == end) {
            return false;
        }
        at = *at == '{' || *at == '[' ? skip_opening(at, end, &faults, &n, &is_whole)
                                      : skip_scalar(at, end, &faults);
        if (at != NULL && is_whole) {
            at = skip_closing(at, end, &faults, &n);
        }
        if (at == NULL) {
            return false;
        }
    } while (n.depth > 0);
    s->at = at;
    s->faults |= faults;
    *value = (struct slice){start, (size_t)(at - start)};
    return true;
}

bool scan_enter(struct scan *s)
{
    if (scan_peek(s) != '{') {
        return false;
    }
    s->at++;
    return true;
}

/* Passes a string at `s->at`. */
static inline bool take_string(struct scan *s, struct slice *inside)
{
    if (s->at == s->end || *s->at != '"') {
        return false;
    }
    const char *start = s->at + 1;
    const char *at = skip_string(start, s->end, &s->faults);
    if (at == NULL) {
        return false;
    }
    *inside = (struct slice){start, (size_t)(at - start)};
    s->at = at + 1;
    return true;
}

int scan_key(struct scan *s, bool *is_first, struct slice *key)
{
    char c = scan_peek(s);

    if (c == '}') {
        s->at++;
        return SCAN_CLOSED;
    }
    if (!*is_first) {
        if (c != ',') {
            return SCAN_BROKEN;
        }
        s->at++;
        (void)scan_peek(s);
    }
    *is_first = false;
    if (!take_string(s, key) || scan_peek(s) != ':') {
        return SCAN_BROKEN;
    }
    s->at++;
    (void)scan_peek(s);
    return SCAN_MEMBER;
}

/* Bytes of a string's inside once it is decoded; halves of surrogate pairs count as such. */
static size_t decoded_size(struct slice inside)
{
    const char *at = inside.at, *end = inside.at + inside.size;
    size_t size = 0;

    while (at < end) {
        if (*at != '\\') {
            at++;
            size++;
        } else if (at[1] != 'u') {
            at += 2;
            size++;
        } else {
            int32_t code = scan_hex4(at + 2, end);
            bool is_half = code >= 0xd800 && code <= 0xdfff; /* of four bytes */

            size += is_half || (code >= 0x80 && code < 0x800) ? 2 : code < 0x80 ? 1 : 3;
            at += 6;
        }
    }
    return size;
}

bool scan_text(struct scan *s, size_t max, struct slice *inside)
{
    (void)scan_peek(s);
    return take_string(s, inside) && (inside->size <= max || decoded_size(*inside) <= max);
}

bool scan_plain(struct scan *s, size_t max, struct slice *inside)
{
    unsigned before = s->faults;

    s->faults = 0;
    bool is_plain = scan_text(s, max, inside) && s->faults == 0 && inside->size > 0;
    s->faults |= before;
    return is_plain;
}

/* The characters of a number that has neither fraction nor exponent; else nothing. */
static struct slice take_whole(struct scan *s)
{
    (void)scan_peek(s);
    const char *start = s->at, *at = start;

    if (at < s->end && *at == '-') {
        at++;
    }
    at = skip_digits(at, s->end);
    if (at < s->end && (*at == '.' || *at == 'e' || *at == 'E')) {
        return SLICE_NONE;
    }
    s->at = at;
    return (struct slice){start, (size_t)(at - start)};
}

bool scan_u64(struct scan *s, uint64_t *value)
{
    return json_u64(take_whole(s), value);
}

bool scan_i64(struct scan *s, int64_t *value)
{
    return json_i64(take_whole(s), value);
}

bool scan_line(struct slice *rest, struct slice *line)
{
    const char *end = rest->size > 0 ? memchr(rest->at, '\n', rest->size) : NULL;

    if (end == NULL) {
        return false;
    }
    *line = (struct slice){rest->at, (size_t)(end - rest->at)};
    *rest = (struct slice){end + 1, rest->size - line->size - 1};
    return true;
}
