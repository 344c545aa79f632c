/* relay.c: see relay.h. */
#include "broadcaster/relay.h"

#include "broadcaster/partition_internal.h"

bool relay_is_for(const struct message *m)
{
    return m->type == MESSAGE_SURVEY || m->type == MESSAGE_REPORT;
}

void relay_take(struct partition *p, const struct message *m, int64_t now_ms)
{
    bool is_to_all = m->type == MESSAGE_SURVEY;
    struct partition_action *a =
        is_to_all ? partition_act(p, PARTITION_ANNOUNCE) : followers_action(p, m->gateway);

    buf_add_slice(&a->body, m->body);
    partition_action_fill(a, &(struct message){
                                 .type = m->type,
                                 .partition = p->conf.number,
                                 .gateway = m->gateway,
                                 .boot = m->boot,
                                 .request = m->request,
                                 .time_ms = now_ms,
                             });
    stat_add(&p->stats->relayed, 1);
}
