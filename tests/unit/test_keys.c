/*
 * test_keys.c: where keys come from, which ones are refused, and who finds them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "gateway/token/base64.h"
#include "gateway/token/keys.h"
#include "tests/unit/key_pems.h"
#include "tests/unit/key_pems_odd.h"
#include "tests/unit/tokens.h"

#define SECRET_16 "0123456789abcdef"
#define SECRET_32 SECRET_16 SECRET_16

static char path[] = "/tmp/warren-test-keys-XXXXXX";
static char error[KEYS_ERROR_SIZE];

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(struct slice text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text.at, 1, text.size, f), text.size);
    assert_int_equal(fclose(f), 0);
}

static struct keys *load_public(const char *pem, const char *algorithm)
{
    write_file(slice_of(pem));
    return keys_load(
        &(struct keys_source){
            .hmac_key = "",
            .public_key_file = path,
            .public_key_algorithm = algorithm,
            .jwks_file = "",
        },
        error, sizeof(error));
}

static struct keys *load_set(const char *text)
{
    write_file(slice_of(text));
    return keys_load(
        &(struct keys_source){
            .hmac_key = "",
            .public_key_file = "",
            .public_key_algorithm = "",
            .jwks_file = path,
        },
        error, sizeof(error));
}

static const struct key *find(const struct keys *k, const char *id, enum algorithm a)
{
    size_t at = 0;

    return keys_next(k, slice_of(id), a, &at);
}

static void expect_error(const struct keys *k, const char *part)
{
    if (k != NULL) {
        fail_msg("taken, though: %s", part);
    }
    if (strstr(error, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error, part);
    }
}

static void an_hmac_key_has_as_many_bytes_as_its_hash(void **state)
{
    (void)state;
    static const struct {
        enum algorithm a;
        size_t min;
    } cases[] = {{ALGORITHM_HS256, 32}, {ALGORITHM_HS384, 48}, {ALGORITHM_HS512, 64}};
    char secret[100];

    memset(secret, 'x', sizeof(secret));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice s = {secret, cases[i].min - 1};

        assert_null(key_from_secret(cases[i].a, s, error, sizeof(error)));
        s.size++;
        struct key *k = key_from_secret(cases[i].a, s, error, sizeof(error));
        assert_non_null(k);
        key_free(k);
    }
    assert_null(key_from_secret(ALGORITHM_RS256, (struct slice){secret, 100}, error, 100));
    expect_error(tokens_load("short", error),
                 "[auth] hmac_key: HS256 needs a key of at least 32 bytes");
    struct keys *none = tokens_load("", error);
    const char *id = NULL;
    assert_int_equal(keys_count(none), 0);
    assert_null(keys_signer(none, &id));
    keys_free(none);
}

static void a_public_key_has_the_usual_algorithm_of_its_kind_or_the_one_it_is_given(void **state)
{
    (void)state;
    static const struct {
        const char *pem, *algorithm;
        enum algorithm want;
    } cases[] = {
        {pem_rsa_public, "", ALGORITHM_RS256},      {pem_rsa_public, "PS256", ALGORITHM_PS256},
        {pem_rsa_public, "RS512", ALGORITHM_RS512}, {pem_p256_public, "", ALGORITHM_ES256},
        {pem_p384_public, "", ALGORITHM_ES384},     {pem_p384_public, "ES384", ALGORITHM_ES384},
        {pem_p521_public, "", ALGORITHM_ES512},     {pem_ed25519_public, "", ALGORITHM_EDDSA},
    };
    const char *id = NULL;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct keys *k = load_public(cases[i].pem, cases[i].algorithm);

        assert_non_null(k);
        for (int a = 0; a < ALGORITHM_COUNT; a++) {
            assert_int_equal(find(k, "", (enum algorithm)a) != NULL, a == (int)cases[i].want);
        }
        assert_null(find(k, "some", cases[i].want));
        assert_null(keys_signer(k, &id));
        keys_free(k);
    }
}

static void public_keys_that_do_not_do_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pem, *algorithm, *part;
    } cases[] = {
        {"", "", "has no public key in PEM"},
        {"nonsense", "", "has no public key in PEM"},
        {pem_rsa_private, "", "has no public key in PEM"},
        {pem_rsa1024_public, "", "RSA keys have 2048 to 8192 bits"},
        {pem_secp256k1_public, "", "is a kind of key that no algorithm here works with"},
        {pem_x25519_public, "", "is a kind of key that no algorithm here works with"},
        {pem_rsa_public, "ES256", "is not the kind of key"},
        {pem_p256_public, "RS256", "is not the kind of key"},
        {pem_p256_public, "ES384", "is not the kind of key"},
        {pem_p384_public, "ES256", "is not the kind of key"},
        {pem_secp256k1_public, "ES256", "is not the kind of key"},
        {pem_ed25519_public, "ES256", "is not the kind of key"},
        {pem_rsa_public, "HS256", "the algorithm of a public key is one of"},
        {pem_rsa_public, "none", "the algorithm of a public key is one of"},
        {pem_rsa_public, "rs256", "the algorithm of a public key is one of"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_error(load_public(cases[i].pem, cases[i].algorithm), cases[i].part);
        assert_non_null(strstr(error, "[auth] public_key_file"));
    }
    char big[KEYS_FILE_MAX + 2];
    memset(big, ' ', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    expect_error(load_public(big, ""), "is too large");
    struct keys_source nowhere = {"", "/nonexistent/key", "", "", NULL};
    expect_error(keys_load(&nowhere, error, sizeof(error)), "No such file");
}

static struct keys *load_sections(struct key_sections *s)
{
    const struct keys_source from = {"", "", "", "", s};

    return keys_load(&from, error, sizeof(error));
}

static void sections_name_keys(void **state)
{
    (void)state;
    struct key_sections s = {NULL, 0};

    write_file(SLICE_LIT(SECRET_32 "\n"));
    assert_int_equal(key_sections_set(&s, "a.B_1-", "algorithm", "HS256", error, 99), 0);
    assert_int_equal(key_sections_set(&s, "b", "file", path, error, 99), 0);
    assert_int_equal(key_sections_set(&s, "a.B_1-", "file", path, error, 99), 0);
    assert_int_equal(key_sections_set(&s, "b", "algorithm", "HS256", error, 99), 0);
    struct keys *k = load_sections(&s);
    assert_non_null(k);
    assert_int_equal(keys_count(k), 2);
    const struct key *a = find(k, "a.B_1-", ALGORITHM_HS256);
    const struct key *b = find(k, "b", ALGORITHM_HS256);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    assert_null(find(k, "a", ALGORITHM_HS256));
    assert_null(find(k, "b", ALGORITHM_HS384));

    /* A token without a kid: one key after the other. */
    size_t at = 0;
    assert_ptr_equal(keys_next(k, SLICE_NONE, ALGORITHM_HS256, &at), a);
    assert_ptr_equal(keys_next(k, SLICE_NONE, ALGORITHM_HS256, &at), b);
    assert_null(keys_next(k, SLICE_NONE, ALGORITHM_HS256, &at));
    const char *id = NULL;
    assert_ptr_equal(keys_signer(k, &id), a);
    assert_string_equal(id, "a.B_1-");
    keys_free(k);
    key_sections_deinit(&s);
}

