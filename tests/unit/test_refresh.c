/*
 * test_refresh.c: tokens that end: of a session and of a subscription; and rooms that need one.
 */
#include "common/mem.h"
#include "gateway/session/sessions_internal.h"
#include "gateway/token/revoked.h"
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

struct world {
    struct kit kit;
    struct peer ann;
};

static int start(void **state)
{
    struct world *w = mem_new(struct world);

    kit_begin(&w->kit);
    *state = w;
    return 0;
}

static void leave(struct world *w)
{
    peer_end(&w->ann);
    w->ann.kit = NULL;
}

/* ann may be there still. */
static int stop(void **state)
{
    struct world *w = *state;

    if (w->ann.kit != NULL) {
        leave(w);
    }
    kit_end(&w->kit);
    mem_free(w);
    return 0;
}

/* A session with this token. */
static void connect_with(struct world *w, const char *claims, int64_t ends_in_s)
{
    peer_open(&w->ann, &w->kit, DIALECT_CENTRIFUGE, "", "");
    say(&w->ann, CONNECT, claims, ends_in_s);
    peer_expect_part(&w->ann, "{\"id\":1,\"connect\":");
}

static void connect_ann(struct world *w, int64_t ends_in_s)
{
    connect_with(w, ANN, ends_in_s);
    assert_non_null(strstr(w->ann.message.at, "\"expires\":true,\"ttl\":"));
}

/* ann is in $vip by a token. */
static void enter_vip(struct world *w, int64_t ends_in_s)
{
    connect_ann(w, 3600);
    say(&w->ann, SUBSCRIBE, ANN ",\"channel\":\"$vip\",\"data\":[1]", ends_in_s);
    kit_position(&w->kit, "$vip", "e1", 3);
    peer_expect_part(&w->ann, "{\"id\":3,\"subscribe\":{\"expires\":true,\"ttl\":");
    assert_non_null(strstr(w->ann.message.at, "\"offset\":3,\"data\":[1]}}"));
}

/* She enters a room that stands at 3. */
static void enter(struct world *w, const char *room)
{
    peer_subscribe(&w->ann, room);
    kit_position(&w->kit, room, "e1", 3);
    peer_expect_part(&w->ann, "{\"id\":2,\"subscribe\":");
}

/* A command with a token, and what she hears then. */
struct said {
    const char *command, *claims;
    int64_t ends_in_s;
    const char *want;
};

static void say_one(struct world *w, const struct said *one)
{
    say(&w->ann, one->command, one->claims, one->ends_in_s);
}

static void only_who_can_refresh_is_told_when_to(void **state)
{
    struct world *w = *state;

    connect_ann(w, SOON);
    const char *ttl = strstr(w->ann.message.at, "\"ttl\":");
    assert_non_null(ttl);
    assert_in_range(strtol(ttl + 6, NULL, 10), SOON - 10, SOON);
    leave(w);
    peer_open(&w->ann, &w->kit, DIALECT_CENTRIFUGE, "ann", ""); /* by a header */
    peer_send(&w->ann, "{\"id\":1,\"connect\":{}}");
    peer_expect_part(&w->ann, "{\"id\":1,\"connect\":");
    assert_null(strstr(w->ann.message.at, "expires"));
    leave(w);
    connect_with(w, ANN ",\"expire_at\":0", SOON); /* a token that ends before its session */
    assert_null(strstr(w->ann.message.at, "expires"));
}

static void a_good_token_prolongs_the_session(void **state)
{
    struct world *w = *state;

    connect_ann(w, SOON);
    say(&w->ann, REFRESH, ANN, 2 * SOON);
    peer_expect_part(&w->ann, "{\"id\":2,\"refresh\":{\"client\":\"");
    assert_non_null(strstr(w->ann.message.at, "\"expires\":true,\"ttl\":"));
    kit_skip((SOON + 60) * 1000);
    kit_settle(&w->kit);
    peer_send(&w->ann, "{\"id\":3,\"rpc\":{\"method\":\"time\"}}");
    peer_expect_part(&w->ann, "{\"id\":3,\"rpc\":{\"data\":{\"time\":");
    kit_skip((SOON + 60) * 1000);
    peer_expect(&w->ann, "close 3005 connection expired");
}

