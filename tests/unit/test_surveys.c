/*
 * test_surveys.c: all gateways are asked, and it is known who has not answered; an order is
 * answered when all have obeyed it.
 */
#include "gateway/bus/surveys.h"
#include "gateway/order/control.h"
#include "proto/line.h"
#include "tests/unit/gateway_kit.h"

#define OTHER "00000000000000b2" /* the boot of another gateway */
#define THIRD "00000000000000b3"
#define GATHER_MS 20000 /* of the kit: a third of [api] wait */

/* What the asker of this file was told. */
static struct {
    unsigned reports, ends;
    uint64_t clients;
    int64_t missing;
} told;

static void on_report(struct gateway *g, uint64_t call, const struct report *r, struct slice lines)
{
    struct line line;

    (void)g;
    assert_int_equal(call, 7);
    told.reports++;
    told.clients += r->num_clients;
    while (line_next(&lines, &line) == 0) {
        told.clients += line.clients;
    }
}

static void on_end(struct gateway *g, uint64_t call, int64_t missing)
{
    (void)g;
    assert_int_equal(call, 7);
    told.ends++;
    told.missing = missing;
}

static void ask(struct kit *k, enum survey_kind kind, uint64_t upto)
{
    static const struct survey_asker asker = {on_report, on_end};

    memset(&told, 0, sizeof(told));
    assert_int_equal(
        surveys_ask(k->gateway.surveys, &(struct survey){.kind = kind}, upto, &asker, 7), 0);
}

/* The broker has counted, just now. */
static void count(struct kit *k, int64_t gateways)
{
    surveys_on_count(k->gateway.surveys, k->bus.counts, gateways);
}

static void say(struct kit *k, enum message_type type, const char *boot, uint64_t request,
                const char *body)
{
    kit_say_raw(k, &(struct message){
                       .type = type,
                       .partition = 1,
                       .gateway = SLICE_LIT("g2"),
                       .boot = slice_of(boot),
                       .request = request,
                       .body = slice_of(body),
                   });
}

/* A report to this gateway's first question. */
static void report(struct kit *k, const char *uid, const char *more)
{
    char body[256];

    snprintf(body, sizeof(body), "{\"uid\":\"%s\",\"name\":\"g2\"%s}\n", uid, more);
    say(k, MESSAGE_REPORT, k->gateway.boot, 1, body);
}

static void whoever_is_alone_need_not_wait(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k);
    ask(&k, SURVEY_INFO, 0);
    assert_int_equal(told.reports, 1); /* its own */
    assert_int_equal(told.ends, 0);
    count(&k, 1);
    assert_true(told.ends == 1 && told.missing == 0);
    kit_end(&k);
}

static void it_ends_when_as_many_have_reported_as_there_are(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k);
    ask(&k, SURVEY_CHANNELS, 0);
    kit_expect_body(&k, MESSAGE_SURVEY, "{\"ask\":\"channels\"}\n");
    count(&k, 3);
    report(&k, OTHER, ",\"num_clients\":2");
    report(&k, OTHER, ",\"num_clients\":2"); /* asked twice */
    assert_int_equal(told.reports, 2);
    count(&k, 3);
    assert_int_equal(told.ends, 0);
    say(&k, MESSAGE_REPORT, k.gateway.boot, 1,
        "{\"uid\":\"" THIRD "\",\"name\":\"g3\"}\n{\"room\":\"a\",\"clients\":40}\n");
    surveys_on_count(k.gateway.surveys, k.bus.counts - 1, 2); /* of before the last one spoke */
    assert_int_equal(told.ends, 0);
    count(&k, 3);
    assert_true(told.ends == 1 && told.missing == 0 && told.reports == 3 && told.clients == 42);
    report(&k, "00000000000000b4", ""); /* too late: nobody is told */
    count(&k, 4);
    assert_true(told.ends == 1 && told.reports == 3);
    kit_end(&k);
}

