/*
 * users.c: see users.h: a table by user, and a list of those who have left.
 */
#include "gateway/session/users.h"

#include <utlist.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/order/control.h"
#include "gateway/session/pace.h"

struct account {
    UT_hash_handle hh;
    struct account *prev, *next; /* links: those without a session */
    uint32_t sessions;
    int64_t full_us; /* pace.h */
    char user[];
};

struct users {
    struct gateway *gateway;  /* borrowed */
    struct account *by_user;  /* owns */
    struct account *departed; /* list: those without a session */
};

struct users *users_new(struct gateway *g)
{
    struct users *all = mem_new(struct users);

    all->gateway = g;
    return all;
}

static void account_free(struct users *all, struct account *a)
{
    assert(a->sessions == 0);
    DL_DELETE(all->departed, a);
    HASH_DELETE(hh, all->by_user, a);
    mem_free(a);
}

struct users *users_free(struct users *all)
{
    if (all != NULL) {
        while (all->departed != NULL) { /* the sessions are gone */
            account_free(all, all->departed);
        }
        assert(all->by_user == NULL);
        mem_free(all);
    }
    return NULL;
}

static struct pace pace_of(const struct users *all)
{
    const struct gateway_conf *conf = all->gateway->conf;

    return (struct pace){conf->user_publish_rate, conf->user_publish_burst};
}

static struct account *account_get(struct users *all, struct slice user)
{
    struct account *a;

    HASH_FIND(hh, all->by_user, user.at, user.size, a);
    if (a == NULL) {
        a = mem_zalloc(1, sizeof(*a) + user.size + 1);
        memcpy(a->user, user.at, user.size);
        HASH_ADD_KEYPTR(hh, all->by_user, a->user, user.size, a);
        DL_APPEND(all->departed, a);
    }
    return a;
}

static bool is_limited(const struct gateway_conf *conf, const struct session *s)
{
    return s->identity->is_known && (conf->user_sessions > 0 || conf->user_publish_rate > 0);
}

static void account_enter(struct users *all, struct account *a, struct session *s)
{
    if (a->sessions++ == 0) {
        DL_DELETE(all->departed, a);
    }
    s->account = a;
}

bool users_enter(struct users *all, struct session *s)
{
    const struct gateway_conf *conf = all->gateway->conf;

    assert(s->account == NULL);
    if (control_is_banned(all->gateway->control, s->identity, s->peer)) {
        session_close(s, CLOSE_PERMISSION_DENIED);
        return false;
    }
    if (!is_limited(conf, s)) {
        return true;
    }
    struct account *a = account_get(all, slice_of(s->identity->user));
    if (conf->user_sessions > 0 && a->sessions >= conf->user_sessions) {
        stat_add(&all->gateway->metrics.denied[PERMIT_SESSIONS], 1);
        limit_met(&all->gateway->metrics.limits, LIMIT_USER_SESSIONS);
        session_close(s, CLOSE_CONNECTION_LIMIT);
        return false;
    }
    account_enter(all, a, s);
    return true;
}

void users_reloaded(struct users *all, struct session *s)
{
    s->publish_full_us = 0;
    if (s->account == NULL && s->is_connected && is_limited(all->gateway->conf, s)) {
        account_enter(all, account_get(all, slice_of(s->identity->user)), s);
    }
    if (s->account != NULL) {
        s->account->full_us = 0;
    }
}

static void forget_if_full(struct users *all, struct account *a, int64_t now_us)
{
    if (a->full_us <= now_us) {
        account_free(all, a);
    }
}

void users_leave(struct users *all, struct session *s)
{
    struct account *a = s->account;

    s->account = NULL;
    if (a != NULL && --a->sessions == 0) {
        DL_APPEND(all->departed, a);
        forget_if_full(all, a, clock_mono_us());
    }
}

bool users_admit_publish(const struct users *all, const struct session *s, int64_t now_us)
{
    const struct pace pace = pace_of(all);

    return s->account == NULL || pace_admits(&pace, s->account->full_us, now_us);
}

void users_count_publish(const struct users *all, struct session *s, int64_t now_us)
{
    const struct pace pace = pace_of(all);

    if (s->account != NULL) {
        pace_take(&pace, &s->account->full_us, now_us);
    }
}

size_t users_count(const struct users *all)
{
    return HASH_COUNT(all->by_user);
}

void users_tick(struct users *all)
{
    int64_t now_us = clock_mono_us();
    struct account *a, *next;

    DL_FOREACH_SAFE (all->departed, a, next) {
        forget_if_full(all, a, now_us);
    }
}
