/*
 * test_poison.c: nothing that one person may bring takes other people's records with it: whatever
 * a gateway hands over, an owner can read.
 */
#include "common/mem.h"
#include "gateway/bus/lanes.h"
#include "gateway/order/control.h"
#include "gateway/session/session_ops.h"
#include "proto/line.h"
#include "tests/unit/gateway_kit.h"
#include "tests/unit/mint.h"

#define ROOM "lobby"
#define TEXT_MAX 1024

/* An object of so many levels. */
static const char *nested(char to[TEXT_MAX], int levels)
{
    size_t size = 0;

    for (int i = 0; i < levels; i++) {
        size += (size_t)snprintf(to + size, TEXT_MAX - size, "{\"a\":");
    }
    size += (size_t)snprintf(to + size, TEXT_MAX - size, "1");
    for (int i = 0; i < levels; i++) {
        size += (size_t)snprintf(to + size, TEXT_MAX - size, "}");
    }
    assert_true(size < TEXT_MAX);
    return to;
}

/* The base64 of it. */
static const char *coded(char to[TEXT_MAX], int levels)
{
    struct buf digits = BUF_EMPTY;

    nested(to, levels);
    base64_encode(&digits, to, strlen(to));
    assert_true(digits.size < TEXT_MAX);
    memcpy(to, digits.at, digits.size);
    to[digits.size] = '\0';
    buf_deinit(&digits);
    return to;
}

/* A command with a token of these claims for ann: `format` has TOKEN for it. */
static void say(struct peer *p, const char *format, const char *claims)
{
    char token[MINT_SIZE], all[2 * TEXT_MAX], text[2 * MINT_SIZE];
    const char *at = strstr(format, "TOKEN");

    snprintf(all, sizeof(all), "{\"sub\":\"ann\",\"exp\":%" PRId64 ",%s}",
             clock_wall_ms() / 1000 + 600, claims);
    mint(token, all);
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - format), format, token, at + 5);
    peer_send(p, text);
    kit_settle(p->kit);
}

/* All that was handed over and not taken yet: owners read it to its end. */
static void expect_readable(struct kit *k)
{
    struct record r;
    struct line line;

    kit_settle(k);
    for (size_t i = 0; i < k->bus.count; i++) {
        const struct bus_out *out = k->bus.sent[i];
        struct slice rest = out->body != NULL ? blob_slice(out->body) : SLICE_NONE;

        if (out->message.type == MESSAGE_PUBLISH) {
            uint64_t count = 0;

            while (record_next(&rest, false, &r) == 0) {
                count++;
            }
            assert_int_equal(count, out->message.records);
            assert_int_equal(rest.size, 0);
        } else if (out->message.type == MESSAGE_ATTACH || out->message.type == MESSAGE_JOIN) {
            while (line_next(&rest, &line) == 0) {
            }
            assert_int_equal(rest.size, 0);
        }
    }
}

/* Somebody publishes behind others, who are in the same batch, and all of it can be read. The
 * answer is the caller's. */
static void publish_among_others(struct peer *p, struct peer *bob)
{
    struct kit *k = p->kit;

    peer_send(bob, "{\"id\":11,\"publish\":{\"channel\":\"" ROOM "\",\"data\":1}}");
    kit_settle(k);
    peer_send(p, "{\"id\":12,\"publish\":{\"channel\":\"" ROOM "\",\"data\":2}}");
    peer_send(bob, "{\"id\":13,\"publish\":{\"channel\":\"" ROOM "\",\"data\":3}}");
    expect_readable(k);
    kit_result(k, kit_take(k, MESSAGE_PUBLISH), BUS_CONFIRMED);
    expect_readable(k);
    kit_result(k, kit_take(k, MESSAGE_PUBLISH), BUS_CONFIRMED);
    peer_expect(bob, "{\"id\":11,\"publish\":{}}");
    peer_expect(bob, "{\"id\":13,\"publish\":{}}");
}

static void what_a_connection_token_says_of_a_person_can_be_read(void **state)
{
    struct kit k;
    struct peer ann, bob;
    char info[TEXT_MAX], claims[TEXT_MAX];
    (void)state;

    kit_begin(&k);
    peer_connect(&bob, &k, "bob");
    for (int levels = INFO_DEPTH_MAX - 1; levels <= INFO_DEPTH_MAX + 2; levels++) {
        peer_open(&ann, &k, DIALECT_CENTRIFUGE, "", "");
        snprintf(claims, sizeof(claims), "\"b64info\":\"%s\"", coded(info, levels));
        say(&ann, "{\"id\":1,\"connect\":{\"token\":\"TOKEN\"}}", claims);
        if (levels > INFO_DEPTH_MAX) {
            peer_expect(&ann, "close 3500 invalid token");
        } else {
            peer_expect_part(&ann, "{\"id\":1,\"connect\":");
            publish_among_others(&ann, &bob);
            peer_expect(&ann, "{\"id\":12,\"publish\":{}}");
        }
        peer_end(&ann);
    }
    peer_end(&bob);
    kit_end(&k);
}

