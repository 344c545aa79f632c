/*
 * test_refresh.c: tokens that end: of a session and of a subscription; and rooms that need one.
 */
#include "gateway/sessions_internal.h"
#include "tests/unit/gateway_kit.h"
#include "tests/unit/mint.h"

#define SOON 600 /* seconds until a token ends */

/* The text of a command with a token: `format` has %s for it. */
static const char *with_token(char to[2 * MINT_SIZE], const char *format, const char *claims,
                              int64_t ends_in_s)
{
    char token[MINT_SIZE], all[1024];
    int64_t now_s = clock_wall_ms() / 1000;

    snprintf(all, sizeof(all), "{%s,\"exp\":%" PRId64 "}", claims, now_s + ends_in_s);
    mint(token, all);
    const char *at = strstr(format, "TOKEN");
    assert_non_null(at);
    snprintf(to, 2 * MINT_SIZE, "%.*s%s%s", (int)(at - format), format, token, at + 5);
    return to;
}

static void say(struct peer *p, const char *format, const char *claims, int64_t ends_in_s)
{
    char text[2 * MINT_SIZE];

    peer_send(p, with_token(text, format, claims, ends_in_s));
}

#define ANN "\"sub\":\"ann\""
#define CONNECT "{\"id\":1,\"connect\":{\"token\":\"TOKEN\"}}"
#define REFRESH "{\"id\":2,\"refresh\":{\"token\":\"TOKEN\"}}"
#define SUBSCRIBE "{\"id\":3,\"subscribe\":{\"channel\":\"$vip\",\"token\":\"TOKEN\"}}"
#define SUB_REFRESH "{\"id\":4,\"sub_refresh\":{\"channel\":\"$vip\",\"token\":\"TOKEN\"}}"
#define SUB_REFRESH_OF_PYTHON "{\"id\":4,\"sub_refresh\":{\"token\":\"TOKEN\"}}"

static void connect_ann(struct peer *p, struct kit *k, int64_t ends_in_s)
{
    peer_open(p, k, DIALECT_CENTRIFUGE, "", "");
    say(p, CONNECT, ANN, ends_in_s);
    peer_expect_part(p, "\"expires\":true,\"ttl\":");
}

/* ann is in $vip by a token. */
static void enter_vip(struct peer *p, struct kit *k, int64_t ends_in_s)
{
    connect_ann(p, k, 3600);
    say(p, SUBSCRIBE, ANN ",\"channel\":\"$vip\",\"data\":[1]", ends_in_s);
    kit_position(k, "$vip", "e1", 3);
    peer_expect_part(p, "{\"id\":3,\"subscribe\":{\"expires\":true,\"ttl\":");
    assert_non_null(strstr(p->message.at, "\"offset\":3,\"data\":[1]}}"));
}

static void only_who_can_refresh_is_told_when_to(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_ann(&ann, &k, SOON);
    const char *ttl = strstr(ann.message.at, "\"ttl\":");
    assert_non_null(ttl);
    assert_in_range(strtol(ttl + 6, NULL, 10), SOON - 10, SOON);
    peer_end(&ann);
    peer_open(&ann, &k, DIALECT_CENTRIFUGE, "ann", ""); /* by a header */
    peer_send(&ann, "{\"id\":1,\"connect\":{}}");
    peer_expect_part(&ann, "{\"id\":1,\"connect\":");
    assert_null(strstr(ann.message.at, "expires"));
    peer_end(&ann);
    peer_open(&ann, &k, DIALECT_CENTRIFUGE, "", ""); /* a token that ends before its session */
    say(&ann, CONNECT, ANN ",\"expire_at\":0", SOON);
    peer_expect_part(&ann, "{\"id\":1,\"connect\":");
    assert_null(strstr(ann.message.at, "expires"));
    peer_end(&ann);
    kit_end(&k);
}

static void a_good_token_prolongs_the_session(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_ann(&ann, &k, SOON);
    say(&ann, REFRESH, ANN, 2 * SOON);
    peer_expect_part(&ann, "{\"id\":2,\"refresh\":{\"client\":\"");
    assert_non_null(strstr(ann.message.at, "\"expires\":true,\"ttl\":"));
    kit_skip((SOON + 60) * 1000);
    kit_settle(&k);
    peer_send(&ann, "{\"id\":3,\"rpc\":{\"method\":\"time\"}}");
    peer_expect_part(&ann, "{\"id\":3,\"rpc\":{\"data\":{\"time\":");
    kit_skip((SOON + 60) * 1000);
    peer_expect(&ann, "close 3005 connection expired");
    peer_end(&ann);
    kit_end(&k);
}

