#include "gateway/rooms.h"

#include <utlist.h>

#include "common/log.h"
#include "common/mem.h"
#include "gateway/dialect.h"
#include "gateway/gateway.h"
#include "gateway/links.h"
#include "gateway/questions.h"
#include "gateway/rooms_internal.h"
#include "proto/room.h"

static void on_wait_due(struct deadline_queue *q, struct deadline *d)
{
    struct joining *joining = container_of(d, struct joining, wait);
    struct subscription *sub = joining->subscription;

    (void)q;
    stat_add(&sub->session->gateway->metrics.subscribes_late, 1);
    struct session *s = sub->session;

    dialect_not_subscribed(sub);
    if (s->state == SESSION_OPEN) { /* else it has left all rooms */
        rooms_leave(sub);
    }
}

struct rooms *rooms_new(struct gateway *g)
{
    struct rooms *all = mem_new(struct rooms);

    all->gateway = g;
    all->of_partition = mem_zalloc((size_t)g->conf->partitions, sizeof(all->of_partition[0]));
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
    mem_free(all->of_partition);
    mem_free(all->records);
    mem_free(all->links);
    mem_free(all->run);
    mem_free(all->touched);
    buf_deinit(&all->scratch);
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
    room->state = ROOM_JOINING;
    room->run_first = -1;
    HASH_ADD_KEYPTR(hh, all->by_name, room->name, room->name_size, room);
    DL_APPEND(all->of_partition[room->partition], room);
    stat_set(&all->gateway->metrics.rooms, rooms_count(all));
    links_join(all->gateway->links, room);
    return room;
}

void room_free_if_empty(struct rooms *all, struct room *room)
{
    if (room->count > 0 || room->is_busy) {
        return;
    }
    links_leave(all->gateway->links, room);
    HASH_DELETE(hh, all->by_name, room);
    DL_DELETE(all->of_partition[room->partition], room);
    stat_set(&all->gateway->metrics.rooms, rooms_count(all));
    recents_free(room);
    mem_free(room->subscriptions);
    mem_free(room);
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
    deadline_stop(&sub->joining->wait);
    mem_free(sub->joining);
    sub->joining = NULL;
}

/* The position is known: the client may be told. */
static void subscription_answer(struct subscription *sub, uint64_t offset, bool recovered,
                                struct slice publications)
{
    struct session *s = sub->session;

    /* The dialect reads `joining`; records flow from the next one on. */
    dialect_subscribed(sub, offset, recovered, publications);
    if (s->state == SESSION_OPEN) { /* else it has left all rooms */
        joining_end(sub);
    }
}

