/*
 * test_sight.c: a session gets the records that it may see, live and later, and no others; those
 * that it may not see move it on all the same.
 */
#include "common/mem.h"
#include "proto/line.h"
#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"
#define TOP "{\"room\":\"" ROOM "\",\"epoch\":\"k1\",\"offset\":%d,\"complete\":true}\n"

static void give_role(struct peer *p, const char *role)
{
    struct identity *i = peer_session(p)->identity;

    assert_null(i->roles);
    i->roles = mem_zalloc(2, sizeof(i->roles[0]));
    i->roles[0] = mem_copy_text(role, strlen(role));
    i->mark |= identity_mark(slice_of(role));
}

static void add(struct buf *out, uint64_t offset, const char *audience)
{
    char payload[32];

    snprintf(payload, sizeof(payload), "{\"n\":%" PRIu64 "}", offset);
    record_encode(out, &(struct record){
                           .room = SLICE_LIT(ROOM),
                           .offset = offset,
                           .epoch = SLICE_LIT("k1"),
                           .audience = slice_of(audience),
                           .payload = slice_of(payload),
                       });
}

/* Delivers records with these audiences, from `first` on. */
static void deliver(struct kit *k, uint64_t first, const char *const *audiences, size_t count)
{
    struct buf body = BUF_EMPTY;

    for (size_t i = 0; i < count; i++) {
        add(&body, first + i, audiences[i]);
    }
    buf_add_char(&body, '\0');
    kit_say(k, kit_partition(ROOM), MESSAGE_DELIVER, body.at);
    buf_deinit(&body);
    kit_settle(k);
}

struct world {
    struct kit k;
    struct peer ann, bob, mod, nobody;
};

static void begin(struct world *w)
{
    kit_init(&w->k);
    w->k.conf.anonymous = true;
    kit_start(&w->k);
    peer_connect(&w->ann, &w->k, "ann");
    peer_send(&w->ann, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(&w->k, ROOM, "k1", 0);
    peer_expect_part(&w->ann, "\"subscribe\"");
    peer_join(&w->bob, &w->k, "bob", ROOM);
    peer_join(&w->mod, &w->k, "mod", ROOM);
    give_role(&w->mod, "moderator");
    peer_join(&w->nobody, &w->k, "", ROOM);
}

static void end(struct world *w)
{
    peer_end(&w->ann);
    peer_end(&w->bob);
    peer_end(&w->mod);
    peer_end(&w->nobody);
    kit_end(&w->k);
}

static uint64_t kept_back(const struct world *w, enum audience_rule rule)
{
    return stat_get(&w->k.gateway.metrics.kept_back[rule]);
}

static void each_session_gets_what_it_may_see(void **state)
{
    (void)state;
    struct world w;
    char not_ann[96], for_nobody[96];

    begin(&w);
    snprintf(not_ann, sizeof(not_ann), "{\"by\":\"echo\",\"not\":\"%s\"}",
             peer_session(&w.ann)->client);
    snprintf(for_nobody, sizeof(for_nobody),
             "{\"by\":\"hidden\",\"roles\":[\"x\"],\"client\":\"%s\"}",
             peer_session(&w.nobody)->client);
    const char *const audiences[] = {
        "",
        "{\"by\":\"payload\",\"users\":[\"ann\",\"bob\"]}",
        "{\"by\":\"muted\",\"roles\":[\"moderator\"],\"users\":[\"bob\"]}",
        "",
        not_ann,
        for_nobody,
        "{\"by\":\"payload\",\"users\":[\"an\",\"anne\",\"moderator\"],\"roles\":[\"ann\",\"bob\"]"
        "}",
        "{\"by\":\"age\",\"users\":[\"ann\"],\"above\":18}",
        "",
    };

    deliver(&w.k, 1, audiences, ARRAY_LEN(audiences));
    static const struct {
        size_t peer;
        uint64_t offsets[8];
    } seen[] = {
        {0, {1, 2, 4, 9}}, {1, {1, 2, 3, 4, 5, 9}}, {2, {1, 3, 4, 5, 9}}, {3, {1, 4, 5, 6, 9}}};
    struct peer *const peers[] = {&w.ann, &w.bob, &w.mod, &w.nobody};

    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        for (size_t n = 0; seen[i].offsets[n] != 0; n++) {
            peer_expect_records(peers[i], ROOM, seen[i].offsets[n], seen[i].offsets[n]);
        }
        peer_expect_nothing(peers[i]);
    }
    assert_int_equal(kept_back(&w, AUDIENCE_BY_PAYLOAD), 2 + 4);
    assert_int_equal(kept_back(&w, AUDIENCE_BY_MUTED), 2);
    assert_int_equal(kept_back(&w, AUDIENCE_BY_ECHO), 1);
    assert_int_equal(kept_back(&w, AUDIENCE_BY_HIDDEN), 3);
    assert_int_equal(kept_back(&w, AUDIENCE_RULES), 4);
    end(&w);
}

