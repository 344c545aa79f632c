/*
 * test_repeats.c: keys that come again, with the same content or another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/room/repeats.h"

#define WINDOW_MS 1000

static bool is_other(struct repeats *r, const char *room, const char *user, const char *key,
                     const char *content, int64_t now_ms)
{
    const struct repeats_publish p = {slice_of(room), slice_of(user), slice_of(key),
                                      slice_of(content)};

    return repeats_is_other(r, &p, WINDOW_MS, now_ms);
}

static void the_same_content_may_come_as_often_as_it_likes(void **state)
{
    struct repeats *r = repeats_new();

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_false(is_other(r, "lobby", "ann", "k", "1", i));
    }
    repeats_free(r);
}

static void other_content_is_found_out_and_does_not_replace_the_first(void **state)
{
    struct repeats *r = repeats_new();

    (void)state;
    assert_false(is_other(r, "lobby", "ann", "k", "1", 0));
    assert_true(is_other(r, "lobby", "ann", "k", "2", 1));
    assert_true(is_other(r, "lobby", "ann", "k", "", 1));
    assert_true(is_other(r, "lobby", "ann", "k", "2", WINDOW_MS - 1));
    assert_false(is_other(r, "lobby", "ann", "k", "1", WINDOW_MS - 1));
    repeats_free(r);
}

static void a_key_is_free_again_after_its_window(void **state)
{
    struct repeats *r = repeats_new();

    (void)state;
    assert_false(is_other(r, "lobby", "ann", "k", "1", 0));
    assert_false(is_other(r, "lobby", "ann", "k", "2", WINDOW_MS));
    assert_true(is_other(r, "lobby", "ann", "k", "1", WINDOW_MS));
    repeats_free(r);
}

static void a_key_belongs_to_its_room_and_user(void **state)
{
    struct repeats *r = repeats_new();

    (void)state;
    assert_false(is_other(r, "lobby", "ann", "k", "1", 0));
    assert_false(is_other(r, "porch", "ann", "k", "2", 0));
    assert_false(is_other(r, "lobby", "bob", "k", "2", 0));
    assert_false(is_other(r, "lobby", "", "k", "2", 0));
    assert_false(is_other(r, "lobby", "ann", "kk", "2", 0));
    assert_false(is_other(r, "lobbya", "nn", "k", "2", 0));
    assert_true(is_other(r, "lobby", "ann", "k", "2", 0));
    repeats_free(r);
}

static void too_many_keys_are_forgotten_and_never_mistaken(void **state)
{
    struct repeats *r = repeats_new();
    char key[16];
    int found = 0;

    (void)state;
    for (int i = 0; i < 2 * REPEATS_PLACES; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        assert_false(is_other(r, "lobby", "ann", key, "1", 0));
    }
    for (int i = 0; i < 2 * REPEATS_PLACES; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        found += is_other(r, "lobby", "ann", key, "2", 1);
    }
    assert_in_range(found, REPEATS_PLACES / 4, REPEATS_PLACES);
    repeats_free(r);
}

static void nothing_is_freed_twice_and_no_key_costs_nothing(void **state)
{
    (void)state;
    assert_null(repeats_free(NULL));
    assert_null(repeats_free(repeats_new()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_content_may_come_as_often_as_it_likes),
        cmocka_unit_test(other_content_is_found_out_and_does_not_replace_the_first),
        cmocka_unit_test(a_key_is_free_again_after_its_window),
        cmocka_unit_test(a_key_belongs_to_its_room_and_user),
        cmocka_unit_test(too_many_keys_are_forgotten_and_never_mistaken),
        cmocka_unit_test(nothing_is_freed_twice_and_no_key_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