static void reports_that_are_none_do_not_count(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k);
    ask(&k, SURVEY_INFO, 0);
    say(&k, MESSAGE_REPORT, k.gateway.boot, 1, "{\"uid\":\"b2\"}\n");
    say(&k, MESSAGE_REPORT, k.gateway.boot, 1, "");
    say(&k, MESSAGE_SURVEY, OTHER, 1, "{\"ask\":\"dance\"}\n");
    assert_int_equal(stat_get(&k.gateway.metrics.poisoned), 3);
    say(&k, MESSAGE_REPORT, OTHER, 1, "{\"uid\":\"" OTHER "\",\"name\":\"g2\"}\n"); /* to another */
    say(&k, MESSAGE_REPORT, k.gateway.boot, 2, "{\"uid\":\"" OTHER "\",\"name\":\"g2\"}\n");
    count(&k, 2);
    assert_true(told.reports == 1 && told.ends == 0);
    kit_end(&k);
}

static void who_does_not_report_is_missing_after_a_while(void **state)
{
    static const struct {
        int64_t counted, missing;
    } cases[] = {{3, 2}, {2, 1}, {-1, SURVEY_UNKNOWN}};
    struct kit k;

    (void)state;
    kit_begin(&k);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t before = stat_get(&k.gateway.metrics.reports_missing);

        ask(&k, SURVEY_INFO, 0);
        count(&k, cases[i].counted);
        kit_skip(GATHER_MS - 1000);
        surveys_tick(k.gateway.surveys);
        assert_int_equal(told.ends, 0);
        kit_skip(1000);
        surveys_tick(k.gateway.surveys);
        assert_true(told.ends == 1 && told.missing == cases[i].missing);
        assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_API_GATHER]), i + 1);
        assert_int_equal(stat_get(&k.gateway.metrics.reports_missing) - before,
                         cases[i].missing > 0 ? cases[i].missing : 1);
        kit_drop(&k, MESSAGE_SURVEY);
    }
    kit_end(&k);
}

static void it_is_asked_again_through_other_owners_and_counted_anew(void **state)
{
    struct kit k;
    uint32_t last = UINT32_MAX;

    (void)state;
    kit_begin(&k);
    ask(&k, SURVEY_INFO, 0);
    count(&k, 2);
    for (int i = 0; i < 3; i++) {
        struct bus_out *out = kit_take(&k, MESSAGE_SURVEY);

        assert_int_not_equal(out->message.partition, last);
        assert_true(slice_equal(out->message.gateway, SLICE_LIT("g1")));
        assert_int_equal(out->message.request, 1);
        last = out->message.partition;
        bus_out_free(out);
        kit_skip(2000);
        surveys_tick(k.gateway.surveys);
    }
    count(&k, 1); /* the other one was killed */
    assert_true(told.ends == 1 && told.missing == 0);
    kit_end(&k);
}

static void who_died_after_its_report_does_not_stand_for_another_one(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k);
    ask(&k, SURVEY_INFO, 0);
    count(&k, 3);
    report(&k, OTHER, "");
    count(&k, 3);
    assert_int_equal(told.ends, 0);
    count(&k, 2); /* it was killed; the third one has not reported */
    assert_int_equal(told.ends, 0);
    report(&k, THIRD, "");
    count(&k, 2);
    assert_true(told.ends == 1 && told.missing == 0 && told.reports == 3);
    kit_drop(&k, MESSAGE_SURVEY);
    kit_end(&k);
}

static void too_many_questions_are_refused(void **state)
{
    static const struct survey_asker asker = {on_report, on_end};
    const struct survey survey = {.kind = SURVEY_ORDERS};
    struct kit k;

    (void)state;
    kit_begin(&k);
    for (int i = 0; i < SURVEYS_MAX; i++) {
        assert_int_equal(surveys_ask(k.gateway.surveys, &survey, 0, &asker, 7), 0);
    }
    assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_SURVEYS]), 0);
    assert_int_equal(surveys_ask(k.gateway.surveys, &survey, 0, &asker, 7), -1);
    assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_SURVEYS]), 1);
    kit_end(&k);
}

