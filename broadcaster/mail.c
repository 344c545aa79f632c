/* mail.c: what gateways write to the owner's mailbox: the links. */
#include "broadcaster/mail.h"

#include "broadcaster/moves.h"
#include "broadcaster/partition_internal.h"
#include "broadcaster/presence.h"
#include "broadcaster/relay.h"
#include "common/mem.h"
#include "proto/line.h"
#include "proto/room.h"

#define ATTACH_WHOLE_BYTES (1 << 20) /* a gateway sends what is more in further messages */

/* An answer of one kind that may take several messages. */
struct answer {
    struct partition *p;
    struct follower *f;
    enum message_type type;
    int64_t now_ms;
    struct partition_action *open; /* being filled, or NULL */
    uint64_t records;              /* in it */
};

static void answer_end(struct answer *a)
{
    if (a->open != NULL) {
        follower_sent(a->p, a->f, a->open, a->type, a->records, a->now_ms);
        a->open = NULL;
        a->records = 0;
    }
}

/* Where the next line or record of the answer goes. */
static struct buf *answer_body(struct answer *a)
{
    if (a->open != NULL && a->open->body.size >= FOLLOWER_BODY_BYTES) {
        answer_end(a);
    }
    if (a->open == NULL) {
        a->open = follower_send(a->p, a->f);
    }
    return &a->open->body;
}

/* A room that the gateway follows from some offset on. */
struct followed {
    struct place *place;
    uint64_t from;
};

struct follow_list {
    struct followed *at; /* owns */
    size_t count, capacity;
};

static void follow_list_add(struct follow_list *list, struct place *place, uint64_t from)
{
    if (list->count == list->capacity) {
        list->capacity = MAX((size_t)8, list->capacity * 2);
        list->at = mem_realloc(list->at, list->capacity * sizeof(list->at[0]));
    }
    list->at[list->count++] = (struct followed){place, from};
}

/* True if the position is one of the room's present epoch. */
static bool may_continue(const struct place *place, const struct line *line)
{
    return position_has_epoch(&place->confirmed, line->epoch);
}

/* From where on the gateway can be given the room's records, so that it misses none: from where it
 * stands if it can be, else from here. */
static uint64_t continue_from(struct partition *p, struct place *place, const struct line *line)
{
    const struct position *c = &place->confirmed;

    if (!line->has_offset || !may_continue(place, line)) {
        return c->offset;
    }
    if (line->offset > c->offset) {
        /* It saw records that the log has lost. Their numbers must not be given again. */
        if (!place->renews && position_has_epoch(&place->numbered, line->epoch)) {
            place->renews = true;
            stat_add(&p->stats->lost_positions, 1);
        }
        return c->offset;
    }
    return shelf_covers(place, line->offset) ? line->offset : c->offset;
}

static void follow_room(struct answer *a, const struct line *line, struct follow_list *list)
{
    struct place *place = roster_get(&a->p->roster, line->room, a->now_ms);
    const struct position *c = &place->confirmed;

    if (!follower_follow(a->p, a->f, place, a->now_ms)) {
        roster_release_unused(&a->p->roster, place);
        return;
    }
    era_place(a->p, place);
    shelf_expire(&a->p->shelf, place, a->now_ms);
    uint64_t from = continue_from(a->p, place, line);
    line_encode(answer_body(a), &(struct line){.room = place_name(place),
                                               .epoch = slice_of(c->epoch),
                                               .has_offset = true,
                                               .offset = c->offset,
                                               .from = from});
    if (from < c->offset) {
        follow_list_add(list, place, from);
    }
}

static void enter_member(struct partition *p, struct follower *f, const struct line *line,
                         int64_t now_ms)
{
    struct place *place = roster_get(&p->roster, line->room, now_ms);

    if (presence_enter(&f->members, place, line)) {
        p->followers.members++;
        if (!line->again || f->has_lapsed) {
            moves_add(p, presence_find(&f->members, place, line->client), false, now_ms);
        }
    }
}

/* A member that its gateway does not have any more, and that some owner may know. */
static void end_member(struct partition *p, struct follower *f, const struct line *line,
                       int64_t now_ms)
{
    struct place *place = roster_get(&p->roster, line->room, now_ms);
    struct member *m = presence_find(&f->members, place, line->client);

    if (m != NULL) {
        followers_member_left(p, m, now_ms);
    } else { /* whoever follows the room may attach later than this gateway */
        moves_left_before(p, place, line, now_ms);
        roster_release_unused(&p->roster, place);
    }
}

static bool belongs_here(const struct partition *p, const struct line *line)
{
    return line->room.size > 0 &&
           (p->conf.partitions == 0 ||
            room_partition(line->room, p->conf.partitions) == p->conf.number);
}

