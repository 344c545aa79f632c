/*
 * test_reply.c: replies and pushes are, to the byte, the texts of the golden vectors; and nobody
 * speaks under another name in the plain dialect.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/codec.h"
#include "tests/unit/vectors.h"

#define CLIENT SLICE_LIT("6f0c0000-0000-4000-8000-000000000000")

/* Takes what was written and compares it with the vector of that name. */
static void assert_vector(struct buf *out, const char *name)
{
    struct vectors v = vectors_open("reply");
    bool is_found = false;

    while (vectors_next(&v)) {
        if (slice_equal(json_inside(json_get(v.now, "name")), slice_of(name))) {
            is_found = true;
            assert_true(vector_add_text(v.now, "text", &v.scratch));
            if (!slice_equal(buf_slice(out), buf_slice(&v.scratch))) {
                fail_msg("%s: %.*s", name, SLICE_ARG(buf_slice(out)));
            }
        }
    }
    assert_true(is_found);
    buf_deinit(out);
}

static void connect_is_answered(void **state)
{
    struct reply_connect r = {
        .client = CLIENT,
        .version = SLICE_LIT("warren 0.1"),
        .ping_s = 25,
        .data = SLICE_LIT("{\"motd\":\"hi\"}"),
    };
    struct buf out = BUF_EMPTY;
    (void)state;

    codec_json.connect(&out, 1, &r);
    assert_vector(&out, "connect");
    r.ping_s = 0;
    r.data = SLICE_NONE;
    codec_json.connect(&out, 1, &r);
    assert_vector(&out, "connect without pings");
    struct buf subs = BUF_EMPTY;
    codec_json.sub(
        &subs, SLICE_LIT("user:ann"),
        &(struct reply_subscribe){.recoverable = true, .epoch = SLICE_LIT("p9"), .offset = 7});
    codec_json.sub(&subs, SLICE_LIT("news"), &(struct reply_subscribe){.offset = 0});
    r.ping_s = 25;
    r.expires = true;
    r.ttl_s = 600;
    r.data = SLICE_LIT("{\"motd\":\"hi\"}");
    r.subs = buf_slice(&subs);
    codec_json.connect(&out, 1, &r);
    assert_vector(&out, "connect with what expires and what the server subscribed");
    buf_deinit(&subs);
}

static void subscribe_is_answered(void **state)
{
    struct reply_subscribe r = {
        .recoverable = true,
        .epoch = SLICE_LIT("r7Qk"),
        .offset = 41,
    };
    struct buf out = BUF_EMPTY;
    (void)state;

    codec_json.subscribe(&out, 2, &r);
    assert_vector(&out, "subscribe");
    r = (struct reply_subscribe){.recoverable = true};
    codec_json.subscribe(&out, 2, &r);
    assert_vector(&out, "subscribe to a room that nobody spoke in");
    codec_json.subscribe(&out, 2, &(struct reply_subscribe){.offset = 0});
    assert_vector(&out, "subscribe without position");
    r = (struct reply_subscribe){
        .recoverable = true,
        .epoch = SLICE_LIT("r7Qk"),
        .offset = 42,
        .was_recovering = true,
        .recovered = true,
        .publications = SLICE_LIT("{\"data\":1,\"offset\":43},{\"data\":2,\"offset\":44}"),
    };
    codec_json.subscribe(&out, 2, &r);
    assert_vector(&out, "recovered");
    r.publications = SLICE_NONE;
    codec_json.subscribe(&out, 2, &r);
    assert_vector(&out, "recovered, nothing was missed");
    r = (struct reply_subscribe){
        .recoverable = true,
        .epoch = SLICE_LIT("z01x"),
        .offset = 3,
        .was_recovering = true,
    };
    codec_json.subscribe(&out, 2, &r);
    assert_vector(&out, "not recovered");
    r = (struct reply_subscribe){
        .expires = true,
        .ttl_s = 300,
        .recoverable = true,
        .epoch = SLICE_LIT("r7Qk"),
        .offset = 41,
        .data = SLICE_LIT("{\"a\":1}"),
    };
    codec_json.subscribe(&out, 2, &r);
    assert_vector(&out, "subscribe with a token");
}

