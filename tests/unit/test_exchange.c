/*
 * test_exchange.c: every exchange of the client protocol is a golden vector, in JSON and in
 * Protobuf: what a client says is read, and what a server says is, to the byte, what is written
 * when its values are told again.
 *
 * The same files are held against the JSON schemas (tests/live/test_schema.py).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/codec.h"
#include "tests/unit/vectors.h"

static const struct codec *codec; /* that is tried now */

/* Texts of vectors have no escapes but for users, which stay as they are. */
static struct slice text_of(struct slice object, const char *key)
{
    struct slice value = json_get(object, key);

    return json_is_string(value) ? json_inside(value) : SLICE_NONE;
}

static uint64_t number_of(struct slice object, const char *key)
{
    struct slice value = json_get(object, key);
    uint64_t number = 0;

    assert_true(value.size == 0 || json_u64(value, &number));
    return number;
}

static bool flag_of(struct slice object, const char *key)
{
    struct slice value = json_get(object, key);
    bool flag = false;

    assert_true(value.size == 0 || json_bool(value, &flag));
    return flag;
}

static struct reply_member member_of(struct slice info)
{
    return (struct reply_member){.client = text_of(info, "client"),
                                 .user = text_of(info, "user"),
                                 .info = json_get(info, "conn_info"),
                                 .chan_info = json_get(info, "chan_info")};
}

static struct record record_of(struct slice publication)
{
    struct slice info = json_get(publication, "info");
    struct record r = {.payload = json_get(publication, "data"),
                       .offset = number_of(publication, "offset"),
                       .time = (int64_t)number_of(publication, "time")};

    if (info.size > 0) {
        r.user = text_of(info, "user");
        r.client = text_of(info, "client");
        r.info = json_get(info, "conn_info");
        r.chan_info = json_get(info, "chan_info");
    }
    return r;
}

/* A list of the codec, which the caller frees. */
static struct buf publications_of(struct slice object)
{
    struct slice list = json_get(object, "publications"), one;
    struct buf out = BUF_EMPTY;
    struct json_array a;

    if (list.size > 0) {
        assert_true(json_array_open(&a, list));
        while (json_array_next(&a, &one)) {
            struct record r = record_of(one);
            codec->publication(&out, &r);
        }
    }
    return out;
}

static struct reply_subscribe subscribed_of(struct slice object, const struct buf *publications)
{
    return (struct reply_subscribe){.recoverable = flag_of(object, "recoverable"),
                                    .epoch = text_of(object, "epoch"),
                                    .offset = number_of(object, "offset"),
                                    .was_recovering = flag_of(object, "was_recovering"),
                                    .recovered = flag_of(object, "recovered"),
                                    .publications = buf_slice(publications),
                                    .expires = flag_of(object, "expires"),
                                    .ttl_s = (uint32_t)number_of(object, "ttl"),
                                    .data = json_get(object, "data")};
}

static struct reply_refresh refreshed_of(struct slice object)
{
    return (struct reply_refresh){.client = text_of(object, "client"),
                                  .version = text_of(object, "version"),
                                  .expires = flag_of(object, "expires"),
                                  .ttl_s = (uint32_t)number_of(object, "ttl")};
}

/* `subs` of a connect reply, as a list of the codec. */
static struct buf subs_of(struct slice object)
{
    struct slice subs = json_get(object, "subs");
    struct buf out = BUF_EMPTY;
    struct json_object o;
    struct json_member m;

    if (subs.size > 0) {
        assert_true(json_object_open(&o, subs));
        while (json_object_next(&o, &m)) {
            struct buf publications = publications_of(m.value);
            struct reply_subscribe r = subscribed_of(m.value, &publications);
            codec->sub(&out, m.key, &r);
            buf_deinit(&publications);
        }
    }
    return out;
}

static void write_connect(struct buf *out, uint32_t id, struct slice result)
{
    struct buf subs = subs_of(result);

    codec->connect(out, id,
                   &(struct reply_connect){.client = text_of(result, "client"),
                                           .version = text_of(result, "version"),
                                           .ping_s = (uint32_t)number_of(result, "ping"),
                                           .expires = flag_of(result, "expires"),
                                           .ttl_s = (uint32_t)number_of(result, "ttl"),
                                           .data = json_get(result, "data"),
                                           .subs = buf_slice(&subs)});
    buf_deinit(&subs);
}

