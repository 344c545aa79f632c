/*
 * control.c: see control.h: what was read, what stands, and summaries of it.
 */
#include "gateway/order/control.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/order/control_lines.h"
#include "gateway/order/orders.h"
#include "gateway/order/sends.h"
#include "proto/record.h"

#define FORGET_EVERY_MS 60000
#define SUMMARY_MS (INT64_C(7) * 86400000) /* the stream keeps 30 days */
#define SUMMARY_BYTES (16 << 20)           /* and 64 MB */
#define SUMMARY_PART (256 << 10)           /* bytes of one message of a summary */
#define MESSAGE_FRAMING 300                /* bytes of a message beside its body, about */

struct control {
    struct gateway *gateway; /* borrowed */
    struct standing *standing;
    struct sends *sends;
    uint64_t hello; /* the request of it; 0: not sent */
    bool is_caught_up;
    int64_t started_ms; /* wall clock */
    int64_t read_at;    /* offset of the last message read; -1: none */
    int64_t forgotten_ms;
    /* Since the last summary, or since the first message. */
    int64_t summary_ms; /* wall clock; 0: nothing was read */
    uint64_t bytes;
    bool has_prefix[ADDRESS_BITS + 1]; /* by bits: an address ban of that length was read */
    uint64_t jitter;                   /* so that not all gateways write the next summary */
};

struct control *control_new(struct gateway *g)
{
    struct control *c = mem_new(struct control);

    c->gateway = g;
    c->standing = standing_new();
    c->sends = sends_new(g);
    c->started_ms = clock_wall_ms();
    c->forgotten_ms = clock_mono_ms();
    c->read_at = -1;
    memcpy(&c->jitter, g->boot, sizeof(c->jitter)); /* which is random */
    return c;
}

struct control *control_free(struct control *c)
{
    if (c != NULL) {
        c->sends = sends_free(c->sends);
        c->standing = standing_free(c->standing);
        mem_free(c);
    }
    return NULL;
}

void control_set_teller(struct control *c, control_told *told, void *user)
{
    sends_set_teller(c->sends, told, user);
}

static bool adds_to_standing(const struct order *o)
{
    return o->kind == ORDER_BAN || o->kind == ORDER_MUTE || o->kind == ORDER_CLOSE ||
           o->kind == ORDER_DELETE || o->kind == ORDER_HISTORY_REMOVE;
}

static enum standing_kind kind_of(const struct order *o)
{
    char text[ADDRESS_MAX + 1];
    struct standing_order s;

    return standing_of(o, &s, text) ? s.kind : STANDING_KINDS;
}

/* False: it would be refused as it is read. */
static bool has_room_for(const struct control *c, const struct order *o)
{
    if (o->kind == ORDER_REVOKE) {
        bool is_user = o->token.size == 0;

        return (is_user && o->user.size == 0) || revoked_has_room(c->gateway->revoked, is_user);
    }
    return !adds_to_standing(o) || standing_has_room(c->standing, kind_of(o));
}

/* An order that nobody can read would be answered as if all had obeyed it. */
static bool can_be_read(struct slice line)
{
    struct order again;

    return order_next(&line, &again) == 0 && line.size == 0;
}

int control_send(struct control *c, const struct order *o, uint64_t call)
{
    struct buf line = BUF_EMPTY;

    if (!has_room_for(c, o)) {
        stat_add(&c->gateway->metrics.orders_refused, 1);
        limit_met(&c->gateway->metrics.limits,
                  o->kind == ORDER_REVOKE ? LIMIT_REVOCATIONS : LIMIT_STANDING);
        return CONTROL_FULL;
    }
    order_encode(&line, o);
    int r = CONTROL_BAD;
    if (can_be_read(buf_slice(&line))) {
        r = sends_add(c->sends, buf_slice(&line), -1, call) != 0 ? 0 : -1;
    }
    buf_deinit(&line);
    return r;
}

