/*
 * test_claims.c: what a payload says, and which ones are refused. Texts are whole
 * payloads; each bad one differs from a good one in one point.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"
#include "gateway/token/base64.h"
#include "gateway/token/claims.h"
#include "proto/limits.h"

#define NOW 1000000
#define TIME "\"exp\":1000100"
#define CLAIMS "\"sub\":\"ann\"," TIME
#define ROOM "\"channel\":\"$room:1\"," CLAIMS

static const struct claims_rules rules = {"", "", 10, 0};

static int read_as(enum jwt_kind kind, const char *payload, struct jwt_claims *claims)
{
    const char *why = "unset";

    memset(claims, 0, sizeof(*claims));
    int r = claims_read(claims, kind, slice_of(payload), &rules, NOW, &why);
    assert_int_equal(why == NULL, r == 0);
    return r;
}

static void expect_text(const struct jwt_claims *c, struct jwt_text text, const char *want)
{
    struct slice got = jwt_text(c, text);

    if (!slice_equal(got, slice_of(want))) {
        fail_msg("%.*s instead of %s", SLICE_ARG(got), want);
    }
}

static void a_connection_token_brings_all_that_it_says(void **state)
{
    (void)state;
    struct jwt_claims c;

    assert_int_equal(
        read_as(
            JWT_CONNECTION,
            "{" CLAIMS ",\"jti\":\"t-\\u00c5\",\"iat\":999000,\"nbf\":999001.5,"
            "\"channels\":[\"news\",\"a\\u003a1\",\"news\"],"
            "\"subs\":{\"team:1\": {\"data\": [1e2]},\"b\":{}},\"info\": {\"n\":1.0, \"x\":null} ,"
            "\"data\":[1.50],\"meta\":{\"k\":12345678901234567890},\"unknown\":1e999,"
            "\"override\":{\"presence\":{\"value\":true}}}",
            &c),
        0);
    assert_string_equal(c.user, "ann");
    assert_string_equal(c.name, "ann");
    assert_int_equal(c.exp_s, 1000100);
    assert_int_equal(c.expires_s, 1000100);
    assert_int_equal(c.issued_s, 999000);
    assert_int_equal(c.not_before_s, 999001);
    expect_text(&c, c.id, "t-\xc3\x85");
    assert_int_equal(c.channel_count, 2);
    expect_text(&c, c.channels[0], "news");
    expect_text(&c, c.channels[1], "a:1");
    expect_text(&c, c.subs, "{\"team:1\": {\"data\": [1e2]},\"b\":{}}");
    expect_text(&c, c.info, "{\"n\":1.0, \"x\":null}");
    expect_text(&c, c.data, "[1.50]");
    expect_text(&c, c.meta, "{\"k\":12345678901234567890}");
    expect_text(&c, c.override, "{\"presence\":{\"value\":true}}");
    expect_text(&c, c.channel, "");
    expect_text(&c, c.client, "");

    struct jwt_claims copy = c;
    expect_text(&copy, copy.channels[1], "a:1");
}

static void what_is_not_said_is_empty(void **state)
{
    (void)state;
    struct jwt_claims c;

    assert_int_equal(read_as(JWT_CONNECTION, "{" CLAIMS "}", &c), 0);
    assert_int_equal(c.id.size + c.info.size + c.data.size + c.subs.size + c.meta.size, 0);
    assert_int_equal(c.channel_count + c.role_count, 0);
    assert_int_equal(c.issued_s + c.not_before_s, 0);
}

static void a_subscription_token_names_its_room(void **state)
{
    (void)state;
    struct jwt_claims c;

    assert_int_equal(
        read_as(JWT_SUBSCRIPTION, "{" ROOM ",\"client\":\"6f1c\",\"info\":1,\"expire_at\":0}", &c),
        0);
    expect_text(&c, c.channel, "$room:1");
    expect_text(&c, c.client, "6f1c");
    expect_text(&c, c.info, "1");
    assert_string_equal(c.user, "ann");
    assert_int_equal(c.expires_s, 0);
    assert_int_equal(c.exp_s, 1000100);

    /* Somebody anonymous. */
    assert_int_equal(read_as(JWT_SUBSCRIPTION, "{\"channel\":\"a\"," TIME "}", &c), 0);
    assert_string_equal(c.user, "");
    assert_int_equal(read_as(JWT_SUBSCRIPTION, "{\"channel\":\"a\",\"sub\":\"\"," TIME "}", &c), 0);
    assert_string_equal(c.user, "");
}

