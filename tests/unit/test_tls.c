/*
 * test_tls.c: TLS clients whose records come in an order that a browser's never do.
 */
#include <errno.h>

#include "gateway/session/sessions_internal.h"
#include "tests/unit/tls_client.h"

static void one_read_takes_one_record_that_brings_no_data(void **state)
{
    enum { KEYS = 50 };
    struct tls_client c;
    char bytes[16384];
    ssize_t got;
    unsigned reads = 0;
    (void)state;

    tls_client_open(&c);
    tls_client_change_keys(&c, KEYS, false);
    tls_client_write(&c, "hello", 5);
    while ((got = tls_read(c.peer, bytes, sizeof(bytes))) == -EAGAIN && reads <= KEYS) {
        reads++;
    }
    assert_int_equal(got, 5);
    assert_int_equal(reads, KEYS);
    assert_int_equal(tls_read(c.peer, bytes, sizeof(bytes)), -EAGAIN);
    tls_client_end(&c);
}

static void who_changes_keys_again_and_again_is_still_served(void **state)
{
    struct kit k;
    struct tls_client c;
    (void)state;

    kit_begin(&k);
    struct session *s = tls_client_join(&c, &k);
    for (int round = 1; round <= 3; round++) {
        tls_client_change_keys(&c, 20, true);
        tls_client_write(&c, "\x81\x82\0\0\0\0hi", 8);
        KIT_UNTIL(&k, tls_client_hear(&c) && c.heard.size > 0);
        assert_true(slice_equal(buf_slice(&c.heard), SLICE_LIT("\x81\x02hi")));
        assert_true(session_is_open(s));
        buf_clear(&c.heard);
    }
    tls_client_end(&c);
    kit_end(&k);
}

static void who_closes_and_says_so_in_tls_at_once_hears_the_close_frame(void **state)
{
    struct kit k;
    struct tls_client c;
    (void)state;

    kit_begin(&k);
    (void)tls_client_join(&c, &k);
    kit_settle(&k);
    tls_client_write(&c, "\x81\x82\0\0\0\0hi\x88\x82\0\0\0\0\x03\xe8", 16);
    assert_int_equal(SSL_shutdown(c.ssl), 0); /* close-notify */
    KIT_UNTIL(&k, !tls_client_hear(&c));
    assert_true(slice_equal(buf_slice(&c.heard), SLICE_LIT("\x81\x02hi\x88\x02\x03\xe8")));
    assert_int_equal(sessions_count(k.gateway.sessions), 0);
    tls_client_end(&c);
    kit_end(&k);
}

/* The socket takes very little: what is queued becomes one record that has not left. */
static void let_it_owe_a_record(struct kit *k, struct session *s)
{
    const int few = 4096;

    assert_int_equal(setsockopt(s->io.fd, SOL_SOCKET, SO_SNDBUF, &few, sizeof(few)), 0);
    kit_settle(k);
    assert_int_equal(s->out.count, 0);
    assert_true((s->io.events & EV_WRITE) != 0);
}

static void the_last_record_leaves_though_both_have_closed(void **state)
{
    enum { SIZE = 15000 };
    static char text[SIZE];
    static const char end[] = "\x88\x14\x0b\xbd"
                              "connection expired";
    struct kit k;
    struct tls_client c;
    (void)state;

    kit_begin(&k);
    struct session *s = tls_client_join(&c, &k);
    kit_settle(&k);
    session_send_text(s, (struct slice){text, SIZE});
    session_close(s, CLOSE_EXPIRED); /* goes into the same record */
    let_it_owe_a_record(&k, s);
    tls_client_write(&c, "\x88\x82\0\0\0\0\x0b\xbd", 8);
    kit_settle(&k);
    assert_int_equal(sessions_count(k.gateway.sessions), 1);
    KIT_UNTIL(&k, !tls_client_hear(&c));
    assert_int_equal(c.heard.size, 4 + SIZE + sizeof(end) - 1);
    assert_memory_equal(c.heard.at + 4 + SIZE, end, sizeof(end) - 1);
    assert_int_equal(sessions_count(k.gateway.sessions), 0);
    tls_client_end(&c);
    kit_end(&k);
}

static void a_record_that_does_not_leave_is_waited_for_once(void **state)
{
    static char text[15000];
    struct kit k;
    struct tls_client c;
    (void)state;

    kit_begin(&k);
    struct session *s = tls_client_join(&c, &k);
    const struct deadline *late = &k.gateway.sessions->late.head;
    kit_settle(&k);
    session_send_text(s, (struct slice){text, sizeof(text)});
    let_it_owe_a_record(&k, s);
    assert_ptr_not_equal(late->next, late);
    int64_t due_ms = late->next->due_ms;
    kit_skip(100);
    session_send_text(s, SLICE_LIT("more"));
    kit_settle(&k);
    assert_int_equal(s->out.count, 1);
    assert_int_equal(late->next->due_ms, due_ms);
    tls_client_end(&c);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_read_takes_one_record_that_brings_no_data),
        cmocka_unit_test(who_changes_keys_again_and_again_is_still_served),
        cmocka_unit_test(who_closes_and_says_so_in_tls_at_once_hears_the_close_frame),
        cmocka_unit_test(the_last_record_leaves_though_both_have_closed),
        cmocka_unit_test(a_record_that_does_not_leave_is_waited_for_once),
    };
    return cmocka_run_group_tests(tests, set_up_tls, tear_down_tls);
}
