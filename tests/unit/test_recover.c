/*
 * test_recover.c: sessions that come back get exactly what they missed, or are told that they
 * cannot.
 */
#include "proto/line.h"
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"
#define MISSED(n) "{\"data\":{\"n\":" #n "},\"offset\":" #n "}"
#define NOT_RECOVERED(offset)                                                                      \
    "{\"id\":7,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"k1\","          \
    "\"offset\":" #offset ",\"was_recovering\":true}}"
#define RECOVERED(offset, publications)                                                            \
    "{\"id\":7,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"k1\","          \
    "\"offset\":" #offset ",\"recovered\":true,\"was_recovering\":true" publications "}}"
#define PUBLICATIONS(list) ",\"publications\":[" list "]"

/* A room at (k1, 10) whose records after `from` are in the gateway's memory; `keeper` is in it. */
static void begin(struct kit *k, struct peer *keeper, uint64_t from)
{
    kit_begin(k);
    peer_connect(keeper, k, "keeper");
    peer_send(keeper, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(k, ROOM, "k1", from);
    peer_expect_part(keeper, "\"subscribe\"");
    if (from < 10) {
        kit_deliver(k, ROOM, "k1", from + 1, 10);
        peer_expect_records(keeper, ROOM, from + 1, 10);
    }
}

static void end(struct kit *k, struct peer *keeper)
{
    peer_end(keeper);
    kit_end(k);
}

static void come_back(struct peer *p, struct kit *k, const char *epoch, uint64_t offset)
{
    char text[256];

    peer_connect(p, k, "ann");
    snprintf(text, sizeof(text),
             "{\"id\":7,\"subscribe\":{\"channel\":\"" ROOM
             "\",\"recover\":true,\"epoch\":\"%s\",\"offset\":%" PRIu64 "}}",
             epoch, offset);
    peer_send(p, text);
    kit_settle(k);
}

/* The owner answers with records `first` to `last` and the room's position `top`. */
static void answer_past(struct kit *k, const char *epoch, uint64_t top, uint64_t first,
                        uint64_t last)
{
    struct buf body = BUF_EMPTY;
    char payload[32];

    buf_addf(&body,
             "{\"room\":\"" ROOM "\",\"epoch\":\"%s\",\"offset\":%" PRIu64 ",\"complete\":true}\n",
             epoch, top);
    for (uint64_t n = first; n <= last; n++) {
        snprintf(payload, sizeof(payload), "{\"n\":%" PRIu64 "}", n);
        kit_add_record(&body, ROOM, epoch, n, payload);
    }
    buf_add_char(&body, '\0');
    kit_answer(k, MESSAGE_HISTORY, MESSAGE_PAST, body.at);
    buf_deinit(&body);
}

static void what_the_gateway_remembers_costs_no_question(void **state)
{
    (void)state;
    static const struct {
        const char *epoch;
        uint64_t offset;
        const char *want;
    } cases[] = {
        {"k1", 10, RECOVERED(10, "")},
        {"", 10, RECOVERED(10, "")},
        {"k1", 8, RECOVERED(8, PUBLICATIONS(MISSED(9) "," MISSED(10)))},
        {"", 9, RECOVERED(9, PUBLICATIONS(MISSED(10)))},
        {"k0", 8, NOT_RECOVERED(10)},
        {"k0", 10, NOT_RECOVERED(10)},
        {"k0", 99, NOT_RECOVERED(10)},
    };
    struct kit k;
    struct peer keeper, ann;

    for (int crowd = 0; crowd < 2; crowd++) { /* the second one gets what was made for the first */
        begin(&k, &keeper, 6);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            for (int n = 0; n <= crowd; n++) {
                come_back(&ann, &k, cases[i].epoch, cases[i].offset);
                peer_expect(&ann, cases[i].want);
                peer_end(&ann);
            }
        }
        kit_expect_none(&k, MESSAGE_HISTORY);
        come_back(&ann, &k, "k1", 9);
        peer_expect(&ann, RECOVERED(9, PUBLICATIONS(MISSED(10))));
        kit_deliver(&k, ROOM, "k1", 11, 11);
        peer_expect_records(&ann, ROOM, 11, 11);
        peer_end(&ann);
        come_back(&ann, &k, "k1", 9);
        peer_expect(&ann, RECOVERED(9, PUBLICATIONS(MISSED(10) "," MISSED(11))));
        peer_end(&ann);
        end(&k, &keeper);
    }
}