static void what_is_done_is_answered_with_nothing_more(void **state)
{
    struct buf out = BUF_EMPTY;
    (void)state;

    codec_json.empty(&out, 3, COMMAND_PUBLISH);
    assert_vector(&out, "published");
    codec_json.empty(&out, 15, COMMAND_UNSUBSCRIBE);
    assert_vector(&out, "unsubscribed");
    codec_json.rpc(&out, 3, SLICE_LIT("{}"));
    assert_vector(&out, "published by rpc");
    codec_json.rpc(&out, 13, SLICE_LIT("{\"user\":\"ann\",\"roles\":[\"mod\"]}"));
    assert_vector(&out, "rpc");
}

static void records_are_pushed(void **state)
{
    struct record r = {
        .room = SLICE_LIT("chat:lobby"),
        .offset = 42,
        .epoch = SLICE_LIT("r7Qk"),
        .user = SLICE_LIT("ann"),
        .client = CLIENT,
        .payload = SLICE_LIT("{\"username\":\"ann\",\"message\":\"hello\"}"),
    };
    struct buf out = BUF_EMPTY;
    (void)state;

    codec_json.push_record(&out, &r);
    assert_vector(&out, "push");
    r.user = SLICE_LIT("a\\\"n");
    r.info = SLICE_LIT("{\"name\":\"Ann\"}");
    r.chan_info = SLICE_LIT("{\"seat\":7}");
    r.time = 1790000000123;
    r.payload = SLICE_LIT("\"a\"");
    codec_json.push_record(&out, &r);
    assert_vector(&out, "push with all");
    r = (struct record){.room = SLICE_LIT("chat:lobby"), .offset = 1, .payload = SLICE_LIT("null")};
    codec_json.push_record(&out, &r);
    assert_vector(&out, "push of nobody");
    r.user = SLICE_LIT("bot");
    r.payload = SLICE_LIT("[1.0,-0]");
    codec_json.push_record(&out, &r);
    assert_vector(&out, "push of a service");
    codec_json.push_unsubscribe(&out, SLICE_LIT("vip:1"), 2000, "server unsubscribe");
    assert_vector(&out, "server unsubscribe");
}

static void who_comes_and_goes_is_pushed(void **state)
{
    struct reply_move m = {
        .room = SLICE_LIT("chat:lobby"),
        .member = {CLIENT, SLICE_LIT("bob"), SLICE_LIT("{\"name\":\"Bob\"}"), SLICE_NONE},
    };
    struct buf out = BUF_EMPTY;
    (void)state;

    codec_json.push_move(&out, &m);
    assert_vector(&out, "join");
    reply_plain_move(&out, &m);
    assert_vector(&out, "plain: join");
    m.member.chan_info = SLICE_LIT("{\"seat\":7}");
    codec_json.push_move(&out, &m);
    assert_vector(&out, "join with a token");
    m.left = true;
    m.member.info = m.member.chan_info = SLICE_NONE;
    codec_json.push_move(&out, &m);
    assert_vector(&out, "leave");
    reply_plain_move(&out, &m);
    assert_vector(&out, "plain: leave");
}

