/* test_topology.c: the names of exchanges and queues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/topology.h"

static void names_are_made_of_prefix_kind_and_number_or_id(void **state)
{
    const struct topology t = topology_default("warren", 16, false);
    char name[TOPOLOGY_NAME_SIZE];
    (void)state;

    assert_string_equal(topology_name(name, &t, "in"), "warren.in");
    assert_string_equal(topology_name(name, &t, "gateways"), "warren.gateways");
    assert_string_equal(topology_name_of(name, &t, "in", 0), "warren.in.0");
    assert_string_equal(topology_name_of(name, &t, "log", 15), "warren.log.15");
    assert_string_equal(topology_name_of(name, &t, "owner", UINT32_MAX), "warren.owner.4294967295");
    assert_string_equal(topology_name_id(name, &t, "gateway", "host-a1"), "warren.gateway.host-a1");
    assert_ptr_equal(topology_name(name, &t, "in"), name);
}

static void the_key_of_a_partition_is_its_number(void **state)
{
    static const struct {
        uint32_t partition;
        const char *key;
    } cases[] = {{0, "0"}, {7, "7"}, {15, "15"}, {UINT32_MAX, "4294967295"}};
    char key[TOPOLOGY_KEY_SIZE];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(topology_key(key, cases[i].partition), cases[i].key);
    }
}

static void the_longest_prefix_and_id_fit_a_name(void **state)
{
    char prefix[TOPOLOGY_PREFIX_MAX + 1], id[TOPOLOGY_ID_MAX + 1], name[TOPOLOGY_NAME_SIZE];
    (void)state;

    memset(prefix, 'p', sizeof(prefix));
    memset(id, 'i', sizeof(id));
    prefix[TOPOLOGY_PREFIX_MAX] = '\0';
    id[TOPOLOGY_ID_MAX] = '\0';
    const struct topology t = topology_default(prefix, 16, false);
    assert_int_equal(strlen(topology_name_id(name, &t, "broadcaster", id)),
                     TOPOLOGY_PREFIX_MAX + TOPOLOGY_ID_MAX + strlen(".broadcaster."));
}

static void the_defaults_are_those_of_the_kind_of_queue(void **state)
{
    const struct topology one = topology_default("a", 4, false),
                          three = topology_default("a", 4, true);
    (void)state;

    assert_string_equal(one.prefix, "a");
    assert_int_equal(one.partitions, 4);
    assert_int_equal(one.in_max_length, 20000);
    assert_int_equal(one.log_max_bytes, 1000000000);
    assert_string_equal(one.log_max_age, "7D");
    assert_int_equal(one.cluster_size, 1);
    assert_false(one.is_quorum);
    assert_int_equal(three.cluster_size, 3);
    assert_true(three.is_quorum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_made_of_prefix_kind_and_number_or_id),
        cmocka_unit_test(the_key_of_a_partition_is_its_number),
        cmocka_unit_test(the_longest_prefix_and_id_fit_a_name),
        cmocka_unit_test(the_defaults_are_those_of_the_kind_of_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
