/*
 * rooms.c: rooms and subscriptions: who is in, and from which position on.
 */
#include "gateway/room/rooms.h"

#include <utlist.h>

#include "common/log.h"
#include "common/mem.h"
#include "gateway/bus/links.h"
#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/room/rooms_internal.h"
#include "gateway/room/told.h"
#include "proto/room.h"

static void on_wait_due(struct deadline_queue *q, struct deadline *d)
{
    struct joining *joining = container_of(d, struct joining, wait);
    struct subscription *sub = joining->subscription;

    (void)q;
    stat_add(&sub->session->gateway->metrics.subscribes_late, 1);
    limit_met(&sub->session->gateway->metrics.limits, LIMIT_SUBSCRIBE_WAIT);
    struct session *s = sub->session;

    dialect_not_subscribed(sub, REPLY_INTERNAL);
    if (s->state == SESSION_OPEN) { /* else it has left all rooms */
        rooms_leave(sub);
    }
}

struct rooms *rooms_new(struct gateway *g)
{
    struct rooms *all = mem_new(struct rooms);

    all->gateway = g;
    all->told = told_new();
    all->of_partition = mem_zalloc((size_t)g->conf->partitions, sizeof(all->of_partition[0]));
    all->joining = mem_zalloc((size_t)g->conf->partitions, sizeof(all->joining[0]));
    deadline_queue_init(&all->wait, g->loop, g->conf->subscribe_wait_ms, on_wait_due);
    return all;
}

struct rooms *rooms_free(struct rooms *all)
{
    if (all == NULL) {
        return NULL;
    }
    assert(all->by_name == NULL);
    deadline_queue_deinit(&all->wait);
    told_free(all->told);
    mem_free(all->of_partition);
    mem_free(all->joining);
    mem_free(all->records);
    mem_free(all->links);
    mem_free(all->run);
    mem_free(all->touched);
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        buf_deinit(&all->made[i].publications);
    }
    mem_free(all);
    return NULL;
}

struct room *rooms_get(struct rooms *all, struct slice name)
{
    struct room *room;

    HASH_FIND(hh, all->by_name, name.at, name.size, room);
    return room;
}

struct room *rooms_of(struct rooms *all, uint32_t partition)
{
    return all->of_partition[partition];
}

uint32_t rooms_joining(const struct rooms *all, uint32_t partition)
{
    return all->joining[partition];
}

size_t rooms_count(const struct rooms *all)
{
    return HASH_COUNT(all->by_name);
}

static struct room *room_new(struct rooms *all, struct slice name)
{
    struct room *room = mem_zalloc(1, sizeof(*room) + name.size + 1);

    assert(room_is_valid(name));
    memcpy(room->name, name.at, name.size);
    room->name_size = (uint16_t)name.size;
    room->partition = room_partition(name, (uint32_t)all->gateway->conf->partitions);
    room->rule = rules_find(&all->gateway->conf->rules, name);
    room->state = ROOM_JOINING;
    all->joining[room->partition]++;
    room->run_first = -1;
    HASH_ADD_KEYPTR(hh, all->by_name, room->name, room->name_size, room);
    DL_APPEND(all->of_partition[room->partition], room);
    stat_set(&all->gateway->metrics.rooms, rooms_count(all));
    links_join(all->gateway->links, room);
    return room;
}

static void room_free_if_empty(struct rooms *all, struct room *room)
{
    if (room->count > 0 || room->pins > 0) {
        return;
    }
    assert(room->asking == 0);
    links_leave(all->gateway->links, room);
    HASH_DELETE(hh, all->by_name, room);
    DL_DELETE(all->of_partition[room->partition], room);
    stat_set(&all->gateway->metrics.rooms, rooms_count(all));
    all->joining[room->partition] -= room->state == ROOM_JOINING;
    recents_free(all, room);
    mem_free(room->subscriptions);
    mem_free(room);
}

void room_pin(struct room *room)
{
    room->pins++;
}

void room_unpin(struct rooms *all, struct room *room)
{
    assert(room->pins > 0);
    room->pins--;
    room_free_if_empty(all, room);
}

struct subscription *rooms_find(struct session *s, struct slice name)
{
    for (struct subscription *sub = s->subscriptions; sub != NULL; sub = sub->next_of_session) {
        if (slice_equal(name, (struct slice){sub->room->name, sub->room->name_size})) {
            return sub;
        }
    }
    return NULL;
}

static void joining_end(struct subscription *sub)
{
    joining_unask(sub);
    deadline_stop(&sub->joining->wait);
    blob_unref(sub->joining->data);
    mem_free(sub->joining);
    sub->joining = NULL;
}

void subscription_answer(struct subscription *sub, uint64_t offset, bool recovered,
                         struct slice publications)
{
    struct session *s = sub->session;
    bool is_refused = sub->joining->recovers && !recovered && sub->joining->is_strict;

