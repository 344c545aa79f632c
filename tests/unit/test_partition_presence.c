/* test_partition_presence.c: who is in which room, and mail that makes no sense. */
#include "tests/unit/partition_kit.h"

struct world {
    struct kit kit;
    struct kit_owner *o;
    struct kit_gateway *g, *h;
    struct line numbers; /* of the last answer */
};

static int start(void **state)
{
    struct world *w = mem_new(struct world);

    kit_init(&w->kit, 1);
    w->o = kit_owner_settled(&w->kit);
    w->g = kit_gateway_start(&w->kit, 0);
    w->h = kit_gateway_start(&w->kit, 1);
    *state = w;
    return 0;
}

static int stop(void **state)
{
    struct world *w = *state;

    kit_deinit(&w->kit);
    assert_string_equal(w->kit.fault, "");
    mem_free(w);
    return 0;
}

static void run(struct world *w)
{
    bool is_busy = true;

    while (is_busy) {
        kit_run(&w->kit, w->o);
        is_busy = false;
        for (size_t i = 0; i < KIT_GATEWAYS; i++) {
            while (kit_gateway_take(&w->kit, &w->kit.gateways[i])) {
                is_busy = true;
            }
        }
    }
}

static void attach(struct world *w, struct kit_gateway *g)
{
    kit_gateway_attach(&w->kit, g);
    run(w);
}

/* A gateway's question or news about members. */
static void tell(struct world *w, struct kit_gateway *g, enum message_type type, const char *body)
{
    kit_write(&w->kit,
              &(struct message){.type = type,
                                .partition = KIT_PARTITION,
                                .gateway = slice_of(g->id),
                                .boot = slice_of(g->boot),
                                .link = g->link,
                                .number = type == MESSAGE_PRESENCE ? 0 : ++g->number_out,
                                .request = 77},
              slice_of(body));
    run(w);
}

static size_t count_present(struct world *w, struct kit_gateway *g, const char *client)
{
    struct line line;
    size_t count = 0;

    tell(w, g, MESSAGE_PRESENCE, "{\"room\":\"r0\"}\n");
    const struct letter *l = kit_last(g, MESSAGE_PRESENT);
    assert_int_equal(l->m.request, 77);
    struct slice rest = l->m.body;
    assert_int_equal(line_next(&rest, &line), 0);
    assert_int_equal(line.client.size, 0); /* the numbers come first */
    w->numbers = line;
    while (line_next(&rest, &line) == 0) {
        count += client == NULL || slice_equal(line.client, slice_of(client));
    }
    return count;
}

static void presence_knows_who_is_in_a_room_until_session_or_gateway_leave(void **state)
{
    struct world *w = *state;

    attach(w, w->g);
    attach(w, w->h);
    assert_int_equal(count_present(w, w->g, NULL), 0);
    tell(w, w->g, MESSAGE_JOIN,
         "{\"room\":\"r0\",\"client\":\"c1\",\"user\":\"ann\",\"info\":{\"a\":1}}\n"
         "{\"room\":\"r0\",\"client\":\"c2\",\"user\":\"ann\"}\n"
         "{\"room\":\"r1\",\"client\":\"c1\",\"user\":\"ann\"}\n");
    tell(w, w->h, MESSAGE_JOIN, "{\"room\":\"r0\",\"client\":\"c3\",\"user\":\"bob\"}\n");
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
    tell(w, w->g, MESSAGE_LEAVE, "{\"room\":\"r0\",\"client\":\"c2\"}\n");
    assert_int_equal(count_present(w, w->g, "c2"), 0);
    /* The session moved to the other gateway; the first one's farewell comes late. */
    tell(w, w->h, MESSAGE_JOIN, "{\"room\":\"r0\",\"client\":\"c1\",\"user\":\"ann\"}\n");
    tell(w, w->g, MESSAGE_LEAVE, "{\"room\":\"r0\",\"client\":\"c1\"}\n");
    assert_int_equal(count_present(w, w->g, "c1"), 1);
    tell(w, w->g, MESSAGE_LEAVE, "{\"room\":\"nowhere\",\"client\":\"c1\"}\n");
    attach(w, w->h); /* with nobody */
    assert_int_equal(count_present(w, w->g, NULL), 0);
    assert_int_equal(partition_members(w->o->machine), 1);
}

static void a_crowd_is_counted_and_not_listed(void **state)
{
    struct world *w = *state;
    struct buf body = BUF_EMPTY;
    size_t max = (size_t)w->kit.conf.presence_max;

    attach(w, w->g);
    for (size_t i = 0; i < max; i++) {
        buf_addf(&body, "{\"room\":\"r0\",\"client\":\"c%zu\",\"user\":\"u%zu\"}\n", i, i % 7);
    }
    buf_add(&body, "", 1);
    tell(w, w->g, MESSAGE_JOIN, body.at);
    buf_deinit(&body);
    assert_int_equal(count_present(w, w->g, NULL), max);
    assert_true(w->numbers.complete);
    tell(w, w->g, MESSAGE_JOIN, "{\"room\":\"r0\",\"client\":\"one more\",\"user\":\"u1\"}\n");
    assert_int_equal(count_present(w, w->g, NULL), 0);
    assert_false(w->numbers.complete);
    assert_int_equal(w->numbers.clients, max + 1);
    assert_int_equal(w->numbers.users, 7);
}

static void numbers_can_be_had_without_the_list(void **state)
{
    struct world *w = *state;
    struct line line;

    attach(w, w->g);
    tell(w, w->g, MESSAGE_JOIN, "{\"room\":\"r0\",\"client\":\"c1\",\"user\":\"ann\"}\n");
    tell(w, w->g, MESSAGE_PRESENCE, "{\"room\":\"r0\",\"count\":true}\n");
    struct slice rest = kit_last(w->g, MESSAGE_PRESENT)->m.body;
    assert_int_equal(line_next(&rest, &line), 0);
    assert_int_equal(line.clients, 1);
    assert_int_equal(line.users, 1);
    assert_int_equal(line_next(&rest, &line), LINE_END);
}

static void mail_that_cannot_be_understood_is_counted_and_does_nothing(void **state)
{
    struct world *w = *state;

    attach(w, w->g);
    tell(w, w->g, MESSAGE_JOIN, "rubbish");
    tell(w, w->g, MESSAGE_JOIN, "{\"lane\":\"aaaaaaaaaaaaaaaa\"}\n");
    tell(w, w->g, MESSAGE_PUBLISH, "{}");
    tell(w, w->g, MESSAGE_PRESENCE, "");
    assert_int_equal(stat_get(&w->kit.stats.poisoned), 4);
    assert_int_equal(partition_rooms(w->o->machine), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(presence_knows_who_is_in_a_room_until_session_or_gateway_leave),
        TEST(a_crowd_is_counted_and_not_listed),
        TEST(numbers_can_be_had_without_the_list),
        TEST(mail_that_cannot_be_understood_is_counted_and_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
