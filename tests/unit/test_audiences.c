/* test_audiences.c: the rules of a room decide who may see a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broadcaster/audiences.h"

#define NOBODY_TOLD AUDIENCE_RULES

struct rule_texts {
    const char *audience, *hidden, *moderators;
    bool no_echo;
};

static char *text(const char *at, const char *fallback)
{
    return (char *)(uintptr_t)(at != NULL ? at : fallback); /* settings are only read */
}

static void decide(const struct rule_texts *t, struct record *r, enum audience_rule rule,
                   const char *want)
{
    struct rules rules = {.defaults = {
                              .subscribe = text("*", ""),
                              .publish = text("*", ""),
                              .presence_for = text("*", ""),
                              .history_for = text("*", ""),
                              .audience = text(t->audience, "everyone"),
                              .hidden = text(t->hidden, "none"),
                              .events = text("none", ""),
                              .moderators = text(t->moderators, "moderator"),
                              .muted = text("hidden", ""),
                              .echo = !t->no_echo,
                          }};
    struct buf out = BUF_EMPTY;
    char error[RULES_ERROR_SIZE];

    assert_int_equal(rules_settle(&rules, error, sizeof(error)), 0);
    r->room = SLICE_LIT("r");
    if (r->payload.size == 0) {
        r->payload = SLICE_LIT("{}");
    }
    enum audience_rule got = audiences_decide(&rules.defaults, r, &out);
    if (got != rule || !slice_equal(r->audience, slice_of(want))) {
        fail_msg("decided by %d: %.*s instead of %s", got, SLICE_ARG(r->audience), want);
    }
    assert_int_equal(r->roles.size, 0);
    assert_false(r->is_muted);
    buf_deinit(&out);
}

static void most_rooms_are_for_everybody(void **state)
{
    (void)state;
    decide(&(struct rule_texts){0},
           &(struct record){.user = SLICE_LIT("ann"),
                            .roles = SLICE_LIT("[\"guest\"]"),
                            .payload = SLICE_LIT("{\"to\":\"bob\"}")},
           NOBODY_TOLD, "");
}

static void a_room_is_for_some_roles_and_the_sender(void **state)
{
    static const struct rule_texts staff = {.audience = "agent, moderator"};
    static const struct rule_texts nobody = {.audience = "none"};
    (void)state;

    decide(&staff, &(struct record){.user = SLICE_LIT("ann"), .client = SLICE_LIT("c-1")},
           AUDIENCE_BY_ROLES,
           "{\"by\":\"roles\",\"roles\":[\"agent\",\"moderator\"],\"users\":[\"ann\"]}");
    decide(&staff, &(struct record){.client = SLICE_LIT("c-1")}, AUDIENCE_BY_ROLES,
           "{\"by\":\"roles\",\"roles\":[\"agent\",\"moderator\"],\"client\":\"c-1\"}");
    decide(&nobody, &(struct record){.user = SLICE_LIT("ann")}, AUDIENCE_BY_ROLES,
           "{\"by\":\"roles\",\"users\":[\"ann\"]}");
    /* Nobody at all: never everybody. */
    decide(&nobody, &(struct record){.time = 1}, AUDIENCE_BY_ROLES,
           "{\"by\":\"roles\",\"client\":\"-\"}");
}

static void a_payload_names_whom_it_is_for(void **state)
{
    static const struct rule_texts whispers = {.audience = "payload"};
    static const struct {
        const char *payload;
        enum audience_rule rule;
        const char *want;
    } cases[] = {
        {"{\"message\":\"hi\"}", NOBODY_TOLD, ""},
        {"\"hi\"", NOBODY_TOLD, ""},
        {"{\"to\":\"bob\"}", AUDIENCE_BY_PAYLOAD,
         "{\"by\":\"payload\",\"users\":[\"bob\",\"ann\"]}"},
        {"{\"to\":[\"ann\",\"b\\u006fb\"]}", AUDIENCE_BY_PAYLOAD,
         "{\"by\":\"payload\",\"users\":[\"ann\",\"bob\"]}"},
        {"{\"roles\":\"moderator\"}", AUDIENCE_BY_PAYLOAD,
         "{\"by\":\"payload\",\"roles\":[\"moderator\"],\"users\":[\"ann\"]}"},
        {"{\"to\":[]}", AUDIENCE_BY_PAYLOAD, "{\"by\":\"payload\",\"users\":[\"ann\"]}"},
        /* What cannot be understood was not meant for everybody. */
        {"{\"to\":5}", AUDIENCE_BY_PAYLOAD, "{\"by\":\"payload\",\"users\":[\"ann\"]}"},
        {"{\"to\":\"bob\",\"to\":\"cy\"}", AUDIENCE_BY_PAYLOAD,
         "{\"by\":\"payload\",\"users\":[\"ann\"]}"},
        {"{\"roles\":[\"a\"],\"to\":null}", AUDIENCE_BY_PAYLOAD,
         "{\"by\":\"payload\",\"users\":[\"ann\"]}"},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        decide(&whispers,
               &(struct record){.user = SLICE_LIT("ann"), .payload = slice_of(cases[i].payload)},
               cases[i].rule, cases[i].want);
    }
}

