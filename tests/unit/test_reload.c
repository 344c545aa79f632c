/*
 * test_reload.c: other settings while everything runs: what changes for those who are here and for
 * those who come, and that bad ones change nothing.
 */
#include "gateway/reload.h"

#include <unistd.h>

#include "common/log.h"
#include "gateway/api/api_keys.h"
#include "gateway/session/sessions_internal.h"
#include "gateway/session/users.h"
#include "gateway/token/verifier.h"
#include "tests/unit/gateway_kit.h"
#include "tests/unit/tokens.h"

#define OLD_KEY "0123456789abcdef0123456789abcdef"
#define NEW_KEY "fedcba9876543210fedcba9876543210"
#define NOW_S (clock_wall_ms() / 1000)
#define BASE                                                                                       \
    "[topology]\npartitions = 4\n[gateway]\nid = g1\nlisten = 127.0.0.1:0\nadmin = 127.0.0.1:0\n"  \
    "ping = 60s\npong = 30s\nstale = 60s\ndrain = 50ms\npublish_wait = 60s\nsubscribe_wait = "     \
    "60s\n"

static char path[] = "/tmp/warren-test-reload-XXXXXX";

static void write_settings(const char *more)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fprintf(f, "%s%s", BASE, more) > 0);
    assert_int_equal(fclose(f), 0);
}

/* A gateway with settings of a file, as a real one has them. */
static void begin(struct kit *k, const char *more)
{
    kit_init(k);
    write_settings(more);
    assert_int_equal(gateway_conf_load(&k->conf, path), 0);
    kit_start(k);
    log_set_level(LOG_ERROR);
}

static void end(struct kit *k)
{
    kit_end(k);
    gateway_conf_free(&k->conf);
}

static int reload(struct kit *k, const char *more)
{
    write_settings(more);
    int r = gateway_reload(&k->gateway, &k->conf, path);
    assert_true(r == 0 || !log_is_debug());
    log_set_level(LOG_ERROR);
    return r;
}

static bool is_good(struct kit *k, const char *key)
{
    struct buf token = BUF_EMPTY;
    struct jwt_claims claims;

    tokens_mint(key, "ann", "", 60, NOW_S, &token);
    enum jwt_verdict verdict = verifier_check(k->gateway.verifier, JWT_CONNECTION,
                                              buf_slice(&token), NOW_S, &claims, NULL);
    buf_deinit(&token);
    return verdict == JWT_GOOD;
}

static bool is_allowed(const struct kit *k, const char *origin)
{
    return origin_is_allowed(k->gateway.origins, slice_of(origin), SLICE_LIT("host"), true);
}

static void keys_and_origins_count_for_those_who_come(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin(&k, "[auth]\nhmac_key = " OLD_KEY "\n[origin]\nallow = https://old.example\n");
    peer_connect(&ann, &k, "ann");
    assert_true(is_good(&k, OLD_KEY) && !is_good(&k, NEW_KEY));
    assert_true(is_allowed(&k, "https://old.example"));
    assert_int_equal(
        reload(&k, "[auth]\nhmac_key = " NEW_KEY "\n[origin]\nallow = https://new.example\n"), 0);
    assert_true(!is_good(&k, OLD_KEY) && is_good(&k, NEW_KEY));
    assert_true(!is_allowed(&k, "https://old.example") && is_allowed(&k, "https://new.example"));
    assert_int_equal(stat_get(&k.gateway.metrics.reloads), 1);
    peer_expect_nothing(&ann);
    peer_end(&ann);
    end(&k);
}

