/*
 * test_expiry_busy.c: a session's token ends while something is on its way for it: a room's past, a
 * flood of publishes, the backend's word. It ends then, and what comes too late finds nobody.
 */
#include "gateway/hook/hooks.h"
#include "gateway/session/sessions_internal.h"
#include "tests/unit/gateway_kit.h"
#include "tests/unit/mint.h"
#include "tests/unit/silent_backend.h"

#define ROOM "lobby"
#define THE_END "close 3005 connection expired"
#define FLOOD 200

/* A gateway that looks for ends often. */
static void start(struct kit *k)
{
    kit_start(k);
    k->gateway.sessions->expiry.wait_ms = 20;
}

static void begin(struct kit *k)
{
    kit_init(k);
    start(k);
}

/* Sends a connect command with a token of these claims, which ends some day. */
static void come_with(struct peer *p, struct kit *k, const char *claims)
{
    char token[MINT_SIZE], text[2 * MINT_SIZE], all[1024];

    snprintf(all, sizeof(all), "{\"sub\":\"ann\",\"exp\":%" PRId64 "%s}",
             clock_wall_ms() / 1000 + 3600, claims);
    snprintf(text, sizeof(text), "{\"id\":1,\"connect\":{\"token\":\"%s\"}}", mint(token, all));
    peer_open(p, k, DIALECT_CENTRIFUGE, "", "");
    peer_send(p, text);
}

static void come(struct peer *p, struct kit *k)
{
    come_with(p, k, "");
    peer_expect_part(p, "{\"id\":1,\"connect\":");
}

/* Now its time is over, and that to refresh, too. */
static void run_out(struct peer *p)
{
    peer_session(p)->identity->expires_s = 1;
}

static uint64_t open_questions(const struct kit *k)
{
    return stat_get(&k->gateway.metrics.hooks_open);
}

static void in_the_middle_of_a_recovery(void **state)
{
    (void)state;
    struct kit k;
    struct peer keeper, ann;

    begin(&k);
    peer_connect(&keeper, &k, "keeper");
    peer_subscribe(&keeper, ROOM);
    kit_position(&k, ROOM, "k1", 10);
    peer_expect_part(&keeper, "\"subscribe\"");
    come(&ann, &k);
    peer_send(&ann, "{\"id\":7,\"subscribe\":{\"channel\":\"" ROOM
                    "\",\"recover\":true,\"epoch\":\"k1\",\"offset\":3}}");
    KIT_UNTIL(&k, kit_count(&k, MESSAGE_HISTORY) == 1);
    run_out(&ann);
    peer_expect(&ann, THE_END);
    kit_answer(&k, MESSAGE_HISTORY, MESSAGE_PAST,
               "{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":10,\"complete\":false}\n");
    kit_deliver(&k, ROOM, "k1", 11, 12);
    peer_expect_records(&keeper, ROOM, 11, 12);
    assert_int_equal(stat_get(&k.gateway.metrics.subscriptions), 1);
    peer_end(&ann);
    peer_end(&keeper);
    kit_end(&k);
}

static void in_a_flood_of_publishes(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    struct buf flood = BUF_EMPTY;

    begin(&k);
    come(&ann, &k);
    for (int id = 2; id < FLOOD; id++) {
        buf_addf(&flood, "%s{\"id\":%d,\"publish\":{\"channel\":\"" ROOM "\",\"data\":%d}}",
                 id > 2 ? "\n" : "", id, id);
    }
    buf_add_char(&flood, '\0');
    peer_send(&ann, flood.at);
    KIT_UNTIL(&k, stat_get(&k.gateway.metrics.commands) >= FLOOD - 2);
    run_out(&ann);
    peer_send(&ann, flood.at); /* more of it is on its way */
    const char *got = peer_next(&ann);
    while (strncmp(got, "{\"id\":", 6) == 0) {
        got = peer_next(&ann);
    }
    assert_string_equal(got, THE_END);
    while (kit_count(&k, MESSAGE_PUBLISH) > 0) { /* whose publishes are safe after all */
        kit_result(&k, kit_take(&k, MESSAGE_PUBLISH), BUS_CONFIRMED);
        kit_settle(&k);
    }
    assert_int_equal(stat_get(&k.gateway.metrics.publishes_waiting), 0);
    buf_deinit(&flood);
    peer_end(&ann);
    kit_end(&k);
}