static void write_presence(struct buf *out, uint32_t id, struct slice result)
{
    struct buf list = BUF_EMPTY;
    struct json_object o;
    struct json_member m;

    assert_true(json_object_open(&o, json_get(result, "presence")));
    while (json_object_next(&o, &m)) {
        struct reply_member member = member_of(m.value);
        codec->member(&list, &member);
    }
    codec->presence(out, id, buf_slice(&list));
    buf_deinit(&list);
}

/* Replies that are lists, or have some. */
static bool write_listed(struct buf *out, uint32_t id, struct slice method, struct slice result)
{
    struct buf publications = publications_of(result);
    bool is_known = true;

    if (slice_equal(method, SLICE_LIT("subscribe"))) {
        struct reply_subscribe r = subscribed_of(result, &publications);
        codec->subscribe(out, id, &r);
    } else if (slice_equal(method, SLICE_LIT("history"))) {
        codec->history(out, id,
                       &(struct reply_history){buf_slice(&publications), text_of(result, "epoch"),
                                               number_of(result, "offset")});
    } else if (slice_equal(method, SLICE_LIT("presence"))) {
        write_presence(out, id, result);
    } else if (slice_equal(method, SLICE_LIT("connect"))) {
        write_connect(out, id, result);
    } else {
        is_known = false;
    }
    buf_deinit(&publications);
    return is_known;
}

static void write_reply(struct buf *out, uint32_t id, struct slice method, struct slice result)
{
    struct reply_refresh refreshed = refreshed_of(result);

    if (write_listed(out, id, method, result)) {
        return;
    }
    if (slice_equal(method, SLICE_LIT("error"))) {
        codec->error(out, id, (enum reply_error)number_of(result, "code"));
    } else if (slice_equal(method, SLICE_LIT("publish"))) {
        codec->empty(out, id, COMMAND_PUBLISH);
    } else if (slice_equal(method, SLICE_LIT("unsubscribe"))) {
        codec->empty(out, id, COMMAND_UNSUBSCRIBE);
    } else if (slice_equal(method, SLICE_LIT("rpc"))) {
        codec->rpc(out, id, json_get(result, "data"));
    } else if (slice_equal(method, SLICE_LIT("refresh"))) {
        codec->refresh(out, id, &refreshed);
    } else if (slice_equal(method, SLICE_LIT("sub_refresh"))) {
        codec->sub_refresh(out, id, &refreshed);
    } else if (slice_equal(method, SLICE_LIT("presence_stats"))) {
        codec->presence_stats(out, id,
                              &(struct reply_presence_stats){number_of(result, "num_clients"),
                                                             number_of(result, "num_users")});
    } else {
        fail_msg("a reply of no kind: %.*s", SLICE_ARG(method));
    }
}

static void write_move(struct buf *out, struct slice room, struct slice content, bool left)
{
    struct reply_move m = {
        .room = room, .member = member_of(json_get(content, "info")), .left = left};

    codec->push_move(out, &m);
}

static void write_push_unsubscribe(struct buf *out, struct slice room, struct slice content)
{
    struct buf reason = BUF_EMPTY;

    buf_add_slice(&reason, text_of(content, "reason"));
    buf_add_char(&reason, '\0');
    codec->push_unsubscribe(out, room, (uint32_t)number_of(content, "code"), reason.at);
    buf_deinit(&reason);
}

static void write_push_disconnect(struct buf *out, struct slice content)
{
    struct buf reason = BUF_EMPTY;

    buf_add_slice(&reason, text_of(content, "reason"));
    buf_add_char(&reason, '\0');
    codec->push_disconnect(out, (uint32_t)number_of(content, "code"), reason.at);
    buf_deinit(&reason);
}

static void write_push(struct buf *out, struct slice room, struct slice kind, struct slice content)
{
    struct buf none = BUF_EMPTY;

    if (slice_equal(kind, SLICE_LIT("pub"))) {
        struct record r = record_of(content);
        r.room = room;
        codec->push_record(out, &r);
    } else if (slice_equal(kind, SLICE_LIT("join")) || slice_equal(kind, SLICE_LIT("leave"))) {
        write_move(out, room, content, kind.at[0] == 'l');
    } else if (slice_equal(kind, SLICE_LIT("unsubscribe"))) {
        write_push_unsubscribe(out, room, content);
    } else if (slice_equal(kind, SLICE_LIT("subscribe"))) {
        struct reply_subscribe r = subscribed_of(content, &none);
        codec->push_subscribe(out, room, &r);
    } else if (slice_equal(kind, SLICE_LIT("message"))) {
        codec->push_message(out, json_get(content, "data"));
    } else if (slice_equal(kind, SLICE_LIT("disconnect"))) {
        write_push_disconnect(out, content);
    } else if (slice_equal(kind, SLICE_LIT("refresh"))) {
        struct reply_refresh r = refreshed_of(content);
        codec->push_refresh(out, &r);
    } else {
        fail_msg("a push of no kind: %.*s", SLICE_ARG(kind));
    }
}

