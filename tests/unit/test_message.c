/*
 * test_message.c: messages go into properties and headers and come out of them, and what cannot be
 * understood is named. A received message is made of the properties of a sent one, or of a vector.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/message.h"
#include "tests/unit/vectors.h"

#define TEXTS_MAX 2048 /* bytes of a vector's texts, decoded: they must not move */

/* The event that a vector describes; texts are kept in its scratch buffer. */
static void event_from_vector(struct vectors *v, struct mq_event *e)
{
    struct json_object o;
    struct json_member m;

    *e = (struct mq_event){.kind = MQ_DELIVERY};
    buf_reserve(&v->scratch, TEXTS_MAX);
    size_t start = v->scratch.size;
    assert_true(vector_add_text(v->now, "type", &v->scratch));
    e->props.type = (struct slice){v->scratch.at + start, v->scratch.size - start};
    start = v->scratch.size;
    assert_true(vector_add_text(v->now, "body", &v->scratch));
    e->body = (struct slice){v->scratch.at + start, v->scratch.size - start};

    assert_true(json_object_open(&o, json_get(v->now, "headers")));
    while (json_object_next(&o, &m)) {
        struct mq_header *h = &e->props.headers[e->props.header_count++];

        assert_true(e->props.header_count <= MQ_HEADERS_MAX);
        *h = (struct mq_header){.name = m.key, .is_number = !json_is_string(m.value)};
        if (h->is_number) {
            assert_true(json_i64(m.value, &h->number));
        } else {
            start = v->scratch.size;
            json_unescape(&v->scratch, json_inside(m.value));
            h->text = (struct slice){v->scratch.at + start, v->scratch.size - start};
        }
    }
    assert_true(v->scratch.size <= TEXTS_MAX);
}

/* The properties that the sender makes of a message must be those that the vector tells. */
static void assert_sent_alike(const struct vectors *v, const struct message *m,
                              const struct mq_event *e)
{
    char scratch[ID_MAX * 2];
    struct mq_props sent;

    message_to_props(m, SLICE_LIT("warren-gateway/g1"), scratch, &sent);
    assert_true(slice_equal(sent.type, e->props.type));
    assert_true(slice_equal(sent.content_type, SLICE_LIT("application/x-ndjson")));
    assert_true(slice_equal(sent.app_id, SLICE_LIT("warren-gateway/g1")));
    assert_true(slice_equal(sent.message_id, json_inside(json_get(v->now, "id"))));
    assert_int_equal(sent.persistent, vector_is(v->now, "persistent", "true"));
    assert_int_equal(sent.timestamp_s, m->time_ms / 1000);
    assert_int_equal(sent.correlation_id.size, 0);
    if (sent.header_count != e->props.header_count) {
        fail_msg("%.*s: %zu headers", VECTOR_NAME(v), sent.header_count);
    }
    for (size_t i = 0; i < sent.header_count; i++) {
        const struct mq_header *h = &sent.headers[i];
        bool is_found = false;

        for (size_t k = 0; k < e->props.header_count && !is_found; k++) {
            const struct mq_header *w = &e->props.headers[k];
            is_found = slice_equal(h->name, w->name) && h->is_number == w->is_number &&
                       h->number == w->number && slice_equal(h->text, w->text);
        }
        if (!is_found) {
            fail_msg("%.*s: header %.*s", VECTOR_NAME(v), SLICE_ARG(h->name));
        }
    }
}

static void messages_are_understood_and_sent_as_the_vectors_say(void **state)
{
    struct vectors v = vectors_open("message");
    (void)state;

    while (vectors_next(&v)) {
        struct slice why = json_get(v.now, "why");
        struct mq_event e;
        struct message m;

        event_from_vector(&v, &e);
        const char *got = message_from_event(&e, &m);
        struct slice want = json_is_string(why) ? json_inside(why) : SLICE_NONE;
        if (!slice_equal(got != NULL ? slice_of(got) : SLICE_NONE, want)) {
            fail_msg("%.*s: %s", VECTOR_NAME(&v), got != NULL ? got : "understood");
        }
        if (got == NULL) {
            assert_true(slice_equal(m.body, e.body));
            assert_true(slice_equal(slice_of(message_type_name(m.type)), e.props.type));
            if (json_is_string(json_get(v.now, "id"))) {
                assert_sent_alike(&v, &m, &e);
            }
        }
    }
}

