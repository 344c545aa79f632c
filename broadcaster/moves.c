/* moves.c: see moves.h: gathers joins and leaves and sends them now and then. */
#include "broadcaster/moves.h"

#include <utlist.h>

#include "broadcaster/events.h"
#include "broadcaster/partition_internal.h"
#include "broadcaster/presence.h"

#define MOVES_WINDOW_MS 1000

/* True if one more may be told now. */
static bool may_tell(struct place *place, int64_t now_ms)
{
    if (now_ms - place->moves_ms >= MOVES_WINDOW_MS || now_ms < place->moves_ms) {
        place->moves_ms = now_ms;
        place->moves = 0;
    }
    if (place->moves >= (uint64_t)place->rule->moves_max) {
        return false;
    }
    place->moves++;
    return true;
}

static void follower_send_moves(struct partition *p, struct follower *f, int64_t now_ms)
{
    struct partition_action *a = follower_send(p, f);

    buf_add_slice(&a->body, buf_slice(&f->moves));
    buf_deinit(&f->moves);
    follower_sent(p, f, a, MESSAGE_MOVES, 0, now_ms);
}

/* Keeps it for gateways that are not here yet, or lose what they are told. */
static void remember(struct partition *p, const struct place *place, const struct line *line,
                     int64_t now_ms)
{
    struct moves_past *past = &p->moves_past;
    struct move *m = &past->at[past->count++ % MOVES_PAST_MAX];

    if (m->line.size > 0 && now_ms - m->time_ms <= p->conf.lease_ms) {
        owner_limit_met(&p->stats->limits, OWNER_LIMIT_MOVES_PAST);
    }
    m->place = hash_frozen(place->name, place->name_size);
    m->client = hash_frozen(line->client.at, line->client.size);
    m->left = line->left;
    m->time_ms = now_ms;
    buf_clear(&m->line);
    line_encode(&m->line, line);
}

/* The last move that is kept of a client from number `from` on, or NULL. */
static const struct move *last_of(const struct moves_past *past, uint64_t place, uint64_t client,
                                  uint64_t from)
{
    for (uint64_t i = past->count; i > from; i--) {
        const struct move *m = &past->at[(i - 1) % MOVES_PAST_MAX];

        if (m->place == place && m->client == client) {
            return m;
        }
    }
    return NULL;
}

static uint64_t oldest_of(const struct moves_past *past)
{
    return MAX(past->count, MOVES_PAST_MAX) - MOVES_PAST_MAX;
}

/* Tells it to those who want to know. */
static void tell(struct partition *p, struct place *place, const struct line *line, int64_t now_ms)
{
    struct interest *i;
    bool is_counted = false;

    events_move(p, place, line, now_ms);
    remember(p, place, line, now_ms);
    DL_FOREACH (place->interests, i) {
        if (!i->wants_moves) {
            continue;
        }
        if (!is_counted) {
            if (!may_tell(place, now_ms)) {
                owner_limit_met(&p->stats->limits, OWNER_LIMIT_MOVES);
                return;
            }
            is_counted = true;
            stat_add(&p->stats->moves_told, 1);
        }
        line_encode(&i->follower->moves, line);
        if (i->follower->moves.size >= FOLLOWER_BODY_BYTES && !i->follower->is_answered) {
            follower_send_moves(p, i->follower, now_ms);
        }
    }
}

void moves_add(struct partition *p, const struct member *m, bool left, int64_t now_ms)
{
    struct line line = {.has_offset = false};

    member_line(m, &line);
    line.left = left;
    tell(p, m->place, &line, now_ms);
}

void moves_left_before(struct partition *p, struct place *place, const struct line *line,
                       int64_t now_ms)
{
    const struct line left = {
        .room = line->room,
        .client = line->client,
        .user = line->user,
        .info = line->info,
        .chan_info = line->chan_info,
        .left = true,
    };

    const struct moves_past *past = &p->moves_past;
    const struct move *last =
        last_of(past, hash_frozen(place->name, place->name_size),
                hash_frozen(line->client.at, line->client.size), oldest_of(past));
    if (last == NULL || !last->left) { /* else this owner has heard of it, on the link before */
        tell(p, place, &left, now_ms);
    }
}

void moves_tell_past(struct partition *p, struct follower *f, const struct place *place,
                     int64_t now_ms)
{
    const struct moves_past *past = &p->moves_past;
    uint64_t hash = hash_frozen(place->name, place->name_size);

    if (place->rule->moves_max == 0) {
        return; /* nobody is told anything of such a room */
    }
    for (uint64_t i = oldest_of(past); i < past->count; i++) {
        const struct move *m = &past->at[i % MOVES_PAST_MAX];

        /* Of a client the last one only: an earlier one would be news to who has heard both. */
        if (m->place == hash && now_ms - m->time_ms <= p->conf.lease_ms &&
            last_of(past, hash, m->client, i + 1) == NULL) {
            buf_add_slice(&f->moves, buf_slice(&m->line));
        }
    }
}

void moves_past_deinit(struct moves_past *past)
{
    for (size_t i = 0; i < MOVES_PAST_MAX; i++) {
        buf_deinit(&past->at[i].line);
    }
}

void moves_tick(struct partition *p, int64_t now_ms)
{
    struct follower *f, *next;

    HASH_ITER (hh, p->followers.by_gateway, f, next) {
        if (f->moves.size > 0) {
            follower_send_moves(p, f, now_ms);
        }
    }
}