static void sections_that_are_wrong_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *id, *key, *value, *part;
    } cases[] = {
        {"a", "secret", "x", "unknown key of a [key]; there are: algorithm file"},
        {"a", "algorithm", "none", "must be one of"},
        {"a", "algorithm", "hs256", "must be one of"},
        {"a", "algorithm", "", "must be one of"},
        {"a b", "algorithm", "HS256", "the name of a key is"},
        {"../../dev/null", "algorithm", "HS256", "the name of a key is"},
        {"", "algorithm", "HS256", "the name of a key is"},
    };
    struct key_sections s = {NULL, 0};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(
            key_sections_set(&s, cases[i].id, cases[i].key, cases[i].value, error, sizeof(error)),
            -1);
        expect_error(NULL, cases[i].part);
    }
    key_sections_deinit(&s);
    assert_int_equal(key_sections_set(&s, "a", "file", path, error, 99), 0);
    assert_int_equal(key_sections_set(&s, "a", "file", path, error, 99), -1);
    expect_error(NULL, "is given twice");
    expect_error(load_sections(&s), "[key \"a\"]: needs an algorithm and a file");
    assert_int_equal(key_sections_set(&s, "a", "algorithm", "HS512", error, 99), 0);
    write_file(SLICE_LIT(SECRET_32));
    expect_error(load_sections(&s), "HS512 needs a key of at least 64 bytes");
    for (int i = 1; i < KEYS_MAX; i++) {
        char id[8];
        snprintf(id, sizeof(id), "k%d", i);
        assert_int_equal(key_sections_set(&s, id, "file", path, error, 99), 0);
    }
    assert_int_equal(key_sections_set(&s, "more", "file", path, error, 99), -1);
    expect_error(NULL, "at most 16 keys");
    key_sections_deinit(&s);
}

