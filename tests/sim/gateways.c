/*
 * gateways.c: gateways with a bus that is none.
 *
 * The gateway is the real one, without its listener and its admin pages. Its
 * loop is never run: what the loop would call is called from here, when the
 * clock says so. The bus does what bus.c and its two threads do.
 */
#include <ev.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/bus/lanes.h"
#include "gateway/bus/links.h"
#include "gateway/bus/questions.h"
#include "gateway/bus/raw.h"
#include "gateway/order/control.h"
#include "gateway/room/repeats.h"
#include "gateway/room/rooms_internal.h"
#include "gateway/session/notices.h"
#include "gateway/session/sessions_internal.h"
#include "gateway/session/users.h"
#include "tests/sim/sim.h"

#define WAKE_US 300 /* until a thread has woken up */
#define TURN_US 1500
#define RECONNECT_US 500000
#define RESTART_US 1000000
#define PUBLISH_AT_ONCE 64

/* The bus, as bus.h has it. */

struct bus *bus_new(struct gateway *g)
{
    struct sim_gateway *sg = container_of(g, struct sim_gateway, gateway);

    sg->bus = (struct bus){.gateway = sg};
    return &sg->bus;
}

void bus_out_free(struct bus_out *out)
{
    blob_unref(out->body);
    mem_free(out);
}

struct bus *bus_free(struct bus *b)
{
    for (size_t i = 0; b != NULL && i < b->waiting_count; i++) {
        bus_out_free(b->waiting[i]);
    }
    for (size_t i = 0; b != NULL && i < b->sent_count; i++) {
        bus_out_free(b->sent[i].out);
    }
    if (b != NULL) {
        mem_free(b->waiting);
        mem_free(b->sent);
        *b = (struct bus){.gateway = b->gateway};
    }
    return NULL;
}

const char *bus_not_ready(const struct bus *b)
{
    return b->publish_is_up && b->consume_is_up ? NULL : "down";
}

static bool is_up(const struct sim_conn *c)
{
    return c != NULL && c->client_up;
}

static void news(struct sim_gateway *g, bool from_publisher, sim_fire *fire, struct sim_event e)
{
    struct sim *s = g->sim;
    int64_t *last_us = from_publisher ? &g->bus.publish_news_us : &g->bus.consume_news_us;

    e.at_us = s->now_us + (int64_t)sim_random(s, WAKE_US);
    e.at_us = MAX(e.at_us, *last_us);
    *last_us = e.at_us;
    e.fire = fire;
    e.proc = &g->proc;
    e.life = g->proc.life;
    e.what = g;
    sim_push(s, &e);
}

/* A batch comes back: `number` is the result. */
static void on_result(struct sim *s, struct sim_event *e)
{
    struct sim_gateway *g = e->what;
    struct bus *b = &g->bus;
    size_t i = 0;

    while (b->sent[i].tag != e->tag) {
        i++;
        assert(i < b->sent_count);
    }
    struct bus_out *out = b->sent[i].out;
    memmove(&b->sent[i], &b->sent[i + 1], (--b->sent_count - i) * sizeof(b->sent[0]));
    lanes_on_result(g->gateway.lanes, out, (enum bus_result)e->number);
    gateways_turn_soon(s, g);
}

static void decide(struct sim_gateway *g, struct sim_sent *sent, enum bus_result result)
{
    sent->is_decided = true;
    news(g, true, on_result, (struct sim_event){.tag = sent->tag, .number = result});
}

void gateways_on_confirm(struct sim *s, struct sim_event *e)
{
    struct sim_gateway *g = e->conn->gateway;

    (void)s;
    for (size_t i = 0; i < g->bus.sent_count; i++) {
        struct sim_sent *sent = &g->bus.sent[i];

        if (sent->tag == e->tag && !sent->is_decided) {
            decide(g, sent, e->number != 0 ? BUS_CONFIRMED : BUS_REFUSED);
        }
    }
}

