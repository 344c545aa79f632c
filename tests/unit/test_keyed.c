/* test_keyed.c: publishes with an idempotency key, in both dialects: what goes to the owner, what
 * is refused, how it is answered. */
#include "tests/unit/gateway_kit.h"

#define RPC(data) "{\"id\":2,\"rpc\":{\"method\":\"publish\",\"data\":" data "}}"
#define K64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* The key of the one record that was published, which is confirmed then. */
static void take_key(struct kit *k, char key[KEY_MAX + 1])
{
    struct bus_out *out = kit_take(k, MESSAGE_PUBLISH);
    struct slice rest = {out->body->bytes, out->body->size};
    struct record r;

    assert_int_equal(record_next(&rest, false, &r), 0);
    assert_int_equal(rest.size, 0);
    (void)snprintf(key, KEY_MAX + 1, "%.*s", SLICE_ARG(r.key));
    kit_result(k, out, BUS_CONFIRMED);
}

static void a_publish_may_carry_a_key_as_command_and_as_rpc(void **state)
{
    static const struct {
        const char *text, *key, *answer;
    } cases[] = {
        {"{\"id\":2,\"publish\":{\"channel\":\"x\",\"data\":1}}", "", "{\"id\":2,\"publish\":{}}"},
        {"{\"id\":2,\"publish\":{\"channel\":\"x\",\"data\":1,\"idempotency_key\":\"a b\"}}", "a b",
         "{\"id\":2,\"publish\":{}}"},
        {"{\"id\":2,\"publish\":{\"channel\":\"x\",\"data\":1,\"idempotency_key\":\"\"}}", "",
         "{\"id\":2,\"publish\":{}}"},
        {"{\"id\":2,\"publish\":{\"channel\":\"x\",\"data\":{\"id\":\"a\"}}}", "",
         "{\"id\":2,\"publish\":{}}"},
        {RPC("{\"channel\":\"x\",\"data\":1,\"idempotency_key\":\"" K64 "\"}"), K64,
         "{\"id\":2,\"rpc\":{\"data\":{}}}"},
        {RPC("{\"idempotency_key\":\"\\u0061\",\"data\":1,\"channel\":\"\\u0078\",\"more\":{}}"),
         "a", "{\"id\":2,\"rpc\":{\"data\":{}}}"},
        {RPC("{\"channel\":\"x\",\"data\":1}"), "", "{\"id\":2,\"rpc\":{\"data\":{}}}"},
    };
    struct kit k;
    struct peer p;
    char key[KEY_MAX + 1];
    (void)state;

    kit_begin(&k);
    peer_connect(&p, &k, "ann");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        peer_send(&p, cases[i].text);
        take_key(&k, key);
        assert_string_equal(key, cases[i].key);
        peer_expect(&p, cases[i].answer);
    }
    peer_end(&p);
    kit_end(&k);
}

static void a_string_named_id_is_the_key_of_the_plain_dialect(void **state)
{
    static const struct {
        const char *text, *key;
    } cases[] = {
        {"{\"message\":\"a\",\"id\":\"7f3\"}", "7f3"},
        {"{\"id\":\"" K64 "\"}", K64},
        {"{\"message\":\"a\"}", ""},
        {"{\"id\":7}", ""},
        {"{\"id\":null}", ""},
        {"{\"id\":{\"id\":\"a\"}}", ""},
        {"{\"data\":{\"id\":\"a\"}}", ""},
        {"{ \"id\" : \" \" }", " "},
    };
    struct kit k;
    struct peer p;
    char key[KEY_MAX + 1];
    (void)state;

    kit_begin(&k);
    peer_open(&p, &k, DIALECT_PLAIN, "joe", "x");
    kit_position(&k, "x", "k1", 5);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        peer_send(&p, cases[i].text);
        struct bus_out *out = kit_take(&k, MESSAGE_PUBLISH);
        /* It stays where it was; the name was put in front of it. */
        const char *rest = cases[i].text + 1;
        assert_non_null(memmem(out->body->bytes, out->body->size, rest, strlen(rest)));
        k.bus.sent[k.bus.count++] = out;
        take_key(&k, key);
        assert_string_equal(key, cases[i].key);
    }
    peer_end(&p);
    kit_end(&k);
}