static void the_plain_dialect_obeys_too(void **state)
{
    (void)state;
    static const char *const audiences[] = {"{\"by\":\"payload\",\"users\":[\"eve\"]}",
                                            "{\"by\":\"payload\",\"users\":[\"ann\"]}", ""};
    struct world w;
    struct peer eve, fay;

    begin(&w);
    peer_open(&eve, &w.k, DIALECT_PLAIN, "eve", ROOM);
    peer_open(&fay, &w.k, DIALECT_PLAIN, "fay", ROOM);
    kit_settle(&w.k);
    deliver(&w.k, 1, audiences, ARRAY_LEN(audiences));
    peer_expect_plain(&eve, 1, 1);
    peer_expect_plain(&eve, 3, 3);
    peer_expect_plain(&fay, 3, 3);
    peer_expect_nothing(&fay);
    peer_end(&eve);
    peer_end(&fay);
    end(&w);
}

static void come_back(struct world *w, struct peer *p, const char *user, uint64_t offset)
{
    char text[160];

    peer_connect(p, &w->k, user);
    snprintf(text, sizeof(text),
             "{\"id\":7,\"subscribe\":{\"channel\":\"" ROOM
             "\",\"recover\":true,\"epoch\":\"k1\",\"offset\":%" PRIu64 "}}",
             offset);
    peer_send(p, text);
    kit_settle(&w->k);
}

static void expect_recovered(struct peer *p, uint64_t offset, const char *publications)
{
    char want[512], at[32] = "";

    if (offset > 0) {
        snprintf(at, sizeof(at), "\"offset\":%" PRIu64 ",", offset);
    }
    snprintf(want, sizeof(want),
             "{\"id\":7,\"subscribe\":{\"recoverable\":true,\"positioned\":true,\"epoch\":\"k1\","
             "%s\"recovered\":true,\"was_recovering\":true%s}}",
             at, publications);
    peer_expect(p, want);
    peer_end(p);
}

static const char *const stored[] = {"", "{\"by\":\"payload\",\"users\":[\"ann\"]}", "",
                                     "{\"by\":\"payload\",\"users\":[\"bob\"]}"};

#define PUB(n) "{\"data\":{\"n\":" #n "},\"offset\":" #n "}"

static void what_was_missed_comes_without_what_may_not_be_seen(void **state)
{
    (void)state;
    struct world w;
    struct peer p;

    begin(&w);
    deliver(&w.k, 1, stored, ARRAY_LEN(stored));
    for (int again = 0; again < 2; again++) { /* nothing that was put together for another one */
        come_back(&w, &p, "ann", 0);
        expect_recovered(&p, 0, ",\"publications\":[" PUB(1) "," PUB(2) "," PUB(3) "]");
        come_back(&w, &p, "bob", 0);
        expect_recovered(&p, 0, ",\"publications\":[" PUB(1) "," PUB(3) "," PUB(4) "]");
        come_back(&w, &p, "cy", 0);
        expect_recovered(&p, 0, ",\"publications\":[" PUB(1) "," PUB(3) "]");
        come_back(&w, &p, "cy", 3); /* all that it missed: it is told where it is now */
        expect_recovered(&p, 4, "");
    }
    kit_expect_none(&w.k, MESSAGE_HISTORY);
    end(&w);
}

static void add_stored(struct buf *body)
{
    buf_addf(body, TOP, 4);
    for (size_t i = 0; i < ARRAY_LEN(stored); i++) {
        add(body, i + 1, stored[i]);
    }
    buf_add_char(body, '\0');
}

