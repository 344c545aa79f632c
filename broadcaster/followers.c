/* followers.c: the gateways of a partition, what they follow, and what they are sent. */
#include "broadcaster/followers.h"

#include <utlist.h>

#include "broadcaster/moves.h"
#include "broadcaster/partition_internal.h"
#include "broadcaster/presence.h"
#include "common/mem.h"

struct follower *followers_find(const struct followers *all, struct slice gateway)
{
    struct follower *f;

    HASH_FIND(hh, all->by_gateway, gateway.at, gateway.size, f);
    return f;
}

static void remember_lapsed(struct partition *p, const struct follower *f)
{
    struct followers *all = &p->followers;
    struct lapsed *l = &all->lapsed[all->lapsed_count++ % LAPSED_MAX];

    if (l->gateway[0] != '\0') {
        owner_limit_met(&p->stats->limits, OWNER_LIMIT_LAPSED);
    }
    memcpy(l->gateway, f->gateway, sizeof(l->gateway));
    memcpy(l->boot, f->boot, sizeof(l->boot));
}

/* True, and forgotten, if that life of the gateway was dropped. */
static bool take_lapsed(struct followers *all, const struct follower *f)
{
    for (unsigned i = 0; i < LAPSED_MAX; i++) {
        struct lapsed *l = &all->lapsed[i];

        if (strcmp(l->gateway, f->gateway) == 0 && memcmp(l->boot, f->boot, BOOT_SIZE) == 0) {
            l->gateway[0] = '\0';
            return true;
        }
    }
    return false;
}

static struct follower *follower_new(struct partition *p, const struct message *m)
{
    struct follower *f = mem_new(struct follower);

    assert(m->gateway.size <= ID_MAX && m->boot.size == BOOT_SIZE);
    memcpy(f->gateway, m->gateway.at, m->gateway.size);
    f->gateway_size = (uint16_t)m->gateway.size;
    memcpy(f->boot, m->boot.at, BOOT_SIZE);
    f->has_lapsed = take_lapsed(&p->followers, f);
    HASH_ADD_KEYPTR(hh, p->followers.by_gateway, f->gateway, f->gateway_size, f);
    return f;
}

static void follower_end_interests(struct partition *p, struct follower *f, int64_t now_ms);

/* The same life of a gateway begins a new link: it still has the members that it will name. */
static void follower_renew(struct partition *p, struct follower *f, int64_t now_ms)
{
    struct member *member;

    follower_end_interests(p, f, now_ms);
    f->has_lapsed = false;
    buf_clear(&f->moves);
    f->number_out = 0;
    DL_FOREACH (f->members, member) {
        member->is_stale = true;
    }
    f->has_stale = f->members != NULL;
}

struct follower *followers_attach(struct partition *p, const struct message *m, int64_t now_ms)
{
    struct follower *f = followers_find(&p->followers, m->gateway);

    if (f != NULL && slice_equal((struct slice){f->boot, BOOT_SIZE}, m->boot)) {
        follower_renew(p, f, now_ms);
    } else {
        if (f != NULL) {
            followers_drop(p, f, now_ms);
        }
        if (HASH_COUNT(p->followers.by_gateway) >= FOLLOWERS_MAX) {
            owner_limit_met(&p->stats->limits, OWNER_LIMIT_GATEWAYS);
            return NULL;
        }
        f = follower_new(p, m);
    }
    f->link = m->link;
    f->number_in = m->number;
    f->heard_ms = now_ms;
    return f;
}

void follower_end_stale(struct partition *p, struct follower *f, int64_t now_ms)
{
    struct member *member, *next;

    if (f->has_stale) {
        f->has_stale = false;
        DL_FOREACH_SAFE (f->members, member, next) {
            if (member->is_stale) {
                followers_member_left(p, member, now_ms);
            }
        }
    }
}

static void interest_free(struct partition *p, struct interest *i, int64_t now_ms)
{
    struct place *place = i->place;

    DL_DELETE(place->interests, i);
    DL_DELETE2(i->follower->interests, i, prev_of_gateway, next_of_gateway);
    i->follower->rooms--;
    mem_free(i);
    roster_touch(&p->roster, place, now_ms);
    roster_release_unused(&p->roster, place);
}

static void follower_end_interests(struct partition *p, struct follower *f, int64_t now_ms)
{
    while (f->interests != NULL) {
        interest_free(p, f->interests, now_ms);
    }
}

void followers_drop(struct partition *p, struct follower *f, int64_t now_ms)
{
    follower_end_interests(p, f, now_ms); /* it is told nothing of what follows */
    if (f->members != NULL) {
        remember_lapsed(p, f);
    }
    while (f->members != NULL) {
        followers_member_left(p, f->members, now_ms);
    }
    HASH_DELETE(hh, p->followers.by_gateway, f);
    buf_deinit(&f->moves);
    mem_free(f);
}

