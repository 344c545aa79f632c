/*
 * test_ws_limits.c: peers that want more than is allowed: long messages, many
 * fragments, many pings. See ws_peer.h for the method.
 */
#include <malloc.h>

#include "tests/unit/ws_peer.h"

/* A header that announces `size` bytes of text, none of which come. */
static void announce(struct buf *out, int first, uint64_t size)
{
    buf_add_char(out, (char)first);
    add_length(out, size, 0, 0x80);
    buf_add(out, "\1\2\3\4", 4);
}

static void a_message_above_the_limit_is_refused_by_its_header(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {MESSAGE_MAX + 1,   65535,    65536, 1u << 30,
                                     (uint64_t)1 << 40, INT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf bytes = BUF_EMPTY;
        announce(&bytes, FIN | TEXT, sizes[i]);
        expect(buf_slice(&bytes), "violation(too_big)", false);
        buf_clear(&bytes);
        announce(&bytes, BINARY, sizes[i]);
        expect(buf_slice(&bytes), "violation(too_big)", false);
        buf_deinit(&bytes);
    }
}

static void a_length_with_its_top_bit_set_is_a_protocol_error(void **state)
{
    (void)state;
    struct buf bytes = BUF_EMPTY;

    announce(&bytes, FIN | TEXT, (uint64_t)1 << 63);
    expect(buf_slice(&bytes), "violation(protocol_error)", false);
    buf_clear(&bytes);
    announce(&bytes, FIN | TEXT, UINT64_MAX);
    expect(buf_slice(&bytes), "violation(protocol_error)", false);
    buf_deinit(&bytes);
}

/* A text frame of `size` times 'x'. */
static void add_xs(struct buf *out, int first, size_t size)
{
    char xs[MESSAGE_MAX + 1];

    memset(xs, 'x', sizeof(xs));
    assert_true(size < sizeof(xs));
    xs[size] = '\0';
    add_frame(out, &(struct frame){.first = (uint8_t)first, .payload = xs});
}

static void an_announced_size_takes_no_memory(void **state)
{
    (void)state;
    static struct ws_loop huge = {.limits = {1u << 30, FRAGMENTS_MAX, EMPTY_MAX, CONTROL_MAX}};
    struct listener l = {.heard = BUF_EMPTY};
    struct buf bytes = BUF_EMPTY;

    announce(&bytes, FIN | TEXT, 1u << 30);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    ws_feed(&l.ws, &huge, bytes.at, bytes.size, 0, &events, &l);
    size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    assert_in_range(after - before, 0, 16384); /* a sanitizer's heap shows nothing here */
    assert_false(ws_is_idle(&l.ws));
    expect_heard(&l, "", "a header only", bytes.size);
    ws_loop_deinit(&huge);
    buf_deinit(&bytes);
}

static void fragments_are_summed_against_the_limit(void **state)
{
    (void)state;
    struct buf bytes = BUF_EMPTY;
    struct buf want = BUF_EMPTY;

    for (int message = 0; message < 2; message++) { /* each counts anew */
        add_xs(&bytes, TEXT, 600);
        add_xs(&bytes, FIN | CONTINUATION, 400);
    }
    add_xs(&bytes, TEXT, 600);
    announce(&bytes, FIN | CONTINUATION, 401);
    for (int i = 0; i < 2 * MESSAGE_MAX; i++) {
        buf_addf(&want, "%sx%s", i % MESSAGE_MAX == 0 ? "text(" : "",
                 i % MESSAGE_MAX == MESSAGE_MAX - 1 ? ")" : "");
    }
    buf_add_lit(&want, "violation(too_big)");
    buf_add_char(&want, '\0');
    expect(buf_slice(&bytes), want.at, false);
    buf_deinit(&bytes);
    buf_deinit(&want);
}

static void more_fragments_than_allowed_are_refused(void **state)
{
    (void)state;
    struct buf bytes = BUF_EMPTY;

    for (int message = 0; message < 3; message++) { /* the third has one too many */
        add_xs(&bytes, TEXT, 1);
        for (int i = 2; i < FRAGMENTS_MAX + message / 2; i++) {
            add_xs(&bytes, CONTINUATION, 1);
        }
        add_xs(&bytes, FIN | CONTINUATION, 1);
    }
    expect(buf_slice(&bytes), "text(xxxxxxxx)text(xxxxxxxx)violation(too_many_fragments)", false);
    buf_deinit(&bytes);
}

static void more_than_a_hundred_empty_fragments_are_refused(void **state)
{
    (void)state;
    static struct ws_loop many = {.limits = {MESSAGE_MAX, 1000000, EMPTY_MAX, CONTROL_MAX}};

    for (int empty = 99; empty <= 101; empty++) {
        struct listener l = {.heard = BUF_EMPTY};
        struct buf bytes = BUF_EMPTY;
        add_xs(&bytes, TEXT, 1);
        for (int i = 0; i < empty; i++) {
            add_xs(&bytes, CONTINUATION, 0);
        }
        add_xs(&bytes, FIN | CONTINUATION, 1);
        ws_feed(&l.ws, &many, bytes.at, bytes.size, 0, &events, &l);
        expect_heard(&l, empty <= 100 ? "text(xx)" : "violation(too_many_empty)", "empty ones",
                     (size_t)empty);
        ws_loop_deinit(&many);
        buf_deinit(&bytes);
    }
}

