/*
 * extension.c: see extension.h.
 *
 *   extensions = 1#( token *( ";" token [ "=" ( token | quoted-string ) ] ) )
 *
 * with optional white space around each piece. List elements may be empty (RFC
 * 9110 5.6.1.2). A quoted string has to hold a token. `name=` without a value is
 * read as an empty value, which is legal for no parameter: its offer is declined.
 */
#include "gateway/ws/extension.h"

#include <strings.h>

#include "gateway/ws/deflate.h"

#define VALUE_MAX 16 /* bytes of a value that are kept: none that is legal has more than 2 */

/* One parameter. A value that is too long to be legal is kept in part. */
struct param {
    struct slice name;
    bool has_value;
    size_t value_size;
    char value[VALUE_MAX];
};

/* What one offer asks for. */
struct offer {
    bool is_ours, is_declined;
    bool server_takeover, client_takeover, server_window, client_window; /* the parameter came */
    uint8_t window;
};

static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static void skip(struct slice *s, size_t size)
{
    s->at += size;
    s->size -= size;
}

static void skip_space(struct slice *s)
{
    while (s->size > 0 && (s->at[0] == ' ' || s->at[0] == '\t')) {
        skip(s, 1);
    }
}

/* Takes that character if it comes next. */
static bool take_char(struct slice *s, char c)
{
    bool is_there = s->size > 0 && s->at[0] == c;

    if (is_there) {
        skip(s, 1);
    }
    return is_there;
}

/* Takes a token; it is empty if none comes next. */
static struct slice take_token(struct slice *s)
{
    struct slice token = {s->at, 0};

    while (s->size > 0 && is_token_char(s->at[0])) {
        token.size++;
        skip(s, 1);
    }
    return token;
}

static void value_add(struct param *p, char c)
{
    if (p->value_size < VALUE_MAX) {
        p->value[p->value_size++] = c;
    }
}

/* The rest of a quoted string. False: it does not end, or holds something other than a token. */
static bool take_quoted(struct slice *s, struct param *p)
{
    while (s->size > 0 && s->at[0] != '"') {
        if (s->at[0] == '\\') {
            skip(s, 1);
        }
        if (s->size == 0 || !is_token_char(s->at[0])) {
            return false;
        }
        value_add(p, s->at[0]);
        skip(s, 1);
    }
    return p->value_size > 0 && take_char(s, '"');
}

/* What follows a ";". False: malformed. */
static bool take_param(struct slice *s, struct param *p)
{
    *p = (struct param){.has_value = false};
    skip_space(s);
    p->name = take_token(s);
    if (p->name.size == 0) {
        return false;
    }
    skip_space(s);
    if (!take_char(s, '=')) {
        return true;
    }
    p->has_value = true;
    skip_space(s);
    if (take_char(s, '"')) {
        return take_quoted(s, p);
    }
    for (struct slice token = take_token(s); token.size > 0; skip(&token, 1)) {
        value_add(p, token.at[0]);
    }
    return true;
}

/* A window's bits, 8 to 15 without leading zeros (RFC 7692 7.1.2); 0: something else. */
static uint8_t window_of(const struct param *p)
{
    const char *v = p->value;

    if (p->value_size == 1 && (v[0] == '8' || v[0] == '9')) {
        return (uint8_t)(v[0] - '0');
    }
    if (p->value_size == 2 && v[0] == '1' && v[1] >= '0' && v[1] <= '5') {
        return (uint8_t)(10 + v[1] - '0');
    }
    return 0;
}

/* Notes that a parameter came. False: it came before. */
static bool note(bool *came)
{
    bool is_first = !*came;

    *came = true;
    return is_first;
}

/* False: no offer with such a parameter can be accepted (RFC 7692 7.1). */
static bool offer_add(struct offer *o, const struct param *p)
{
    if (slice_equal(p->name, SLICE_LIT("server_no_context_takeover"))) {
        return note(&o->server_takeover) && !p->has_value;
    }
    if (slice_equal(p->name, SLICE_LIT("client_no_context_takeover"))) {
        return note(&o->client_takeover) && !p->has_value;
    }
    if (slice_equal(p->name, SLICE_LIT("client_max_window_bits"))) {
        return note(&o->client_window) && (!p->has_value || window_of(p) != 0);
    }
    if (slice_equal(p->name, SLICE_LIT("server_max_window_bits"))) {
        o->window = window_of(p);
        return note(&o->server_window) && o->window >= DEFLATE_WINDOW_MIN;
    }
    return false;
}

/* One element of the list. False: malformed. */
static bool take_offer(struct slice *s, struct offer *o)
{
    struct slice name = take_token(s);
    struct param p;

    *o = (struct offer){.is_ours = slice_equal(name, SLICE_LIT("permessage-deflate"))};
    if (name.size == 0) {
        return false;
    }
    for (skip_space(s); take_char(s, ';'); skip_space(s)) {
        if (!take_param(s, &p)) {
            return false;
        }
        o->is_declined = o->is_declined || !offer_add(o, &p);
    }
    return s->size == 0 || s->at[0] == ',';
}

/* The offers of one field. False: malformed. */
static bool take_field(struct slice s, size_t *offers, struct extension *chosen)
{
    struct offer o;

    for (;;) {
        do {
            skip_space(&s);
        } while (take_char(&s, ','));
        if (s.size == 0) {
            return true;
        }
        if (!take_offer(&s, &o)) {
            return false;
        }
        if (++*offers > EXTENSION_OFFERS_MAX) {
            chosen->has_more = true;
        } else if (chosen->window == 0 && o.is_ours && !o.is_declined) {
            chosen->window = o.server_window ? o.window : DEFLATE_WINDOW_MAX;
            chosen->limits_window = o.server_window;
        }
    }
}

int extension_choose(const struct http_head *h, struct extension *chosen)
{
    static const char name[] = "Sec-WebSocket-Extensions";
    size_t offers = 0;

    *chosen = EXTENSION_NONE;
    for (size_t i = 0; i < h->field_count; i++) {
        const struct http_field *field = &h->fields[i];

        if (field->name.size == sizeof(name) - 1 &&
            strncasecmp(field->name.at, name, sizeof(name) - 1) == 0 &&
            !take_field(field->value, &offers, chosen)) {
            *chosen = EXTENSION_NONE;
            return EXTENSION_MALFORMED;
        }
    }
    return 0;
}

void extension_add_answer(struct buf *out, const struct extension *chosen)
{
    if (chosen->window == 0) {
        return;
    }
    buf_add_lit(out, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                     "client_no_context_takeover");
    if (chosen->limits_window) {
        buf_addf(out, "; server_max_window_bits=%u", chosen->window);
    }
}
