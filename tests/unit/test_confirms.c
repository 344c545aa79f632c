/* test_confirms.c: answers for publishes, in any order, against a plain list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broadcaster/confirms.h"
#include "common/mem.h"

#define ALL 5000

static void an_answer_counts_once_and_all_before_it_have_to_be_there(void **state)
{
    static const struct {
        uint64_t number;
        bool multiple;
        uint64_t count, settled, open;
    } steps[] = {
        {0, false, 0, 0, 10}, {0, true, 0, 0, 10},          {11, false, 0, 0, 10},
        {11, true, 0, 0, 10}, {3, false, 1, 0, 9},          {3, false, 0, 0, 9},
        {1, false, 1, 1, 8},  {4, true, 2, 4, 6},           {4, true, 0, 4, 6},
        {2, false, 0, 4, 6},  {7, false, 1, 4, 5},          {8, false, 1, 4, 4},
        {8, true, 2, 8, 2},   {10, false, 1, 8, 1},         {9, false, 1, 10, 0},
        {10, true, 0, 10, 0}, {UINT64_MAX, true, 0, 10, 0},
    };
    struct confirms c = {0};

    (void)state;
    for (uint64_t i = 1; i <= 10; i++) {
        assert_int_equal(confirms_add(&c), i);
    }
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        assert_int_equal(confirms_take(&c, steps[i].number, steps[i].multiple), steps[i].count);
        assert_int_equal(c.settled, steps[i].settled);
        assert_int_equal(confirms_open(&c), steps[i].open);
    }
    confirms_deinit(&c);
    assert_int_equal(confirms_take(&c, 1, true), 0);
}

static void any_order_comes_to_the_same_as_a_list(void **state)
{
    bool *is_answered = mem_zalloc(ALL + 1, sizeof(is_answered[0]));
    struct confirms c = {0};
    uint64_t random = 1, sent = 0;

    (void)state;
    while (c.settled < ALL) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t draw = random >> 33, count = 0, settled = 0, open = 0;

        if (draw % 3 != 0 && sent < ALL) {
            sent = confirms_add(&c);
            continue;
        }
        uint64_t number = c.settled + (draw >> 4) % 200; /* some were never sent, or are answered */
        bool multiple = draw % 16 == 0;
        for (uint64_t n = multiple ? 1 : number; n > 0 && n <= number && number <= sent; n++) {
            count += !is_answered[n];
            is_answered[n] = true;
        }
        assert_int_equal(confirms_take(&c, number, multiple), count);
        while (settled < sent && is_answered[settled + 1]) {
            settled++;
        }
        for (uint64_t n = 1; n <= sent; n++) {
            open += !is_answered[n];
        }
        assert_int_equal(c.settled, settled);
        assert_int_equal(confirms_open(&c), open);
    }
    mem_free(is_answered);
    confirms_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_counts_once_and_all_before_it_have_to_be_there),
        cmocka_unit_test(any_order_comes_to_the_same_as_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
