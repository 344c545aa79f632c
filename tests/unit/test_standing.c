/*
 * test_standing.c: bans, mutes and closed rooms stand until they end or are lifted, and no longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/order/standing.h"
#include "proto/limits.h"

static const struct slice ann = {"ann", 3}, bob = {"bob", 3}, lobby = {"lobby", 5},
                          hall = {"hall", 4};

/* What is ordered at a place of the stream; answers as standing_set() does, at the time 1000. */
static int order(struct standing *s, enum standing_kind kind, struct slice what, struct slice room,
                 int64_t until_ms, int64_t at)
{
    return standing_set(s,
                        &(struct standing_order){
                            .kind = kind,
                            .what = what,
                            .room = room,
                            .until_ms = until_ms,
                            .is_lifted = until_ms == 0,
                            .at = at,
                        },
                        1000);
}

static void what_is_ordered_stands_until_its_end(void **state)
{
    struct standing *s = standing_new();
    (void)state;

    assert_int_equal(order(s, STANDING_BAN_USER, ann, SLICE_NONE, 2000, 1), 0);
    assert_true(standing_has(s, STANDING_BAN_USER, ann, SLICE_NONE, 1999));
    assert_false(standing_has(s, STANDING_BAN_USER, ann, SLICE_NONE, 2000));
    assert_int_equal(order(s, STANDING_BAN_USER, bob, SLICE_NONE, STANDING_FOREVER, 2), 0);
    assert_true(standing_has(s, STANDING_BAN_USER, bob, SLICE_NONE, INT64_MAX - 1));
    assert_null(standing_free(s));
}

/* A record is taken out alone, or all up to one; at the time 1000. */
static int take_out(struct standing *s, enum standing_kind kind, const char *epoch, uint64_t offset,
                    int64_t at)
{
    return standing_set(s,
                        &(struct standing_order){
                            .kind = kind,
                            .what = slice_of(epoch),
                            .room = lobby,
                            .offset = offset,
                            .until_ms = 2000,
                            .at = at,
                        },
                        1000);
}

static bool is_out(const struct standing *s, struct slice room, const char *epoch, uint64_t offset)
{
    return removals_have(s, room, slice_of(epoch), offset, 1500);
}

static void one_record_is_taken_out_and_no_other(void **state)
{
    struct standing *s = standing_new();
    (void)state;

    assert_false(is_out(s, lobby, "abc", 7));
    assert_int_equal(take_out(s, STANDING_DELETED, "abc", 7, 1), 0);
    assert_int_equal(take_out(s, STANDING_DELETED, "abc", 9, 2), 0);
    assert_true(is_out(s, lobby, "abc", 7) && is_out(s, lobby, "abc", 9));
    assert_false(is_out(s, lobby, "abc", 6) || is_out(s, lobby, "abc", 8));
    assert_false(is_out(s, lobby, "abd", 7) || is_out(s, hall, "abc", 7));
    assert_false(removals_have(s, lobby, SLICE_LIT("abc"), 7, 2000)); /* its end */
    assert_int_equal(standing_count(s, STANDING_DELETED), 2);
    assert_null(standing_free(s));
}

static void all_up_to_a_record_are_taken_out_and_none_comes_back(void **state)
{
    struct standing *s = standing_new();
    (void)state;

    assert_int_equal(take_out(s, STANDING_CLEARED, "abc", 7, 1), 0);
    assert_true(is_out(s, lobby, "abc", 1) && is_out(s, lobby, "abc", 7));
    assert_false(is_out(s, lobby, "abc", 8) || is_out(s, lobby, "abd", 1));
    assert_false(is_out(s, hall, "abc", 1));
    assert_int_equal(take_out(s, STANDING_CLEARED, "abc", 9, 2), 0);
    assert_int_equal(take_out(s, STANDING_CLEARED, "abc", 8, 3), 0); /* asked for earlier */
    assert_true(is_out(s, lobby, "abc", 9));
    assert_false(is_out(s, lobby, "abc", 10));
    assert_int_equal(standing_count(s, STANDING_CLEARED), 1);
    assert_null(standing_free(s));
}

static void what_is_taken_out_one_by_one_gives_way_to_all(void **state)
{
    struct standing *s = standing_new();
    (void)state;

    for (uint64_t offset = 1; offset <= 9; offset++) {
        assert_int_equal(take_out(s, STANDING_DELETED, "abc", offset, (int64_t)offset), 0);
    }
    assert_int_equal(take_out(s, STANDING_DELETED, "abd", 1, 10), 0);
    assert_int_equal(take_out(s, STANDING_CLEARED, "abc", 7, 11), 0);
    assert_int_equal(standing_count(s, STANDING_DELETED), 3); /* 8, 9, and of the other epoch */
    assert_true(is_out(s, lobby, "abc", 1) && is_out(s, lobby, "abc", 9));
    assert_true(is_out(s, lobby, "abd", 1));
    assert_null(standing_free(s));
}

