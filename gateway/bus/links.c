/*
 * links.c: see links.h: attaching, and what the messages of a link do.
 */
#include "gateway/bus/links.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/bus/bus.h"
#include "gateway/bus/heard.h"
#include "gateway/bus/link_lines.h"
#include "gateway/bus/questions.h"
#include "gateway/bus/surveys.h"
#include "gateway/gateway.h"
#include "gateway/room/moves.h"
#include "gateway/room/rooms.h"
#include "gateway/room/strays.h"
#include "gateway/session/session.h"
#include "proto/line.h"

#define LINK_PAUSE_MS 50         /* at least, between two attaches of a partition */
#define LINK_LINES_MAX (1 << 20) /* bytes of lines about members in one message */

enum link_state { LINK_IDLE, LINK_WANTED, LINK_ATTACHING, LINK_ATTACHED };

struct link {
    enum link_state state;
    uint64_t link;       /* number of this link: never used twice in one life of the gateway */
    uint64_t number_in;  /* of the last message received on it */
    uint64_t number_out; /* of the last message sent on it */
    uint64_t term;       /* highest seen of the partition */
    int64_t asked_ms;    /* since when an answer with positions is due; 0: none is */
    int64_t heard_ms;    /* of the last message received on it */
    int64_t alive_ms;    /* of the last sign of life sent */
    int64_t begun_ms;    /* of the last attach */
    int64_t retry_ms;    /* WANTED: not before */
    enum message_type gathered;  /* JOIN or LEAVE: what `lines` holds */
    struct buf lines;            /* of this turn, not sent yet */
    struct buf gone, gone_asked; /* who left lately; the latter before `asked_round` */
    struct strays strays;        /* of this link only */
    struct heard heard;          /* of all links */
};

struct links {
    struct gateway *gateway; /* borrowed */
    uint32_t count;
    uint64_t last_link;
    bool is_up, is_blocked;
    struct link of_partition[];
};

struct links *links_new(struct gateway *g)
{
    uint32_t count = (uint32_t)g->conf->partitions;
    struct links *l = mem_zalloc(1, sizeof(*l) + count * sizeof(struct link));

    l->gateway = g;
    l->count = count;
    for (uint32_t p = 0; p < count; p++) {
        heard_init(&l->of_partition[p].heard);
    }
    return l;
}

struct links *links_free(struct links *l)
{
    if (l == NULL) {
        return NULL;
    }
    for (uint32_t p = 0; p < l->count; p++) {
        buf_deinit(&l->of_partition[p].lines);
        heard_deinit(&l->of_partition[p].heard);
        strays_clear(&l->of_partition[p].strays);
    }
    mem_free(l);
    return NULL;
}

/* False: the bus is full; nothing was sent. */
static bool send_to_owner(struct links *l, const struct message *m, struct slice body)
{
    struct bus_out *out = mem_new(struct bus_out);

    out->target = BUS_TO_OWNER;
    out->message = *m;
    out->message.has |= HAS_PARTITION | HAS_GATEWAY | HAS_BOOT;
    out->message.gateway = slice_of(l->gateway->conf->id);
    out->message.boot = slice_of(l->gateway->boot);
    out->message.time_ms = clock_wall_ms();
    out->body = blob_copy(body.at, body.size);
    if (!bus_send(l->gateway->bus, out)) {
        bus_out_free(out);
        return false;
    }
    return true;
}

/* The next numbered message of a link. What cannot be sent is a hole: begin anew. */
static void link_send(struct links *l, uint32_t p, enum message_type type, struct slice body)
{
    struct link *k = &l->of_partition[p];
    const struct message m = {
        .type = type,
        .has = HAS_LINK | HAS_NUMBER,
        .partition = p,
        .link = k->link,
        .number = ++k->number_out,
    };

    if (!send_to_owner(l, &m, body)) {
        k->state = LINK_WANTED;
        k->retry_ms = clock_mono_ms() + LINK_ANSWER_MS;
        buf_clear(&k->lines);
    }
}

