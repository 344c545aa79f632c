/* test_outq.c: blobs on their way into a socket; a socketpair is the peer. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/outq.h"

struct pair {
    int ours, theirs;
};

/* Both ends do not block. A small send buffer makes writes partial. */
static struct pair pair_open(int send_size)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    if (send_size > 0) {
        assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &send_size, sizeof(send_size)),
                         0);
    }
    return (struct pair){ends[0], ends[1]};
}

static void pair_close(struct pair *p)
{
    close(p->ours);
    close(p->theirs);
}

/* Appends what has arrived. Returns how much. */
static size_t receive(int fd, struct buf *got)
{
    size_t before = got->size;
    for (;;) {
        ssize_t size = read(fd, buf_reserve(got, 65536), 65536);
        if (size <= 0) {
            return got->size - before;
        }
        buf_grew(got, (size_t)size);
    }
}

/* What the queue's counters must always agree on. */
static void assert_sane(const struct outq *q)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < q->count; i++) {
        bytes += q->slots[(q->head + i) % q->capacity]->size;
    }
    assert_int_equal(q->bytes, bytes - q->head_sent);
    assert_true(q->count <= q->capacity);
    assert_true((q->capacity & (q->capacity - 1)) == 0);
    assert_int_equal(q->slots == NULL, q->capacity == 0);
    assert_true(q->count > 0 || q->head_sent == 0);
    assert_true(q->passing <= q->count);
}

static void an_empty_queue_is_drained_and_holds_no_memory(void **state)
{
    (void)state;
    struct pair p = pair_open(0);
    struct outq q = OUTQ_EMPTY;

    assert_int_equal(outq_flush(&q, p.ours), OUTQ_DRAINED);
    outq_take(&q, blob_copy("abc", 3));
    assert_non_null(q.slots);
    assert_int_equal(outq_flush(&q, p.ours), OUTQ_DRAINED);
    assert_null(q.slots);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(q.capacity, 0);
    outq_deinit(&q);
    pair_close(&p);
}

static void references_are_taken_handed_over_and_given_back(void **state)
{
    (void)state;
    struct pair p = pair_open(0);
    struct outq a = OUTQ_EMPTY, b = OUTQ_EMPTY;
    struct blob *shared = blob_copy("shared", 6);

    outq_add(&a, shared);
    outq_add(&a, shared);
    outq_add(&b, shared);
    assert_int_equal(shared->refs, 4);
    assert_int_equal(outq_flush(&a, p.ours), OUTQ_DRAINED);
    assert_int_equal(shared->refs, 2);
    outq_deinit(&b);
    assert_int_equal(shared->refs, 1);
    outq_take(&a, shared); /* freed with the queue: the leak checker looks */
    outq_deinit(&a);
    assert_null(blob_unref(NULL));
    pair_close(&p);
}

static void a_blob_without_bytes_is_not_queued(void **state)
{
    (void)state;
    struct outq q = OUTQ_EMPTY;
    struct blob *empty = blob_new(0);

    outq_add(&q, empty);
    assert_int_equal(empty->refs, 1);
    outq_take(&q, empty);
    assert_int_equal(q.count, 0);
    assert_int_equal(q.bytes, 0);
    assert_null(q.slots);
}

static void the_ring_doubles_and_keeps_the_order(void **state)
{
    (void)state;
    struct pair p = pair_open(0);
    struct outq q = OUTQ_EMPTY;
    struct buf sent = BUF_EMPTY, got = BUF_EMPTY;

    for (int i = 0; i < 1000; i++) {
        char text[16];
        int size = snprintf(text, sizeof(text), "%d,", i);
        buf_add(&sent, text, (size_t)size);
        outq_take(&q, blob_copy(text, (size_t)size));
        assert_sane(&q);
        assert_int_equal(q.bytes, sent.size);
        if (i == 3 || i == 4) {
            assert_int_equal(q.capacity, i == 3 ? 4 : 8);
        }
    }
    assert_int_equal(outq_flush(&q, p.ours), OUTQ_DRAINED);
    receive(p.theirs, &got);
    assert_int_equal(got.size, sent.size);
    assert_memory_equal(got.at, sent.at, sent.size);
    buf_deinit(&sent);
    buf_deinit(&got);
    pair_close(&p);
}

static void what_was_cut_by_a_full_socket_goes_on_where_it_stopped(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 7, 300, 5000, 70000};
    struct pair p = pair_open(4096);
    struct outq q = OUTQ_EMPTY;
    struct buf sent = BUF_EMPTY, got = BUF_EMPTY;
    unsigned blocked = 0, partial = 0;

    for (int round = 0; round < 200; round++) {
        struct blob *b = blob_new(sizes[round % ARRAY_LEN(sizes)]);
        for (uint32_t i = 0; i < b->size; i++) {
            b->bytes[i] = (char)((sent.size + i) * 31 >> 3);
        }
        buf_add(&sent, b->bytes, b->size);
        outq_take(&q, b);

        int r = outq_flush(&q, p.ours);
        assert_true(r == OUTQ_DRAINED || r == OUTQ_BLOCKED);
        blocked += r == OUTQ_BLOCKED;
        partial += q.head_sent > 0;
        assert_sane(&q);
        receive(p.theirs, &got);
        assert_int_equal(got.size + q.bytes, sent.size);
    }
    while (outq_flush(&q, p.ours) == OUTQ_BLOCKED) {
        assert_true(receive(p.theirs, &got) > 0);
        assert_sane(&q);
    }
    receive(p.theirs, &got);
    assert_true(blocked > 10);
    assert_true(partial > 10);
    assert_int_equal(got.size, sent.size);
    assert_memory_equal(got.at, sent.at, sent.size);
    buf_deinit(&sent);
    buf_deinit(&got);
    pair_close(&p);
}