static void settings_that_are_not_good_change_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[auth]\nhmac_key = short\n",
        "[auth]\nhmac_key = " NEW_KEY "\njwks_file = /nonexistent\n",
        "[auth]\nhmac_key = " NEW_KEY "\n[origin]\nallow = nonsense\n",
        "[auth]\nhmac_key = " NEW_KEY "\n[room]\nsubscribe = * none\n",
        "[auth]\nhmac_key = " NEW_KEY "\n[room \"a\"]\nwhat = yes\n",
        "[auth]\nhmac_key = " NEW_KEY "\n[key \"a\"]\nalgorithm = none\n",
        "[auth]\nhmac_key = " NEW_KEY "\n[gateway]\npong = 90s\n",
        "[log]\nlevel = debug\n[auth]\nhmac_key = " NEW_KEY "\n[gateway]\npong = 90s\n",
        "[auth]\n",
        "nonsense\n",
    };
    struct kit k;
    struct peer ann;

    begin(&k, "[auth]\nhmac_key = " OLD_KEY "\n[origin]\nallow = https://old.example\n");
    peer_connect(&ann, &k, "ann");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (reload(&k, bad[i]) != -1) {
            fail_msg("taken: %s", bad[i]);
        }
        assert_int_equal(stat_get(&k.gateway.metrics.reloads_failed), i + 1);
        assert_true(is_good(&k, OLD_KEY) && !is_good(&k, NEW_KEY));
        assert_true(is_allowed(&k, "https://old.example"));
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(gateway_reload(&k.gateway, &k.conf, path), -1);
    assert_int_equal(stat_get(&k.gateway.metrics.reloads), 0);
    peer_expect_nothing(&ann);
    peer_end(&ann);
    end(&k);
}

static void who_lost_the_right_loses_the_subscription(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob, plain;

    begin(&k, "[auth]\nhmac_key = " OLD_KEY "\n[room]\npresence = no\n");
    peer_connect(&ann, &k, "ann");
    peer_connect(&bob, &k, "bob");
    peer_subscribe(&ann, "staff:1");
    kit_position(&k, "staff:1", "e", 1);
    peer_expect_part(&ann, "\"subscribe\":");
    peer_open(&plain, &k, DIALECT_PLAIN, "eve", "staff:1");
    peer_subscribe(&bob, "open");
    kit_position(&k, "open", "e", 1);
    peer_expect_part(&bob, "\"subscribe\":");
    kit_settle(&k);

    assert_int_equal(reload(&k, "[auth]\nhmac_key = " OLD_KEY "\n[room]\npresence = no\n"
                                "[room \"staff\"]\nsubscribe = admin\n"),
                     0);
    peer_expect(&ann, "{\"push\":{\"channel\":\"staff:1\",\"unsubscribe\":{\"code\":2000,"
                      "\"reason\":\"permission denied\"}}}");
    peer_expect_part(&plain, "close 3");
    peer_expect_nothing(&bob);
    peer_subscribe(&ann, "staff:1");
    peer_expect(&ann, "{\"id\":2,\"error\":{\"code\":103,\"message\":\"permission denied\"}}");

    /* And gets it back when the rules allow it again. */
    assert_int_equal(reload(&k, "[auth]\nhmac_key = " OLD_KEY "\n[room]\npresence = no\n"), 0);
    peer_subscribe(&ann, "staff:1");
    kit_position(&k, "staff:1", "e", 1);
    peer_expect_part(&ann, "\"subscribe\":");
    peer_end(&ann);
    peer_end(&bob);
    peer_end(&plain);
    end(&k);
}

static void rooms_that_stay_go_by_their_new_rules(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin(&k, "[auth]\nhmac_key = " OLD_KEY "\n");
    peer_connect(&ann, &k, "ann");
    peer_subscribe(&ann, "quiet:1");
    kit_position(&k, "quiet:1", "e", 1);
    peer_expect_part(&ann, "\"subscribe\":");
    assert_int_equal(reload(&k, "[auth]\nhmac_key = " OLD_KEY
                                "\n[room \"quiet\"]\npresence = no\npublish = none\n"),
                     0);
    peer_send(&ann, "{\"id\":3,\"presence\":{\"channel\":\"quiet:1\"}}");
    peer_expect(&ann, "{\"id\":3,\"error\":{\"code\":108,\"message\":\"not available\"}}");
    peer_send(&ann, "{\"id\":4,\"publish\":{\"channel\":\"quiet:1\",\"data\":1}}");
    peer_expect(&ann, "{\"id\":4,\"error\":{\"code\":103,\"message\":\"permission denied\"}}");
    peer_end(&ann);
    end(&k);
}

