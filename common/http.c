/*
 * http.c: a scanner that looks at each byte once, then the parser, then sense.
 *
 * The scanner decides everything that depends on bytes alone, at the first byte
 * that decides it. So the verdict cannot depend on how the bytes are cut, and a
 * bad head is refused before it ends. Only a complete head reaches the parser.
 */
#include "common/http.h"

#include <http_parser.h>
#include <strings.h>

/*
 * REQUEST_LINE ─CR─► REQUEST_LINE_LF ─LF─► LINE_START ─CR─► HEAD_LF ─LF─► (complete)
 *                                          │       ▲
 *                                          ▼       └─────LF────┐
 *                                    FIELD_NAME ─:─► FIELD_VALUE ─CR─► FIELD_LF
 */
enum place {
    REQUEST_LINE,
    REQUEST_LINE_LF,
    LINE_START,
    FIELD_NAME,
    FIELD_VALUE,
    FIELD_LF,
    HEAD_LF,
};

void http_head_init(struct http_head *h)
{
    memset(h, 0, sizeof(*h));
    h->bytes = BUF_EMPTY;
    h->verdict = HTTP_MORE;
    h->place = REQUEST_LINE;
    h->line_max = HTTP_LINE_MAX;
    h->size_max = HTTP_HEAD_MAX;
    h->fields_max = HTTP_FIELDS_MAX;
}

