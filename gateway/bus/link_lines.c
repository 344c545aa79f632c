/*
 * link_lines.c: see link_lines.h.
 */
#include "gateway/bus/link_lines.h"

#include "common/buf.h"
#include "gateway/session/session_ops.h"
#include "proto/line.h"

void link_line_room(struct buf *out, const struct room *room)
{
    struct line line = {.room = room_slice(room)};

    if (room->state == ROOM_LIVE) {
        line.has_offset = true;
        line.epoch = slice_of(room->epoch);
        line.offset = line.from = room->offset;
    }
    line_encode(out, &line);
}

void link_line_moves(struct buf *out, struct room *room)
{
    line_encode(out, &(struct line){
                         .room = room_slice(room),
                         .moves = true,
                         .again = room->asked_moves && room->movers > 0,
                     });
    room->asked_moves = true;
}

static void add_person(struct buf *out, const struct subscription *sub, bool is_known, bool left)
{
    const struct session *s = sub->session;
    struct buf info = BUF_EMPTY;

    session_info(s, &info);
    line_encode(out, &(struct line){
                         .room = room_slice(sub->room),
                         .client = slice_of(s->client),
                         .user = slice_of(s->identity->user),
                         .info = buf_slice(&info),
                         .chan_info = subscription_info(sub),
                         .again = is_known,
                         .left = left,
                     });
    buf_deinit(&info);
}

void link_line_member(struct buf *out, const struct subscription *sub, bool is_known)
{
    add_person(out, sub, is_known, false);
}

void link_line_gone(struct buf *out, const struct subscription *sub)
{
    add_person(out, sub, false, true);
}
