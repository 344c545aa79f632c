/* faults.c: what goes wrong, and when. Each seed has only some kinds: others would hide them. */
#include "tests/sim/sim.h"

#define STALL_US 1500000
#define FREEZE_US 5000000
#define HEARTBEAT_US                                                                               \
    1500000 /* the broker closes what is silent for so long, or half as long more */
#define FALL_US 1500000
#define OVERFLOW_US 800000

void faults_plan(struct sim *s)
{
    struct sim_plan *p = &s->plan;
    unsigned percent = sim_chance(s, 20) ? 100 : 45;

    p->gateways = 1 + (unsigned)sim_random(s, SIM_GATEWAYS);
    p->hosts = 1 + (unsigned)sim_random(s, SIM_HOSTS);
    p->clients = 2 + (unsigned)sim_random(s, SIM_CLIENTS - 1);
    p->whispers = s->seed % 2 == 0; /* these two draw nothing: seeds keep their courses */
    p->listens = s->seed % 3 != 0;
    p->cuts = sim_chance(s, percent);
    p->kills = sim_chance(s, percent);
    p->freezes = sim_chance(s, percent);
    p->restarts = sim_chance(s, percent);
    p->nacks = sim_chance(s, percent);
    p->stalls = sim_chance(s, percent);
    p->overflows = sim_chance(s, percent);
    p->late_appends = sim_chance(s, percent);
    p->broker_falls = sim_chance(s, percent / 2);
    p->poisons = sim_chance(s, percent / 2) && s->plant != SIM_ACK_EARLY; /* settled once */
    p->slow_clients = sim_chance(s, percent / 2);
    p->in_max = sim_chance(s, 20) ? 1 + sim_random(s, 5) : 10000;
    p->bus_max = sim_chance(s, 20) ? 1 + sim_random(s, 5) : 10000;
    p->prefetch = 1 + sim_random(s, sim_chance(s, 50) ? 8 : ACKS_PREFETCH);
    p->fault_us = 50000 + (int64_t)sim_random(s, 600000);
    p->calm_us = 4000000 + (int64_t)sim_random(s, 6000000);
    p->forgets = sim_chance(s, 15);
    p->is_roomy = sim_chance(s, 60) && !p->slow_clients && !p->forgets;
}

static void freeze(struct sim *s, struct sim_proc *proc, int64_t for_us)
{
    int64_t silent_us = HEARTBEAT_US + (int64_t)sim_random(s, HEARTBEAT_US / 2);

    sim_trace(s, "%s: is frozen for %" PRId64 " ms", proc->name, for_us / 1000);
    proc->frozen_us = MAX(proc->frozen_us, s->now_us + for_us);
    for (struct sim_conn *c = s->conns; c != NULL; c = c->next_made) {
        if (c->proc == proc && c->life == proc->life && for_us > silent_us) {
            sim_conn_drop(c, silent_us);
        }
    }
}

static void freeze_one(struct sim *s)
{
    int64_t for_us = 1 + (int64_t)sim_random(s, sim_chance(s, 50) ? FREEZE_US / 20 : FREEZE_US);

    if (sim_chance(s, 60)) {
        struct sim_host *h = &s->hosts[sim_random(s, s->plan.hosts)];
        if (h->proc.is_up) {
            freeze(s, &h->proc, for_us);
        }
    } else {
        freeze(s, &s->gateways[sim_random(s, s->plan.gateways)].proc, for_us);
    }
}

/* The n-th living connection, counted from a random one. */
static struct sim_conn *some_conn(struct sim *s)
{
    unsigned count = 0;

    for (struct sim_conn *c = s->conns; c != NULL; c = c->next_made) {
        count += sim_conn_answers(c);
    }
    if (count == 0) {
        return NULL;
    }
    uint64_t left = sim_random(s, count);
    for (struct sim_conn *c = s->conns;; c = c->next_made) {
        if (sim_conn_answers(c) && left-- == 0) {
            return c;
        }
    }
}

static void kill_one(struct sim *s)
{
    if (sim_chance(s, 65)) {
        struct sim_host *h = &s->hosts[sim_random(s, s->plan.hosts)];
        if (h->proc.is_up) {
            host_kill(s, h);
        }
    } else {
        struct sim_gateway *g = &s->gateways[sim_random(s, s->plan.gateways)];
        if (g->proc.is_up) {
            gateways_kill(s, g);
        }
    }
}

/* All connections die, what is in queues and logs stays. */
static void fall(struct sim *s)
{
    sim_trace(s, "broker: falls");
    s->broker_down_us = s->now_us + 1 + (int64_t)sim_random(s, FALL_US);
    s->broker_life++;
    for (struct sim_conn *c = s->conns; c != NULL; c = c->next_made) {
        c->broker_deaf_us = MIN(c->broker_deaf_us, s->now_us);
        sim_conn_drop(c, 0);
    }
}

enum kind { CUT, KILL, FREEZE, STOP, STALL, OVERFLOW, FALL, POISON, KINDS };

static bool is_planned(const struct sim *s, enum kind kind)
{
    const bool planned[KINDS] = {
        [CUT] = s->plan.cuts,          [KILL] = s->plan.kills,     [FREEZE] = s->plan.freezes,
        [STOP] = s->plan.restarts,     [STALL] = s->plan.stalls,   [OVERFLOW] = s->plan.overflows,
        [FALL] = s->plan.broker_falls, [POISON] = s->plan.poisons,
    };

    return planned[kind];
}

static void strike(struct sim *s, enum kind kind)
{
    struct sim_host *h = &s->hosts[sim_random(s, s->plan.hosts)];
    struct sim_conn *c = some_conn(s);

    if (kind == CUT && c != NULL) {
        sim_conn_cut(c);
    } else if (kind == KILL) {
        kill_one(s);
    } else if (kind == FREEZE) {
        freeze_one(s);
    } else if (kind == STOP && h->proc.is_up) {
        host_stop(s, h);
    } else if (kind == STALL && c != NULL) {
        sim_conn_stall(c, (int64_t)sim_random(s, STALL_US));
    } else if (kind == OVERFLOW) {
        s->overflow_us = s->now_us + (int64_t)sim_random(s, OVERFLOW_US);
    } else if (kind == FALL && sim_chance(s, 20)) {
        fall(s);
    } else if (kind == POISON) {
        broker_poison(s, (uint32_t)sim_random(s, SIM_PARTITIONS));
    }
    s->counts.faults++;
}

void faults_strike(struct sim *s, struct sim_event *e)
{
    enum kind kind = (enum kind)sim_random(s, KINDS);

    (void)e;
    if (s->is_calm) {
        return;
    }
    if (is_planned(s, kind)) {
        strike(s, kind);
    }
    sim_later(s, NULL, 1 + (int64_t)sim_random(s, (uint64_t)s->plan.fault_us), faults_strike, NULL);
}

void faults_heal(struct sim *s)
{
    sim_trace(s, "no further faults");
    s->is_calm = true;
    s->overflow_us = 0;
    s->plan.in_max = s->plan.bus_max = 10000;
}