static void a_session_outlives_its_token_by_the_grace_only(void **state)
{
    struct world *w = *state;

    connect_ann(w, SOON);
    kit_skip((SOON + 5) * 1000);
    kit_settle(&w->kit);
    say(&w->ann, REFRESH, ANN, SOON);
    peer_expect_part(&w->ann, "{\"id\":2,\"refresh\":");
    kit_skip((SOON + 30) * 1000);
    peer_expect(&w->ann, "close 3005 connection expired");
}

static void a_refresh_that_is_wrong_ends_the_session(void **state)
{
    static const struct said cases[] = {
        {REFRESH, ANN, -60, "close 3005 connection expired"},
        {REFRESH, "\"sub\":\"bob\"", SOON, "close 3500 invalid token"},
        {REFRESH, ANN ",\"channel\":\"$vip\"", SOON, "close 3500 invalid token"},
        {"{\"id\":2,\"refresh\":{\"token\":\"x.TOKEN\"}}", ANN, SOON, "close 3500 invalid token"},
        {"{\"id\":2,\"refresh\":{\"x\":\"TOKEN\"}}", ANN, SOON, "close 3501 bad request"},
        {"{\"id\":2,\"refresh\":{\"token\":\"\",\"x\":\"TOKEN\"}}", ANN, SOON,
         "close 3501 bad request"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        connect_ann(w, SOON);
        say_one(w, &cases[i]);
        peer_expect(&w->ann, cases[i].want);
        leave(w);
    }
    peer_connect(&w->ann, &w->kit, "ann"); /* by a header: it was not asked to refresh */
    say(&w->ann, REFRESH, ANN, SOON);
    peer_expect(&w->ann, "close 3501 bad request");
}

static void roles_that_are_lost_take_rooms_with_them(void **state)
{
    static char agents[] = "agent";
    struct world *w = *state;

    w->kit.conf.rules.defaults.subscribe = agents;
    connect_with(w, ANN ",\"roles\":[\"agent\"]", SOON);
    enter(w, "desk");
    say(&w->ann, REFRESH, ANN ",\"roles\":[\"agent\",\"more\"]", SOON);
    peer_expect_part(&w->ann, "{\"id\":2,\"refresh\":");
    peer_expect_nothing(&w->ann);
    say(&w->ann, REFRESH, ANN, SOON);
    peer_expect_part(&w->ann, "{\"id\":2,\"refresh\":");
    peer_expect(&w->ann, "{\"push\":{\"channel\":\"desk\",\"unsubscribe\":{\"code\":2000,"
                         "\"reason\":\"permission denied\"}}}");
}

static void a_room_that_needs_a_token_gets_one(void **state)
{
    struct world *w = *state;

    enter_vip(w, SOON);
    kit_deliver(&w->kit, "$vip", "e1", 4, 4);
    peer_expect_records(&w->ann, "$vip", 4, 4);
    peer_send(&w->ann, "{\"id\":9,\"publish\":{\"channel\":\"$vip\",\"data\":1}}");
    struct bus_out *out = kit_take(&w->kit, MESSAGE_PUBLISH); /* who is in may speak */
    kit_result(&w->kit, out, BUS_CONFIRMED);
    peer_expect(&w->ann, "{\"id\":9,\"publish\":{}}");
    peer_send(&w->ann, "{\"id\":9,\"publish\":{\"channel\":\"$other\",\"data\":1}}");
    peer_expect_part(&w->ann, "\"code\":103,");
}

static void a_subscription_token_that_is_wrong_is_refused(void **state)
{
    static const struct said cases[] = {
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
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        connect_ann(w, SOON);
        say_one(w, &cases[i]);
        peer_expect_part(&w->ann, cases[i].want);
        leave(w);
    }
    assert_int_equal(rooms_count(w->kit.gateway.rooms), 0);
}

static void a_subscription_is_refreshed_whether_its_room_is_named_or_not(void **state)
{
    struct world *w = *state;

    enter_vip(w, SOON);
    say(&w->ann, SUB_REFRESH, ANN ",\"channel\":\"$vip\"", SOON);
    peer_expect_part(&w->ann, "{\"id\":4,\"sub_refresh\":{\"expires\":true,\"ttl\":");
    say(&w->ann, SUB_REFRESH_OF_PYTHON, ANN ",\"channel\":\"$vip\"", SOON + 120);
    peer_expect_part(&w->ann, "{\"id\":4,\"sub_refresh\":{\"expires\":true,\"ttl\":");
    kit_skip((SOON + 60) * 1000);
    kit_settle(&w->kit);
    peer_expect_nothing(&w->ann);
    kit_skip(120 * 1000);
    peer_expect(&w->ann, "{\"push\":{\"channel\":\"$vip\",\"unsubscribe\":{\"code\":2501,"
                         "\"reason\":\"subscription expired\"}}}");
    assert_int_equal(rooms_count(w->kit.gateway.rooms), 0);
}

static void who_refreshes_a_room_again_and_again_does_not_outlive_his_token(void **state)
{
    struct world *w = *state;
    const char *got;

    w->kit.gateway.sessions->expiry.wait_ms = 100;
    connect_ann(w, SOON);
    say(&w->ann, SUBSCRIBE, ANN ",\"channel\":\"$vip\"", 10 * SOON);
    kit_position(&w->kit, "$vip", "e1", 3);
    peer_expect_part(&w->ann, "{\"id\":3,\"subscribe\":");
    kit_skip((SOON + 60) * 1000);
    int64_t until_ms = clock_mono_ms() + KIT_WAIT_MS;
    do {
        assert_true(clock_mono_ms() < until_ms);
        say(&w->ann, SUB_REFRESH, ANN ",\"channel\":\"$vip\"", 10 * SOON);
        got = peer_next(&w->ann);
    } while (strncmp(got, "{\"id\":4,\"sub_refresh\":", 22) == 0);
    assert_string_equal(got, "close 3005 connection expired");
}

static void a_subscription_refresh_that_is_wrong_is_refused(void **state)
{
    static const struct said cases[] = {
        {SUB_REFRESH, ANN ",\"channel\":\"$vip\"", -60, "{\"id\":4,\"error\":{\"code\":110,"},
        {"{\"id\":4,\"sub_refresh\":{\"channel\":\"$vip\",\"x\":\"TOKEN\"}}", ANN, SOON,
         "{\"id\":4,\"error\":{\"code\":107,"},
        {SUB_REFRESH, ANN, SOON, "close 3500 invalid token"},
        {SUB_REFRESH, ANN ",\"channel\":\"$other\"", SOON, "close 3500 invalid token"},
        {SUB_REFRESH_OF_PYTHON, "\"sub\":\"bob\",\"channel\":\"$vip\"", SOON,
         "close 3500 invalid token"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(start(state), 0); /* nobody was in the room before */
        struct world *w = *state;
        enter_vip(w, SOON);
        say_one(w, &cases[i]);
        peer_expect_part(&w->ann, cases[i].want);
        assert_int_equal(stop(state), 0);
    }
}

#define VIP_ENDED                                                                                  \
    "{\"push\":{\"channel\":\"$vip\",\"unsubscribe\":{\"code\":2502,"                              \
    "\"reason\":\"state invalidated\"}}}"

/* She stays and cannot come back with it; with another one she can. */
static void a_revoked_subscription_token_takes_its_room_and_no_more(void **state)
{
    struct world *w = *state;
    struct revoked *r = w->kit.gateway.revoked;

    connect_with(w, ANN ",\"iat\":5000", SOON);
    say(&w->ann, SUBSCRIBE, ANN ",\"channel\":\"$vip\",\"jti\":\"s1\",\"iat\":1000", SOON);
    kit_position(&w->kit, "$vip", "e1", 3);
    peer_expect_part(&w->ann, "{\"id\":3,\"subscribe\":");
    assert_int_equal(revoked_add_token(r, SLICE_LIT("s2"), 0), 0);
    assert_int_equal(revoked_add_user(r, SLICE_LIT("ann"), 1000, 0), 0);
    assert_int_equal(revoked_add_user(r, SLICE_LIT("bob"), 6000, 0), 0);
    revoked_add_all(r, 1000);
    peer_expect_nothing(&w->ann);
    assert_int_equal(revoked_add_token(r, SLICE_LIT("s1"), 0), 0);
    peer_expect(&w->ann, VIP_ENDED);
    assert_int_equal(rooms_count(w->kit.gateway.rooms), 0);
    say(&w->ann, SUBSCRIBE, ANN ",\"channel\":\"$vip\",\"jti\":\"s1\",\"iat\":1000", SOON);
    peer_expect_part(&w->ann, "{\"id\":3,\"error\":{\"code\":103,");
    say(&w->ann, SUBSCRIBE, ANN ",\"channel\":\"$vip\",\"iat\":1000", SOON);
    kit_position(&w->kit, "$vip", "e1", 3);
    peer_expect_part(&w->ann, "{\"id\":3,\"subscribe\":");
}

static void subscription_tokens_are_revoked_by_user_and_by_time(void **state)
{
    struct world *w = *state;
    struct revoked *r = w->kit.gateway.revoked;

    for (int i = 0; i < 2; i++) {
        connect_with(w, ANN ",\"iat\":5000", SOON);
        say(&w->ann, SUBSCRIBE, ANN ",\"channel\":\"$vip\",\"iat\":3000", SOON);
        kit_position(&w->kit, "$vip", "e1", 3);
        peer_expect_part(&w->ann, "{\"id\":3,\"subscribe\":");
        if (i == 0) {
            revoked_add_all(r, 3000);
            peer_expect_nothing(&w->ann);
            assert_int_equal(revoked_add_user(r, SLICE_LIT("ann"), 2000, 0), 0);
            peer_expect_nothing(&w->ann);
            say(&w->ann, SUB_REFRESH, ANN ",\"channel\":\"$vip\",\"iat\":1", SOON);
            peer_expect(&w->ann, "close 3500 invalid token");
        } else {
            revoked_add_all(r, 3001);
            peer_expect(&w->ann, VIP_ENDED);
        }
        leave(w);
        KIT_UNTIL(&w->kit, rooms_count(w->kit.gateway.rooms) == 0);
    }
}

static void the_token_that_a_subscription_has_now_is_the_one_that_counts(void **state)
{
    struct world *w = *state;
    struct revoked *r = w->kit.gateway.revoked;

    connect_with(w, ANN ",\"jti\":\"c1\"", SOON);
    say(&w->ann, SUBSCRIBE, ANN ",\"channel\":\"$vip\",\"jti\":\"s1\"", SOON);
    kit_position(&w->kit, "$vip", "e1", 3);
    peer_expect_part(&w->ann, "{\"id\":3,\"subscribe\":");
    say(&w->ann, SUB_REFRESH, ANN ",\"channel\":\"$vip\",\"jti\":\"s2\"", SOON);
    peer_expect_part(&w->ann, "{\"id\":4,\"sub_refresh\":");
    say(&w->ann, REFRESH, ANN ",\"jti\":\"c2\"", SOON);
    peer_expect_part(&w->ann, "{\"id\":2,\"refresh\":");
    assert_int_equal(revoked_add_token(r, SLICE_LIT("s1"), 0), 0);
    assert_int_equal(revoked_add_token(r, SLICE_LIT("c1"), 0), 0);
    peer_expect_nothing(&w->ann);
    assert_int_equal(revoked_add_token(r, SLICE_LIT("s2"), 0), 0);
    peer_expect(&w->ann, VIP_ENDED);
    assert_int_equal(revoked_add_token(r, SLICE_LIT("c2"), 0), 0);
    peer_expect(&w->ann, "close 3500 invalid token");
}

/* Its answer is an error, as of any room that is taken away before. */
static void a_subscription_that_is_not_answered_yet_is_revoked_too(void **state)
{
    struct world *w = *state;

    connect_ann(w, SOON);
    say(&w->ann, SUBSCRIBE, ANN ",\"channel\":\"$vip\",\"jti\":\"s1\"", SOON);
    kit_settle(&w->kit);
    assert_int_equal(revoked_add_token(w->kit.gateway.revoked, SLICE_LIT("s1"), 0), 0);
    peer_expect_part(&w->ann, "{\"id\":3,\"error\":{\"code\":103,");
    peer_expect_nothing(&w->ann);
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
    struct world *w = *state;
    struct peer p;
    char command[256];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        peer_connect(&p, &w->kit, cases[i].user);
        snprintf(command, sizeof(command), "{\"id\":3,\"publish\":{\"channel\":\"%s\",\"data\":1}}",
                 cases[i].room);
        if (cases[i].may) {
            peer_subscribe(&p, cases[i].room);
            kit_position(&w->kit, cases[i].room, "e1", 3);
            peer_expect_part(&p, "{\"id\":2,\"subscribe\":");
        } else {
            peer_subscribe(&p, cases[i].room);
            peer_expect_part(&p, "{\"id\":2,\"error\":{\"code\":103,");
            peer_send(&p, command);
            peer_expect_part(&p, "{\"id\":3,\"error\":{\"code\":103,");
        }
        peer_end(&p);
        KIT_UNTIL(&w->kit, peer_session(&p) == NULL);
        kit_settle(&w->kit);
    }
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
    struct world *w = *state;
    struct peer p;
    char command[256];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        peer_open(&p, &w->kit, DIALECT_CENTRIFUGE, "ann", "");
        snprintf(command, sizeof(command), "{\"id\":1,\"connect\":{%s}}", cases[i].members);
        peer_send(&p, command);
        peer_expect_part(&p, cases[i].want);
        peer_end(&p);
    }
}