/* All that is unconfirmed is in doubt, and all that waits. */
static void give_back(struct sim_gateway *g)
{
    struct bus *b = &g->bus;

    for (size_t i = 0; i < b->waiting_count; i++) {
        if (b->waiting[i]->target == BUS_TO_INPUT) {
            b->sent = sim_grow(b->sent, b->sent_count, &b->sent_capacity, sizeof(b->sent[0]));
            b->sent[b->sent_count++] =
                (struct sim_sent){.out = b->waiting[i], .tag = ++b->last_tag};
        } else {
            bus_out_free(b->waiting[i]);
        }
    }
    b->waiting_count = 0;
    for (size_t i = 0; i < b->sent_count; i++) {
        if (!b->sent[i].is_decided) {
            decide(g, &b->sent[i], BUS_LOST);
        }
    }
}

static void publish_one(struct sim_gateway *g, struct bus_out *out)
{
    struct bus *b = &g->bus;
    struct sim_letter *l = sim_letter_new(g->sim, &out->message, blob_slice(out->body));

    if (out->target == BUS_TO_OWNER) {
        sim_to_broker(b->publish, broker_on_mail, (struct sim_event){.letter = l});
        bus_out_free(out);
        return;
    }
    b->sent = sim_grow(b->sent, b->sent_count, &b->sent_capacity, sizeof(b->sent[0]));
    b->sent[b->sent_count++] = (struct sim_sent){.out = out, .tag = ++b->last_tag};
    sim_to_broker(b->publish, broker_on_publish,
                  (struct sim_event){.letter = l, .tag = b->last_tag});
}

static void pump(struct sim *s, struct sim_event *e)
{
    struct sim_gateway *g = e->what;
    struct bus *b = &g->bus;
    size_t count = MIN(b->waiting_count, PUBLISH_AT_ONCE);

    b->is_pumping = false;
    if (!is_up(b->publish)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        publish_one(g, b->waiting[i]);
    }
    b->waiting_count -= count;
    if (b->waiting_count > 0) {
        memmove(b->waiting, b->waiting + count, b->waiting_count * sizeof(b->waiting[0]));
        b->is_pumping = true;
        sim_later(s, &g->proc, WAKE_US, pump, g);
    }
}

bool bus_send(struct bus *b, struct bus_out *out)
{
    struct sim *s = b->gateway->sim;

    if (b->waiting_count >= s->plan.bus_max && !s->is_calm) {
        return false;
    }
    b->waiting =
        sim_grow(b->waiting, b->waiting_count, &b->waiting_capacity, sizeof(b->waiting[0]));
    b->waiting[b->waiting_count++] = out;
    if (!b->is_pumping) {
        b->is_pumping = true;
        sim_later(s, &b->gateway->proc, (int64_t)sim_random(s, WAKE_US), pump, b->gateway);
    }
    return true;
}

/* bus_switch() of bus.c. `number`: from the publisher; `tag`: up. */
static void on_switch(struct sim *s, struct sim_event *e)
{
    struct sim_gateway *g = e->what;
    struct bus *b = &g->bus;
    bool was_up = b->publish_is_up && b->consume_is_up;
    bool up = e->tag != 0;

    if (e->number != 0) {
        b->publish_is_up = up;
        (up ? lanes_up : lanes_down)(g->gateway.lanes);
    } else {
        b->consume_is_up = up;
    }
    sim_trace(s, "%s: %s %s", g->proc.name, e->number != 0 ? "publishes" : "consumes",
              up ? "" : "no more");
    if (b->publish_is_up && b->consume_is_up) {
        links_up(g->gateway.links);
    } else if (was_up) {
        links_down(g->gateway.links);
    }
    gateways_turn_soon(s, g);
}

static void tell_switch(struct sim_gateway *g, bool from_publisher, bool up)
{
    news(g, from_publisher, on_switch, (struct sim_event){.number = from_publisher, .tag = up});
}

/* `number`: the publisher. */
static void on_connect(struct sim *s, struct sim_event *e);

static void connect_later(struct sim_gateway *g, bool is_publisher)
{
    struct sim *s = g->sim;
    struct sim_event e = {
        .at_us = s->now_us + 1 + (int64_t)sim_random(s, RECONNECT_US),
        .fire = on_connect,
        .proc = &g->proc,
        .life = g->proc.life,
        .what = g,
        .number = is_publisher,
    };

    sim_push(s, &e);
}

