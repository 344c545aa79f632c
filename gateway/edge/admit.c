/*
 * admit.c: see admit.h.
 *
 * Each step is a function that answers true to go on, or refuses and answers
 * false.
 */
#include "gateway/edge/admit.h"

#include <strings.h>

#include "gateway/edge/route.h"
#include "gateway/edge/upgrade.h"
#include "gateway/hook/hooks.h"
#include "proto/room.h"

/* The tokens of a request, borrowed from its head. */
struct credentials {
    struct slice token; /* empty: there is none */
    bool is_by_bearer;  /* the Authorization field brings it, whatever the cookie does */
    bool is_present;
};

static bool refuse(struct admission *a, int status, const char *why, const char *extra)
{
    a->status = status;
    a->why = why;
    a->extra = extra;
    return false;
}

/* Sub-protocols of the Centrifuge dialect: JSON also when nothing is listed. The answer has to be a
 * name that was offered, to the letter (RFC 6455 4.1). */
static void choose_codec(struct admission *a, const struct http_head *h)
{
    if (http_has_name(h, "Sec-WebSocket-Protocol", "centrifuge-json")) {
        a->subprotocol = "centrifuge-json";
    } else if (http_has_name(h, "Sec-WebSocket-Protocol", "centrifuge-protobuf")) {
        a->subprotocol = "centrifuge-protobuf";
        a->dialect = DIALECT_PROTOBUF;
    } else if (route_param_is(h->query, "format", "protobuf") ||
               route_param_is(h->query, "cf_protocol", "protobuf")) {
        a->dialect = DIALECT_PROTOBUF;
    }
}

/* What is no list of extensions is refused even if none is wanted. */
static bool choose_extension(struct admission *a, const struct gateway_conf *conf,
                             const struct http_head *h)
{
    if (extension_choose(h, &a->extension) != 0) {
        return refuse(a, 400, "bad Sec-WebSocket-Extensions", "");
    }
    a->has_more_offers = a->extension.has_more;
    if (!conf->compression) {
        a->extension = EXTENSION_NONE;
    }
    return true;
}

static bool same_name(struct slice a, const char *b)
{
    return a.size == strlen(b) && strncasecmp(a.at, b, a.size) == 0;
}

/* Adds a token that was found. False when it contradicts an earlier one. */
static bool add_token(struct credentials *c, struct slice token)
{
    if (c->is_present) {
        return slice_equal(c->token, token);
    }
    c->is_present = true;
    c->token = token;
    return true;
}

/* "Bearer" in any case, blanks, the token. Other schemes are not for us. */
static bool read_authorization(struct credentials *c, struct slice value)
{
    static const char scheme[] = "Bearer";
    size_t size = sizeof(scheme) - 1;

    if (value.size < size || strncasecmp(value.at, scheme, size) != 0 ||
        (value.size > size && value.at[size] != ' ')) {
        return true;
    }
    c->is_by_bearer = true;
    return add_token(c, slice_trim((struct slice){value.at + size, value.size - size}));
}

/* Looks for our cookie in one Cookie field. An empty one counts as none. */
static bool read_cookies(struct credentials *c, const char *name, struct slice rest)
{
    size_t name_size = strlen(name);

    while (rest.size > 0) {
        const char *end = memchr(rest.at, ';', rest.size);
        size_t size = end != NULL ? (size_t)(end - rest.at) : rest.size;
        struct slice pair = slice_trim((struct slice){rest.at, size});
        size_t skip = MIN(size + 1, rest.size);

        rest.at += skip;
        rest.size -= skip;
        if (pair.size <= name_size + 1 || pair.at[name_size] != '=' ||
            memcmp(pair.at, name, name_size) != 0) {
            continue;
        }
        struct slice value = {pair.at + name_size + 1, pair.size - name_size - 1};
        if (value.size >= 2 && value.at[0] == '"' && value.at[value.size - 1] == '"') {
            value = (struct slice){value.at + 1, value.size - 2};
        }
        if (value.size > 0 && !add_token(c, value)) {
            return false;
        }
    }
    return true;
}

