/* test_mq_props.c: headers of foreign clients, and URLs of brokers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/mq_internal.h"

static amqp_basic_properties_t with_headers(amqp_table_entry_t *entries, int count)
{
    return (amqp_basic_properties_t){._flags = AMQP_BASIC_HEADERS_FLAG,
                                     .headers = {count, entries}};
}

static amqp_table_entry_t entry(const char *name, uint8_t kind)
{
    return (amqp_table_entry_t){.key = mq_bytes_of(name), .value.kind = kind};
}

static void numbers_of_every_width_are_read_as_numbers(void **state)
{
    amqp_table_entry_t e[] = {
        entry("a", AMQP_FIELD_KIND_BOOLEAN), entry("b", AMQP_FIELD_KIND_I8),
        entry("c", AMQP_FIELD_KIND_U8),      entry("d", AMQP_FIELD_KIND_I16),
        entry("e", AMQP_FIELD_KIND_U16),     entry("f", AMQP_FIELD_KIND_I32),
        entry("g", AMQP_FIELD_KIND_U32),     entry("h", AMQP_FIELD_KIND_I64),
        entry("i", AMQP_FIELD_KIND_U64),     entry("j", AMQP_FIELD_KIND_TIMESTAMP),
    };
    static const int64_t values[] = {1,         -128,       255,       -32768,    65535,
                                     INT32_MIN, UINT32_MAX, INT64_MIN, INT64_MAX, 1790000000};
    struct mq_props p;
    int64_t offset;
    (void)state;

    e[0].value.value.boolean = 4;
    e[1].value.value.i8 = -128;
    e[2].value.value.u8 = 255;
    e[3].value.value.i16 = -32768;
    e[4].value.value.u16 = 65535;
    e[5].value.value.i32 = INT32_MIN;
    e[6].value.value.u32 = UINT32_MAX;
    e[7].value.value.i64 = INT64_MIN;
    e[8].value.value.u64 = INT64_MAX;
    e[9].value.value.u64 = 1790000000;
    amqp_basic_properties_t from = with_headers(e, ARRAY_LEN(e));
    mq_props_read(&p, &from, &offset);
    assert_int_equal(p.header_count, ARRAY_LEN(e));
    for (size_t i = 0; i < ARRAY_LEN(e); i++) {
        const char name[] = {(char)('a' + i), '\0'};
        int64_t number = 0;
        assert_true(mq_props_get_number(&p, name, &number));
        assert_int_equal(number, values[i]);
    }
    assert_int_equal(offset, -1);
}

static void kinds_that_we_do_not_read_are_passed_over(void **state)
{
    static const uint8_t kinds[] = {AMQP_FIELD_KIND_F32,
                                    AMQP_FIELD_KIND_F64,
                                    AMQP_FIELD_KIND_DECIMAL,
                                    AMQP_FIELD_KIND_TABLE,
                                    AMQP_FIELD_KIND_ARRAY,
                                    AMQP_FIELD_KIND_VOID,
                                    0,
                                    255};
    struct mq_props p;
    int64_t offset;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        amqp_table_entry_t e[] = {entry("odd", kinds[i]), entry("text", AMQP_FIELD_KIND_BYTES)};
        e[1].value.value.bytes = mq_bytes_of("x");
        amqp_basic_properties_t from = with_headers(e, 2);
        mq_props_read(&p, &from, &offset);
        assert_int_equal(p.header_count, 1);
        assert_true(slice_equal(p.headers[0].text, SLICE_LIT("x")));
    }
    amqp_table_entry_t huge = entry("huge", AMQP_FIELD_KIND_U64);
    huge.value.value.u64 = (uint64_t)INT64_MAX + 1;
    amqp_basic_properties_t from = with_headers(&huge, 1);
    mq_props_read(&p, &from, &offset);
    assert_int_equal(p.header_count, 0);
}

static void further_headers_are_ignored_but_for_the_stream_offset(void **state)
{
    amqp_table_entry_t e[MQ_HEADERS_MAX + 5];
    char names[MQ_HEADERS_MAX + 5][16];
    struct mq_props p;
    int64_t offset;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(e); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "h%zu", i);
        e[i] = entry(names[i], AMQP_FIELD_KIND_I64);
        e[i].value.value.i64 = (int64_t)i;
    }
    e[ARRAY_LEN(e) - 1].key = mq_bytes_of("x-stream-offset");
    amqp_basic_properties_t from = with_headers(e, ARRAY_LEN(e));
    mq_props_read(&p, &from, &offset);
    assert_int_equal(p.header_count, MQ_HEADERS_MAX);
    assert_true(p.has_more);
    assert_int_equal(offset, ARRAY_LEN(e) - 1);
}

static void fields_without_their_flag_are_not_read(void **state)
{
    const amqp_basic_properties_t from = {.type = {3, (void *)(uintptr_t) "abc"},
                                          .timestamp = 5,
                                          .delivery_mode = 2,
                                          .headers = {7, NULL}};
    struct mq_props p;
    int64_t offset;
    (void)state;

    mq_props_read(&p, &from, &offset);
    assert_int_equal(p.type.size, 0);
    assert_int_equal(p.timestamp_s, 0);
    assert_false(p.persistent);
    assert_int_equal(p.header_count, 0);
}

static void brokers_are_tried_in_turn(void **state)
{
    char error[128] = "";
    (void)state;
    struct mq_target *t = mq_target_new(
        " amqp://a:b@one:5673/x%2Fy , amqps://two/,amqp://c:d@[::1]", NULL, error, sizeof(error));
    assert_non_null(t);
    assert_string_equal(error, "");
    for (int turn = 0; turn < 2; turn++) {
        const struct amqp_connection_info *i = mq_target_next(t);
        assert_string_equal(i->host, "one");
        assert_int_equal(i->port, 5673);
        assert_string_equal(i->user, "a");
        assert_string_equal(i->password, "b");
        assert_string_equal(i->vhost, "x/y");
        assert_false(i->ssl);
        i = mq_target_next(t);
        assert_string_equal(i->host, "two");
        assert_int_equal(i->port, 5671);
        assert_string_equal(i->user, "guest");
        assert_string_equal(i->vhost, "/"); /* not the empty one */
        assert_true(i->ssl);
        i = mq_target_next(t);
        assert_string_equal(i->host, "::1");
        assert_string_equal(i->vhost, "/");
    }
    assert_null(mq_target_free(t));
}