/* The chan_info of a session in ROOM. */
static struct slice chan_info_of(const struct peer *p)
{
    return subscription_info(rooms_find(peer_session(p), SLICE_LIT(ROOM)));
}

static void what_it_says_of_a_room_can_be_read_or_is_left_out(void **state)
{
    struct kit k;
    struct peer ann, bob;
    char info[TEXT_MAX], claims[2 * TEXT_MAX];
    (void)state;

    for (int levels = INFO_DEPTH_MAX; levels <= INFO_DEPTH_MAX + 1; levels++) {
        kit_begin(&k);
        peer_connect(&bob, &k, "bob");
        peer_open(&ann, &k, DIALECT_CENTRIFUGE, "", "");
        snprintf(claims, sizeof(claims), "\"subs\":{\"" ROOM "\":{\"b64info\":\"%s\"}}",
                 coded(info, levels));
        say(&ann, "{\"id\":1,\"connect\":{\"token\":\"TOKEN\"}}", claims);
        expect_readable(&k);
        kit_position(&k, ROOM, "e1", 3);
        peer_expect_part(&ann, "{\"id\":1,\"connect\":");
        assert_int_equal(chan_info_of(&ann).size > 0, levels <= INFO_DEPTH_MAX);
        publish_among_others(&ann, &bob);
        peer_end(&ann);
        peer_end(&bob);
        kit_end(&k);
    }
}

static void what_a_subscription_token_says_can_be_read(void **state)
{
    struct kit k;
    struct peer ann, bob;
    char info[TEXT_MAX], claims[2 * TEXT_MAX];
    (void)state;

    for (int levels = INFO_DEPTH_MAX; levels <= INFO_DEPTH_MAX + 1; levels++) {
        kit_begin(&k);
        peer_connect(&bob, &k, "bob");
        peer_connect(&ann, &k, "ann");
        snprintf(claims, sizeof(claims), "\"channel\":\"" ROOM "\",\"b64info\":\"%s\"",
                 coded(info, levels));
        say(&ann, "{\"id\":2,\"subscribe\":{\"channel\":\"" ROOM "\",\"token\":\"TOKEN\"}}",
            claims);
        if (levels > INFO_DEPTH_MAX) {
            peer_expect_part(&ann, "{\"id\":2,\"error\":{\"code\":103,");
        } else {
            expect_readable(&k);
            kit_position(&k, ROOM, "e1", 3);
            peer_expect_part(&ann, "{\"id\":2,\"subscribe\":");
            assert_true(chan_info_of(&ann).size > 0);
        }
        publish_among_others(&ann, &bob);
        peer_end(&ann);
        peer_end(&bob);
        kit_end(&k);
    }
}

/* Whoever puts a session into a room. */
static void what_else_is_said_of_a_member_is_kept_only_if_it_can_be_read(void **state)
{
    static const struct ops_who ann_alone = {.has_user = true, .user = {"ann", 3}};
    static const char *const others[] = {"[]", "\"{}\"", "7", "{"};
    struct kit k;
    struct peer ann, bob;
    char info[TEXT_MAX];
    (void)state;

    for (size_t i = 0; i < 2 + ARRAY_LEN(others); i++) {
        const char *text = i < 2 ? nested(info, INFO_DEPTH_MAX + (int)i) : others[i - 2];
        const struct ops_subscribe how = {.info = slice_of(text)};

        kit_begin(&k);
        peer_connect(&bob, &k, "bob");
        peer_connect(&ann, &k, "ann");
        assert_int_equal(ops_subscribe(k.gateway.sessions, &ann_alone, SLICE_LIT(ROOM), &how), 1);
        expect_readable(&k);
        kit_position(&k, ROOM, "e1", 3);
        peer_expect_part(&ann, "{\"push\":{\"channel\":\"" ROOM "\",\"subscribe\":");
        assert_int_equal(chan_info_of(&ann).size > 0, i == 0);
        publish_among_others(&ann, &bob);
        peer_end(&ann);
        peer_end(&bob);
        kit_end(&k);
    }
}

/* As if a check were missing. */
static void make_unreadable(const struct peer *p)
{
    struct identity *i = peer_session(p)->identity;
    char info[TEXT_MAX];

    nested(info, INFO_DEPTH_MAX + 1);
    mem_free(i->info);
    i->info = mem_copy_text(info, strlen(info));
}