static void on_connect(struct sim *s, struct sim_event *e)
{
    struct sim_gateway *g = e->what;
    bool is_publisher = e->number != 0;

    if (s->now_us < s->broker_down_us || (!is_publisher && g->queue != NULL)) {
        if (is_publisher) {
            give_back(g);
        }
        connect_later(g, is_publisher);
        return;
    }
    struct sim_conn *c = sim_conn_new(s, &g->proc);

    c->gateway = g;
    c->consumes = !is_publisher;
    sim_trace(s, "%s: connection %u to %s", g->proc.name, c->number,
              is_publisher ? "publish" : "consume");
    if (is_publisher) {
        g->bus.publish = c;
        sim_later(s, &g->proc, 0, pump, g);
    } else {
        g->bus.consume = c;
        g->queue = c;
    }
    tell_switch(g, is_publisher, true);
}

void gateways_lost(struct sim *s, struct sim_gateway *g, struct sim_conn *c)
{
    bool is_publisher = !c->consumes;

    (void)s;
    sim_conn_end(c);
    tell_switch(g, is_publisher, false);
    if (is_publisher) {
        g->bus.publish = NULL;
        give_back(g);
    } else {
        g->bus.consume = NULL;
    }
    connect_later(g, is_publisher);
}

static void on_message(struct sim *s, struct sim_event *e)
{
    struct sim_gateway *g = e->what;
    char scratch[ID_MAX * 2];
    struct mq_props props;
    struct message m;
    struct mq_event event = sim_letter_event(e->letter, &props, scratch);
    const char *why = message_from_event(&event, &m);

    if (why != NULL) {
        sim_fault(s, "%s cannot understand a message: %s", g->proc.name, why);
        return;
    }
    sim_trace(s, "%s: %s partition %u link %" PRIu64 " number %" PRIu64 " term %" PRIu64,
              g->proc.name, message_type_name(m.type), m.partition, m.link, m.number, m.term);
    links_on_message(g->gateway.links, &m);
    gateways_turn_soon(s, g);
}

void gateways_on_delivery(struct sim *s, struct sim_event *e)
{
    (void)s;
    news(e->conn->gateway, false, on_message, (struct sim_event){.letter = e->letter});
}

/* The loop. */

static struct sim_client *client_of(struct sim *s, const struct session *session)
{
    for (unsigned i = 0; i < s->plan.clients; i++) {
        struct sim_client *c = &s->clients[i];

        if (c->fd >= 0 && c->handle == session->handle &&
            &c->gateway->gateway == session->gateway && c->gateway_life == c->gateway->proc.life) {
            return c;
        }
    }
    return NULL;
}

/* on_turn_end() of gateway.c. */
static void turn_end(struct sim *s, struct sim_gateway *g)
{
    struct gateway *gw = &g->gateway;

    links_flush(gw->links);
    lanes_flush(gw->lanes);
    for (struct session *d = gw->sessions->dirty; d != NULL; d = d->next_dirty) {
        struct sim_client *c = client_of(s, d);
        if (c != NULL) {
            client_read_soon(s, c);
        }
    }
    sessions_flush(gw->sessions);
    sessions_reap(gw->sessions);
}

static void on_turn(struct sim *s, struct sim_event *e)
{
    struct sim_gateway *g = e->what;

    g->turn_is_due = false;
    turn_end(s, g);
}

void gateways_turn_soon(struct sim *s, struct sim_gateway *g)
{
    if (!g->turn_is_due) {
        g->turn_is_due = true;
        sim_later(s, &g->proc, (int64_t)sim_random(s, TURN_US), on_turn, g);
    }
}

void gateways_on_bytes(struct sim *s, struct sim_event *e)
{
    struct sim_gateway *g = e->what;
    struct session *session = sessions_find(g->gateway.sessions, e->number);

    if (session != NULL && session->state != SESSION_DEAD) {
        ev_invoke(s->loop, &session->io, (int)e->tag);
        gateways_turn_soon(s, g);
    }
}

