/*
 * origin.c: see origin.h.
 */
#include "gateway/edge/origin.h"

#include <stdio.h>

#include "common/mem.h"

/* One origin in its parts; slices point into the text it was read from. */
struct parts {
    struct slice scheme, host; /* any case; an IPv6 host with its brackets */
    uint32_t port;             /* 0: the scheme has no default and none was given */
};

struct origins {
    char *text;         /* owns: what the parts point into */
    struct parts *list; /* owns */
    size_t count;
    bool has_any; /* "*" */
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_same_word(struct slice a, struct slice b)
{
    if (a.size != b.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.at[i]) != lower(b.at[i])) {
            return false;
        }
    }
    return true;
}

static bool is_letter_or_digit(char c)
{
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
}

/* 1 to 65535 without sign or leading zero. */
static bool parse_port(struct slice text, uint32_t *port)
{
    uint32_t value = 0;

    if (text.size == 0 || text.size > 5 || text.at[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
        value = value * 10 + (uint32_t)(text.at[i] - '0');
    }
    *port = value;
    return value <= UINT16_MAX;
}

/* Letters, digits, '-', '.', '_'; or an IPv6 address in brackets. */
static bool host_is_legal(struct slice host)
{
    bool is_v6 = host.size > 2 && host.at[0] == '[' && host.at[host.size - 1] == ']';

    if (is_v6) {
        host = (struct slice){host.at + 1, host.size - 2};
    }
    for (size_t i = 0; i < host.size; i++) {
        char c = host.at[i];
        bool legal = is_letter_or_digit(c) || c == '.' || (is_v6 ? c == ':' : c == '-' || c == '_');
        if (!legal) {
            return false;
        }
    }
    return host.size > 0;
}

/* "host" or "host:port". The port is `fallback` when there is none. */
static bool parse_authority(struct slice text, uint32_t fallback, struct slice *host,
                            uint32_t *port)
{
    size_t end = text.size;

    while (end > 0 && text.at[end - 1] >= '0' && text.at[end - 1] <= '9') {
        end--;
    }
    bool has_port = end > 0 && text.at[end - 1] == ':' && memchr(text.at, ']', text.size) == NULL;
    if (end > 1 && text.at[end - 1] == ':' && text.at[end - 2] == ']') {
        has_port = true;
    }
    *port = fallback;
    *host = text;
    if (has_port) {
        host->size = end - 1;
        if (!parse_port((struct slice){text.at + end, text.size - end}, port)) {
            return false;
        }
    }
    return host_is_legal(*host);
}

static uint32_t default_port(struct slice scheme)
{
    if (is_same_word(scheme, SLICE_LIT("http"))) {
        return 80;
    }
    return is_same_word(scheme, SLICE_LIT("https")) ? 443 : 0;
}

/* scheme://host[:port] and nothing behind it. */
static bool parse_origin(struct slice text, struct parts *p)
{
    const char *mark = text.size > 0 ? memmem(text.at, text.size, "://", 3) : NULL;

    if (mark == NULL || mark == text.at) {
        return false;
    }
    p->scheme = (struct slice){text.at, (size_t)(mark - text.at)};
    for (size_t i = 0; i < p->scheme.size; i++) {
        char c = p->scheme.at[i];
        if (!is_letter_or_digit(c) && c != '+' && c != '-' && c != '.') {
            return false;
        }
    }
    struct slice rest = {mark + 3, text.size - p->scheme.size - 3};
    return parse_authority(rest, default_port(p->scheme), &p->host, &p->port);
}

static bool is_same_origin(const struct parts *a, const struct parts *b)
{
    return a->port == b->port && is_same_word(a->scheme, b->scheme) &&
           is_same_word(a->host, b->host);
}

struct origins *origins_new(const char *list, char *error, size_t size)
{
    static const char separators[] = " ,\t";
    struct origins *o = mem_new(struct origins);

    o->text = mem_copy_text(list, strlen(list));
    o->list = mem_zalloc(strlen(list) / 2 + 1, sizeof(*o->list)); /* an entry and its separator */
    for (const char *at = o->text + strspn(o->text, separators); *at != '\0';
         at += strspn(at, separators)) {
        struct slice entry = {at, strcspn(at, separators)};

        at += entry.size;
        if (slice_equal(entry, SLICE_LIT("*"))) {
            o->has_any = true;
        } else if (parse_origin(entry, &o->list[o->count])) {
            o->count++;
        } else {
            snprintf(error, size, "\"%.*s\" is no origin: write scheme://host[:port] or *",
                     SLICE_ARG(entry));
            return origins_free(o);
        }
    }
    return o;
}

struct origins *origins_free(struct origins *o)
{
    if (o != NULL) {
        mem_free(o->list);
        mem_free(o->text);
        mem_free(o);
    }
    return NULL;
}

/* True if the Host field names the very host and port of a web page's origin. */
static bool is_self(const struct parts *origin, struct slice host)
{
    uint32_t fallback = default_port(origin->scheme);
    struct slice name;
    uint32_t port;

    return fallback != 0 && host.size > 0 && parse_authority(host, fallback, &name, &port) &&
           port == origin->port && is_same_word(name, origin->host);
}

bool origin_is_named(const struct origins *o, struct slice origin, struct slice host,
                     bool allow_self)
{
    struct parts p;

    if (!parse_origin(origin, &p)) {
        return false; /* "null" too */
    }
    for (size_t i = 0; i < o->count; i++) {
        if (is_same_origin(&o->list[i], &p)) {
            return true;
        }
    }
    return allow_self && is_self(&p, host);
}

bool origin_is_allowed(const struct origins *o, struct slice origin, struct slice host,
                       bool allow_self)
{
    return o->has_any || origin_is_named(o, origin, host, allow_self);
}