static void one_flush_takes_no_more_than_the_share_of_a_turn(void **state)
{
    (void)state;
    struct pair p = pair_open(4 * OUTQ_TURN_BYTES);
    struct outq q = OUTQ_EMPTY;
    struct buf got = BUF_EMPTY;
    const uint32_t size = OUTQ_TURN_BYTES / 3 * 2;

    int given;
    socklen_t length = sizeof(given);
    assert_int_equal(getsockopt(p.ours, SOL_SOCKET, SO_SNDBUF, &given, &length), 0);
    for (int i = 0; i < 2; i++) {
        struct blob *b = blob_new(size);
        memset(b->bytes, 'a' + i, size);
        outq_take(&q, b);
    }
    assert_int_equal(outq_flush(&q, p.ours), OUTQ_BLOCKED);
    size_t first = receive(p.theirs, &got);
    if (given > 2 * OUTQ_TURN_BYTES) { /* else the kernel's limit comes before ours */
        assert_int_equal(first, OUTQ_TURN_BYTES);
    }
    assert_true(first <= OUTQ_TURN_BYTES);
    assert_sane(&q);
    while (outq_flush(&q, p.ours) == OUTQ_BLOCKED) {
        assert_true(receive(p.theirs, &got) > 0);
    }
    receive(p.theirs, &got);
    assert_int_equal(got.size, 2 * size);
    assert_int_equal(got.at[size - 1], 'a');
    assert_int_equal(got.at[size], 'b');
    buf_deinit(&got);
    pair_close(&p);
}

static void a_peer_that_is_gone_is_an_answer_and_no_signal(void **state)
{
    (void)state;
    struct pair p = pair_open(0);
    struct outq q = OUTQ_EMPTY;

    close(p.theirs);
    outq_take(&q, blob_copy("abc", 3));
    assert_int_equal(outq_flush(&q, p.ours), -EPIPE);
    assert_int_equal(q.bytes, 3);
    close(p.ours);
    assert_int_equal(outq_flush(&q, p.ours), -EBADF);
    outq_deinit(&q);
    assert_int_equal(q.bytes, 0);
}

/* A queue of `count` blobs of one byte each, 'a' and so on. */
static void fill(struct outq *q, int count)
{
    for (int i = 0; i < count; i++) {
        char letter = (char)('a' + i);
        outq_take(q, blob_copy(&letter, 1));
    }
}

/* 0, or 1 when it took the place of what may be replaced. */
static int replace(struct outq *q, const char *text)
{
    struct blob *b = blob_copy(text, strlen(text));
    bool is_done = outq_replace(q, b);

    assert_int_equal(b->refs, is_done ? 2 : 1);
    blob_unref(b);
    assert_sane(q);
    return is_done;
}

static void assert_leaves(struct outq *q, const char *want)
{
    char got[64];
    size_t size = outq_move(q, got, sizeof(got) - 1);

    got[size] = '\0';
    assert_string_equal(got, want);
    assert_sane(q);
}

static void only_what_was_marked_last_is_replaced_in_its_place(void **state)
{
    (void)state;
    struct outq q = OUTQ_EMPTY;

    assert_int_equal(replace(&q, "x"), 0); /* nothing is there */
    fill(&q, 3);
    assert_int_equal(replace(&q, "x"), 0); /* nothing is marked */
    outq_mark(&q);
    fill(&q, 2);
    assert_int_equal(replace(&q, "longer"), 1);
    assert_int_equal(replace(&q, "y"), 1);
    assert_leaves(&q, "abyab");

    fill(&q, 1);
    outq_mark(&q);
    fill(&q, 1);
    outq_mark(&q);
    assert_int_equal(replace(&q, "z"), 1);
    assert_leaves(&q, "az");
    fill(&q, 1);
    assert_int_equal(replace(&q, "x"), 0); /* a mark does not outlive its queue */
    assert_leaves(&q, "a");
}

static void what_has_begun_to_leave_is_not_replaced(void **state)
{
    (void)state;
    char got[8];

    for (size_t left = 0; left <= 7; left++) { /* of: a, pong, b, a */
        struct outq q = OUTQ_EMPTY;

        fill(&q, 1);
        outq_take(&q, blob_copy("pong", 4));
        outq_mark(&q);
        fill(&q, 2);
        for (int i = 0; i < 8; i++) { /* the ring grows meanwhile */
            outq_take(&q, blob_copy("_", 1));
        }
        assert_int_equal(outq_move(&q, got, left), left);
        assert_int_equal(replace(&q, "PONG!"), left <= 1);
        assert_leaves(&q, &(left <= 1 ? "aPONG!ab________" : "apongab________")[left]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_queue_is_drained_and_holds_no_memory),
        cmocka_unit_test(references_are_taken_handed_over_and_given_back),
        cmocka_unit_test(a_blob_without_bytes_is_not_queued),
        cmocka_unit_test(the_ring_doubles_and_keeps_the_order),
        cmocka_unit_test(what_was_cut_by_a_full_socket_goes_on_where_it_stopped),
        cmocka_unit_test(one_flush_takes_no_more_than_the_share_of_a_turn),
        cmocka_unit_test(a_peer_that_is_gone_is_an_answer_and_no_signal),
        cmocka_unit_test(only_what_was_marked_last_is_replaced_in_its_place),
        cmocka_unit_test(what_has_begun_to_leave_is_not_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