static void while_the_backend_is_asked(void **state)
{
    static const char *const asked[] = {
        "{\"id\":2,\"publish\":{\"channel\":\"" ROOM "\",\"data\":1}}",
        "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}",
        "{\"id\":2,\"rpc\":{\"method\":\"publish\",\"data\":{\"channel\":\"" ROOM
        "\",\"data\":1}}}",
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct kit k;
        struct peer ann;

        kit_init(&k);
        k.conf.hooks.publish_url = k.conf.hooks.subscribe_url = url;
        k.conf.hooks.timeout_ms = 60000;
        k.conf.rules.defaults.hook_publish = k.conf.rules.defaults.hook_subscribe = true;
        start(&k);
        come(&ann, &k);
        peer_send(&ann, asked[i]);
        KIT_UNTIL(&k, open_questions(&k) == 1);
        peer_send(&ann, "{\"id\":3,\"publish\":{\"channel\":\"" ROOM "\",\"data\":2}}");
        run_out(&ann);
        peer_expect(&ann, THE_END);
        assert_int_equal(open_questions(&k), 0);
        kit_expect_none(&k, MESSAGE_PUBLISH);
        kit_expect_none(&k, MESSAGE_ATTACH);
        peer_end(&ann);
        kit_end(&k);
    }
}

static void while_questions_about_its_rooms_are_open(void **state)
{
    static const struct {
        const char *command;
        enum message_type type;
    } asked[] = {
        {"history", MESSAGE_HISTORY},
        {"presence", MESSAGE_PRESENCE},
        {"presence_stats", MESSAGE_PRESENCE},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct kit k;
        struct peer ann;
        char text[128];

        begin(&k);
        come(&ann, &k);
        peer_subscribe(&ann, ROOM);
        kit_position(&k, ROOM, "k1", 10);
        peer_expect_part(&ann, "\"subscribe\"");
        snprintf(text, sizeof(text), "{\"id\":3,\"%s\":{\"channel\":\"" ROOM "\",\"limit\":9}}",
                 asked[i].command);
        peer_send(&ann, text);
        KIT_UNTIL(&k, kit_count(&k, asked[i].type) == 1);
        run_out(&ann);
        peer_expect(&ann, THE_END);
        kit_answer(&k, asked[i].type,
                   asked[i].type == MESSAGE_HISTORY ? MESSAGE_PAST : MESSAGE_PRESENT,
                   "{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":10,\"complete\":true,"
                   "\"clients\":1,\"users\":1}\n");
        kit_settle(&k);
        peer_end(&ann);
        kit_end(&k);
    }
}

static void before_it_is_in_the_rooms_that_its_token_names(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin(&k);
    come_with(&ann, &k, ",\"channels\":[\"" ROOM "\"]");
    KIT_UNTIL(&k, kit_count(&k, MESSAGE_ATTACH) == 1);
    run_out(&ann);
    peer_expect(&ann, THE_END); /* and no reply */
    kit_position(&k, ROOM, "k1", 10);
    kit_settle(&k);
    assert_int_equal(stat_get(&k.gateway.metrics.subscriptions), 0);
    peer_end(&ann);
    kit_end(&k);
}

static void a_plain_one_before_it_is_in_its_room(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin(&k);
    peer_open(&ann, &k, DIALECT_PLAIN, "ann", ROOM);
    peer_send(&ann, "{\"message\":\"hello\"}");
    assert_true(peer_session(&ann)->is_held);
    run_out(&ann);
    session_watch_expiry(peer_session(&ann)); /* as if its token had said so */
    peer_expect(&ann, THE_END);
    kit_position(&k, ROOM, "k1", 10);
    kit_expect_none(&k, MESSAGE_PUBLISH);
    peer_end(&ann);
    kit_end(&k);
}

static void in_a_flood_of_deliveries(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;
    uint64_t last = 10;

    begin(&k);
    peer_connect(&bob, &k, "bob");
    peer_subscribe(&bob, ROOM);
    kit_position(&k, ROOM, "k1", 10);
    peer_expect_part(&bob, "\"subscribe\"");
    come(&ann, &k);
    peer_subscribe(&ann, ROOM);
    peer_expect_part(&ann, "\"subscribe\"");
    run_out(&ann);
    const char *got;
    do {
        kit_deliver(&k, ROOM, "k1", last + 1, last + 3);
        peer_expect_records(&bob, ROOM, last + 1, last + 3);
        last += 3;
        got = peer_next(&ann);
    } while (strncmp(got, "{\"push\":", 8) == 0);
    assert_string_equal(got, THE_END);
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_the_middle_of_a_recovery),
        cmocka_unit_test(in_a_flood_of_publishes),
        cmocka_unit_test(in_a_flood_of_deliveries),
        cmocka_unit_test(while_the_backend_is_asked),
        cmocka_unit_test(while_questions_about_its_rooms_are_open),
        cmocka_unit_test(before_it_is_in_the_rooms_that_its_token_names),
        cmocka_unit_test(a_plain_one_before_it_is_in_its_room),
    };
    return cmocka_run_group_tests(tests, backend_begin, backend_end);
}
