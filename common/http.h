/*
 * http.h: the head of one HTTP/1.1 request, strictly.
 *
 * Bytes come in as they arrive; the verdict is a status code, and the same one
 * however the bytes are cut. libhttp-parser reads the grammar; what RFC 9112
 * allows a server to refuse is refused here: bare CR and LF, empty lines before
 * the request line (2.2), white space before a colon (5.1), folded lines (5.2),
 * a Host that is absent, repeated or no host (3.2), Content-Length that is no
 * number or stands beside Transfer-Encoding (6.3). GET and HEAD have no body
 * here: Transfer-Encoding or a Content-Length above 0 is refused with 400; other
 * methods pass, for their callers answer 405 and close. A fragment in the target
 * is refused; a target that is not in origin form ("/path?query") passes with an
 * empty path. Nothing is decoded or normalised. One request for each connection.
 */
#ifndef WARREN_COMMON_HTTP_H
#define WARREN_COMMON_HTTP_H

#include "common/base.h"
#include "common/buf.h"

/* Limits of a head, unless its members say otherwise. */
#define HTTP_LINE_MAX 4096 /* request line: 414 above it */
#define HTTP_HEAD_MAX 8192 /* all of the head: 431 above it */
#define HTTP_FIELDS_MAX 64 /* header fields: 431 above it */
/* What they can be at most. */
#define HTTP_HEAD_CEILING 65536
#define HTTP_FIELDS_CEILING 128

struct http_field {
    struct slice name;  /* as it came; compare with http_find() */
    struct slice value; /* without white space around it */
};

struct http_head {
    struct buf bytes; /* owns: what has arrived so far; slices below point into it */
    struct slice method, target, path, query; /* query without '?' */
    struct http_field fields[HTTP_FIELDS_CEILING];
    size_t field_count;
    bool is_http_1_1;
    bool has_many_fields;                  /* the verdict is 431 for fields_max, not for size_max */
    size_t line_max, size_max, fields_max; /* may be changed before the first byte */
    size_t head_size; /* bytes of the head; what follows in `bytes` came after it */

    /* Of http.c alone: how far the bytes have been looked at. */
    int verdict;
    int place;
    size_t scanned, line_start, field_lines;
};

enum http_answer {
    HTTP_MORE = 1, /* the head is not complete */
    HTTP_DONE = 2, /* complete and legal */
};

/* An empty head; after deinit too. */
void http_head_init(struct http_head *h);
void http_head_deinit(struct http_head *h);

/* Adds bytes. HTTP_MORE, HTTP_DONE, or the status (400, 414, 431, 505) to refuse with. The slices
 * are there from HTTP_DONE on. After a verdict it is repeated and nothing is added. */
int http_head_feed(struct http_head *h, const char *at, size_t size) MUST_CHECK;

/* The only field of that name (any case). NULL when absent; `*repeated` (may be NULL) tells of a
 * second one. */
const struct slice *http_find(const struct http_head *h, const char *name, bool *repeated);

/* True if a comma-separated list field contains the token, any case; looks through all fields of
 * that name. */
bool http_has_token(const struct http_head *h, const char *name, const char *token);
/* The same, written just like that. */
bool http_has_name(const struct http_head *h, const char *name, const char *token);

/* "Not Found" for 404 and so on. */
const char *http_reason(int status);

/* Appends a whole answer with Connection: close. `extra` is "" or header lines that end with CRLF.
 */
void http_answer(struct buf *out, int status, const char *content_type, const char *extra,
                 struct slice body);

/* The same without Connection: close and further header lines: the next request may follow. */
void http_answer_open(struct buf *out, int status, const char *content_type, struct slice body);

/* Appends an answer with the JSON body {"error":"..."}. */
void http_refuse(struct buf *out, int status, const char *extra, const char *error);

#endif