/* RFC 7515 A.2 and A.3, RFC 8037 A.4, as a JWK Set; beside them keys that are for others. */
#define RSA_N                                                                                      \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4" \
    "d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5re" \
    "xMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxX" \
    "FvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define EC_XY                                                                                      \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                                       \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define ED_X "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define RFC_PAYLOAD                                                                                \
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnV" \
    "lfQ"
#define RSA_JWK "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\"}"

static bool verifies(const struct key *k, const char *text, const char *signature)
{
    struct buf bytes = BUF_EMPTY;

    assert_int_equal(base64url_decode(&bytes, slice_of(signature)), 0);
    bool is = key_verify(k, slice_of(text), buf_slice(&bytes));
    buf_deinit(&bytes);
    return is;
}

static void the_vectors_of_the_rfcs_are_good(void **state)
{
    (void)state;
    struct keys *k = load_set(
        "{\"keys\":[" RSA_JWK ",{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"kid\":\"ec\"},"
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"," ED_X ",\"alg\":\"EdDSA\",\"use\":\"sig\"},"
        "{\"kty\":\"RSA\",\"use\":\"enc\",\"n\":\"x\"},"
        "{\"kty\":\"RSA\",\"alg\":\"RSA-OAEP\",\"n\":\"x\"},"
        "{\"kty\":\"RSA\",\"key_ops\":[\"encrypt\"]},"
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"x\"},"
        "{\"kty\":\"OKP\",\"crv\":\"X25519\"},{\"kty\":\"new\"}],\"more\":1}");

    if (k == NULL) {
        fail_msg("%s", error);
    }
    assert_int_equal(keys_count(k), 3);
    assert_true(verifies(
        find(k, "", ALGORITHM_RS256), "eyJhbGciOiJSUzI1NiJ9" RFC_PAYLOAD,
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W"
        "2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS"
        "jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv"
        "Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"));
    assert_true(verifies(
        find(k, "ec", ALGORITHM_ES256), "eyJhbGciOiJFUzI1NiJ9" RFC_PAYLOAD,
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"));
    assert_true(verifies(
        find(k, "", ALGORITHM_EDDSA), "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"));
    assert_false(verifies(
        find(k, "", ALGORITHM_EDDSA), "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmd",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"));
    keys_free(k);
}

static void a_set_may_hold_secrets(void **state)
{
    (void)state;
    struct keys *k =
        load_set("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"s\",\"k\":"
                 "\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\",\"key_ops\":[\"sign\"]}]}");
    const char *id = NULL;

    assert_non_null(k);
    assert_non_null(find(k, "s", ALGORITHM_HS256));
    assert_non_null(keys_signer(k, &id));
    assert_string_equal(id, "s");
    keys_free(k);
}

static void sets_that_are_wrong_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "is no JWK Set"},
        {"{", "is no JWK Set"},
        {"[]", "is no JWK Set"},
        {"{}", "is no JWK Set"},
        {"{\"keys\":{}}", "is no JWK Set"},
        {"{\"keys\":[],\"keys\":[]}", "is no JWK Set"},
        {"{\"keys\":[]}", "has no key that tokens could be checked with"},
        {"{\"keys\":[{\"kty\":\"new\"}]}", "has no key that tokens could be checked with"},
        {"{\"keys\":[1]}", "key 1: is no object"},
        {"{\"keys\":[{}]}", "key 1: kty is missing"},
        {"{\"keys\":[{\"kty\":1}]}", "key 1: kty is missing"},
        {"{\"keys\":[" RSA_JWK ",{\"kty\":\"RSA\"}]}", "key 2: n and e have to be base64url"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", "2048 to 8192 bits"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"" RSA_N "=\",\"e\":\"AQAB\"}]}", "base64url"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AA\"}]}", "key 1: is "},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQ\"}]}", "key 1: is "},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQAB\",\"y\":\"AQAB\"}]}",
         "is no point of its curve"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
         "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
         "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}]}",
         "is no point of its curve"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\"}]}", "x and y have to be base64url"},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQAB\"}]}", "is no Ed25519 key"},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}]}", "x has to be base64url"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AQAB\"}]}", "at least 32 bytes"},
        {"{\"keys\":[{\"kty\":\"oct\"}]}", "k has to be base64url"},
        {"{\"keys\":[{\"kty\":\"EC\",\"kid\":\"a/b\"}]}", "kid has to be"},
        {"{\"keys\":[{\"kty\":\"EC\",\"kid\":\"\"}]}", "kid has to be"},
        {"{\"keys\":[{\"kty\":\"EC\",\"kid\":7}]}", "kid has to be"},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\"," ED_X ",\"kid\":\"a\"},"
         "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"," ED_X ",\"kid\":\"a\"}]}",
         "key 2: there are two keys of this name"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_error(load_set(cases[i].text), cases[i].part);
        assert_non_null(strstr(error, "[auth] jwks_file"));
    }
}