/* Timers fire early rather than late: see deadline.c. */
static void fire_deadlines(struct sim *s, struct sim_gateway *g)
{
    struct sessions *all = g->gateway.sessions;
    struct deadline_queue *queues[] = {
        &g->gateway.rooms->wait, &all->ping_first[0], &all->ping_first[1], &all->ping_first[2],
        &all->ping_first[3],     &all->ping,          &all->pong,          &all->stale,
        &all->close_wait,        &all->expiry,
    };

    static_assert(PING_STARTS == 4, "all of them");
    for (size_t i = 0; i < ARRAY_LEN(queues); i++) {
        ev_invoke(s->loop, &queues[i]->timer, EV_TIMER);
    }
}

/* on_tick() of gateway.c. */
static void on_tick(struct sim *s, struct sim_event *e)
{
    struct sim_gateway *g = e->what;
    struct gateway *gw = &g->gateway;

    gw->turned_ms = clock_mono_ms();
    lanes_tick(gw->lanes);
    links_tick(gw->links);
    questions_tick(gw->questions);
    users_tick(gw->users);
    bus_tick(gw->bus);
    fire_deadlines(s, g);
    gateways_turn_soon(s, g);
    sim_later(s, &g->proc, GATEWAY_TICK_MS * 1000, on_tick, g);
}

/* gateway_start() without what listens. */
void gateways_start(struct sim *s, struct sim_gateway *g)
{
    struct gateway *gw = &g->gateway;
    uint64_t boot;

    *gw = (struct gateway){.conf = &g->conf, .loop = s->loop};
    g->proc.is_up = true;
    g->proc.life++;
    g->proc.frozen_us = 0;
    g->turn_is_due = false;
    hash_random(&boot, sizeof(boot));
    snprintf(gw->boot, sizeof(gw->boot), "%016" PRIx64, boot);
    gw->users = users_new(gw);
    gw->repeats = repeats_new();
    gw->sessions = sessions_new(gw);
    gw->rooms = rooms_new(gw);
    gw->links = links_new(gw);
    gw->questions = questions_new(gw);
    gw->lanes = lanes_new(gw);
    gw->control = control_new(gw);
    gw->notices = notices_new(gw);
    gw->bus = bus_new(gw);
    sim_trace(s, "%s: starts, boot %s", g->proc.name, gw->boot);
    connect_later(g, true);
    connect_later(g, false);
    sim_later(s, &g->proc, GATEWAY_TICK_MS * 1000, on_tick, g);
}

void gateways_deinit(struct sim_gateway *g)
{
    struct gateway *gw = &g->gateway;

    if (!g->proc.is_up) {
        return;
    }
    g->proc.is_up = false;
    gw->sessions = sessions_free(gw->sessions);
    gw->users = users_free(gw->users);
    gw->repeats = repeats_free(gw->repeats);
    gw->rooms = rooms_free(gw->rooms);
    gw->bus = bus_free(gw->bus);
    gw->lanes = lanes_free(gw->lanes);
    gw->control = control_free(gw->control);
    gw->notices = notices_free(gw->notices);
    gw->questions = questions_free(gw->questions);
    gw->links = links_free(gw->links);
}

static void on_restart(struct sim *s, struct sim_event *e)
{
    struct sim_gateway *g = e->what;

    if (!g->proc.is_up) {
        gateways_start(s, g);
    }
}

void gateways_kill(struct sim *s, struct sim_gateway *g)
{
    struct sim_conn *conns[] = {g->bus.publish, g->bus.consume};

    sim_trace(s, "%s: is dead", g->proc.name);
    gateways_deinit(g);
    for (size_t i = 0; i < ARRAY_LEN(conns); i++) {
        if (is_up(conns[i])) {
            sim_conn_end(conns[i]);
        }
    }
    for (unsigned i = 0; i < s->plan.clients; i++) {
        if (s->clients[i].fd >= 0 && s->clients[i].gateway == g) {
            client_read_soon(s, &s->clients[i]);
        }
    }
    sim_later(s, NULL, 1 + (int64_t)sim_random(s, RESTART_US), on_restart, g);
}