void followers_member_left(struct partition *p, struct member *m, int64_t now_ms)
{
    struct place *place = m->place;

    moves_add(p, m, true, now_ms);
    member_free(m);
    p->followers.members--;
    roster_release_unused(&p->roster, place);
}

void followers_clear(struct partition *p)
{
    while (p->followers.by_gateway != NULL) {
        followers_drop(p, p->followers.by_gateway, 0);
    }
}

static struct interest *interest_find(const struct follower *f, const struct place *place)
{
    struct interest *i;

    DL_FOREACH (place->interests, i) {
        if (i->follower == f) {
            return i;
        }
    }
    return NULL;
}

bool follower_follow(struct partition *p, struct follower *f, struct place *place, int64_t now_ms)
{
    if (interest_find(f, place) != NULL) {
        return true;
    }
    if (f->rooms >= FOLLOWER_ROOMS_MAX) {
        owner_limit_met(&p->stats->limits, OWNER_LIMIT_GATEWAY_ROOMS);
        return false;
    }
    struct interest *i = mem_new(struct interest);
    i->follower = f;
    i->place = place;
    DL_APPEND(place->interests, i);
    DL_APPEND2(f->interests, i, prev_of_gateway, next_of_gateway);
    f->rooms++;
    roster_touch(&p->roster, place, now_ms);
    return true;
}

void follower_wants_moves(struct follower *f, struct place *place, bool wants)
{
    struct interest *i = interest_find(f, place);

    if (i != NULL) {
        i->wants_moves = wants;
    }
}

void follower_unfollow(struct partition *p, struct follower *f, struct place *place, int64_t now_ms)
{
    struct interest *i = interest_find(f, place);

    if (i != NULL) {
        interest_free(p, i, now_ms);
    }
}

struct partition_action *followers_action(struct partition *p, struct slice gateway)
{
    struct partition_action *a = partition_act(p, PARTITION_SEND);

    assert(gateway.size <= ID_MAX);
    memcpy(a->gateway, gateway.at, gateway.size);
    return a;
}

struct partition_action *follower_send(struct partition *p, struct follower *f)
{
    return followers_action(p, (struct slice){f->gateway, f->gateway_size});
}

void follower_sent(struct partition *p, struct follower *f, struct partition_action *a,
                   enum message_type type, uint64_t records, int64_t now_ms)
{
    partition_action_fill(a, &(struct message){
                                 .type = type,
                                 .has = HAS_RECORDS,
                                 .partition = p->conf.number,
                                 .term = p->term,
                                 .boot = {f->boot, BOOT_SIZE},
                                 .link = f->link,
                                 .number = ++f->number_out,
                                 .records = records,
                                 .time_ms = now_ms,
                             });
    if (records > 0) {
        stat_add(&p->stats->delivered_messages, 1);
        stat_add(&p->stats->delivered_records, records);
    }
}

void followers_call(struct partition *p, struct slice gateway, int64_t now_ms)
{
    partition_action_fill(followers_action(p, gateway),
                          &(struct message){.type = MESSAGE_OWNER,
                                            .partition = p->conf.number,
                                            .term = p->term,
                                            .owner = slice_of(p->conf.owner),
                                            .time_ms = now_ms});
}

static void copy_run(struct follower *f, const struct append *a)
{
    buf_add(&f->out->body, a->body.at + f->run_at, f->run_end - f->run_at);
}

/* The follower is to have this record: it joins the run before it, or begins a new one. */
static void give(struct partition *p, struct follower *f, const struct append *a,
                 const struct append_record *r, struct follower **touched)
{
    if (f->out == NULL) {
        f->out = follower_send(p, f);
        f->next_touched = *touched;
        *touched = f;
        f->run_at = r->at;
    } else if (f->run_end != r->at) {
        copy_run(f, a);
        f->run_at = r->at;
    }
    f->run_end = r->end;
    f->run_records++;
}

void followers_deliver(struct partition *p, const struct append *a, int64_t now_ms)
{
    struct follower *touched = NULL, *f;
    struct interest *i;

    for (size_t n = 0; n < a->record_count; n++) {
        DL_FOREACH (a->records[n].place->interests, i) {
            give(p, i->follower, a, &a->records[n], &touched);
        }
    }
    while ((f = touched) != NULL) {
        touched = f->next_touched;
        copy_run(f, a);
        follower_sent(p, f, f->out, MESSAGE_DELIVER, f->run_records, now_ms);
        f->out = NULL;
        f->run_records = 0;
    }
}

void followers_tick(struct partition *p, int64_t now_ms)
{
    struct follower *f, *next;

    HASH_ITER (hh, p->followers.by_gateway, f, next) {
        if (now_ms - f->heard_ms > p->conf.lease_ms) {
            followers_drop(p, f, now_ms);
            owner_limit_met(&p->stats->limits, OWNER_LIMIT_LEASE);
        } else if (f->heard_ms > now_ms) {
            f->heard_ms = now_ms; /* the clock was set back */
        }
    }
}
