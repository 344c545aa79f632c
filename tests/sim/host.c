/*
 * host.c: a broadcaster: carries out what the partitions' machines want done.
 *
 * It does what tenure.c, tenure_do.c, member.c and worker_serve.c do, in their
 * order, with the parts of them that know no socket: the machine, acks.c and
 * share.c.
 */
#include <stdio.h>

#include "common/clock.h"
#include "tests/sim/sim.h"

#define TICK_US 50000
#define PERIOD_MS 250
#define SOON_US 1000
#define ANSWER_US 1000000
#define BROKEN_PAUSE_MS 1000
#define RECONNECT_US 600000
#define RESTART_US 1000000

enum outcome { GOES_ON, IS_RELEASED, IS_BROKEN };

static uint32_t held(const struct sim_host *h)
{
    uint32_t count = 0;

    for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
        count += h->tenures[p].machine != NULL;
    }
    return count;
}

static void tell(struct sim_host *h, uint32_t partition, sim_fire *fire, struct sim_event e)
{
    e.partition = partition;
    e.serial = h->tenures[partition].serial;
    sim_to_broker(h->conn, fire, e);
}

static void forget(struct sim_host *h, uint32_t partition)
{
    struct sim_tenure *t = &h->tenures[partition];

    t->machine = partition_free(t->machine);
    *t = (struct sim_tenure){.serial = 0};
    h->share.holds[partition] = SHARE_NONE;
}

static void end_tenure(struct sim *s, struct sim_host *h, uint32_t partition, enum outcome why)
{
    sim_trace(s, "%s: %s partition %u", h->proc.name,
              why == IS_RELEASED ? "has released" : "gives up", partition);
    tell(h, partition, broker_on_release, (struct sim_event){.tag = 0});
    forget(h, partition);
    if (why == IS_BROKEN) {
        h->share.claim_after_ms[partition] = clock_mono_ms() + BROKEN_PAUSE_MS;
    }
}

/* Sends the acks that are due. */
static void settle(struct sim_host *h, uint32_t partition)
{
    struct sim_tenure *t = &h->tenures[partition];
    uint64_t tag;

    for (;;) {
        switch (acks_next(&t->acks, &tag)) {
        case ACKS_NOTHING:
            return;
        case ACKS_ALL_UP_TO:
            tell(h, partition, broker_on_ack, (struct sim_event){.tag = tag, .number = 1});
            break;
        case ACKS_ONE:
            tell(h, partition, broker_on_ack, (struct sim_event){.tag = tag});
            break;
        case ACKS_REJECT:
            tell(h, partition, broker_on_reject, (struct sim_event){.tag = tag});
            break;
        }
    }
}

static void stop_reading(struct sim_host *h, uint32_t partition)
{
    struct sim_tenure *t = &h->tenures[partition];

    if (t->is_reading) {
        t->is_reading = false;
        tell(h, partition, broker_on_stop_reading, (struct sim_event){.tag = 0});
    }
}

static void read_log(struct sim_host *h, uint32_t partition, uint64_t from)
{
    struct sim_tenure *t = &h->tenures[partition];

    stop_reading(h, partition);
    t->is_reading = true;
    t->reading++;
    tell(h, partition, broker_on_read, (struct sim_event){.tag = t->reading, .number = from});
}

static void append(struct sim *s, struct sim_host *h, uint32_t partition,
                   const struct partition_action *a)
{
    struct sim_tenure *t = &h->tenures[partition];
    struct sim_letter *l = sim_letter_new(s, &a->message, buf_slice(&a->body));

    if (t->in_flight) {
        sim_fault(s, "%s: two appends to partition %u in flight", h->proc.name, partition);
    }
    plant_append(s, l);
    t->in_flight = true;
    t->append_us = s->now_us;
    tell(h, partition, broker_on_append, (struct sim_event){.letter = l, .tag = ++t->published});
}

static void send(struct sim *s, struct sim_host *h, uint32_t partition,
                 const struct partition_action *a)
{
    struct sim_letter *l = sim_letter_new(s, &a->message, buf_slice(&a->body));

    memcpy(l->gateway, a->gateway, sizeof(l->gateway));
    tell(h, partition, a->kind == PARTITION_SEND ? broker_on_send : broker_on_announce,
         (struct sim_event){.letter = l});
}

