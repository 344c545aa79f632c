/*
 * test_jwt.c: which tokens are good.
 *
 * The tokens of the tables are signed by an HMAC of the tests' own. One is
 * honest; the others differ from it in one point each and must be refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"
#include "gateway/token/base64.h"
#include "gateway/token/jwt.h"
#include "tests/unit/hmac_sha256.h"
#include "tests/unit/tokens.h"

#define NOW 1000000
#define KEY "0123456789abcdef0123456789abcdef"
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define TIME "\"exp\":1000100"
#define CLAIMS "\"sub\":\"ann\"," TIME

static const struct tokens_of key = {KEY, "", ""};
static const struct tokens_of strict_key = {KEY, "warren", "https://issuer.example"};

/* Appends header, dot, payload. */
static void add_signed_text(struct buf *out, const char *header, const char *payload)
{
    base64url_encode(out, header, strlen(header));
    buf_add_char(out, '.');
    base64url_encode(out, payload, strlen(payload));
}

static void add_signature(struct buf *out, const char *secret)
{
    unsigned char mac[SHA256_SIZE];

    hmac_sha256(secret, buf_slice(out), mac);
    buf_add_char(out, '.');
    base64url_encode(out, mac, sizeof(mac));
}

static enum jwt_verdict check(const struct tokens_of *k, struct buf *token,
                              struct jwt_claims *claims)
{
    struct jwt_claims ignored;
    const char *why = NULL;
    enum jwt_verdict verdict =
        tokens_check(k, buf_slice(token), NOW, claims != NULL ? claims : &ignored, &why);

    assert_non_null(why);
    assert_int_equal(why[0] == '\0', verdict == JWT_GOOD);
    return verdict;
}

/* The verdict on a well-signed token of that header and payload. */
static enum jwt_verdict judge(const struct tokens_of *k, const char *header, const char *payload,
                              struct jwt_claims *claims)
{
    struct buf token = BUF_EMPTY;

    add_signed_text(&token, header, payload);
    add_signature(&token, KEY);
    enum jwt_verdict verdict = check(k, &token, claims);
    buf_deinit(&token);
    return verdict;
}

static void expect_payloads(const struct tokens_of *k, const char *const *payloads, size_t count,
                            enum jwt_verdict want)
{
    for (size_t i = 0; i < count; i++) {
        struct jwt_claims claims;
        if (judge(k, HEADER, payloads[i], &claims) != want) {
            fail_msg("wrong verdict: %s", payloads[i]);
        }
        assert_int_equal(claims.user[0] != '\0', want == JWT_GOOD); /* else nothing gets out */
    }
}