/* Sends the lines that were gathered. */
static void link_send_lines(struct links *l, uint32_t p)
{
    struct link *k = &l->of_partition[p];

    link_send(l, p, k->gathered, buf_slice(&k->lines));
    buf_clear(&k->lines);
}

static bool link_is_open(const struct link *k)
{
    return k->state == LINK_ATTACHING || k->state == LINK_ATTACHED;
}

/* Everybody in the rooms of the partition: what is too much for one message goes into further ones.
 */
static void link_send_members(struct links *l, uint32_t p)
{
    struct link *k = &l->of_partition[p];

    for (struct room *room = rooms_of(l->gateway->rooms, p); room != NULL; room = room->next) {
        for (uint32_t i = 0; room->rule->presence && i < room->count && link_is_open(k); i++) {
            if (k->lines.size > LINK_LINES_MAX) {
                link_send_lines(l, p);
                k->gathered = MESSAGE_JOIN;
                heard_ask(&k->heard); /* the answer to the attach says nothing about what follows */
            }
            heard_member(&k->heard, &k->lines, room->subscriptions[i]);
        }
    }
}

/* Begins a new link with all rooms of the partition and everybody in them. */
static void link_attach(struct links *l, uint32_t p)
{
    struct link *k = &l->of_partition[p];

    assert(l->is_up);
    k->state = LINK_ATTACHING;
    k->link = ++l->last_link;
    k->number_in = k->number_out = 0;
    k->asked_ms = k->heard_ms = k->alive_ms = k->begun_ms = clock_mono_ms();
    k->gathered = MESSAGE_ATTACH;
    buf_clear(&k->lines);
    strays_clear(&k->strays);
    for (struct room *room = rooms_of(l->gateway->rooms, p); room != NULL; room = room->next) {
        link_line_room(&k->lines, room);
        if (room->movers > 0) {
            link_line_moves(&k->lines, room);
        }
    }
    heard_begin(&k->heard, &k->lines);
    link_send_members(l, p);
    if (link_is_open(k)) {
        link_send_lines(l, p);
        heard_ask(&k->heard);
    }
    stat_add(&l->gateway->metrics.attaches, 1);
}

/* Somebody is in a room of the partition, or has left and no owner has surely heard. */
static bool link_is_needed(const struct links *l, uint32_t p)
{
    return rooms_of(l->gateway->rooms, p) != NULL || heard_has_gone(&l->of_partition[p].heard);
}

/* The link is of no use any more: begin anew at the end of the turn, if anybody still needs it. */
static void link_renew(struct links *l, uint32_t p)
{
    struct link *k = &l->of_partition[p];

    k->state = link_is_needed(l, p) ? LINK_WANTED : LINK_IDLE;
    k->retry_ms = k->begun_ms + LINK_PAUSE_MS; /* whatever an owner answers, this is no storm */
    buf_clear(&k->lines);
}

void links_tell_again(struct links *l, uint32_t partition)
{
    link_renew(l, partition);
}

void links_up(struct links *l)
{
    l->is_up = true;
    for (uint32_t p = 0; p < l->count; p++) {
        link_renew(l, p);
    }
}

void links_down(struct links *l)
{
    l->is_up = false;
    for (uint32_t p = 0; p < l->count; p++) {
        link_renew(l, p);
    }
}

void links_blocked(struct links *l, bool is_blocked)
{
    int64_t now = clock_mono_ms();

    l->is_blocked = is_blocked;
    for (uint32_t p = 0; !is_blocked && p < l->count; p++) {
        struct link *k = &l->of_partition[p];

        k->asked_ms = k->asked_ms != 0 ? now : 0; /* nobody can have answered */
        k->heard_ms = now;
        k->alive_ms = 0; /* a sign of life at once: is the owner still there? */
    }
}

/* Where lines of this kind are gathered; NULL when the next attach will tell all anyway. */
static struct buf *link_gather(struct links *l, uint32_t p, enum message_type type)
{
    struct link *k = &l->of_partition[p];

