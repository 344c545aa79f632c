/*
 * test_limits_api.c: limits of what a backend calls: each is met by exactly what is too much, which
 * fails and is counted under the limit's name.
 */
#include "gateway/api/api_internal.h"
#include "gateway/bus/surveys.h"
#include "tests/unit/limits_kit.h"

#define OTHER "00000000000000b2" /* the boot of another gateway */
#define THIRD "00000000000000b3"

static void begin(struct kit *k)
{
    static char listen[] = "127.0.0.1:0"; /* nobody calls there: calls come from this file */

    kit_init(k);
    set_up(&k->conf);
    k->conf.api_listen = listen;
    k->conf.api_request_ms = 60000;
    kit_start(k);
}

static void call(struct kit *k, const char *method, const char *params)
{
    task_call(k->gateway.api, api_method_find(slice_of(method)), "*", 0, slice_of(params));
}

static uint64_t failed(const struct kit *k)
{
    return stat_get(&k->gateway.metrics.api_failed);
}

static uint64_t open_calls(const struct kit *k)
{
    return stat_get(&k->gateway.metrics.api_open);
}

/* Another gateway reports rooms number first to last. */
static void report(struct kit *k, const char *uid, bool has_more, unsigned first, unsigned last)
{
    struct buf body = BUF_EMPTY;

    buf_addf(&body, "{\"uid\":\"%s\",\"name\":\"g2\"%s}\n", uid, has_more ? ",\"more\":true" : "");
    for (unsigned room = first; room <= last; room++) {
        buf_addf(&body, "{\"room\":\"r%u\",\"clients\":1}\n", room);
    }
    kit_say_raw(k, &(struct message){
                       .type = MESSAGE_REPORT,
                       .partition = 1,
                       .gateway = SLICE_LIT("g2"),
                       .boot = slice_of(k->gateway.boot),
                       .request = 1,
                       .body = buf_slice(&body),
                   });
    buf_deinit(&body);
}

static void an_answer_has_so_many_rooms(void **state)
{
    static const struct {
        unsigned of_third; /* the last room that the third gateway has */
        bool has_more;
        uint64_t met;
    } cases[] = {{API_CHANNELS_MAX, false, 0}, {API_CHANNELS_MAX + 1, false, 1}, {1, true, 1}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kit k;

        begin(&k);
        call(&k, "channels", "{}");
        report(&k, OTHER, false, 1, API_CHANNELS_MAX);
        report(&k, THIRD, cases[i].has_more, cases[i].of_third, cases[i].of_third);
        assert_int_equal(open_calls(&k), 1);
        surveys_on_count(k.gateway.surveys, k.bus.counts, 3);
        assert_int_equal(open_calls(&k), 0);
        assert_int_equal(failed(&k), cases[i].met);
        expect_met(&k, LIMIT_API_CHANNELS, cases[i].met);
        kit_drop(&k, MESSAGE_SURVEY);
        kit_end(&k);
    }
}

static void an_answer_has_so_many_records(void **state)
{
    struct kit k;
    (void)state;

    begin(&k);
    for (int limit = API_HISTORY_MAX; limit <= API_HISTORY_MAX + 1; limit++) {
        char params[64];

        snprintf(params, sizeof(params), "{\"channel\":\"" ROOM "\",\"limit\":%d}", limit);
        call(&k, "history", params);
        struct bus_out *question = kit_take(&k, MESSAGE_HISTORY);
        assert_non_null(memmem(question->body->bytes, question->body->size, "\"limit\":1000", 12));
        bus_out_free(question);
        expect_met(&k, LIMIT_API_HISTORY, (uint64_t)(limit - API_HISTORY_MAX));
    }
    kit_end(&k);
}

static void a_list_has_so_many_members(void **state)
{
    struct kit k;
    (void)state;

    begin(&k);
    call(&k, "presence", "{\"channel\":\"" ROOM "\"}");
    kit_answer(&k, MESSAGE_PRESENCE, MESSAGE_PRESENT,
               "{\"room\":\"" ROOM "\",\"clients\":1,\"users\":1,\"complete\":true}\n"
               "{\"room\":\"" ROOM "\",\"client\":\"c1\",\"user\":\"ann\"}\n");
    assert_true(failed(&k) == 0 && open_calls(&k) == 0);
    expect_met(&k, LIMIT_PRESENCE_MAX, 0);
    call(&k, "presence", "{\"channel\":\"" ROOM "\"}");
    kit_answer(&k, MESSAGE_PRESENCE, MESSAGE_PRESENT,
               "{\"room\":\"" ROOM "\",\"clients\":1001,\"users\":1}\n");
    assert_true(failed(&k) == 1 && open_calls(&k) == 0);
    expect_met(&k, LIMIT_PRESENCE_MAX, 1);
    kit_end(&k);
}

static void what_is_published_has_so_many_levels_and_a_short_key(void **state)
{
    struct kit k;
    struct buf data = BUF_EMPTY, params = BUF_EMPTY;
    (void)state;

    begin(&k);
    for (size_t levels = 8; levels <= 9; levels++) {
        buf_clear(&params);
        buf_addf(&params, "{\"channel\":\"" ROOM "\",\"data\":%s}", nested(&data, levels));
        buf_add_char(&params, '\0');
        call(&k, "publish", params.at);
        assert_int_equal(failed(&k), levels - 8);
        expect_met(&k, LIMIT_MAX_DEPTH, levels - 8);
    }
    stat_set(&k.gateway.metrics.limits.met[LIMIT_MAX_DEPTH], 0);
    for (int size = KEY_MAX; size <= KEY_MAX + 1; size++) {
        buf_clear(&params);
        buf_addf(&params, "{\"channel\":\"" ROOM "\",\"data\":1,\"idempotency_key\":\"%0*d\"}",
                 size, 0);
        buf_add_char(&params, '\0');
        call(&k, "publish", params.at);
        assert_int_equal(failed(&k), size - KEY_MAX + 1);
        expect_met(&k, LIMIT_KEY, (uint64_t)(size - KEY_MAX));
    }
    kit_settle(&k);
    kit_drop(&k, MESSAGE_PUBLISH);
    buf_deinit(&data);
    buf_deinit(&params);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_so_many_rooms),
        cmocka_unit_test(an_answer_has_so_many_records),
        cmocka_unit_test(a_list_has_so_many_members),
        cmocka_unit_test(what_is_published_has_so_many_levels_and_a_short_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
