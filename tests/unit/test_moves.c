/*
 * test_moves.c: what a gateway tells its owner about members, and whom it tells of joins and
 * leaves.
 */
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"
#define MOVED(client, more)                                                                        \
    "{\"room\":\"" ROOM "\",\"client\":\"" client "\",\"user\":\"u\"" more "}\n"
#define JOIN(client)                                                                               \
    "{\"push\":{\"channel\":\"" ROOM "\",\"join\":{\"info\":{\"user\":\"u\",\"client\":\"" client  \
    "\"}}}}"
#define LEAVE(client)                                                                              \
    "{\"push\":{\"channel\":\"" ROOM "\",\"leave\":{\"info\":{\"user\":\"u\",\"client\":\"" client \
    "\"}}}}"

/* Subscribes, asking for joins and leaves, to a room that has no position yet. */
static void ask(struct peer *p, struct kit *k, const char *user)
{
    peer_connect(p, k, user);
    peer_send(p, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\",\"join_leave\":true}}");
    kit_settle(k);
}

static void who_asks_is_told_and_nobody_else(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob, joe;

    kit_begin(&k);
    ask(&ann, &k, "ann");
    kit_position(&k, ROOM, "e1", 3);
    peer_expect_part(&ann, "{\"id\":2,\"subscribe\":");
    peer_join(&bob, &k, "bob", ROOM);
    peer_open(&joe, &k, DIALECT_PLAIN, "joe", ROOM);
    kit_settle(&k);
    kit_say(&k, kit_partition(ROOM), MESSAGE_MOVES,
            MOVED("c1", ",\"info\":{\"a\":1}") MOVED("c2", "") MOVED("c1", ",\"left\":true"));
    peer_expect(&ann,
                "{\"push\":{\"channel\":\"" ROOM "\",\"join\":{\"info\":{\"user\":\"u\","
                "\"client\":\"c1\",\"conn_info\":{\"a\":1}}}}}\n" JOIN("c2") "\n" LEAVE("c1"));
    peer_expect_nothing(&bob);
    peer_expect_nothing(&joe);
    peer_end(&ann);
    peer_end(&bob);
    peer_end(&joe);
    kit_end(&k);
}

static void a_rule_asks_for_everybody_but_the_plain(void **state)
{
    (void)state;
    struct kit k;
    struct peer bob, joe;

    kit_begin(&k);
    k.conf.rules.defaults.join_leave = true;
    peer_connect(&bob, &k, "bob");
    peer_subscribe(&bob, ROOM);
    kit_position(&k, ROOM, "e1", 3);
    peer_expect_part(&bob, "{\"id\":2,\"subscribe\":");
    peer_open(&joe, &k, DIALECT_PLAIN, "joe", ROOM);
    kit_settle(&k);
    kit_say(&k, kit_partition(ROOM), MESSAGE_MOVES, MOVED("c1", ""));
    peer_expect(&bob, JOIN("c1"));
    peer_expect_nothing(&joe);
    peer_end(&bob);
    peer_end(&joe);
    kit_end(&k);
}