static void what_the_server_decides_is_pushed(void **state)
{
    struct buf out = BUF_EMPTY;
    (void)state;

    codec_json.push_subscribe(
        &out, SLICE_LIT("news"),
        &(struct reply_subscribe){.recoverable = true, .epoch = SLICE_LIT("n1"), .offset = 3});
    assert_vector(&out, "server subscribe");
    codec_json.push_message(&out, SLICE_LIT("{\"seen\":true}"));
    assert_vector(&out, "message");
    codec_json.push_refresh(&out, &(struct reply_refresh){.expires = true, .ttl_s = 600});
    assert_vector(&out, "server refresh");
    codec_json.push_refresh(&out, &(struct reply_refresh){.expires = false});
    assert_vector(&out, "server refresh for ever");
    reply_plain_message(&out, SLICE_LIT("{\"seen\":true}"));
    assert_vector(&out, "plain: message");
    reply_plain_publication(
        &out, SLICE_LIT("{\"username\":\"eve\",\"event\":\"join\",\"user\":\"ann\"}"));
    assert_vector(&out, "plain: publication");
    reply_plain_entered(&out, SLICE_LIT("lobby"));
    assert_vector(&out, "plain: entered");
}

static void refreshes_are_answered(void **state)
{
    struct reply_refresh r = {
        .client = CLIENT, .version = SLICE_LIT("warren 0.1"), .expires = true, .ttl_s = 600};
    struct buf out = BUF_EMPTY;
    (void)state;

    codec_json.refresh(&out, 11, &r);
    assert_vector(&out, "refreshed");
    r.expires = false;
    codec_json.refresh(&out, 11, &r);
    assert_vector(&out, "refreshed for ever");
    r = (struct reply_refresh){.expires = true, .ttl_s = 300};
    codec_json.sub_refresh(&out, 12, &r);
    assert_vector(&out, "subscription refreshed");
    r.expires = false;
    codec_json.sub_refresh(&out, 12, &r);
    assert_vector(&out, "subscription refreshed for ever");
}

static void questions_are_answered(void **state)
{
    struct buf out = BUF_EMPTY, list = BUF_EMPTY;
    struct record r = {.room = SLICE_LIT("a"), .offset = 41, .payload = SLICE_LIT("\"a\"")};
    (void)state;

    codec_json.member(&list,
                      &(struct reply_member){CLIENT, SLICE_LIT("ann"), SLICE_NONE, SLICE_NONE});
    codec_json.member(&list, &(struct reply_member){SLICE_LIT("c2"), SLICE_NONE,
                                                    SLICE_LIT("{\"name\":\"Bob\"}"), SLICE_NONE});
    codec_json.presence(&out, 4, buf_slice(&list));
    assert_vector(&out, "presence");
    codec_json.presence(&out, 4, SLICE_NONE);
    assert_vector(&out, "presence of nobody");
    codec_json.presence_stats(&out, 5, &(struct reply_presence_stats){2, 0});
    assert_vector(&out, "presence_stats");

    codec_json.history(&out, 6, &(struct reply_history){SLICE_NONE, SLICE_LIT("r7Qk"), 42});
    assert_vector(&out, "history: the position");
    codec_json.history(&out, 6, &(struct reply_history){SLICE_NONE, SLICE_NONE, 0});
    assert_vector(&out, "history: of a room that nobody spoke in");
    buf_clear(&list);
    codec_json.publication(&list, &r);
    r.offset = 42;
    r.payload = SLICE_LIT("\"b\"");
    codec_json.publication(&list, &r);
    codec_json.history(&out, 7, &(struct reply_history){buf_slice(&list), SLICE_LIT("r7Qk"), 42});
    assert_vector(&out, "history");
    buf_deinit(&list);
}

static void errors_say_whether_they_pass(void **state)
{
    struct buf out = BUF_EMPTY;
    (void)state;

    codec_json.error(&out, 4, REPLY_PERMISSION_DENIED);
    assert_vector(&out, "permission denied");
    codec_json.error(&out, 5, REPLY_INTERNAL);
    assert_vector(&out, "internal server error");
    codec_json.error(&out, 6, REPLY_TOKEN_EXPIRED);
    assert_vector(&out, "token expired");
    codec_json.error(&out, 9, REPLY_UNRECOVERABLE_POSITION);
    assert_vector(&out, "unrecoverable position");
    codec_json.error(&out, UINT32_MAX, REPLY_METHOD_NOT_FOUND);
    assert_vector(&out, "method not found");
    reply_plain_error(&out, REPLY_BAD_REQUEST);
    assert_vector(&out, "plain: bad request");
    reply_plain_error(&out, REPLY_TOO_MANY_REQUESTS);
    assert_vector(&out, "plain: too many requests");
}

