/*
 * test_admit.c: who may come in. Requests are whole heads; the tokens in them
 * are minted by the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/http.h"
#include "gateway/edge/admit.h"
#include "tests/unit/tokens.h"

#define NOW 1000000
#define KEY "0123456789abcdef0123456789abcdef"
#define SITE "Origin: https://chat.example.com\r\n"
#define EVIL "Origin: https://evil.example\r\n"
#define SELF "Origin: http://gateway:8080\r\n"

static struct gateway_conf conf = {
    .hmac_key = (char *)(uintptr_t)KEY,
    .audience = (char *)(uintptr_t) "",
    .issuer = (char *)(uintptr_t) "",
    .subscription_audience = (char *)(uintptr_t) "",
    .token_type = (char *)(uintptr_t) "",
    .cookie = (char *)(uintptr_t) "warren_token",
    .hooks = {.connect_url = (char *)(uintptr_t) "",
              .subscribe_url = (char *)(uintptr_t) "",
              .publish_url = (char *)(uintptr_t) ""},
};

enum { GOOD, OTHER, EXPIRED, FORGED, TOKEN_COUNT };
static char tokens[TOKEN_COUNT][300];

static int make_tokens(void **state)
{
    (void)state;
    static const char *const users[TOKEN_COUNT] = {"ann", "bob", "ann", "ann"};

    for (int i = 0; i < TOKEN_COUNT; i++) {
        struct buf token = BUF_EMPTY;
        tokens_mint(i == FORGED ? "another key of thirty-two bytes!" : KEY, users[i], "", 60,
                    i == EXPIRED ? NOW - 1000 : NOW, &token);
        assert_true(token.size < sizeof(tokens[i]));
        memcpy(tokens[i], token.at, token.size);
        buf_deinit(&token);
    }
    return 0;
}

/* Appends lines in which 1, 2, 3 and 4 after a '$' stand for the tokens. */
static void add_lines(struct buf *out, const char *lines)
{
    for (const char *at = lines; *at != '\0'; at++) {
        if (*at == '$') {
            at++;
            buf_add_slice(out, slice_of(tokens[*at - '1']));
        } else {
            buf_add_char(out, *at);
        }
    }
}

/* The admission of a good upgrade with these lines more. */
static struct admission ask(enum dialect dialect, const char *list, const char *query,
                            const char *lines)
{
    char error[100];
    struct origins *origins = origins_new(list, error, sizeof(error));
    struct buf text = BUF_EMPTY;
    struct http_head h;
    struct admission a;

    assert_non_null(origins);
    buf_addf(&text, "GET /x%s HTTP/1.1\r\n", query);
    buf_add_lit(&text, "Host: gateway:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Version: 13\r\n");
    add_lines(&text, lines);
    buf_add_lit(&text, "\r\n");
    http_head_init(&h);
    assert_int_equal(http_head_feed(&h, text.at, text.size), HTTP_DONE);
    static struct metrics metrics;
    conf.keys = tokens_keys(KEY);
    struct revoked *revoked = revoked_new(&metrics);
    struct verifier *verifier = verifier_new(&conf, revoked, &metrics);
    admit(&a, &conf, verifier, origins, &h, dialect, NOW);
    verifier_free(verifier);
    revoked_free(revoked);
    conf.keys = keys_free(conf.keys);
    http_head_deinit(&h);
    buf_deinit(&text);
    origins_free(origins);
    return a;
}

/* What a request gets: the status and, if it is let in, as whom ("-": connect has to tell). */
static void expect(enum dialect dialect, const char *list, const char *lines, int status,
                   const char *user)
{
    struct admission a = ask(dialect, list, "", lines);
    const char *got = a.identity == NULL ? "-" : a.identity->user;

    if (a.status != status || (status == 101 && strcmp(got, user) != 0)) {
        fail_msg("%d \"%s\" (%s) instead of %d \"%s\" for %s", a.status, got, a.why, status, user,
                 lines);
    }
    assert_int_equal(a.why[0] == '\0', status == 101);
    if (status != 101) {
        assert_null(a.identity);
    }
    admission_deinit(&a);
    assert_null(a.identity);
}