static void the_owner_is_asked_for_what_the_gateway_does_not_remember(void **state)
{
    (void)state;
    struct kit k;
    struct peer keeper, ann;

    begin(&k, &keeper, 10);
    come_back(&ann, &k, "k1", 7);
    struct bus_out *out = kit_take(&k, MESSAGE_HISTORY);
    assert_true(slice_equal(
        blob_slice(out->body),
        SLICE_LIT("{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":7,\"limit\":-1}\n")));
    kit_deliver(&k, ROOM, "k1", 11, 11); /* comes on the link before the answer */
    peer_expect_records(&keeper, ROOM, 11, 11);
    peer_expect_nothing(&ann);
    k.bus.sent[k.bus.count++] = out;
    answer_past(&k, "k1", 10, 8, 10);
    peer_expect(&ann,
                RECOVERED(7, PUBLICATIONS(MISSED(8) "," MISSED(9) "," MISSED(10) "," MISSED(11))));
    kit_deliver(&k, ROOM, "k1", 12, 12);
    peer_expect_records(&ann, ROOM, 12, 12);
    peer_end(&ann);
    end(&k, &keeper);
}

static void a_crowd_asks_once(void **state)
{
    (void)state;
    struct kit k;
    struct peer keeper, crowd[6];

    begin(&k, &keeper, 10);
    for (size_t i = 0; i < ARRAY_LEN(crowd); i++) {
        come_back(&crowd[i], &k, "k1", 7 + i / 3);
    }
    assert_int_equal(kit_count(&k, MESSAGE_HISTORY), 1);
    answer_past(&k, "k1", 10, 8, 10);
    for (size_t i = 0; i < ARRAY_LEN(crowd); i++) {
        peer_expect(&crowd[i],
                    i < 3 ? RECOVERED(7, PUBLICATIONS(MISSED(8) "," MISSED(9) "," MISSED(10)))
                          : RECOVERED(8, PUBLICATIONS(MISSED(9) "," MISSED(10))));
        peer_end(&crowd[i]);
    }
    end(&k, &keeper);
}

static void an_answer_judges_only_those_whom_it_covers(void **state)
{
    (void)state;
    struct kit k;
    struct peer keeper, late, early;

    begin(&k, &keeper, 10);
    come_back(&late, &k, "k1", 8);
    come_back(&early, &k, "k1", 6); /* missed more than was asked for */
    assert_int_equal(kit_count(&k, MESSAGE_HISTORY), 2);
    answer_past(&k, "k1", 10, 9, 10);
    peer_expect(&late, RECOVERED(8, PUBLICATIONS(MISSED(9) "," MISSED(10))));
    peer_expect_nothing(&early);
    answer_past(&k, "k1", 10, 7, 10);
    peer_expect(&early,
                RECOVERED(6, PUBLICATIONS(MISSED(7) "," MISSED(8) "," MISSED(9) "," MISSED(10))));
    peer_end(&late);
    peer_end(&early);
    end(&k, &keeper);
}

static void who_is_ahead_of_the_gateway_gets_nothing_twice(void **state)
{
    (void)state;
    struct kit k;
    struct peer keeper, ann;

    begin(&k, &keeper, 10);
    come_back(&ann, &k, "k1", 12);
    answer_past(&k, "k1", 13, 13, 13);
    peer_expect(&ann, RECOVERED(12, PUBLICATIONS(MISSED(13))));
    kit_deliver(&k, ROOM, "k1", 11, 12);
    peer_expect_records(&keeper, ROOM, 11, 12);
    peer_expect_nothing(&ann);
    kit_deliver(&k, ROOM, "k1", 13, 15); /* partly new */
    peer_expect_records(&keeper, ROOM, 13, 15);
    peer_expect_records(&ann, ROOM, 14, 15);
    kit_deliver(&k, ROOM, "k1", 16, 16);
    peer_expect_records(&ann, ROOM, 16, 16);
    peer_end(&ann);
    end(&k, &keeper);
}

