/*
 * listener.c: a durable queue that is bound to what owners tell other programs.
 *
 * It keeps the order in which messages came. What the broker has not confirmed
 * is lost when it falls; a confirm may be late, out of order, for many at once,
 * or a refusal. At the end everything that is in the logs was told at least once,
 * but for as many as owners have given up.
 */
#include <stdio.h>

#include "common/mem.h"
#include "proto/json.h"
#include "tests/sim/sim.h"

#define WRITE_US 20000  /* until a message is safe */
#define SLOW_US 2000000 /* now and then */
#define GATHER_US 5000  /* until many are confirmed at once */
#define SLOW_PERCENT 2
#define NACKED_PERCENT 2
#define GATHERED_PERCENT 30

/* Bits of an answer. */
#define ANSWER_GOOD 1
#define ANSWER_MANY 2

static void on_answer(struct sim *s, struct sim_event *e)
{
    struct sim_tenure *t = &e->conn->host->tenures[e->partition];

    (void)s;
    if (t->machine != NULL && t->serial == e->serial) {
        partition_on_event_confirm(t->machine, e->tag, (e->number & ANSWER_MANY) != 0,
                                   (e->number & ANSWER_GOOD) != 0);
    }
}

static void answer(struct sim_conn *c, const struct sim_event *e, uint64_t answer)
{
    sim_to_client(c, on_answer,
                  (struct sim_event){.partition = e->partition,
                                     .tag = e->tag,
                                     .number = answer,
                                     .serial = e->serial & UINT32_MAX});
}

static void confirm_many(struct sim *s, struct sim_event *e)
{
    if (e->serial >> 32 == s->broker_life) {
        answer(e->what, e, ANSWER_GOOD | ANSWER_MANY);
    }
}

/* It is safe, or refused (and then nobody need see it: it counts as told). */
static void land(struct sim *s, struct sim_event *e)
{
    bool is_nacked = s->plan.nacks && !s->is_calm && sim_chance(s, NACKED_PERCENT);

    if (e->serial >> 32 != s->broker_life) {
        return;
    }
    sim_letters_add(&s->told, e->letter);
    if (is_nacked || !sim_chance(s, GATHERED_PERCENT)) {
        answer(e->what, e, is_nacked ? 0 : ANSWER_GOOD);
        return;
    }
    struct sim_event later = *e;
    later.fire = confirm_many;
    later.at_us = s->now_us + 1 + (int64_t)sim_random(s, GATHER_US);
    sim_push(s, &later);
}

void listener_on_event(struct sim *s, struct sim_event *e)
{
    struct sim_event landing = *e;
    bool is_slow = !s->is_calm && sim_chance(s, SLOW_PERCENT);

    int64_t safe_us = s->now_us + 1 + (int64_t)sim_random(s, is_slow ? SLOW_US : WRITE_US);
    s->told_us = MAX(s->told_us, safe_us);
    landing.at_us = s->told_us;
    landing.what = e->conn;
    landing.conn = NULL;
    landing.to_broker = false;
    landing.fire = land;
    landing.serial |= s->broker_life << 32;
    sim_push(s, &landing);
}

/* What was told first comes in the order of its room. */
static void look_at(struct sim *s, const struct sim_letter *l, size_t next[SIM_ROOMS])
{
    struct slice body = l->m.body;
    uint64_t n, offset;

    if (!json_is_valid(body, JSON_DEPTH_MAX) || !json_is_string(json_get(body, "epoch")) ||
        !json_u64(json_get(body, "offset"), &offset) ||
        !json_u64(json_get(json_get(body, "data"), "n"), &n) || n >= s->publish_count) {
        sim_fault(s, "a program was told %.*s", SLICE_ARG(body));
        return;
    }
    struct sim_publish *p = &s->publishes[n];
    if (p->times == 0 || p->offset != offset ||
        !slice_equal(json_inside(json_get(body, "epoch")), slice_of(p->epoch))) {
        sim_fault(s, "a program was told %.*s, which the log does not have", SLICE_ARG(body));
    }
    if (p->is_told) {
        return;
    }
    p->is_told = true;
    if (p->at < next[p->room]) {
        sim_fault(s, "a program was told %" PRIu64 " out of its place", n);
    }
    next[p->room] = p->at + 1;
}

void listener_judge(struct sim *s)
{
    size_t next[SIM_ROOMS] = {0};
    uint64_t missing = 0;

    for (size_t i = 0; i < s->told.count; i++) {
        look_at(s, s->told.at[i], next);
    }
    uint64_t given_up = stat_get(&s->stats.limits.met[OWNER_LIMIT_EVENTS]);
    for (size_t n = 0; n < s->publish_count && s->plan.listens; n++) {
        if (s->publishes[n].times > 0 && !s->publishes[n].is_told) {
            missing++;
            if (missing > given_up) {
                sim_fault(s, "no program was told %zu, and %" PRIu64 " were given up", n, given_up);
            }
        }
    }
    s->counts.told = s->told.count;
}
