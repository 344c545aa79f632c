/* gateway_drops.c: now and then one session does not get a frame that all others of its room get.
 */
#include "gateway/dialect/dialect.h"
#include "tests/campaign/sabotage/gateway_wraps.h"
#include "tests/campaign/sabotage/mistake.h"

static const struct blob *made; /* the last frame with records */

struct blob *__wrap_dialect_frame(enum dialect dialect, const struct record *const *run,
                                  size_t count)
{
    struct blob *frame = __real_dialect_frame(dialect, run, count);

    made = frame;
    return frame;
}

void __wrap_session_send_frame(struct session *s, struct blob *frame)
{
    if (frame != made || !mistake_now()) {
        __real_session_send_frame(s, frame);
    }
}
