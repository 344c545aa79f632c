/* run.c: one seed from its plan to its verdict. */
#include <ev.h>
#include <stdio.h>

#include "common/log.h"
#include "common/mem.h"
#include "gateway/bus/lanes.h"
#include "gateway/bus/links.h"
#include "gateway/session/sessions.h"
#include "proto/room.h"
#include "tests/sim/sim.h"

#define START_US 1000000000
#define REST_US INT64_C(45000000) /* after the last fault everything comes to rest within */
#define LOOK_US 200000

static char *text(const char *at)
{
    return (char *)(uintptr_t)at; /* settings are only read */
}

static void set_up_gateway(struct sim *s, struct sim_gateway *g)
{
    const struct sim_plan *p = &s->plan;

    g->sim = s;
    g->conf = (struct gateway_conf){
        .partitions = SIM_PARTITIONS,
        .id = g->proc.name,
        .connections_max = 1000,
        .handshakes_max = 1000,
        .handshake_ms = 5000,
        .out_queue_age_ms = 30000,
        .reads_max = 4,
        .stale_ms = 10000,
        .ping_ms = 5000,
        .pong_ms = 2000,
        .close_wait_ms = 5000,
        .max_message = 65536,
        .max_payload = 65536,
        .max_depth = 16,
        .max_fragments = 100,
        .max_empty_fragments = 100,
        .max_control_rate = 50,
        .out_queue = p->slow_clients ? 16384 : 1 << 20,
        .rooms_max = SIM_ROOMS,
        .history_limit = 300,
        .errors_max = 50,
        .publish_wait_ms = 3000,
        .subscribe_wait_ms = 4000,
        .recent_records = p->is_roomy ? 1000 : 1 + (int64_t)sim_random(s, 20),
        .recent_bytes = 1 << 20,
        .drain_ms = 50,
        .rules.defaults = {.subscribe = text("*"),
                           .publish = text("*"),
                           .presence_for = text("*"),
                           .history_for = text("*"),
                           .audience_kind = p->whispers ? RULE_PAYLOAD : RULE_EVERYONE,
                           .narrows = p->whispers,
                           .presence = true,
                           .echo = true,
                           .history_size = s->partition.history_size,
                           .history_ttl_ms = s->partition.history_ttl_ms},
    };
}

static void set_up(struct sim *s)
{
    const struct sim_plan *p = &s->plan;

    s->partition = (struct partition_conf){
        .partitions = SIM_PARTITIONS,
        .history_size = p->is_roomy ? 1000 : 1 + (uint32_t)sim_random(s, 30),
        .history_ttl_ms = p->forgets ? 100 + (int64_t)sim_random(s, 1000) : 3600000,
        .presence_max = 1000,
        .moves_max = 100,
        .era_ms = (int64_t)sim_random(s, 1000),
        .memory_max = p->is_roomy ? 16 << 20 : 4096 + sim_random(s, 1 << 16),
        .lease_ms = sim_chance(s, 80) ? 15000 : 1000 + (int64_t)sim_random(s, 5000),
        .checkpoint_bytes = p->is_roomy ? 16 << 20 : 1000 + sim_random(s, 20000),
    };
    s->partition.rooms_max = p->forgets ? (size_t)s->partition.era_ms % 4 : 0;
    s->rules.defaults = (struct rule){
        .history_size = s->partition.history_size,
        .history_ttl_ms = s->partition.history_ttl_ms,
        .audience_kind = p->whispers ? RULE_PAYLOAD : RULE_EVERYONE,
        .echo = true,
        .narrows = p->whispers,
        .tells = p->listens ? RULE_TELLS_RECORD : 0,
    };
    s->partition.rules = p->whispers || p->listens ? &s->rules : NULL;
    for (unsigned i = 0, n = 0; i < SIM_ROOMS; n++) {
        snprintf(s->rooms[i], SIM_NAME_SIZE, "r%u", n);
        i += room_partition(slice_of(s->rooms[i]), SIM_PARTITIONS) == i % SIM_PARTITIONS;
    }
    for (unsigned i = 0; i < SIM_GATEWAYS; i++) {
        snprintf(s->gateways[i].proc.name, SIM_NAME_SIZE, "g%u", i + 1);
        set_up_gateway(s, &s->gateways[i]);
    }
    for (unsigned i = 0; i < SIM_HOSTS; i++) {
        snprintf(s->hosts[i].proc.name, SIM_NAME_SIZE, "b%u", i + 1);
    }
    for (unsigned i = 0; i < SIM_CLIENTS; i++) {
        struct sim_client *c = &s->clients[i];
        snprintf(c->proc.name, SIM_NAME_SIZE, "c%u", i + 1);
        c->sim = s;
        c->number = i;
        c->fd = -1;
    }
}

