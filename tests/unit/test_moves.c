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
    assert_non_null(again); /* they were wanted before */
    again = memmem(again + 1, out->body->size - (size_t)(again + 1 - out->body->bytes),
                   "\"again\":true", 12);
    assert_non_null(again);
    struct slice rest = {again + 1, out->body->size - (size_t)(again + 1 - out->body->bytes)};
    assert_null(memmem(rest.at, rest.size, "\"again\":true", 12)); /* bob is new */
    bus_out_free(out);
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static void nobody_is_told_twice_of_what_two_owners_say(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    uint32_t partition = kit_partition(ROOM);

    kit_begin(&k);
    ask(&ann, &k, "ann");
    kit_position(&k, ROOM, "e1", 3);
    peer_expect_part(&ann, "{\"id\":2,\"subscribe\":");
    kit_say(&k, partition, MESSAGE_MOVES, MOVED("c1", "") MOVED("c2", "") MOVED("c1", ""));
    peer_expect(&ann, JOIN("c1") "\n" JOIN("c2"));
    kit_announce(&k, partition, KIT_TERM);
    kit_skip(100);
    kit_position(&k, ROOM, "e1", 3);
    kit_say(&k, partition, MESSAGE_MOVES, MOVED("c2", "") MOVED("c1", ",\"left\":true"));
    peer_expect(&ann, LEAVE("c1"));
    kit_say(&k, partition, MESSAGE_MOVES, MOVED("c1", ",\"left\":true") MOVED("c1", ""));
    peer_expect(&ann, JOIN("c1"));

    /* Who asks when nobody was told for a while knows nothing yet. */
    peer_send(&ann, "{\"id\":3,\"unsubscribe\":{\"channel\":\"" ROOM "\"}}");
    peer_expect(&ann, "{\"id\":3,\"unsubscribe\":{}}");
    peer_send(&ann, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\",\"join_leave\":true}}");
    kit_settle(&k);
    kit_say(&k, partition, MESSAGE_POSITIONS,
            "{\"room\":\"" ROOM "\",\"epoch\":\"e1\",\"offset\":3}\n");
    peer_expect_part(&ann, "\"subscribe\":");
    kit_say(&k, partition, MESSAGE_MOVES, MOVED("c1", ""));
    peer_expect(&ann, JOIN("c1"));
    peer_end(&ann);
    kit_end(&k);
}

/* The next attach of the room, taken by an owner that answers, or by none. */
static bool attach_says(struct kit *k, const char *client, const char *more, bool is_answered)
{
    char want[256];

    kit_skip(100); /* links pause between two attaches */
    struct bus_out *out = kit_take_of(k, MESSAGE_ATTACH, kit_partition(ROOM));
    const char *at = memmem(out->body->bytes, out->body->size, client, strlen(client));
    size_t behind = at != NULL ? out->body->size - (size_t)(at - out->body->bytes) : 0;
    const char *end = at != NULL ? memchr(at, '\n', behind) : NULL;

    snprintf(want, sizeof(want), "%s}\n", more);
    bool says = end != NULL && (size_t)(end - at) >= strlen(want) - 1 &&
                memcmp(end + 1 - strlen(want), want, strlen(want)) == 0;
    if (is_answered) {
        k->bus.sent[k->bus.count++] = out;
        kit_position(k, ROOM, "e1", 3);
    } else {
        bus_out_free(out);
    }
    return says;
}

/* The line that `at` stands in ends in LF, as all do. */
static bool line_has(const char *at, const char *what)
{
    const char *end = memchr(at, '\n', 4096);

    return memmem(at, (size_t)(end - at), what, strlen(what)) != NULL;
}

