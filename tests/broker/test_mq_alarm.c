/* test_mq_alarm.c: a RabbitMQ whose memory alarm comes and goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/broker/rig.h"

/* Whoever runs us does what the line says and answers with a line of its own. */
static void ask(const char *what)
{
    char answer[16];

    (void)printf("%s\n", what);
    (void)fflush(stdout);
    assert_non_null(fgets(answer, sizeof(answer), stdin));
}

static void an_alarm_is_announced_and_taken_back_and_nothing_is_lost(void **state)
{
    (void)state;
    const char *name = rig_name("alarm");

    ask("raise the alarm");
    struct mq *m = rig_open(); /* not before: nobody serves its heartbeats while we wait */
    rig_queue(m, name);
    rig_publish(m, name, SLICE_LIT("during")); /* the broker blocks those who publish */
    (void)rig_expect(m, MQ_BLOCKED);
    assert_string_equal(mq_error(m), "low on memory");
    ask("soon clear the alarm");
    (void)rig_expect(m, MQ_UNBLOCKED);
    rig_await_confirms(m, 1);
    rig_assert_usable(m, RIG_CHANNEL);
    (void)mq_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alarm_is_announced_and_taken_back_and_nothing_is_lost),
    };

    rig_start(200);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