/* RFC 7515 A.1: the signature is good; what is missing is a user. */
static void the_token_of_the_rfc_has_a_good_signature(void **state)
{
    (void)state;
    static const char token[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
                                ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
                                "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
                                ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    struct buf secret = BUF_EMPTY;
    struct jwt_claims claims;
    const char *why;

    assert_int_equal(
        base64url_decode(&secret, SLICE_LIT("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0g"
                                            "ZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")),
        0);
    buf_add_char(&secret, '\0');
    struct tokens_of rfc_key = {secret.at, "", "joe"};
    assert_int_equal(tokens_check(&rfc_key, slice_of(token), 1300819379, &claims, &why),
                     JWT_INVALID);
    assert_string_equal(why, "bad sub");
    assert_int_equal(tokens_check(&key, slice_of(token), 1300819379, &claims, &why), JWT_INVALID);
    assert_string_equal(why, "bad signature");
    buf_deinit(&secret);
}

static void the_honest_token_tells_who_it_is(void **state)
{
    (void)state;
    struct jwt_claims claims;

    assert_int_equal(judge(&key, HEADER,
                           "{" CLAIMS ",\"name\":\"Ann \\u00c5\",\"roles\":[\"moderator\",\"x y\"],"
                           "\"iat\":1000000,\"nbf\":999999.5,\"jti\":\"1\",\"info\":{\"a\":[1]}}",
                           &claims),
                     JWT_GOOD);
    assert_string_equal(claims.user, "ann");
    assert_string_equal(claims.name, "Ann \xc3\x85");
    assert_int_equal(claims.role_count, 2);
    assert_string_equal(claims.roles[0], "moderator");
    assert_string_equal(claims.roles[1], "x y");
    assert_int_equal(claims.expires_s, 1000100);

    assert_int_equal(judge(&key, HEADER, "{" CLAIMS "}", &claims), JWT_GOOD);
    assert_string_equal(claims.name, "ann");
    assert_int_equal(claims.role_count, 0);
    assert_int_equal(judge(&key, HEADER, "{" CLAIMS ",\"name\":\"\"}", &claims), JWT_GOOD);
    assert_string_equal(claims.name, "ann");
}

static void only_the_header_of_our_algorithm_passes(void **state)
{
    (void)state;
    static const char *const good[] = {
        HEADER,
        "{\"alg\":\"HS256\"}",
        " {\"typ\":\"at+jwt\", \"alg\":\"HS256\"}\n",
        "{\"alg\":\"HS256\",\"jku\":\"https://evil.example/\",\"jwk\":{},\"x5u\":1,\"x5c\":[]}",
    };
    static const char *const bad[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"None\"}",
        "{\"alg\":\"nOnE\"}",
        "{\"alg\":\"\"}",
        "{\"alg\":null}",
        "{\"alg\":256}",
        "{\"alg\":[\"HS256\"]}",
        "{\"typ\":\"JWT\"}",
        "{\"ALG\":\"HS256\"}",
        "{\"alg\":\"hs256\"}",
        "{\"alg\":\"HS256 \"}",
        "{\"alg\":\"HS256\\u0000\"}",
        "{\"alg\":\"HS384\"}",
        "{\"alg\":\"HS512\"}",
        "{\"alg\":\"RS256\"}",
        "{\"alg\":\"ES256\"}",
        "{\"alg\":\"EdDSA\"}",
        "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"alg\":\"none\"}",
        "{\"alg\":\"HS256\",\"crit\":[\"x\"],\"x\":1}",
        "{\"alg\":\"HS256\",\"crit\":[]}",
        "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
        "{\"alg\":\"HS256\",\"b64\":false}",
        "{\"alg\":\"HS256\",\"zip\":\"DEF\"}",
        "{\"alg\":\"HS256\",\"cty\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"enc\":\"A128GCM\"}",
        "{\"alg\":\"HS256\",\"kid\":\"unknown\"}",
        "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}",
        "{\"alg\":\"HS256\",\"kid\":\"' or 1=1\"}",
        "{\"alg\":\"HS256\"",
        "{\"alg\":\"HS256\"} x",
        "{'alg':'HS256'}",
        "{\"alg\":\"HS256\",}",
        "\"HS256\"",
        "[\"HS256\"]",
        "null",
        "",
        "\xff",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(judge(&key, good[i], "{" CLAIMS "}", NULL), JWT_GOOD);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (judge(&key, bad[i], "{" CLAIMS "}", NULL) != JWT_INVALID) {
            fail_msg("passes: %s", bad[i]);
        }
    }
}

#define LONG_16 "0123456789abcdef"
#define LONG_128 LONG_16 LONG_16 LONG_16 LONG_16 LONG_16 LONG_16 LONG_16 LONG_16

static void claims_that_are_not_as_they_should_be_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{" TIME "}",
        "{\"sub\":\"\"," TIME "}",
        "{\"sub\":1," TIME "}",
        "{\"sub\":null," TIME "}",
        "{\"sub\":[\"ann\"]," TIME "}",
        "{\"sub\":\"a\\nb\"," TIME "}",
        "{\"sub\":\"a\\u007f\"," TIME "}",
        "{\"sub\":\"a\\u0000b\"," TIME "}",
        "{\"sub\":\"a\\ud800\"," TIME "}",
        "{\"sub\":\"a\xff\"," TIME "}",
        "{\"sub\":\"" LONG_128 "1\"," TIME "}",
        "{\"sub\":\"ann\",\"sub\":\"bob\"," TIME "}",
        "{" CLAIMS "," TIME "}",
        "{" CLAIMS ",\"name\":1}",
        "{" CLAIMS ",\"name\":\"\\u001f\"}",
        "{" CLAIMS ",\"name\":\"" LONG_128 "1\"}",
        "{" CLAIMS ",\"roles\":\"moderator\"}",
        "{" CLAIMS ",\"roles\":{}}",
        "{" CLAIMS ",\"roles\":null}",
        "{" CLAIMS ",\"roles\":[1]}",
        "{" CLAIMS ",\"roles\":[\"\"]}",
        "{" CLAIMS ",\"roles\":[\"" LONG_16 LONG_16 "1\"]}",
        "{" CLAIMS ",\"roles\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
        "\"a\",\"a\",\"a\",\"a\",\"a\",\"17\"]}",
        "{" CLAIMS ",\"channel\":\"lobby\"}",
        "{" CLAIMS ",\"channel\":\"\"}",
        "{\"sub\":\"ann\"}",
        "{\"sub\":\"ann\",\"exp\":\"1000100\"}",
        "{\"sub\":\"ann\",\"exp\":null}",
        "{\"sub\":\"ann\",\"exp\":true}",
        "{\"sub\":\"ann\",\"exp\":1e400}",
        "{\"sub\":\"ann\",\"exp\":1e300}",
        "{\"sub\":\"ann\",\"exp\":-1e300}",
        "{\"sub\":\"ann\",\"exp\":9223372036854775807}",
        "{\"sub\":\"ann\",\"exp\":9223372036854775808}",
        "{" CLAIMS ",\"nbf\":\"999999\"}",
        "{" CLAIMS ",\"iat\":\"999999\"}",
        "{" CLAIMS ",\"iat\":1000011}",
        "{" CLAIMS "} {}",
        "{" CLAIMS,
        "[" TIME "]",
        "[]",
        "\"ann\"",
        "",
    };
    expect_payloads(&key, bad, ARRAY_LEN(bad), JWT_INVALID);
}