void control_up(struct control *c)
{
    struct buf line = BUF_EMPTY;

    if (!c->is_caught_up && c->hello == 0) {
        order_encode(&line, &(struct order){.kind = ORDER_HELLO});
        c->hello = sends_add(c->sends, buf_slice(&line), -1, 0);
        sends_insist(c->sends, c->hello);
        buf_deinit(&line);
    }
}

struct sends *control_sends(struct control *c)
{
    return c->sends;
}

void control_on_result(struct control *c, struct bus_out *out, enum bus_result result)
{
    sends_on_result(c->sends, out, result);
}

/* Whoever comes is looked for under each length of a prefix that was ever banned. */
static void note_prefix(struct control *c, const struct standing_order *s)
{
    struct address a;

    if (s->kind == STANDING_BAN_ADDRESS && !s->is_lifted && address_read(&a, s->what)) {
        c->has_prefix[a.bits] = true;
    }
}

static void obey(struct control *c, const struct order *o, const struct message *m, int64_t at)
{
    bool is_summary = (m->has & HAS_CHECKPOINT) != 0;
    bool is_fresh = c->is_caught_up || m->time_ms >= c->started_ms;
    struct metrics *metrics = &c->gateway->metrics;
    struct standing_order standing;
    char address[ADDRESS_MAX + 1];

    stat_add(&metrics->orders, 1);
    if (standing_of(o, &standing, address)) {
        note_prefix(c, &standing);
        standing.at = is_summary ? (int64_t)m->checkpoint : at;
        int r = standing_set(c->standing, &standing, clock_wall_ms());

        if (r == STANDING_FULL) {
            stat_add(&metrics->orders_refused, 1);
            limit_met(&metrics->limits, LIMIT_STANDING);
        }
        stat_set(&metrics->standing, standing_size(c->standing));
        if (r != 0 || (is_summary && c->is_caught_up)) {
            return; /* it has ended, a later order holds, or it is known */
        }
    } else if (order_is_momentary(o->kind) && !is_fresh) {
        return;
    }
    orders_apply(c->gateway, o);
}

/* Notes how old the last summary is. */
static void note_age(struct control *c, const struct message *m)
{
    if (c->summary_ms == 0 || (m->has & HAS_CHECKPOINT) != 0) {
        c->summary_ms = MAX(m->time_ms, 1);
        c->bytes = 0;
    }
    c->bytes += m->body.size + MESSAGE_FRAMING;
}

void control_on_message(struct control *c, const struct message *m, int64_t at)
{
    struct slice rest = m->body;
    struct order o;
    int r = ORDER_BAD;

    if (m->type == MESSAGE_CONTROL) {
        note_age(c, m);
        while ((r = order_next(&rest, &o)) == 0) {
            obey(c, &o, m, at);
        }
        if (c->hello != 0 && m->request == c->hello &&
            slice_equal(m->boot, slice_of(c->gateway->boot)) && !c->is_caught_up) {
            c->is_caught_up = true;
            log_info("control read gateway=%s standing=%zu", c->gateway->conf->id,
                     standing_size(c->standing));
        }
    }
    c->read_at = at;
    if (slice_equal(m->boot, slice_of(c->gateway->boot))) {
        sends_on_read(c->sends, m->request, at);
    }
    if (r == ORDER_BAD) {
        stat_add(&c->gateway->metrics.poisoned, 1);
        /* What it says may be somebody's data. */
        log_warn("order not understood at=%lld size=%zu", (long long)at, rest.size);
    }
}

struct summary {
    struct control *control;
    struct buf lines;
};

static void summary_send(struct summary *s)
{
    if (s->lines.size > 0 &&
        sends_add(s->control->sends, buf_slice(&s->lines), s->control->read_at, 0) == 0) {
        log_warn("summary not sent: the bus is full"); /* the next one will do */
    }
    buf_clear(&s->lines);
}

static void summary_add(struct summary *s, struct order o)
{
    order_encode(&s->lines, &o);
    if (s->lines.size >= SUMMARY_PART) {
        summary_send(s);
    }
}