static bool find_credentials(struct admission *a, const struct gateway_conf *conf,
                             const struct http_head *h, struct credentials *c)
{
    bool agree = true;

    for (size_t i = 0; i < h->field_count && agree; i++) {
        if (same_name(h->fields[i].name, "Authorization")) {
            agree = read_authorization(c, h->fields[i].value);
        } else if (conf->cookie[0] != '\0' && same_name(h->fields[i].name, "Cookie")) {
            agree = read_cookies(c, conf->cookie, h->fields[i].value);
        }
    }
    return agree || refuse(a, 400, "two different tokens", "");
}

static bool check_origin(struct admission *a, const struct origins *origins,
                         const struct http_head *h, const struct credentials *c)
{
    const struct slice *origin = http_find(h, "Origin", NULL);
    const struct slice *host = http_find(h, "Host", NULL);
    bool is_by_cookie = c->is_present && !c->is_by_bearer;

    if (origin == NULL) {
        return !is_by_cookie || refuse(a, 403, "a cookie needs an Origin", "");
    }
    bool allowed = is_by_cookie ? origin_is_named(origins, *origin, *host, true)
                                : origin_is_allowed(origins, *origin, *host, true);
    return allowed || refuse(a, 403, "origin not allowed", "");
}

/* Without a token: the Centrifuge dialect asks for one later, the others cannot; but the backend
 * may know who it is. */
static bool admit_nobody(struct admission *a, const struct gateway_conf *conf, enum dialect dialect)
{
    if (dialect == DIALECT_CENTRIFUGE ||
        (dialect == DIALECT_PLAIN && hooks_has(conf, HOOK_CONNECT))) {
        return true;
    }
    if (!conf->anonymous) {
        return refuse(a, 401, "a token is needed", "WWW-Authenticate: Bearer\r\n");
    }
    a->identity = identity_new(NULL);
    return true;
}

static bool check_token(struct admission *a, struct verifier *verifier, const struct credentials *c,
                        int64_t now_s)
{
    struct jwt_claims claims;

    enum jwt_verdict verdict =
        verifier_check(verifier, JWT_CONNECTION, c->token, now_s, &claims, NULL);
    if (verdict != JWT_GOOD) {
        a->token = ADMIT_TOKEN_REFUSED;
        return refuse(a, 401, verdict == JWT_EXPIRED ? "token expired" : "invalid token",
                      "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
    }
    a->token = ADMIT_TOKEN_GOOD;
    a->identity = identity_new(&claims);
    return true;
}

static bool read_room(struct admission *a, const struct http_head *h)
{
    int r = route_param(h->query, "room", &a->room);

    if (r == PARAM_ABSENT) {
        buf_add_lit(&a->room, ADMIT_ROOM_DEFAULT);
        return true;
    }
    a->has_long_room = a->room.size > ROOM_NAME_MAX;
    if (r != 0 || !room_is_valid(buf_slice(&a->room))) {
        return refuse(a, 400, "bad room name", "");
    }
    return true;
}

void admit(struct admission *a, const struct gateway_conf *conf, struct verifier *verifier,
           const struct origins *origins, const struct http_head *h, enum dialect dialect,
           int64_t now_s)
{
    struct credentials c = {.token = SLICE_NONE};

    *a = ADMISSION_EMPTY;
    a->dialect = dialect;
    a->status = upgrade_check(h, &a->why, &a->extra);
    if (dialect == DIALECT_CENTRIFUGE) {
        choose_codec(a, h);
    }
    if (a->status != 101 || !choose_extension(a, conf, h) || !find_credentials(a, conf, h, &c) ||
        !check_origin(a, origins, h, &c)) {
        return;
    }
    if (c.is_present ? !check_token(a, verifier, &c, now_s) : !admit_nobody(a, conf, dialect)) {
        return;
    }
    if (dialect == DIALECT_PLAIN && !read_room(a, h)) {
        return;
    }
    a->wants_events = route_param_is(h->query, "events", "1");
    a->native_pings = route_param_is(h->query, "cf_ws_frame_ping_pong", "true");
    assert(a->status == 101);
}

void admission_deinit(struct admission *a)
{
    buf_deinit(&a->room);
    a->identity = identity_free(a->identity);
}
