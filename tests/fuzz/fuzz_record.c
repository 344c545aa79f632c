/*
 * fuzz_record.c: the records of an AMQP body: what is read can be written and read again.
 */
#include "proto/codec.h"
#include "proto/json.h"
#include "proto/record.h"
#include "proto/room.h"
#include "tests/fuzz/fuzz.h"

#define LEVELS_AROUND 3 /* of a push around its payload */

static void check_again(const struct record *r, bool is_numbered)
{
    static struct buf lines, once_more;
    struct record again;

    buf_clear(&lines);
    buf_clear(&once_more);
    record_encode(&lines, r);
    struct slice rest = buf_slice(&lines);
    FUZZ_CHECK(record_next(&rest, is_numbered, &again) == 0 && rest.size == 0);
    FUZZ_CHECK(slice_equal(r->room, again.room) && r->offset == again.offset);
    FUZZ_CHECK(slice_equal(r->epoch, again.epoch) && slice_equal(r->user, again.user));
    FUZZ_CHECK(slice_equal(r->client, again.client) && slice_equal(r->info, again.info));
    FUZZ_CHECK(slice_equal(r->chan_info, again.chan_info));
    FUZZ_CHECK(slice_equal(r->key, again.key) && r->time == again.time);
    FUZZ_CHECK(slice_equal(r->payload, again.payload));
    record_encode(&once_more, &again);
    FUZZ_CHECK(slice_equal(buf_slice(&lines), buf_slice(&once_more)));
}

/* What clients are told of it is JSON, or a message behind its length. */
static void check_push(const struct record *r)
{
    static struct buf json, protobuf;

    buf_clear(&json);
    buf_clear(&protobuf);
    codec_json.push_record(&json, r);
    if (json_is_valid(r->payload, PAYLOAD_DEPTH_MAX - LEVELS_AROUND)) {
        FUZZ_CHECK(json_is_valid(buf_slice(&json), PAYLOAD_DEPTH_MAX));
    }
    FUZZ_CHECK(memchr(json.at, '\n', json.size) == NULL);
    codec_protobuf.push_record(&protobuf, r);
    FUZZ_CHECK(protobuf.size > r->payload.size + r->room.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int is_numbered = 0; is_numbered < 2; is_numbered++) {
        struct slice body = {(const char *)data, size}, rest = body;
        struct record r;
        int answer;

        while ((answer = record_next(&rest, is_numbered, &r)) == 0) {
            FUZZ_CHECK(fuzz_within(r.payload, body) && fuzz_within(r.user, body));
            FUZZ_CHECK(room_is_valid(r.room) && (r.offset > 0) == (is_numbered != 0));
            FUZZ_CHECK(json_is_valid(r.payload, PAYLOAD_DEPTH_MAX));
            check_again(&r, is_numbered);
            check_push(&r);
        }
        FUZZ_CHECK((answer == RECORD_END) == (rest.size == 0));
    }
    return 0;
}