static void a_flood_of_control_frames_is_refused_and_the_next_second_counts_anew(void **state)
{
    (void)state;
    struct listener l = {.heard = BUF_EMPTY};
    struct buf ping = BUF_EMPTY;
    struct buf want = BUF_EMPTY;

    add_frame(&ping, &(struct frame){.first = FIN | PING, .payload = ""});
    for (int i = 0; i < 2 * CONTROL_MAX; i++) {
        int64_t now_ms = i < CONTROL_MAX ? 1999 : 2000;
        ws_feed(&l.ws, &loop, ping.at, ping.size, now_ms, &events, &l);
        buf_add_lit(&want, "ping()");
    }
    assert_true(ws_is_idle(&l.ws));
    ws_feed(&l.ws, &loop, ping.at, ping.size, 2999, &events, &l);
    buf_add_lit(&want, "violation(ping_flood)");
    buf_add_char(&want, '\0');
    expect_heard(&l, want.at, "pings", CONTROL_MAX);
    buf_deinit(&ping);
    buf_deinit(&want);
}

static void a_connection_is_idle_between_messages_only(void **state)
{
    (void)state;
    struct listener l = {.heard = BUF_EMPTY};
    struct buf bytes = BUF_EMPTY;

    add_xs(&bytes, TEXT, 5);
    size_t first = bytes.size;
    add_frame(&bytes, &(struct frame){.first = FIN | PING, .payload = "?"});
    add_xs(&bytes, FIN | CONTINUATION, 5);
    for (size_t i = 0; i < bytes.size; i++) {
        assert_int_equal(ws_is_idle(&l.ws), i == 0);
        feed(&l, bytes.at + i, 1);
    }
    assert_true(first < bytes.size);
    assert_true(ws_is_idle(&l.ws));
    expect_heard(&l, "ping(?)text(xxxxxxxxxx)", "byte by byte", 1);
    buf_deinit(&bytes);
}

static void a_message_that_comes_whole_takes_no_memory_but_the_first(void **state)
{
    (void)state;
    struct listener l = {.heard = BUF_EMPTY};
    struct listener other = {.heard = BUF_EMPTY};
    struct buf bytes = BUF_EMPTY;

    add_xs(&bytes, FIN | TEXT, 5);
    feed(&l, bytes.at, bytes.size);
    struct ws_engine *kept = loop.spare;
    assert_non_null(kept);
    feed(&other, bytes.at, 1); /* takes it, and is not at its end */
    assert_null(loop.spare);
    feed(&l, bytes.at, bytes.size); /* meanwhile: one of its own, which stays */
    assert_non_null(loop.spare);
    assert_ptr_not_equal(loop.spare, kept);
    feed(&other, bytes.at + 1, bytes.size - 1); /* the loop keeps one, not two */
    assert_ptr_not_equal(loop.spare, kept);
    expect_heard(&l, "text(xxxxx)text(xxxxx)", "two", 2);
    expect_heard(&other, "text(xxxxx)", "between them", 1);
    buf_deinit(&bytes);
}

static void what_a_violation_left_is_nobody_elses(void **state)
{
    (void)state;
    struct listener bad = {.heard = BUF_EMPTY};
    struct listener good = {.heard = BUF_EMPTY};
    struct buf bytes = BUF_EMPTY;

    add_xs(&bytes, TEXT, 5);
    add_frame(&bytes, &(struct frame){.first = FIN | TEXT, .payload = "within"});
    feed(&bad, bytes.at, bytes.size);
    assert_null(loop.spare);
    buf_clear(&bytes);
    add_xs(&bytes, FIN | TEXT, 3);
    feed(&good, bytes.at, bytes.size);
    expect_heard(&bad, "violation(protocol_error)", "text within text", 1);
    expect_heard(&good, "text(xxx)", "after another's violation", 1);
    buf_deinit(&bytes);
}

static void who_is_full_takes_nothing_and_then_the_rest(void **state)
{
    (void)state;
    struct listener l = {.heard = BUF_EMPTY, .rests = true};
    struct buf bytes = BUF_EMPTY;

    add_xs(&bytes, FIN | TEXT, 2);
    size_t first = bytes.size;
    add_xs(&bytes, FIN | TEXT, 1);
    assert_int_equal(ws_feed(&l.ws, &loop, bytes.at, bytes.size, 0, &events, &l), first);
    assert_true(ws_is_idle(&l.ws));
    assert_int_equal(ws_feed(&l.ws, &loop, bytes.at + first, bytes.size - first, 0, &events, &l),
                     0);
    assert_true(ws_is_idle(&l.ws));
    l.ws.is_full = false;
    assert_int_equal(ws_feed(&l.ws, &loop, bytes.at + first, bytes.size - first, 0, &events, &l),
                     bytes.size - first);
    l.ws.is_closed = true; /* and is_full: nobody is to bring it again */
    assert_int_equal(ws_feed(&l.ws, &loop, bytes.at, bytes.size, 0, &events, &l), bytes.size);
    expect_heard(&l, "text(xx)text(x)", "with a rest", first);
    buf_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_above_the_limit_is_refused_by_its_header),
        cmocka_unit_test(a_length_with_its_top_bit_set_is_a_protocol_error),
        cmocka_unit_test(an_announced_size_takes_no_memory),
        cmocka_unit_test(fragments_are_summed_against_the_limit),
        cmocka_unit_test(more_fragments_than_allowed_are_refused),
        cmocka_unit_test(more_than_a_hundred_empty_fragments_are_refused),
        cmocka_unit_test(a_flood_of_control_frames_is_refused_and_the_next_second_counts_anew),
        cmocka_unit_test(a_connection_is_idle_between_messages_only),
        cmocka_unit_test(a_message_that_comes_whole_takes_no_memory_but_the_first),
        cmocka_unit_test(what_a_violation_left_is_nobody_elses),
        cmocka_unit_test(who_is_full_takes_nothing_and_then_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
