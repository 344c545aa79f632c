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

void moves_add(struct partition *p, const struct member *m, bool left, int64_t now_ms)
{
    struct interest *i;
    struct line line = {.has_offset = false};
    bool is_counted = false;

    events_move(p, m, left, now_ms);
    DL_FOREACH (m->place->interests, i) {
        if (!i->wants_moves) {
            continue;
        }
        if (!is_counted) {
            if (!may_tell(m->place, now_ms)) {
                stat_add(&p->stats->moves_held, 1);
                return;
            }
            is_counted = true;
            stat_add(&p->stats->moves_told, 1);
            member_line(m, &line);
            line.left = left;
        }
        line_encode(&i->follower->moves, &line);
        if (i->follower->moves.size >= FOLLOWER_BODY_BYTES && !i->follower->is_answered) {
            follower_send_moves(p, i->follower, now_ms);
        }
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
