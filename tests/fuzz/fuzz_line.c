/*
 * fuzz_line.c: the lines of an AMQP body: what is read can be written and read again.
 */
#include "proto/line.h"
#include "tests/fuzz/fuzz.h"

static void check_again(const struct line *l)
{
    static struct buf text, once_more;
    struct line again;

    buf_clear(&text);
    buf_clear(&once_more);
    line_encode(&text, l);
    struct slice rest = buf_slice(&text);
    FUZZ_CHECK(line_next(&rest, &again) == 0 && rest.size == 0);
    FUZZ_CHECK(slice_equal(l->room, again.room) && slice_equal(l->epoch, again.epoch));
    FUZZ_CHECK(slice_equal(l->lane, again.lane) && slice_equal(l->client, again.client));
    FUZZ_CHECK(slice_equal(l->user, again.user) && slice_equal(l->info, again.info));
    FUZZ_CHECK(l->has_offset == again.has_offset && l->offset == again.offset);
    FUZZ_CHECK(l->from == again.from && l->limit == again.limit);
    FUZZ_CHECK(l->reverse == again.reverse && l->complete == again.complete);
    line_encode(&once_more, &again);
    FUZZ_CHECK(slice_equal(buf_slice(&text), buf_slice(&once_more)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice body = {(const char *)data, size}, rest = body;
    struct line l;
    int answer;

    while ((answer = line_next(&rest, &l)) == 0) {
        FUZZ_CHECK(fuzz_within(l.user, body) && fuzz_within(l.info, body));
        check_again(&l);
    }
    FUZZ_CHECK((answer == LINE_END) == (rest.size == 0));
    return 0;
}