/* What a subscription of a live room missed, from the room's own memory or the owner's. */
static void subscription_recover(struct rooms *all, struct subscription *sub)
{
    struct room *room = sub->room;
    struct joining *joining = sub->joining;
    struct metrics *metrics = &all->gateway->metrics;
    bool same = joining->epoch[0] == '\0' || strcmp(joining->epoch, room->epoch) == 0;

    buf_clear(&all->scratch);
    if (!same) {
        stat_add(&metrics->recovered_not, 1);
        sub->last = room->offset;
        subscription_answer(sub, room->offset, false, SLICE_NONE);
    } else if (joining->since <= room->offset &&
               recents_add(room, joining->since, room->offset, &all->scratch)) {
        stat_add(&metrics->recovered_local, 1);
        sub->last = room->offset;
        subscription_answer(sub, joining->since, true, buf_slice(&all->scratch));
    } else {
        joining->asks_owner = true;
        rooms_ask_owner(all, room, joining->since);
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

static struct subscription *subscription_new(struct rooms *all, struct session *s,
                                             struct room *room)
{
    struct subscription *sub = mem_new(struct subscription);

    sub->session = s;
    sub->room = room;
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

int rooms_enter(struct session *s, struct slice name, uint32_t command_id,
                const struct rooms_since *since)
{
    struct rooms *all = s->gateway->rooms;

    assert(s->state == SESSION_OPEN);
    assert(since->epoch.size <= EPOCH_MAX);
    if (rooms_find(s, name) != NULL) {
        return ROOMS_ALREADY;
    }
    if (s->room_count >= all->gateway->conf->rooms_max) {
        return ROOMS_LIMIT;
    }
    struct room *room = rooms_get(all, name);
    if (room == NULL) {
        room = room_new(all, name);
    }
    struct subscription *sub = subscription_new(all, s, room);

    sub->joining = mem_new(struct joining);
    sub->joining->subscription = sub;
    sub->joining->command_id = command_id;
    sub->joining->recovers = since->recovers;
    sub->joining->since = since->offset;
    if (since->epoch.size > 0) {
        memcpy(sub->joining->epoch, since->epoch.at, since->epoch.size);
    }
    deadline_start(&all->wait, &sub->joining->wait);
    links_enter(all->gateway->links, room, s);
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
    stat_sub(&all->gateway->metrics.subscriptions, 1);
    links_exit(all->gateway->links, room, s);
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
    bool same = slice_equal(epoch, slice_of(room->epoch));
    bool unspoken = room->epoch[0] == '\0' && room->offset == 0;

    return (same || unspoken) && from == room->offset;
}

void rooms_positioned(struct rooms *all, struct room *room, struct slice epoch, uint64_t from)
{
    bool was_live = room->state == ROOM_LIVE;

    assert(epoch.size <= EPOCH_MAX);
    if (was_live && room_continues(room, epoch, from)) {
        return; /* nothing is missing; a first epoch comes with its first record */
    }
    if (was_live) {
        stat_add(&all->gateway->metrics.positions_lost, 1);
        log_warn("position lost room=%s epoch=%s offset=%" PRIu64
                 " owner_epoch=%.*s owner_offset=%" PRIu64,
                 room->name, room->epoch, room->offset, SLICE_ARG(epoch), from);
        recents_free(room);
    }
    room->state = ROOM_LIVE;
    memcpy(room->epoch, epoch.size > 0 ? epoch.at : "", epoch.size);
    room->epoch[epoch.size] = '\0';
    room->offset = from;
    room->is_busy = true;
    /* Backwards: one that leaves is replaced by one that has had its turn. */
    for (uint32_t i = room->count; i-- > 0;) {
        struct subscription *sub = room->subscriptions[i];

        if (sub->joining == NULL) {
            dialect_lost(sub);
        } else if (!sub->joining->asks_owner) {
            subscription_settle(all, sub);
        }
    }
    room->is_busy = false;
    room_free_if_empty(all, room);
}

/* True if the answer holds all that the subscription misses up to `top`; then it is in the scratch
 * buffer. */
static bool past_fits(struct rooms *all, const struct subscription *sub, uint64_t top,
                      struct slice records)
{
    uint64_t next = sub->joining->since + 1;
    struct record r;

    buf_clear(&all->scratch);
    while (record_next(&records, true, &r) == 0) {
        if (r.offset < next) {
            continue;
        }
        if (r.offset != next || next - sub->joining->since > ROOMS_RECOVER_MAX) {
            return false;
        }
        if (all->scratch.size > 0) {
            buf_add_char(&all->scratch, ',');
        }
        reply_publication(&all->scratch, &r);
        next++;
    }
    return next == top + 1;
}

static void subscription_past(struct rooms *all, struct subscription *sub, struct slice epoch,
                              uint64_t top, struct slice records)
{
    struct room *room = sub->room;
    struct joining *joining = sub->joining;
    bool same = slice_equal(epoch, slice_of(room->epoch)) &&
                (joining->epoch[0] == '\0' || strcmp(joining->epoch, room->epoch) == 0);

    joining->asks_owner = false;
    /* What the link brought meanwhile stands in the room's memory. */
    if (same && past_fits(all, sub, top, records) &&
        (top >= room->offset || recents_add(room, top, room->offset, &all->scratch))) {
        stat_add(&all->gateway->metrics.recovered_owner, 1);
        sub->last = MAX(top, room->offset);
        subscription_answer(sub, joining->since, true, buf_slice(&all->scratch));
        return;
    }
    stat_add(&all->gateway->metrics.recovered_not, 1);
    sub->last = room->offset;
    subscription_answer(sub, room->offset, false, SLICE_NONE);
}

void rooms_past(struct rooms *all, struct room *room, struct slice epoch, uint64_t top,
                struct slice records)
{
    room->asks_owner = false;
    room->is_busy = true;
    for (uint32_t i = room->count; i-- > 0;) {
        struct subscription *sub = room->subscriptions[i];

        if (sub->joining != NULL && sub->joining->asks_owner) {
            subscription_past(all, sub, epoch, top, records);
        }
    }
    room->is_busy = false;
    room_free_if_empty(all, room);
}

void rooms_ask_owner(struct rooms *all, struct room *room, uint64_t since)
{
    const struct question ask = {
        .kind = QUESTION_RECOVER,
        .room = {room->name, room->name_size},
        .epoch = slice_of(room->epoch),
        .offset = since,
        .has_offset = true,
        .limit = -1,
    };

    if (room->asks_owner && room->asked_since <= since) {
        return; /* the answer on its way will do */
    }
    if (questions_ask(all->gateway->questions, &ask) == 0) {
        room->asks_owner = true;
        room->asked_since = since;
    }
}
