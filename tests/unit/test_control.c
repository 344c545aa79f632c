/*
 * test_control.c: what was ordered holds for whoever reads the control stream later, summed up or
 * not, in whatever spelling it was ordered.
 */
#include "gateway/order/control.h"
#include "gateway/token/revoked.h"
#include "tests/unit/gateway_kit.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static struct revoked *revoked_of(struct kit *k)
{
    return k->gateway.revoked;
}

/* The stream says this at a place of its own; `checkpoint` below 0: it is no summary. */
static void read_lines(struct kit *k, struct slice lines, int64_t checkpoint)
{
    static int64_t at = 100;
    const struct message m = {
        .type = MESSAGE_CONTROL,
        .has = checkpoint >= 0 ? HAS_CHECKPOINT : 0,
        .checkpoint = (uint64_t)MAX(checkpoint, 0),
        .boot = SLICE_LIT("00000000000000aa"),
        .time_ms = clock_wall_ms(),
        .body = lines,
    };

    control_on_message(k->gateway.control, &m, ++at);
}

static void order(struct kit *k, const char *format, ...) PRINTF_LIKE(2, 3);
static void order(struct kit *k, const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    read_lines(k, slice_of(line), -1);
}

/* Its own hello comes back. */
static void catch_up(struct kit *k)
{
    control_up(k->gateway.control);
    struct bus_out *hello = kit_take(k, MESSAGE_CONTROL);

    hello->message.body = blob_slice(hello->body);
    control_on_message(k->gateway.control, &hello->message, 100);
    control_on_result(k->gateway.control, hello, BUS_CONFIRMED);
    assert_null(control_not_ready(k->gateway.control));
}

/* Who has a token of this user, made then, with this id. */
static bool is_revoked(struct kit *k, const char *user, const char *id, int64_t issued_s)
{
    return revoked_is_token(revoked_of(k), slice_of(id), slice_of(user), issued_s);
}

static bool is_banned(struct kit *k, const char *peer)
{
    return control_is_banned(k->gateway.control, NULL, peer);
}

static void what_holds_is_summed_up_for_those_who_come_later(void **state)
{
    (void)state;
    struct kit k, later;
    int64_t now_ms;

    kit_begin(&k);
    catch_up(&k);
    now_ms = clock_wall_ms();
    order(&k, "{\"do\":\"revoke\",\"token\":\"a\\\"1\",\"until\":%lld}\n",
          (long long)(now_ms + 30 * DAY_MS));
    order(&k, "{\"do\":\"revoke\",\"token\":\"ends\",\"until\":%lld}\n",
          (long long)(now_ms + DAY_MS));
    order(&k, "{\"do\":\"revoke\",\"user\":\"a\\\"n\",\"before\":2000}\n");
    order(&k, "{\"do\":\"revoke\",\"before\":1000}\n");
    order(&k, "{\"do\":\"ban\",\"address\":\"::ffff:192.0.2.0/120\"}\n");
    order(&k, "{\"do\":\"mute\",\"user\":\"pest\",\"room\":\"yard\"}\n");
    kit_drop(&k, MESSAGE_CONTROL);
    kit_skip(15 * DAY_MS); /* half of the stream's age, and more than the latest summary */
    control_tick(k.gateway.control);
    struct bus_out *summary = kit_take(&k, MESSAGE_CONTROL);
    assert_true((summary->message.has & HAS_CHECKPOINT) != 0);

    kit_begin(&later);
    assert_false(is_revoked(&later, "x", "", 1));
    read_lines(&later, blob_slice(summary->body), (int64_t)summary->message.checkpoint);
    assert_true(is_revoked(&later, "x", "a\"1", 5000));
    assert_false(is_revoked(&later, "x", "ends", 5000));
    assert_true(is_revoked(&later, "a\\\"n", "", 1999));
    assert_false(is_revoked(&later, "a\\\"n", "", 2000));
    assert_true(is_revoked(&later, "x", "", 999));
    assert_false(is_revoked(&later, "x", "", 1000));
    assert_int_equal(revoked_count(revoked_of(&later)), 2);
    assert_true(is_banned(&later, "192.0.2.77:4711"));
    assert_true(mutes_has(control_standing(later.gateway.control), SLICE_LIT("pest"),
                          SLICE_LIT("yard"), clock_wall_ms()));
    control_on_result(k.gateway.control, summary, BUS_CONFIRMED);
    kit_end(&later);
    kit_end(&k);
}

