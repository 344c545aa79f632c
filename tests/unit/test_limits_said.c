/*
 * test_limits_said.c: limits of what a session says: each is met by exactly what is too much, which
 * is answered and counted under the limit's name; what is just within it is not.
 */
#include "gateway/bus/questions.h"
#include "proto/command.h"
#include "tests/unit/limits_kit.h"

static void a_payload_has_so_many_bytes(void **state)
{
    BEGIN("ann");
    struct buf b = BUF_EMPTY;

    publish(&a, 2, ROOM, quoted(&b, 998));
    expect_published(&a, 2);
    expect_met(&k, LIMIT_MAX_PAYLOAD, 0);
    publish(&a, 3, ROOM, quoted(&b, 999));
    expect_error(&a, 3, "106,\"message\":\"limit exceeded\"");
    expect_met(&k, LIMIT_MAX_PAYLOAD, 1);
    buf_deinit(&b);
    peer_end(&a);
    kit_end(&k);
}

static void a_payload_has_so_many_levels(void **state)
{
    BEGIN("ann");
    struct buf b = BUF_EMPTY;

    publish(&a, 2, ROOM, nested(&b, 8));
    expect_published(&a, 2);
    expect_met(&k, LIMIT_MAX_DEPTH, 0);
    publish(&a, 3, ROOM, nested(&b, 9));
    expect_error(&a, 3, "107,\"message\":\"bad request\"");
    expect_met(&k, LIMIT_MAX_DEPTH, 1);
    buf_deinit(&b);
    peer_end(&a);
    kit_end(&k);
}

static void a_plain_object_has_the_same_limits(void **state)
{
    BEGIN("ann");
    struct peer p;
    struct buf b = BUF_EMPTY, text = BUF_EMPTY;

    peer_open(&p, &k, DIALECT_PLAIN, "bob", ROOM);
    kit_position(&k, ROOM, "k1", 0);
    kit_settle(&k);
    buf_addf(&text, "{\"a\":%s}", nested(&b, 8));
    buf_add_char(&text, '\0');
    peer_send(&p, text.at);
    peer_expect(&p, "{\"error\":{\"code\":107,\"message\":\"bad request\"}}");
    expect_met(&k, LIMIT_MAX_DEPTH, 1);
    stat_set(&k.gateway.metrics.limits.met[LIMIT_MAX_DEPTH], 0);
    buf_clear(&text);
    buf_add_lit(&text, "{\"a\":");
    buf_add_slice(&text, slice_of(quoted(&b, 1000)));
    buf_add_lit(&text, "}");
    buf_add_char(&text, '\0');
    peer_send(&p, text.at);
    peer_expect(&p, "{\"error\":{\"code\":106,\"message\":\"limit exceeded\"}}");
    expect_met(&k, LIMIT_MAX_PAYLOAD, 1);
    buf_deinit(&b);
    buf_deinit(&text);
    peer_end(&a);
    peer_end(&p);
    kit_end(&k);
}

static void a_command_has_so_many_levels(void **state)
{
    BEGIN("ann");
    struct buf b = BUF_EMPTY, command = BUF_EMPTY;

    for (size_t levels = JSON_DEPTH_MAX - 2; levels <= JSON_DEPTH_MAX - 1; levels++) {
        buf_clear(&command);
        buf_addf(&command, "{\"id\":7,\"presence\":{\"channel\":\"nowhere\",\"more\":%s}}",
                 nested(&b, levels));
        buf_add_char(&command, '\0');
        peer_send(&a, command.at);
        if (levels == JSON_DEPTH_MAX - 2) {
            expect_error(&a, 7, "103,\"message\":\"permission denied\"");
            expect_met(&k, LIMIT_COMMAND_DEPTH, 0);
        } else {
            expect_error(&a, 7, "107,\"message\":\"bad request\"");
            expect_met(&k, LIMIT_COMMAND_DEPTH, 1);
        }
    }
    buf_deinit(&b);
    buf_deinit(&command);
    peer_end(&a);
    kit_end(&k);
}

