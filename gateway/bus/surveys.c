/*
 * surveys.c: see surveys.h: open surveys, and what is sent for them.
 */
#include "gateway/bus/surveys.h"

#include "common/clock.h"
#include "common/hash.h"
#include "common/mem.h"
#include "gateway/bus/bus.h"
#include "gateway/gateway.h"

#define AGAIN_MIN_MS 100 /* until a survey is asked again, doubled each time */
#define AGAIN_MAX_MS 1000

/* A gateway that has reported. */
struct uid {
    char at[BOOT_SIZE];
    uint32_t round; /* in which it did so last */
};

struct open_survey {
    UT_hash_handle hh; /* by request */
    uint64_t request;
    uint64_t upto;
    const struct survey_asker *asker; /* borrowed */
    uint64_t call;
    int64_t until_ms, again_ms, pause_ms;
    uint32_t partition;  /* whose owner was asked last */
    struct buf question; /* owns */
    struct uid *heard;   /* owns: who has reported */
    uint32_t count, capacity;
    uint32_t round, fresh; /* who has reported in this round; another one begins when one is gone */
    uint64_t counting;     /* number of the first count since the last report */
    int64_t expected;      /* gateways at the last count, or SURVEY_UNKNOWN */
};

struct surveys {
    struct gateway *gateway;  /* borrowed */
    struct open_survey *open; /* owns: uthash, in the order in which they were asked */
    uint64_t last_request;
};

struct surveys *surveys_new(struct gateway *g)
{
    struct surveys *all = mem_new(struct surveys);

    all->gateway = g;
    return all;
}

static void survey_free(struct surveys *all, struct open_survey *s)
{
    HASH_DELETE(hh, all->open, s);
    buf_deinit(&s->question);
    mem_free(s->heard);
    mem_free(s);
}

struct surveys *surveys_free(struct surveys *all)
{
    if (all != NULL) {
        while (all->open != NULL) {
            survey_free(all, all->open);
        }
        mem_free(all);
    }
    return NULL;
}

/* Through an owner, to the gateway that a message names. What is lost is asked for again. */
static void send(struct surveys *all, const struct message *m, struct slice body)
{
    struct bus_out *out = mem_zalloc(1, sizeof(*out) + m->gateway.size + m->boot.size);

    out->target = BUS_TO_OWNER;
    out->message = *m;
    out->message.time_ms = clock_wall_ms();
    memcpy(out->texts, m->gateway.at, m->gateway.size);
    memcpy(out->texts + m->gateway.size, m->boot.at, m->boot.size);
    out->message.gateway.at = out->texts;
    out->message.boot.at = out->texts + m->gateway.size;
    out->body = blob_copy(body.at, body.size);
    if (!bus_send(all->gateway->bus, out)) {
        bus_out_free(out);
    }
}

static void survey_send(struct surveys *all, struct open_survey *s)
{
    struct gateway *g = all->gateway;

    s->partition = (s->partition + 1) % (uint32_t)g->conf->partitions;
    s->again_ms = clock_mono_ms() + s->pause_ms;
    s->pause_ms = MIN(2 * s->pause_ms, AGAIN_MAX_MS);
    send(all,
         &(struct message){
             .type = MESSAGE_SURVEY,
             .partition = s->partition,
             .gateway = slice_of(g->conf->id),
             .boot = slice_of(g->boot),
             .request = s->request,
         },
         buf_slice(&s->question));
    s->counting = bus_count(g->bus);
}

static struct uid *find_heard(const struct open_survey *s, struct slice uid)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (memcmp(s->heard[i].at, uid.at, BOOT_SIZE) == 0) {
            return &s->heard[i];
        }
    }
    return NULL;
}

static void survey_hear(struct surveys *all, struct open_survey *s, struct slice body)
{
    struct report r;

    if (report_next(&body, &r) != 0) {
        stat_add(&all->gateway->metrics.poisoned, 1);
        return;
    }
    if (r.obeyed < s->upto) {
        return;
    }
    struct uid *known = find_heard(s, r.uid);
    if (known != NULL && known->round == s->round) {
        return;
    }
    s->fresh++;
    s->counting = bus_count(all->gateway->bus);
    if (known != NULL) {
        known->round = s->round;
        return;
    }
    if (s->count == s->capacity) {
        s->capacity = MAX(8u, 2 * s->capacity);
        s->heard = mem_realloc(s->heard, s->capacity * sizeof(s->heard[0]));
    }
    s->heard[s->count].round = s->round;
    memcpy(s->heard[s->count++].at, r.uid.at, BOOT_SIZE);
    if (s->asker->report != NULL) {
        s->asker->report(all->gateway, s->call, &r, body);
    }
}

