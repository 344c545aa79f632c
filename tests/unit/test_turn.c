/*
 * test_turn.c: what one turn of the loop takes from one session, however much has come from it; the
 * rest waits, in order.
 */
#include <sys/socket.h>

#include "gateway/session/sessions_internal.h"
#include "tests/unit/limits_kit.h"

#define COMPRESSED_TEXT 0x41
#define OPCODE_CLOSE 0x8
#define BIG 65000 /* bytes of a message that takes a little more than 100 on the wire */
#define MANY 100  /* of them come in one read */

/* A frame without mask; the key is 0. */
static void add_frame(struct buf *out, int opcode, struct slice payload)
{
    buf_add_char(out, (char)(0x80 | opcode));
    if (payload.size < 126) {
        buf_add_char(out, (char)(0x80 | payload.size));
    } else {
        buf_add_char(out, (char)(0x80 | 126));
        buf_add_char(out, (char)(payload.size >> 8));
        buf_add_char(out, (char)(payload.size & 0xff));
    }
    buf_add(out, "\0\0\0\0", 4);
    buf_add_slice(out, payload);
}

static void send_all(struct peer *p, struct buf *bytes)
{
    assert_in_range(bytes->size, 1, SESSION_READ_SIZE);
    assert_int_equal(send(p->fd, bytes->at, bytes->size, MSG_NOSIGNAL), bytes->size);
    buf_deinit(bytes);
}

/* Commands that inflate to BIG bytes each, with ids from 1 on. */
static void add_bombs(struct buf *out, unsigned count)
{
    static char text[BIG];
    struct deflate *d = deflate_new(9, 9); /* smaller than the gateway would make them */

    for (unsigned id = 1; id <= count; id++) {
        int size =
            snprintf(text, sizeof(text), "{\"id\":%u,\"unsubscribe\":{\"channel\":\"a\"}}", id);
        memset(text + size, ' ', sizeof(text) - (size_t)size);
        add_frame(out, COMPRESSED_TEXT, deflate_pack(d, (struct slice){text, BIG}, 15));
    }
    deflate_free(d);
}

static void open_packed(struct peer *p, struct kit *k)
{
    peer_open_packed(p, k, DIALECT_CENTRIFUGE, "ann", "", 15);
    peer_send(p, "{\"id\":1,\"connect\":{}}");
    peer_expect_part(p, "{\"id\":1,\"connect\":{\"client\":\"");
}

static void so_much_is_inflated_and_the_rest_of_what_was_read_waits(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;
    struct buf bytes = BUF_EMPTY;

    kit_begin(&k);
    open_packed(&p, &k);
    const struct metrics *m = &k.gateway.metrics;
    uint64_t before = stat_get(&m->unpacked_after), most = 0;

    add_bombs(&bytes, MANY);
    send_all(&p, &bytes);
    int64_t until = clock_mono_ms() + KIT_WAIT_MS;
    while (stat_get(&m->unpacked) < MANY) {
        assert_true(clock_mono_ms() < until);
        kit_turn(&k);
        most = MAX(most, stat_get(&m->unpacked_after) - before);
        before = stat_get(&m->unpacked_after);
    }
    assert_in_range(most, SESSION_UNPACK_MAX, SESSION_UNPACK_MAX + BIG);
    assert_in_range(met(&k, LIMIT_INFLATED), 10, MANY);
    for (unsigned id = 1; id <= MANY; id++) {
        char want[64];

        snprintf(want, sizeof(want), "{\"id\":%u,\"unsubscribe\":{}}", id);
        peer_expect(&p, want);
    }
    KIT_UNTIL(&k, peer_session(&p)->strain == NULL);
    assert_null(peer_session(&p)->early);
    peer_end(&p);
    kit_end(&k);
}

static void nothing_is_inflated_for_a_session_that_is_closing(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;
    struct buf bytes = BUF_EMPTY;

    kit_begin(&k);
    open_packed(&p, &k);
    session_close(peer_session(&p), CLOSE_EXPIRED);
    peer_expect(&p, "close 3005 connection expired");
    add_bombs(&bytes, MANY);
    send_all(&p, &bytes);
    kit_settle(&k);
    assert_int_equal(stat_get(&k.gateway.metrics.unpacked), 0);
    peer_send_frame(&p, OPCODE_CLOSE, "\x03\xe8", 2);
    peer_expect(&p, "end"); /* it was understood behind them */
    peer_end(&p);
    kit_end(&k);
}

static void who_closes_meanwhile_is_heard_at_once(void **state)
{
    (void)state;
    struct kit k;
    struct peer p;
    struct buf bytes = BUF_EMPTY;

    kit_begin(&k);
    open_packed(&p, &k);
    add_bombs(&bytes, MANY);
    add_frame(&bytes, OPCODE_CLOSE, SLICE_LIT("\x03\xe8"));
    send_all(&p, &bytes);
    KIT_UNTIL(&k, stat_get(&k.gateway.metrics.unpacked) > 0);
    assert_non_null(peer_session(&p)->early);
    session_close(peer_session(&p), CLOSE_EXPIRED);
    kit_settle(&k);
    assert_in_range(stat_get(&k.gateway.metrics.unpacked), 1, 1 + SESSION_UNPACK_MAX / BIG);
    const char *heard = peer_next(&p);
    while (heard[0] == '{') {
        heard = peer_next(&p);
    }
    assert_string_equal(heard, "close 3005 connection expired");
    peer_expect(&p, "end"); /* its close frame was among what had waited */
    assert_int_equal(sessions_count(k.gateway.sessions), 0);
    peer_end(&p);
    kit_end(&k);
}

static void beyond_the_rate_the_next_message_waits_though_it_was_read(void **state)
{
    enum { BURST = 5, SAID = 40 };
    (void)state;
    struct kit k;
    struct peer p;
    struct buf bytes = BUF_EMPTY;

    kit_init(&k);
    k.conf.message_rate = 100;
    k.conf.message_burst = BURST;
    kit_start(&k);
    peer_open(&p, &k, DIALECT_ECHO, "ann", "");
    for (unsigned i = 0; i < SAID; i++) {
        char text[4];

        snprintf(text, sizeof(text), "%u", i);
        add_frame(&bytes, 0x1, slice_of(text));
    }
    kit_stop_clocks();
    send_all(&p, &bytes);
    kit_settle(&k);
    assert_int_equal(stat_get(&k.gateway.metrics.messages_in), BURST + 1);
    kit_start_clocks();
    for (unsigned i = 0; i < SAID; i++) {
        char text[4];

        snprintf(text, sizeof(text), "%u", i);
        peer_expect(&p, text);
    }
    assert_true(stat_get(&k.gateway.metrics.paced) > 1);
    peer_end(&p);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_much_is_inflated_and_the_rest_of_what_was_read_waits),
        cmocka_unit_test(nothing_is_inflated_for_a_session_that_is_closing),
        cmocka_unit_test(who_closes_meanwhile_is_heard_at_once),
        cmocka_unit_test(beyond_the_rate_the_next_message_waits_though_it_was_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