static void documents_of_one_message_are_separated(void **state)
{
    struct buf out = BUF_EMPTY;
    (void)state;

    codec_json.push_record(&out,
                           &(struct record){.room = SLICE_LIT("a"), .payload = SLICE_LIT("1")});
    codec_json.push_unsubscribe(&out, SLICE_LIT("a"), 1, "x");
    codec_json.subscribe(&out, 2, &(struct reply_subscribe){.was_recovering = true});
    codec_json.push_record(&out,
                           &(struct record){.room = SLICE_LIT("a"), .payload = SLICE_LIT("2")});
    assert_true(slice_equal(
        buf_slice(&out),
        SLICE_LIT("{\"push\":{\"channel\":\"a\",\"pub\":{\"data\":1}}}\n"
                  "{\"push\":{\"channel\":\"a\",\"unsubscribe\":{\"code\":1,\"reason\":\"x\"}}}\n"
                  "{\"id\":2,\"subscribe\":{\"was_recovering\":true}}\n"
                  "{\"push\":{\"channel\":\"a\",\"pub\":{\"data\":2}}}")));
    buf_deinit(&out);
}

static void everything_written_is_json_on_one_line(void **state)
{
    struct record r = {
        .room = SLICE_LIT("a"),
        .offset = UINT64_MAX,
        .user = SLICE_LIT("\\n"),
        .time = INT64_MIN,
        .payload = SLICE_LIT("[ { } ]"),
    };
    struct buf out = BUF_EMPTY;
    (void)state;

    codec_json.push_record(&out, &r);
    assert_true(json_is_valid(buf_slice(&out), JSON_DEPTH_MAX));
    assert_null(memchr(out.at, '\n', out.size));
    buf_clear(&out);
    codec_json.push_unsubscribe(&out, r.room, UINT32_MAX, "a \"quoted\"\nreason");
    assert_true(json_is_valid(buf_slice(&out), JSON_DEPTH_MAX));
    assert_null(memchr(out.at, '\n', out.size));
    buf_deinit(&out);
}

