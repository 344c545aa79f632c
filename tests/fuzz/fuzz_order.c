/*
 * fuzz_order.c: the orders of a control message: what is read can be written and read again, and
 * each line says what it says, whatever stands around it and wherever the body ends.
 */
#include "proto/order.h"
#include "tests/fuzz/fuzz.h"

static void check_same(const struct order *a, const struct order *b)
{
    FUZZ_CHECK(a->kind == b->kind && a->offset == b->offset && a->code == b->code);
    FUZZ_CHECK(slice_equal(a->user, b->user) && slice_equal(a->client, b->client));
    FUZZ_CHECK(slice_equal(a->room, b->room) && slice_equal(a->epoch, b->epoch));
    FUZZ_CHECK(slice_equal(a->address, b->address) && slice_equal(a->token, b->token));
    FUZZ_CHECK(slice_equal(a->reason, b->reason) && slice_equal(a->data, b->data));
    FUZZ_CHECK(slice_equal(a->info, b->info) && slice_equal(a->whitelist, b->whitelist));
    FUZZ_CHECK(a->until == b->until && a->before == b->before);
    FUZZ_CHECK(a->expired == b->expired && a->join_leave == b->join_leave);
}

static void check_again(const struct order *o)
{
    static struct buf line, once_more;
    struct order again;

    buf_clear(&line);
    buf_clear(&once_more);
    order_encode(&line, o);
    struct slice rest = buf_slice(&line);
    FUZZ_CHECK(order_next(&rest, &again) == 0 && rest.size == 0);
    check_same(o, &again);
    order_encode(&once_more, &again);
    FUZZ_CHECK(slice_equal(buf_slice(&line), buf_slice(&once_more)));
}

/* The line by itself, in memory that ends with it. */
static void check_alone(const struct order *o, struct slice line)
{
    const char *copy = fuzz_copy(line.at, line.size);
    struct slice rest = {copy, line.size};
    struct order alone;

    FUZZ_CHECK(order_next(&rest, &alone) == 0 && rest.size == 0);
    check_same(o, &alone);
    fuzz_free(copy);
}

/* What an order has is what its kind needs. */
static void check_whole(const struct order *o, struct slice body)
{
    bool is_ban = o->kind == ORDER_BAN || o->kind == ORDER_UNBAN;
    bool is_of_record = o->kind == ORDER_DELETE || o->kind == ORDER_HISTORY_REMOVE;

    FUZZ_CHECK(o->kind < ORDER_KINDS && order_name(o->kind)[0] != '\0');
    FUZZ_CHECK(!is_ban || (o->user.size > 0) != (o->address.size > 0));
    FUZZ_CHECK(!is_of_record || (o->room.size > 0 && o->epoch.size > 0 && o->offset > 0));
    FUZZ_CHECK(o->offset <= OFFSET_MAX && o->code <= UINT16_MAX);
    FUZZ_CHECK(fuzz_within(o->user, body) && fuzz_within(o->room, body));
    FUZZ_CHECK(fuzz_within(o->data, body) && fuzz_within(o->whitelist, body));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice body = {(const char *)data, size}, rest = body;
    uint64_t seed = fuzz_seed(data, size);
    size_t cut = (size_t)(random_next(&seed) >> 16) % (size + 1), before_cut = 0;
    struct order o;
    int answer;

    for (;;) {
        struct slice line = rest;

        answer = order_next(&rest, &o);
        if (answer != 0) {
            break;
        }
        line.size -= rest.size;
        before_cut += size - rest.size <= cut;
        check_whole(&o, body);
        check_again(&o);
        check_alone(&o, line);
    }
    FUZZ_CHECK((answer == ORDER_END) == (rest.size == 0));

    const char *copy = fuzz_copy(data, cut);
    rest = (struct slice){copy, cut};
    for (; before_cut > 0; before_cut--) {
        FUZZ_CHECK(order_next(&rest, &o) == 0);
    }
    FUZZ_CHECK(order_next(&rest, &o) == (rest.size == 0 ? ORDER_END : ORDER_BAD));
    fuzz_free(copy);
    return 0;
}
