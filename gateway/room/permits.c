/*
 * permits.c: see permits.h.
 */
#include "gateway/room/permits.h"

#include "common/clock.h"
#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/order/control.h"
#include "gateway/room/repeats.h"
#include "gateway/room/rights.h"
#include "gateway/session/pace.h"
#include "gateway/session/users.h"
#include "proto/audience.h"

const char *permit_label(enum permit permit)
{
    static const char *const labels[PERMIT_COUNT] = {
#define PERMIT(name, label) label,
#include "gateway/room/permit.def"
    };

    assert(permit < PERMIT_COUNT);
    return labels[permit];
}

static bool grant(const struct session *s, enum permit permit, bool may)
{
    if (!may) {
        stat_add(&s->gateway->metrics.denied[permit], 1);
    }
    return may;
}

static bool grant_pace(const struct session *s, enum permit permit, enum limit limit, bool may)
{
    if (!may) {
        limit_met(&s->gateway->metrics.limits, limit);
    }
    return grant(s, permit, may);
}

static const struct rule *rule_of(const struct session *s, struct slice room)
{
    return rules_find(&s->gateway->conf->rules, room);
}

bool permits_subscribe(const struct session *s, struct slice room)
{
    return grant(s, PERMIT_SUBSCRIBE, session_may_subscribe(s, room));
}

bool permits_see_presence(const struct session *s, const struct rule *rule)
{
    return grant(s, PERMIT_PRESENCE, identity_may(s->identity, rule->presence_for));
}

bool permits_see_history(const struct session *s, const struct rule *rule)
{
    return grant(s, PERMIT_HISTORY, identity_may(s->identity, rule->history_for));
}

static bool is_muted(const struct session *s, struct slice room)
{
    return mutes_has(control_standing(s->gateway->control), slice_of(s->identity->user), room,
                     clock_wall_ms());
}

/* False: the payload names whom it is for, but not in a way that can be followed. */
static bool has_good_wish(const struct rule *rule, struct slice payload)
{
    struct audience_names users, roles;
    struct buf texts = BUF_EMPTY;

    if (rule->audience_kind != RULE_PAYLOAD) {
        return true;
    }
    bool is_good = audience_of_payload(payload, &texts, &users, &roles) != AUDIENCE_BAD_WISH;
    buf_deinit(&texts);
    return is_good;
}

/* One more publish; it counts if it may pass. */
static bool is_slow_enough(struct session *s)
{
    const struct gateway_conf *conf = s->gateway->conf;
    const struct pace pace = {conf->publish_rate, conf->publish_burst};

    if (pace.rate == 0 && s->account == NULL) {
        return true;
    }
    int64_t now_us = clock_mono_us();
    if (!grant_pace(s, PERMIT_SESSION_RATE, LIMIT_PUBLISH_RATE,
                    pace_admits(&pace, s->publish_full_us, now_us)) ||
        !grant_pace(s, PERMIT_USER_RATE, LIMIT_USER_PUBLISH_RATE,
                    users_admit_publish(s->gateway->users, s, now_us))) {
        return false;
    }
    pace_take(&pace, &s->publish_full_us, now_us);
    users_count_publish(s->gateway->users, s, now_us);
    return true;
}

/* Whatever its rate. */
static int may_publish(struct session *s, struct slice room, struct slice payload)
{
    const struct rule *rule = rule_of(s, room);

    if (!grant(s, PERMIT_PUBLISH, session_may_publish(s, room)) ||
        !grant(s, PERMIT_MUTED, !rule->refuses_muted || !is_muted(s, room))) {
        return REPLY_PERMISSION_DENIED;
    }
    if (!grant(s, PERMIT_AUDIENCE, has_good_wish(rule, payload))) {
        return REPLY_BAD_REQUEST;
    }
    return PERMITTED;
}

/* False: something else was published with this key. */
static bool is_own_key(const struct session *s, struct slice room, struct slice payload,
                       struct slice key)
{
    int64_t window_ms = s->gateway->conf->rules.idempotency_window_ms;

    return key.size == 0 || window_ms == 0 ||
           !repeats_is_other(s->gateway->repeats,
                             &(struct repeats_publish){.room = room,
                                                       .user = slice_of(s->identity->user),
                                                       .key = key,
                                                       .content = payload},
                             window_ms, clock_mono_ms());
}

int permits_publish(struct session *s, struct slice room, struct slice payload, struct slice key)
{
    int why = may_publish(s, room, payload);

    if (why != PERMITTED) {
        return why;
    }
    if (!is_slow_enough(s)) {
        return REPLY_TOO_MANY_REQUESTS;
    }
    return grant(s, PERMIT_KEY, is_own_key(s, room, payload, key)) ? PERMITTED : REPLY_BAD_REQUEST;
}

int permits_publish_now(struct session *s, struct slice room, struct slice payload)
{
    return dialect_data_fits(s, payload) ? may_publish(s, room, payload) : REPLY_LIMIT_EXCEEDED;
}

void permits_stamp(const struct session *s, struct record *r)
{
    r->roles = slice_of(s->identity->roles_list);
    r->is_muted = is_muted(s, r->room);
}
