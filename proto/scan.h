/*
 * scan.h: reads JSON text once, from the left, checking as it goes.
 *
 * What json.h offers for whole documents, in pieces: record.c, members.c and
 * command.c meet their members while the text is being checked, instead of
 * looking at it twice. Private to this folder.
 *
 * Two things are noted and passed over instead of ending the scan, so that the
 * id of a command can still be read: text that JSON's grammar allows and we
 * refuse (SCAN_TEXT), and values nested too deep (SCAN_DEEP). Whoever scans
 * must look at `faults` in the end.
 */
#ifndef WARREN_PROTO_SCAN_H
#define WARREN_PROTO_SCAN_H

#include "common/base.h"
#include "proto/limits.h"

#define SCAN_LEVELS_MAX                                                                            \
    64 /* what scan_value() can be asked for: its memory of brackets is a word */

static_assert(PAYLOAD_DEPTH_MAX <= SCAN_LEVELS_MAX, "payloads can be scanned");

enum scan_fault {
    SCAN_TEXT = 1 << 0,   /* \u0000, or half of a surrogate pair */
    SCAN_DEEP = 1 << 1,   /* more levels than were allowed; what is inside was not checked */
    SCAN_ESCAPE = 1 << 2, /* no fault: a string had an escape */
};

#define SCAN_REFUSED (SCAN_TEXT | SCAN_DEEP)

enum scan_answer {
    SCAN_MEMBER, /* a key; the scan stands before its value */
    SCAN_CLOSED, /* the object has ended */
    SCAN_BROKEN, /* not JSON */
};

struct scan {
    const char *at, *end;
    unsigned faults; /* of enum scan_fault */
};

static inline struct scan scan_of(struct slice text)
{
    /* An empty slice may have no address to count from. */
    return (struct scan){.at = text.at, .end = text.size > 0 ? text.at + text.size : text.at};
}

static inline bool scan_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Passes white space and returns what stands there, or NUL at the end (and for a NUL). */
static inline char scan_peek(struct scan *s)
{
    while (s->at < s->end && scan_is_space(*s->at)) {
        s->at++;
    }
    return s->at < s->end ? *s->at : '\0';
}

/* True if nothing but white space is left. */
static inline bool scan_is_done(struct scan *s)
{
    (void)scan_peek(s);
    return s->at == s->end;
}

/* One value of at most `levels` levels (0: no array, no object). False: not JSON. */
bool scan_value(struct scan *s, int levels, struct slice *value) MUST_CHECK;

/* Enters an object. False if there is none. */
bool scan_enter(struct scan *s) MUST_CHECK;

/* The next key (without quotes, escapes kept) of the object that was entered. `is_first` is the
 * caller's memory: true at first, then left alone. enum scan_answer. */
int scan_key(struct scan *s, bool *is_first, struct slice *key) MUST_CHECK;

/* A string's inside, escapes kept; of at most `max` bytes once it is decoded. False: something else
 * stands there, or it is not JSON. */
bool scan_text(struct scan *s, size_t max, struct slice *inside) MUST_CHECK;

/* The same for texts that must not be empty and must be written without escapes. */
bool scan_plain(struct scan *s, size_t max, struct slice *inside) MUST_CHECK;

/* A whole number without sign, fraction or exponent. False otherwise. */
bool scan_u64(struct scan *s, uint64_t *value) MUST_CHECK;
/* The same with an optional minus. */
bool scan_i64(struct scan *s, int64_t *value) MUST_CHECK;

/* Takes a line off `rest`, without its LF. False if nothing ends with one. */
bool scan_line(struct slice *rest, struct slice *line) MUST_CHECK;

/* The bytes of the UTF-8 sequence at `at` (which is before `end`), or 0 if it is malformed. */
size_t scan_utf8(const char *at, const char *end);

/* Four hexadecimal digits, or -1. */
int32_t scan_hex4(const char *at, const char *end);

#endif