/* The member of an object that is not called `except`; false: there is none. */
static bool other_member(struct slice object, struct slice except, struct json_member *m)
{
    struct json_object o;

    assert_true(json_object_open(&o, object));
    while (json_object_next(&o, m)) {
        if (!slice_equal(m->key, except)) {
            return true;
        }
    }
    return false;
}

/* Says again what the document says. */
static void write_again(struct buf *out, struct slice document)
{
    struct slice push = json_get(document, "push");
    struct json_member m;

    if (push.size > 0) {
        assert_true(other_member(push, SLICE_LIT("channel"), &m));
        write_push(out, text_of(push, "channel"), m.key, m.value);
    } else if (other_member(document, SLICE_LIT("id"), &m)) {
        write_reply(out, (uint32_t)number_of(document, "id"), m.key, m.value);
    } else {
        buf_add_slice(out, codec->ping);
    }
}

static void assert_written_again(const struct vectors *v, struct slice text)
{
    struct buf again = BUF_EMPTY, bytes = BUF_EMPTY;

    codec = &codec_json;
    write_again(&again, text);
    if (!slice_equal(buf_slice(&again), text)) {
        fail_msg("%.*s: written as %.*s", VECTOR_NAME(v), SLICE_ARG(buf_slice(&again)));
    }
    codec = &codec_protobuf;
    buf_clear(&again);
    vector_add_hex(v->now, "hex", &bytes);
    write_again(&again, text);
    if (!slice_equal(buf_slice(&again), buf_slice(&bytes))) {
        fail_msg("%.*s: not so in Protobuf", VECTOR_NAME(v));
    }
    buf_deinit(&again);
    buf_deinit(&bytes);
}

static const char *const methods[] = {
    [COMMAND_PONG] = "pong",
#define METHOD(name, text, command, reply) [COMMAND_##name] = text,
#include "proto/method.def"
};

static void assert_read(const struct vectors *v, struct slice message)
{
    struct buf texts = BUF_EMPTY;
    struct command c;
    int64_t id;

    assert_true(json_i64(json_get(v->now, "id"), &id));
    if (codec->next(&message, &texts, &c) != 0 || c.id != id || c.method >= ARRAY_LEN(methods) ||
        !slice_equal(slice_of(methods[c.method]), text_of(v->now, "method"))) {
        fail_msg("%.*s", VECTOR_NAME(v));
    }
    assert_int_equal(codec->next(&message, &texts, &c), COMMAND_END);
    buf_deinit(&texts);
}

static void every_exchange_is_read_and_written(void **state)
{
    (void)state;
    struct vectors v = vectors_open("exchange");
    struct buf text = BUF_EMPTY, bytes = BUF_EMPTY;
    unsigned read = 0, written = 0;

    while (vectors_next(&v)) {
        buf_clear(&text);
        buf_clear(&bytes);
        assert_true(vector_add_text(v.now, "text", &text));
        vector_add_hex(v.now, "hex", &bytes);
        if (vector_is(v.now, "from", "\"client\"")) {
            codec = &codec_json;
            assert_read(&v, buf_slice(&text));
            codec = &codec_protobuf; /* test_pb_command.c: each of its members is the same */
            assert_read(&v, buf_slice(&bytes));
            read++;
        } else {
            assert_true(vector_is(v.now, "from", "\"server\""));
            assert_written_again(&v, buf_slice(&text));
            written++;
        }
    }
    assert_true(read > 15 && written > 30);
    buf_deinit(&text);
    buf_deinit(&bytes);
}

/* What the plain dialect says has writers of its own. */
static bool is_plain(struct slice text)
{
    return json_get(text, "event").size > 0 ||
           (json_get(text, "error").size > 0 && json_get(text, "id").size == 0);
}

static void every_good_reply_is_written_as_it_stands(void **state)
{
    (void)state;
    struct vectors v = vectors_open("reply");
    struct buf text = BUF_EMPTY;
    unsigned count = 0;

    while (vectors_next(&v)) {
        buf_clear(&text);
        assert_true(vector_add_text(v.now, "text", &text));
        if (vector_is(v.now, "valid", "true") && !is_plain(buf_slice(&text))) {
            assert_written_again(&v, buf_slice(&text));
            count++;
        }
    }
    assert_true(count > 40);
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_exchange_is_read_and_written),
        cmocka_unit_test(every_good_reply_is_written_as_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