static void bad_urls_are_refused_without_showing_the_password(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        ",",
        "localhost",
        "http://localhost/",
        "amqp://u:secret@host:port/",
        "amqp://u:secret@host:99999/",
        "amqp://u:secret@host/a/b",
        "amqp://u:secret@host/?heartbeat=3",
        "amqp://u:secret@host/%zz",
        "amqp://u:secret@host/,",
        "amqp://u:secret@host/,,amqp://u:secret@host/",
        "amqp://u:secret@[::1/",
        "AMQP://u:secret@host/",
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char error[128] = "";
        assert_null(mq_target_new(bad[i], NULL, error, sizeof(error)));
        assert_true(error[0] != '\0');
        assert_null(strstr(error, "secret"));
    }
}

static void more_brokers_than_the_limit_are_refused(void **state)
{
    char urls[17 * 9 + 1] = "", error[128] = "";
    (void)state;

    for (size_t i = 0; i < 17; i++) {
        memcpy(urls + i * 9, "amqp://h,", 9);
    }
    urls[17 * 9 - 1] = '\0';
    assert_null(mq_target_new(urls, NULL, error, sizeof(error)));
    urls[16 * 9 - 1] = '\0';
    struct mq_target *t = mq_target_new(urls, "/ca.pem", error, sizeof(error));
    assert_non_null(t);
    assert_string_equal(mq_target_ca_file(t), "/ca.pem");
    (void)mq_target_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_every_width_are_read_as_numbers),
        cmocka_unit_test(kinds_that_we_do_not_read_are_passed_over),
        cmocka_unit_test(further_headers_are_ignored_but_for_the_stream_offset),
        cmocka_unit_test(fields_without_their_flag_are_not_read),
        cmocka_unit_test(brokers_are_tried_in_turn),
        cmocka_unit_test(bad_urls_are_refused_without_showing_the_password),
        cmocka_unit_test(more_brokers_than_the_limit_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