static void the_longest_texts_pass(void **state)
{
    (void)state;
    struct jwt_claims claims;

    assert_int_equal(judge(&key, HEADER,
                           "{\"sub\":\"" LONG_128 "\"," TIME ",\"name\":\"" LONG_128 "\","
                           "\"roles\":[\"" LONG_16 LONG_16 "\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
                           "\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"16\"]}",
                           &claims),
                     JWT_GOOD);
    assert_string_equal(claims.user, LONG_128);
    assert_string_equal(claims.name, LONG_128);
    assert_string_equal(claims.roles[0], LONG_16 LONG_16);
    assert_string_equal(claims.roles[15], "16");
}

static void times_have_a_leeway_of_ten_seconds(void **state)
{
    (void)state;
    static const struct {
        const char *times;
        enum jwt_verdict want;
    } cases[] = {
        {"\"exp\":1000001", JWT_GOOD},
        {"\"exp\":999991", JWT_GOOD},
        {"\"exp\":999990", JWT_EXPIRED},
        {"\"exp\":999990.9", JWT_EXPIRED},
        {"\"exp\":0", JWT_EXPIRED},
        {"\"exp\":-1", JWT_EXPIRED},
        {"\"exp\":253402300799", JWT_GOOD}, /* the end of 9999 */
        {"\"exp\":1000100,\"nbf\":1000010", JWT_GOOD},
        {"\"exp\":1000100,\"nbf\":1000011", JWT_EXPIRED},
        {"\"exp\":1000100,\"iat\":1000010", JWT_GOOD},
        {"\"exp\":1000100,\"iat\":1000011", JWT_INVALID},
        {"\"exp\":999990,\"iat\":1000011", JWT_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char payload[200];
        snprintf(payload, sizeof(payload), "{\"sub\":\"ann\",%s}", cases[i].times);
        if (judge(&key, HEADER, payload, NULL) != cases[i].want) {
            fail_msg("wrong verdict: %s", payload);
        }
    }
}

static void audience_and_issuer_must_be_ours_when_they_are_set(void **state)
{
    (void)state;
#define ISS "\"iss\":\"https://issuer.example\""
    static const char *const good[] = {
        "{" CLAIMS "," ISS ",\"aud\":\"warren\"}",
        "{" CLAIMS "," ISS ",\"aud\":[\"warren\"]}",
        "{" CLAIMS "," ISS ",\"aud\":[\"other\",\"warren\"]}",
    };
    static const char *const bad[] = {
        "{" CLAIMS "}",
        "{" CLAIMS "," ISS "}",
        "{" CLAIMS ",\"aud\":\"warren\"}",
        "{" CLAIMS "," ISS ",\"aud\":\"other\"}",
        "{" CLAIMS "," ISS ",\"aud\":\"warren2\"}",
        "{" CLAIMS "," ISS ",\"aud\":\"Warren\"}",
        "{" CLAIMS "," ISS ",\"aud\":[]}",
        "{" CLAIMS "," ISS ",\"aud\":[\"other\",1,null]}",
        "{" CLAIMS "," ISS ",\"aud\":{\"warren\":1}}",
        "{" CLAIMS "," ISS ",\"aud\":[[\"warren\"]]}",
        "{" CLAIMS ",\"aud\":\"warren\",\"iss\":\"https://issuer.example/\"}",
        "{" CLAIMS ",\"aud\":\"warren\",\"iss\":[\"https://issuer.example\"]}",
        "{" CLAIMS ",\"aud\":\"warren\",\"iss\":\"\"}",
        /* A wrong audience is no matter of time: another token is needed, not a fresh one. */
        "{\"sub\":\"ann\",\"exp\":1," ISS ",\"aud\":\"other\"}",
    };
    expect_payloads(&strict_key, good, ARRAY_LEN(good), JWT_GOOD);
    expect_payloads(&strict_key, bad, ARRAY_LEN(bad), JWT_INVALID);
}

static void each_changed_cut_or_added_character_spoils_a_token(void **state)
{
    (void)state;
    static const char alphabet[] = "ABZaz019-_+/=. \n";
    struct buf token = BUF_EMPTY;

    add_signed_text(&token, HEADER, "{" CLAIMS "}");
    add_signature(&token, KEY);
    assert_int_equal(check(&key, &token, NULL), JWT_GOOD);
    for (size_t at = 0; at < token.size; at++) {
        char honest = token.at[at];
        for (const char *c = alphabet; *c != '\0'; c++) {
            token.at[at] = *c;
            assert_int_equal(check(&key, &token, NULL), *c == honest ? JWT_GOOD : JWT_INVALID);
        }
        token.at[at] = honest;

        size_t size = token.size;
        token.size = at;
        assert_int_equal(check(&key, &token, NULL), JWT_INVALID);
        token.size = size;
    }
    for (const char *c = alphabet; *c != '\0'; c++) {
        buf_add_char(&token, *c);
        assert_int_equal(check(&key, &token, NULL), JWT_INVALID);
        token.size--;
    }
    buf_deinit(&token);
}

static void tokens_of_another_number_of_parts_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "a.b.c.d.e",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct jwt_claims claims;
        assert_int_equal(tokens_check(&key, slice_of(bad[i]), NOW, &claims, NULL), JWT_INVALID);
    }
    for (int parts = 1; parts <= 5; parts++) { /* good beginnings and more */
        struct buf token = BUF_EMPTY;
        add_signed_text(&token, HEADER, "{" CLAIMS "}");
        if (parts == 1) {
            token.size = (size_t)((char *)memchr(token.at, '.', token.size) - token.at);
        }
        if (parts > 2) {
            add_signature(&token, KEY);
        }
        for (int i = 3; i < parts; i++) {
            buf_add_lit(&token, ".e30");
        }
        assert_int_equal(check(&key, &token, NULL), parts == 3 ? JWT_GOOD : JWT_INVALID);
        buf_deinit(&token);
    }
}

