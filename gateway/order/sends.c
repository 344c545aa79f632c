/*
 * sends.c: see sends.h: what is not confirmed or not read, and who waits for the others.
 */
#include "gateway/order/sends.h"

#include <utlist.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/bus/bus.h"
#include "gateway/bus/surveys.h"
#include "gateway/gateway.h"

/* One message that is not confirmed yet, or that somebody waits for and we have not read. */
struct sent {
    UT_hash_handle hh;
    uint64_t request;
    uint64_t call; /* 0: nobody waits, or it is one of the next */
    int64_t since_ms;
    int64_t confirmed_ms; /* 0: it is not */
    struct bus_out *out;  /* owns; NULL: with the bus, or confirmed */
};

/* One order that we have obeyed, and perhaps not all others. */
struct waiting {
    struct waiting *prev, *next;
    uint64_t call;
    uint64_t upto; /* the order stands before this offset */
};

struct sends {
    struct gateway *gateway; /* borrowed */
    struct sent *sent;       /* owns: uthash by request */
    struct waiting *waiting; /* owns: list, in the order of the stream */
    uint64_t asked;          /* all before this offset is asked about; 0: nothing is */
    control_told *told;
    void *user;
    uint64_t last_request, insisted;
};

struct sends *sends_new(struct gateway *g)
{
    struct sends *all = mem_new(struct sends);

    all->gateway = g;
    return all;
}

static void sent_free(struct sends *all, struct sent *s)
{
    HASH_DELETE(hh, all->sent, s);
    if (s->out != NULL) {
        bus_out_free(s->out);
    }
    mem_free(s);
}

static void waiting_free(struct sends *all, struct waiting *w)
{
    DL_DELETE(all->waiting, w);
    mem_free(w);
}

struct sends *sends_free(struct sends *all)
{
    if (all != NULL) {
        while (all->sent != NULL) {
            sent_free(all, all->sent);
        }
        while (all->waiting != NULL) {
            waiting_free(all, all->waiting);
        }
        mem_free(all);
    }
    return NULL;
}

void sends_set_teller(struct sends *all, control_told *told, void *user)
{
    all->told = told;
    all->user = user;
}

void sends_insist(struct sends *all, uint64_t request)
{
    all->insisted = request;
}

uint64_t sends_add(struct sends *all, struct slice lines, int64_t checkpoint, uint64_t call)
{
    struct gateway *g = all->gateway;
    struct bus_out *out = mem_new(struct bus_out);
    uint64_t request = all->last_request + 1;

    out->target = BUS_TO_CONTROL;
    out->body = blob_copy(lines.at, lines.size);
    out->message = (struct message){
        .type = MESSAGE_CONTROL,
        .has = checkpoint >= 0 ? HAS_CHECKPOINT : 0,
        .gateway = slice_of(g->conf->id),
        .boot = slice_of(g->boot),
        .request = request,
        .checkpoint = (uint64_t)MAX(checkpoint, 0),
        .time_ms = clock_wall_ms(),
    };
    if (!bus_send(g->bus, out)) {
        bus_out_free(out);
        return 0;
    }
    struct sent *s = mem_new(struct sent);

    all->last_request = request;
    s->request = request;
    s->call = call;
    s->since_ms = clock_mono_ms();
    HASH_ADD(hh, all->sent, request, sizeof(s->request), s);
    return request;
}

static void tell(struct sends *all, uint64_t call, bool is_done, int64_t missing)
{
    stat_add(&all->gateway->metrics.orders_unheeded, call != 0 && missing > 0);
    if (call != 0 && all->told != NULL) {
        all->told(all->user, call, is_done, missing);
    }
}

static void on_heeded(struct gateway *g, uint64_t upto, int64_t missing);

/* About all who wait now. */
static void ask(struct sends *all)
{
    static const struct survey_asker asker = {.end = on_heeded};
    const struct survey survey = {.kind = SURVEY_ORDERS};

    if (all->asked == 0 && all->waiting != NULL) {
        uint64_t upto = all->waiting->prev->upto; /* the last one's */

        if (surveys_ask(all->gateway->surveys, &survey, upto, &asker, upto) == 0) {
            all->asked = upto;
        } /* else with the next tick */
    }
}

static void on_heeded(struct gateway *g, uint64_t upto, int64_t missing)
{
    struct sends *all = control_sends(g->control);

    if (missing != 0) {
        log_warn("orders were not obeyed in time upto=%llu missing=%lld", (unsigned long long)upto,
                 (long long)missing);
    }
    if (missing == SURVEY_UNKNOWN) {
        missing = 1; /* at least */
    }
    all->asked = 0;
    while (all->waiting != NULL && all->waiting->upto <= upto) {
        uint64_t call = all->waiting->call;

        waiting_free(all, all->waiting);
        tell(all, call, true, missing);
    }
    ask(all);
}

void sends_on_read(struct sends *all, uint64_t request, int64_t at)
{
    struct sent *s;

    HASH_FIND(hh, all->sent, &request, sizeof(request), s);
    if (s == NULL) {
        return;
    }
    if (s->call != 0) {
        struct waiting *w = mem_new(struct waiting);

        w->call = s->call;
        w->upto = (uint64_t)at + 1;
        DL_APPEND(all->waiting, w);
        s->call = 0;
    }
    if (s->confirmed_ms != 0 || s->out != NULL) {
        sent_free(all, s); /* whatever became of the confirm: it is there, and not sent again */
    }
    ask(all);
}

void sends_on_result(struct sends *all, struct bus_out *out, enum bus_result result)
{
    struct sent *s;

    HASH_FIND(hh, all->sent, &out->message.request, sizeof(out->message.request), s);
    assert(s != NULL);
    assert(s->out == NULL);
    s->out = out;
    if (result != BUS_CONFIRMED) {
        return; /* again with the next tick: an order can be given twice */
    }
    if (s->call == 0) {
        sent_free(all, s);
    } else { /* told when it was read */
        bus_out_free(out);
        s->out = NULL;
        s->confirmed_ms = clock_mono_ms();
    }
}

void sends_tick(struct sends *all)
{
    const struct gateway_conf *conf = all->gateway->conf;
    int64_t now = clock_mono_ms();
    struct sent *s, *next;

    HASH_ITER (hh, all->sent, s, next) {
        bool is_late = now - s->since_ms > conf->publish_wait_ms;

        if (s->confirmed_ms != 0 &&
            now - s->confirmed_ms > MIN(conf->api_gather_ms, conf->api_wait_ms / 3)) {
            tell(all, s->call, true, 1); /* we cannot read now: we have not obeyed ourselves */
            sent_free(all, s);
        } else if (s->out != NULL && is_late && s->request != all->insisted) {
            tell(all, s->call, false, 0);
            sent_free(all, s);
        } else if (s->out != NULL && bus_send(all->gateway->bus, s->out)) {
            s->out = NULL;
        }
    }
    ask(all);
}