static void removals_leave_room_for_bans(void **state)
{
    struct standing *s = standing_new();
    uint64_t offset = 1;
    (void)state;

    while (take_out(s, STANDING_DELETED, "abc", offset, (int64_t)offset) == 0) {
        offset++;
    }
    assert_int_equal(offset, REMOVALS_MAX + 1);
    assert_false(standing_has_room(s, STANDING_CLEARED));
    assert_true(standing_has_room(s, STANDING_BAN_USER));
    assert_int_equal(order(s, STANDING_BAN_USER, ann, SLICE_NONE, 2000, INT32_MAX), 0);
    assert_null(standing_free(s));
}

static void kinds_and_names_are_told_apart(void **state)
{
    struct standing *s = standing_new();
    (void)state;

    assert_int_equal(order(s, STANDING_BAN_USER, ann, SLICE_NONE, 2000, 1), 0);
    assert_false(standing_has(s, STANDING_BAN_USER, bob, SLICE_NONE, 1500));
    assert_false(standing_has(s, STANDING_BAN_ADDRESS, ann, SLICE_NONE, 1500));
    assert_false(standing_has(s, STANDING_CLOSED, ann, SLICE_NONE, 1500));
    assert_false(standing_has(s, STANDING_BAN_USER, ann, lobby, 1500));
    assert_false(standing_has(s, STANDING_BAN_USER, (struct slice){"an", 2}, SLICE_NONE, 1500));
    assert_false(standing_has(s, STANDING_BAN_USER, SLICE_NONE, SLICE_NONE, 1500));
    assert_null(standing_free(s));
}

static void a_mute_is_of_one_room_or_of_all(void **state)
{
    struct standing *s = standing_new();
    (void)state;

    assert_false(mutes_has(s, ann, lobby, 1500));
    assert_int_equal(order(s, STANDING_MUTE, ann, lobby, 2000, 1), 0);
    assert_int_equal(order(s, STANDING_MUTE, bob, SLICE_NONE, 2000, 2), 0);
    assert_true(mutes_has(s, ann, lobby, 1500));
    assert_false(mutes_has(s, ann, hall, 1500));
    assert_true(mutes_has(s, bob, lobby, 1500));
    assert_true(mutes_has(s, bob, hall, 1500));
    assert_false(mutes_has(s, bob, hall, 2000));
    assert_false(mutes_has(s, SLICE_NONE, lobby, 1500)); /* nobody in particular */
    assert_null(standing_free(s));
}

static void what_is_lifted_is_over(void **state)
{
    struct standing *s = standing_new();
    (void)state;

    assert_int_equal(order(s, STANDING_CLOSED, lobby, SLICE_NONE, 2000, 1), 0);
    assert_int_equal(order(s, STANDING_CLOSED, lobby, SLICE_NONE, 0, 2), 0);
    assert_false(standing_has(s, STANDING_CLOSED, lobby, SLICE_NONE, 1500));
    assert_int_equal(standing_count(s, STANDING_CLOSED), 0);
    assert_int_equal(order(s, STANDING_CLOSED, lobby, SLICE_NONE, 3000, 3), 0);
    assert_true(standing_has(s, STANDING_CLOSED, lobby, SLICE_NONE, 2500));
    assert_int_equal(standing_count(s, STANDING_CLOSED), 1);
    assert_null(standing_free(s));
}

static void the_later_order_holds_whichever_comes_last(void **state)
{
    struct standing *s = standing_new();
    (void)state;

    assert_int_equal(order(s, STANDING_MUTE, ann, lobby, 0, 7), 0);
    assert_int_equal(order(s, STANDING_MUTE, ann, lobby, 2000, 6), STANDING_OLD);
    assert_false(mutes_has(s, ann, lobby, 1500));
    assert_int_equal(order(s, STANDING_MUTE, ann, lobby, 2000, 8), 0);
    assert_int_equal(order(s, STANDING_MUTE, ann, lobby, 0, 7), STANDING_OLD);
    assert_int_equal(order(s, STANDING_MUTE, ann, lobby, 9000, 7), STANDING_OLD);
    assert_true(mutes_has(s, ann, lobby, 1500));
    assert_false(mutes_has(s, ann, lobby, 2500));
    assert_null(standing_free(s));
}

static void what_has_ended_before_it_came_is_not_kept(void **state)
{
    struct standing *s = standing_new();
    (void)state;

    assert_int_equal(order(s, STANDING_BAN_USER, ann, SLICE_NONE, 1000, 1), STANDING_OLD);
    assert_int_equal(standing_size(s), 0);
    assert_int_equal(order(s, STANDING_BAN_USER, ann, SLICE_NONE, 2000, 2), 0);
    assert_int_equal(order(s, STANDING_BAN_USER, ann, SLICE_NONE, 900, 3), 0); /* made shorter */
    assert_false(standing_has(s, STANDING_BAN_USER, ann, SLICE_NONE, 1500));
    assert_int_equal(standing_count(s, STANDING_BAN_USER), 0);
    assert_null(standing_free(s));
}