static void what_the_owner_remembers_is_filtered_for_each(void **state)
{
    (void)state;
    static const char *const users[] = {"ann", "bob", "cy", "cy"};
    static const char *const want[] = {",\"publications\":[" PUB(1) "," PUB(2) "," PUB(3) "]",
                                       ",\"publications\":[" PUB(1) "," PUB(3) "," PUB(4) "]",
                                       ",\"publications\":[" PUB(1) "," PUB(3) "]",
                                       ",\"publications\":[" PUB(1) "," PUB(3) "]"};
    struct peer back[ARRAY_LEN(users)];
    struct buf body = BUF_EMPTY;
    struct world w;

    kit_begin(&w.k);
    peer_connect(&w.ann, &w.k, "keeper");
    peer_send(&w.ann, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\"}}");
    kit_position(&w.k, ROOM, "k1", 4); /* nothing in the gateway's memory */
    peer_expect_part(&w.ann, "\"subscribe\"");
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        come_back(&w, &back[i], users[i], 0);
    }
    add_stored(&body);
    kit_answer(&w.k, MESSAGE_HISTORY, MESSAGE_PAST, body.at);
    kit_settle(&w.k);
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        expect_recovered(&back[i], 0, want[i]);
    }
    buf_deinit(&body);
    peer_end(&w.ann);
    kit_end(&w.k);
}

static void history_shows_as_many_as_were_asked_for_of_those_that_may_be_seen(void **state)
{
    (void)state;
    struct buf body = BUF_EMPTY;
    struct world w;

    begin(&w);
    add_stored(&body);
    deliver(&w.k, 1, stored, ARRAY_LEN(stored));
    peer_expect_part(&w.ann, "\"n\":1}");
    peer_expect_part(&w.ann, "\"n\":2}");
    peer_expect_part(&w.ann, "\"n\":3}");
    peer_send(&w.ann, "{\"id\":7,\"history\":{\"channel\":\"" ROOM "\",\"limit\":2}}");
    kit_answer(&w.k, MESSAGE_HISTORY, MESSAGE_PAST, body.at);
    peer_expect(&w.ann, "{\"id\":7,\"history\":{\"publications\":[" PUB(1) "," PUB(
                            2) "],\"epoch\":\"k1\",\"offset\":4}}");
    peer_send(&w.nobody, "{\"id\":7,\"history\":{\"channel\":\"" ROOM "\",\"limit\":2}}");
    kit_expect_body(&w.k, MESSAGE_HISTORY, "{\"room\":\"" ROOM "\",\"limit\":300}\n");
    peer_send(&w.bob, "{\"id\":7,\"history\":{\"channel\":\"" ROOM "\",\"limit\":-1}}");
    kit_answer(&w.k, MESSAGE_HISTORY, MESSAGE_PAST, body.at);
    for (int i = 0; i < 3; i++) {
        (void)peer_next(&w.bob);
    }
    peer_expect(&w.bob, "{\"id\":7,\"history\":{\"publications\":[" PUB(1) "," PUB(3) "," PUB(
                            4) "],\"epoch\":\"k1\",\"offset\":4}}");
    buf_deinit(&body);
    end(&w);
}

static void the_owner_is_told_the_roles_of_the_sender(void **state)
{
    (void)state;
    struct world w;

    begin(&w);
    peer_session(&w.ann)->identity->roles_list = mem_copy_text("[\"a\\\"b\"]", 8);
    peer_send(&w.ann, "{\"id\":7,\"publish\":{\"channel\":\"" ROOM
                      "\",\"data\":{\"roles\":[\"admin\"],\"muted\":false}}}");
    struct bus_out *out = kit_take(&w.k, MESSAGE_PUBLISH);
    struct slice rest = blob_slice(out->body);
    struct record r;
    assert_int_equal(record_next(&rest, false, &r), 0);
    assert_true(slice_equal(r.roles, SLICE_LIT("[\"a\\\"b\"]")));
    assert_false(r.is_muted);
    kit_result(&w.k, out, BUS_CONFIRMED);
    peer_send(&w.bob, "{\"id\":8,\"publish\":{\"channel\":\"" ROOM "\",\"data\":{}}}");
    out = kit_take(&w.k, MESSAGE_PUBLISH);
    rest = blob_slice(out->body);
    assert_int_equal(record_next(&rest, false, &r), 0);
    assert_int_equal(r.roles.size, 0);
    kit_result(&w.k, out, BUS_CONFIRMED);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_session_gets_what_it_may_see),
        cmocka_unit_test(the_plain_dialect_obeys_too),
        cmocka_unit_test(what_was_missed_comes_without_what_may_not_be_seen),
        cmocka_unit_test(what_the_owner_remembers_is_filtered_for_each),
        cmocka_unit_test(history_shows_as_many_as_were_asked_for_of_those_that_may_be_seen),
        cmocka_unit_test(the_owner_is_told_the_roles_of_the_sender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
