/*
 * gateway.c: see gateway.h: the start, the turn, the drain and the end.
 */
#include "gateway/gateway.h"

#include <stdio.h>

#include "common/admin.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/notify.h"
#include "gateway/api/api.h"
#include "gateway/bus/bus.h"
#include "gateway/bus/lanes.h"
#include "gateway/bus/links.h"
#include "gateway/bus/questions.h"
#include "gateway/bus/raw.h"
#include "gateway/bus/surveys.h"
#include "gateway/edge/conn.h"
#include "gateway/edge/edge.h"
#include "gateway/edge/listener.h"
#include "gateway/hook/hooks.h"
#include "gateway/order/control.h"
#include "gateway/room/repeats.h"
#include "gateway/room/rooms.h"
#include "gateway/session/notices.h"
#include "gateway/session/pace.h"
#include "gateway/session/sessions.h"
#include "gateway/session/users.h"
#include "gateway/token/revoked.h"
#include "gateway/token/verifier.h"

#define DRAIN_STEP_MS 50
#define DRAIN_CONFIRM_MS 3000 /* after that time, for what is still in doubt */
#define DRAIN_BYE_MS 200      /* and for close frames of those that were waited for in vain */
#define LIVE_MS 5000

/* The heartbeat. Everything the turn has marked happens here, in this order. */
static void on_turn_end(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct gateway *g = container_of(watcher, struct gateway, turn_end);

    (void)loop;
    (void)events;
    sessions_end_revoked(g->sessions); /* whose token is not taken any more */
    sessions_go_on(g->sessions);       /* connect commands whose rooms are there */
    links_flush(g->links);             /* who came and went; before what they said */
    raws_flush(g->raws);               /* what other programs published */
    lanes_flush(g->lanes);             /* what clients published, as one batch a partition */
    sessions_flush(g->sessions);       /* one write for each session that was given something */
    sessions_reap(g->sessions);        /* nobody can hold a dead session any more */
    compress_turn(&g->compress);
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct gateway *g = container_of(watcher, struct gateway, tick);

    (void)loop;
    (void)events;
    g->turned_ms = clock_mono_ms();
    notify_alive(g->turned_ms);
    revoked_tick(g->revoked, clock_wall_ms() / 1000);
    lanes_tick(g->lanes);
    links_tick(g->links);
    questions_tick(g->questions);
    surveys_tick(g->surveys);
    users_tick(g->users);
    control_tick(g->control);
    notices_tick(g->notices);
    bus_tick(g->bus);
}

static bool is_live(void *user)
{
    const struct gateway *g = user;

    return clock_mono_ms() - g->turned_ms < LIVE_MS;
}

static const char *not_ready(void *user)
{
    const struct gateway *g = user;

    if (g->is_leaving) {
        return "draining";
    }
    if (!gateway_has_room(g)) {
        return "full";
    }
    const char *why = bus_not_ready(g->bus);
    return why != NULL ? why : control_not_ready(g->control);
}

static void print_metrics(void *user, struct buf *out)
{
    const struct gateway *g = user;

    metrics_print(&g->metrics, out);
    stats_process(out, "warren_gateway");
}

bool gateway_has_room(const struct gateway *g)
{
    return !g->is_draining &&
           sessions_count(g->sessions) + conns_count(g->conns) < (size_t)g->conf->connections_max;
}

static void boot_id_make(char out[BOOT_SIZE + 1])
{
    uint64_t r;

    hash_random(&r, sizeof(r));
    snprintf(out, BOOT_SIZE + 1, "%016llx", (unsigned long long)r);
}

