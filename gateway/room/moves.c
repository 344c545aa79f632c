/*
 * moves.c: see moves.h.
 */
#include "gateway/room/moves.h"

#include "gateway/dialect/dialect.h"
#include "gateway/gateway.h"
#include "gateway/room/rooms_internal.h"
#include "gateway/room/told.h"
#include "proto/line.h"

#define RUN_MAX 64 /* joins and leaves in one frame */

/* Some of one room, in their order. */
struct run {
    struct room *room; /* NULL: nobody here wants to know */
    size_t count;
    struct reply_move at[RUN_MAX];
};

/* Who may not ask who is here is not told either, whatever it asked for. */
static bool is_told(const struct subscription *sub)
{
    return sub->wants_moves && sub->joining == NULL &&
           (sub->moves_granted ||
            identity_may(sub->session->identity, sub->room->rule->presence_for));
}

static void run_give(struct rooms *all, struct run *run)
{
    struct blob *frames[DIALECT_COUNT] = {NULL};
    struct room *room = run->room;

    if (room == NULL || run->count == 0) {
        return;
    }
    room_pin(room);
    /* Backwards: one that is closed for being slow is replaced by one that has had its turn. */
    for (uint32_t i = room->count; i-- > 0;) {
        struct subscription *sub = room->subscriptions[i];
        struct session *s = sub->session;

        if (!is_told(sub)) {
            continue;
        }
        if (frames[s->dialect] == NULL) {
            frames[s->dialect] = dialect_moves_frame((enum dialect)s->dialect, run->at, run->count);
        }
        stat_add(&all->gateway->metrics.moves_given, run->count);
        session_send_frame(s, frames[s->dialect]);
    }
    for (size_t i = 0; i < DIALECT_COUNT; i++) {
        blob_unref(frames[i]);
    }
    run->count = 0;
    room_unpin(all, room);
}

static bool is_of(const struct room *room, struct slice name)
{
    return room != NULL && slice_equal((struct slice){room->name, room->name_size}, name);
}

void moves_deliver(struct rooms *all, struct slice body)
{
    struct run run = {.room = NULL};
    struct line line;
    int r;

    while ((r = line_next(&body, &line)) == 0) {
        if (run.count == RUN_MAX || !is_of(run.room, line.room)) {
            run_give(all, &run);
            run.room = rooms_get(all, line.room); /* what was given may have ended it */
            if (run.room != NULL && run.room->movers == 0) {
                run.room = NULL;
            }
        }
        if (run.room != NULL && told_is_news(all->told, run.room->moving, line.client, line.left)) {
            run.at[run.count++] = (struct reply_move){
                .room = line.room,
                .member = {.client = line.client,
                           .user = line.user,
                           .info = line.info,
                           .chan_info = line.chan_info},
                .left = line.left,
            };
        }
    }
    run_give(all, &run);
    if (r == LINE_BAD) {
        stat_add(&all->gateway->metrics.poisoned, 1);
    }
}
