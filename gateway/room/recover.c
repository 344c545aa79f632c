/*
 * recover.c: what a subscription missed, from the room's own memory or the owner's.
 *
 * Many come back at once and were at the same place, so what was put together
 * for one of them is kept for the next one, and one question to the owner
 * serves all who missed no more than it asks for. But what not everybody may see is
 * put together for each one.
 */
#include "gateway/bus/questions.h"
#include "gateway/dialect/connecting.h"
#include "gateway/gateway.h"
#include "gateway/room/permits.h"
#include "gateway/room/rooms_internal.h"
#include "gateway/room/sight.h"

static bool epoch_fits(const struct joining *joining, struct slice epoch)
{
    return joining->epoch[0] == '\0' || slice_equal(slice_of(joining->epoch), epoch);
}

/* The client knows an epoch of a room that, as far as this gateway knows, never spoke: it comes
 * from one that has heard more. */
static bool knows_more(const struct room *room, const struct joining *joining)
{
    return room->epoch[0] == '\0' && joining->epoch[0] != '\0';
}

/* A reply that fills the out-queue would end the session, and the next one, and so on. */
static bool is_too_much(const struct rooms *all, const struct subscription *sub,
                        const struct buf *publications)
{
    const struct connecting *c = sub->session->connecting;
    size_t others = c != NULL ? c->subs.size : 0; /* rooms in the same reply */

    bool is_over = publications->size > 0 &&
                   others + publications->size > (size_t)all->gateway->conf->out_queue / 2;

    if (is_over) {
        limit_met(&all->gateway->metrics.limits, LIMIT_RECOVERY_BYTES);
    }
    return is_over;
}

static void not_recovered(struct rooms *all, struct subscription *sub)
{
    uint64_t offset = sub->room->offset;

    stat_add(&all->gateway->metrics.recovered_not, 1);
    sub->last = offset;
    subscription_answer(sub, offset, false, SLICE_NONE);
}

/* The publications are all that was missed and may be seen. Clients go by the offset of the last
 * one; if there is none, they are told where they are now. */
static void answer_recovered(struct subscription *sub, const struct buf *publications)
{
    uint64_t offset = publications->size > 0 ? sub->joining->since : sub->last;

    subscription_answer(sub, offset, true, buf_slice(publications));
}

static void ask_for_room(struct rooms *all, struct room *room, uint64_t since)
{
    const struct question ask = {
        .kind = QUESTION_RECOVER,
        .room = {room->name, room->name_size},
        .epoch = slice_of(room->epoch),
        .offset = since,
        .has_offset = true,
        .limit = -1,
    };

    if (questions_ask(all->gateway->questions, &ask) == 0) {
        room->asks_owner = true;
        room->asked_since = since;
    }
}

/* Asks the owner for what the subscription misses, unless an answer that covers it is on its way.
 * If nobody can be asked now, the next attach brings it up again. */
static void ask_owner(struct rooms *all, struct subscription *sub)
{
    struct room *room = sub->room;
    uint64_t since = sub->joining->since;

    if (!sub->joining->asks_owner) {
        sub->joining->asks_owner = true;
        room->asking++;
    }
    if (!room->asks_owner || room->asked_since > since) {
        ask_for_room(all, room, since);
    }
}

void joining_unask(struct subscription *sub)
{
    if (sub->joining->asks_owner) {
        sub->joining->asks_owner = false;
        sub->room->asking--;
    }
}

void subscription_recover(struct rooms *all, struct subscription *sub)
{
    struct room *room = sub->room;
    struct joining *joining = sub->joining;
    bool is_ahead = joining->since > room->offset || knows_more(room, joining);
    const struct codec *codec = session_codec(sub->session); /* plain sessions recover nothing */
    const struct buf *made = &all->made[codec->id].publications;

    if (!permits_see_history(sub->session, room->rule) ||
        (!epoch_fits(joining, slice_of(room->epoch)) && !knows_more(room, joining))) {
        not_recovered(all, sub);
        return;
    }
    if (!is_ahead && room->offset - joining->since > ROOMS_RECOVER_MAX) {
        limit_met(&all->gateway->metrics.limits, LIMIT_RECOVERY);
        not_recovered(all, sub);
        return;
    }
    if (is_ahead || !made_from_recent(all, room, joining->since, sub->session)) {
        joining->is_late = room->asks_owner && room->asked_since <= joining->since;
        ask_owner(all, sub);
        return;
    }
    if (is_too_much(all, sub, made)) {
        not_recovered(all, sub);
        return;
    }
    stat_add(&all->gateway->metrics.recovered_local, 1);
    sub->last = room->offset;
    answer_recovered(sub, made);
}