static void start(struct sim *s)
{
    for (unsigned i = 0; i < s->plan.gateways; i++) {
        gateways_start(s, &s->gateways[i]);
    }
    for (unsigned i = 0; i < s->plan.hosts; i++) {
        host_start(s, &s->hosts[i]);
    }
    for (unsigned i = 0; i < s->plan.clients; i++) {
        client_start(s, &s->clients[i]);
    }
    sim_later(s, NULL, s->plan.fault_us, faults_strike, NULL);
}

static bool owner_is_settled(const struct sim *s, uint32_t partition)
{
    for (unsigned i = 0; i < s->plan.hosts; i++) {
        const struct partition *machine = s->hosts[i].tenures[partition].machine;

        if (machine != NULL && partition_state(machine) == PARTITION_OWNED) {
            return partition_backlog(machine) == 0;
        }
    }
    return false;
}

/* Why it is not at rest, or NULL. */
static const char *unrest(struct sim *s)
{
    for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
        if (!owner_is_settled(s, p)) {
            return "a partition has no owner at rest";
        }
        for (size_t i = s->parts[p].in_first; i < s->parts[p].in_count; i++) {
            if (s->parts[p].in[i].state != SIM_GONE) {
                return "input is left over";
            }
        }
    }
    if (stat_get(&s->stats.events_open) > 0) {
        return "events are not confirmed";
    }
    for (unsigned i = 0; i < s->plan.gateways; i++) {
        const struct sim_gateway *g = &s->gateways[i];

        if (!g->proc.is_up || bus_not_ready(&g->bus) != NULL) {
            return "a gateway is not connected";
        }
        if (lanes_waiting(g->gateway.lanes) > 0) {
            return "a lane is stuck";
        }
        if (!links_are_settled(g->gateway.links)) {
            return "a link is stuck";
        }
    }
    for (unsigned i = 0; i < s->plan.clients; i++) {
        if (!client_is_settled(&s->clients[i])) {
            return "a client waits";
        }
    }
    return judge(s, false) ? NULL : "a client misses the end of a room";
}

static void run_until(struct sim *s, int64_t until_us)
{
    while (s->now_us < until_us && s->fault[0] == '\0' && sim_step(s)) {
    }
}

static void rest(struct sim *s)
{
    int64_t until_us = s->now_us + REST_US;
    const char *why = "";

    while (why != NULL && s->now_us < until_us && s->fault[0] == '\0') {
        run_until(s, s->now_us + LOOK_US);
        why = unrest(s);
    }
    if (why != NULL) {
        sim_fault(s, "it does not come to rest: %s", why);
    }
    run_until(s, s->now_us + LOOK_US);
}

static void end(struct sim *s)
{
    for (unsigned i = 0; i < s->plan.gateways; i++) {
        gateways_deinit(&s->gateways[i]);
    }
    for (unsigned i = 0; i < s->plan.hosts; i++) {
        host_deinit(&s->hosts[i]);
    }
    for (unsigned i = 0; i < SIM_CLIENTS; i++) {
        client_deinit(&s->clients[i]);
    }
    broker_deinit(s);
    while (s->conns != NULL) {
        struct sim_conn *c = s->conns;
        s->conns = c->next_made;
        mem_free(c);
    }
    while (s->letters != NULL) {
        struct sim_letter *l = s->letters;
        s->letters = l->next_made;
        buf_deinit(&l->texts);
        mem_free(l);
    }
    mem_free(s->events);
    mem_free(s->publishes);
    mem_free(s->told.at);
    if (stat_get(&s->stats.history_memory) != 0) {
        sim_fault(s, "history memory does not add up");
    }
    if (stat_get(&s->stats.events_open) != 0) {
        sim_fault(s, "open events do not add up");
    }
    ev_loop_destroy(s->loop);
}

bool sim_run(struct sim *s, uint64_t seed, enum sim_plant plant, bool traces)
{
    s->seed = s->random = seed;
    s->plant = plant;
    s->traces = traces;
    log_set_level(traces ? LOG_DEBUG : LOG_ERROR);
    s->loop = ev_loop_new(EVFLAG_AUTO);
    sim_clock_set(s, START_US);
    faults_plan(s);
    set_up(s);
    start(s);
    run_until(s, START_US + s->plan.calm_us);
    faults_heal(s);
    rest(s);
    judge(s, true);
    listener_judge(s);
    s->counts.takeovers = stat_get(&s->stats.takeovers);
    s->counts.duplicates = stat_get(&s->stats.duplicates_dropped);
    s->counts.voids = stat_get(&s->stats.void_records);
    s->counts.told_again = stat_get(&s->stats.events_again);
    end(s);
    return s->fault[0] == '\0';
}
