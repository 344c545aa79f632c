/*
 * test_questions.c: presence and history, which the owners know.
 */
#include "gateway/bus/questions.h"
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"
#define MEMBER(client, user)                                                                       \
    "{\"room\":\"" ROOM "\",\"client\":\"" client "\",\"user\":\"" user "\"}\n"
#define LATE                                                                                       \
    "{\"id\":7,\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}"

#define TOO_MUCH "{\"id\":7,\"error\":{\"code\":106,\"message\":\"limit exceeded\"}}"

static uint64_t met(const struct kit *k, enum limit limit)
{
    return stat_get(&k->gateway.metrics.limits.met[limit]);
}

static void begin(struct kit *k, struct peer *p)
{
    kit_begin(k);
    peer_connect(p, k, "ann");
    peer_send(p, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(k, ROOM, "k1", 10);
    peer_expect_part(p, "\"subscribe\"");
}

/* What stands before the members. */
#define NUMBERS(clients, users)                                                                    \
    "{\"room\":\"" ROOM "\",\"complete\":true,\"clients\":" clients ",\"users\":" users "}\n"
#define NOBODY "{\"room\":\"" ROOM "\",\"complete\":true}\n"

static void end(struct kit *k, struct peer *p)
{
    peer_end(p);
    kit_end(k);
}

static void presence_is_what_the_owner_says(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin(&k, &ann);
    peer_send(&ann, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
    kit_answer(&k, MESSAGE_PRESENCE, MESSAGE_PRESENT,
               NUMBERS("2", "2") MEMBER("c1", "ann") "{\"room\":\"" ROOM
                                                     "\"}\n" MEMBER("c2", "bob"));
    peer_expect(&ann, "{\"id\":7,\"presence\":{\"presence\":{"
                      "\"c1\":{\"user\":\"ann\",\"client\":\"c1\"},"
                      "\"c2\":{\"user\":\"bob\",\"client\":\"c2\"}}}}");
    peer_send(&ann, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
    kit_answer(&k, MESSAGE_PRESENCE, MESSAGE_PRESENT, NOBODY);
    peer_expect(&ann, "{\"id\":7,\"presence\":{\"presence\":{}}}");
    peer_send(&ann, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
    kit_answer(&k, MESSAGE_PRESENCE, MESSAGE_PRESENT,
               "{\"room\":\"" ROOM "\",\"clients\":100000,\"users\":7}\n"); /* a crowd */
    peer_expect(&ann, TOO_MUCH);
    assert_int_equal(met(&k, LIMIT_PRESENCE_MAX), 1);
    k.conf.out_queue = 40;
    peer_send(&ann, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
    kit_answer(&k, MESSAGE_PRESENCE, MESSAGE_PRESENT, NUMBERS("1", "1") MEMBER("c1", "ann"));
    peer_expect(&ann, TOO_MUCH);
    assert_int_equal(met(&k, LIMIT_PRESENCE_BYTES), 1);
    end(&k, &ann);
}

static void presence_stats_count_clients_and_users(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin(&k, &ann);
    peer_send(&ann, "{\"id\":7,\"presence_stats\":{\"channel\":\"" ROOM "\"}}");
    kit_answer(&k, MESSAGE_PRESENCE, MESSAGE_PRESENT,
               "{\"room\":\"" ROOM "\",\"clients\":3,\"users\":2}\n");
    peer_expect(&ann, "{\"id\":7,\"presence_stats\":{\"num_clients\":3,\"num_users\":2}}");
    end(&k, &ann);
}

static void history_is_asked_for_as_the_client_says(void **state)
{
    (void)state;
    static const struct {
        const char *members, *want;
    } cases[] = {
        {"", "{\"room\":\"" ROOM "\"}\n"},
        {",\"limit\":5", "{\"room\":\"" ROOM "\",\"limit\":5}\n"},
        {",\"limit\":-1", "{\"room\":\"" ROOM "\",\"limit\":300}\n"},
        {",\"limit\":1000", "{\"room\":\"" ROOM "\",\"limit\":300}\n"},
        {",\"limit\":2,\"reverse\":true", "{\"room\":\"" ROOM "\",\"limit\":2,\"reverse\":true}\n"},
        {",\"limit\":2,\"since\":{\"offset\":3,\"epoch\":\"k1\"}",
         "{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":3,\"limit\":2}\n"},
    };
    struct kit k;
    struct peer ann;
    char text[256];

    begin(&k, &ann);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(text, sizeof(text), "{\"id\":7,\"history\":{\"channel\":\"" ROOM "\"%s}}",
                 cases[i].members);
        peer_send(&ann, text);
        kit_expect_body(&k, MESSAGE_HISTORY, cases[i].want);
    }
    end(&k, &ann);
}

static void history_is_what_the_owner_says(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    struct buf body = BUF_EMPTY;

    begin(&k, &ann);
    buf_add_lit(&body,
                "{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":10,\"complete\":true}\n");
    kit_add_record(&body, ROOM, "k1", 9, "\"i\"");
    kit_add_record(&body, ROOM, "k1", 10, "\"j\"");
    buf_add_char(&body, '\0');
    peer_send(&ann, "{\"id\":7,\"history\":{\"channel\":\"" ROOM "\",\"limit\":2}}");
    kit_answer(&k, MESSAGE_HISTORY, MESSAGE_PAST, body.at);
    peer_expect(&ann, "{\"id\":7,\"history\":{\"publications\":[{\"data\":\"i\",\"offset\":9},"
                      "{\"data\":\"j\",\"offset\":10}],\"epoch\":\"k1\",\"offset\":10}}");
    peer_send(&ann, "{\"id\":7,\"history\":{\"channel\":\"" ROOM "\"}}");
    kit_answer(&k, MESSAGE_HISTORY, MESSAGE_PAST, "{\"room\":\"" ROOM "\",\"offset\":0}\n");
    peer_expect(&ann, "{\"id\":7,\"history\":{\"publications\":[],\"epoch\":\"\",\"offset\":0}}");
    assert_int_equal(met(&k, LIMIT_HISTORY_BYTES), 0);
    k.conf.out_queue = 40; /* a page is cut rather than the session */
    peer_send(&ann, "{\"id\":7,\"history\":{\"channel\":\"" ROOM "\",\"limit\":2}}");
    kit_answer(&k, MESSAGE_HISTORY, MESSAGE_PAST, body.at);
    assert_null(strstr(peer_next(&ann), "},{"));
    assert_int_equal(met(&k, LIMIT_HISTORY_BYTES), 1);
    buf_deinit(&body);
    end(&k, &ann);
}

static void history_of_another_life_is_an_error(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin(&k, &ann);
    peer_send(&ann, "{\"id\":7,\"history\":{\"channel\":\"" ROOM
                    "\",\"limit\":2,\"since\":{\"offset\":3,\"epoch\":\"k0\"}}}");
    kit_answer(&k, MESSAGE_HISTORY, MESSAGE_PAST,
               "{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":10}\n");
    peer_expect(&ann, "{\"id\":7,\"error\":{\"code\":112,\"message\":\"unrecoverable position\"}}");
    end(&k, &ann);
}

static void only_members_may_ask(void **state)
{
    (void)state;
    static const struct {
        const char *command, *want;
    } cases[] = {
        {"{\"id\":7,\"presence\":{\"channel\":\"other\"}}", "\"code\":103,"},
        {"{\"id\":7,\"presence_stats\":{\"channel\":\"other\"}}", "\"code\":103,"},
        {"{\"id\":7,\"history\":{\"channel\":\"other\"}}", "\"code\":103,"},
        {"{\"id\":7,\"history\":{\"channel\":\"\"}}", "\"code\":107,"},
        {"{\"id\":7,\"presence\":{}}", "\"code\":107,"},
        {"{\"id\":7,\"history\":{\"channel\":\"" ROOM "\",\"since\":{\"offset\":1,\"epoch\":"
         "\"12345678901234567\"}}}",
         "\"code\":107,"},
        {"{\"id\":7,\"history\":{\"channel\":\"" ROOM "\",\"since\":{\"offset\":1,\"epoch\":"
         "\"\\\",\\\"limit\\\":9\"}}}", /* would read as a member of the question */
         "\"code\":107,"},
    };
    struct kit k;
    struct peer ann;

    begin(&k, &ann);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        peer_send(&ann, cases[i].command);
        peer_expect_part(&ann, cases[i].want);
    }
    k.conf.rules.defaults.presence = false;
    peer_send(&ann, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
    peer_expect_part(&ann, "\"code\":108,");
    kit_expect_none(&k, MESSAGE_PRESENCE);
    kit_expect_none(&k, MESSAGE_HISTORY);
    end(&k, &ann);
}

static void a_question_without_an_answer_is_a_temporary_error(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin(&k, &ann);
    peer_send(&ann, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
    struct bus_out *out = kit_take(&k, MESSAGE_PRESENCE);
    peer_expect_nothing(&ann);
    kit_skip(k.conf.subscribe_wait_ms + 1);
    peer_expect(&ann, LATE);
    k.bus.sent[k.bus.count++] = out;
    kit_answer(&k, MESSAGE_PRESENCE, MESSAGE_PRESENT, MEMBER("c1", "ann")); /* too late */
    peer_expect_nothing(&ann);
    kit_bus_down(&k);
    peer_send(&ann, "{\"id\":7,\"history\":{\"channel\":\"" ROOM "\"}}");
    peer_expect(&ann, LATE); /* at once */
    end(&k, &ann);
}

static void answers_that_nobody_asked_for_are_nothing(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin(&k, &ann);
    peer_send(&ann, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
    struct bus_out *out = kit_take(&k, MESSAGE_PRESENCE);
    struct message m = {
        .type = MESSAGE_PRESENT,
        .boot = SLICE_LIT("0000000000000000"), /* of another life of this gateway */
        .request = out->message.request,
        .body = SLICE_LIT(NUMBERS("1", "1") MEMBER("c1", "ann")),
    };
    kit_say_raw(&k, &m);
    m.boot = out->message.boot;
    m.request++;
    kit_say_raw(&k, &m);
    peer_expect_nothing(&ann);
    m.request--;
    kit_say_raw(&k, &m);
    peer_expect_part(&ann, "\"c1\"");
    kit_say_raw(&k, &m); /* twice */
    peer_expect_nothing(&ann);
    bus_out_free(out);
    end(&k, &ann);
}

static void answers_that_cannot_be_read_are_poison(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    begin(&k, &ann);
    peer_send(&ann, "{\"id\":7,\"history\":{\"channel\":\"" ROOM "\"}}");
    kit_answer(&k, MESSAGE_HISTORY, MESSAGE_PAST, "nonsense\n");
    assert_int_equal(stat_get(&k.gateway.metrics.poisoned), 1);
    peer_expect(&ann, LATE);
    peer_send(&ann, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
    kit_answer(&k, MESSAGE_PRESENCE, MESSAGE_PRESENT, MEMBER("c1", "ann"));
    assert_int_equal(stat_get(&k.gateway.metrics.poisoned), 2);
    peer_expect(&ann, LATE);
    end(&k, &ann);
}

static void one_session_asks_only_so_much_at_once(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;

    begin(&k, &ann);
    k.conf.errors_max = 1000;
    for (int i = 0; i < QUESTIONS_OF_SESSION_MAX; i++) {
        peer_send(&ann, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
        kit_turn(&k);
    }
    peer_expect_nothing(&ann);
    peer_send(&ann, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
    peer_expect(&ann, "{\"id\":7,\"error\":{\"code\":111,\"message\":\"too many requests\","
                      "\"temporary\":true,\"retry_after\":1}}");
    peer_join(&bob, &k, "bob", ROOM);
    peer_send(&bob, "{\"id\":8,\"presence\":{\"channel\":\"" ROOM "\"}}");
    peer_expect_nothing(&bob);
    kit_answer(&k, MESSAGE_PRESENCE, MESSAGE_PRESENT, NOBODY);
    peer_expect_part(&ann, "{\"id\":7,\"presence\":");
    peer_send(&ann, "{\"id\":9,\"presence\":{\"channel\":\"" ROOM "\"}}");
    peer_expect_nothing(&ann);
    peer_end(&bob);
    KIT_UNTIL(&k, peer_session(&bob) == NULL); /* with a question open */
    kit_drop(&k, MESSAGE_PRESENCE);
    end(&k, &ann);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presence_is_what_the_owner_says),
        cmocka_unit_test(presence_stats_count_clients_and_users),
        cmocka_unit_test(history_is_asked_for_as_the_client_says),
        cmocka_unit_test(history_is_what_the_owner_says),
        cmocka_unit_test(history_of_another_life_is_an_error),
        cmocka_unit_test(only_members_may_ask),
        cmocka_unit_test(a_question_without_an_answer_is_a_temporary_error),
        cmocka_unit_test(answers_that_nobody_asked_for_are_nothing),
        cmocka_unit_test(answers_that_cannot_be_read_are_poison),
        cmocka_unit_test(one_session_asks_only_so_much_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