static void who_is_ahead_of_an_older_question_has_one_of_his_own(void **state)
{
    (void)state;
    struct kit k;
    struct peer keeper, ann, bob;

    begin(&k, &keeper, 10);
    come_back(&ann, &k, "k1", 9);
    come_back(&bob, &k, "k1", 11);
    assert_int_equal(kit_count(&k, MESSAGE_HISTORY), 1);
    answer_past(&k, "k1", 10, 10, 10); /* the owner spoke before record 11 was there */
    peer_expect(&ann, RECOVERED(9, PUBLICATIONS(MISSED(10))));
    peer_expect_nothing(&bob);
    answer_past(&k, "k1", 11, 1, 0);
    peer_expect(&bob, RECOVERED(11, ""));
    peer_end(&ann);
    peer_end(&bob);
    end(&k, &keeper);
}

/* As far as the gateway knows, nobody has spoken in the room. */
static void begin_silent(struct kit *k, struct peer *keeper)
{
    kit_begin(k);
    peer_connect(keeper, k, "keeper");
    peer_send(keeper, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(k, ROOM, "", 0);
    peer_expect_part(keeper, "\"subscribe\"");
}

static void who_heard_a_room_that_was_silent_here_is_judged_by_the_owner(void **state)
{
    (void)state;
    struct kit k;
    struct peer keeper, ann;

    begin_silent(&k, &keeper);
    come_back(&ann, &k, "k1", 1);
    peer_expect_nothing(&ann);
    answer_past(&k, "k1", 2, 2, 2);
    peer_expect(&ann, RECOVERED(1, PUBLICATIONS(MISSED(2))));
    /* What she has does not come again when the link brings it. */
    kit_deliver(&k, ROOM, "k1", 1, 3);
    peer_expect_records(&keeper, ROOM, 1, 3);
    peer_expect_records(&ann, ROOM, 3, 3);
    peer_end(&ann);
    end(&k, &keeper);

    begin_silent(&k, &keeper);
    come_back(&ann, &k, "k0", 1);
    answer_past(&k, "k1", 2, 2, 2);
    peer_expect_part(&ann, "\"epoch\":\"k1\",\"was_recovering\":true}}");
    kit_deliver(&k, ROOM, "k1", 1, 2);
    peer_expect_records(&ann, ROOM, 1, 2);
    peer_end(&ann);
    end(&k, &keeper);
}

static void an_offset_that_never_was_is_not_recovered(void **state)
{
    (void)state;
    struct kit k;
    struct peer keeper, ann, bob;

    begin(&k, &keeper, 10);
    come_back(&ann, &k, "k1", 99);
    come_back(&bob, &k, "k1", 100); /* rides on ann's question, then asks once more */
    answer_past(&k, "k1", 10, 1, 0);
    peer_expect(&ann, NOT_RECOVERED(10));
    answer_past(&k, "k1", 10, 1, 0);
    peer_expect(&bob, NOT_RECOVERED(10));
    kit_expect_none(&k, MESSAGE_HISTORY);
    peer_end(&ann);
    peer_end(&bob);
    end(&k, &keeper);
}

static void what_the_owner_does_not_have_is_not_recovered(void **state)
{
    (void)state;
    static const struct {
        const char *epoch;
        uint64_t top, first, last;
    } answers[] = {
        {"k1", 10, 9, 10}, /* begins too late */
        {"k1", 10, 8, 9},  /* ends too early */
        {"k1", 10, 1, 0},  /* has nothing */
        {"k2", 10, 8, 10}, /* is of another life */
        {"k1", 9, 8, 9},   /* is older than what the room gave, and that is not remembered */
    };
    struct kit k;
    struct peer keeper, ann;

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        begin(&k, &keeper, 10);
        come_back(&ann, &k, "k1", 7);
        answer_past(&k, answers[i].epoch, answers[i].top, answers[i].first, answers[i].last);
        peer_expect(&ann, NOT_RECOVERED(10));
        kit_deliver(&k, ROOM, "k1", 11, 11);
        peer_expect_records(&ann, ROOM, 11, 11);
        peer_end(&ann);
        end(&k, &keeper);
    }
}