static void every_type_has_another_name(void **state)
{
    (void)state;

    for (int a = 0; a < MESSAGE_TYPE_COUNT; a++) {
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(message_type_name((enum message_type)a),
                                    message_type_name((enum message_type)b));
        }
    }
}

/* A message with all that a type needs. */
static struct message message_of(enum message_type type)
{
    return (struct message){
        .type = type,
        .partition = 255,
        .term = INT64_MAX,
        .link = 1,
        .number = 2,
        .batch = 3,
        .request = 4,
        .checkpoint = 5,
        .records = 6,
        .told = 7,
        .gateway = SLICE_LIT("g-1.example_2"),
        .boot = SLICE_LIT("0123456789abcdef"),
        .owner = SLICE_LIT("b1"),
        .lanes = SLICE_LIT("0123456789abcdef:1 00c0ffee00c0ffee:18446744073709551615"),
        .time_ms = 1790000000123,
        .body = SLICE_LIT("{}\n"),
    };
}

static void what_a_type_needs_is_sent_whether_asked_for_or_not(void **state)
{
    (void)state;

    for (int type = 0; type < MESSAGE_TYPE_COUNT; type++) {
        struct message m = message_of((enum message_type)type), got;
        struct mq_event e = {.body = m.body};
        char scratch[ID_MAX * 2];

        message_to_props(&m, SLICE_LIT("test"), scratch, &e.props);
        assert_null(message_from_event(&e, &got));
        assert_int_equal(got.type, type);
        bool is_of_all = type == MESSAGE_CONTROL; /* partitions */
        assert_int_equal(got.partition, is_of_all ? 0 : 255);
        assert_int_equal((got.has & HAS_PARTITION) != 0, !is_of_all);
        assert_true((got.has & HAS_TERM) == 0 || got.term == INT64_MAX);
        assert_true((got.has & HAS_LANES) == 0 || slice_equal(got.lanes, m.lanes));
        assert_true((got.has & (HAS_RECORDS | HAS_CHECKPOINT | HAS_TOLD)) ==
                    0); /* nobody needs them */
        assert_true(got.records == 0 && got.checkpoint == 0 && got.told == 0);
        assert_true(got.time_ms == m.time_ms);
    }
}

static void what_is_asked_for_is_sent_too(void **state)
{
    struct message m = message_of(MESSAGE_DELIVER), got;
    struct mq_event e = {.body = m.body};
    char scratch[ID_MAX * 2];
    (void)state;

    m.has = HAS_RECORDS | HAS_CHECKPOINT | HAS_TOLD;
    message_to_props(&m, SLICE_LIT("test"), scratch, &e.props);
    assert_null(message_from_event(&e, &got));
    assert_true((got.has & m.has) == m.has);
    assert_true(got.records == 6 && got.checkpoint == 5 && got.told == 7);
}

static void the_longest_ids_fit(void **state)
{
    struct message m = message_of(MESSAGE_OWNER);
    char owner[ID_MAX], scratch[ID_MAX * 2];
    struct mq_props props;
    (void)state;

    memset(owner, 'b', sizeof(owner));
    m.owner = (struct slice){owner, sizeof(owner)};
    m.partition = UINT32_MAX;
    message_to_props(&m, SLICE_LIT("test"), scratch, &props);
    assert_int_equal(props.message_id.size, ID_MAX + sizeof("/4294967295/9223372036854775807") - 1);
    assert_memory_equal(props.message_id.at, owner, sizeof(owner));
}

static void a_time_comes_from_the_timestamp_when_there_is_no_better(void **state)
{
    static const struct {
        int64_t timestamp_s, time_ms;
    } cases[] = {{1790000000, 1790000000000}, {0, 0}, {-1, 0}, {INT64_MAX, 0}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mq_event e = {
            .props = {.type = SLICE_LIT("released"), .timestamp_s = cases[i].timestamp_s}};
        struct message m;

        mq_props_number(&e.props, "partition", 1);
        mq_props_text(&e.props, "owner", SLICE_LIT("b1"));
        assert_null(message_from_event(&e, &m));
        assert_true(m.time_ms == cases[i].time_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_understood_and_sent_as_the_vectors_say),
        cmocka_unit_test(every_type_has_another_name),
        cmocka_unit_test(what_a_type_needs_is_sent_whether_asked_for_or_not),
        cmocka_unit_test(what_is_asked_for_is_sent_too),
        cmocka_unit_test(the_longest_ids_fit),
        cmocka_unit_test(a_time_comes_from_the_timestamp_when_there_is_no_better),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