static void whoever_asks_is_answered(void **state)
{
    struct kit k;
    struct peer ann, bob;
    struct report r;

    (void)state;
    kit_begin(&k);
    peer_connect(&ann, &k, "ann");
    peer_connect(&bob, &k, "ann");
    say(&k, MESSAGE_SURVEY, OTHER, 9, "{\"ask\":\"info\"}\n");
    struct bus_out *out = kit_take(&k, MESSAGE_REPORT);
    assert_int_equal(out->target, BUS_TO_OWNER);
    assert_int_equal(out->message.partition, 1); /* of the owner that passed it on */
    assert_int_equal(out->message.request, 9);
    assert_true(slice_equal(out->message.gateway, SLICE_LIT("g2")));
    assert_true(slice_equal(out->message.boot, SLICE_LIT(OTHER)));
    struct slice rest = blob_slice(out->body);
    assert_int_equal(report_next(&rest, &r), 0);
    assert_true(slice_equal(r.uid, slice_of(k.gateway.boot)) &&
                slice_equal(r.name, SLICE_LIT("g1")) && r.num_clients == 2 && r.num_users == 1);
    assert_int_equal(rest.size, 0);
    bus_out_free(out);
    say(&k, MESSAGE_SURVEY, k.gateway.boot, 9, "{\"ask\":\"info\"}\n"); /* its own comes back */
    kit_expect_none(&k, MESSAGE_REPORT);
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

/* Orders. */

static struct {
    unsigned calls;
    bool is_done;
    int64_t missing;
} ordered;

static void on_told(void *user, uint64_t call, bool is_done, int64_t missing)
{
    (void)user;
    assert_true(call == 5 || call == 6);
    ordered.calls++;
    ordered.is_done = is_done;
    ordered.missing = missing;
}

static void give_order(struct kit *k, uint64_t call)
{
    const struct order o = {.kind = ORDER_MUTE, .user = SLICE_LIT("pest")};

    memset(&ordered, 0, sizeof(ordered));
    control_set_teller(k->gateway.control, on_told, NULL);
    assert_int_equal(control_send(k->gateway.control, &o, call), 0);
}

/* The order comes back out of the stream, at that place. */
static void read_order(struct kit *k, const struct bus_out *out, int64_t at)
{
    struct message m = out->message;

    m.body = blob_slice(out->body);
    control_on_message(k->gateway.control, &m, at);
}

static void an_order_is_answered_when_all_have_obeyed(void **state)
{
    struct kit k;

    (void)state;
    for (int is_read_first = 0; is_read_first < 2; is_read_first++) {
        kit_begin(&k);
        give_order(&k, 5);
        struct bus_out *out = kit_take(&k, MESSAGE_CONTROL);
        if (is_read_first != 0) {
            read_order(&k, out, 41);
            control_on_result(k.gateway.control, out, BUS_CONFIRMED);
        } else {
            struct message m = out->message;
            char body[256];
            struct slice said = blob_slice(out->body);

            memcpy(body, said.at, said.size);
            m.body = (struct slice){body, said.size};
            control_on_result(k.gateway.control, out, BUS_CONFIRMED);
            assert_int_equal(ordered.calls, 0);
            kit_expect_none(&k, MESSAGE_SURVEY);
            control_on_message(k.gateway.control, &m, 41);
        }
        kit_expect_body(&k, MESSAGE_SURVEY, "{\"ask\":\"orders\"}\n");
        count(&k, 2);
        report(&k, OTHER, ",\"obeyed\":41"); /* all before it */
        count(&k, 2);
        assert_int_equal(ordered.calls, 0);
        report(&k, OTHER, ",\"obeyed\":42");
        count(&k, 2);
        assert_true(ordered.calls == 1 && ordered.is_done && ordered.missing == 0);
        assert_int_equal(stat_get(&k.gateway.metrics.orders_unheeded), 0);
        kit_end(&k);
    }
}

static void orders_wait_together_for_the_next_question(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k);
    give_order(&k, 5);
    struct bus_out *first = kit_take(&k, MESSAGE_CONTROL);
    read_order(&k, first, 1);
    for (int64_t at = 2; at < 5; at++) {
        assert_int_equal(control_send(k.gateway.control,
                                      &(struct order){.kind = ORDER_MUTE, .user = SLICE_LIT("x")},
                                      6),
                         0);
        struct bus_out *out = kit_take(&k, MESSAGE_CONTROL);
        read_order(&k, out, at);
        control_on_result(k.gateway.control, out, BUS_CONFIRMED);
    }
    control_on_result(k.gateway.control, first, BUS_CONFIRMED);
    count(&k, 1);
    assert_int_equal(ordered.calls, 1);
    count(&k, 1);
    assert_int_equal(ordered.calls, 4);
    assert_int_equal(stat_get(&k.gateway.metrics.surveys), 2);
    kit_end(&k);
}