static void tell_programs(struct sim *s, struct sim_host *h, uint32_t partition,
                          const struct partition_action *a)
{
    struct sim_tenure *t = &h->tenures[partition];
    struct sim_letter *l =
        sim_letter_new(s, &(struct message){.partition = partition}, buf_slice(&a->body));

    tell(h, partition, listener_on_event, (struct sim_event){.letter = l, .tag = ++t->told});
    if (s->plant == SIM_TELL_ONCE) {
        partition_on_event_confirm(t->machine, t->told, false, true);
    }
}

static enum outcome act(struct sim *s, struct sim_host *h, uint32_t partition,
                        const struct partition_action *a)
{
    struct sim_tenure *t = &h->tenures[partition];

    switch (a->kind) {
    case PARTITION_READ_LAST:
        read_log(h, partition, UINT64_MAX);
        break;
    case PARTITION_READ_FROM:
        read_log(h, partition, a->offset);
        break;
    case PARTITION_STOP_READING:
        stop_reading(h, partition);
        break;
    case PARTITION_APPEND:
        append(s, h, partition, a);
        break;
    case PARTITION_CONSUME:
        t->wants_input = true;
        tell(h, partition, broker_on_consume_mail, (struct sim_event){.tag = 0});
        tell(h, partition, broker_on_consume, (struct sim_event){.tag = 0});
        break;
    case PARTITION_ACK:
        acks_done(&t->acks, a->tag);
        settle(h, partition);
        break;
    case PARTITION_DEAD:
        acks_dead(&t->acks, a->tag);
        tell(h, partition, broker_on_dead, (struct sim_event){.tag = a->tag});
        settle(h, partition);
        break;
    case PARTITION_SEND:
    case PARTITION_ANNOUNCE:
        send(s, h, partition, a);
        break;
    case PARTITION_EVENT:
        tell_programs(s, h, partition, a);
        break;
    case PARTITION_STOP_INPUT:
        t->wants_input = t->has_input = false;
        tell(h, partition, broker_on_cancel, (struct sim_event){.tag = 0});
        break;
    case PARTITION_RELEASE:
        return IS_RELEASED;
    case PARTITION_SUPERSEDED:
        return IS_BROKEN;
    }
    return GOES_ON;
}

/* After anything that the machine was told. */
static void go_on(struct sim *s, struct sim_host *h, uint32_t partition)
{
    struct sim_tenure *t = &h->tenures[partition];
    enum outcome outcome = GOES_ON;
    struct partition_action *a;

    while (outcome == GOES_ON && (a = partition_next_action(t->machine)) != NULL) {
        outcome = act(s, h, partition, a);
        partition_action_done(a);
    }
    if (outcome != GOES_ON) {
        end_tenure(s, h, partition, outcome);
    }
}

/* The tenure that an answer is for, or NULL: it has ended. */
static struct sim_tenure *tenure_of(const struct sim_event *e)
{
    struct sim_tenure *t = &e->conn->host->tenures[e->partition];

    return t->machine != NULL && t->serial == e->serial ? t : NULL;
}

void host_on_input(struct sim *s, struct sim_event *e)
{
    struct sim_tenure *t = tenure_of(e);
    struct sim_host *h = e->conn->host;
    char scratch[ID_MAX * 2], boot[BOOT_SIZE + 1];
    struct mq_props props;

    if (t == NULL) {
        return;
    }
    struct sim_letter seen = *e->letter;
    plant_input(s, &seen.m, boot);
    struct mq_event event = sim_letter_event(&seen, &props, scratch);
    event.tag = e->tag;
    if (s->plant == SIM_ACK_EARLY) {
        acks_done(&t->acks, e->tag);
        settle(h, e->partition);
    }
    partition_on_input(t->machine, &event, clock_wall_ms());
    go_on(s, h, e->partition);
}

