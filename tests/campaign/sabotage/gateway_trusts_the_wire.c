/* gateway_trusts_the_wire.c: what was sent is answered with success, confirmed or not. */
#include "gateway/bus/lanes.h"
#include "tests/campaign/sabotage/gateway_wraps.h"

void __wrap_lanes_on_result(struct lanes *l, struct bus_out *batch, enum bus_result result)
{
    (void)result;
    __real_lanes_on_result(l, batch, BUS_CONFIRMED);
}
