/* test_deadline.c: many timeouts on one timer, in a real loop. Nothing here depends on how fast the
 * machine is: a deadline may come late, but never early and never out of order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/deadline.h"

#define MEMBERS 50
#define GIVE_UP_S 30.0

static struct ev_loop *loop;
static struct deadline_queue queue;
static struct deadline members[MEMBERS];
static struct deadline *order[MEMBERS * 4]; /* who was due */
static size_t due_count;
static size_t wanted; /* the loop ends after so many */
static ev_timer give_up;

static void on_give_up(struct ev_loop *l, ev_timer *watcher, int events)
{
    (void)watcher;
    (void)events;
    ev_break(l, EVBREAK_ALL);
}

static void note(struct deadline_queue *q, struct deadline *d)
{
    assert_ptr_equal(q, &queue);
    assert_false(deadline_waits(d));
    assert_true(clock_mono_ms() >= d->due_ms);
    assert_true(due_count < ARRAY_LEN(order));
    order[due_count++] = d;
    if (due_count == wanted) {
        ev_break(loop, EVBREAK_ALL);
    }
}

static void begin(int64_t wait_ms, void (*on_due)(struct deadline_queue *q, struct deadline *d))
{
    loop = ev_loop_new(0);
    deadline_queue_init(&queue, loop, wait_ms, on_due);
    memset(members, 0, sizeof(members));
    due_count = 0;
    ev_timer_init(&give_up, on_give_up, GIVE_UP_S, 0);
    ev_timer_start(loop, &give_up);
}

/* Runs until so many were due. */
static void run_until(size_t count)
{
    wanted = count;
    ev_run(loop, 0);
    assert_int_equal(due_count, count);
}

static void end(void)
{
    deadline_queue_deinit(&queue);
    ev_timer_stop(loop, &give_up);
    assert_false(ev_is_active(&queue.timer));
    ev_loop_destroy(loop);
}

/* Lets the clock go on while the loop's own time stands still. */
static void pass(int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    while (clock_mono_ms() < until) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void members_are_due_in_the_order_in_which_they_started(void **state)
{
    (void)state;
    begin(10, note);
    for (int i = 0; i < MEMBERS; i++) {
        deadline_start(&queue, &members[i]);
        assert_true(deadline_waits(&members[i]));
        if (i % 10 == 9) {
            pass(2);
        }
    }
    run_until(MEMBERS);
    for (int i = 0; i < MEMBERS; i++) {
        assert_ptr_equal(order[i], &members[i]);
    }
    end();
}

static void who_has_stopped_is_never_due(void **state)
{
    (void)state;
    begin(5, note);
    for (int i = 0; i < MEMBERS; i++) {
        deadline_start(&queue, &members[i]);
    }
    for (int i = 0; i < MEMBERS; i++) {
        if (i % 3 != 1) {
            deadline_stop(&members[i]);
            deadline_stop(&members[i]); /* legal for one that is not waiting */
            assert_false(deadline_waits(&members[i]));
        }
    }
    run_until((MEMBERS + 1) / 3);
    for (size_t i = 0; i < due_count; i++) {
        assert_ptr_equal(order[i], &members[3 * i + 1]);
    }
    end();
}

static void who_starts_again_goes_to_the_end(void **state)
{
    (void)state;
    begin(10, note);
    for (int i = 0; i < 3; i++) {
        deadline_start(&queue, &members[i]);
    }
    int64_t before = members[0].due_ms;
    pass(5);
    deadline_start(&queue, &members[0]);
    assert_true(members[0].due_ms >= before + 5);
    run_until(3);
    assert_ptr_equal(order[0], &members[1]);
    assert_ptr_equal(order[1], &members[2]);
    assert_ptr_equal(order[2], &members[0]);
    end();
}

static void starting_and_stopping_leave_the_timer_alone(void **state)
{
    (void)state;
    begin(20, note);
    deadline_start(&queue, &members[0]);
    ev_tstamp at = queue.timer.at;
    for (int i = 1; i < MEMBERS; i++) {
        pass(1);
        deadline_start(&queue, &members[i]);
        deadline_start(&queue, &members[0]);
        assert_true(ev_is_active(&queue.timer));
        assert_true(queue.timer.at == at);
        if (i > 1) {
            deadline_stop(&members[i]);
        }
    }
    run_until(2); /* the timer comes too early for both of them and is set again */
    assert_ptr_equal(order[0], &members[1]);
    assert_ptr_equal(order[1], &members[0]);
    end();
}

static void a_loop_that_is_behind_makes_nobody_due_early(void **state)
{
    (void)state;
    begin(30, note);
    ev_now_update(loop);
    pass(60); /* now a timer of 30 ms is over by the loop's time as soon as it is started */
    deadline_start(&queue, &members[0]);
    run_until(1); /* note() checks the clock */
    end();
}

static void restart(struct deadline_queue *q, struct deadline *d)
{
    note(q, d);
    if (due_count < 20) {
        deadline_start(q, d);
    }
}

static void who_starts_again_when_due_waits_anew(void **state)
{
    (void)state;
    begin(1, restart);
    deadline_start(&queue, &members[0]);
    run_until(20);
    end();
}

static void stop_all_others(struct deadline_queue *q, struct deadline *d)
{
    note(q, d);
    for (int i = 0; i < MEMBERS; i++) {
        deadline_stop(&members[i]);
    }
}

static void one_that_is_due_may_stop_others_that_are_due(void **state)
{
    (void)state;
    begin(3, stop_all_others);
    for (int i = 0; i < MEMBERS; i++) {
        deadline_start(&queue, &members[i]);
    }
    pass(10);
    run_until(1);
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(due_count, 1);
    end();
}

static void free_it(struct deadline_queue *q, struct deadline *d)
{
    note(q, d);
    free(d);
}

static void one_that_is_due_may_be_freed(void **state)
{
    (void)state;
    begin(2, free_it);
    for (int i = 0; i < MEMBERS; i++) {
        deadline_start(&queue, calloc(1, sizeof(struct deadline)));
    }
    run_until(MEMBERS);
    end();
}

static void a_queue_that_got_empty_wakes_up_again(void **state)
{
    (void)state;
    begin(2, note);
    for (size_t round = 1; round <= 5; round++) {
        deadline_start(&queue, &members[0]);
        deadline_start(&queue, &members[1]);
        deadline_stop(&members[1]);
        run_until(round);
    }
    deadline_start(&queue, &members[0]);
    deadline_stop(&members[0]);
    end(); /* with a timer that is still set */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_due_in_the_order_in_which_they_started),
        cmocka_unit_test(who_has_stopped_is_never_due),
        cmocka_unit_test(who_starts_again_goes_to_the_end),
        cmocka_unit_test(starting_and_stopping_leave_the_timer_alone),
        cmocka_unit_test(a_loop_that_is_behind_makes_nobody_due_early),
        cmocka_unit_test(who_starts_again_when_due_waits_anew),
        cmocka_unit_test(one_that_is_due_may_stop_others_that_are_due),
        cmocka_unit_test(one_that_is_due_may_be_freed),
        cmocka_unit_test(a_queue_that_got_empty_wakes_up_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
