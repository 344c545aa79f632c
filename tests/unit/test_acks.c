/* Acks: which deliveries are settled when, against a broker that counts what it still waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broadcaster/acks.h"
#include "common/mem.h"

#define TAGS_MAX 4096

/* What RabbitMQ knows of a channel: it closes it for a tag that it does not wait for. */
struct broker {
    struct acks *acks;
    uint64_t delivered;
    bool is_settled[TAGS_MAX];
    bool is_rejected[TAGS_MAX];
    uint32_t unsettled;
};

static void setup(struct broker *b)
{
    *b = (struct broker){.acks = mem_new(struct acks)};
}

static void teardown(struct broker *b)
{
    mem_free(b->acks);
}

static uint64_t deliver(struct broker *b)
{
    assert_true(b->unsettled < ACKS_OPEN_MAX);
    assert_true(b->delivered + 1 < TAGS_MAX);
    b->unsettled++;
    return ++b->delivered;
}

static void settle_tag(struct broker *b, uint64_t tag)
{
    if (!b->is_settled[tag]) {
        b->is_settled[tag] = true;
        b->unsettled--;
    }
}

static void flush(struct broker *b)
{
    uint64_t tag;
    enum acks_what what;

    while ((what = acks_next(b->acks, &tag)) != ACKS_NOTHING) {
        assert_in_range(tag, 1, b->delivered);
        assert_false(b->is_settled[tag]);
        for (uint64_t i = 1; what == ACKS_ALL_UP_TO && i < tag; i++) {
            settle_tag(b, i);
        }
        b->is_rejected[tag] = what == ACKS_REJECT;
        settle_tag(b, tag);
    }
}

static void done_deliveries_are_acked_together(void **state)
{
    struct broker b;
    uint64_t tag;

    (void)state;
    setup(&b);
    for (int i = 0; i < 5; i++) {
        (void)deliver(&b);
    }
    acks_done(b.acks, 3);
    assert_int_equal(acks_next(b.acks, &tag), ACKS_ALL_UP_TO);
    assert_int_equal(tag, 3);
    assert_int_equal(acks_next(b.acks, &tag), ACKS_NOTHING);
    acks_done(b.acks, 2); /* goes back: nothing new */
    assert_int_equal(acks_next(b.acks, &tag), ACKS_NOTHING);
    teardown(&b);
}

static void nothing_done_is_nothing_acked(void **state)
{
    struct broker b;
    uint64_t tag;

    (void)state;
    setup(&b);
    (void)deliver(&b);
    assert_int_equal(acks_next(b.acks, &tag), ACKS_NOTHING);
    teardown(&b);
}

static void a_letter_is_not_acked_before_its_copy_is_safe(void **state)
{
    struct broker b;

    (void)state;
    setup(&b);
    for (int i = 0; i < 4; i++) {
        (void)deliver(&b);
    }
    acks_dead(b.acks, 2);
    acks_done(b.acks, 4);
    flush(&b);
    assert_true(b.is_settled[1]);
    assert_false(b.is_settled[2] || b.is_settled[3] || b.is_settled[4]);
    acks_copied(b.acks, 2);
    flush(&b);
    assert_int_equal(b.unsettled, 0);
    teardown(&b);
}

static void a_safe_letter_does_not_wait_for_what_stands_before_it(void **state)
{
    struct broker b;

    (void)state;
    setup(&b);
    (void)deliver(&b);
    acks_dead(b.acks, deliver(&b));
    acks_copied(b.acks, 2);
    flush(&b);
    assert_false(b.is_settled[1]);
    assert_true(b.is_settled[2]);
    acks_done(b.acks, 2);
    flush(&b);
    assert_int_equal(b.unsettled, 0);
    teardown(&b);
}

static void a_letter_that_was_settled_is_not_named_again(void **state)
{
    struct broker b;

    (void)state;
    setup(&b);
    (void)deliver(&b);
    (void)deliver(&b);
    acks_dead(b.acks, deliver(&b));
    acks_dead(b.acks, deliver(&b));
    acks_copied(b.acks, 4);
    acks_copied(b.acks, 3);
    flush(&b);
    acks_done(b.acks, 4);
    flush(&b); /* names 2: asserted there */
    assert_int_equal(b.unsettled, 0);
    (void)deliver(&b);
    acks_done(b.acks, 5);
    flush(&b);
    assert_int_equal(b.unsettled, 0);
    teardown(&b);
}