struct ask {
    const char *lines;
    int status;
    const char *user;
};

static void expect_all(enum dialect dialect, const char *list, const struct ask *asks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect(dialect, list, asks[i].lines, asks[i].status, asks[i].user);
    }
}

static void a_bearer_token_tells_who_comes(void **state)
{
    (void)state;
    static const struct ask asks[] = {
        {"Authorization: Bearer $1\r\n", 101, "ann"},
        {"authorization: bearer   $2 \r\n", 101, "bob"},
        {"Authorization: Bearer $1\r\nAuthorization: Bearer $1\r\n", 101, "ann"},
        {SITE "Authorization: Bearer $1\r\n", 101, "ann"},
        {SELF "Authorization: Bearer $1\r\n", 101, "ann"},
        {"Authorization: Bearer $3\r\n", 401, ""},
        {"Authorization: Bearer $4\r\n", 401, ""},
        {"Authorization: Bearer\r\n", 401, ""},
        {"Authorization: Bearer x\r\n", 401, ""},
        {"Authorization: Bearer $1x\r\n", 401, ""},
        {"Authorization: Bearer $1 $1\r\n", 401, ""},
        {"Authorization: Bearer \"$1\"\r\n", 401, ""},
        {"Authorization: Bearer $1\r\nAuthorization: Bearer $2\r\n", 400, ""},
        {EVIL "Authorization: Bearer $1\r\n", 403, ""},
        {"Origin: null\r\nAuthorization: Bearer $1\r\n", 403, ""},
        {SITE SITE "Authorization: Bearer $1\r\n", 400, ""},
    };
    conf.anonymous = true; /* a bad token is never a reason to be nobody */
    expect_all(DIALECT_CENTRIFUGE, "https://chat.example.com", asks, ARRAY_LEN(asks));
    expect_all(DIALECT_PLAIN, "https://chat.example.com", asks, ARRAY_LEN(asks));
    conf.anonymous = false;
    expect_all(DIALECT_ECHO, "https://chat.example.com", asks, ARRAY_LEN(asks));
}

static void a_cookie_counts_only_with_an_origin_that_is_named(void **state)
{
    (void)state;
    static const struct ask asks[] = {
        {SITE "Cookie: warren_token=$1\r\n", 101, "ann"},
        {SELF "Cookie: warren_token=$1\r\n", 101, "ann"},
        {SITE "Cookie: a=1; warren_token=$1; b=2\r\n", 101, "ann"},
        {SITE "Cookie: warren_token=\"$1\"\r\n", 101, "ann"},
        {SITE "Cookie: a=1\r\nCookie: warren_token=$1\r\n", 101, "ann"},
        {SITE "Cookie: warren_token=$3\r\n", 401, ""},
        {SITE "Cookie: warren_token=x\r\n", 401, ""},
        {"Cookie: warren_token=$1\r\n", 403, ""},
        {EVIL "Cookie: warren_token=$1\r\n", 403, ""},
        {"Origin: null\r\nCookie: warren_token=$1\r\n", 403, ""},
        {SITE "Cookie: warren_token=$1; warren_token=$2\r\n", 400, ""},
        {SITE "Cookie: warren_token=$1\r\nCookie: warren_token=$2\r\n", 400, ""},
        {SITE "Cookie: warren_token=$1\r\nAuthorization: Bearer $2\r\n", 400, ""},
        {SITE "Authorization: Bearer $2\r\nCookie: warren_token=$1\r\n", 400, ""},
        {"Cookie: warren_token=$1\r\nAuthorization: Bearer $1\r\n", 101, "ann"},
        {"Authorization: Bearer $1\r\nCookie: warren_token=$1\r\n", 101, "ann"},
        /* No cookie of ours. */
        {SITE "Cookie: xwarren_token=$1\r\n", 101, "-"},
        {SITE "Cookie: warren_token2=$1\r\n", 101, "-"},
        {SITE "Cookie: Warren_Token=$1\r\n", 101, "-"},
        {SITE "Cookie: warren_token=\r\n", 101, "-"},
        {SITE "Cookie: warren_token\r\n", 101, "-"},
        {SITE "Cookie: a=warren_token=$1\r\n", 101, "-"},
        {SITE "Cookie: ;;; = ;\r\n", 101, "-"},
        {"Cookie: a=1\r\n", 101, "-"},
    };
    static const struct ask with_any[] = {
        {SITE "Cookie: warren_token=$1\r\n", 403, ""},
        {SELF "Cookie: warren_token=$1\r\n", 101, "ann"},
        {SITE "Authorization: Bearer $1\r\n", 101, "ann"},
        {SITE, 101, "-"},
    };
    static const struct ask without[] = {{"Cookie: warren_token=$1\r\nCookie: =$1\r\n", 101, "-"}};

    expect_all(DIALECT_CENTRIFUGE, "https://chat.example.com", asks, ARRAY_LEN(asks));
    expect_all(DIALECT_CENTRIFUGE, "*", with_any, ARRAY_LEN(with_any));
    char *cookie = conf.cookie;
    conf.cookie = (char *)(uintptr_t) "";
    expect_all(DIALECT_CENTRIFUGE, "", without, ARRAY_LEN(without));
    conf.cookie = cookie;
}