/* Publishes to a room that it is not in; true if it was put on its way. */
static bool publishes(struct peer *p)
{
    struct kit *k = p->kit;

    peer_send(p, "{\"id\":5,\"publish\":{\"channel\":\"open\",\"data\":1}}");
    kit_settle(k);
    if (kit_count(k, MESSAGE_PUBLISH) == 0) {
        peer_expect_part(p, "\"code\":111");
        return false;
    }
    kit_result(k, kit_take(k, MESSAGE_PUBLISH), BUS_CONFIRMED);
    peer_expect(p, "{\"id\":5,\"publish\":{}}");
    return true;
}

#define LIMITED(more) more "[auth]\nhmac_key = " OLD_KEY "\n"

static void limits_that_change_count_for_those_who_are_here(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, other, third;

    begin(&k, LIMITED(""));
    peer_connect(&ann, &k, "ann");
    peer_connect(&other, &k, "ann");
    for (int i = 0; i < 5; i++) {
        assert_true(publishes(&ann));
    }
    kit_stop_clocks();
    assert_int_equal(reload(&k, LIMITED("rooms = 1\nuser_sessions = 1\npublish_rate = 1\n"
                                        "publish_burst = 2\nuser_publish_rate = 1\n"
                                        "user_publish_burst = 3\n")),
                     0);
    assert_int_equal(users_count(k.gateway.users), 1);
    assert_true(publishes(&ann) && publishes(&ann) && !publishes(&ann));
    assert_true(publishes(&other) && !publishes(&other)); /* three of the user's */
    kit_start_clocks();
    peer_open(&third, &k, DIALECT_CENTRIFUGE, "ann", ""); /* two are here, and stay */
    peer_send(&third, "{\"id\":1,\"connect\":{}}");
    peer_expect(&third, "close 3504 connection limit");
    peer_end(&third);
    peer_subscribe(&ann, "one");
    kit_position(&k, "one", "e", 1);
    peer_expect_part(&ann, "\"subscribe\":");
    peer_subscribe(&ann, "two");
    peer_expect_part(&ann, "\"code\":106");

    assert_int_equal(reload(&k, LIMITED("")), 0);
    for (int i = 0; i < 5; i++) {
        assert_true(publishes(&ann) && publishes(&other));
    }
    peer_connect(&third, &k, "ann");
    peer_end(&ann);
    peer_end(&other);
    peer_end(&third);
    end(&k);
}

#define MOVED(client) "{\"room\":\"told:1\",\"client\":\"" client "\",\"user\":\"u\"}\n"

/* The room's owner is told anew, and whether joins and leaves are wanted; then it tells one. */
static void somebody_comes(struct kit *k, const char *client, bool are_wanted)
{
    const char wanted[] = "{\"room\":\"told:1\",\"moves\":true}\n";
    char body[128];

    kit_skip(100); /* links pause between two attaches */
    struct bus_out *out = kit_take(k, MESSAGE_ATTACH);
    bool is_there = memmem(out->body->bytes, out->body->size, wanted, sizeof(wanted) - 1) != NULL;
    assert_int_equal(is_there, are_wanted);
    k->bus.sent[k->bus.count++] = out;
    kit_position(k, "told:1", "e", 1);
    snprintf(body, sizeof(body), "{\"room\":\"told:1\",\"client\":\"%s\",\"user\":\"u\"}\n",
             client);
    kit_say(k, kit_partition("told:1"), MESSAGE_MOVES, body);
    kit_settle(k);
}