static void what_is_too_much_is_not_recovered_and_not_asked_for(void **state)
{
    (void)state;
    struct kit k;
    struct peer keeper, ann;

    kit_begin(&k);
    peer_connect(&keeper, &k, "keeper");
    peer_send(&keeper, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(&k, ROOM, "k1", 1000);
    peer_expect_part(&keeper, "\"subscribe\"");
    come_back(&ann, &k, "k1", 699);
    peer_expect(&ann, NOT_RECOVERED(1000));
    assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_RECOVERY]), 1);
    peer_end(&ann);
    kit_expect_none(&k, MESSAGE_HISTORY);
    come_back(&ann, &k, "k1", 700); /* exactly so many as an answer may hold */
    answer_past(&k, "k1", 1000, 701, 1000);
    peer_expect_part(&ann, "\"recovered\":true");
    peer_end(&ann);
    k.conf.out_queue = 4000; /* half of it is less than the answer: it would end the session */
    come_back(&ann, &k, "k1", 700);
    answer_past(&k, "k1", 1000, 701, 1000);
    peer_expect(&ann, NOT_RECOVERED(1000));
    kit_deliver(&k, ROOM, "k1", 1001, 1080);
    assert_non_null(strstr(peer_next(&ann), "\"offset\":1080"));
    peer_end(&ann);
    come_back(&ann, &k, "k1", 1000); /* the same from the gateway's memory */
    peer_expect(&ann, NOT_RECOVERED(1080));
    assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_RECOVERY]), 1);
    assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_RECOVERY_BYTES]), 2);
    peer_end(&ann);
    end(&k, &keeper);
}

static void who_cannot_do_without_is_told_so_and_is_not_in(void **state)
{
    (void)state;
    struct kit k;
    struct peer keeper, ann;

    begin(&k, &keeper, 10);
    peer_connect(&ann, &k, "ann");
    peer_send(&ann, "{\"id\":7,\"subscribe\":{\"channel\":\"" ROOM "\",\"recover\":true,"
                    "\"epoch\":\"k0\",\"offset\":3,\"flag\":3}}");
    peer_expect(&ann, "{\"id\":7,\"error\":{\"code\":112,\"message\":\"unrecoverable position\"}}");
    assert_int_equal(stat_get(&k.gateway.metrics.subscriptions), 1);
    peer_send(&ann, "{\"id\":8,\"subscribe\":{\"channel\":\"" ROOM "\",\"recover\":true,"
                    "\"epoch\":\"k1\",\"offset\":10,\"flag\":3}}");
    peer_expect_part(&ann, "\"recovered\":true");
    peer_end(&ann);
    end(&k, &keeper);
}

/* Of the oldest question; 0: there is none. */
static uint64_t question_since(struct kit *k)
{
    for (size_t i = 0; i < k->bus.count; i++) {
        struct slice body = blob_slice(k->bus.sent[i]->body);
        struct line line;

        if (k->bus.sent[i]->message.type == MESSAGE_HISTORY) {
            assert_int_equal(line_next(&body, &line), 0);
            return line.offset;
        }
    }
    return 0;
}

static void a_new_link_brings_the_question_up_again(void **state)
{
    (void)state;
    struct kit k;
    struct peer keeper, ann, bob;

    begin(&k, &keeper, 10);
    come_back(&ann, &k, "k1", 7);
    kit_drop(&k, MESSAGE_HISTORY); /* the owner died with it */
    kit_bus_down(&k);
    come_back(&bob, &k, "k1", 6); /* nobody can be asked now */
    kit_expect_none(&k, MESSAGE_HISTORY);
    kit_bus_up(&k);
    kit_position(&k, ROOM, "k1", 10);
    kit_settle(&k);
    assert_true(kit_count(&k, MESSAGE_HISTORY) >= 1);
    for (uint64_t since; (since = question_since(&k)) > 0;) {
        answer_past(&k, "k1", 10, since + 1, 10);
    }
    peer_expect_part(&ann, "\"recovered\":true");
    peer_expect_part(&bob, "\"recovered\":true");
    peer_end(&ann);
    peer_end(&bob);
    end(&k, &keeper);
}

