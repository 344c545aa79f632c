/*
 * test_service.c: the settings that both services share are judged alike.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/mem.h"
#include "common/service.h"

static const struct service_texts good = {
    .amqp_url = "amqp://guest:guest@127.0.0.1:5672/",
    .amqp_prefix = "warren",
    .amqp_ca_file = "",
    .queue_type = "classic",
    .log_max_age = "7D",
    .log_level = "info",
    .id = "gateway-1",
};

static void good_settings_pass(void **state)
{
    char error[SERVICE_ERROR_SIZE];

    (void)state;
    assert_int_equal(service_check(&good, error, sizeof(error)), 0);
}

static void a_bad_one_is_named(void **state)
{
    static const struct {
        size_t offset;
        const char *value, *names;
    } cases[] = {
        {offsetof(struct service_texts, amqp_url), "http://x/", "[amqp] url"},
        {offsetof(struct service_texts, amqp_url), "", "[amqp] url"},
        {offsetof(struct service_texts, amqp_prefix), "", "[amqp] prefix"},
        {offsetof(struct service_texts, amqp_prefix), "a.b", "[amqp] prefix"},
        {offsetof(struct service_texts, amqp_prefix), "a b", "[amqp] prefix"},
        {offsetof(struct service_texts, queue_type), "stream", "queue_type"},
        {offsetof(struct service_texts, log_max_age), "7", "log_max_age"},
        {offsetof(struct service_texts, log_max_age), "D", "log_max_age"},
        {offsetof(struct service_texts, log_max_age), "7x", "log_max_age"},
        {offsetof(struct service_texts, log_max_age), "7DD", "log_max_age"},
        {offsetof(struct service_texts, log_level), "loud", "[log] level"},
        {offsetof(struct service_texts, id), "", "id"},
        {offsetof(struct service_texts, id), "all", "id"},
        {offsetof(struct service_texts, id), "a/b", "id"},
        {offsetof(struct service_texts, id),
         "12345678901234567890123456789012345678901234567890123456789012345", "id"},
    };
    char error[SERVICE_ERROR_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct service_texts texts = good;

        memcpy((char *)&texts + cases[i].offset, &cases[i].value, sizeof(cases[i].value));
        assert_int_equal(service_check(&texts, error, sizeof(error)), -1);
        assert_non_null(strstr(error, cases[i].names));
    }
}

static void an_id_that_is_made_up_is_good_and_new(void **state)
{
    char error[SERVICE_ERROR_SIZE];
    char *one = service_make_id("gateway"), *two = service_make_id("gateway");
    struct service_texts texts = good;

    (void)state;
    assert_string_not_equal(one, two);
    texts.id = one;
    assert_int_equal(service_check(&texts, error, sizeof(error)), 0);
    mem_free(one);
    mem_free(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_settings_pass),
        cmocka_unit_test(a_bad_one_is_named),
        cmocka_unit_test(an_id_that_is_made_up_is_good_and_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