static void a_refused_letter_is_rejected_and_never_acked(void **state)
{
    struct broker b;

    (void)state;
    setup(&b);
    (void)deliver(&b);
    acks_refused(b.acks, deliver(&b));
    acks_dead(b.acks, deliver(&b));
    acks_refused(b.acks, 3); /* its copy failed */
    (void)deliver(&b);
    acks_done(b.acks, 4);
    flush(&b);
    assert_int_equal(b.unsettled, 0);
    assert_true(b.is_rejected[2] && b.is_rejected[3]);
    assert_false(b.is_rejected[1] || b.is_rejected[4]);
    teardown(&b);
}

static void unknown_copies_change_nothing(void **state)
{
    struct broker b;
    uint64_t tag;

    (void)state;
    setup(&b);
    (void)deliver(&b);
    acks_copied(b.acks, 1);
    acks_copied(b.acks, 99);
    assert_int_equal(acks_next(b.acks, &tag), ACKS_NOTHING);
    teardown(&b);
}

static void a_flood_of_letters_alone_passes(void **state)
{
    struct broker b;

    (void)state;
    setup(&b);
    for (int i = 0; i < 3000; i++) {
        uint64_t tag = deliver(&b);
        acks_dead(b.acks, tag);
        acks_copied(b.acks, tag);
        flush(&b);
    }
    assert_int_equal(b.unsettled, 0);
    assert_int_equal(b.acks->count, 0);
    teardown(&b);
}

static void a_flood_of_letters_behind_a_stalled_batch_is_held_back_by_the_prefetch(void **state)
{
    static const bool are_refused[] = {false, true};

    (void)state;
    for (size_t n = 0; n < ARRAY_LEN(are_refused); n++) {
        struct broker b;
        setup(&b);
        (void)deliver(&b); /* its append is not confirmed */
        while (b.unsettled < ACKS_OPEN_MAX) {
            uint64_t tag = deliver(&b);
            acks_dead(b.acks, tag);
            if (are_refused[n]) {
                acks_refused(b.acks, tag);
            } else {
                acks_copied(b.acks, tag);
            }
            flush(&b);
        }
        assert_true(b.acks->count < ARRAY_LEN(b.acks->letters));
        acks_done(b.acks, 1);
        flush(&b);
        assert_int_equal(b.unsettled, 0);
        teardown(&b);
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Every order of events ends with all settled, each once. */
static void any_mixture_is_settled_in_the_end(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct broker b;
        uint64_t random = seed, done = 0;
        bool is_letter[TAGS_MAX] = {false};
        setup(&b);
        for (int i = 0; i < 2000; i++) {
            uint64_t dice = next_random(&random) % 100;
            if (dice < 60 && b.unsettled < ACKS_OPEN_MAX) {
                uint64_t tag = deliver(&b);
                is_letter[tag] = dice < 25;
                if (dice < 20) {
                    acks_dead(b.acks, tag);
                } else if (dice < 25) {
                    acks_refused(b.acks, tag);
                }
            } else if (dice < 80 && b.delivered > 0) {
                acks_copied(b.acks, 1 + next_random(&random) % b.delivered);
            } else if (dice < 90 && done < b.delivered) {
                done += 1 + next_random(&random) % (b.delivered - done);
                acks_done(b.acks, done);
            }
            flush(&b);
        }
        for (uint64_t tag = 1; tag <= b.delivered; tag++) {
            assert_true(!b.is_rejected[tag] || is_letter[tag]);
            acks_copied(b.acks, tag);
        }
        acks_done(b.acks, b.delivered);
        flush(&b);
        assert_int_equal(b.unsettled, 0);
        teardown(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_deliveries_are_acked_together),
        cmocka_unit_test(nothing_done_is_nothing_acked),
        cmocka_unit_test(a_letter_is_not_acked_before_its_copy_is_safe),
        cmocka_unit_test(a_safe_letter_does_not_wait_for_what_stands_before_it),
        cmocka_unit_test(a_letter_that_was_settled_is_not_named_again),
        cmocka_unit_test(a_refused_letter_is_rejected_and_never_acked),
        cmocka_unit_test(unknown_copies_change_nothing),
        cmocka_unit_test(a_flood_of_letters_alone_passes),
        cmocka_unit_test(a_flood_of_letters_behind_a_stalled_batch_is_held_back_by_the_prefetch),
        cmocka_unit_test(any_mixture_is_settled_in_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