static void a_session_outlives_its_token_by_the_grace_only(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    connect_ann(&ann, &k, SOON);
    kit_skip((SOON + 5) * 1000);
    kit_settle(&k);
    say(&ann, REFRESH, ANN, SOON);
    peer_expect_part(&ann, "{\"id\":2,\"refresh\":");
    kit_skip((SOON + 30) * 1000);
    peer_expect(&ann, "close 3005 connection expired");
    peer_end(&ann);
    kit_end(&k);
}

static void a_refresh_that_is_wrong_ends_the_session(void **state)
{
    static const struct {
        const char *command, *claims;
        int64_t ends_in_s;
        const char *want;
    } cases[] = {
        {REFRESH, ANN, -60, "close 3005 connection expired"},
        {REFRESH, "\"sub\":\"bob\"", SOON, "close 3500 invalid token"},
        {REFRESH, ANN ",\"channel\":\"$vip\"", SOON, "close 3500 invalid token"},
        {"{\"id\":2,\"refresh\":{\"token\":\"x.TOKEN\"}}", ANN, SOON, "close 3500 invalid token"},
        {"{\"id\":2,\"refresh\":{\"x\":\"TOKEN\"}}", ANN, SOON, "close 3501 bad request"},
        {"{\"id\":2,\"refresh\":{\"token\":\"\",\"x\":\"TOKEN\"}}", ANN, SOON,
         "close 3501 bad request"},
    };
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        connect_ann(&ann, &k, SOON);
        say(&ann, cases[i].command, cases[i].claims, cases[i].ends_in_s);
        peer_expect(&ann, cases[i].want);
        peer_end(&ann);
    }
    peer_connect(&ann, &k, "ann"); /* by a header: it was not asked to refresh */
    say(&ann, REFRESH, ANN, SOON);
    peer_expect(&ann, "close 3501 bad request");
    peer_end(&ann);
    kit_end(&k);
}

static void roles_that_are_lost_take_rooms_with_them(void **state)
{
    char agents[] = "agent";
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    k.conf.rules.defaults.subscribe = agents;
    peer_open(&ann, &k, DIALECT_CENTRIFUGE, "", "");
    say(&ann, CONNECT, ANN ",\"roles\":[\"agent\"]", SOON);
    peer_expect_part(&ann, "{\"id\":1,\"connect\":");
    peer_subscribe(&ann, "desk");
    kit_position(&k, "desk", "e1", 3);
    peer_expect_part(&ann, "{\"id\":2,\"subscribe\":");
    say(&ann, REFRESH, ANN ",\"roles\":[\"agent\",\"more\"]", SOON);
    peer_expect_part(&ann, "{\"id\":2,\"refresh\":");
    peer_expect_nothing(&ann);
    say(&ann, REFRESH, ANN, SOON);
    peer_expect_part(&ann, "{\"id\":2,\"refresh\":");
    peer_expect(&ann, "{\"push\":{\"channel\":\"desk\",\"unsubscribe\":{\"code\":2000,"
                      "\"reason\":\"permission denied\"}}}");
    peer_end(&ann);
    kit_end(&k);
}

static void a_room_that_needs_a_token_gets_one(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    enter_vip(&ann, &k, SOON);
    kit_deliver(&k, "$vip", "e1", 4, 4);
    peer_expect_records(&ann, "$vip", 4, 4);
    peer_send(&ann, "{\"id\":9,\"publish\":{\"channel\":\"$vip\",\"data\":1}}");
    struct bus_out *out = kit_take(&k, MESSAGE_PUBLISH); /* who is in may speak */
    kit_result(&k, out, BUS_CONFIRMED);
    peer_expect(&ann, "{\"id\":9,\"publish\":{}}");
    peer_send(&ann, "{\"id\":9,\"publish\":{\"channel\":\"$other\",\"data\":1}}");
    peer_expect_part(&ann, "\"code\":103,");
    peer_end(&ann);
    kit_end(&k);
}

