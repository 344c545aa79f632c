/*
 * fuzz_raw.c: messages of other programs (PREFIX.publish): one is refused by name, or it is a
 * record that can be written and read, and its payload published once more stays as it is.
 *
 * The input is lines: the routing key, the message id, the user id; then the body.
 */
#include "common/mem.h"
#include "common/mq.h"
#include "gateway/bus/raw.h"
#include "proto/json.h"
#include "proto/record.h"
#include "proto/room.h"
#include "tests/fuzz/fuzz.h"

#define BODY_MAX 1000 /* bytes; so that inputs can be above it */
#define NOW_MS 1790000000000

static void check_record(const struct raw *raw)
{
    static struct buf line;
    const struct record r = {.room = raw->room,
                             .user = raw->user,
                             .time = NOW_MS,
                             .key = raw->key,
                             .payload = raw->payload};
    struct record read;

    buf_clear(&line);
    record_encode(&line, &r);
    struct slice rest = buf_slice(&line);
    FUZZ_CHECK(record_next(&rest, false, &read) == 0 && rest.size == 0);
    FUZZ_CHECK(slice_equal(r.room, read.room) && slice_equal(r.user, read.user));
    FUZZ_CHECK(slice_equal(r.key, read.key) && slice_equal(r.payload, read.payload));
    FUZZ_CHECK(read.time == NOW_MS);
}

/* The user as its sender wrote it. */
static void check_user(const struct raw *raw, struct slice user)
{
    static struct buf text;

    buf_clear(&text);
    json_unescape(&text, raw->user);
    FUZZ_CHECK(slice_equal(buf_slice(&text), user));
}

static void check_once_more(const struct mq_event *e, const struct raw *raw)
{
    const char *copy = fuzz_copy(raw->payload.at, raw->payload.size);
    struct mq_event event = *e;
    struct raw *again;

    event.body = (struct slice){copy, raw->payload.size};
    FUZZ_CHECK(raw_read(&event, BODY_MAX, &again) == RAW_GOOD);
    FUZZ_CHECK(slice_equal(raw->payload, again->payload) && raw->node.cost == again->node.cost);
    mem_free(again);
    fuzz_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = {(const char *)data, size};
    struct mq_event e = {.kind = MQ_DELIVERY, .tag = 7, .stream_offset = -1};
    struct raw *raw = NULL;

    e.key = fuzz_take_line(&rest);
    e.props.message_id = fuzz_take_line(&rest);
    e.props.user_id = fuzz_take_line(&rest);
    const char *copy = fuzz_copy(rest.at, rest.size);
    e.body = (struct slice){copy, rest.size};
    enum raw_fault fault = raw_read(&e, BODY_MAX, &raw);
    FUZZ_CHECK(fault < RAW_FAULTS && (fault == RAW_GOOD) == (raw_fault_label(fault)[0] == '\0'));
    FUZZ_CHECK((fault == RAW_GOOD) == (raw != NULL));
    if (fault == RAW_GOOD) {
        FUZZ_CHECK(raw->tag == e.tag && raw->payload.size <= e.body.size);
        FUZZ_CHECK(room_is_valid(raw->room) && json_is_valid(raw->payload, PAYLOAD_DEPTH_MAX));
        check_record(raw);
        check_user(raw, e.props.user_id);
        check_once_more(&e, raw);
        mem_free(raw);
    }
    fuzz_free(copy);
    return 0;
}