static void summary_add_standing(void *user, const struct standing_order *standing)
{
    summary_add(user, order_of_standing(standing));
}

static void summary_add_revocation(void *user, const struct revocation *v)
{
    summary_add(user, order_of_revocation(v));
}

/* Whether a summary would say anything. */
static bool has_anything(const struct control *c)
{
    return standing_size(c->standing) > 0 || revoked_any(c->gateway->revoked);
}

static bool summary_is_due(const struct control *c)
{
    uint64_t bytes = SUMMARY_BYTES + c->jitter % SUMMARY_BYTES;
    int64_t ms = SUMMARY_MS + (int64_t)(c->jitter % SUMMARY_MS);

    return c->is_caught_up && c->summary_ms != 0 && has_anything(c) &&
           (c->bytes > bytes || clock_wall_ms() - c->summary_ms > ms);
}

static void summarize(struct control *c)
{
    struct summary s = {.control = c, .lines = BUF_EMPTY};

    int64_t now_ms = clock_wall_ms();

    log_info("control summed up gateway=%s standing=%zu revocations=%zu", c->gateway->conf->id,
             standing_size(c->standing), revoked_count(c->gateway->revoked));
    standing_each(c->standing, now_ms, summary_add_standing, &s);
    revoked_each(c->gateway->revoked, now_ms / 1000, summary_add_revocation, &s);
    summary_send(&s);
    buf_deinit(&s.lines);
    c->summary_ms = now_ms;
    c->bytes = 0;
}

void control_tick(struct control *c)
{
    int64_t now = clock_mono_ms();

    if (!c->is_caught_up && c->hello == 0) {
        return; /* the bus has not been up yet */
    }
    sends_tick(c->sends);
    if (now - c->forgotten_ms > FORGET_EVERY_MS) {
        c->forgotten_ms = now;
        standing_forget(c->standing, clock_wall_ms());
        stat_set(&c->gateway->metrics.standing, standing_size(c->standing));
    }
    if (summary_is_due(c)) {
        summarize(c);
    }
}

uint64_t control_obeyed(const struct control *c)
{
    return (uint64_t)(c->read_at + 1);
}

const char *control_not_ready(const struct control *c)
{
    return c->is_caught_up ? NULL : "reads what was ordered";
}

const struct standing *control_standing(const struct control *c)
{
    return c->standing;
}

static bool is_banned_address(const struct control *c, const char *peer, int64_t now_ms)
{
    char text[ADDRESS_MAX + 1];
    struct address a;

    if (standing_count(c->standing, STANDING_BAN_ADDRESS) == 0 ||
        !address_read(&a, address_of_peer(peer))) {
        return false;
    }
    for (unsigned bits = 0; bits <= a.bits; bits++) {
        if (!c->has_prefix[bits]) {
            continue;
        }
        struct address prefix = address_cut(&a, bits);
        if (standing_has(c->standing, STANDING_BAN_ADDRESS, address_text(&prefix, text), SLICE_NONE,
                         now_ms)) {
            return true;
        }
    }
    return false;
}

bool control_is_banned(const struct control *c, const struct identity *i, const char *peer)
{
    int64_t now = clock_wall_ms();

    return is_banned_address(c, peer, now) ||
           (i != NULL &&
            standing_has(c->standing, STANDING_BAN_USER, slice_of(i->user), SLICE_NONE, now));
}

bool control_has_removals(const struct control *c)
{
    return standing_count(c->standing, STANDING_DELETED) +
               standing_count(c->standing, STANDING_CLEARED) >
           0;
}

bool control_is_removed(const struct control *c, const struct record *r)
{
    return control_has_removals(c) &&
           removals_have(c->standing, r->room, r->epoch, r->offset, clock_wall_ms());
}

bool control_is_closed(const struct control *c, struct slice room)
{
    return standing_has(c->standing, STANDING_CLOSED, room, SLICE_NONE, clock_wall_ms());
}