static void sixteen_keys_are_enough(void **state)
{
    (void)state;
    for (int count = KEYS_MAX; count <= KEYS_MAX + 1; count++) {
        struct buf set = BUF_EMPTY;

        buf_add_lit(&set, "{\"keys\":[");
        for (int i = 0; i < count; i++) {
            buf_addf(&set, "%s{\"kty\":\"OKP\",\"crv\":\"Ed25519\"," ED_X ",\"kid\":\"k%d\"}",
                     i > 0 ? "," : "", i);
        }
        buf_add(&set, "]}", 3);
        struct keys *k = load_set(set.at);
        if (count > KEYS_MAX) {
            expect_error(k, "there are too many keys: the limit is 16");
        } else {
            assert_non_null(k);
        }
        keys_free(k);
        buf_deinit(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hmac_key_has_as_many_bytes_as_its_hash),
        cmocka_unit_test(a_public_key_has_the_usual_algorithm_of_its_kind_or_the_one_it_is_given),
        cmocka_unit_test(public_keys_that_do_not_do_are_refused),
        cmocka_unit_test(sections_name_keys),
        cmocka_unit_test(sections_that_are_wrong_are_refused),
        cmocka_unit_test(the_vectors_of_the_rfcs_are_good),
        cmocka_unit_test(a_set_may_hold_secrets),
        cmocka_unit_test(sets_that_are_wrong_are_refused),
        cmocka_unit_test(sixteen_keys_are_enough),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
