/* test_hash.c: the frozen hash stays, the seeded one cannot be foreseen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/hash.h"

/* Published values of XXH3_64bits: partitions of existing deployments depend on them. */
static void the_frozen_hash_never_changes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t want;
    } cases[] = {
        {"", UINT64_C(0x2d06800538d394c2)},
        {"a", UINT64_C(0xe6c632b61e964e1f)},
        {"abc", UINT64_C(0x78af5f94892f3950)},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(hash_frozen(cases[i].text, strlen(cases[i].text)), cases[i].want);
    }
}

static void the_seeded_hash_is_stable_within_a_process(void **state)
{
    (void)state;
    assert_int_equal(hash_seeded("lobby", 5), hash_seeded("lobby", 5));
    assert_int_not_equal(hash_seeded("lobby", 5), hash_seeded("lobbz", 5));
}

static void each_process_has_another_seed(void **state)
{
    (void)state;
    uint64_t seen[4];

    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork(); /* runs before this process has hashed anything */
        if (pid == 0) {
            uint64_t two = (uint64_t)hash_seeded("a", 1) << 32 | hash_seeded("b", 1);
            _exit(write(ends[1], &two, sizeof(two)) == sizeof(two) ? 0 : 1);
        }
        assert_int_equal(read(ends[0], &seen[i], sizeof(seen[i])), sizeof(seen[i]));
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        close(ends[0]);
        close(ends[1]);
        for (size_t j = 0; j < i; j++) {
            assert_true(seen[i] != seen[j]);
        }
    }
}

static void random_bytes_fill_all_that_was_asked_for_and_no_more(void **state)
{
    (void)state;
    unsigned char bytes[1000] = {0}, any[1000] = {0};

    for (int round = 0; round < 20; round++) {
        hash_random(bytes + 1, sizeof(bytes) - 2);
        for (size_t i = 0; i < sizeof(bytes); i++) {
            any[i] |= bytes[i];
        }
    }
    assert_int_equal(any[0], 0);
    assert_int_equal(any[sizeof(any) - 1], 0);
    for (size_t i = 1; i < sizeof(any) - 1; i++) {
        assert_int_not_equal(any[i], 0);
    }
    hash_random(bytes, 0);
}

struct member {
    char name[8];
    UT_hash_handle hh;
};

static void uthash_uses_it(void **state)
{
    (void)state;
    struct member *map = NULL, *found, members[100];

    memset(members, 0, sizeof(members));
    for (int i = 0; i < 100; i++) {
        snprintf(members[i].name, sizeof(members[i].name), "m%d", i);
        HASH_ADD_STR(map, name, &members[i]);
        assert_int_equal(members[i].hh.hashv,
                         hash_seeded(members[i].name, strlen(members[i].name)));
    }
    HASH_FIND_STR(map, "m77", found);
    assert_ptr_equal(found, &members[77]);
    HASH_FIND_STR(map, "m100", found);
    assert_null(found);
    HASH_CLEAR(hh, map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_process_has_another_seed),
        cmocka_unit_test(the_frozen_hash_never_changes),
        cmocka_unit_test(the_seeded_hash_is_stable_within_a_process),
        cmocka_unit_test(random_bytes_fill_all_that_was_asked_for_and_no_more),
        cmocka_unit_test(uthash_uses_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