static void only_our_key_signs(void **state)
{
    (void)state;
    static const char *const others[] = {
        "1123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdefg",
        "",
        "secret",
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct buf token = BUF_EMPTY;
        add_signed_text(&token, HEADER, "{" CLAIMS "}");
        add_signature(&token, others[i]);
        assert_int_equal(check(&key, &token, NULL), JWT_INVALID);
        buf_deinit(&token);
    }
}

/* A good token with so long a claim that it has `size` bytes, or one or two more. */
static void add_token_of_size(struct buf *out, size_t size)
{
    for (int fill = 0; out->size < size; fill++) {
        char payload[JWT_TOKEN_MAX + 100];
        snprintf(payload, sizeof(payload), "{" CLAIMS ",\"x\":\"%*s\"}", fill, "");
        buf_clear(out);
        add_signed_text(out, HEADER, payload);
        add_signature(out, KEY);
    }
}

static void tokens_above_four_kilobytes_are_refused(void **state)
{
    (void)state;
    struct buf token = BUF_EMPTY;

    add_token_of_size(&token, JWT_TOKEN_MAX);
    assert_int_equal(token.size, JWT_TOKEN_MAX);
    assert_int_equal(check(&key, &token, NULL), JWT_GOOD);
    buf_clear(&token);
    add_token_of_size(&token, JWT_TOKEN_MAX + 1);
    assert_int_equal(check(&key, &token, NULL), JWT_INVALID);
    buf_deinit(&token);
}

static void deep_nesting_is_only_refused(void **state)
{
    (void)state;
    char deep[2900];

    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    assert_int_equal(judge(&key, deep, "{" CLAIMS "}", NULL), JWT_INVALID);
    assert_int_equal(judge(&key, HEADER, deep, NULL), JWT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token_of_the_rfc_has_a_good_signature),
        cmocka_unit_test(the_honest_token_tells_who_it_is),
        cmocka_unit_test(only_the_header_of_our_algorithm_passes),
        cmocka_unit_test(claims_that_are_not_as_they_should_be_are_refused),
        cmocka_unit_test(the_longest_texts_pass),
        cmocka_unit_test(times_have_a_leeway_of_ten_seconds),
        cmocka_unit_test(audience_and_issuer_must_be_ours_when_they_are_set),
        cmocka_unit_test(each_changed_cut_or_added_character_spoils_a_token),
        cmocka_unit_test(tokens_of_another_number_of_parts_are_refused),
        cmocka_unit_test(only_our_key_signs),
        cmocka_unit_test(tokens_above_four_kilobytes_are_refused),
        cmocka_unit_test(deep_nesting_is_only_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
