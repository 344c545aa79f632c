/*
 * json.h: a strict scanner of RFC 8259 text that keeps values as they came.
 *
 * Users' payloads travel byte for byte, so nothing is decoded and printed
 * again: values are slices of the input. Strings keep their escapes until
 * json_unescape(). UTF-8 is checked (RFC 3629), lone surrogates and \u0000 are
 * refused in strings, depth is bounded, nothing recurses.
 */
#ifndef WARREN_PROTO_JSON_H
#define WARREN_PROTO_JSON_H

#include "common/base.h"
#include "common/buf.h"

enum json_fault {
    JSON_BROKEN = 1,   /* not JSON, or text that is refused: \\u0000, half of a surrogate pair */
    JSON_TOO_DEEP = 2, /* it may be JSON, but has more levels */
};

/* What is wrong with a text that is to be one JSON value (white space around it is legal) of at
 * most `depth_max` levels. 0 or a fault. */
int json_check(struct slice text, int depth_max) MUST_CHECK;

/* True if `text` is exactly one JSON value (white space around it is legal) of at most `depth_max`
 * levels. */
bool json_is_valid(struct slice text, int depth_max);

/* The text without the white space around it. */
struct slice json_trim(struct slice text);

/* The first character of a value tells its kind: { [ " t f n or a digit or '-'. */
struct json_member {
    struct slice key;   /* without quotes, escapes kept */
    struct slice value; /* without white space around it; strings with their quotes */
};

struct json_object {
    const char *at, *end; /* private: what is left */
    bool first;
};

/* Starts to walk the members of an object. `text` must be json_is_valid(). False if it is no
 * object. */
bool json_object_open(struct json_object *o, struct slice text);

/* The next member, or false at the end. */
bool json_object_next(struct json_object *o, struct json_member *m);

struct json_array {
    const char *at, *end; /* private: what is left */
    bool first;
};

/* Starts to walk the elements of an array. `text` must be json_is_valid(). False if it is no
 * array. */
bool json_array_open(struct json_array *a, struct slice text);

/* The next element, or false at the end. */
bool json_array_next(struct json_array *a, struct slice *value);

/* True if an object has two members of one key (compared as written). At most `max` members are
 * looked at; more: true. */
bool json_has_duplicates(struct slice object, size_t max);

/* The value of a top-level member, or an empty slice. */
struct slice json_get(struct slice object, const char *key);

static inline bool json_is_string(struct slice v)
{
    return v.size >= 2 && v.at[0] == '"';
}
static inline bool json_is_object(struct slice v)
{
    return v.size >= 2 && v.at[0] == '{';
}

/* What is between the quotes, escapes kept. Only for json_is_string(). */
static inline struct slice json_inside(struct slice v)
{
    return (struct slice){v.at + 1, v.size - 2};
}

/* Appends the decoded text of what json_inside() gave. Valid input only. */
void json_unescape(struct buf *out, struct slice inside);

/* Appends `text` (valid UTF-8) as the inside of a JSON string. */
void json_escape(struct buf *out, struct slice text);

/* A whole number without sign, fraction or exponent. False otherwise or above UINT64_MAX. */
bool json_u64(struct slice v, uint64_t *out);
/* The same with an optional minus, within int64_t. */
bool json_i64(struct slice v, int64_t *out);
bool json_bool(struct slice v, bool *out);

/* Appends a valid value without the line breaks (CR, LF) between its tokens. */
void json_add_flat(struct buf *out, struct slice v);

/* True if the bytes are UTF-8 without control characters (below 0x20, 0x7f) . */
bool text_is_clean(struct slice text);

#endif