void rooms_ask_again(struct rooms *all, struct room *room)
{
    room->asks_owner = false;
    for (uint32_t i = 0; i < room->count; i++) {
        struct subscription *sub = room->subscriptions[i];

        if (sub->joining != NULL && sub->joining->asks_owner) {
            ask_owner(all, sub);
        }
    }
}

/* The owner's answer, and what was made of it last for each codec. */
struct past {
    uint64_t since, top;
    struct slice epoch, records;
    struct {
        uint64_t since;
        bool is_made, is_good;
        bool is_common; /* everybody may see all of it */
    } last[CODEC_COUNT];
};

/* Puts together what came after `since`; true if it is all there. */
static bool past_make(struct rooms *all, struct room *room, const struct past *past, uint64_t since,
                      const struct session *s, bool *is_common)
{
    const struct codec *codec = session_codec(s);
    struct made *made = &all->made[codec->id];
    struct slice rest = past->records;
    uint64_t next = since + 1;
    struct record r;

    buf_clear(&made->publications);
    made->room = NULL;
    while (record_next(&rest, true, &r) == 0) {
        if (r.offset < next) {
            continue;
        }
        if (next - since > ROOMS_RECOVER_MAX) {
            limit_met(&all->gateway->metrics.limits, LIMIT_RECOVERY);
            return false;
        }
        if (r.offset != next) {
            return false;
        }
        next++;
        *is_common &= r.audience.size == 0;
        if (session_sees(s, &r)) {
            codec->publication(&made->publications, &r);
        }
    }
    /* What the link brought meanwhile stands in the room's memory. */
    return next == past->top + 1 &&
           (past->top >= room->offset ||
            recents_add(room, past->top, room->offset, s, is_common, &made->publications));
}

static bool past_is_good(struct rooms *all, struct room *room, struct past *past, uint64_t since,
                         const struct session *s)
{
    enum codec_id id = session_codec(s)->id;

    if (!past->last[id].is_made || !past->last[id].is_common || past->last[id].since != since) {
        past->last[id].is_common = true;
        past->last[id].is_good = past_make(all, room, past, since, s, &past->last[id].is_common);
        past->last[id].since = since;
        past->last[id].is_made = true;
    }
    return past->last[id].is_good;
}

static void subscription_past(struct rooms *all, struct subscription *sub, struct past *past)
{
    struct room *room = sub->room;
    struct joining *joining = sub->joining;
    bool same = slice_equal(past->epoch, slice_of(room->epoch)) && epoch_fits(joining, past->epoch);

    if (joining->since < past->since) {
        return; /* the question that covers it is on its way */
    }
    if (same && joining->since > past->top && joining->is_late) {
        joining->is_late = false; /* the client may have seen what the owner had not then */
        ask_owner(all, sub);
        return;
    }
    const struct buf *made = &all->made[session_codec(sub->session)->id].publications;
    joining_unask(sub);
    if (!same || !past_is_good(all, room, past, joining->since, sub->session) ||
        is_too_much(all, sub, made)) {
        not_recovered(all, sub);
        return;
    }
    stat_add(&all->gateway->metrics.recovered_owner, 1);
    sub->last = MAX(past->top, room->offset);
    answer_recovered(sub, made);
}

void rooms_past(struct rooms *all, struct room *room, uint64_t since, struct slice epoch,
                uint64_t top, struct slice records)
{
    struct past past = {.since = since, .top = top, .epoch = epoch, .records = records};

    assert(epoch.size <= EPOCH_MAX);
    rooms_past_late(room, since);
    if (room->epoch[0] == '\0') { /* of offset 0: whatever comes next continues it */
        memcpy(room->epoch, epoch.size > 0 ? epoch.at : "", epoch.size);
        room->epoch[epoch.size] = '\0';
    }
    room_pin(room);
    for (uint32_t i = room->count; i-- > 0;) {
        struct subscription *sub = room->subscriptions[i];

        if (sub->joining != NULL && sub->joining->asks_owner) {
            subscription_past(all, sub, &past);
        }
    }
    room_unpin(all, room);
}

void rooms_past_late(struct room *room, uint64_t since)
{
    if (room->asked_since == since) {
        room->asks_owner = false;
    }
}
