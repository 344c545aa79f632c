/* test_mq_topology.c: the topology on a real RabbitMQ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/topology.h"
#include "tests/broker/rig.h"

#define PARTITIONS 3

static struct topology fresh(bool is_quorum)
{
    struct topology t = topology_default(rig_name("topology"), PARTITIONS, is_quorum);

    t.cluster_size = 1;
    return t;
}

static void forget(struct mq *m, const struct topology *t)
{
    static const char *const kinds[] = {"in", "log"};
    static const char *const singles[] = {"dead", "broadcasters", "members", "control", "publish"};
    char name[TOPOLOGY_NAME_SIZE];

    for (uint32_t p = 0; p < PARTITIONS; p++) {
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            assert_int_equal(
                mq_queue_delete(m, RIG_CHANNEL, topology_name_of(name, t, kinds[i], p)), MQ_OK);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(singles); i++) {
        assert_int_equal(mq_queue_delete(m, RIG_CHANNEL, topology_name(name, t, singles[i])),
                         MQ_OK);
    }
}

static void publish(struct mq *m, const char *exchange, const char *key, uint64_t number)
{
    const struct mq_props props = {.persistent = true};

    assert_int_equal(mq_publish(m, RIG_CHANNEL, exchange, key, true, &props, SLICE_LIT("{}")),
                     MQ_OK);
    rig_await_confirms(m, number); /* a message that came back would fail here */
}

static uint32_t count_messages(struct mq *m, const char *name)
{
    const struct mq_queue q = {.name = name, .passive = true};
    uint32_t messages = 0;

    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &q, &messages, NULL), MQ_OK);
    return messages;
}

static void both_services_may_declare_everything_again(void **state)
{
    (void)state;
    for (int is_quorum = 0; is_quorum < 2; is_quorum++) {
        const struct topology t = fresh(is_quorum != 0);
        struct mq *m = rig_open();
        char error[TOPOLOGY_ERROR_SIZE] = "";
        for (int i = 0; i < 2; i++) {
            assert_int_equal(topology_declare_common(m, RIG_CHANNEL, &t, error, sizeof(error)),
                             MQ_OK);
            assert_int_equal(topology_declare_logs(m, RIG_CHANNEL, &t, error, sizeof(error)),
                             MQ_OK);
            assert_int_equal(
                topology_declare_broadcaster(m, RIG_CHANNEL, &t, "b1", error, sizeof(error)),
                MQ_OK);
            assert_int_equal(
                topology_declare_gateway(m, RIG_CHANNEL, &t, "g1", error, sizeof(error)), MQ_OK);
            assert_int_equal(topology_bind_control(m, RIG_CHANNEL, &t, error, sizeof(error)),
                             MQ_OK);
        }
        assert_string_equal(error, "");
        forget(m, &t);
        (void)mq_close(m);
    }
}