static void a_record_that_cannot_be_read_gets_into_no_batch(void **state)
{
    struct kit k;
    struct peer ann, bob, eve;
    (void)state;

    kit_begin_without_presence(&k);
    peer_connect(&bob, &k, "bob");
    peer_connect(&ann, &k, "ann");
    peer_open(&eve, &k, DIALECT_PLAIN, "eve", ROOM);
    kit_position(&k, ROOM, "e1", 0);
    make_unreadable(&ann);
    make_unreadable(&eve);
    peer_send(&eve, "{\"message\":\"hello\"}");
    publish_among_others(&ann, &bob);
    peer_expect(&ann, "{\"id\":12,\"error\":{\"code\":107,\"message\":\"bad request\"}}");
    peer_expect_part(&eve, "{\"error\":{\"code\":107,");
    assert_int_equal(stat_get(&k.gateway.metrics.publishes_refused_bad), 2);
    assert_int_equal(lanes_waiting(k.gateway.lanes), 0);
    peer_end(&eve);
    peer_end(&ann);
    peer_end(&bob);
    kit_end(&k);
}

static void what_plain_people_say_is_measured_with_their_name_in_it(void **state)
{
    static const char name[] = "\"username\":\"joe\",";
    struct kit k;
    struct peer joe;
    char text[TEXT_MAX];
    (void)state;

    kit_begin(&k);
    k.conf.max_payload = 200;
    peer_open(&joe, &k, DIALECT_PLAIN, "joe", ROOM);
    kit_position(&k, ROOM, "e1", 0);
    for (int more = 0; more < 2; more++) {
        int fill = (int)k.conf.max_payload - (int)strlen(name) - (int)strlen("{\"m\":\"\"}") + more;

        snprintf(text, sizeof(text), "{\"m\":\"%0*d\"}", fill, 0);
        peer_send(&joe, text);
        if (more == 0) {
            struct bus_out *batch = kit_take(&k, MESSAGE_PUBLISH);
            struct slice rest = blob_slice(batch->body);
            struct record r;

            assert_int_equal(record_next(&rest, false, &r), 0);
            assert_int_equal(r.payload.size, k.conf.max_payload);
            kit_result(&k, batch, BUS_CONFIRMED);
        } else {
            peer_expect(&joe, "{\"error\":{\"code\":106,\"message\":\"limit exceeded\"}}");
            kit_expect_none(&k, MESSAGE_PUBLISH);
            assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_MAX_PAYLOAD]), 1);
        }
    }
    /* What was refused has not used up its id. */
    snprintf(text, sizeof(text), "{\"id\":\"k\",\"m\":\"%0*d\"}",
             (int)k.conf.max_payload - (int)strlen("{\"id\":\"k\",\"m\":\"\"}"), 0);
    peer_send(&joe, text);
    peer_expect(&joe, "{\"error\":{\"code\":106,\"message\":\"limit exceeded\"}}");
    peer_send(&joe, "{\"id\":\"k\",\"m\":\"0\"}");
    kit_result(&k, kit_take(&k, MESSAGE_PUBLISH), BUS_CONFIRMED);
    peer_end(&joe);
    kit_end(&k);
}

static void an_order_that_cannot_be_read_is_not_sent(void **state)
{
    struct kit k;
    char text[TEXT_MAX];
    struct order o = {.kind = ORDER_SUBSCRIBE, .user = SLICE_LIT("ann"), .room = SLICE_LIT(ROOM)};
    (void)state;

    kit_begin(&k);
    for (int levels = 1; levels <= PAYLOAD_DEPTH_MAX; levels++) {
        o.data = SLICE_NONE;
        o.info = slice_of(nested(text, levels));
        assert_int_equal(control_send(k.gateway.control, &o, 0),
                         levels <= INFO_DEPTH_MAX ? 0 : CONTROL_BAD);
        o.info = SLICE_NONE;
        o.data = slice_of(text);
        assert_int_equal(control_send(k.gateway.control, &o, 0),
                         levels < PAYLOAD_DEPTH_MAX ? 0 : CONTROL_BAD);
        kit_drop(&k, MESSAGE_CONTROL);
    }
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_connection_token_says_of_a_person_can_be_read),
        cmocka_unit_test(what_it_says_of_a_room_can_be_read_or_is_left_out),
        cmocka_unit_test(what_a_subscription_token_says_can_be_read),
        cmocka_unit_test(what_else_is_said_of_a_member_is_kept_only_if_it_can_be_read),
        cmocka_unit_test(a_record_that_cannot_be_read_gets_into_no_batch),
        cmocka_unit_test(what_plain_people_say_is_measured_with_their_name_in_it),
        cmocka_unit_test(an_order_that_cannot_be_read_is_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