static void who_is_hidden_or_muted_is_seen_by_moderators_alone(void **state)
{
    static const struct rule_texts rule = {.audience = "payload", .hidden = "guest, anonymous"};
    static const struct rule_texts nobody = {.hidden = "guest", .moderators = "none"};
    static const struct slice whisper = {"{\"to\":\"bob\"}", 12};
    (void)state;

    decide(&rule,
           &(struct record){.user = SLICE_LIT("ann"),
                            .roles = SLICE_LIT("[\"guests\",\"guest\"]"),
                            .payload = whisper},
           AUDIENCE_BY_HIDDEN, "{\"by\":\"hidden\",\"roles\":[\"moderator\"],\"users\":[\"ann\"]}");
    decide(&rule, &(struct record){.client = SLICE_LIT("c-1")}, AUDIENCE_BY_HIDDEN,
           "{\"by\":\"hidden\",\"roles\":[\"moderator\"],\"client\":\"c-1\"}");
    decide(&rule, &(struct record){.user = SLICE_LIT("ann"), .roles = SLICE_LIT("[\"guests\"]")},
           NOBODY_TOLD, "");
    decide(&rule, &(struct record){.user = SLICE_LIT("ann"), .is_muted = true, .payload = whisper},
           AUDIENCE_BY_MUTED, "{\"by\":\"muted\",\"roles\":[\"moderator\"],\"users\":[\"ann\"]}");
    /* Also where nothing else narrows. */
    decide(&(struct rule_texts){0}, &(struct record){.user = SLICE_LIT("ann"), .is_muted = true},
           AUDIENCE_BY_MUTED, "{\"by\":\"muted\",\"roles\":[\"moderator\"],\"users\":[\"ann\"]}");
    decide(&nobody, &(struct record){.user = SLICE_LIT("ann"), .roles = SLICE_LIT("[\"guest\"]")},
           AUDIENCE_BY_HIDDEN, "{\"by\":\"hidden\",\"users\":[\"ann\"]}");
}

static void without_echo_the_sending_session_gets_nothing_back(void **state)
{
    static const struct rule_texts quiet = {.no_echo = true};
    static const struct rule_texts both = {.audience = "payload", .no_echo = true};
    (void)state;

    decide(&quiet, &(struct record){.user = SLICE_LIT("ann"), .client = SLICE_LIT("c-1")},
           AUDIENCE_BY_ECHO, "{\"by\":\"echo\",\"not\":\"c-1\"}");
    decide(&quiet, &(struct record){.user = SLICE_LIT("ann")}, NOBODY_TOLD, "");
    decide(&both,
           &(struct record){.user = SLICE_LIT("ann"),
                            .client = SLICE_LIT("c-1"),
                            .payload = SLICE_LIT("{\"to\":\"bob\"}")},
           AUDIENCE_BY_PAYLOAD, "{\"by\":\"payload\",\"users\":[\"bob\",\"ann\"],\"not\":\"c-1\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(most_rooms_are_for_everybody),
        cmocka_unit_test(a_room_is_for_some_roles_and_the_sender),
        cmocka_unit_test(a_payload_names_whom_it_is_for),
        cmocka_unit_test(who_is_hidden_or_muted_is_seen_by_moderators_alone),
        cmocka_unit_test(without_echo_the_sending_session_gets_nothing_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