    /* The dialect reads `joining`; records flow from the next one on. */
    if (is_refused) {
        dialect_not_subscribed(sub, REPLY_UNRECOVERABLE_POSITION);
    } else {
        dialect_subscribed(sub, offset, recovered, publications);
    }
    if (s->state != SESSION_OPEN) {
        return; /* it has left all rooms */
    }
    if (is_refused) {
        rooms_leave(sub);
    } else {
        joining_end(sub);
    }
}

/* Answers a subscription of a live room, or asks for what it needs. */
static void subscription_settle(struct rooms *all, struct subscription *sub)
{
    assert(sub->room->state == ROOM_LIVE);
    assert(sub->joining != NULL);
    if (sub->joining->recovers) {
        subscription_recover(all, sub);
    } else {
        sub->last = sub->room->offset;
        subscription_answer(sub, sub->room->offset, false, SLICE_NONE);
    }
}

/* Whatever door the info came through: what owners would not read is not kept. */
static struct grant *grant_new(struct slice info)
{
    size_t size = record_info_is_valid(info) ? info.size : 0;
    struct grant *grant = mem_zalloc(1, sizeof(*grant) + size);

    grant->info_size = (uint16_t)size;
    if (size > 0) {
        memcpy(grant->info, info.at, size);
    }
    return grant;
}

static void grant_free(struct grant *grant)
{
    if (grant != NULL) {
        mem_free(grant->token_id);
        mem_free(grant);
    }
}

static void grant_set(struct grant *grant, int64_t expires_s, int64_t issued_s,
                      struct slice token_id)
{
    mem_free(grant->token_id);
    grant->expires_s = expires_s;
    grant->issued_s = issued_s;
    grant->token_id = token_id.size > 0 ? mem_copy_text(token_id.at, token_id.size) : NULL;
}

void subscription_renew(struct subscription *sub, int64_t expires_s, int64_t issued_s,
                        struct slice token_id)
{
    if (sub->grant == NULL) {
        sub->grant = grant_new(SLICE_NONE);
    }
    grant_set(sub->grant, expires_s, issued_s, token_id);
    sub->by_token = true;
}

static bool should_want_moves(const struct subscription *sub)
{
    const struct rule *rule = sub->room->rule;

    return rule->presence && (sub->asked_moves || sub->moves_granted ||
                              (rule->join_leave && session_codec(sub->session) != NULL));
}

/* There are so many now. */
static void room_set_movers(struct rooms *all, struct room *room, uint32_t movers)
{
    if (room->movers == 0 && movers > 0) {
        room->moving = told_begin(all->told);
        room->asked_moves = false;
    }
    room->movers = movers;
}

static struct subscription *subscription_new(struct rooms *all, struct session *s,
                                             struct room *room, const struct rooms_entry *entry)
{
    struct subscription *sub = mem_new(struct subscription);

    sub->session = s;
    sub->room = room;
    sub->cause = (uint8_t)entry->cause;
    sub->by_token = entry->by_token;
    sub->by_claim = entry->by_claim;
    sub->moves_granted = entry->moves_granted;
    sub->asked_moves = entry->wants_moves;
    sub->wants_moves = should_want_moves(sub);
    room_set_movers(all, room, room->movers + sub->wants_moves);
    if (entry->by_token || entry->expires_s != 0 || entry->info.size > 0) {
        sub->grant = grant_new(entry->info);
        grant_set(sub->grant, entry->expires_s, entry->issued_s, entry->token_id);
    }
    if (room->count == room->capacity) {
        room->capacity = MAX(2u, room->capacity * 2);
        room->subscriptions =
            mem_realloc(room->subscriptions, room->capacity * sizeof(struct subscription *));
    }
    sub->index = room->count;
    room->subscriptions[room->count++] = sub;
    sub->next_of_session = s->subscriptions;
    s->subscriptions = sub;
    s->room_count++;
    stat_add(&all->gateway->metrics.subscriptions, 1);
    return sub;
}

static struct joining *joining_new(struct subscription *sub, const struct rooms_entry *entry)
{
    struct joining *joining = mem_new(struct joining);
    const struct rooms_since *since = &entry->since;

    joining->subscription = sub;
    joining->command_id = entry->command_id;
    joining->recovers = since->recovers;
    joining->is_strict = since->is_strict;
    joining->since = since->offset;
    if (since->epoch.size > 0) {
        memcpy(joining->epoch, since->epoch.at, since->epoch.size);
    }
    if (entry->data.size > 0) {
        joining->data = blob_copy(entry->data.at, entry->data.size);
    }
    return joining;
}