void host_on_log(struct sim *s, struct sim_event *e)
{
    struct sim_tenure *t = tenure_of(e);
    char scratch[ID_MAX * 2];
    struct mq_props props;

    if (t == NULL || !t->is_reading || e->number != t->reading) {
        return;
    }
    struct mq_event event = sim_letter_event(e->letter, &props, scratch);
    event.stream_offset = (int64_t)e->tag;
    partition_on_log(t->machine, &event, clock_wall_ms());
    go_on(s, e->conn->host, e->partition);
}

void host_on_mail(struct sim *s, struct sim_event *e)
{
    struct sim_tenure *t = tenure_of(e);
    char scratch[ID_MAX * 2];
    struct mq_props props;

    if (t != NULL) {
        struct mq_event event = sim_letter_event(e->letter, &props, scratch);
        partition_on_mail(t->machine, &event, clock_wall_ms());
        go_on(s, e->conn->host, e->partition);
    }
}

void host_on_confirm(struct sim *s, struct sim_event *e)
{
    struct sim_tenure *t = tenure_of(e);

    if (t != NULL && t->in_flight && e->tag >= t->published) {
        t->in_flight = false;
        partition_on_confirm(t->machine, e->number != 0, clock_wall_ms());
        go_on(s, e->conn->host, e->partition);
    }
}

void host_on_consumed(struct sim *s, struct sim_event *e)
{
    struct sim_tenure *t = tenure_of(e);

    (void)s;
    if (t != NULL && t->wants_input) {
        t->has_input = e->number != 0 || t->has_input;
    }
}

void host_on_return(struct sim *s, struct sim_event *e)
{
    struct sim_host *h = e->conn->host;
    struct sim_tenure *t = &h->tenures[e->partition];

    if (t->machine != NULL) {
        sim_trace(s, "%s: %s is gone", h->proc.name, e->letter->gateway);
        partition_on_gateway_gone(t->machine, slice_of(e->letter->gateway));
        go_on(s, h, e->partition);
    }
}

void host_on_copied(struct sim *s, struct sim_event *e)
{
    struct sim_tenure *t = tenure_of(e);

    (void)s;
    if (t != NULL) {
        acks_copied(&t->acks, e->tag);
        settle(e->conn->host, e->partition);
    }
}

/* Sharing. */

static bool is_claim_answered(const struct sim *s, const struct sim_host *h)
{
    for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
        const struct sim_tenure *t = &h->tenures[p];

        if (h->share.holds[p] == SHARE_STARTING && t->in_flight &&
            s->now_us - t->append_us < ANSWER_US) {
            return false;
        }
    }
    return true;
}

static void claim(struct sim *s, struct sim_host *h, uint32_t partition)
{
    struct sim_tenure *t = &h->tenures[partition];
    struct partition_conf conf = s->partition;

    if (!broker_claim(s, h->conn, partition)) {
        return;
    }
    sim_trace(s, "%s: has claimed partition %u", h->proc.name, partition);
    conf.number = partition;
    conf.owner = h->proc.name;
    conf.seed = sim_random(s, UINT64_MAX);
    t->serial = ++s->serials;
    t->machine = partition_new(&conf, &s->stats, clock_wall_ms());
    h->share.holds[partition] = SHARE_STARTING;
    go_on(s, h, partition);
}

/* Claims one of what is missing. False: there is nothing to claim. */
static bool claim_one(struct sim *s, struct sim_host *h)
{
    uint32_t order[PARTITIONS_MAX];
    size_t count = share_candidates(&h->share, clock_mono_ms(), order);

    for (size_t i = 0; i < count; i++) {
        if (s->parts[order[i]].consumer == NULL) {
            claim(s, h, order[i]);
            return true;
        }
    }
    return false;
}

static void on_period(struct sim *s, struct sim_event *e)
{
    struct sim_host *h = e->what;
    int64_t in_us = share_jitter(&h->share, PERIOD_MS) * 1000;

    if (h->conn == NULL || !h->conn->client_up) {
        return;
    }
    if (!is_claim_answered(s, h)) {
        in_us = SOON_US;
    } else if (sim_conn_answers(h->conn) && !h->share.is_stopping) {
        h->share.broadcasters = broker_members(s);
        if (share_missing(&h->share) > 0 && claim_one(s, h)) {
            in_us = SOON_US;
        }
    }
    sim_later(s, &h->proc, in_us, on_period, h);
}