static void who_may_not_ask_who_is_here_is_not_told_either(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;
    static char staff[] = "staff", *roles[] = {staff, NULL};
    char presence_for[] = "staff";

    kit_begin(&k);
    char *everybody = k.conf.rules.defaults.presence_for;
    k.conf.rules.defaults.presence_for = presence_for;
    k.conf.rules.defaults.join_leave = true;
    ask(&ann, &k, "ann");
    kit_position(&k, ROOM, "e1", 3);
    peer_expect_part(&ann, "{\"id\":2,\"subscribe\":");
    peer_open_with_events(&bob, &k, "bob", ROOM);
    peer_expect(&bob, "{\"event\":\"entered\",\"room\":\"" ROOM "\"}");
    kit_say(&k, kit_partition(ROOM), MESSAGE_MOVES, MOVED("c1", ""));
    peer_expect_nothing(&ann);
    peer_expect_nothing(&bob);
    peer_session(&ann)->identity->roles = roles;
    kit_say(&k, kit_partition(ROOM), MESSAGE_MOVES, MOVED("c2", ""));
    peer_expect(&ann, JOIN("c2"));
    peer_expect_nothing(&bob);
    peer_session(&ann)->identity->roles = NULL;
    k.conf.rules.defaults.presence_for = everybody;
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static void owners_hear_whether_anybody_wants_to_know(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;
    const char wanted[] = "{\"room\":\"" ROOM "\",\"moves\":true}\n";

    kit_begin(&k);
    peer_connect(&bob, &k, "bob");
    peer_subscribe(&bob, ROOM);
    kit_position(&k, ROOM, "e1", 3);
    kit_drop(&k, MESSAGE_JOIN);
    ask(&ann, &k, "ann");
    struct bus_out *out = kit_take(&k, MESSAGE_JOIN);
    assert_memory_equal(out->body->bytes, wanted, sizeof(wanted) - 1);
    bus_out_free(out);
    peer_send(&ann, "{\"id\":3,\"unsubscribe\":{\"channel\":\"" ROOM "\"}}");
    out = kit_take(&k, MESSAGE_LEAVE);
    assert_non_null(memmem(out->body->bytes, out->body->size, wanted, sizeof(wanted) - 1));
    bus_out_free(out);
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static void members_that_were_told_before_are_told_as_such(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;

    kit_begin(&k);
    ask(&ann, &k, "ann");
    struct bus_out *out = kit_take(&k, MESSAGE_ATTACH);
    assert_non_null(memmem(out->body->bytes, out->body->size, "\"moves\":true", 12));
    assert_null(memmem(out->body->bytes, out->body->size, "\"again\"", 7));
    k.bus.sent[k.bus.count++] = out;
    kit_position(&k, ROOM, "e1", 3);
    kit_skip(1000); /* links do not begin anew at once */
    kit_announce(&k, kit_partition(ROOM), KIT_TERM + 1);
    peer_join(&bob, &k, "bob", ROOM);
    out = kit_take(&k, MESSAGE_ATTACH);
    const char *again = memmem(out->body->bytes, out->body->size, "\"again\":true", 12);
    assert_non_null(again);
    struct slice rest = {again + 1, out->body->size - (size_t)(again + 1 - out->body->bytes)};
    assert_null(memmem(rest.at, rest.size, "\"again\":true", 12)); /* bob is new */
    bus_out_free(out);
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static void news_that_cannot_be_read_are_poison(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;

    kit_begin(&k);
    ask(&ann, &k, "ann");
    kit_position(&k, ROOM, "e1", 3);
    peer_expect_part(&ann, "{\"id\":2,\"subscribe\":");
    kit_say(&k, kit_partition(ROOM), MESSAGE_MOVES,
            "{\"room\":\"elsewhere\",\"client\":\"x\"}\n" MOVED("c1", "") "rubbish\n");
    peer_expect(&ann, JOIN("c1"));
    assert_int_equal(stat_get(&k.gateway.metrics.poisoned), 1);
    peer_end(&ann);
    kit_end(&k);
}

static void the_plain_dialect_has_events_when_it_asks(void **state)
{
    (void)state;
    struct kit k;
    struct peer joe;

    kit_begin(&k);
    peer_open_with_events(&joe, &k, "joe", ROOM);
    kit_position(&k, ROOM, "e1", 3);
    peer_expect(&joe, "{\"event\":\"entered\",\"room\":\"" ROOM "\"}");
    kit_say(&k, kit_partition(ROOM), MESSAGE_MOVES, MOVED("c1", "") MOVED("c1", ",\"left\":true"));
    peer_expect(&joe, "{\"event\":\"join\",\"user\":\"u\",\"client\":\"c1\"}");
    peer_expect(&joe, "{\"event\":\"leave\",\"user\":\"u\",\"client\":\"c1\"}");
    peer_end(&joe);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_is_told_and_nobody_else),
        cmocka_unit_test(a_rule_asks_for_everybody_but_the_plain),
        cmocka_unit_test(who_may_not_ask_who_is_here_is_not_told_either),
        cmocka_unit_test(owners_hear_whether_anybody_wants_to_know),
        cmocka_unit_test(members_that_were_told_before_are_told_as_such),
        cmocka_unit_test(news_that_cannot_be_read_are_poison),
        cmocka_unit_test(the_plain_dialect_has_events_when_it_asks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
