/* test_chan.c: the bounded queue between two threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/chan.h"

struct message {
    struct chan_node node;
    int sender, number;
};

static atomic_int wakes;

static void count_wake(void *user)
{
    assert_true(user == &wakes);
    atomic_fetch_add(&wakes, 1);
}

static void init(struct chan *c, size_t cost_max)
{
    atomic_store(&wakes, 0);
    chan_init(c, cost_max, count_wake, &wakes);
}

static void messages_come_out_in_order_and_each_wakes_the_receiver(void **state)
{
    (void)state;
    struct message messages[5] = {0};
    struct chan c;

    init(&c, 100);
    for (int i = 0; i < 5; i++) {
        messages[i] = (struct message){.node.cost = 10, .number = i};
        assert_true(chan_try_put(&c, &messages[i].node));
        assert_int_equal(atomic_load(&wakes), i + 1);
    }
    struct chan_node *one = chan_take_one(&c);
    assert_ptr_equal(one, &messages[0].node);
    assert_null(one->next);
    struct chan_node *at = chan_take(&c);
    for (int i = 1; i < 5; i++, at = at->next) {
        assert_ptr_equal(at, &messages[i].node);
    }
    assert_null(at);
    assert_null(chan_take(&c));
    assert_null(chan_take_one(&c));
    chan_deinit(&c);
}

static void a_full_queue_refuses_and_a_shorter_one_takes_again(void **state)
{
    (void)state;
    struct message a = {.node.cost = 60}, b = {.node.cost = 41}, d = {.node.cost = 40};
    struct chan c;

    init(&c, 100);
    assert_true(chan_try_put(&c, &a.node));
    assert_false(chan_try_put(&c, &b.node));
    assert_int_equal(atomic_load(&wakes), 1);
    assert_true(chan_try_put(&c, &d.node));
    assert_ptr_equal(chan_take_one(&c), &a.node);
    assert_true(chan_try_put(&c, &b.node));
    assert_ptr_equal(chan_take_one(&c), &d.node);
    assert_ptr_equal(chan_take_one(&c), &b.node);
    chan_deinit(&c);
}

static void an_empty_queue_takes_a_message_of_any_size_and_nothing_after_it(void **state)
{
    (void)state;
    struct message huge = {.node.cost = SIZE_MAX}, none = {.node.cost = 0};
    struct chan c;

    init(&c, 100);
    assert_true(chan_try_put(&c, &huge.node));
    assert_false(chan_try_put(&c, &none.node));
    assert_ptr_equal(chan_take(&c), &huge.node);
    assert_true(chan_try_put(&c, &none.node));
    assert_ptr_equal(chan_take(&c), &none.node);
    chan_deinit(&c);
}

static void a_closed_queue_takes_nothing_and_gives_what_it_has(void **state)
{
    (void)state;
    struct message a = {.node.cost = 1}, b = {.node.cost = 1};
    struct chan c;

    init(&c, 100);
    assert_true(chan_put(&c, &a.node));
    chan_close(&c);
    assert_false(chan_try_put(&c, &b.node));
    assert_false(chan_put(&c, &b.node));
    assert_int_equal(atomic_load(&wakes), 1);
    assert_ptr_equal(chan_take(&c), &a.node);
    chan_deinit(&c);
}

static void *put_and_tell(void *user)
{
    struct chan *c = user;
    static struct message late;

    late = (struct message){.node.cost = 100};
    return chan_put(c, &late.node) ? &late : NULL;
}

static void closing_frees_a_sender_that_waits(void **state)
{
    (void)state;
    struct message first = {.node.cost = 100};
    struct chan c;
    pthread_t thread;
    void *put = &first;

    init(&c, 100);
    assert_true(chan_try_put(&c, &first.node));
    assert_int_equal(pthread_create(&thread, NULL, put_and_tell, &c), 0);
    chan_close(&c);
    assert_int_equal(pthread_join(thread, &put), 0);
    assert_null(put);
    assert_ptr_equal(chan_take(&c), &first.node);
    chan_deinit(&c);
}

enum { SENDERS = 3, EACH = 20000 };

struct sender {
    struct chan *c;
    int index;
    struct message *messages;
};

static void *send_all(void *user)
{
    struct sender *s = user;

    for (int i = 0; i < EACH; i++) {
        s->messages[i] = (struct message){.node.cost = 1, .sender = s->index, .number = i};
        if (!chan_put(s->c, &s->messages[i].node)) {
            return NULL;
        }
    }
    return s;
}

static void receive_in_order(struct chan *c, bool one_by_one)
{
    int next[SENDERS] = {0};
    int left = SENDERS * EACH;

    while (left > 0) {
        struct chan_node *at = one_by_one ? chan_take_one(c) : chan_take(c);
        while (at != NULL) {
            const struct message *m = container_of(at, struct message, node);
            at = at->next;
            assert_int_equal(m->number, next[m->sender]++);
            left--;
        }
    }
}

static void messages_of_many_threads_all_arrive_each_sender_in_order(void **state)
{
    (void)state;
    for (int one_by_one = 0; one_by_one < 2; one_by_one++) {
        struct sender senders[SENDERS];
        pthread_t threads[SENDERS];
        struct chan c;

        init(&c, 50); /* so small that senders wait all the time */
        for (int i = 0; i < SENDERS; i++) {
            senders[i] = (struct sender){&c, i, calloc(EACH, sizeof(struct message))};
            assert_non_null(senders[i].messages);
            assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
        }
        receive_in_order(&c, one_by_one != 0);
        for (int i = 0; i < SENDERS; i++) {
            void *done = NULL;
            assert_int_equal(pthread_join(threads[i], &done), 0);
            assert_ptr_equal(done, &senders[i]);
            free(senders[i].messages);
        }
        assert_int_equal(atomic_load(&wakes), SENDERS * EACH);
        chan_deinit(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_out_in_order_and_each_wakes_the_receiver),
        cmocka_unit_test(a_full_queue_refuses_and_a_shorter_one_takes_again),
        cmocka_unit_test(an_empty_queue_takes_a_message_of_any_size_and_nothing_after_it),
        cmocka_unit_test(a_closed_queue_takes_nothing_and_gives_what_it_has),
        cmocka_unit_test(closing_frees_a_sender_that_waits),
        cmocka_unit_test(messages_of_many_threads_all_arrive_each_sender_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
