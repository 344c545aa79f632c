/*
 * reload.c: see reload.h; and what new rules mean for the rooms and sessions that are here.
 */
#include "gateway/reload.h"

#include <utlist.h>

#include "common/log.h"
#include "common/service.h"
#include "gateway/edge/edge.h"
#include "gateway/hook/hooks.h"
#include "gateway/room/rights.h"
#include "gateway/room/rooms.h"
#include "gateway/session/sessions_internal.h"
#include "gateway/session/users.h"
#include "gateway/token/verifier.h"

/* Limits count from now on; whoever may not subscribe any more loses the subscription. */
static void check_sessions(struct sessions *all)
{
    struct session *s, *next;

    DL_FOREACH_SAFE (all->all, s, next) {
        users_reloaded(s->gateway->users, s);
        session_check_rooms(s);
    }
}

static int fail(struct gateway *g)
{
    log_error("settings not reloaded: they are not good, the old ones stay");
    stat_add(&g->metrics.reloads_failed, 1);
    return -1;
}

int gateway_reload(struct gateway *g, struct gateway_conf *conf, const char *path)
{
    struct gateway_conf fresh;
    struct buf others = BUF_EMPTY;
    char error[160];

    assert(g->conf == conf);
    if (gateway_conf_load(&fresh, path) != 0) {
        return fail(g);
    }
    if (gateway_conf_check_entry(&fresh) != 0 || edge_reload(g) != 0) {
        gateway_conf_free(&fresh);
        return fail(g);
    }
    struct origins *origins = origins_new(fresh.origins, error, sizeof(error));
    assert(origins != NULL); /* the settings were checked */
    origins_free(g->origins);
    g->origins = origins;
    gateway_conf_exchange(conf, &fresh, &others);
    service_set_log_level(conf->log_level);
    verifier_reloaded(g->verifier);
    hooks_reloaded(g->hooks);
    rooms_rules_changed(g->rooms);
    check_sessions(g->sessions);
    gateway_conf_free(&fresh);
    stat_add(&g->metrics.reloads, 1);
    log_info("settings reloaded gateway=%s", conf->id);
    if (others.size > 0) {
        log_warn("settings that need a restart to change: %.*s", SLICE_ARG(buf_slice(&others)));
    }
    buf_deinit(&others);
    return 0;
}