static void one_kind_is_never_taken_for_the_other(void **state)
{
    (void)state;
    struct jwt_claims c;

    assert_int_equal(read_as(JWT_CONNECTION, "{" ROOM "}", &c), CLAIMS_INVALID);
    assert_int_equal(read_as(JWT_SUBSCRIPTION, "{" CLAIMS "}", &c), CLAIMS_INVALID);
    assert_int_equal(read_as(JWT_CONNECTION, "{\"channel\":null," CLAIMS "}", &c), CLAIMS_INVALID);
    assert_int_equal(read_as(JWT_CONNECTION, "{\"ch\\u0061nnel\":\"a\"," CLAIMS "}", &c),
                     CLAIMS_INVALID);
}

static void base64_forms_win_and_have_to_hold_json(void **state)
{
    (void)state;
    struct jwt_claims c;

    assert_int_equal(read_as(JWT_CONNECTION,
                             "{" CLAIMS ",\"info\":1,\"b64info\":\"eyJhIjoxfQ==\","
                             "\"b64data\":\"WzFd\",\"data\":2}",
                             &c),
                     0);
    expect_text(&c, c.info, "{\"a\":1}");
    expect_text(&c, c.data, "[1]");
    static const char *const bad[] = {
        "1", "\"\"", "\"eyJhIjoxfQ\"", "\"eyJhIjoxfQ=\"", "\"eyJhIjox===\"", "\"====\"", "\"AAAA\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char payload[200];

        snprintf(payload, sizeof(payload), "{" CLAIMS ",\"b64info\":%s}", bad[i]);
        if (read_as(JWT_CONNECTION, payload, &c) != CLAIMS_INVALID) {
            fail_msg("passes: %s", payload);
        }
    }
}

/* Whether a payload with this member passes; its value is the base64 of a list of so many levels.
 */
static bool passes_coded(const char *name, int levels)
{
    char list[64], payload[256];
    struct jwt_claims c;
    struct buf digits = BUF_EMPTY;

    snprintf(list, sizeof(list), "%.*s%.*s", levels, "[[[[[[[[[[[[[[[[[[[[", levels,
             "]]]]]]]]]]]]]]]]]]]]");
    base64_encode(&digits, list, strlen(list));
    snprintf(payload, sizeof(payload), "{" CLAIMS ",\"%s\":\"%.*s\"}", name,
             SLICE_ARG(buf_slice(&digits)));
    buf_deinit(&digits);
    return read_as(JWT_CONNECTION, payload, &c) == 0;
}

static void base64_is_no_way_to_bring_what_is_deeper(void **state)
{
    (void)state;

    for (int levels = 1; levels <= 20; levels++) {
        assert_int_equal(passes_coded("b64info", levels), levels <= INFO_DEPTH_MAX);
        assert_int_equal(passes_coded("b64data", levels), levels <= JWT_DEPTH_MAX);
    }
}

static void each_claim_has_its_shape(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\"jti\":1",
        "\"jti\":\"\"",
        "\"jti\":\"a\\nb\"",
        "\"channels\":\"a\"",
        "\"channels\":{}",
        "\"channels\":[1]",
        "\"channels\":[\"\"]",
        "\"channels\":[\"a b\"]",
        "\"channels\":[\"a*\"]",
        "\"subs\":[]",
        "\"subs\":\"a\"",
        "\"subs\":{\"a\":1}",
        "\"subs\":{\"a\":null}",
        "\"subs\":{\"\":{}}",
        "\"subs\":{\"a b\":{}}",
        "\"subs\":{\"a\":{},\"a\":{}}",
        "\"subs\":{\"\\u0061\":{}}",
        "\"meta\":1",
        "\"meta\":[]",
        "\"override\":[]",
        "\"client\":1",
        "\"client\":\"0123456789012345678901234567890123456\"",
        "\"expire_at\":\"0\"",
        "\"expire_at\":-1",
        "\"expire_at\":null",
        "\"nbf\":null",
        "\"iat\":true",
        "\"info\":1,\"info\":1",
        "\"unknown\":1,\"unknown\":1",
        "\"inf\\u006f\":1",
        "\"info\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]",
        "\"info\":\"\\ud800\"",
        "\"info\":01",
    };
    struct jwt_claims c;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char payload[300];

        snprintf(payload, sizeof(payload), "{" CLAIMS ",%s}", bad[i]);
        if (read_as(JWT_CONNECTION, payload, &c) != CLAIMS_INVALID) {
            fail_msg("passes: %s", payload);
        }
        snprintf(payload, sizeof(payload), "{" ROOM ",%s}", bad[i]);
        if (read_as(JWT_SUBSCRIPTION, payload, &c) != CLAIMS_INVALID) {
            fail_msg("passes: %s", payload);
        }
    }
    static const char *const bad_rooms[] = {"1", "\"\"", "\"a b\"", "[\"a\"]", "null"};
    for (size_t i = 0; i < ARRAY_LEN(bad_rooms); i++) {
        char payload[200];

        snprintf(payload, sizeof(payload), "{" CLAIMS ",\"channel\":%s}", bad_rooms[i]);
        if (read_as(JWT_SUBSCRIPTION, payload, &c) != CLAIMS_INVALID) {
            fail_msg("passes: %s", payload);
        }
    }
}