static void give(struct sim *s, struct sim_host *h)
{
    uint32_t p;

    for (p = 0; p < SIM_PARTITIONS; p++) {
        if (h->share.holds[p] == SHARE_STARTING &&
            partition_state(h->tenures[p].machine) == PARTITION_OWNED) {
            h->share.holds[p] = SHARE_OWNED;
        }
    }
    while (share_surplus(&h->share, &p)) {
        h->share.holds[p] = SHARE_LEAVING;
        sim_trace(s, "%s: leaves partition %u", h->proc.name, p);
        partition_leave(h->tenures[p].machine, clock_wall_ms());
        go_on(s, h, p);
    }
}

/* The life of a process. */

static void on_restart(struct sim *s, struct sim_event *e)
{
    struct sim_host *h = e->what;

    if (!h->proc.is_up) {
        host_start(s, h);
    }
}

static void on_tick(struct sim *s, struct sim_event *e)
{
    struct sim_host *h = e->what;

    for (uint32_t p = 0; p < SIM_PARTITIONS && h->conn != NULL; p++) {
        struct sim_tenure *t = &h->tenures[p];

        if (t->machine == NULL) {
            continue;
        }
        if (t->wants_input && !t->has_input) {
            tell(h, p, broker_on_consume, (struct sim_event){.tag = 0});
        }
        settle(h, p);
        partition_on_tick(t->machine, clock_wall_ms());
        go_on(s, h, p);
    }
    if (h->conn != NULL) {
        give(s, h);
    }
    if (h->share.is_stopping && held(h) == 0) {
        sim_trace(s, "%s: has ended", h->proc.name);
        host_kill(s, h);
        return;
    }
    sim_later(s, &h->proc, TICK_US, on_tick, h);
}

static void on_connect(struct sim *s, struct sim_event *e)
{
    struct sim_host *h = e->what;

    if (s->now_us < s->broker_down_us) {
        sim_later(s, &h->proc, 1 + (int64_t)sim_random(s, RECONNECT_US), on_connect, h);
        return;
    }
    h->conn = sim_conn_new(s, &h->proc);
    h->conn->host = h;
    sim_trace(s, "%s: connected, connection %u", h->proc.name, h->conn->number);
    sim_later(s, &h->proc, SOON_US, on_period, h);
}

void host_start(struct sim *s, struct sim_host *h)
{
    h->proc.is_up = true;
    h->proc.life++;
    h->proc.frozen_us = 0;
    h->conn = NULL;
    share_init(&h->share, SIM_PARTITIONS, sim_random(s, UINT64_MAX));
    sim_trace(s, "%s: starts", h->proc.name);
    sim_later(s, &h->proc, 1 + (int64_t)sim_random(s, SOON_US), on_connect, h);
    sim_later(s, &h->proc, TICK_US, on_tick, h);
}

static void forget_all(struct sim_host *h)
{
    for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
        forget(h, p);
    }
    share_lost_all(&h->share);
    h->conn = NULL;
}

void host_lost(struct sim *s, struct sim_host *h)
{
    sim_conn_end(h->conn);
    forget_all(h);
    sim_later(s, &h->proc, 1 + (int64_t)sim_random(s, RECONNECT_US), on_connect, h);
}

void host_kill(struct sim *s, struct sim_host *h)
{
    if (h->conn != NULL) {
        sim_conn_end(h->conn);
    }
    forget_all(h);
    h->proc.is_up = false;
    sim_trace(s, "%s: is dead", h->proc.name);
    sim_later(s, NULL, 1 + (int64_t)sim_random(s, RESTART_US), on_restart, h);
}

void host_stop(struct sim *s, struct sim_host *h)
{
    sim_trace(s, "%s: is asked to stop", h->proc.name);
    h->share.is_stopping = true;
}

void host_deinit(struct sim_host *h)
{
    forget_all(h);
}
