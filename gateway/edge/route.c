/*
 * route.c: see route.h.
 */
#include "gateway/edge/route.h"

#include "gateway/edge/demo.h"

static const struct {
    const char *path;
    enum dialect dialect;
} sockets[] = {
    {"/connection/websocket", DIALECT_CENTRIFUGE},
    {"/ws", DIALECT_PLAIN},
    {"/echo", DIALECT_ECHO},
};

static struct route find_demo(struct slice path)
{
    if (slice_equal(path, SLICE_LIT("/demo/token"))) {
        return (struct route){.kind = ROUTE_DEMO_TOKEN};
    }
    for (size_t i = 0; i < demo_files_count; i++) {
        if (slice_equal(path, slice_of(demo_files[i].path))) {
            return (struct route){.kind = ROUTE_PAGE, .file = &demo_files[i]};
        }
    }
    return (struct route){.kind = ROUTE_NOWHERE};
}

struct route route_find(const struct gateway_conf *conf, struct slice path)
{
    for (size_t i = 0; i < ARRAY_LEN(sockets); i++) {
        bool is_open = sockets[i].dialect != DIALECT_ECHO || conf->echo;
        if (is_open && slice_equal(path, slice_of(sockets[i].path))) {
            return (struct route){.kind = ROUTE_WEBSOCKET, .dialect = sockets[i].dialect};
        }
    }
    return conf->demo ? find_demo(path) : (struct route){.kind = ROUTE_NOWHERE};
}

/* Takes the next "name=value" off the query. */
static struct slice next_pair(struct slice *query)
{
    const char *end = memchr(query->at, '&', query->size);
    size_t size = end != NULL ? (size_t)(end - query->at) : query->size;
    struct slice pair = {query->at, size};
    size_t skip = MIN(size + 1, query->size);

    query->at += skip;
    query->size -= skip;
    return pair;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int decode(struct slice text, struct buf *out)
{
    size_t start = out->size;

    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] != '%') {
            buf_add_char(out, text.at[i] == '+' ? ' ' : text.at[i]);
            continue;
        }
        int high = text.size - i > 2 ? hex_value(text.at[i + 1]) : -1;
        int low = text.size - i > 2 ? hex_value(text.at[i + 2]) : -1;
        if (high < 0 || low < 0) {
            out->size = start;
            return PARAM_MALFORMED;
        }
        buf_add_char(out, (char)(high << 4 | low));
        i += 2;
    }
    return 0;
}

int route_param(struct slice query, const char *name, struct buf *out)
{
    size_t name_size = strlen(name);

    while (query.size > 0) {
        struct slice pair = next_pair(&query);
        if (pair.size > name_size && pair.at[name_size] == '=' &&
            memcmp(pair.at, name, name_size) == 0) {
            return decode((struct slice){pair.at + name_size + 1, pair.size - name_size - 1}, out);
        }
    }
    return PARAM_ABSENT;
}

bool route_param_is(struct slice query, const char *name, const char *value)
{
    struct buf found = BUF_EMPTY;
    bool same =
        route_param(query, name, &found) == 0 && slice_equal(buf_slice(&found), slice_of(value));

    buf_deinit(&found);
    return same;
}