int surveys_ask(struct surveys *all, const struct survey *q, uint64_t upto,
                const struct survey_asker *asker, uint64_t call)
{
    struct gateway *g = all->gateway;
    struct buf own = BUF_EMPTY;

    if (HASH_COUNT(all->open) >= SURVEYS_MAX) {
        limit_met(&g->metrics.limits, LIMIT_SURVEYS);
        return -1;
    }
    struct open_survey *s = mem_new(struct open_survey);
    s->request = ++all->last_request;
    s->upto = upto;
    s->asker = asker;
    s->call = call;
    s->until_ms = clock_mono_ms() + MIN(g->conf->api_gather_ms, g->conf->api_wait_ms / 3);
    s->pause_ms = AGAIN_MIN_MS;
    s->partition = (uint32_t)s->request; /* they take turns */
    s->expected = SURVEY_UNKNOWN;
    survey_encode(&s->question, q);
    HASH_ADD(hh, all->open, request, sizeof(s->request), s);
    stat_add(&g->metrics.surveys, 1);
    report_write(g, q, &own);
    survey_hear(all, s, buf_slice(&own));
    buf_deinit(&own);
    survey_send(all, s);
    return 0;
}

/* Somebody asks: to him, by the owner who has just passed it on. */
static void answer(struct surveys *all, const struct message *m)
{
    struct slice rest = m->body;
    struct buf body = BUF_EMPTY;
    struct survey q;

    if (survey_next(&rest, &q) != 0) {
        stat_add(&all->gateway->metrics.poisoned, 1);
        return;
    }
    report_write(all->gateway, &q, &body);
    send(all,
         &(struct message){
             .type = MESSAGE_REPORT,
             .partition = m->partition,
             .gateway = m->gateway,
             .boot = m->boot,
             .request = m->request,
         },
         buf_slice(&body));
    buf_deinit(&body);
}

void surveys_on_message(struct surveys *all, const struct message *m)
{
    bool is_ours = slice_equal(m->boot, slice_of(all->gateway->boot));
    struct open_survey *s = NULL;

    if (m->type == MESSAGE_SURVEY && !is_ours) {
        answer(all, m);
    } else if (m->type == MESSAGE_REPORT && is_ours) {
        HASH_FIND(hh, all->open, &m->request, sizeof(m->request), s);
        if (s != NULL) {
            survey_hear(all, s, m->body);
        }
    }
}

static void survey_end(struct surveys *all, struct open_survey *s, int64_t missing)
{
    const struct survey_asker *asker = s->asker;
    uint64_t call = s->call;

    stat_add(&all->gateway->metrics.reports_missing, missing > 0 ? (uint64_t)missing : missing < 0);
    survey_free(all, s);
    asker->end(all->gateway, call, missing);
}

void surveys_on_count(struct surveys *all, uint64_t number, int64_t gateways)
{
    struct open_survey *s, *next;

    if (gateways < 0) {
        return; /* they are counted again when it is asked again */
    }
    stat_set(&all->gateway->metrics.gateways, (uint64_t)gateways);
    HASH_ITER (hh, all->open, s, next) {
        if (s->counting > number) {
            continue; /* somebody has reported meanwhile, who may not have been counted */
        }
        bool is_fewer = gateways < s->expected && s->fresh > 1;

        s->expected = gateways;
        if (is_fewer) { /* who is gone may be among those who have reported: they do once more */
            s->heard[0].round = ++s->round; /* this one */
            s->fresh = 1;
            survey_send(all, s);
        } else if (s->fresh >= gateways) {
            survey_end(all, s, 0);
        }
    }
}

void surveys_tick(struct surveys *all)
{
    int64_t now = clock_mono_ms();
    struct open_survey *s, *next;

    HASH_ITER (hh, all->open, s, next) {
        if (now >= s->until_ms) {
            bool is_known = s->expected != SURVEY_UNKNOWN;

            limit_met(&all->gateway->metrics.limits, LIMIT_API_GATHER);
            survey_end(all, s, is_known ? MAX(s->expected - s->fresh, 0) : SURVEY_UNKNOWN);
        } else if (now >= s->again_ms) {
            survey_send(all, s);
        }
    }
}
