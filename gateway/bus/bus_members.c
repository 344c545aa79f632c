/*
 * bus_members.c: the consuming thread's part of counting the gateways.
 *
 * The queue PREFIX.members carries nothing: whoever consumes it is a gateway,
 * and the broker knows how many do. One that is killed is no consumer any more at
 * once, one that hangs when the broker has missed its heartbeats. This thread does
 * it, because the other one publishes: in an alarm the broker reads nothing more
 * from that connection, and the question would hang behind the alarm.
 */
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "gateway/bus/bus_internal.h"
#include "gateway/gateway.h"

#define REJOIN_MS 250 /* between two attempts */

static int consume(struct bus_thread *t)
{
    struct bus *b = t->bus;
    char queue[TOPOLOGY_NAME_SIZE], tag[ID_MAX + 16];

    topology_name(queue, &b->topology, "members");
    snprintf(tag, sizeof(tag), "%s/member", b->gateway->conf->id);
    const struct mq_consume c = {
        .queue = queue,
        .tag = tag,
        .no_ack = true,
        .stream_offset = -1,
    };
    return mq_consume(t->mq, BUS_CHANNEL_MEMBER, &c);
}

int bus_member_join(struct bus_thread *t)
{
    int r = mq_channel_open(t->mq, BUS_CHANNEL_MEMBER, false);

    t->bus->is_member_lost = false;
    return r == MQ_OK ? consume(t) : r;
}

void bus_member_lost(struct bus_thread *t)
{
    log_info("the queue of the gateways is gone: waiting for a broadcaster to make it anew");
    t->bus->is_member_lost = true;
    t->bus->rejoin_ms = 0;
}

/* The queue went with its node. All else goes on meanwhile. Broadcasters make it anew; so do we, if
 * our account may. MQ_OK also when the broker does not let us have it yet. */
static int rejoin(struct bus_thread *t)
{
    struct bus *b = t->bus;
    char error[TOPOLOGY_ERROR_SIZE];

    b->rejoin_ms = clock_mono_ms() + REJOIN_MS;
    int r = topology_declare_shared(t->mq, BUS_CHANNEL_DECLARE, &b->topology, error, sizeof(error));
    if (r == MQ_REFUSED && mq_error_code(t->mq) == 403) {
        r = MQ_OK;
    }
    if (r == MQ_OK) { /* a new channel: what was said on the old one, of the old queue, is void */
        r = mq_channel_close(t->mq, BUS_CHANNEL_MEMBER);
        r = r == MQ_OK ? mq_channel_open(t->mq, BUS_CHANNEL_MEMBER, false) : r;
        r = r == MQ_OK ? consume(t) : r;
    }
    b->is_member_lost = r != MQ_OK;
    return r == MQ_REFUSED ? MQ_OK : r;
}

static int count(struct bus_thread *t, int64_t *gateways)
{
    char name[TOPOLOGY_NAME_SIZE];
    const struct mq_queue q = {.name = topology_name(name, &t->bus->topology, "members"),
                               .passive = true};
    uint32_t consumers;
    int r = mq_queue_declare(t->mq, BUS_CHANNEL_DECLARE, &q, NULL, &consumers);

    *gateways = -1;
    if (r == MQ_REFUSED) {
        bus_member_lost(t);
        return MQ_OK;
    }
    if (r == MQ_OK && consumers > 0) {
        *gateways = consumers;
    }
    return r;
}

int bus_member_settle(struct bus_thread *t)
{
    struct bus *b = t->bus;
    uint64_t wanted = atomic_load(&b->counts_wanted); /* before counting: it holds for these */
    int r = MQ_OK;

    if (b->is_member_lost && clock_mono_ms() >= b->rejoin_ms) {
        r = rejoin(t);
    }
    if (r != MQ_OK || wanted == b->counts_told) {
        return r;
    }
    struct bus_news *news = bus_news_new(t, NEWS_COUNT);
    news->count = wanted;
    news->gateways = -1;
    if (!b->is_member_lost) {
        r = count(t, &news->gateways);
    }
    b->counts_told = wanted;
    bus_tell(t, news);
    return r;
}