/* The next line about a room of ours, or false. What cannot be understood is skipped and counted.
 */
static bool next_line(struct partition *p, struct slice *rest, struct line *line)
{
    int rc;

    while ((rc = line_next(rest, line)) == 0) {
        if (belongs_here(p, line)) {
            return true;
        }
        stat_add(&p->stats->poisoned, 1);
    }
    if (rc == LINE_BAD) {
        stat_add(&p->stats->poisoned, 1);
    }
    return false;
}

static void send_missing(struct answer *a, const struct follow_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct kept *k = shelf_after(list->at[i].place, list->at[i].from);

        for (; k != NULL; k = k->next) {
            buf_add_slice(answer_body(a), kept_slice(k));
            a->records++;
        }
    }
    answer_end(a);
}

/* Joins and leaves of a room are wanted; and have been before, so that some may have been missed.
 */
static void want_moves(struct partition *p, struct follower *f, const struct line *line,
                       int64_t now_ms)
{
    struct place *place = roster_get(&p->roster, line->room, now_ms);

    follower_wants_moves(f, place, true);
    if (line->again) {
        moves_tell_past(p, f, place, now_ms);
    }
    roster_release_unused(&p->roster, place); /* nothing that it follows, then */
}

/* Rooms are followed, members are present; `always`: answer even if no room is named. */
static void take_lines(struct partition *p, struct follower *f, const struct message *m,
                       bool always, int64_t now_ms)
{
    struct answer positions = {.p = p, .f = f, .type = MESSAGE_POSITIONS, .now_ms = now_ms};
    struct answer missing = {.p = p, .f = f, .type = MESSAGE_DELIVER, .now_ms = now_ms};
    struct follow_list list = {NULL, 0, 0};
    struct slice rest = m->body;
    struct line line;

    f->is_answered = true; /* who enters is told of later */
    while (next_line(p, &rest, &line)) {
        if (line.client.size > 0 && line.left) {
            end_member(p, f, &line, now_ms);
        } else if (line.client.size > 0) {
            enter_member(p, f, &line, now_ms);
        } else if (line.moves) {
            want_moves(p, f, &line, now_ms);
        } else {
            follow_room(&positions, &line, &list);
        }
    }
    if (always) {
        (void)answer_body(&positions);
    }
    answer_end(&positions);
    send_missing(&missing, &list);
    f->is_answered = false;
    mem_free(list.at);
}

static void on_attach(struct partition *p, const struct message *m, int64_t now_ms)
{
    const struct follower *old = followers_find(&p->followers, m->gateway);

    if (old != NULL && slice_equal((struct slice){old->boot, BOOT_SIZE}, m->boot) &&
        m->link <= old->link) {
        return; /* a newer link stands */
    }
    struct follower *f = followers_attach(p, m, now_ms);
    if (f == NULL) {
        return;
    }
    stat_add(&p->stats->attaches, 1);
    take_lines(p, f, m, true, now_ms);
    if (m->body.size <= ATTACH_WHOLE_BYTES) {
        follower_end_stale(p, f, now_ms);
    } /* else further members follow, and then a sign of life */
    moves_tick(p, now_ms);
}

/* The follower whose link the message continues, or NULL. */
static struct follower *continues_link(struct partition *p, const struct message *m, int64_t now_ms)
{
    struct follower *f = followers_find(&p->followers, m->gateway);

    if (f == NULL || !slice_equal((struct slice){f->boot, BOOT_SIZE}, m->boot) ||
        m->link > f->link) {
        followers_call(p, m->gateway, now_ms);
        return NULL;
    }
    if (m->link < f->link || m->number <= f->number_in) {
        return NULL; /* late, of an older link, or sent twice */
    }
    if (m->number != f->number_in + 1) {
        stat_add(&p->stats->link_gaps, 1);
        followers_drop(p, f, now_ms);
        followers_call(p, m->gateway, now_ms);
        return NULL;
    }
    f->number_in = m->number;
    f->heard_ms = now_ms;
    return f;
}

static void on_leave(struct partition *p, struct follower *f, const struct message *m,
                     int64_t now_ms)
{
    struct slice rest = m->body;
    struct line line;

    while (next_line(p, &rest, &line)) {
        struct place *place = roster_find(&p->roster, line.room);

        if (place == NULL) {
            continue;
        }
        if (line.client.size == 0) {
            if (line.moves) {
                follower_wants_moves(f, place, false);
            } else {
                follower_unfollow(p, f, place, now_ms);
            }
            continue;
        }
        struct member *member = presence_find(&f->members, place, line.client);
        if (member != NULL) {
            followers_member_left(p, member, now_ms);
        }
    }
}