static void an_owner_that_does_not_answer_is_a_temporary_error(void **state)
{
    (void)state;
    struct kit k;
    struct peer keeper, ann;

    kit_init(&k);
    k.conf.subscribe_wait_ms = 300;
    kit_start(&k);
    peer_connect(&keeper, &k, "keeper");
    peer_send(&keeper, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(&k, ROOM, "k1", 10);
    peer_expect_part(&keeper, "\"subscribe\"");
    come_back(&ann, &k, "k1", 7);
    peer_expect_part(&ann, "{\"id\":7,\"error\":{\"code\":100,");
    struct bus_out *out = kit_take(&k, MESSAGE_HISTORY);
    KIT_UNTIL(&k, rooms_get(k.gateway.rooms, SLICE_LIT(ROOM))->asks_owner == false);
    k.bus.sent[k.bus.count++] = out;
    answer_past(&k, "k1", 10, 8, 10); /* nobody waits any more */
    peer_expect_nothing(&ann);
    peer_end(&ann);
    end(&k, &keeper);
}

static void no_more_than_the_rooms_history_is_given_from_memory(void **state)
{
    (void)state;
    static const struct {
        int64_t size, ttl_ms;
        uint64_t since; /* of 10 */
        bool asks;
    } cases[] = {
        {3, 3600000, 7, false},  {3, 3600000, 6, true}, {0, 3600000, 9, true},
        {0, 3600000, 10, false}, {100, 59000, 9, true}, {100, 59000, 10, false},
        {100, 61000, 7, false},
    };
    struct kit k;
    struct peer keeper, ann;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        kit_init(&k);
        k.conf.rules.defaults.history_size = cases[i].size;
        k.conf.rules.defaults.history_ttl_ms = cases[i].ttl_ms;
        kit_start(&k);
        peer_connect(&keeper, &k, "keeper");
        peer_send(&keeper, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
        kit_position(&k, ROOM, "k1", 5);
        peer_expect_part(&keeper, "\"subscribe\"");
        kit_deliver(&k, ROOM, "k1", 6, 10);
        peer_expect_records(&keeper, ROOM, 6, 10);
        kit_skip(60000);
        come_back(&ann, &k, "k1", cases[i].since);
        if (cases[i].asks) {
            bus_out_free(kit_take(&k, MESSAGE_HISTORY));
        } else {
            kit_settle(&k);
            assert_int_equal(kit_count(&k, MESSAGE_HISTORY), 0);
            peer_expect_part(&ann, "\"recovered\":true");
        }
        peer_end(&ann);
        peer_end(&keeper);
        kit_end(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_gateway_remembers_costs_no_question),
        cmocka_unit_test(no_more_than_the_rooms_history_is_given_from_memory),
        cmocka_unit_test(the_owner_is_asked_for_what_the_gateway_does_not_remember),
        cmocka_unit_test(a_crowd_asks_once),
        cmocka_unit_test(an_answer_judges_only_those_whom_it_covers),
        cmocka_unit_test(who_is_ahead_of_the_gateway_gets_nothing_twice),
        cmocka_unit_test(who_is_ahead_of_an_older_question_has_one_of_his_own),
        cmocka_unit_test(who_heard_a_room_that_was_silent_here_is_judged_by_the_owner),
        cmocka_unit_test(an_offset_that_never_was_is_not_recovered),
        cmocka_unit_test(what_the_owner_does_not_have_is_not_recovered),
        cmocka_unit_test(what_is_too_much_is_not_recovered_and_not_asked_for),
        cmocka_unit_test(who_cannot_do_without_is_told_so_and_is_not_in),
        cmocka_unit_test(a_new_link_brings_the_question_up_again),
        cmocka_unit_test(an_owner_that_does_not_answer_is_a_temporary_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
