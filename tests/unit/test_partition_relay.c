/* test_partition_relay.c: what gateways ask each other is passed on, and nothing else of them is.
 */
#include "tests/unit/partition_kit.h"

#define ASKED "{\"ask\":\"info\"}\n"

/* Somebody writes to the owner, and names `of`. */
static void write_mail(struct kit_world *w, enum message_type type, const struct kit_gateway *of,
                       const char *body)
{
    kit_write(&w->kit,
              &(struct message){.type = type,
                                .partition = KIT_PARTITION,
                                .gateway = slice_of(of->id),
                                .boot = slice_of(of->boot),
                                .request = KIT_REQUEST},
              slice_of(body));
    kit_world_run(w);
}

static void expect_letter(const struct letter *l, const struct kit_gateway *of, const char *body)
{
    assert_non_null(l);
    assert_true(slice_equal(l->m.gateway, slice_of(of->id)));
    assert_true(slice_equal(l->m.boot, slice_of(of->boot)));
    assert_int_equal(l->m.request, KIT_REQUEST);
    assert_true(slice_equal(l->m.body, slice_of(body)));
}

static void a_question_reaches_all_gateways_as_it_is(void **state)
{
    struct kit_world *w = *state;

    write_mail(w, MESSAGE_SURVEY, w->g, ASKED); /* attached or not */
    expect_letter(kit_last(w->g, MESSAGE_SURVEY), w->g, ASKED);
    expect_letter(kit_last(w->h, MESSAGE_SURVEY), w->g, ASKED);
    assert_int_equal(stat_get(&w->kit.stats.relayed), 1);
}

static void a_report_reaches_only_whom_it_names(void **state)
{
    struct kit_world *w = *state;

    write_mail(w, MESSAGE_REPORT, w->h, "{\"any\":1}\n");
    expect_letter(kit_last(w->h, MESSAGE_REPORT), w->h, "{\"any\":1}\n");
    assert_null(kit_last(w->g, MESSAGE_REPORT));
}

static void nothing_else_is_passed_on(void **state)
{
    static const enum message_type types[] = {
        MESSAGE_DELIVER, MESSAGE_MOVES,    MESSAGE_POSITIONS, MESSAGE_PRESENT, MESSAGE_PAST,
        MESSAGE_OWNER,   MESSAGE_RELEASED, MESSAGE_CONTROL,   MESSAGE_PUBLISH,
    };
    struct kit_world *w = *state;
    size_t before = w->h->inbox.count;

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        write_mail(w, types[i], w->h, ASKED);
    }
    assert_int_equal(w->h->inbox.count, before);
    assert_int_equal(stat_get(&w->kit.stats.relayed), 0);
    assert_int_equal(stat_get(&w->kit.stats.poisoned), ARRAY_LEN(types));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_world_start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(a_question_reaches_all_gateways_as_it_is),
        TEST(a_report_reaches_only_whom_it_names),
        TEST(nothing_else_is_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
