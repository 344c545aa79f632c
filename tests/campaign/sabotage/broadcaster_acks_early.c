/* broadcaster_acks_early.c: input is as good as acked when it is sent to the owner, not when it is
 * in the log. */
#include "broadcaster/tenure.h"
#include "tests/campaign/sabotage/broadcaster_wraps.h"

static bool is_input(uint16_t channel)
{
    return channel >= TENURE_CHANNEL_FIRST &&
           (channel - TENURE_CHANNEL_FIRST) % TENURE_CHANNELS == 0;
}

int __wrap_mq_consume(struct mq *m, uint16_t channel, const struct mq_consume *c)
{
    struct mq_consume careless = *c;

    careless.no_ack = c->no_ack || is_input(channel);
    return __real_mq_consume(m, channel, &careless);
}

int __wrap_mq_ack(struct mq *m, uint16_t channel, uint64_t tag, bool multiple)
{
    return is_input(channel) ? MQ_OK : __real_mq_ack(m, channel, tag, multiple);
}