static void what_can_be_no_key_is_a_bad_request(void **state)
{
    static const char *const keys[] = {K64 "0", "\\u00e9", "\xc3\xa9", "a\\\"b", "a\\\\b", "a\\tb"};
    struct kit k;
    struct peer ann, bob;
    char text[256];
    (void)state;

    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    peer_open(&bob, &k, DIALECT_PLAIN, "bob", "x");
    kit_position(&k, "x", "k1", 5);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        (void)snprintf(
            text, sizeof(text),
            "{\"id\":2,\"publish\":{\"channel\":\"x\",\"data\":1,\"idempotency_key\":\"%s\"}}",
            keys[i]);
        peer_send(&ann, text);
        peer_expect_part(&ann, "{\"id\":2,\"error\":{\"code\":107,");
        (void)snprintf(text, sizeof(text),
                       RPC("{\"channel\":\"x\",\"data\":1,\"idempotency_key\":\"%s\"}"), keys[i]);
        peer_send(&ann, text);
        peer_expect_part(&ann, "{\"id\":2,\"error\":{\"code\":107,");
        (void)snprintf(text, sizeof(text), "{\"id\":\"%s\"}", keys[i]);
        peer_send(&bob, text);
        peer_expect_part(&bob, "{\"error\":{\"code\":107,");
    }
    peer_send(&bob, "{\"id\":\"\"}");
    peer_expect_part(&bob, "{\"error\":{\"code\":107,");
    kit_expect_none(&k, MESSAGE_PUBLISH);
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static void an_rpc_goes_by_the_rules_of_publish(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"{\"id\":2,\"rpc\":{\"method\":\"Publish\",\"data\":{}}}", "\"code\":104,"},
        {"{\"id\":2,\"rpc\":{\"data\":{\"channel\":\"x\",\"data\":1}}}", "\"code\":104,"},
        {"{\"id\":2,\"rpc\":{\"method\":\"publish\"}}", "\"code\":107,"},
        {RPC("[]"), "\"code\":107,"},
        {RPC("{}"), "\"code\":107,"},
        {RPC("{\"channel\":\"x\"}"), "\"code\":107,"},
        {RPC("{\"channel\":\"x y\",\"data\":1}"), "\"code\":107,"},
        {RPC("{\"channel\":\"x\",\"data\":1,\"idempotency_key\":7}"), "\"code\":107,"},
        {RPC("{\"channel\":\"x\",\"data\":\"01234567890123456789\"}"), "\"code\":106,"},
        {RPC("{\"channel\":\"x\",\"data\":1}"), "\"code\":103,"},
    };
    static char nobody[] = "none";
    struct kit k;
    struct peer p;
    (void)state;

    kit_init(&k);
    k.conf.max_payload = 20;
    kit_start(&k);
    k.conf.rules.defaults.publish = nobody;
    peer_connect(&p, &k, "ann");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        peer_send(&p, cases[i].text);
        peer_expect_part(&p, cases[i].want);
    }
    kit_expect_none(&k, MESSAGE_PUBLISH);
    peer_end(&p);
    kit_end(&k);
}

static void an_rpc_that_waits_too_long_is_a_temporary_error(void **state)
{
    struct kit k;
    struct peer p;
    (void)state;

    kit_begin(&k);
    peer_connect(&p, &k, "ann");
    kit_bus_down(&k);
    peer_send(&p, RPC("{\"channel\":\"x\",\"data\":1,\"idempotency_key\":\"a\"}"));
    peer_expect_nothing(&p);
    kit_skip(k.conf.publish_wait_ms + 1);
    peer_expect(&p, "{\"id\":2,\"error\":{\"code\":100,\"message\":\"internal server error\","
                    "\"temporary\":true}}");
    peer_end(&p);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publish_may_carry_a_key_as_command_and_as_rpc),
        cmocka_unit_test(a_string_named_id_is_the_key_of_the_plain_dialect),
        cmocka_unit_test(what_can_be_no_key_is_a_bad_request),
        cmocka_unit_test(an_rpc_goes_by_the_rules_of_publish),
        cmocka_unit_test(an_rpc_that_waits_too_long_is_a_temporary_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