static void texts_that_nothing_can_have_are_refused(void **state)
{
    static char longer[USER_MAX * 6 + 1];
    struct standing *s = standing_new();
    struct slice text = {longer, sizeof(longer)};
    (void)state;

    memset(longer, 'x', sizeof(longer));
    assert_int_equal(order(s, STANDING_BAN_USER, text, SLICE_NONE, 2000, 1), STANDING_OLD);
    assert_int_equal(order(s, STANDING_BAN_USER, SLICE_NONE, SLICE_NONE, 2000, 1), STANDING_OLD);
    assert_int_equal(order(s, STANDING_MUTE, ann, text, 2000, 1), STANDING_OLD);
    text.size = USER_MAX * 6;
    assert_int_equal(order(s, STANDING_BAN_USER, text, SLICE_NONE, 2000, 1), 0);
    assert_true(standing_has(s, STANDING_BAN_USER, text, SLICE_NONE, 1500));
    assert_null(standing_free(s));
}

static void what_is_over_is_forgotten(void **state)
{
    struct standing *s = standing_new();
    (void)state;

    assert_int_equal(order(s, STANDING_BAN_USER, ann, SLICE_NONE, 2000, 1), 0);
    assert_int_equal(order(s, STANDING_BAN_USER, bob, SLICE_NONE, 0, 2), 0);
    assert_int_equal(order(s, STANDING_CLOSED, hall, SLICE_NONE, STANDING_FOREVER, 3), 0);
    assert_int_equal(standing_size(s), 3);
    standing_forget(s, 2000);
    assert_int_equal(standing_size(s), 2);
    standing_forget(s, 1000 + STANDING_LIFTED_MS);
    assert_int_equal(standing_size(s), 1);
    assert_int_equal(standing_count(s, STANDING_CLOSED), 1);
    assert_null(standing_free(s));
}

static void there_is_an_end_to_what_can_stand(void **state)
{
    struct standing *s = standing_new();
    char name[16];
    (void)state;

    for (int i = 0; i < STANDING_MAX; i++) {
        int size = snprintf(name, sizeof(name), "u%d", i);
        struct slice user = {name, (size_t)size};

        assert_int_equal(order(s, STANDING_BAN_USER, user, SLICE_NONE, 2000, i), 0);
    }
    assert_false(standing_has_room(s, STANDING_BAN_USER));
    assert_int_equal(order(s, STANDING_BAN_USER, ann, SLICE_NONE, 2000, 1), STANDING_FULL);
    assert_int_equal(order(s, STANDING_BAN_USER, (struct slice){"u7", 2}, SLICE_NONE, 0, 8), 0);
    standing_forget(s, 2000);
    assert_int_equal(standing_size(s), 1);
    assert_null(standing_free(s));
}

struct seen {
    size_t count;
    struct standing_order last;
};

static void see(void *user, const struct standing_order *o)
{
    struct seen *seen = user;

    seen->count++;
    seen->last = *o;
    assert_true(slice_equal(o->what, ann));
    assert_true(slice_equal(o->room, lobby));
}

static void all_that_stands_can_be_told(void **state)
{
    struct standing *s = standing_new();
    struct seen seen = {.count = 0};
    (void)state;

    assert_int_equal(order(s, STANDING_MUTE, ann, lobby, 2000, 5), 0);
    assert_int_equal(order(s, STANDING_MUTE, bob, lobby, 0, 6), 0);
    standing_each(s, 1500, see, &seen);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.kind, STANDING_MUTE);
    assert_true(seen.last.until_ms == 2000 && seen.last.at == 5 && !seen.last.is_lifted);
    standing_each(s, 2000, see, &seen);
    assert_int_equal(seen.count, 1);
    assert_null(standing_free(s));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_ordered_stands_until_its_end),
        cmocka_unit_test(one_record_is_taken_out_and_no_other),
        cmocka_unit_test(all_up_to_a_record_are_taken_out_and_none_comes_back),
        cmocka_unit_test(what_is_taken_out_one_by_one_gives_way_to_all),
        cmocka_unit_test(removals_leave_room_for_bans),
        cmocka_unit_test(kinds_and_names_are_told_apart),
        cmocka_unit_test(a_mute_is_of_one_room_or_of_all),
        cmocka_unit_test(what_is_lifted_is_over),
        cmocka_unit_test(the_later_order_holds_whichever_comes_last),
        cmocka_unit_test(what_has_ended_before_it_came_is_not_kept),
        cmocka_unit_test(texts_that_nothing_can_have_are_refused),
        cmocka_unit_test(what_is_over_is_forgotten),
        cmocka_unit_test(there_is_an_end_to_what_can_stand),
        cmocka_unit_test(all_that_stands_can_be_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