static void the_username_is_the_one_that_was_proved(void **state)
{
    static const struct {
        const char *payload, *user, *want;
    } cases[] = {
        {"{\"username\":\"eve\",\"message\":\"hi\"}", "ann",
         "{\"username\":\"ann\",\"message\":\"hi\"}"},
        {"{\"message\":\"hi\",\"username\":\"eve\"}", "ann",
         "{\"message\":\"hi\",\"username\":\"ann\"}"},
        {"{\"username\":\"eve\",\"message\":\"hi\"}", "",
         "{\"username\":\"eve\",\"message\":\"hi\"}"},
        {"{\"message\":\"hi\"}", "ann", "{\"username\":\"ann\",\"message\":\"hi\"}"},
        {"{}", "ann", "{\"username\":\"ann\"}"},
        {"{ }", "ann", "{\"username\":\"ann\" }"},
        {"{}", "", "{}"},
        {"{\"username\":\"eve\"}", "a\\\"n", "{\"username\":\"a\\\"n\"}"},
        {"{\"username\":{\"username\":\"eve\"}}", "ann", "{\"username\":\"ann\"}"},
        {"{\"username\":null,\"a\":1.0}", "ann", "{\"username\":\"ann\",\"a\":1.0}"},
        {"{\"a\":{\"username\":\"eve\"}}", "ann",
         "{\"username\":\"ann\",\"a\":{\"username\":\"eve\"}}"},
        {"{\"Username\":\"eve\"}", "ann", "{\"username\":\"ann\",\"Username\":\"eve\"}"},
        {"{\"username\":\"eve\",\"username\":\"eva\"}", "ann",
         "{\"username\":\"ann\",\"username\":\"ann\"}"},
        {"{\"usern\\u0061me\":\"eve\"}", "ann", "{\"usern\\u0061me\":\"ann\"}"},
        {"{\"\\u0075\\u0073\\u0065\\u0072name\":\"eve\",\"a\":1}", "ann",
         "{\"\\u0075\\u0073\\u0065\\u0072name\":\"ann\",\"a\":1}"},
        {"{\"usern\\u00e1me\":1}", "ann", "{\"username\":\"ann\",\"usern\\u00e1me\":1}"},
        {"{\r\n \"username\" : \"eve\" ,\n \"b\" : [ 1,\n2 ]\n}", "ann",
         "{ \"username\" : \"ann\" , \"b\" : [ 1,2 ]}"},
        {"{\"message\":\n\"hi\"}", "", "{\"message\":\"hi\"}"},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = BUF_EMPTY;

        plain_with_username(&out, slice_of(cases[i].payload), slice_of(cases[i].user));
        if (!slice_equal(buf_slice(&out), slice_of(cases[i].want))) {
            fail_msg("%s: %.*s", cases[i].payload, SLICE_ARG(buf_slice(&out)));
        }
        assert_true(json_is_valid(buf_slice(&out), PAYLOAD_DEPTH_MAX));
        buf_deinit(&out);
    }
}

static void what_could_be_taken_for_our_words_is_known(void **state)
{
    static const struct {
        const char *payload;
        bool looks_ours;
    } cases[] = {
        {"{\"event\":\"join\",\"user\":\"ann\"}", true},
        {"{\"error\":{\"code\":100}}", true},
        {"{\"username\":\"eve\",\"error\":null}", true},
        {" { \"a\" : 1 , \"event\" : 2 } ", true},
        {"{\"ev\\u0065nt\":\"join\"}", true},
        {"{\"\\u0065\\u0072\\u0072\\u006f\\u0072\":1}", true},
        {"{\"a\":{},\"a\":[],\"event\":1,\"event\":2}", true},
        {"{\"Event\":1}", false},
        {"{\"event \":1,\"an event\":1}", false},
        {"{\"event\\\\\":1}", false},
        {"{\"a\":{\"event\":\"join\"}}", false},
        {"{\"a\":[{\"error\":1}],\"message\":\"an \\\"error\\\"\"}", false},
        {"{\"message\":\"event\"}", false},
        {"{\"events\":1,\"errors\":1}", false},
        {"{}", false},
        {"[\"event\",1]", false},
        {"\"event\"", false},
        {"null", false},
        {"0", false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_true(json_is_valid(slice_of(cases[i].payload), PAYLOAD_DEPTH_MAX));
        if (reply_plain_looks_ours(slice_of(cases[i].payload)) != cases[i].looks_ours) {
            fail_msg("%s", cases[i].payload);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_is_answered),
        cmocka_unit_test(subscribe_is_answered),
        cmocka_unit_test(what_is_done_is_answered_with_nothing_more),
        cmocka_unit_test(records_are_pushed),
        cmocka_unit_test(who_comes_and_goes_is_pushed),
        cmocka_unit_test(what_the_server_decides_is_pushed),
        cmocka_unit_test(refreshes_are_answered),
        cmocka_unit_test(questions_are_answered),
        cmocka_unit_test(errors_say_whether_they_pass),
        cmocka_unit_test(documents_of_one_message_are_separated),
        cmocka_unit_test(everything_written_is_json_on_one_line),
        cmocka_unit_test(what_could_be_taken_for_our_words_is_known),
        cmocka_unit_test(the_username_is_the_one_that_was_proved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