static bool is_removed(struct kit *k, uint64_t offset)
{
    const struct record r = {.room = SLICE_LIT("yard"), .epoch = SLICE_LIT("e1"), .offset = offset};

    return control_is_removed(k->gateway.control, &r);
}

static void removals_bans_and_closed_rooms_are_summed_up_too(void **state)
{
    (void)state;
    struct kit k, later;

    kit_begin(&k);
    catch_up(&k);
    order(&k, "{\"do\":\"history_remove\",\"room\":\"yard\",\"epoch\":\"e1\",\"offset\":5}\n");
    order(&k, "{\"do\":\"delete\",\"room\":\"yard\",\"epoch\":\"e1\",\"offset\":8}\n");
    order(&k, "{\"do\":\"ban\",\"user\":\"pest\"}\n");
    order(&k, "{\"do\":\"close\",\"room\":\"yard\"}\n");
    order(&k, "{\"do\":\"close\",\"room\":\"bar\"}\n{\"do\":\"open\",\"room\":\"bar\"}\n");
    kit_drop(&k, MESSAGE_CONTROL);
    kit_skip(15 * DAY_MS);
    control_tick(k.gateway.control);
    struct bus_out *summary = kit_take(&k, MESSAGE_CONTROL);

    kit_begin(&later);
    assert_false(is_removed(&later, 1));
    read_lines(&later, blob_slice(summary->body), (int64_t)summary->message.checkpoint);
    for (uint64_t offset = 1; offset <= 10; offset++) {
        assert_int_equal(is_removed(&later, offset), offset <= 5 || offset == 8);
    }
    assert_true(control_is_closed(later.gateway.control, SLICE_LIT("yard")));
    assert_false(control_is_closed(later.gateway.control, SLICE_LIT("bar")));
    char pest[] = "pest";
    struct identity identity = {.user = pest, .is_known = true};
    assert_true(control_is_banned(later.gateway.control, &identity, "192.0.2.77:4711"));
    control_on_result(k.gateway.control, summary, BUS_CONFIRMED);
    kit_end(&later);
    kit_end(&k);
}

static void revocations_alone_are_summed_up_too(void **state)
{
    (void)state;
    static const char *const orders[] = {
        "{\"do\":\"revoke\",\"token\":\"t\"}\n",
        "{\"do\":\"revoke\",\"user\":\"ann\",\"before\":5}\n",
        "{\"do\":\"revoke\",\"before\":5}\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        struct kit k;

        kit_begin(&k);
        catch_up(&k);
        order(&k, "%s", orders[i]);
        kit_skip(15 * DAY_MS);
        control_tick(k.gateway.control);
        kit_expect_body(&k, MESSAGE_CONTROL, orders[i]);
        control_tick(k.gateway.control);
        kit_expect_none(&k, MESSAGE_CONTROL); /* once is enough */
        kit_end(&k);
    }
}

static void what_has_ended_is_not_summed_up(void **state)
{
    (void)state;
    struct kit k;

    kit_begin(&k);
    catch_up(&k);
    order(&k, "{\"do\":\"revoke\",\"token\":\"t\",\"until\":%lld}\n",
          (long long)(clock_wall_ms() + DAY_MS));
    kit_skip(15 * DAY_MS);
    control_tick(k.gateway.control);
    kit_expect_none(&k, MESSAGE_CONTROL);
    kit_end(&k);
}

static void a_summary_makes_nobody_look_at_the_sessions(void **state)
{
    (void)state;
    struct kit k;
    const struct slice lines = SLICE_LIT("{\"do\":\"revoke\",\"token\":\"t\"}\n"
                                         "{\"do\":\"revoke\",\"user\":\"ann\",\"before\":5}\n"
                                         "{\"do\":\"revoke\",\"before\":5}\n");

    kit_begin(&k);
    catch_up(&k);
    read_lines(&k, lines, -1);
    assert_true(revoked_take_news(revoked_of(&k), 1000));
    read_lines(&k, lines, 101);
    assert_false(revoked_take_news(revoked_of(&k), 5000));
    kit_end(&k);
}

