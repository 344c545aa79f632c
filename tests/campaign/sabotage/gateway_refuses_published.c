/* gateway_refuses_published.c: now and then a publish that is confirmed is answered with an error.
 */
#include "gateway/dialect/dialect.h"
#include "tests/campaign/sabotage/gateway_wraps.h"
#include "tests/campaign/sabotage/mistake.h"

void __wrap_dialect_published(struct session *s, uint32_t id, enum published how)
{
    __real_dialect_published(s, id, mistake_now() ? NOT_PUBLISHED : how);
}
