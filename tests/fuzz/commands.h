/*
 * commands.h: what must be true of a command that was read, in whatever codec; and an encoder of
 * commands in Protobuf, which the project itself does not need.
 */
#ifndef WARREN_TESTS_FUZZ_COMMANDS_H
#define WARREN_TESTS_FUZZ_COMMANDS_H

#include "proto/codec.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "tests/fuzz/fuzz.h"

/* Slices lie within the message or the texts; data is JSON. */
static inline void command_check(const struct command *c, struct slice message, struct slice texts)
{
    const struct slice all[] = {c->channel, c->token, c->name,    c->key,
                                c->epoch,   c->delta, c->version, c->subs};

    FUZZ_CHECK(fuzz_within(c->data, message));
    FUZZ_CHECK(c->data.size == 0 || json_is_valid(c->data, PAYLOAD_DEPTH_MAX));
    FUZZ_CHECK(c->offset <= OFFSET_MAX);
    FUZZ_CHECK(c->id != 0 || c->method == COMMAND_SEND || c->method == COMMAND_PONG);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        FUZZ_CHECK(fuzz_within(all[i], message) || fuzz_within(all[i], texts));
    }
}

/* Appends the fields of the command's method. */
static inline void command_encode_method(const struct command *c, struct buf *out)
{
    bool is_since = c->method == COMMAND_HISTORY;
    bool is_late = c->method == COMMAND_SUBSCRIBE || c->method == COMMAND_SUB_REFRESH;
    bool is_bare = c->method == COMMAND_SEND || c->method == COMMAND_RPC;

    pb_add_bytes(out, 1, c->channel);
    pb_add_bytes(out, is_late ? 2 : 1, c->token);
    pb_add_bytes(out, c->method == COMMAND_RPC ? 2 : 4, c->name);
    pb_add_bytes(out, is_bare ? 1 : c->method == COMMAND_SUBSCRIBE ? 8 : 2, c->data);
    pb_add_bytes(out, 5, c->version);
    pb_add_u64(out, 7, (uint64_t)c->limit);
    if (c->has_since) {
        size_t since = pb_open(out, 8);

        pb_add_u64(out, 1, c->offset);
        pb_add_bytes(out, 2, c->epoch);
        pb_close(out, since);
    } else if (!is_since) {
        pb_add_bytes(out, 6, c->epoch);
        pb_add_u64(out, 7, c->offset);
    }
    pb_add_flag(out, 3, c->recover);
    pb_add_flag(out, 9, c->positioned || c->reverse);
    pb_add_flag(out, 10, c->recoverable);
    pb_add_flag(out, 11, c->join_leave);
    pb_add_bytes(out, 12, c->delta);
    pb_add_bytes(out, 13, c->has_filter ? SLICE_LIT("\x08\x01") : SLICE_NONE);
    pb_add_u64(out, 14, c->flag);
    pb_add_u64(out, 15, c->type);
}

/* Whatever stands in `subs` of a connect command is read within bounds, to an end. */
static inline void command_check_subs(const struct codec *codec, const struct command *c,
                                      struct slice message, struct buf *texts)
{
    struct slice rest = c->method == COMMAND_CONNECT ? c->subs : SLICE_NONE;
    struct command_sub sub;

    while (codec->next_sub(&rest, texts, &sub) == 0) {
        FUZZ_CHECK(fuzz_within(sub.channel, message) || fuzz_within(sub.channel, buf_slice(texts)));
        FUZZ_CHECK(sub.offset <= OFFSET_MAX);
    }
}

/* The text of `key` is in no field of Protobuf; controls are legal in JSON only. */
static inline bool command_is_encodable(const struct command *c)
{
    return c->key.size == 0 && text_is_clean(c->channel) && text_is_clean(c->token) &&
           text_is_clean(c->name) && text_is_clean(c->version) && text_is_clean(c->epoch) &&
           text_is_clean(c->delta);
}

static inline void command_check_same(const struct command *a, const struct command *b)
{
    FUZZ_CHECK(a->method == b->method && a->id == b->id);
    FUZZ_CHECK(slice_equal(a->channel, b->channel) && slice_equal(a->token, b->token));
    FUZZ_CHECK(slice_equal(a->name, b->name) && slice_equal(a->data, b->data));
    FUZZ_CHECK(slice_equal(a->epoch, b->epoch) && a->offset == b->offset);
    FUZZ_CHECK(a->has_since == b->has_since && a->limit == b->limit && a->reverse == b->reverse);
    FUZZ_CHECK(a->recover == b->recover && a->positioned == b->positioned);
    FUZZ_CHECK(a->recoverable == b->recoverable && a->join_leave == b->join_leave);
    FUZZ_CHECK(a->flag == b->flag && a->type == b->type);
    FUZZ_CHECK(a->has_filter == b->has_filter && slice_equal(a->delta, b->delta));
    FUZZ_CHECK(slice_equal(a->version, b->version));
}

/* Encodes the command and reads it again; `message` is scratch. */
static inline void command_check_again(const struct command *c, struct buf *message)
{
    static const uint32_t numbers[] = {
#define METHOD(name, text, command_number, reply_number) [COMMAND_##name] = command_number,
#include "proto/method.def"
        [COMMAND_UNKNOWN] = 99,
    };
    static struct buf texts;
    struct command again;

    if (!command_is_encodable(c)) {
        return;
    }
    buf_clear(message);
    size_t whole = pb_open_message(message);
    if (c->method != COMMAND_PONG) {
        pb_add_u64(message, 1, c->id);
        size_t method = pb_open(message, numbers[c->method]);
        command_encode_method(c, message);
        pb_close(message, method);
    }
    pb_close(message, whole);
    struct slice rest = buf_slice(message);
    FUZZ_CHECK(codec_protobuf.next(&rest, &texts, &again) == 0);
    command_check_same(c, &again);
    FUZZ_CHECK(rest.size == 0);
}

/* Reads commands to their end, as a target: each is what it must be, and encoded in Protobuf it is
 * read as the same one. */
static inline void command_check_all(const struct codec *codec, struct slice message)
{
    struct slice rest = message;
    static struct buf texts, more;
    struct command c, publish;
    int answer;

    while ((answer = codec->next(&rest, &texts, &c)) != COMMAND_END) {
        FUZZ_CHECK(fuzz_within(rest, message));
        if (answer == COMMAND_MALFORMED) {
            break; /* the session ends here */
        }
        if (answer == COMMAND_BAD) {
            FUZZ_CHECK(c.id != 0 || c.method == COMMAND_SEND);
            continue;
        }
        command_check(&c, message, buf_slice(&texts));
        command_check_again(&c, &more);
        command_check_subs(codec, &c, message, &texts);
        if (c.method == COMMAND_RPC && c.data.size > 0 &&
            command_publish_of(&c, &texts, &publish) == 0) {
            command_check(&publish, message, buf_slice(&texts));
        }
    }
}

#endif