    if (!link_is_open(k)) {
        return NULL;
    }
    if (k->lines.size > LINK_LINES_MAX || (k->gathered != type && k->lines.size > 0)) {
        link_send_lines(l, p);
        if (!link_is_open(k)) {
            return NULL;
        }
    }
    k->gathered = type;
    return &k->lines;
}

void links_join(struct links *l, struct room *room)
{
    struct link *k = &l->of_partition[room->partition];
    struct buf *lines = link_gather(l, room->partition, MESSAGE_JOIN);

    if (lines != NULL) {
        link_line_room(lines, room);
        if (k->asked_ms == 0) {
            k->asked_ms = clock_mono_ms();
        }
    } else if (k->state == LINK_IDLE) {
        link_renew(l, room->partition);
    }
}

void links_leave(struct links *l, const struct room *room)
{
    struct link *k = &l->of_partition[room->partition];
    struct buf *lines = link_gather(l, room->partition, MESSAGE_LEAVE);

    if (lines != NULL) {
        line_encode(lines, &(struct line){.room = room_slice(room)});
        if (k->state == LINK_ATTACHING || room->state == ROOM_JOINING) {
            strays_add(&k->strays, room_slice(room));
        }
    }
}

void links_enter(struct links *l, struct subscription *sub)
{
    struct room *room = sub->room;
    struct buf *lines = room->rule->presence ? link_gather(l, room->partition, MESSAGE_JOIN) : NULL;

    if (lines == NULL) {
        return;
    }
    if (sub->wants_moves && room->movers == 1) {
        link_line_moves(lines, room);
    }
    heard_member(&l->of_partition[room->partition].heard, lines, sub);
}

void links_exit(struct links *l, const struct subscription *sub)
{
    struct room *room = sub->room;
    bool is_shown = room->rule->presence;
    struct buf *lines = is_shown ? link_gather(l, room->partition, MESSAGE_LEAVE) : NULL;

    if (is_shown) {
        heard_gone(&l->of_partition[room->partition].heard, sub);
    }
    if (lines == NULL) {
        return;
    }
    line_encode(lines, &(struct line){
                           .room = room_slice(room),
                           .client = slice_of(sub->session->client),
                       });
    if (sub->wants_moves && room->movers == 0) {
        link_line_moves(lines, room);
    }
}

int links_send_question(struct links *l, const struct message *m, struct slice body)
{
    return l->is_up && send_to_owner(l, m, body) ? 0 : -1;
}

static void on_positions(struct links *l, const struct message *m)
{
    struct link *k = &l->of_partition[m->partition];
    struct slice rest = m->body;
    struct line line;
    int r;

    while ((r = line_next(&rest, &line)) == 0) {
        struct room *room = rooms_get(l->gateway->rooms, line.room);

        if (!strays_take(&k->strays, line.room) && room != NULL &&
            room->partition == m->partition) {
            rooms_positioned(l->gateway->rooms, room, line.epoch, line.from);
        }
    }
    if (r == LINE_BAD) {
        stat_add(&l->gateway->metrics.poisoned, 1);
    }
    if (k->state == LINK_ATTACHING) {
        k->state = LINK_ATTACHED;
        heard_answered(&k->heard);
        log_debug("link attached partition=%u term=%" PRIu64 " link=%" PRIu64, m->partition,
                  k->term, k->link);
    }
    k->asked_ms = rooms_joining(l->gateway->rooms, m->partition) > 0 ? clock_mono_ms() : 0;
}

/* A message of the link; false: it is of an older one or of a former owner, or shows a hole. */
static bool link_continues(struct links *l, const struct message *m)
{
    struct link *k = &l->of_partition[m->partition];
    bool is_current = link_is_open(k) && m->link == k->link && m->term >= k->term &&
                      slice_equal(m->boot, slice_of(l->gateway->boot));

    if (!is_current) {
        stat_add(&l->gateway->metrics.records_stale, m->has & HAS_RECORDS ? m->records : 0);
        return false;
    }
    if (m->number != k->number_in + 1) {
        stat_add(&l->gateway->metrics.link_holes, 1);
        log_info("link has a hole partition=%u link=%" PRIu64 " expected=%" PRIu64 " got=%" PRIu64,
                 m->partition, k->link, k->number_in + 1, m->number);
        link_renew(l, m->partition);
        return false;
    }
    k->number_in = m->number;
    k->heard_ms = clock_mono_ms();
    k->term = m->term;
    return true;
}