static void who_comes_and_goes_is_told_by_the_new_rule(void **state)
{
    (void)state;
    const char *told = LIMITED("") "[room \"told\"]\njoin_leave = yes\n";
    struct kit k;
    struct peer ann, bob;

    begin(&k, LIMITED(""));
    peer_connect(&ann, &k, "ann");
    peer_connect(&bob, &k, "bob");
    peer_subscribe(&ann, "told:1");
    kit_position(&k, "told:1", "e", 1);
    peer_expect_part(&ann, "\"subscribe\":");
    assert_int_equal(reload(&k, told), 0);
    somebody_comes(&k, "c1", true);
    peer_expect_part(&ann, "\"join\":{\"info\":{\"user\":\"u\",\"client\":\"c1\"");
    peer_send(&bob, "{\"id\":2,\"subscribe\":{\"channel\":\"told:1\",\"join_leave\":true}}");
    peer_expect_part(&bob, "\"subscribe\":");

    /* Without the rule only those who asked are told. */
    assert_int_equal(reload(&k, LIMITED("")), 0);
    kit_say(&k, kit_partition("told:1"), MESSAGE_MOVES, MOVED("c2"));
    peer_expect_part(&bob, "c2");
    peer_expect_nothing(&ann);

    assert_int_equal(reload(&k, LIMITED("") "[room \"told\"]\npresence = no\n"), 0);
    somebody_comes(&k, "c3", false);
    peer_expect_nothing(&bob);
    assert_int_equal(reload(&k, told), 0);
    somebody_comes(&k, "c4", true);
    peer_expect_part(&ann, "c4");
    peer_expect_part(&bob, "c4");
    peer_end(&ann);
    peer_end(&bob);
    end(&k);
}

static void settings_that_need_a_restart_are_named(void **state)
{
    (void)state;
    struct gateway_conf running, fresh;
    struct buf others = BUF_EMPTY;

    write_settings("[auth]\nhmac_key = " OLD_KEY "\n[api \"desk\"]\nkey = " OLD_KEY "\n");
    assert_int_equal(gateway_conf_load(&running, path), 0);
    write_settings("out_queue = 2m\ndemo = yes\n[amqp]\nprefix = other\n[auth]\nhmac_key = " NEW_KEY
                   "\naudience = new\n[room]\nsubscribe = new\n[api]\nkey = " OLD_KEY
                   "\n[api \"desk\"]\nkey = " NEW_KEY "\n");
    assert_int_equal(gateway_conf_load(&fresh, path), 0);
    gateway_conf_exchange(&running, &fresh, &others);
    assert_true(slice_equal(buf_slice(&others),
                            SLICE_LIT("[amqp] prefix, [gateway] demo, [gateway] out_queue")));
    assert_string_equal(running.api_key, OLD_KEY);
    assert_non_null(api_keys_find(&running.api_keys, "", SLICE_LIT(NEW_KEY)));
    assert_null(api_keys_find(&running.api_keys, "", SLICE_LIT(OLD_KEY)));
    assert_string_equal(running.audience, "new");
    assert_string_equal(running.hmac_key, NEW_KEY);
    assert_string_equal(running.rules.defaults.subscribe, "new");
    assert_string_equal(running.amqp_prefix, "warren");
    assert_string_equal(fresh.audience, "");
    gateway_conf_free(&running);
    gateway_conf_free(&fresh);

    /* An id that was made up is no change. */
    buf_deinit(&others);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fprintf(f, "[auth]\nhmac_key = " OLD_KEY "\n") > 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(gateway_conf_load(&running, path), 0);
    assert_int_equal(gateway_conf_load(&fresh, path), 0);
    gateway_conf_exchange(&running, &fresh, &others);
    assert_int_equal(others.size, 0);
    gateway_conf_free(&running);
    gateway_conf_free(&fresh);
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);

    (void)unsetenv("WARREN_VECTORS"); /* of other tests: it is no setting */
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_origins_count_for_those_who_come),
        cmocka_unit_test(settings_that_are_not_good_change_nothing),
        cmocka_unit_test(who_lost_the_right_loses_the_subscription),
        cmocka_unit_test(rooms_that_stay_go_by_their_new_rules),
        cmocka_unit_test(limits_that_change_count_for_those_who_are_here),
        cmocka_unit_test(who_comes_and_goes_is_told_by_the_new_rule),
        cmocka_unit_test(settings_that_need_a_restart_are_named),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