static void an_object_of_a_command_has_so_many_members(void **state)
{
    BEGIN("ann");
    struct buf command = BUF_EMPTY;

    for (int more = COMMAND_MEMBERS_MAX - 1; more <= COMMAND_MEMBERS_MAX; more++) {
        buf_clear(&command);
        buf_add_lit(&command, "{\"id\":7,\"presence\":{\"channel\":\"nowhere\"");
        for (int i = 0; i < more; i++) {
            buf_addf(&command, ",\"m%d\":1", i);
        }
        buf_add_lit(&command, "}}");
        buf_add_char(&command, '\0');
        peer_send(&a, command.at);
        if (more < COMMAND_MEMBERS_MAX) {
            expect_error(&a, 7, "103,\"message\":\"permission denied\"");
            expect_met(&k, LIMIT_COMMAND_MEMBERS, 0);
        } else {
            expect_error(&a, 7, "107,\"message\":\"bad request\"");
            expect_met(&k, LIMIT_COMMAND_MEMBERS, 1);
        }
    }
    buf_deinit(&command);
    peer_end(&a);
    kit_end(&k);
}

static void a_room_has_a_name_of_so_many_bytes(void **state)
{
    BEGIN("ann");
    char room[ROOM_NAME_MAX + 2];

    memset(room, 'r', sizeof(room));
    room[ROOM_NAME_MAX + 1] = '\0';
    publish(&a, 2, room + 1, "1");
    expect_published(&a, 2);
    expect_met(&k, LIMIT_ROOM_NAME, 0);
    publish(&a, 3, room, "1");
    expect_error(&a, 3, "107,\"message\":\"bad request\"");
    expect_met(&k, LIMIT_ROOM_NAME, 1);
    peer_end(&a);
    kit_end(&k);
}

static void a_key_has_so_many_bytes(void **state)
{
    BEGIN("ann");
    struct buf command = BUF_EMPTY;

    for (int size = KEY_MAX; size <= KEY_MAX + 1; size++) {
        buf_clear(&command);
        buf_addf(&command,
                 "{\"id\":7,\"publish\":{\"channel\":\"" ROOM
                 "\",\"data\":1,\"idempotency_key\":\"%0*d\"}}",
                 size, 0);
        buf_add_char(&command, '\0');
        peer_send(&a, command.at);
        if (size == KEY_MAX) {
            expect_published(&a, 7);
            expect_met(&k, LIMIT_KEY, 0);
        } else {
            expect_error(&a, 7, "107,\"message\":\"bad request\"");
            expect_met(&k, LIMIT_KEY, 1);
        }
    }
    buf_deinit(&command);
    peer_end(&a);
    kit_end(&k);
}

static void history_is_given_up_to_so_many_records(void **state)
{
    BEGIN("ann");

    peer_subscribe(&a, ROOM);
    kit_position(&k, ROOM, "k1", 0);
    peer_expect_part(&a, "\"subscribe\"");
    for (int limit = 10; limit <= 11; limit++) {
        char command[100];

        snprintf(command, sizeof(command),
                 "{\"id\":7,\"history\":{\"channel\":\"" ROOM "\",\"limit\":%d}}", limit);
        peer_send(&a, command);
        struct bus_out *question = kit_take(&k, MESSAGE_HISTORY);
        assert_non_null(memmem(question->body->bytes, question->body->size, "\"limit\":10", 10));
        bus_out_free(question);
        expect_met(&k, LIMIT_HISTORY, (uint64_t)limit - 10);
    }
    peer_end(&a);
    kit_end(&k);
}

