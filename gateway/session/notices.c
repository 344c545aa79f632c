/* notices.c: see notices.h. */
#include "gateway/session/notices.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/mem.h"
#include "gateway/bus/bus.h"
#include "gateway/gateway.h"
#include "gateway/session/session.h"
#include "gateway/session/sessions.h"
#include "proto/json.h"

enum { TELLS_CONNECT = 1, TELLS_DISCONNECT = 2 };

struct notices {
    struct gateway *gateway; /* borrowed */
    unsigned tells;
    struct bus_out *first; /* owns: not with the bus, in the order of their serials */
    struct bus_out **last;
    size_t waiting, with_bus;
    uint64_t serial;
};

static struct bus_out *next_of(const struct bus_out *out)
{
    return (struct bus_out *)(void *)out->node.next;
}

/* False: it is neither none nor some of the words. */
static bool read_words(const char *events, unsigned *tells)
{
    static const char between[] = " \t,";
    static const char *const words[] = {"connect", "disconnect"}; /* in the order of their bits */

    *tells = 0;
    if (strcmp(events, "none") == 0) {
        return true;
    }
    for (events += strspn(events, between); *events != '\0'; events += strspn(events, between)) {
        struct slice word = {events, strcspn(events, between)};
        size_t i = 0;

        while (i < ARRAY_LEN(words) && !slice_equal(word, slice_of(words[i]))) {
            i++;
        }
        if (i == ARRAY_LEN(words)) {
            return false;
        }
        *tells |= 1u << i;
        events += word.size;
    }
    return *tells != 0;
}

const char *notices_check(const char *events)
{
    unsigned tells;

    return read_words(events, &tells) ? NULL : "none, or some of connect, disconnect";
}

struct notices *notices_new(struct gateway *g)
{
    struct notices *n = mem_new(struct notices);

    n->gateway = g;
    n->last = &n->first;
    bool is_good = g->conf->events == NULL || read_words(g->conf->events, &n->tells);
    assert(is_good);
    return n;
}

struct notices *notices_free(struct notices *n)
{
    while (n != NULL && n->first != NULL) {
        struct bus_out *out = n->first;
        n->first = next_of(out);
        bus_out_free(out);
    }
    mem_free(n);
    return NULL;
}

static void pump(struct notices *n)
{
    while (n->first != NULL && n->with_bus < NOTICES_WINDOW &&
           bus_not_ready(n->gateway->bus) == NULL) {
        struct bus_out *out = n->first;
        struct bus_out *next = next_of(out);

        out->node.next = NULL;
        if (!bus_send(n->gateway->bus, out)) {
            out->node.next = next != NULL ? &next->node : NULL;
            return;
        }
        n->first = next;
        if (next == NULL) {
            n->last = &n->first;
        }
        n->waiting--;
        n->with_bus++;
    }
}

/* What is true of both; open at its end. */
static void add_session(struct buf *body, const struct session *s)
{
    const struct identity *i = s->identity;

    buf_addf(body, "{\"client\":\"%s\"", s->client);
    if (i->user[0] != '\0') {
        buf_addf(body, ",\"user\":\"%s\"", i->user);
    }
    buf_add_lit(body, ",\"info\":");
    session_info(s, body);
    buf_addf(body, ",\"gateway\":\"%s\",\"address\":\"%s\",\"time\":%" PRId64, s->gateway->conf->id,
             s->peer, clock_wall_ms());
}

static void key_of(char key[BUS_KEY_SIZE], const char *event, const struct session *s)
{
    struct buf user = BUF_EMPTY;

    json_unescape(&user, slice_of(s->identity->user));
    (void)snprintf(key, BUS_KEY_SIZE, "%s.%.*s", event, SLICE_ARG(buf_slice(&user)));
    buf_deinit(&user);
}

/* Takes the body over. */
static void tell(struct notices *n, const char *event, const struct session *s, struct buf *body)
{
    struct metrics *m = &n->gateway->metrics;

    if (notices_waiting(n) >= NOTICES_MAX) {
        limit_met(&m->limits, LIMIT_NOTICES);
    } else {
        struct bus_out *out = mem_new(struct bus_out);

        out->target = BUS_TO_SESSIONS;
        out->event = event;
        out->serial = ++n->serial;
        out->body = blob_copy(body->at, body->size);
        key_of(out->key, event, s);
        *n->last = out;
        n->last = (struct bus_out **)(void *)&out->node.next;
        n->waiting++;
        stat_add(&m->events, 1);
        pump(n);
    }
    buf_deinit(body);
}

void notices_connect(struct notices *n, struct session *s)
{
    struct buf body = BUF_EMPTY;

    if (n->tells == 0 || s->dialect == DIALECT_ECHO) {
        return;
    }
    s->is_noticed = true;
    if ((n->tells & TELLS_CONNECT) != 0) {
        add_session(&body, s);
        buf_add_char(&body, '}');
        tell(n, "connect", s, &body);
    }
}

void notices_disconnect(struct notices *n, const struct session *s, uint16_t code,
                        const char *reason)
{
    struct buf body = BUF_EMPTY;

    if (!s->is_noticed || (n->tells & TELLS_DISCONNECT) == 0) {
        return;
    }
    add_session(&body, s);
    buf_addf(&body, ",\"code\":%u,\"reason\":\"", code);
    json_escape(&body, slice_of(reason));
    buf_add_lit(&body, "\"}");
    tell(n, "disconnect", s, &body);
}

/* Back to its place: what is behind it came later. */
static void put_back(struct notices *n, struct bus_out *out)
{
    struct bus_out **at = &n->first;

    while (*at != NULL && (*at)->serial < out->serial) {
        at = (struct bus_out **)(void *)&(*at)->node.next;
    }
    out->node.next = *at != NULL ? &(*at)->node : NULL;
    *at = out;
    if (out->node.next == NULL) {
        n->last = (struct bus_out **)(void *)&out->node.next;
    }
    n->waiting++;
}

void notices_on_result(struct notices *n, struct bus_out *out, enum bus_result result)
{
    n->with_bus--;
    switch (result) {
    case BUS_CONFIRMED:
        bus_out_free(out);
        break;
    case BUS_REFUSED: /* a queue of a listener is full: others have it */
        stat_add(&n->gateway->metrics.events_refused, 1);
        bus_out_free(out);
        break;
    case BUS_LOST:
        put_back(n, out);
        return; /* all that are with the bus come back first */
    }
    pump(n);
}

void notices_tick(struct notices *n)
{
    pump(n);
}

size_t notices_waiting(const struct notices *n)
{
    return n->waiting + n->with_bus;
}