static void lists_have_a_limit(void **state)
{
    (void)state;
    struct jwt_claims c;

    for (int count = JWT_ROOMS_MAX; count <= JWT_ROOMS_MAX + 1; count++) {
        struct buf channels = BUF_EMPTY, subs = BUF_EMPTY;

        buf_add_lit(&channels, "{" CLAIMS ",\"channels\":[");
        buf_add_lit(&subs, "{" CLAIMS ",\"subs\":{");
        for (int i = 0; i < count; i++) {
            buf_addf(&channels, "%s\"r%d\"", i > 0 ? "," : "", i);
            buf_addf(&subs, "%s\"r%d\":{}", i > 0 ? "," : "", i);
        }
        buf_add(&channels, "]}", 3);
        buf_add(&subs, "}}", 3);
        int want = count > JWT_ROOMS_MAX ? CLAIMS_INVALID : 0;
        assert_int_equal(read_as(JWT_CONNECTION, channels.at, &c), want);
        assert_int_equal(read_as(JWT_CONNECTION, subs.at, &c), want);
        buf_deinit(&channels);
        buf_deinit(&subs);
    }
}

static void a_payload_of_nothing_but_texts_fits(void **state)
{
    (void)state;
    struct jwt_claims c;

    for (size_t size = JWT_TEXTS_MAX; size <= JWT_TEXTS_MAX + 1; size++) {
        struct buf payload = BUF_EMPTY;

        buf_add_lit(&payload, "{" CLAIMS ",\"info\":\"");
        while (payload.size < size - 2) {
            buf_add_char(&payload, 'x');
        }
        buf_add(&payload, "\"}", 3);
        assert_int_equal(payload.size, size + 1);
        assert_int_equal(read_as(JWT_CONNECTION, payload.at, &c),
                         size > JWT_TEXTS_MAX ? CLAIMS_INVALID : 0);
        buf_deinit(&payload);
    }
}

static void expire_at_replaces_exp_for_the_session_alone(void **state)
{
    (void)state;
    static const struct {
        const char *times;
        int want;
        int64_t expires_s;
    } cases[] = {
        {"\"exp\":1000100,\"expire_at\":1000500", 0, 1000500},
        {"\"exp\":1000100,\"expire_at\":1000001", 0, 1000001},
        {"\"exp\":1000100,\"expire_at\":0", 0, 0},
        {"\"exp\":1000100,\"expire_at\":999990", CLAIMS_EXPIRED, 0},
        {"\"exp\":999990,\"expire_at\":1000500", CLAIMS_EXPIRED, 0},
        {"\"exp\":999990,\"expire_at\":0", CLAIMS_EXPIRED, 0},
        {"\"expire_at\":1000500", CLAIMS_INVALID, 0},
        {"\"expire_at\":0", CLAIMS_INVALID, 0},
    };
    struct jwt_claims c;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char payload[200];

        snprintf(payload, sizeof(payload), "{\"sub\":\"ann\",%s}", cases[i].times);
        assert_int_equal(read_as(JWT_CONNECTION, payload, &c), cases[i].want);
        if (cases[i].want == 0) {
            assert_int_equal(c.expires_s, cases[i].expires_s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_token_brings_all_that_it_says),
        cmocka_unit_test(what_is_not_said_is_empty),
        cmocka_unit_test(a_subscription_token_names_its_room),
        cmocka_unit_test(one_kind_is_never_taken_for_the_other),
        cmocka_unit_test(base64_forms_win_and_have_to_hold_json),
        cmocka_unit_test(base64_is_no_way_to_bring_what_is_deeper),
        cmocka_unit_test(each_claim_has_its_shape),
        cmocka_unit_test(lists_have_a_limit),
        cmocka_unit_test(a_payload_of_nothing_but_texts_fits),
        cmocka_unit_test(expire_at_replaces_exp_for_the_session_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