static void a_session_is_told_who_it_is(void **state)
{
    struct world *w = *state;

    connect_with(w, ANN ",\"name\":\"Ann\",\"roles\":[\"mod\",\"x\"]", SOON);
    enter(w, "a");
    peer_send(&w->ann, "{\"id\":3,\"rpc\":{\"method\":\"session\"}}");
    peer_expect_part(&w->ann, "\"user\":\"ann\",\"name\":\"Ann\",\"gateway\":\"g1\","
                              "\"roles\":[\"mod\",\"x\"],\"rooms\":[\"a\"],\"expires_at\":");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(only_who_can_refresh_is_told_when_to),
        TEST(a_good_token_prolongs_the_session),
        TEST(a_session_outlives_its_token_by_the_grace_only),
        TEST(a_refresh_that_is_wrong_ends_the_session),
        TEST(roles_that_are_lost_take_rooms_with_them),
        TEST(a_room_that_needs_a_token_gets_one),
        TEST(a_subscription_token_that_is_wrong_is_refused),
        TEST(a_subscription_is_refreshed_whether_its_room_is_named_or_not),
        TEST(who_refreshes_a_room_again_and_again_does_not_outlive_his_token),
        cmocka_unit_test(a_subscription_refresh_that_is_wrong_is_refused),
        TEST(a_revoked_subscription_token_takes_its_room_and_no_more),
        TEST(subscription_tokens_are_revoked_by_user_and_by_time),
        TEST(the_token_that_a_subscription_has_now_is_the_one_that_counts),
        TEST(a_subscription_that_is_not_answered_yet_is_revoked_too),
        TEST(personal_rooms_are_for_those_whom_they_name),
        TEST(names_of_libraries_have_an_end),
        TEST(a_session_is_told_who_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
