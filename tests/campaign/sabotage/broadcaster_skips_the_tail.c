/* broadcaster_skips_the_tail.c: a new owner learns nothing from what the last one appended, neither
 * which batches it holds nor how far the rooms are. */
#include "tests/campaign/sabotage/broadcaster_wraps.h"

bool __wrap_lane_marks_next(struct slice *rest, struct slice *boot, uint64_t *batch)
{
    (void)rest;
    (void)boot;
    (void)batch;
    return false;
}