static void on_owner(struct links *l, const struct message *m)
{
    struct link *k = &l->of_partition[m->partition];

    if (m->term < k->term) {
        return; /* late news of an owner that has a successor */
    }
    k->term = m->term;
    if (k->state != LINK_IDLE) {
        link_renew(l, m->partition);
    }
}

void links_on_message(struct links *l, const struct message *m)
{
    stat_add(&l->gateway->metrics.deliver_messages, 1);
    if (m->partition >= l->count) {
        stat_add(&l->gateway->metrics.poisoned, 1);
        return;
    }
    if (m->type == MESSAGE_OWNER) {
        on_owner(l, m);
    } else if (m->type == MESSAGE_POSITIONS) {
        if (link_continues(l, m)) {
            on_positions(l, m);
        }
    } else if (m->type == MESSAGE_DELIVER) {
        if (!link_continues(l, m)) {
            return;
        }
        if (m->records == 0) {
            heard_answered(&l->of_partition[m->partition].heard); /* to a sign of life */
        }
        if (rooms_deliver(l->gateway->rooms, m->body) == ROOMS_HOLE) {
            stat_add(&l->gateway->metrics.link_holes, 1);
            log_warn("records have a hole partition=%u link=%" PRIu64 " number=%" PRIu64,
                     m->partition, m->link, m->number);
            link_renew(l, m->partition);
        }
    } else if (m->type == MESSAGE_MOVES) {
        if (link_continues(l, m)) {
            moves_deliver(l->gateway->rooms, m->body);
        }
    } else if (m->type == MESSAGE_PRESENT || m->type == MESSAGE_PAST) {
        if (slice_equal(m->boot, slice_of(l->gateway->boot))) {
            questions_on_answer(l->gateway->questions, m);
        }
    } else if (m->type == MESSAGE_SURVEY || m->type == MESSAGE_REPORT) {
        surveys_on_message(l->gateway->surveys, m);
    } else {
        stat_add(&l->gateway->metrics.poisoned, 1);
    }
}

void links_flush(struct links *l)
{
    int64_t now = clock_mono_ms();

    for (uint32_t p = 0; p < l->count; p++) {
        struct link *k = &l->of_partition[p];

        if (k->state == LINK_WANTED && !link_is_needed(l, p)) {
            k->state = LINK_IDLE;
        } else if (k->state == LINK_WANTED && l->is_up && !l->is_blocked && now >= k->retry_ms) {
            link_attach(l, p);
        } else if (k->lines.size > 0) {
            link_send_lines(l, p);
        }
    }
}

void links_tick(struct links *l)
{
    int64_t now = clock_mono_ms();

    for (uint32_t p = 0; l->is_up && !l->is_blocked && p < l->count; p++) {
        struct link *k = &l->of_partition[p];

        if (!link_is_open(k)) {
            continue;
        }
        if ((k->asked_ms != 0 && now - k->asked_ms > LINK_ANSWER_MS) ||
            now - k->heard_ms > LINK_SILENT_MS) {
            link_renew(l, p);
        } else if (now - k->alive_ms > LINK_ALIVE_MS) {
            k->alive_ms = now;
            if (!link_is_needed(l, p)) {
                link_renew(l, p); /* nobody needs it: the owner forgets it by the lease */
            } else {
                heard_ask(&k->heard);
                link_send(l, p, MESSAGE_ALIVE, SLICE_NONE);
            }
        }
    }
}

bool links_are_settled(const struct links *l)
{
    for (uint32_t p = 0; p < l->count; p++) {
        const struct link *k = &l->of_partition[p];

        if (k->state == LINK_WANTED || k->state == LINK_ATTACHING) {
            return false;
        }
    }
    return true;
}