int rooms_enter(struct session *s, struct slice name, const struct rooms_entry *entry)
{
    struct rooms *all = s->gateway->rooms;

    assert(s->state == SESSION_OPEN);
    assert(entry->since.epoch.size <= EPOCH_MAX);
    if (rooms_find(s, name) != NULL) {
        return ROOMS_ALREADY;
    }
    if (s->room_count >= all->gateway->conf->rooms_max) {
        stat_add(&all->gateway->metrics.denied[PERMIT_ROOMS], 1);
        limit_met(&all->gateway->metrics.limits, LIMIT_ROOMS);
        return ROOMS_LIMIT;
    }
    struct room *room = rooms_get(all, name);
    if (room != NULL && room->rule->subscribers_max > 0 &&
        room->count >= room->rule->subscribers_max) {
        stat_add(&all->gateway->metrics.denied[PERMIT_SUBSCRIBERS], 1);
        limit_met(&all->gateway->metrics.limits, LIMIT_SUBSCRIBERS);
        return ROOMS_FULL;
    }
    if (room == NULL) {
        room = room_new(all, name);
    }
    struct subscription *sub = subscription_new(all, s, room, entry);

    sub->joining = joining_new(sub, entry);
    deadline_start(&all->wait, &sub->joining->wait);
    links_enter(all->gateway->links, sub);
    if (room->state == ROOM_LIVE) {
        subscription_settle(all, sub);
    }
    return 0;
}

void rooms_leave(struct subscription *sub)
{
    struct session *s = sub->session;
    struct room *room = sub->room;
    struct rooms *all = s->gateway->rooms;
    struct subscription **link = &s->subscriptions;

    while (*link != sub) {
        link = &(*link)->next_of_session;
    }
    *link = sub->next_of_session;
    s->room_count--;
    room->count--;
    room->subscriptions[sub->index] = room->subscriptions[room->count];
    room->subscriptions[sub->index]->index = sub->index;
    if (sub->joining != NULL) {
        joining_end(sub);
    }
    room->movers -= sub->wants_moves;
    stat_sub(&all->gateway->metrics.subscriptions, 1);
    links_exit(all->gateway->links, sub);
    grant_free(sub->grant);
    mem_free(sub);
    room_free_if_empty(all, room);
}

void rooms_leave_all(struct session *s)
{
    while (s->subscriptions != NULL) {
        rooms_leave(s->subscriptions);
    }
}

static bool room_continues(const struct room *room, struct slice epoch, uint64_t from)
{
    return slice_equal(epoch, slice_of(room->epoch)) && from == room->offset;
}

void rooms_positioned(struct rooms *all, struct room *room, struct slice epoch, uint64_t from)
{
    bool was_live = room->state == ROOM_LIVE;

    assert(epoch.size <= EPOCH_MAX);
    if (was_live && room_continues(room, epoch, from)) {
        if (room->asking > 0) {
            rooms_ask_again(all, room);
        }
        return; /* nothing is missing */
    }
    if (was_live) {
        stat_add(&all->gateway->metrics.positions_lost, 1);
        if (log_allowed(&all->lost_lines)) {
            log_warn("position lost room=%s epoch=%s offset=%" PRIu64
                     " owner_epoch=%.*s owner_offset=%" PRIu64,
                     room->name, room->epoch, room->offset, SLICE_ARG(epoch), from);
        }
        recents_free(all, room);
    } else {
        all->joining[room->partition]--;
    }
    room->state = ROOM_LIVE;
    room->asks_owner = false; /* what is answered now was asked for another position */
    memcpy(room->epoch, epoch.size > 0 ? epoch.at : "", epoch.size);
    room->epoch[epoch.size] = '\0';
    room->offset = from;
    room_pin(room);
    /* Backwards: one that leaves is replaced by one that has had its turn. */
    for (uint32_t i = room->count; i-- > 0;) {
        struct subscription *sub = room->subscriptions[i];

        if (sub->joining == NULL) {
            dialect_lost(sub);
        } else {
            joining_unask(sub);
            subscription_settle(all, sub);
        }
    }
    room_unpin(all, room);
}

/* Who is told of joins and leaves goes by the new rule, too. */
static void room_goes_by(struct rooms *all, struct room *room, const struct rule *rule)
{
    bool was_shown = room->rule->presence, had_movers = room->movers > 0;
    uint32_t movers = 0;

    room->rule = rule;
    for (uint32_t i = 0; i < room->count; i++) {
        struct subscription *sub = room->subscriptions[i];

        sub->wants_moves = should_want_moves(sub);
        movers += sub->wants_moves;
    }
    room_set_movers(all, room, movers);
    if (rule->presence != was_shown || (room->movers > 0) != had_movers) {
        links_tell_again(all->gateway->links, room->partition);
    }
}

void rooms_rules_changed(struct rooms *all)
{
    struct room *room, *next;

    HASH_ITER (hh, all->by_name, room, next) {
        struct slice name = {room->name, room->name_size};

        room_goes_by(all, room, rules_find(&all->gateway->conf->rules, name));
    }
}
