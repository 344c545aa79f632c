/* conns.c: connections to the broker: in order while they live, and no two ends die together. */
#include "common/mem.h"
#include "tests/sim/sim.h"

#define LATENCY_US 1500
#define NOTICE_US 1500000 /* until an end learns by itself that the other one is gone */
#define SOON_US 2000

struct sim_conn *sim_conn_new(struct sim *s, struct sim_proc *proc)
{
    struct sim_conn *c = mem_new(struct sim_conn);

    c->sim = s;
    c->proc = proc;
    c->life = proc->life;
    c->number = ++s->conn_numbers;
    c->client_up = c->broker_up = true;
    c->broker_deaf_us = c->client_deaf_us = INT64_MAX;
    c->next_made = s->conns;
    s->conns = c;
    return c;
}

static int64_t arrival(struct sim_conn *c, int64_t *last_us)
{
    int64_t at_us = c->sim->now_us + (int64_t)sim_random(c->sim, LATENCY_US);

    *last_us = MAX(*last_us, at_us);
    return *last_us;
}

void sim_to_broker(struct sim_conn *c, sim_fire *fire, struct sim_event e)
{
    if (c->is_cut || !c->client_up) {
        return;
    }
    e.at_us = arrival(c, &c->to_broker_us);
    e.fire = fire;
    e.conn = c;
    e.to_broker = true;
    sim_push(c->sim, &e);
}

void sim_to_client(struct sim_conn *c, sim_fire *fire, struct sim_event e)
{
    if (c->is_cut || !c->broker_up) {
        return;
    }
    e.at_us = arrival(c, &c->to_client_us);
    e.fire = fire;
    e.conn = c;
    e.proc = c->proc;
    e.life = c->life;
    sim_push(c->sim, &e);
}

static void client_notices(struct sim *s, struct sim_event *e)
{
    struct sim_conn *c = e->what;

    if (!c->client_up) {
        return;
    }
    c->client_up = false;
    sim_trace(s, "%s: connection %u is lost", c->proc->name, c->number);
    if (c->host != NULL) {
        host_lost(s, c->host);
    } else {
        gateways_lost(s, c->gateway, c);
    }
}

static void broker_notices(struct sim *s, struct sim_event *e)
{
    struct sim_conn *c = e->what;

    if (!c->broker_up) {
        return;
    }
    c->broker_up = false;
    sim_trace(s, "broker: connection %u of %s is closed", c->number, c->proc->name);
    broker_forget(s, c);
    if (c->client_up && c->proc->life == c->life) {
        sim_later(s, c->proc, MAX(c->to_client_us - s->now_us, 0) + 1, client_notices, c);
    }
}

static int64_t notice_us(struct sim *s)
{
    return (int64_t)sim_random(s, sim_chance(s, 50) ? SOON_US : NOTICE_US);
}

/* Nothing, some, or all of what is on its way arrives. */
static int64_t deaf_us(struct sim *s)
{
    switch (sim_random(s, 3)) {
    case 0:
        return s->now_us;
    case 1:
        return s->now_us + (int64_t)sim_random(s, SOON_US);
    default:
        return INT64_MAX;
    }
}

void sim_conn_cut(struct sim_conn *c)
{
    struct sim *s = c->sim;

    if (c->is_cut || (!c->client_up && !c->broker_up)) {
        return;
    }
    sim_trace(s, "connection %u of %s is cut", c->number, c->proc->name);
    c->is_cut = true;
    c->broker_deaf_us = deaf_us(s);
    c->client_deaf_us = deaf_us(s);
    sim_later(s, c->proc, notice_us(s), client_notices, c);
    sim_later(s, NULL, notice_us(s), broker_notices, c);
}

void sim_conn_end(struct sim_conn *c)
{
    struct sim *s = c->sim;

    c->client_up = false;
    c->is_cut = true;
    int64_t left_us = MAX(c->to_broker_us - s->now_us, 0);
    if (sim_chance(s, 30)) {
        int64_t at_us = deaf_us(s);
        c->broker_deaf_us = MIN(c->broker_deaf_us, at_us);
    }
    sim_later(s, NULL, left_us + 1 + (int64_t)sim_random(s, SOON_US), broker_notices, c);
}

void sim_conn_stall(struct sim_conn *c, int64_t for_us)
{
    c->to_broker_us = MAX(c->to_broker_us, c->sim->now_us + for_us);
    c->to_client_us = MAX(c->to_client_us, c->sim->now_us + for_us);
}

void sim_conn_drop(struct sim_conn *c, int64_t in_us)
{
    if (c->broker_up) {
        sim_later(c->sim, NULL, in_us, broker_notices, c);
    }
}

bool sim_conn_answers(const struct sim_conn *c)
{
    return c->client_up && c->broker_up && !c->is_cut;
}