static void a_subscription_token_that_is_wrong_is_refused(void **state)
{
    static const struct {
        const char *command, *claims;
        int64_t ends_in_s;
        const char *want;
    } cases[] = {
        {"{\"id\":3,\"subscribe\":{\"channel\":\"$vip\",\"x\":\"TOKEN\"}}", ANN, SOON,
         "{\"id\":3,\"error\":{\"code\":103,"},
        {SUBSCRIBE, ANN, SOON, "{\"id\":3,\"error\":{\"code\":103,"}, /* a connection token */
        {SUBSCRIBE, ANN ",\"channel\":\"$vip\"", -60, "{\"id\":3,\"error\":{\"code\":109,"},
        {SUBSCRIBE, ANN ",\"channel\":\"$other\"", SOON, "close 3500 invalid token"},
        {SUBSCRIBE, "\"sub\":\"bob\",\"channel\":\"$vip\"", SOON, "close 3500 invalid token"},
        {SUBSCRIBE, ANN ",\"channel\":\"$vip\",\"client\":\"x\"", SOON, "close 3500 invalid token"},
        {SUB_REFRESH, ANN ",\"channel\":\"$vip\"", SOON, "{\"id\":4,\"error\":{\"code\":103,"},
        {SUB_REFRESH_OF_PYTHON, ANN ",\"channel\":\"$vip\"", SOON,
         "{\"id\":4,\"error\":{\"code\":103,"}, /* not subscribed */
    };
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        connect_ann(&ann, &k, SOON);
        say(&ann, cases[i].command, cases[i].claims, cases[i].ends_in_s);
        peer_expect_part(&ann, cases[i].want);
        peer_end(&ann);
    }
    assert_int_equal(rooms_count(k.gateway.rooms), 0);
    kit_end(&k);
}

static void a_subscription_is_refreshed_whether_its_room_is_named_or_not(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    enter_vip(&ann, &k, SOON);
    say(&ann, SUB_REFRESH, ANN ",\"channel\":\"$vip\"", SOON);
    peer_expect_part(&ann, "{\"id\":4,\"sub_refresh\":{\"expires\":true,\"ttl\":");
    say(&ann, SUB_REFRESH_OF_PYTHON, ANN ",\"channel\":\"$vip\"", SOON + 120);
    peer_expect_part(&ann, "{\"id\":4,\"sub_refresh\":{\"expires\":true,\"ttl\":");
    kit_skip((SOON + 60) * 1000);
    kit_settle(&k);
    peer_expect_nothing(&ann);
    kit_skip(120 * 1000);
    peer_expect(&ann, "{\"push\":{\"channel\":\"$vip\",\"unsubscribe\":{\"code\":2501,"
                      "\"reason\":\"subscription expired\"}}}");
    assert_int_equal(rooms_count(k.gateway.rooms), 0);
    peer_end(&ann);
    kit_end(&k);
}

static void who_refreshes_a_room_again_and_again_does_not_outlive_his_token(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    const char *got;

    kit_begin(&k);
    k.gateway.sessions->expiry.wait_ms = 100;
    connect_ann(&ann, &k, SOON);
    say(&ann, SUBSCRIBE, ANN ",\"channel\":\"$vip\"", 10 * SOON);
    kit_position(&k, "$vip", "e1", 3);
    peer_expect_part(&ann, "{\"id\":3,\"subscribe\":");
    kit_skip((SOON + 60) * 1000);
    int64_t until_ms = clock_mono_ms() + KIT_WAIT_MS;
    do {
        assert_true(clock_mono_ms() < until_ms);
        say(&ann, SUB_REFRESH, ANN ",\"channel\":\"$vip\"", 10 * SOON);
        got = peer_next(&ann);
    } while (strncmp(got, "{\"id\":4,\"sub_refresh\":", 22) == 0);
    assert_string_equal(got, "close 3005 connection expired");
    peer_end(&ann);
    kit_end(&k);
}

static void a_subscription_refresh_that_is_wrong_is_refused(void **state)
{
    static const struct {
        const char *command, *claims;
        int64_t ends_in_s;
        const char *want;
    } cases[] = {
        {SUB_REFRESH, ANN ",\"channel\":\"$vip\"", -60, "{\"id\":4,\"error\":{\"code\":110,"},
        {"{\"id\":4,\"sub_refresh\":{\"channel\":\"$vip\",\"x\":\"TOKEN\"}}", ANN, SOON,
         "{\"id\":4,\"error\":{\"code\":107,"},
        {SUB_REFRESH, ANN, SOON, "close 3500 invalid token"},
        {SUB_REFRESH, ANN ",\"channel\":\"$other\"", SOON, "close 3500 invalid token"},
        {SUB_REFRESH_OF_PYTHON, "\"sub\":\"bob\",\"channel\":\"$vip\"", SOON,
         "close 3500 invalid token"},
    };
    (void)state;
    struct kit k;
    struct peer ann;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        kit_begin(&k);
        enter_vip(&ann, &k, SOON);
        say(&ann, cases[i].command, cases[i].claims, cases[i].ends_in_s);
        peer_expect_part(&ann, cases[i].want);
        peer_end(&ann);
        kit_end(&k);
    }
}