static void on_link(struct partition *p, const struct message *m, int64_t now_ms)
{
    struct follower *f = continues_link(p, m, now_ms);

    if (f == NULL) {
        return;
    }
    if (m->type == MESSAGE_JOIN) {
        take_lines(p, f, m, false, now_ms);
    } else if (m->type == MESSAGE_LEAVE) {
        on_leave(p, f, m, now_ms);
    } else {
        follower_end_stale(p, f, now_ms);
        moves_tick(p, now_ms); /* who is answered takes them for told */
        follower_sent(p, f, follower_send(p, f), MESSAGE_DELIVER, 0, now_ms);
    }
}

static void answer_mail(struct partition *p, const struct message *m, int64_t now_ms)
{
    if (m->type == MESSAGE_ATTACH) {
        on_attach(p, m, now_ms);
    } else if (message_is_of_link(m)) {
        on_link(p, m, now_ms);
    } else if (m->type == MESSAGE_PRESENCE) {
        answers_presence(p, m, now_ms);
    } else if (m->type == MESSAGE_HISTORY) {
        answers_history(p, m, now_ms);
    } else if (relay_is_for(m)) {
        relay_take(p, m, now_ms);
    } else {
        stat_add(&p->stats->poisoned, 1);
    }
}

/* True if a gateway that attaches misses records that are being looked for in the log. */
static bool attach_needs_log(struct partition *p, const struct message *m, int64_t now_ms)
{
    struct slice rest = m->body;
    struct line line;
    bool needs_log = false;

    while (line_next(&rest, &line) == 0) {
        struct place *place =
            line.has_offset && line.client.size == 0 ? roster_find(&p->roster, line.room) : NULL;
        if (place != NULL && may_continue(place, &line) && line.offset < place->confirmed.offset) {
            shelf_expire(&p->shelf, place, now_ms);
            needs_log |= lookback_fetch(p, place, line.offset);
        }
    }
    lookback_begin(p, now_ms);
    return needs_log;
}

static bool needs_log(struct partition *p, const struct message *m, int64_t now_ms)
{
    return m->type == MESSAGE_ATTACH    ? attach_needs_log(p, m, now_ms)
           : m->type == MESSAGE_HISTORY ? answers_need_log(p, m, now_ms)
                                        : false;
}

/* False: too much waits. */
static bool keep(struct partition *p, const struct message *m, int64_t until_ms)
{
    if (waiting_add(&p->waiting, m, until_ms)) {
        return true;
    }
    owner_limit_met(&p->stats->limits, p->waiting.count == WAITING_MAX ? OWNER_LIMIT_WAITING
                                                                       : OWNER_LIMIT_WAITING_BYTES);
    return false;
}

/* Answers it, or keeps it until the log was looked into, `until_ms` at the latest. */
static void take(struct partition *p, const struct message *m, int64_t until_ms, int64_t now_ms)
{
    if (p->waiting.first != NULL && message_is_of_link(m) &&
        waiting_has_link(&p->waiting, m->gateway)) {
        (void)keep(p, m, m->type == MESSAGE_ATTACH ? until_ms : 0);
        return; /* else there is a hole in the link: it begins anew */
    }
    if (now_ms < until_ms && needs_log(p, m, now_ms) && keep(p, m, until_ms)) {
        return;
    }
    answer_mail(p, m, now_ms);
}

void mail_take(struct partition *p, const struct mq_event *e, int64_t now_ms)
{
    struct message m;

    if (message_from_event(e, &m) != NULL || m.partition != p->conf.number) {
        stat_add(&p->stats->poisoned, 1);
        return;
    }
    take(p, &m, now_ms + (m.type == MESSAGE_ATTACH ? WAITING_ATTACH_MS : WAITING_QUESTION_MS),
         now_ms);
}

void mail_retake(struct partition *p, int64_t now_ms)
{
    struct waiting_mail *mail = waiting_take(&p->waiting);

    while (mail != NULL) {
        struct waiting_mail *next = mail->next;
        take(p, &mail->m, mail->until_ms, now_ms);
        waiting_free(mail);
        mail = next;
    }
}

void mail_tick(struct partition *p, int64_t now_ms)
{
    bool is_late = false;

    for (const struct waiting_mail *mail = p->waiting.first; mail != NULL; mail = mail->next) {
        if (waiting_is_late(mail, now_ms)) {
            is_late = true;
            owner_limit_met(&p->stats->limits, mail->m.type == MESSAGE_ATTACH
                                                   ? OWNER_LIMIT_ATTACH_WAIT
                                                   : OWNER_LIMIT_QUESTION_WAIT);
        }
    }
    if (is_late) {
        mail_retake(p, now_ms);
    }
}
