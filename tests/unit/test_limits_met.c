/*
 * test_limits_met.c: limits of frames, of waiting and of what is kept: each is met by exactly what
 * is too much, which is answered and counted under the limit's name. tests/live/test_limits_met.py
 * has those of a connection.
 */
#include <sys/socket.h>

#include "common/log.h"
#include "gateway/bus/questions.h"
#include "gateway/order/control.h"
#include "gateway/order/standing.h"
#include "gateway/ws/ws_rules.h"
#include "tests/unit/limits_kit.h"

#define ANY_ORDER 8 /* frames looked through for an answer */

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

    for (int i = 0; i < k.conf.max_empty_fragments; i++) {
        send_part(&a, i == 0 ? WS_OPCODE_TEXT : WS_OPCODE_CONTINUATION, false, 0);
    }
    expect_met(&k, LIMIT_MAX_EMPTY_FRAGMENTS, 0);
    send_part(&a, WS_OPCODE_CONTINUATION, false, 0);
    peer_expect(&a, "close 1008 too many fragments");
    expect_met(&k, LIMIT_MAX_EMPTY_FRAGMENTS, 1);
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

static void owners_are_asked_so_many_questions_at_once(void **state)
{
    struct kit k;
    (void)state;

    kit_begin(&k);
    for (int i = 0; i < QUESTIONS_MAX; i++) {
        const struct question q = {.kind = QUESTION_RECOVER, .room = SLICE_LIT(ROOM), .limit = 1};

        assert_int_equal(questions_ask(k.gateway.questions, &q), 0);
        if (i % 256 == 0) {
            kit_drop(&k, MESSAGE_HISTORY);
        }
    }
    kit_drop(&k, MESSAGE_HISTORY);
    expect_met(&k, LIMIT_QUESTIONS_ALL, 0);
    assert_int_equal(questions_ask(k.gateway.questions, &(struct question){.kind = QUESTION_RECOVER,
                                                                           .room = SLICE_LIT(ROOM),
                                                                           .limit = 1}),
                     -1);
    expect_met(&k, LIMIT_QUESTIONS_ALL, 1);
    kit_end(&k);
}

static void so_much_can_stand(void **state)
{
    struct kit k;
    char name[16];
    (void)state;

    kit_begin(&k);
    struct standing *s = (struct standing *)(uintptr_t)control_standing(k.gateway.control);
    for (int i = 0; i <= STANDING_MAX; i++) {
        int size = snprintf(name, sizeof(name), "u%d", i);
        const struct order ban = {
            .kind = ORDER_BAN, .user = {name, (size_t)size}, .until = STANDING_FOREVER};

        if (i < STANDING_MAX) {
            assert_int_equal(standing_set(s,
                                          &(struct standing_order){.kind = STANDING_BAN_USER,
                                                                   .what = ban.user,
                                                                   .until_ms = STANDING_FOREVER,
                                                                   .at = i},
                                          0),
                             0);
        } else {
            expect_met(&k, LIMIT_STANDING, 0);
            assert_int_equal(control_send(k.gateway.control, &ban, 0), CONTROL_FULL);
            expect_met(&k, LIMIT_STANDING, 1);
        }
    }
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

    static struct limits none;
    static const struct {
        enum limit limit;
        enum log_tally tally;
    } shown[] = {
        {LIMIT_LOG_TEXT, LOG_TEXTS_CUT},
        {LIMIT_LOG_LINE, LOG_LINES_CUT},
        {LIMIT_LOG_BURST, LOG_LINES_LEFT_OUT},
    };
    buf_clear(&b);
    limit_table_print_met(&gateway_limits, none.met, &b);
    buf_add_char(&b, '\0');
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        char line[100];

        snprintf(line, sizeof(line), "{limit=\"%s\"} %" PRIu64 "\n",
                 gateway_limits.rows[shown[i].limit].label, log_tally(shown[i].tally));
        assert_non_null(strstr(b.at, line));
    }
    buf_deinit(&b);
}

static void each_limit_has_a_name_of_its_own(void **state)
{
    (void)state;

    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        const char *label = gateway_limits.rows[i].label;

        assert_int_equal(strspn(label, "abcdefghijklmnopqrstuvwxyz_."), strlen(label));
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(label, gateway_limits.rows[j].label);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_has_so_many_bytes),
        cmocka_unit_test(a_message_has_so_many_frames),
        cmocka_unit_test(a_message_has_so_many_empty_frames),
        cmocka_unit_test(a_second_has_so_many_pings),
        cmocka_unit_test(who_is_silent_is_closed_in_time),
        cmocka_unit_test(who_is_too_far_behind_is_closed),
        cmocka_unit_test(what_waits_for_the_broker_is_bounded),
        cmocka_unit_test(an_owner_that_does_not_answer_is_not_waited_for),
        cmocka_unit_test(nor_is_one_that_does_not_answer_a_question),
        cmocka_unit_test(owners_are_asked_so_many_questions_at_once),
        cmocka_unit_test(so_much_can_stand),
        cmocka_unit_test(the_log_counts_what_it_does_not_write),
        cmocka_unit_test(each_limit_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
