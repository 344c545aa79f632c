/* gateway_answers_early.c: now and then a batch is answered a moment before it is sent. */
#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/mem.h"
#include "gateway/bus/bus_internal.h"
#include "gateway/gateway.h"
#include "tests/campaign/sabotage/gateway_wraps.h"
#include "tests/campaign/sabotage/mistake.h"

#define LATE_MS 300

static struct bus_out *answered; /* owns: with the lanes in the next tick */
static struct bus_out *late;     /* owns: to be sent at `late_ms` */
static int64_t late_ms;
static char boots[MISTAKES_MAX][BOOT_SIZE + 1]; /* a lane for each, lest it is taken for another */
static size_t boot_count;

static struct bus_out *copy_of(const struct bus_out *out)
{
    struct bus_out *copy = mem_new(struct bus_out);
    char *boot = boots[boot_count++];
    uint64_t random = (uint64_t)clock_mono_us();

    (void)snprintf(boot, BOOT_SIZE + 1, "%016" PRIx64, random);
    copy->target = out->target;
    copy->message = out->message;
    copy->message.boot = slice_of(boot);
    copy->message.batch = 1;
    copy->body = blob_copy(out->body->bytes, out->body->size);
    return copy;
}

bool __wrap_bus_send(struct bus *b, struct bus_out *out)
{
    if (out->target != BUS_TO_INPUT || answered != NULL || late != NULL || !mistake_now()) {
        return __real_bus_send(b, out);
    }
    late = copy_of(out);
    late_ms = clock_mono_ms() + LATE_MS;
    answered = out;
    return true;
}

void __wrap_bus_tick(struct bus *b)
{
    struct bus_out *out = answered;

    __real_bus_tick(b);
    answered = NULL;
    if (out != NULL) {
        __real_lanes_on_result(b->gateway->lanes, out, BUS_CONFIRMED);
    }
    if (late != NULL && clock_mono_ms() >= late_ms && __real_bus_send(b, late)) {
        late = NULL;
    }
}

void __wrap_lanes_on_result(struct lanes *l, struct bus_out *batch, enum bus_result result)
{
    for (size_t i = 0; i < boot_count; i++) {
        if (batch->message.boot.at == boots[i]) {
            bus_out_free(batch);
            return;
        }
    }
    __real_lanes_on_result(l, batch, result);
}