static void every_key_reaches_its_queue_and_a_strange_one_the_dead(void **state)
{
    (void)state;
    const struct topology t = fresh(false);
    struct mq *m = rig_open();
    char error[TOPOLOGY_ERROR_SIZE] = "", in[TOPOLOGY_NAME_SIZE], log[TOPOLOGY_NAME_SIZE];
    char name[TOPOLOGY_NAME_SIZE], key[TOPOLOGY_KEY_SIZE];
    uint64_t number = 0;

    assert_int_equal(topology_declare_common(m, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
    assert_int_equal(topology_declare_logs(m, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
    assert_int_equal(topology_declare_broadcaster(m, RIG_CHANNEL, &t, "b", error, sizeof(error)),
                     MQ_OK);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        publish(m, topology_name(in, &t, "in"), topology_key(key, p), ++number);
        publish(m, topology_name(log, &t, "log"), key, ++number);
        assert_int_equal(count_messages(m, topology_name_of(name, &t, "in", p)), 1);
    }
    publish(m, topology_name(in, &t, "in"), topology_key(key, PARTITIONS), ++number);
    assert_int_equal(count_messages(m, topology_name(name, &t, "dead")), 1);
    forget(m, &t);
    (void)mq_close(m);
}

static void what_comes_while_an_input_is_not_there_is_kept_for_its_owner(void **state)
{
    (void)state;
    const struct topology t = fresh(false);
    struct mq *m = rig_open();
    char error[TOPOLOGY_ERROR_SIZE] = "", in[TOPOLOGY_NAME_SIZE], name[TOPOLOGY_NAME_SIZE];
    char key[TOPOLOGY_KEY_SIZE];

    assert_int_equal(topology_declare_common(m, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
    assert_int_equal(mq_queue_delete(m, RIG_CHANNEL, topology_name_of(name, &t, "in", 1)), MQ_OK);
    publish(m, topology_name(in, &t, "in"), topology_key(key, 1), 1);
    publish(m, in, topology_key(key, PARTITIONS), 2); /* nobody's */
    publish(m, in, topology_key(key, 0), 3);
    assert_int_equal(topology_declare_common(m, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
    assert_int_equal(count_messages(m, topology_name_of(name, &t, "spill", 1)), 1);
    assert_int_equal(count_messages(m, topology_name_of(name, &t, "spill", 0)), 0);
    assert_int_equal(count_messages(m, topology_name_of(name, &t, "in", 1)), 0);
    assert_int_equal(count_messages(m, topology_name_of(name, &t, "in", 0)), 1);
    assert_int_equal(count_messages(m, topology_name(name, &t, "dead")), 2);
    assert_int_equal(topology_declare_logs(m, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
    assert_int_equal(topology_declare_broadcaster(m, RIG_CHANNEL, &t, "b", error, sizeof(error)),
                     MQ_OK);
    forget(m, &t);
    (void)mq_close(m);
}

static void another_number_of_partitions_is_refused_in_one_clear_line(void **state)
{
    (void)state;
    const struct topology t = fresh(false);
    struct topology other = t;
    struct mq *m = rig_open();
    char error[TOPOLOGY_ERROR_SIZE] = "", wanted[TOPOLOGY_ERROR_SIZE], name[TOPOLOGY_NAME_SIZE];

    other.partitions = PARTITIONS + 1;
    assert_int_equal(topology_declare_common(m, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
    assert_int_equal(topology_declare_common(m, RIG_CHANNEL, &other, error, sizeof(error)),
                     MQ_REFUSED);
    assert_int_equal(mq_error_code(m), 406);
    (void)snprintf(wanted, sizeof(wanted),
                   "the broker's %s.in was made with another [topology] partitions: "
                   "406 PRECONDITION_FAILED",
                   t.prefix);
    assert_memory_equal(error, wanted, strlen(wanted));
    assert_null(strchr(error, '\n'));
    const struct mq_queue extra = {.name = topology_name_of(name, &t, "in", PARTITIONS),
                                   .passive = true};
    assert_int_equal(mq_queue_declare(m, RIG_CHANNEL, &extra, NULL, NULL), MQ_REFUSED);
    assert_int_equal(mq_error_code(m), 404);
    assert_int_equal(topology_declare_common(m, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
    assert_int_equal(topology_declare_logs(m, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
    assert_int_equal(topology_declare_broadcaster(m, RIG_CHANNEL, &t, "b", error, sizeof(error)),
                     MQ_OK);
    forget(m, &t);
    (void)mq_close(m);
}

static void expect_found(struct mq *m, const struct topology *t, enum topology_found wanted)
{
    char error[TOPOLOGY_ERROR_SIZE] = "";
    enum topology_found found = TOPOLOGY_WHOLE;

    assert_int_equal(topology_find_common(m, RIG_CHANNEL, t, &found, error, sizeof(error)), MQ_OK);
    assert_int_equal(found, wanted);
    assert_int_equal(error[0] != '\0', wanted != TOPOLOGY_WHOLE);
    assert_null(strchr(error, '\n'));
}

static void expect_shared(struct mq *m, const struct topology *t, enum topology_found wanted)
{
    enum topology_found found = TOPOLOGY_OTHER;

    assert_int_equal(topology_find_shared(m, RIG_CHANNEL, t, &found), MQ_OK);
    assert_int_equal(found, wanted);
}

static void who_only_looks_finds_all_of_it_or_what_is_wrong_with_it(void **state)
{
    static const char *const shared[] = {"members", "control", "publish"};
    (void)state;
    for (int is_quorum = 0; is_quorum < 2; is_quorum++) {
        const struct topology t = fresh(is_quorum != 0);
        struct topology more = t, other = t;
        struct mq *m = rig_open();
        char error[TOPOLOGY_ERROR_SIZE] = "", name[TOPOLOGY_NAME_SIZE];

        more.partitions = PARTITIONS + 1;
        other.is_quorum = !t.is_quorum;
        expect_found(m, &t, TOPOLOGY_ABSENT);
        assert_int_equal(topology_declare_common(m, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
        expect_found(m, &t, TOPOLOGY_WHOLE);
        expect_found(m, &more, TOPOLOGY_OTHER);
        expect_found(m, &other, TOPOLOGY_OTHER);
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            topology_name_of(name, &t, "in", p);
            assert_int_equal(mq_queue_delete(m, RIG_CHANNEL, name), MQ_OK);
            expect_found(m, &t, TOPOLOGY_ABSENT);
            assert_int_equal(topology_declare_common(m, RIG_CHANNEL, &t, error, sizeof(error)),
                             MQ_OK);
            expect_found(m, &t, TOPOLOGY_WHOLE);
        }
        for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
            assert_int_equal(mq_queue_delete(m, RIG_CHANNEL, topology_name(name, &t, shared[i])),
                             MQ_OK);
            expect_found(m, &t, TOPOLOGY_ABSENT);
            expect_shared(m, &t, i == 0 || !t.is_quorum ? TOPOLOGY_ABSENT : TOPOLOGY_WHOLE);
            assert_int_equal(topology_declare_shared(m, RIG_CHANNEL, &t, error, sizeof(error)),
                             MQ_OK);
            expect_found(m, &t, TOPOLOGY_WHOLE);
            expect_shared(m, &t, TOPOLOGY_WHOLE);
        }
        assert_int_equal(topology_declare_logs(m, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
        assert_int_equal(
            topology_declare_broadcaster(m, RIG_CHANNEL, &t, "b", error, sizeof(error)), MQ_OK);
        forget(m, &t);
        (void)mq_close(m);
    }
}

static void a_partition_has_one_owner_until_it_is_released_or_its_connection_ends(void **state)
{
    (void)state;
    const struct topology t = fresh(false);
    struct mq *a = rig_open(), *b = rig_open();
    char error[TOPOLOGY_ERROR_SIZE] = "", owner[TOPOLOGY_NAME_SIZE], name[TOPOLOGY_NAME_SIZE];

    assert_int_equal(topology_declare_common(a, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
    assert_int_equal(topology_declare_logs(a, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
    assert_int_equal(topology_declare_broadcaster(a, RIG_CHANNEL, &t, "a", error, sizeof(error)),
                     MQ_OK);
    assert_int_equal(topology_claim(a, RIG_CHANNEL, &t, 1), MQ_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(topology_claim(b, RIG_CHANNEL, &t, 1), MQ_REFUSED);
        assert_int_equal(mq_error_code(b), 405);
    }
    publish(b, topology_name(owner, &t, "owner"), "1", 1);
    assert_int_equal(count_messages(a, topology_name_of(name, &t, "owner", 1)), 1);
    publish(b, owner, "all", 2);
    assert_int_equal(count_messages(a, topology_name_id(name, &t, "broadcaster", "a")), 1);
    assert_int_equal(topology_release(a, RIG_CHANNEL, &t, 1), MQ_OK);
    assert_int_equal(topology_claim(b, RIG_CHANNEL, &t, 1), MQ_OK);
    (void)mq_close(b);
    int rc = MQ_REFUSED;
    int64_t until_ms = clock_mono_ms() + RIG_PATIENCE_MS;
    while (rc == MQ_REFUSED && clock_mono_ms() < until_ms) {
        rc = topology_claim(a, RIG_CHANNEL, &t, 1);
    }
    assert_int_equal(rc, MQ_OK);
    forget(a, &t);
    (void)mq_close(a);
}

static void a_gateway_is_reached_by_its_id_and_by_all_and_its_end_is_told(void **state)
{
    (void)state;
    const struct topology t = fresh(false);
    struct mq *m = rig_open(), *gateway = rig_open();
    char error[TOPOLOGY_ERROR_SIZE] = "", all[TOPOLOGY_NAME_SIZE], own[TOPOLOGY_NAME_SIZE];
    const struct mq_props props = {.persistent = false};

    assert_int_equal(topology_declare_common(m, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
    assert_int_equal(topology_declare_logs(m, RIG_CHANNEL, &t, error, sizeof(error)), MQ_OK);
    assert_int_equal(topology_declare_broadcaster(m, RIG_CHANNEL, &t, "b", error, sizeof(error)),
                     MQ_OK);
    assert_int_equal(topology_declare_gateway(gateway, RIG_CHANNEL, &t, "g", error, sizeof(error)),
                     MQ_OK);
    assert_int_equal(topology_declare_gateway(m, RIG_CHANNEL, &t, "g", error, sizeof(error)),
                     MQ_REFUSED); /* the id is taken */
    assert_int_equal(mq_error_code(m), 405);
    publish(m, topology_name(all, &t, "gateways"), "g", 1);
    publish(m, all, "all", 2);
    assert_int_equal(count_messages(gateway, topology_name_id(own, &t, "gateway", "g")), 2);
    (void)mq_close(gateway);
    bool is_gone = false;
    int64_t until_ms = clock_mono_ms() + RIG_PATIENCE_MS;
    for (uint64_t tag = 3; !is_gone && clock_mono_ms() < until_ms; tag++) {
        struct mq_event e;
        assert_int_equal(mq_publish(m, RIG_CHANNEL, all, "g", true, &props, SLICE_NONE), MQ_OK);
        do {
            assert_int_equal(mq_next(m, &e, RIG_PATIENCE_MS), MQ_OK);
            is_gone = is_gone || e.kind == MQ_RETURN;
        } while (e.kind != MQ_ACK || e.tag < tag);
    }
    assert_true(is_gone);
    forget(m, &t);
    (void)mq_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_services_may_declare_everything_again),
        cmocka_unit_test(every_key_reaches_its_queue_and_a_strange_one_the_dead),
        cmocka_unit_test(what_comes_while_an_input_is_not_there_is_kept_for_its_owner),
        cmocka_unit_test(another_number_of_partitions_is_refused_in_one_clear_line),
        cmocka_unit_test(who_only_looks_finds_all_of_it_or_what_is_wrong_with_it),
        cmocka_unit_test(a_partition_has_one_owner_until_it_is_released_or_its_connection_ends),
        cmocka_unit_test(a_gateway_is_reached_by_its_id_and_by_all_and_its_end_is_told),
    };

    rig_start(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
