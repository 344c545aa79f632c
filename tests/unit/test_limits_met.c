/*
 * test_limits_met.c: each limit of a session is met by exactly what is too much, which is answered
 * and counted under the limit's name; what is just within it is not. tests/live/test_limits_met.py
 * has those of a connection.
 */
#include <sys/socket.h>

#include "common/log.h"
#include "gateway/bus/questions.h"
#include "gateway/order/standing.h"
#include "gateway/ws/deflate.h"
#include "gateway/ws/ws_rules.h"
#include "proto/command.h"
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"
#define ANY_ORDER 8 /* frames looked through for an answer */

static uint64_t met(const struct kit *k, enum limit limit)
{
    return stat_get(&k->gateway.metrics.limits.met[limit]);
}

/* Exactly this limit was met, and so many times. */
static void expect_met(const struct kit *k, enum limit limit, uint64_t times)
{
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        uint64_t want = i == limit ? times : 0;

        if (met(k, (enum limit)i) != want) {
            fail_msg("%s: %" PRIu64 ", not %" PRIu64, limit_label((enum limit)i),
                     met(k, (enum limit)i), want);
        }
    }
}

/* The publish under an id, with raw data. */
static void publish(struct peer *p, unsigned id, const char *room, const char *data)
{
    struct buf command = BUF_EMPTY;

    buf_addf(&command, "{\"id\":%u,\"publish\":{\"channel\":\"%s\",\"data\":", id, room);
    buf_add_slice(&command, slice_of(data));
    buf_add_lit(&command, "}}");
    buf_add_char(&command, '\0');
    peer_send(p, command.at);
    kit_settle(p->kit);
    buf_deinit(&command);
}

static void expect_error(struct peer *p, unsigned id, const char *rest)
{
    char want[200];

    snprintf(want, sizeof(want), "{\"id\":%u,\"error\":{\"code\":%s}}", id, rest);
    peer_expect(p, want);
}

/* The confirm of the publish under an id. */
static void expect_published(struct peer *p, unsigned id)
{
    char want[60];

    kit_result(p->kit, kit_take(p->kit, MESSAGE_PUBLISH), BUS_CONFIRMED);
    snprintf(want, sizeof(want), "{\"id\":%u,\"publish\":{}}", id);
    peer_expect(p, want);
}

/* `count` times the character, in quotes. */
static const char *quoted(struct buf *b, size_t count)
{
    buf_clear(b);
    buf_add_char(b, '"');
    for (size_t i = 0; i < count; i++) {
        buf_add_char(b, 'x');
    }
    buf_add_lit(b, "\"");
    buf_add_char(b, '\0');
    return b->at;
}

static const char *nested(struct buf *b, size_t levels)
{
    buf_clear(b);
    for (size_t i = 0; i < levels; i++) {
        buf_add_char(b, '[');
    }
    for (size_t i = 0; i < levels; i++) {
        buf_add_char(b, ']');
    }
    buf_add_char(b, '\0');
    return b->at;
}

#define BEGIN(peers_user)                                                                          \
    struct kit k;                                                                                  \
    struct peer a;                                                                                 \
    (void)state;                                                                                   \
    kit_init(&k);                                                                                  \
    set_up(&k.conf);                                                                               \
    kit_start(&k);                                                                                 \
    peer_connect(&a, &k, peers_user)

static void set_up(struct gateway_conf *c)
{
    c->max_message = 20000;
    c->max_payload = 1000;
    c->max_depth = 8;
    c->max_fragments = 300;
    c->max_control_rate = 5;
    c->errors_max = 3;
    c->history_limit = 10;
    c->out_queue = 65536;
}

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
                    "\"temporary\":true}}");
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

/* A text frame that begins (or goes on with) a message. */
static void send_part(struct peer *p, int opcode, bool is_last, size_t size)
{
    unsigned char frame[2 + 4 + 125] = {(unsigned char)((is_last ? 0x80 : 0) | opcode),
                                        (unsigned char)(0x80 | size)};

    memset(frame + 6, ' ', size);
    assert_int_equal(send(p->fd, frame, 6 + size, MSG_NOSIGNAL), (ssize_t)(6 + size));
    kit_turn(p->kit);
}

static void a_message_has_so_many_bytes(void **state)
{
    BEGIN("ann");
    static const unsigned char head[] = {0x81, 0xfe, 20001 >> 8, 20001 & 0xff, 0, 0, 0, 0};

    assert_int_equal(send(a.fd, head, sizeof(head), MSG_NOSIGNAL), sizeof(head));
    peer_expect(&a, "close 1009 message too big");
    expect_met(&k, LIMIT_MAX_MESSAGE, 1);
    peer_end(&a);
    kit_end(&k);
}

