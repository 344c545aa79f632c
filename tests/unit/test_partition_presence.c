/* test_partition_presence.c: who is in which room, and mail that makes no sense. */
#include "tests/unit/partition_kit.h"

static size_t count_present(struct kit_world *w, struct kit_gateway *g, const char *client)
{
    struct line line;
    size_t count = 0;

    kit_world_tell(w, g, MESSAGE_PRESENCE, "{\"room\":\"r0\"}\n");
    const struct letter *l = kit_last(g, MESSAGE_PRESENT);
    assert_int_equal(l->m.request, KIT_REQUEST);
    struct slice rest = l->m.body;
    assert_int_equal(line_next(&rest, &line), 0);
    assert_int_equal(line.client.size, 0); /* the numbers come first */
    while (line_next(&rest, &line) == 0) {
        count += client == NULL || slice_equal(line.client, slice_of(client));
    }
    return count;
}

/* The numbers of the last answer. */
static struct line numbers(const struct kit_gateway *g)
{
    struct slice rest = kit_last(g, MESSAGE_PRESENT)->m.body;
    struct line line;

    assert_int_equal(line_next(&rest, &line), 0);
    return line;
}

static void presence_knows_who_is_in_a_room_until_session_or_gateway_leave(void **state)
{
    struct kit_world *w = *state;

    kit_world_attach(w, w->g);
    kit_world_attach(w, w->h);
    assert_int_equal(count_present(w, w->g, NULL), 0);
    kit_world_tell(w, w->g, MESSAGE_JOIN,
                   "{\"room\":\"r0\",\"client\":\"c1\",\"user\":\"ann\",\"info\":{\"a\":1}}\n"
                   "{\"room\":\"r0\",\"client\":\"c2\",\"user\":\"ann\"}\n"
                   "{\"room\":\"r1\",\"client\":\"c1\",\"user\":\"ann\"}\n");
    kit_world_tell(w, w->h, MESSAGE_JOIN, "{\"room\":\"r0\",\"client\":\"c3\",\"user\":\"bob\"}\n");
    assert_int_equal(count_present(w, w->h, NULL), 3);
    assert_int_equal(partition_members(w->o->machine), 4);
    struct slice present = kit_last(w->h, MESSAGE_PRESENT)->m.body;
    struct line line;
    assert_int_equal(line_next(&present, &line), 0);
    assert_int_equal(line.clients, 3);
    assert_int_equal(line.users, 2);
    assert_true(line.complete);
    assert_int_equal(line_next(&present, &line), 0);
    assert_true(slice_equal(line.info, SLICE_LIT("{\"a\":1}")));
    assert_true(slice_equal(line.user, SLICE_LIT("ann")));
    kit_world_tell(w, w->g, MESSAGE_LEAVE, "{\"room\":\"r0\",\"client\":\"c2\"}\n");
    assert_int_equal(count_present(w, w->g, "c2"), 0);
    /* The session moved to the other gateway; the first one's farewell comes late. */
    kit_world_tell(w, w->h, MESSAGE_JOIN, "{\"room\":\"r0\",\"client\":\"c1\",\"user\":\"ann\"}\n");
    kit_world_tell(w, w->g, MESSAGE_LEAVE, "{\"room\":\"r0\",\"client\":\"c1\"}\n");
    assert_int_equal(count_present(w, w->g, "c1"), 1);
    kit_world_tell(w, w->g, MESSAGE_LEAVE, "{\"room\":\"nowhere\",\"client\":\"c1\"}\n");
    kit_world_attach(w, w->h); /* with nobody */
    assert_int_equal(count_present(w, w->g, NULL), 0);
    assert_int_equal(partition_members(w->o->machine), 1);
}

static void a_crowd_is_counted_and_not_listed(void **state)
{
    struct kit_world *w = *state;
    struct buf body = BUF_EMPTY;
    size_t max = (size_t)w->kit.conf.presence_max;

    kit_world_attach(w, w->g);
    for (size_t i = 0; i < max; i++) {
        buf_addf(&body, "{\"room\":\"r0\",\"client\":\"c%zu\",\"user\":\"u%zu\"}\n", i, i % 7);
    }
    buf_add(&body, "", 1);
    kit_world_tell(w, w->g, MESSAGE_JOIN, body.at);
    buf_deinit(&body);
    assert_int_equal(count_present(w, w->g, NULL), max);
    assert_true(numbers(w->g).complete);
    kit_world_tell(w, w->g, MESSAGE_JOIN,
                   "{\"room\":\"r0\",\"client\":\"one more\",\"user\":\"u1\"}\n");
    assert_int_equal(count_present(w, w->g, NULL), 0);
    assert_false(numbers(w->g).complete);
    assert_int_equal(numbers(w->g).clients, max + 1);
    assert_int_equal(numbers(w->g).users, 7);
    assert_int_equal(stat_get(&w->kit.stats.limits.met[OWNER_LIMIT_PRESENCE_MAX]), 1);
}

static void numbers_can_be_had_without_the_list(void **state)
{
    struct kit_world *w = *state;
    struct line line;

    kit_world_attach(w, w->g);
    kit_world_tell(w, w->g, MESSAGE_JOIN, "{\"room\":\"r0\",\"client\":\"c1\",\"user\":\"ann\"}\n");
    kit_world_tell(w, w->g, MESSAGE_PRESENCE, "{\"room\":\"r0\",\"count\":true}\n");
    struct slice rest = kit_last(w->g, MESSAGE_PRESENT)->m.body;
    assert_int_equal(line_next(&rest, &line), 0);
    assert_int_equal(line.clients, 1);
    assert_int_equal(line.users, 1);
    assert_int_equal(line_next(&rest, &line), LINE_END);
}

static void mail_that_cannot_be_understood_is_counted_and_does_nothing(void **state)
{
    struct kit_world *w = *state;

    kit_world_attach(w, w->g);
    kit_world_tell(w, w->g, MESSAGE_JOIN, "rubbish");
    kit_world_tell(w, w->g, MESSAGE_JOIN, "{\"lane\":\"aaaaaaaaaaaaaaaa\"}\n");
    kit_world_tell(w, w->g, MESSAGE_PUBLISH, "{}");
    kit_world_tell(w, w->g, MESSAGE_PRESENCE, "");
    assert_int_equal(stat_get(&w->kit.stats.poisoned), 4);
    assert_int_equal(partition_rooms(w->o->machine), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_world_start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(presence_knows_who_is_in_a_room_until_session_or_gateway_leave),
        TEST(a_crowd_is_counted_and_not_listed),
        TEST(numbers_can_be_had_without_the_list),
        TEST(mail_that_cannot_be_understood_is_counted_and_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
