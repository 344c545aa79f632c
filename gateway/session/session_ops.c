/*
 * session_ops.c: see session_ops.h.
 */
#include "gateway/session/session_ops.h"

#include <utlist.h>

#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/order/control.h"
#include "gateway/room/rooms.h"
#include "gateway/session/sessions_internal.h"
#include "proto/json.h"

/* The client is in a list; what else the list holds names nobody. */
static bool is_spared(const struct session *s, struct slice list)
{
    struct json_array a;
    struct slice one;

    if (list.size == 0 || !json_array_open(&a, list)) {
        return false;
    }
    while (json_array_next(&a, &one)) {
        if (json_is_string(one) && slice_equal(json_inside(one), slice_of(s->client))) {
            return true;
        }
    }
    return false;
}

static bool is_meant(const struct session *s, const struct ops_who *who)
{
    return s->state == SESSION_OPEN && s->is_connected && s->dialect != DIALECT_ECHO &&
           (!who->has_user || slice_equal(slice_of(s->identity->user), who->user)) &&
           (who->client.size == 0 || slice_equal(slice_of(s->client), who->client)) &&
           (who->except.size == 0 || !slice_equal(slice_of(s->client), who->except)) &&
           !is_spared(s, who->spared);
}

/* Calls `act` for all that are meant; the sum of what it answers. */
static size_t for_each(struct sessions *all, const struct ops_who *who,
                       size_t (*act)(struct session *s, void *user), void *user)
{
    struct session *s, *next;
    size_t sum = 0;

    assert(who->has_user || who->client.size > 0);
    DL_FOREACH_SAFE (all->all, s, next) {
        if (is_meant(s, who)) {
            sum += act(s, user);
        }
    }
    return sum;
}

struct subscribing {
    struct slice room;
    const struct rooms_entry *entry;
};

static size_t act_subscribe(struct session *s, void *user)
{
    const struct subscribing *a = user;

    if (session_codec(s) == NULL || control_is_closed(s->gateway->control, a->room)) {
        return 0; /* a plain session has its one room; a closed one has nobody */
    }
    int r = rooms_enter(s, a->room, a->entry);
    return r == 0 || r == ROOMS_ALREADY ? 1 : 0;
}

size_t ops_subscribe(struct sessions *all, const struct ops_who *who, struct slice room,
                     const struct ops_subscribe *how)
{
    const struct rooms_entry entry = {
        .cause = ROOMS_BY_SERVER,
        .moves_granted = how->join_leave,
        .data = how->data,
        .expires_s = how->expires_s,
        .info = how->info,
    };

    return for_each(all, who, act_subscribe, &(struct subscribing){room, &entry});
}

struct unsubscribing {
    struct slice room;
    uint32_t code;
    const char *reason;
};

static size_t act_unsubscribe(struct session *s, void *user)
{
    const struct unsubscribing *a = user;
    struct subscription *sub = a->room.size > 0 ? rooms_find(s, a->room) : s->subscriptions;
    size_t before = s->room_count;

    if (sub == NULL) {
        return 0;
    }
    if (a->room.size > 0) {
        subscription_end(sub, a->code, a->reason);
        return 1;
    }
    while (before-- > 0 && s->state == SESSION_OPEN && s->subscriptions != NULL) {
        subscription_end(s->subscriptions, a->code, a->reason);
    }
    return 1;
}

size_t ops_unsubscribe(struct sessions *all, const struct ops_who *who, struct slice room,
                       uint32_t code, const char *reason)
{
    return for_each(all, who, act_unsubscribe, &(struct unsubscribing){room, code, reason});
}

struct disconnecting {
    uint16_t code;
    const char *reason;
};

static size_t act_disconnect(struct session *s, void *user)
{
    const struct disconnecting *a = user;

    session_close_with(s, a->code, a->reason);
    return 1;
}

size_t ops_disconnect(struct sessions *all, const struct ops_who *who, uint16_t code,
                      const char *reason)
{
    return for_each(all, who, act_disconnect, &(struct disconnecting){code, reason});
}

static size_t act_message(struct session *s, void *user)
{
    const struct slice *data = user;
    const struct codec *codec = session_codec(s);
    struct buf *out = session_reply(s);

    if (codec != NULL) {
        codec->push_message(out, *data);
        session_send_reply(s, out);
        return 1;
    }
    if (!s->wants_events) {
        return 0;
    }
    reply_plain_message(out, *data);
    session_send_text(s, buf_slice(out));
    return 1;
}

size_t ops_message(struct sessions *all, const struct ops_who *who, struct slice data)
{
    return for_each(all, who, act_message, &data);
}

static size_t act_refresh(struct session *s, void *user)
{
    const int64_t *expires_s = user;

    if (!s->identity->is_known) {
        return 0; /* without a token it never ends */
    }
    s->identity->expires_s = *expires_s;
    session_watch_expiry(s);
    if (session_codec(s) != NULL) {
        centrifuge_refreshed_by_server(s);
    }
    return 1;
}

size_t ops_refresh(struct sessions *all, const struct ops_who *who, int64_t expires_s)
{
    return for_each(all, who, act_refresh, &expires_s);
}

size_t ops_count(const struct sessions *all, const struct ops_who *who)
{
    const struct session *s;
    size_t count = 0;

    DL_FOREACH (all->all, s) {
        count += is_meant(s, who);
    }
    return count;
}

void session_info(const struct session *s, struct buf *out)
{
    if (s->identity != NULL && s->identity->info[0] != '\0') {
        buf_add_slice(out, slice_of(s->identity->info));
        return;
    }
    buf_add_char(out, '{');
    if (s->identity != NULL && s->identity->name[0] != '\0') {
        buf_addf(out, "\"name\":\"%s\",", s->identity->name);
    }
    buf_addf(out, "\"gateway\":\"%s\"}", s->gateway->conf->id);
}
