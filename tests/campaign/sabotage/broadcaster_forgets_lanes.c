/* broadcaster_forgets_lanes.c: a batch that is sent again is taken for a new one. */
#include "broadcaster/lane_marks.h"
#include "tests/campaign/sabotage/broadcaster_wraps.h"

struct lane_mark *__wrap_lane_marks_find(const struct lane_marks *l, struct slice boot)
{
    (void)l;
    (void)boot;
    return NULL;
}