static void a_message_has_so_many_frames(void **state)
{
    BEGIN("ann");

    for (int i = 0; i < 300; i++) {
        send_part(&a, i == 0 ? WS_OPCODE_TEXT : WS_OPCODE_CONTINUATION, false, 1);
    }
    expect_met(&k, LIMIT_MAX_FRAGMENTS, 0);
    send_part(&a, WS_OPCODE_CONTINUATION, true, 1);
    peer_expect(&a, "close 1008 too many fragments");
    expect_met(&k, LIMIT_MAX_FRAGMENTS, 1);
    peer_end(&a);
    kit_end(&k);
}

static void a_message_has_so_many_empty_frames(void **state)
{
    BEGIN("ann");

    for (int i = 0; i < WS_EMPTY_MAX; i++) {
        send_part(&a, i == 0 ? WS_OPCODE_TEXT : WS_OPCODE_CONTINUATION, false, 0);
    }
    expect_met(&k, LIMIT_EMPTY_FRAGMENTS, 0);
    send_part(&a, WS_OPCODE_CONTINUATION, false, 0);
    peer_expect(&a, "close 1008 too many fragments");
    expect_met(&k, LIMIT_EMPTY_FRAGMENTS, 1);
    peer_end(&a);
    kit_end(&k);
}

static void a_second_has_so_many_pings(void **state)
{
    BEGIN("ann");

    kit_stop_clocks();
    for (int i = 0; i < 5; i++) {
        send_part(&a, WS_OPCODE_PING, true, 0);
    }
    expect_met(&k, LIMIT_MAX_CONTROL_RATE, 0);
    send_part(&a, WS_OPCODE_PING, true, 0);
    kit_start_clocks();
    for (int i = 0;
         i < ANY_ORDER && strcmp(peer_next(&a), "close 1008 too many control frames") != 0; i++) {
    }
    expect_met(&k, LIMIT_MAX_CONTROL_RATE, 1);
    peer_end(&a);
    kit_end(&k);
}

static void who_is_silent_is_closed_in_time(void **state)
{
    struct kit k;
    struct peer a, stale;
    (void)state;

    kit_init(&k);
    k.conf.ping_ms = 200;
    k.conf.pong_ms = 100;
    k.conf.stale_ms = 100;
    kit_start(&k);
    peer_connect(&a, &k, "ann");
    peer_open(&stale, &k, DIALECT_CENTRIFUGE, "bob", "");
    peer_expect(&stale, "close 3502 stale");
    assert_int_equal(met(&k, LIMIT_STALE), 1);
    peer_expect(&a, "{}");
    peer_expect(&a, "close 3012 no pong");
    assert_int_equal(met(&k, LIMIT_PONG), 1);
    /* Neither answers the close frame. */
    assert_int_equal(met(&k, LIMIT_CLOSE_WAIT), 0);
    KIT_UNTIL(&k, sessions_count(k.gateway.sessions) == 0 || met(&k, LIMIT_CLOSE_WAIT) > 0);
    KIT_UNTIL(&k, met(&k, LIMIT_CLOSE_WAIT) == 2);
    peer_expect(&a, "end");
    peer_end(&a);
    peer_end(&stale);
    kit_end(&k);
}

static void who_is_too_far_behind_is_closed(void **state)
{
    BEGIN("ann");
    uint64_t offset = 0;

    peer_subscribe(&a, ROOM);
    kit_position(&k, ROOM, "k1", 0);
    peer_expect_part(&a, "\"subscribe\"");
    while (met(&k, LIMIT_OUT_QUEUE) == 0 && offset < 100000) { /* nobody reads */
        kit_deliver(&k, ROOM, "k1", offset + 1, offset + 500);
        offset += 500;
        kit_settle(&k);
    }
    expect_met(&k, LIMIT_OUT_QUEUE, 1);
    assert_int_equal(
        stat_get(&k.gateway.metrics.closed[CLOSE_SLOW]) + sessions_count(k.gateway.sessions), 1);
    peer_end(&a);
    kit_end(&k);
}

static void what_waits_for_the_broker_is_bounded(void **state)
{
    struct kit k;
    struct peer a;
    (void)state;

    kit_init(&k);
    kit_start(&k);
    peer_connect(&a, &k, "ann");
    publish(&a, 1, ROOM, "1");
    struct bus_out *doubt = kit_take(&k, MESSAGE_PUBLISH);

    /* Refused by the broker: the batch is sent again, nobody is told. */
    kit_result(&k, doubt, BUS_REFUSED);
    expect_met(&k, LIMIT_IN_MAX_LENGTH, 1);
    stat_set(&k.gateway.metrics.limits.met[LIMIT_IN_MAX_LENGTH], 0);
    doubt = kit_take(&k, MESSAGE_PUBLISH);

    struct buf b = BUF_EMPTY;
    for (unsigned id = 2; id <= 1 + BATCH_BYTES_MAX / 60000 + 1; id++) {
        publish(&a, id, ROOM, quoted(&b, 60000));
    }
    expect_met(&k, LIMIT_BATCH, 0);
    publish(&a, 9, ROOM, "1");
    peer_expect_part(&a, "{\"id\":9,\"error\":{\"code\":100,");
    expect_met(&k, LIMIT_BATCH, 1);
    stat_set(&k.gateway.metrics.limits.met[LIMIT_BATCH], 0);

    k.conf.publish_wait_ms = 500;
    kit_skip(1000);
    for (unsigned i = 0; i <= BATCH_BYTES_MAX / 60000; i++) {
        peer_expect_part(&a, "\"error\":{\"code\":100,");
    }
    expect_met(&k, LIMIT_PUBLISH_WAIT, 1 + BATCH_BYTES_MAX / 60000);
    bus_out_free(doubt);
    buf_deinit(&b);
    peer_end(&a);
    kit_end(&k);
}