static void a_member_is_known_when_an_owner_has_surely_heard_of_it(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob;
    uint32_t partition = kit_partition(ROOM);
    const char again[] = ",\"again\":true";
    char first[CLIENT_ID_SIZE + 1], second[CLIENT_ID_SIZE + 1];

    kit_begin(&k);
    ask(&ann, &k, "ann");
    memcpy(first, peer_session(&ann)->client, sizeof(first));
    assert_false(attach_says(&k, first, again, false)); /* lost with its owner */
    kit_announce(&k, partition, KIT_TERM);
    assert_false(attach_says(&k, first, again, true));
    peer_expect_part(&ann, "{\"id\":2,\"subscribe\":");
    peer_join(&bob, &k, "bob", ROOM);
    memcpy(second, peer_session(&bob)->client, sizeof(second));
    kit_drop(&k, MESSAGE_JOIN); /* lost, too: it was not followed by an answer */
    kit_announce(&k, partition, KIT_TERM);
    kit_skip(100);
    struct bus_out *out = kit_take_of(&k, MESSAGE_ATTACH, partition);
    const char *text = out->body->bytes;
    size_t size = out->body->size;
    const char *one = memmem(text, size, first, CLIENT_ID_SIZE);
    const char *other = memmem(text, size, second, CLIENT_ID_SIZE);
    assert_non_null(one);
    assert_non_null(other);
    assert_int_equal(1, line_has(one, again));
    assert_int_equal(0, line_has(other, again));
    bus_out_free(out);
    kit_announce(&k, partition, KIT_TERM);
    assert_false(attach_says(&k, second, again, true));
    kit_announce(&k, partition, KIT_TERM);
    assert_true(attach_says(&k, second, again, true));

    /* An answer to a sign of life says the same of those who came on a link. */
    peer_end(&bob);
    peer_join(&bob, &k, "bob", ROOM);
    memcpy(second, peer_session(&bob)->client, sizeof(second));
    kit_skip(LINK_ALIVE_MS + 500);
    kit_tick(&k);
    bus_out_free(kit_take_of(&k, MESSAGE_ALIVE, partition));
    kit_say(&k, partition, MESSAGE_DELIVER, "");
    kit_announce(&k, partition, KIT_TERM);
    assert_true(attach_says(&k, second, again, true));
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static void the_next_owner_hears_that_they_were_wanted_before(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann;
    const char wanted[] = "{\"room\":\"" ROOM "\",\"moves\":true";

    kit_begin(&k);
    ask(&ann, &k, "ann");
    assert_false(attach_says(&k, wanted, ",\"again\":true", true));
    peer_expect_part(&ann, "{\"id\":2,\"subscribe\":");
    kit_announce(&k, kit_partition(ROOM), KIT_TERM);
    assert_true(attach_says(&k, wanted, ",\"again\":true", true));
    peer_send(&ann, "{\"id\":3,\"unsubscribe\":{\"channel\":\"" ROOM "\"}}");
    peer_expect(&ann, "{\"id\":3,\"unsubscribe\":{}}");
    peer_send(&ann, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\",\"join_leave\":true}}");
    kit_settle(&k);
    kit_announce(&k, kit_partition(ROOM), KIT_TERM);
    assert_true(attach_says(&k, wanted, ",\"again\":true", true)); /* the join has asked */
    peer_end(&ann);
    kit_end(&k);
}

static void who_left_unheard_is_told_to_the_next_owner(void **state)
{
    (void)state;
    struct kit k;
    struct peer ann, bob, cid;
    uint32_t partition = kit_partition(ROOM);
    const char left[] = ",\"left\":true";
    char early[CLIENT_ID_SIZE + 1], late[CLIENT_ID_SIZE + 1];

    kit_begin(&k);
    ask(&ann, &k, "ann");
    kit_position(&k, ROOM, "e1", 3);
    peer_expect_part(&ann, "{\"id\":2,\"subscribe\":");
    peer_join(&bob, &k, "bob", ROOM);
    peer_join(&cid, &k, "cid", ROOM);
    memcpy(early, peer_session(&bob)->client, sizeof(early));
    memcpy(late, peer_session(&cid)->client, sizeof(late));
    peer_end(&bob); /* its leave is lost with its owner */
    kit_settle(&k);
    kit_announce(&k, partition, KIT_TERM);
    peer_end(&cid); /* nobody can be told */
    kit_settle(&k);
    assert_true(attach_says(&k, early, left, false));
    kit_announce(&k, partition, KIT_TERM);
    assert_true(attach_says(&k, late, left, true));
    kit_announce(&k, partition, KIT_TERM);
    assert_false(attach_says(&k, late, left, true));
    peer_end(&ann);
    kit_end(&k);
}

static void the_last_one_to_leave_is_told_of_as_well(void **state)
{
    (void)state;
    struct kit k;
    struct peer bob;
    uint32_t partition = kit_partition(ROOM);
    char client[CLIENT_ID_SIZE + 1];

    kit_begin(&k);
    peer_connect(&bob, &k, "bob");
    peer_subscribe(&bob, ROOM);
    kit_position(&k, ROOM, "e1", 3);
    peer_expect_part(&bob, "{\"id\":2,\"subscribe\":");
    memcpy(client, peer_session(&bob)->client, sizeof(client));
    peer_end(&bob); /* nobody is in any room: its leave is lost with its owner */
    kit_settle(&k);
    kit_announce(&k, partition, KIT_TERM);
    assert_true(attach_says(&k, client, ",\"left\":true", false));
    kit_announce(&k, partition, KIT_TERM);
    kit_skip(100);
    kit_attach(&k, partition);
    kit_say(&k, partition, MESSAGE_POSITIONS, "");
    kit_announce(&k, partition, KIT_TERM);
    kit_skip(100);
    kit_expect_none(&k, MESSAGE_ATTACH); /* it was heard: there is nothing to say any more */
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
        cmocka_unit_test(nobody_is_told_twice_of_what_two_owners_say),
        cmocka_unit_test(a_member_is_known_when_an_owner_has_surely_heard_of_it),
        cmocka_unit_test(the_next_owner_hears_that_they_were_wanted_before),
        cmocka_unit_test(who_left_unheard_is_told_to_the_next_owner),
        cmocka_unit_test(the_last_one_to_leave_is_told_of_as_well),
        cmocka_unit_test(news_that_cannot_be_read_are_poison),
        cmocka_unit_test(the_plain_dialect_has_events_when_it_asks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