static void an_order_that_was_read_is_not_sent_again(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k);
    control_up(k.gateway.control);
    give_order(&k, 5);
    kit_drop(&k, MESSAGE_SURVEY);
    struct bus_out *out = kit_take(&k, MESSAGE_CONTROL);
    while (memmem(out->body->bytes, out->body->size, "mute", 4) == NULL) { /* the hello */
        control_on_result(k.gateway.control, out, BUS_CONFIRMED);
        out = kit_take(&k, MESSAGE_CONTROL);
    }
    struct message m = out->message;
    char body[256];
    struct slice said = blob_slice(out->body);

    memcpy(body, said.at, said.size);
    m.body = (struct slice){body, said.size};
    control_on_result(k.gateway.control, out, BUS_LOST);
    control_on_message(k.gateway.control, &m, 41);
    control_tick(k.gateway.control);
    kit_expect_none(&k, MESSAGE_CONTROL);
    kit_drop(&k, MESSAGE_SURVEY);
    kit_end(&k);
}

static void an_order_stands_though_somebody_does_not_answer(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k);
    give_order(&k, 5);
    struct bus_out *out = kit_take(&k, MESSAGE_CONTROL);
    read_order(&k, out, 1);
    control_on_result(k.gateway.control, out, BUS_CONFIRMED);
    count(&k, 2);
    kit_skip(GATHER_MS + 1);
    surveys_tick(k.gateway.surveys);
    assert_true(ordered.calls == 1 && ordered.is_done && ordered.missing == 1);
    assert_int_equal(stat_get(&k.gateway.metrics.orders_unheeded), 1);

    /* Confirmed, but this gateway itself does not come to read it. */
    kit_drop(&k, MESSAGE_SURVEY);
    give_order(&k, 6);
    out = kit_take(&k, MESSAGE_CONTROL);
    control_up(k.gateway.control);
    control_on_result(k.gateway.control, out, BUS_CONFIRMED);
    kit_skip(GATHER_MS + 1);
    control_tick(k.gateway.control);
    assert_true(ordered.calls == 1 && ordered.is_done && ordered.missing == 1);
    kit_expect_none(&k, MESSAGE_SURVEY);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_is_alone_need_not_wait),
        cmocka_unit_test(it_ends_when_as_many_have_reported_as_there_are),
        cmocka_unit_test(reports_that_are_none_do_not_count),
        cmocka_unit_test(who_does_not_report_is_missing_after_a_while),
        cmocka_unit_test(it_is_asked_again_through_other_owners_and_counted_anew),
        cmocka_unit_test(who_died_after_its_report_does_not_stand_for_another_one),
        cmocka_unit_test(too_many_questions_are_refused),
        cmocka_unit_test(whoever_asks_is_answered),
        cmocka_unit_test(an_order_is_answered_when_all_have_obeyed),
        cmocka_unit_test(orders_wait_together_for_the_next_question),
        cmocka_unit_test(an_order_that_was_read_is_not_sent_again),
        cmocka_unit_test(an_order_stands_though_somebody_does_not_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