static void an_owner_that_does_not_answer_is_not_waited_for(void **state)
{
    struct kit k;
    struct peer a;
    (void)state;

    kit_init(&k);
    k.conf.subscribe_wait_ms = 200;
    kit_start(&k);
    peer_connect(&a, &k, "ann");
    peer_subscribe(&a, ROOM);
    peer_expect_part(&a, "{\"id\":2,\"error\":{\"code\":100,");
    expect_met(&k, LIMIT_SUBSCRIBE_WAIT, 1);
    peer_end(&a);
    kit_end(&k);
}

static void nor_is_one_that_does_not_answer_a_question(void **state)
{
    BEGIN("ann");

    peer_subscribe(&a, ROOM);
    kit_position(&k, ROOM, "k1", 0);
    peer_expect_part(&a, "\"subscribe\"");
    peer_send(&a, "{\"id\":7,\"presence\":{\"channel\":\"" ROOM "\"}}");
    bus_out_free(kit_take(&k, MESSAGE_PRESENCE));
    expect_met(&k, LIMIT_SUBSCRIBE_WAIT, 0);
    kit_skip(k.conf.subscribe_wait_ms);
    peer_expect_part(&a, "{\"id\":7,\"error\":{\"code\":100,");
    expect_met(&k, LIMIT_SUBSCRIBE_WAIT, 1);
    peer_end(&a);
    kit_end(&k);
}

static void the_log_counts_what_it_does_not_write(void **state)
{
    struct buf b = BUF_EMPTY;
    struct log_limit at = {0};
    (void)state;

    uint64_t texts = log_tally(LOG_TEXTS_CUT), lines = log_tally(LOG_LINES_CUT);
    assert_non_null(log_quote(quoted(&b, LOG_QUOTE_MAX), LOG_QUOTE_MAX));
    assert_int_equal(log_tally(LOG_TEXTS_CUT), texts);
    assert_non_null(strstr(log_quote(quoted(&b, LOG_QUOTE_MAX), LOG_QUOTE_MAX + 1), "..."));
    assert_int_equal(log_tally(LOG_TEXTS_CUT), texts + 1);

    log_error("%s", "a line");
    assert_int_equal(log_tally(LOG_LINES_CUT), lines);
    log_error("%s", quoted(&b, LOG_LINE_MAX));
    assert_int_equal(log_tally(LOG_LINES_CUT), lines + 1);

    uint64_t left_out = log_tally(LOG_LINES_LEFT_OUT);
    while (log_allowed(&at)) {
    }
    assert_true(log_tally(LOG_LINES_LEFT_OUT) > left_out);
    buf_deinit(&b);
}

static void each_limit_has_a_name_of_its_own(void **state)
{
    (void)state;

    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        const char *label = limit_label((enum limit)i);

        assert_int_equal(strspn(label, "abcdefghijklmnopqrstuvwxyz_."), strlen(label));
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(label, limit_label((enum limit)j));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_limit_has_a_name_of_its_own),
        cmocka_unit_test(a_payload_has_so_many_bytes),
        cmocka_unit_test(a_payload_has_so_many_levels),
        cmocka_unit_test(a_plain_object_has_the_same_limits),
        cmocka_unit_test(a_command_has_so_many_levels),
        cmocka_unit_test(an_object_of_a_command_has_so_many_members),
        cmocka_unit_test(a_room_has_a_name_of_so_many_bytes),
        cmocka_unit_test(history_is_given_up_to_so_many_records),
        cmocka_unit_test(a_session_asks_so_many_questions_at_once),
        cmocka_unit_test(a_session_may_be_wrong_so_often),
        cmocka_unit_test(rates_rooms_and_sessions_are_counted_by_name),
        cmocka_unit_test(a_message_has_so_many_bytes),
        cmocka_unit_test(a_message_has_so_many_frames),
        cmocka_unit_test(a_message_has_so_many_empty_frames),
        cmocka_unit_test(a_second_has_so_many_pings),
        cmocka_unit_test(who_is_silent_is_closed_in_time),
        cmocka_unit_test(who_is_too_far_behind_is_closed),
        cmocka_unit_test(what_waits_for_the_broker_is_bounded),
        cmocka_unit_test(an_owner_that_does_not_answer_is_not_waited_for),
        cmocka_unit_test(nor_is_one_that_does_not_answer_a_question),
        cmocka_unit_test(the_log_counts_what_it_does_not_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