static void a_session_asks_so_many_questions_at_once(void **state)
{
    BEGIN("ann");

    peer_subscribe(&a, ROOM);
    kit_position(&k, ROOM, "k1", 0);
    peer_expect_part(&a, "\"subscribe\"");
    for (int i = 0; i <= QUESTIONS_OF_SESSION_MAX; i++) {
        expect_met(&k, LIMIT_QUESTIONS, 0);
        peer_send(&a, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
        kit_settle(&k);
        kit_drop(&k, MESSAGE_PRESENCE);
    }
    peer_expect(&a, "{\"id\":7,\"error\":{\"code\":111,\"message\":\"too many requests\","
                    "\"temporary\":true,\"retry_after\":1}}");
    expect_met(&k, LIMIT_QUESTIONS, 1);
    peer_end(&a);
    kit_end(&k);
}

static void a_session_may_be_wrong_so_often(void **state)
{
    BEGIN("ann");

    for (int i = 0; i < 3; i++) {
        publish(&a, 7, "", "1");
        expect_error(&a, 7, "107,\"message\":\"bad request\"");
        expect_met(&k, LIMIT_ERRORS, 0);
    }
    publish(&a, 7, "", "1");
    expect_error(&a, 7, "107,\"message\":\"bad request\"");
    peer_expect(&a, "close 3509 too many errors");
    expect_met(&k, LIMIT_ERRORS, 1);
    peer_end(&a);
    kit_end(&k);
}

static void rates_rooms_and_sessions_are_counted_by_name(void **state)
{
    struct kit k;
    struct peer a, b;
    (void)state;

    kit_init(&k);
    k.conf.publish_rate = k.conf.user_publish_rate = 1;
    k.conf.publish_burst = 2;
    k.conf.user_publish_burst = 3;
    k.conf.rooms_max = 1;
    k.conf.user_sessions = 2;
    k.conf.rules.defaults.subscribers_max = 1;
    kit_start(&k);
    peer_connect(&a, &k, "ann");
    peer_connect(&b, &k, "ann");
    kit_stop_clocks();
    for (unsigned i = 0; i < 2; i++) {
        publish(&a, 7, ROOM, "1");
        expect_published(&a, 7);
    }
    publish(&a, 7, ROOM, "1");
    peer_expect_part(&a, "\"code\":111");
    expect_met(&k, LIMIT_PUBLISH_RATE, 1);
    publish(&b, 7, ROOM, "1");
    expect_published(&b, 7);
    publish(&b, 7, ROOM, "1");
    peer_expect_part(&b, "\"code\":111");
    kit_start_clocks();
    assert_int_equal(met(&k, LIMIT_USER_PUBLISH_RATE), 1);

    peer_subscribe(&a, ROOM);
    kit_position(&k, ROOM, "k1", 0);
    peer_expect_part(&a, "\"subscribe\"");
    peer_subscribe(&a, "second");
    peer_expect_part(&a, "\"code\":106");
    assert_int_equal(met(&k, LIMIT_ROOMS), 1);
    peer_subscribe(&b, ROOM);
    peer_expect_part(&b, "\"code\":106");
    assert_int_equal(met(&k, LIMIT_SUBSCRIBERS), 1);

    struct peer c;
    peer_open(&c, &k, DIALECT_CENTRIFUGE, "ann", "");
    peer_send(&c, "{\"id\":1,\"connect\":{}}");
    peer_expect(&c, "close 3504 connection limit");
    assert_int_equal(met(&k, LIMIT_USER_SESSIONS), 1);
    peer_end(&a);
    peer_end(&b);
    peer_end(&c);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payload_has_so_many_bytes),
        cmocka_unit_test(a_payload_has_so_many_levels),
        cmocka_unit_test(a_plain_object_has_the_same_limits),
        cmocka_unit_test(a_command_has_so_many_levels),
        cmocka_unit_test(an_object_of_a_command_has_so_many_members),
        cmocka_unit_test(a_room_has_a_name_of_so_many_bytes),
        cmocka_unit_test(a_key_has_so_many_bytes),
        cmocka_unit_test(history_is_given_up_to_so_many_records),
        cmocka_unit_test(a_session_asks_so_many_questions_at_once),
        cmocka_unit_test(a_session_may_be_wrong_so_often),
        cmocka_unit_test(rates_rooms_and_sessions_are_counted_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