static void a_revocation_for_which_there_is_no_room_is_refused(void **state)
{
    (void)state;
    struct kit k;
    char id[16];

    kit_begin(&k);
    catch_up(&k);
    for (int i = 0; i < REVOKED_TOKENS_MAX; i++) {
        int size = snprintf(id, sizeof(id), "%d", i);
        assert_int_equal(revoked_add_token(revoked_of(&k), (struct slice){id, (size_t)size}, 0), 0);
    }
    assert_int_equal(control_send(k.gateway.control,
                                  &(struct order){.kind = ORDER_REVOKE, .token = SLICE_LIT("x")},
                                  0),
                     CONTROL_FULL);
    assert_int_equal(stat_get(&k.gateway.metrics.limits.met[LIMIT_REVOCATIONS]), 1);
    assert_int_equal(
        control_send(k.gateway.control,
                     &(struct order){.kind = ORDER_REVOKE, .user = SLICE_LIT("x"), .before = 1}, 0),
        0);
    assert_int_equal(
        control_send(k.gateway.control, &(struct order){.kind = ORDER_REVOKE, .before = 1}, 0), 0);
    kit_end(&k);
}

static void a_ban_holds_for_every_spelling_of_its_address(void **state)
{
    (void)state;
    static const struct {
        const char *banned, *lifted, *in[3], *out[3];
    } cases[] = {
        {"10.0.0.1",
         "::ffff:10.0.0.1",
         {"10.0.0.1:1", "[::ffff:10.0.0.1]:1", "10.0.0.1"},
         {"10.0.0.2:1", "[::10.0.0.1]:1", "unknown"}},
        {"::FFFF:a00:1", "10.0.0.1/32", {"10.0.0.1:1", "[::ffff:a00:1]:1"}, {"10.0.0.11:1"}},
        {"2001:0db8:0:0:0:0:0:07",
         "2001:DB8::7",
         {"[2001:db8::7]:1", "[2001:db8::7]"},
         {"[2001:db8::8]:1", "[2001:db8::70]:1"}},
        {"10.0.0.77/8",
         "10.0.0.0/8",
         {"10.0.0.1:1", "10.255.255.255:1", "[::ffff:10.9.8.7]:1"},
         {"11.0.0.1:1", "9.255.255.255:1", "[2001:db8::7]:1"}},
        {"2001:db8::/32",
         "2001:db8:1::/32",
         {"[2001:db8::1]:1", "[2001:db8:ffff::1]:1"},
         {"[2001:db9::1]:1", "10.0.0.1:1"}},
        {"fe80::1", "FE80::1", {"[fe80::1%eth0]:1"}, {"[fe80::2%eth0]:1"}},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kit k;

        kit_begin(&k);
        catch_up(&k);
        order(&k, "{\"do\":\"ban\",\"address\":\"%s\"}\n", cases[i].banned);
        for (size_t j = 0; j < 3; j++) {
            assert_true(cases[i].in[j] == NULL || is_banned(&k, cases[i].in[j]));
            assert_false(cases[i].out[j] != NULL && is_banned(&k, cases[i].out[j]));
        }
        order(&k, "{\"do\":\"unban\",\"address\":\"%s\"}\n", cases[i].lifted);
        assert_false(is_banned(&k, cases[i].in[0]));
        kit_end(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_holds_is_summed_up_for_those_who_come_later),
        cmocka_unit_test(removals_bans_and_closed_rooms_are_summed_up_too),
        cmocka_unit_test(revocations_alone_are_summed_up_too),
        cmocka_unit_test(what_has_ended_is_not_summed_up),
        cmocka_unit_test(a_summary_makes_nobody_look_at_the_sessions),
        cmocka_unit_test(a_revocation_for_which_there_is_no_room_is_refused),
        cmocka_unit_test(a_ban_holds_for_every_spelling_of_its_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
