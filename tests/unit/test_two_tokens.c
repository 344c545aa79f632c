/*
 * test_two_tokens.c: the upgrade has said who somebody is, and the connect command brings a token,
 * too.
 */
#include "tests/unit/gateway_kit.h"
#include "tests/unit/mint.h"

#define SOON 600 /* seconds until a token ends */
#define ANN "\"sub\":\"ann\""
#define CONNECT "{\"id\":1,\"connect\":{\"token\":\"%s\"}}"
#define REFRESH "{\"id\":2,\"refresh\":{\"token\":\"%s\"}}"

enum command { CONNECTS, CONNECTS_BADLY, REFRESHES };

/* A command with a token of these claims. */
static void say(struct peer *p, enum command what, const char *claims, int64_t ends_in_s)
{
    char token[MINT_SIZE], text[2 * MINT_SIZE], all[1024];

    snprintf(all, sizeof(all), "{%s,\"exp\":%" PRId64 "}", claims,
             clock_wall_ms() / 1000 + ends_in_s);
    mint(token, all);
    if (what == REFRESHES) {
        snprintf(text, sizeof(text), REFRESH, token);
    } else {
        snprintf(text, sizeof(text), CONNECT, token + (what == CONNECTS_BADLY ? 1 : 0));
    }
    peer_send(p, text);
    kit_settle(p->kit);
}

/* Somebody whom the upgrade knew as ann: her cookie has no end. */
static void open_ann(struct peer *p, struct kit *k)
{
    peer_open(p, k, DIALECT_CENTRIFUGE, "ann", "");
}

static void that_of_the_command_is_looked_at(void **state)
{
    static const struct {
        enum command what;
        const char *claims;
        int64_t ends_in_s;
        const char *want;
    } cases[] = {
        {CONNECTS, "\"sub\":\"bob\"", SOON, "close 3501 bad request"},
        {CONNECTS, "\"sub\":\"ann2\"", SOON, "close 3501 bad request"},
        {CONNECTS, ANN ",\"channel\":\"$vip\"", SOON, "close 3500 invalid token"},
        {CONNECTS_BADLY, ANN, SOON, "close 3500 invalid token"},
        {CONNECTS, ANN, -60, "{\"id\":1,\"error\":{\"code\":109,\"message\":\"token expired\"}}"},
        {CONNECTS, "\"sub\":\"bob\"", -60,
         "{\"id\":1,\"error\":{\"code\":109,\"message\":\"token expired\"}}"},
    };
    struct kit k;
    struct peer ann;
    (void)state;

    kit_begin(&k);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        open_ann(&ann, &k);
        say(&ann, cases[i].what, cases[i].claims, cases[i].ends_in_s);
        peer_expect(&ann, cases[i].want);
        peer_end(&ann);
    }
    assert_int_equal(stat_get(&k.gateway.metrics.tokens_good), 0);
    assert_int_equal(stat_get(&k.gateway.metrics.tokens_refused), ARRAY_LEN(cases));
    kit_end(&k);
}

static void that_of_the_command_counts(void **state)
{
    struct kit k;
    struct peer ann;
    (void)state;

    kit_begin(&k);
    open_ann(&ann, &k);
    say(&ann, CONNECTS, ANN ",\"name\":\"Ann\",\"roles\":[\"agent\"],\"channels\":[\"desk\"]",
        SOON);
    kit_position(&k, "desk", "e1", 3);
    peer_expect_part(&ann, "{\"id\":1,\"connect\":");
    assert_non_null(strstr(ann.message.at, "\"expires\":true,\"ttl\":"));
    assert_non_null(strstr(ann.message.at, "\"subs\":{\"desk\":"));
    peer_send(&ann, "{\"id\":3,\"rpc\":{\"method\":\"session\"}}");
    peer_expect_part(&ann, "\"name\":\"Ann\"");
    assert_non_null(strstr(ann.message.at, "\"roles\":[\"agent\"]"));
    say(&ann, REFRESHES, ANN ",\"channels\":[\"desk\"]", 2 * SOON);
    peer_expect_part(&ann, "{\"id\":2,\"refresh\":");
    kit_skip((SOON + 60) * 1000);
    peer_expect_nothing(&ann);
    kit_skip((SOON + 60) * 1000);
    peer_expect(&ann, "close 3005 connection expired");
    peer_end(&ann);
    kit_end(&k);
}

static void without_one_the_upgrade_counts(void **state)
{
    struct kit k;
    struct peer ann;
    (void)state;

    kit_begin(&k);
    open_ann(&ann, &k);
    peer_send(&ann, "{\"id\":1,\"connect\":{\"token\":\"\"}}");
    peer_expect_part(&ann, "{\"id\":1,\"connect\":");
    assert_null(strstr(ann.message.at, "expires"));
    say(&ann, REFRESHES, ANN, SOON);
    peer_expect(&ann, "close 3501 bad request");
    peer_end(&ann);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(that_of_the_command_is_looked_at),
        cmocka_unit_test(that_of_the_command_counts),
        cmocka_unit_test(without_one_the_upgrade_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
