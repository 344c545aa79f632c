/*
 * sight.c: see sight.h.
 */
#include "gateway/room/sight.h"

#include "gateway/gateway.h"
#include "gateway/order/control.h"

static uint64_t mark_of(const struct audience_names *names)
{
    uint64_t mark = 0;

    for (size_t i = 0; i < names->count; i++) {
        mark |= identity_mark(names->at[i]);
    }
    return mark;
}

void sight_init(struct sight *sight, const struct record *r)
{
    bool is_good = audience_read(r->audience, &sight->audience);

    assert(is_good); /* record.c has looked at it */
    (void)is_good;
    sight->is_open = audience_is_open(&sight->audience);
    sight->mark = mark_of(&sight->audience.users) | mark_of(&sight->audience.roles);
}

/* Some name has the same mark; whether it is the same. */
static bool is_named(const struct audience *a, const struct identity *i)
{
    if (i->is_known && audience_has(&a->users, slice_of(i->user))) {
        return true;
    }
    for (char **role = i->roles; role != NULL && *role != NULL; role++) {
        if (audience_has(&a->roles, slice_of(*role))) {
            return true;
        }
    }
    return false;
}

static bool is_client(struct slice client, const struct session *s)
{
    return client.size == CLIENT_ID_SIZE && memcmp(client.at, s->client, CLIENT_ID_SIZE) == 0;
}

bool sight_admits(const struct sight *sight, const struct session *s)
{
    const struct audience *a = &sight->audience;

    if (a->is_opaque || is_client(a->except, s)) {
        return false;
    }
    return sight->is_open || ((sight->mark & s->identity->mark) != 0 && is_named(a, s->identity)) ||
           is_client(a->client, s);
}

bool session_sees(const struct session *s, const struct record *r)
{
    struct sight sight;

    if (control_is_removed(s->gateway->control, r)) {
        return false;
    }
    if (r->audience.size == 0) {
        return true;
    }
    sight_init(&sight, r);
    if (sight_admits(&sight, s)) {
        return true;
    }
    stat_add(&s->gateway->metrics.kept_back[sight.audience.rule], 1);
    return false;
}

const char *sight_label(enum audience_rule rule)
{
    return rule < AUDIENCE_RULES ? audience_word(rule) : "other";
}