static void personal_rooms_are_for_those_whom_they_name(void **state)
{
    static const struct {
        const char *user, *room;
        bool may;
    } cases[] = {
        {"ann", "#ann", true},         {"ann", "dm#ann,bob", true}, {"ann", "dm#bob,ann", true},
        {"ann", "a#bob#ann", true},    {"bob", "#ann", false},      {"ann", "#", false},
        {"ann", "dm#", false},         {"ann", "dm#,", false},      {"ann", "dm#an", false},
        {"ann", "dm#anna,bob", false}, {"ann", "ann#bob", false},   {"ann", "$dm#ann", false},
    };
    (void)state;
    struct kit k;
    struct peer p;
    char command[256];

    kit_begin(&k);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        peer_connect(&p, &k, cases[i].user);
        snprintf(command, sizeof(command), "{\"id\":3,\"publish\":{\"channel\":\"%s\",\"data\":1}}",
                 cases[i].room);
        if (cases[i].may) {
            peer_subscribe(&p, cases[i].room);
            kit_position(&k, cases[i].room, "e1", 3);
            peer_expect_part(&p, "{\"id\":2,\"subscribe\":");
        } else {
            peer_subscribe(&p, cases[i].room);
            peer_expect_part(&p, "{\"id\":2,\"error\":{\"code\":103,");
            peer_send(&p, command);
            peer_expect_part(&p, "{\"id\":3,\"error\":{\"code\":103,");
        }
        peer_end(&p);
        KIT_UNTIL(&k, peer_session(&p) == NULL);
        kit_settle(&k);
    }
    kit_end(&k);
}

static void names_of_libraries_have_an_end(void **state)
{
    static const struct {
        const char *members, *want;
    } cases[] = {
        {"\"name\":\"0123456789abcdef\",\"version\":\"1\"", "{\"id\":1,\"connect\":"},
        {"\"name\":\"0123456789abcdefg\"", "close 3501 bad request"},
        {"\"version\":\"0123456789012345678901234567890123456789012345678901234567890123x\"",
         "close 3501 bad request"},
    };
    (void)state;
    struct kit k;
    struct peer p;
    char command[256];

    kit_begin(&k);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        peer_open(&p, &k, DIALECT_CENTRIFUGE, "ann", "");
        snprintf(command, sizeof(command), "{\"id\":1,\"connect\":{%s}}", cases[i].members);
        peer_send(&p, command);
        peer_expect_part(&p, cases[i].want);
        peer_end(&p);
    }
    kit_end(&k);
}

static void a_session_is_told_who_it_is(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    peer_open(&ann, &k, DIALECT_CENTRIFUGE, "", "");
    say(&ann, CONNECT, ANN ",\"name\":\"Ann\",\"roles\":[\"mod\",\"x\"]", SOON);
    peer_expect_part(&ann, "{\"id\":1,\"connect\":");
    peer_subscribe(&ann, "a");
    kit_position(&k, "a", "e1", 3);
    peer_expect_part(&ann, "{\"id\":2,\"subscribe\":");
    peer_send(&ann, "{\"id\":3,\"rpc\":{\"method\":\"session\"}}");
    peer_expect_part(&ann, "\"user\":\"ann\",\"name\":\"Ann\",\"gateway\":\"g1\","
                           "\"roles\":[\"mod\",\"x\"],\"rooms\":[\"a\"],\"expires_at\":");
    peer_end(&ann);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_who_can_refresh_is_told_when_to),
        cmocka_unit_test(a_good_token_prolongs_the_session),
        cmocka_unit_test(a_session_outlives_its_token_by_the_grace_only),
        cmocka_unit_test(a_refresh_that_is_wrong_ends_the_session),
        cmocka_unit_test(roles_that_are_lost_take_rooms_with_them),
        cmocka_unit_test(a_room_that_needs_a_token_gets_one),
        cmocka_unit_test(a_subscription_token_that_is_wrong_is_refused),
        cmocka_unit_test(a_subscription_is_refreshed_whether_its_room_is_named_or_not),
        cmocka_unit_test(who_refreshes_a_room_again_and_again_does_not_outlive_his_token),
        cmocka_unit_test(a_subscription_refresh_that_is_wrong_is_refused),
        cmocka_unit_test(personal_rooms_are_for_those_whom_they_name),
        cmocka_unit_test(names_of_libraries_have_an_end),
        cmocka_unit_test(a_session_is_told_who_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