int gateway_start(struct gateway *g, const struct gateway_conf *conf, struct ev_loop *loop)
{
    const struct admin_hooks hooks = {
        .user = g,
        .is_live = is_live,
        .not_ready = not_ready,
        .metrics = print_metrics,
        .were_full = &g->metrics.limits.met[LIMIT_ADMIN_CLIENTS],
        .late = &g->metrics.limits.met[LIMIT_ADMIN_TIME],
    };
    char error[160];

    g->conf = conf;
    g->loop = loop;
    g->started_ms = g->turned_ms = clock_mono_ms();
    boot_id_make(g->boot);
    ev_prepare_init(&g->turn_end, on_turn_end);
    ev_timer_init(&g->tick, on_tick, GATEWAY_TICK_MS / 1e3, GATEWAY_TICK_MS / 1e3);
    ev_init(&g->drain, NULL);
    g->origins = origins_new(conf->origins, error, sizeof(error));
    if (g->origins == NULL) {
        log_error("[origin] allow: %s", error);
        return -1;
    }
    g->revoked = revoked_new(&g->metrics);
    g->verifier = verifier_new(conf, g->revoked, &g->metrics);
    g->hooks = hooks_new(g);
    if (g->hooks == NULL) {
        return -1;
    }
    g->users = users_new(g);
    g->repeats = repeats_new();
    if (edge_start(g) != 0) {
        return -1;
    }
    compress_init(&g->compress, conf, &g->metrics);
    g->sessions = sessions_new(g);
    g->rooms = rooms_new(g);
    g->links = links_new(g);
    g->questions = questions_new(g);
    g->surveys = surveys_new(g);
    g->lanes = lanes_new(g);
    g->raws = raws_new(g);
    g->control = control_new(g);
    g->notices = notices_new(g);
    g->conns = conns_new(g);
    g->bus = bus_new(g);
    if (g->bus == NULL) {
        return -1;
    }
    g->listener = listener_new(g);
    if (g->listener == NULL) {
        return -1;
    }
    g->admin = admin_new(loop, conf->admin, &hooks);
    if (g->admin == NULL) {
        return -1;
    }
    if (api_new(g, &g->api) != 0) {
        return -1;
    }
    ev_prepare_start(loop, &g->turn_end);
    ev_timer_start(loop, &g->tick);
    notify_say("READY=1");
    log_info("gateway started gateway=%s boot=%s listen=%s admin=%s", conf->id, g->boot,
             conf->listen, conf->admin);
    return 0;
}

void gateway_fail(struct gateway *g)
{
    g->has_failed = true;
    ev_break(g->loop, EVBREAK_ALL);
}

/* Nobody comes in any more. */
static void begin_draining(struct gateway *g)
{
    g->is_draining = true;
    g->drain_ms = clock_mono_ms() + g->conf->drain_ms;
    g->drain_sessions = sessions_drain(g->sessions, SIZE_MAX, true);
    g->listener = listener_free(g->listener);
    log_info("gateway draining gateway=%s sessions=%zu", g->conf->id, g->drain_sessions);
}

/* Sessions end evenly, so that those who come back do not come all at once. */
static void on_drain(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct gateway *g = container_of(watcher, struct gateway, drain);
    int64_t left_ms = g->drain_ms - clock_mono_ms();

    (void)events;
    if (!g->is_draining) {
        if (left_ms > 0) {
            return;
        }
        begin_draining(g);
        left_ms = g->conf->drain_ms;
    }
    size_t stay = pace_left(g->drain_sessions, left_ms, g->conf->drain_ms);

    (void)sessions_drain(g->sessions, stay, left_ms > -DRAIN_CONFIRM_MS);
    bool is_empty = sessions_count(g->sessions) == 0;
    if (left_ms > 0 && !is_empty) {
        return;
    }
    bool is_owed = lanes_waiting(g->lanes) > 0 || notices_waiting(g->notices) > 0;
    if ((is_owed || !is_empty) && left_ms > -DRAIN_CONFIRM_MS - DRAIN_BYE_MS) {
        return; /* confirms, or close frames, are on the way */
    }
    ev_break(loop, EVBREAK_ALL);
}

void gateway_drain(struct gateway *g)
{
    if (g->is_leaving) {
        return;
    }
    log_info("gateway leaving gateway=%s sessions=%zu", g->conf->id, sessions_count(g->sessions));
    notify_say("STOPPING=1");
    g->is_leaving = true;
    raws_end(g->raws);
    g->drain_ms = clock_mono_ms() + g->conf->drain_accept_ms;
    ev_timer_init(&g->drain, on_drain, 0., DRAIN_STEP_MS / 1e3);
    ev_timer_start(g->loop, &g->drain);
}

void gateway_stop(struct gateway *g)
{
    ev_prepare_stop(g->loop, &g->turn_end);
    ev_timer_stop(g->loop, &g->tick);
    ev_timer_stop(g->loop, &g->drain);
    g->admin = admin_free(g->admin);
    g->api = api_free(g->api);
    g->listener = listener_free(g->listener);
    g->conns = conns_free(g->conns);
    g->sessions = sessions_free(g->sessions);
    g->hooks = hooks_free(g->hooks);
    g->users = users_free(g->users);
    g->repeats = repeats_free(g->repeats);
    g->rooms = rooms_free(g->rooms);
    g->bus = bus_free(g->bus);
    g->lanes = lanes_free(g->lanes);
    g->raws = raws_free(g->raws);
    g->control = control_free(g->control);
    g->notices = notices_free(g->notices);
    g->surveys = surveys_free(g->surveys);
    g->questions = questions_free(g->questions);
    g->links = links_free(g->links);
    g->verifier = verifier_free(g->verifier);
    g->revoked = revoked_free(g->revoked);
    compress_deinit(&g->compress);
    g->origins = origins_free(g->origins);
    edge_stop(g);
    log_info("gateway ended gateway=%s", g->conf->id);
}