static void without_a_token_the_dialect_decides(void **state)
{
    (void)state;
    static const char *const nothing[] = {"", SITE, "Authorization: Basic YTpi\r\n",
                                          "Authorization: \r\n", "Authorization: Bearerx\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(nothing); i++) {
        conf.anonymous = false;
        expect(DIALECT_CENTRIFUGE, "https://chat.example.com", nothing[i], 101, "-");
        expect(DIALECT_PLAIN, "https://chat.example.com", nothing[i], 401, "");
        expect(DIALECT_ECHO, "https://chat.example.com", nothing[i], 401, "");
        conf.anonymous = true;
        expect(DIALECT_CENTRIFUGE, "https://chat.example.com", nothing[i], 101, "-");
        expect(DIALECT_PLAIN, "https://chat.example.com", nothing[i], 101, "");
        expect(DIALECT_ECHO, "https://chat.example.com", nothing[i], 101, "");
        conf.anonymous = false;
    }
    expect(DIALECT_PLAIN, "", EVIL, 403, "");
}

static void refusals_name_the_scheme(void **state)
{
    (void)state;
    struct admission a = ask(DIALECT_PLAIN, "", "", "");
    assert_string_equal(a.extra, "WWW-Authenticate: Bearer\r\n");
    assert_int_equal(a.token, ADMIT_TOKEN_NONE);
    admission_deinit(&a);
    a = ask(DIALECT_PLAIN, "", "", "Authorization: Bearer $3\r\n");
    assert_string_equal(a.extra, "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
    assert_int_equal(a.token, ADMIT_TOKEN_REFUSED);
    admission_deinit(&a);
    a = ask(DIALECT_PLAIN, "", "", "Authorization: Bearer $1\r\n");
    assert_int_equal(a.token, ADMIT_TOKEN_GOOD);
    admission_deinit(&a);
}

static void the_codec_is_the_one_that_was_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *query, *lines, *subprotocol;
        enum dialect dialect;
    } cases[] = {
        {"", "", "", DIALECT_CENTRIFUGE},
        {"", "Sec-WebSocket-Protocol: \r\n", "", DIALECT_CENTRIFUGE},
        {"", "Sec-WebSocket-Protocol: centrifuge-json\r\n", "centrifuge-json", DIALECT_CENTRIFUGE},
        {"", "Sec-WebSocket-Protocol: centrifuge-protobuf, centrifuge-json\r\n", "centrifuge-json",
         DIALECT_CENTRIFUGE},
        {"?format=protobuf", "Sec-WebSocket-Protocol: centrifuge-json\r\n", "centrifuge-json",
         DIALECT_CENTRIFUGE},
        {"", "Sec-WebSocket-Protocol: chat, superchat\r\n", "", DIALECT_CENTRIFUGE},
        {"", "Sec-WebSocket-Protocol: Centrifuge-JSON\r\n", "", DIALECT_CENTRIFUGE},
        {"", "Sec-WebSocket-Protocol: CENTRIFUGE-PROTOBUF, centrifuge-json\r\n", "centrifuge-json",
         DIALECT_CENTRIFUGE},
        {"", "Sec-WebSocket-Protocol: Centrifuge-Protobuf\r\n", "", DIALECT_CENTRIFUGE},
        {"", "Sec-WebSocket-Protocol: centrifuge-protobuf\r\n", "centrifuge-protobuf",
         DIALECT_PROTOBUF},
        {"?format=json", "Sec-WebSocket-Protocol: x, centrifuge-protobuf\r\n",
         "centrifuge-protobuf", DIALECT_PROTOBUF},
        {"?format=protobuf", "", "", DIALECT_PROTOBUF},
        {"?cf_protocol=protobuf", "", "", DIALECT_PROTOBUF},
        {"?format=Protobuf", "", "", DIALECT_CENTRIFUGE},
        {"?cf_protocol=json", "", "", DIALECT_CENTRIFUGE},
        {"?format=json&cf_ws_frame_ping_pong=true&x", "", "", DIALECT_CENTRIFUGE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct admission a = ask(DIALECT_CENTRIFUGE, "", cases[i].query, cases[i].lines);
        assert_int_equal(a.status, 101);
        assert_string_equal(a.subprotocol, cases[i].subprotocol);
        assert_int_equal(a.dialect, cases[i].dialect);
        admission_deinit(&a);
    }
    static const struct {
        const char *query;
        bool native_pings;
    } pings[] = {
        {"", false},
        {"?cf_ws_frame_ping_pong=true", true},
        {"?format=protobuf&cf_ws_frame_ping_pong=true", true},
        {"?cf_ws_frame_ping_pong=false", false},
        {"?cf_ws_frame_ping_pong", false},
        {"?CF_ws_frame_ping_pong=true", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(pings); i++) {
        struct admission asked = ask(DIALECT_CENTRIFUGE, "", pings[i].query, "");
        assert_int_equal(asked.native_pings, pings[i].native_pings);
        admission_deinit(&asked);
    }
    struct admission a = ask(DIALECT_ECHO, "", "?format=protobuf",
                             "Authorization: Bearer $1\r\n"
                             "Sec-WebSocket-Protocol: centrifuge-json, chat\r\n");
    assert_int_equal(a.status, 101);
    assert_string_equal(a.subprotocol, "");
    admission_deinit(&a);
}

static void the_plain_dialect_enters_a_room(void **state)
{
    (void)state;
    static const struct {
        const char *query, *room; /* NULL: refused */
    } cases[] = {
        {"", "lobby"},
        {"?x=1", "lobby"},
        {"?room=kitchen", "kitchen"},
        {"?room=a%3Ab", "a:b"},
        {"?room=", NULL},
        {"?room=a+b", NULL},
        {"?room=a%0Ab", NULL},
        {"?room=%", NULL},
        {"?room=a*", NULL},
        {"?room=%23ann", "#ann"},
        {"?room=..", NULL},
        {"?room=%C3%A4", NULL},
        {"?room=a%22b", NULL},
        {"?room=a%5Cb", NULL},
        {"?room=a%00", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct admission a = ask(DIALECT_PLAIN, "", cases[i].query, "Authorization: Bearer $1\r\n");
        assert_int_equal(a.status, cases[i].room != NULL ? 101 : 400);
        if (cases[i].room != NULL) {
            assert_true(slice_equal(buf_slice(&a.room), slice_of(cases[i].room)));
        }
        admission_deinit(&a);
    }
}

static void the_upgrade_is_judged_first(void **state)
{
    (void)state;
    struct admission a = ask(DIALECT_PLAIN, "", "", EVIL "Sec-WebSocket-Version: 13\r\n");

    assert_int_equal(a.status, 400);
    admission_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bearer_token_tells_who_comes),
        cmocka_unit_test(a_cookie_counts_only_with_an_origin_that_is_named),
        cmocka_unit_test(without_a_token_the_dialect_decides),
        cmocka_unit_test(refusals_name_the_scheme),
        cmocka_unit_test(the_codec_is_the_one_that_was_asked_for),
        cmocka_unit_test(the_plain_dialect_enters_a_room),
        cmocka_unit_test(the_upgrade_is_judged_first),
    };
    return cmocka_run_group_tests(tests, make_tokens, NULL);
}