void http_head_deinit(struct http_head *h)
{
    buf_deinit(&h->bytes);
    http_head_init(h);
}

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9110, 5.6.2 */
static bool is_token_char(unsigned char c)
{
    return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* RFC 3986, 3.2.2 and 3.2.3, without the comma: it would hide two hosts in one field. */
static bool is_host_char(unsigned char c)
{
    return is_alnum(c) || (c != '\0' && strchr("-._~!$&'()*+;=:[]%", c) != NULL);
}

/* RFC 9110, 5.5 */
static bool is_value_char(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

/* Three parts between single spaces, the last one HTTP/1.1. HTTP_MORE or a status. */
static int check_request_line(const char *line, size_t size)
{
    const char *first = memchr(line, ' ', size);
    const char *last = memrchr(line, ' ', size);

    if (first == NULL || first == line || last <= first + 1 ||
        memchr(first + 1, ' ', (size_t)(last - first - 1)) != NULL) {
        return 400;
    }
    struct slice version = {last + 1, (size_t)(line + size - last - 1)};
    if (version.size != strlen("HTTP/1.1") || memcmp(version.at, "HTTP/", 5) != 0 ||
        !is_digit(version.at[5]) || version.at[6] != '.' || !is_digit(version.at[7])) {
        return 400;
    }
    return slice_equal(version, SLICE_LIT("HTTP/1.1")) ? HTTP_MORE : 505;
}

static int scan_request_line(struct http_head *h, unsigned char c, size_t index)
{
    if (c == '\r') {
        h->place = REQUEST_LINE_LF;
        return HTTP_MORE;
    }
    if (index >= h->line_max) {
        return 414;
    }
    return c >= 0x20 && c < 0x7f ? HTTP_MORE : 400;
}

static int scan_line_start(struct http_head *h, unsigned char c, size_t index)
{
    h->line_start = index;
    if (c == '\r') {
        h->place = HEAD_LF;
        return HTTP_MORE;
    }
    if (h->field_lines >= h->fields_max) {
        h->has_many_fields = true;
        return 431;
    }
    h->field_lines++;
    h->place = FIELD_NAME;
    return is_token_char(c) ? HTTP_MORE : 400; /* white space would be a folded line */
}

static int scan_field_name(struct http_head *h, unsigned char c)
{
    if (c == ':') {
        h->place = FIELD_VALUE;
        return HTTP_MORE;
    }
    return is_token_char(c) ? HTTP_MORE : 400;
}

static int scan_field_value(struct http_head *h, unsigned char c)
{
    if (c == '\r') {
        h->place = FIELD_LF;
        return HTTP_MORE;
    }
    return is_value_char(c) ? HTTP_MORE : 400;
}

/* Looks at one byte. HTTP_DONE: it ends the head. */
static int scan_byte(struct http_head *h, unsigned char c, size_t index)
{
    if (index >= h->size_max) {
        return 431;
    }
    switch ((enum place)h->place) {
    case REQUEST_LINE:
        return scan_request_line(h, c, index);
    case REQUEST_LINE_LF:
        h->place = LINE_START;
        return c == '\n' ? check_request_line(h->bytes.at, index - 1) : 400;
    case LINE_START:
        return scan_line_start(h, c, index);
    case FIELD_NAME:
        return scan_field_name(h, c);
    case FIELD_VALUE:
        return scan_field_value(h, c);
    case FIELD_LF:
        h->place = LINE_START;
        return c == '\n' ? HTTP_MORE : 400;
    case HEAD_LF:
        return c == '\n' ? HTTP_DONE : 400;
    }
    assert(false);
    return 400;
}

/* The parser may give one element in several pieces. */
static void extend(struct slice *s, const char *at, size_t size)
{
    if (s->at != NULL && s->at + s->size == at) {
        s->size += size;
    } else {
        *s = (struct slice){at, size};
    }
}

static int on_target(http_parser *parser, const char *at, size_t size)
{
    struct http_head *h = parser->data;
    extend(&h->target, at, size);
    return 0;
}

static int on_name(http_parser *parser, const char *at, size_t size)
{
    struct http_head *h = parser->data;
    struct http_field *last = h->field_count > 0 ? &h->fields[h->field_count - 1] : NULL;

    if (last == NULL || last->name.at + last->name.size != at) {
        assert(h->field_count < HTTP_FIELDS_CEILING); /* the scanner has counted */
        last = &h->fields[h->field_count++];
        last->name = SLICE_NONE;
        last->value = SLICE_LIT("");
    }
    extend(&last->name, at, size);
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t size)
{
    struct http_head *h = parser->data;
    assert(h->field_count > 0);
    extend(&h->fields[h->field_count - 1].value, at, size);
    return 0;
}

/* Whatever body is announced, nobody here will read it. */
static int on_headers_complete(http_parser *parser)
{
    struct http_head *h = parser->data;
    h->is_http_1_1 = parser->http_major == 1 && parser->http_minor == 1;
    return 1;
}

/* Fills the slices from a complete head. False: no grammar for it. */
static bool parse(struct http_head *h)
{
    static const http_parser_settings settings = {
        .on_url = on_target,
        .on_header_field = on_name,
        .on_header_value = on_value,
        .on_headers_complete = on_headers_complete,
    };
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = h;
    http_parser_execute(&parser, &settings, h->bytes.at, h->head_size);
    if (HTTP_PARSER_ERRNO(&parser) != HPE_OK || !h->is_http_1_1) {
        return false;
    }
    for (size_t i = 0; i < h->field_count; i++) {
        h->fields[i].value = slice_trim(h->fields[i].value);
    }
    const char *space = memchr(h->bytes.at, ' ', h->head_size);
    assert(space != NULL); /* the scanner has seen it */
    h->method = (struct slice){h->bytes.at, (size_t)(space - h->bytes.at)};
    return true;
}

/* Path and query of a target in origin form; others have neither. False: a fragment. */
static bool split_target(struct http_head *h)
{
    struct slice t = h->target;

    if (t.size == 0 || memchr(t.at, '#', t.size) != NULL) {
        return false;
    }
    if (t.at[0] != '/') {
        return true;
    }
    const char *mark = memchr(t.at, '?', t.size);
    h->path = (struct slice){t.at, mark != NULL ? (size_t)(mark - t.at) : t.size};
    if (mark != NULL) {
        h->query = (struct slice){mark + 1, (size_t)(t.at + t.size - mark - 1)};
    }
    return true;
}

static bool host_is_good(const struct http_head *h)
{
    bool repeated;
    const struct slice *host = http_find(h, "Host", &repeated);

    if (host == NULL || repeated) {
        return false;
    }
    for (size_t i = 0; i < host->size; i++) {
        if (!is_host_char((unsigned char)host->at[i])) {
            return false;
        }
    }
    return true;
}

static bool body_is_good(const struct http_head *h)
{
    bool repeated, has_bytes = false;
    const struct slice *length = http_find(h, "Content-Length", &repeated);
    bool is_coded = http_find(h, "Transfer-Encoding", NULL) != NULL;

    if (length != NULL) {
        if (repeated || is_coded || length->size == 0) {
            return false;
        }
        for (size_t i = 0; i < length->size; i++) {
            if (!is_digit(length->at[i])) {
                return false;
            }
            has_bytes |= length->at[i] != '0';
        }
    }
    bool may_have_body =
        !slice_equal(h->method, SLICE_LIT("GET")) && !slice_equal(h->method, SLICE_LIT("HEAD"));
    return may_have_body || (!is_coded && !has_bytes);
}

int http_head_feed(struct http_head *h, const char *at, size_t size)
{
    if (h->verdict != HTTP_MORE) {
        return h->verdict;
    }
    buf_add(&h->bytes, at, size);
    while (h->verdict == HTTP_MORE && h->scanned < h->bytes.size) {
        h->verdict = scan_byte(h, (unsigned char)h->bytes.at[h->scanned], h->scanned);
        h->scanned++;
    }
    if (h->verdict == HTTP_DONE) {
        h->head_size = h->scanned;
        if (!parse(h) || !split_target(h) || !host_is_good(h) || !body_is_good(h)) {
            h->verdict = 400;
        }
    }
    return h->verdict;
}

static bool is_same_text(struct slice s, const char *text)
{
    return s.size == strlen(text) && strncasecmp(s.at, text, s.size) == 0;
}

const struct slice *http_find(const struct http_head *h, const char *name, bool *repeated)
{
    const struct slice *found = NULL;

    if (repeated != NULL) {
        *repeated = false;
    }
    for (size_t i = 0; i < h->field_count; i++) {
        if (!is_same_text(h->fields[i].name, name)) {
            continue;
        }
        if (found == NULL) {
            found = &h->fields[i].value;
        } else if (repeated != NULL) {
            *repeated = true;
        }
    }
    return found;
}

static bool is_equal_text(struct slice a, const char *b)
{
    return slice_equal(a, slice_of(b));
}

static bool list_has(struct slice list, const char *token,
                     bool (*is_it)(struct slice, const char *))
{
    while (list.size > 0) {
        const char *comma = memchr(list.at, ',', list.size);
        size_t size = comma != NULL ? (size_t)(comma - list.at) : list.size;

        if (is_it(slice_trim((struct slice){list.at, size}), token)) {
            return true;
        }
        size_t step = comma != NULL ? size + 1 : size;
        list.at += step;
        list.size -= step;
    }
    return false;
}

static bool fields_have(const struct http_head *h, const char *name, const char *token,
                        bool (*is_it)(struct slice, const char *))
{
    for (size_t i = 0; i < h->field_count; i++) {
        if (is_same_text(h->fields[i].name, name) && list_has(h->fields[i].value, token, is_it)) {
            return true;
        }
    }
    return false;
}

bool http_has_token(const struct http_head *h, const char *name, const char *token)
{
    return fields_have(h, name, token, is_same_text);
}

bool http_has_name(const struct http_head *h, const char *name, const char *token)
{
    return fields_have(h, name, token, is_equal_text);
}

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Unknown";
}

void http_answer(struct buf *out, int status, const char *content_type, const char *extra,
                 struct slice body)
{
    buf_addf(out,
             "HTTP/1.1 %d %s\r\n"
             "Content-Type: %s\r\n"
             "Content-Length: %zu\r\n"
             "Connection: close\r\n"
             "%s\r\n",
             status, http_reason(status), content_type, body.size, extra);
    buf_add_slice(out, body);
}

void http_answer_open(struct buf *out, int status, const char *content_type, struct slice body)
{
    buf_addf(out,
             "HTTP/1.1 %d %s\r\n"
             "Content-Type: %s\r\n"
             "Content-Length: %zu\r\n\r\n",
             status, http_reason(status), content_type, body.size);
    buf_add_slice(out, body);
}

void http_refuse(struct buf *out, int status, const char *extra, const char *error)
{
    struct buf body = BUF_EMPTY;

    buf_add_lit(&body, "{\"error\":\"");
    for (const char *c = error; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            buf_add_char(&body, '\\');
        }
        buf_add_char(&body, (unsigned char)*c < 0x20 ? ' ' : *c);
    }
    buf_add_lit(&body, "\"}\n");
    http_answer(out, status, "application/json", extra, buf_slice(&body));
    buf_deinit(&body);
}
