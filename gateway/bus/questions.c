/*
 * questions.c: see questions.h: open questions in the order in which they were asked.
 */
#include "gateway/bus/questions.h"

#include "common/clock.h"
#include "common/hash.h"
#include "common/mem.h"
#include "gateway/api/api.h"
#include "gateway/bus/links.h"
#include "gateway/gateway.h"
#include "gateway/order/control.h"
#include "gateway/room/rooms.h"
#include "gateway/room/sight.h"
#include "gateway/session/sessions.h"
#include "proto/codec.h"
#include "proto/line.h"
#include "proto/record.h"
#include "proto/room.h"

#define QUESTION_LIMIT_NARROW 300 /* records looked at, at least, for those that may be seen */

struct open_question {
    UT_hash_handle hh; /* also the order in which they were asked */
    uint64_t request;
    enum question_kind kind;
    session_handle session;
    uint64_t call; /* of the API, instead of a session */
    uint32_t command_id;
    int64_t asked_ms;
    uint64_t offset;
    int64_t limit;
    char epoch[EPOCH_MAX + 1];
    uint16_t room_size;
    char room[ROOM_NAME_MAX];
};

struct questions {
    struct gateway *gateway;    /* borrowed */
    struct open_question *open; /* owns */
    uint64_t last_request;
    struct buf scratch;
};

struct questions *questions_new(struct gateway *g)
{
    struct questions *all = mem_new(struct questions);

    all->gateway = g;
    return all;
}

static void question_end(struct questions *all, struct open_question *q)
{
    struct session *s = sessions_find(all->gateway->sessions, q->session);

    if (s != NULL) {
        s->questions--;
    }
    HASH_DELETE(hh, all->open, q);
    mem_free(q);
}

struct questions *questions_free(struct questions *all)
{
    struct open_question *q, *next;

    if (all == NULL) {
        return NULL;
    }
    HASH_ITER (hh, all->open, q, next) { /* the sessions are gone */
        HASH_DELETE(hh, all->open, q);
        mem_free(q);
    }
    buf_deinit(&all->scratch);
    mem_free(all);
    return NULL;
}

/* How many records to ask for. Of a room with records that not everybody may see, or some of which
 * were removed, as many as can be: how many of them a session may see shows in the answer. */
static int64_t limit_of(const struct questions *all, const struct question *q)
{
    const struct room *room = rooms_get(all->gateway->rooms, q->room);
    bool is_narrow = (room != NULL && (room->is_narrow || room->rule->narrows)) ||
                     control_has_removals(all->gateway->control);

    return q->kind == QUESTION_HISTORY && q->call == 0 && q->limit > 0 && is_narrow
               ? MAX(all->gateway->conf->history_limit, QUESTION_LIMIT_NARROW)
               : q->limit;
}

int questions_ask(struct questions *all, const struct question *q)
{
    bool is_past = q->kind == QUESTION_HISTORY || q->kind == QUESTION_RECOVER;
    const struct line line = {
        .room = q->room,
        .epoch = q->epoch,
        .has_offset = q->has_offset,
        .offset = q->offset,
        .from = q->offset,
        .limit = limit_of(all, q),
        .reverse = q->reverse,
        .count = q->kind == QUESTION_PRESENCE_STATS,
    };
    const struct message m = {
        .type = is_past ? MESSAGE_HISTORY : MESSAGE_PRESENCE,
        .has = HAS_REQUEST,
        .partition = room_partition(q->room, (uint32_t)all->gateway->conf->partitions),
        .request = all->last_request + 1,
    };

    struct session *s = sessions_find(all->gateway->sessions, q->session);

    if (s != NULL && s->questions >= QUESTIONS_OF_SESSION_MAX) {
        limit_met(&all->gateway->metrics.limits, LIMIT_QUESTIONS);
        return QUESTIONS_LIMIT;
    }
    if (HASH_COUNT(all->open) >= QUESTIONS_MAX) {
        limit_met(&all->gateway->metrics.limits, LIMIT_QUESTIONS_ALL);
        return -1;
    }
    buf_clear(&all->scratch);
    line_encode(&all->scratch, &line);
    if (links_send_question(all->gateway->links, &m, buf_slice(&all->scratch)) != 0) {
        return -1;
    }
    struct open_question *open = mem_new(struct open_question);
    open->request = ++all->last_request;
    open->kind = q->kind;
    open->session = q->session;
    open->call = q->call;
    open->command_id = q->command_id;
    open->asked_ms = clock_mono_ms();
    open->offset = q->offset;
    open->limit = q->limit;
    if (q->epoch.size > 0) {
        memcpy(open->epoch, q->epoch.at, q->epoch.size);
    }
    open->room_size = (uint16_t)q->room.size;
    memcpy(open->room, q->room.at, q->room.size);
    HASH_ADD(hh, all->open, request, sizeof(open->request), open);
    if (s != NULL) {
        s->questions++;
    }
    return 0;
}

/* The first line has the numbers; the members follow if they are not too many. */
static void answer_presence(struct questions *all, const struct open_question *q, struct session *s,
                            struct slice rest)
{
    const struct codec *codec = session_codec(s);
    struct line numbers, line;

    if (line_next(&rest, &numbers) != 0 || numbers.client.size > 0) {
        stat_add(&all->gateway->metrics.poisoned, 1);
        session_send_error(s, q->command_id, REPLY_INTERNAL);
        return;
    }
    struct buf *out = session_reply(s);
    if (q->kind == QUESTION_PRESENCE_STATS) {
        codec->presence_stats(out, q->command_id,
                              &(struct reply_presence_stats){numbers.clients, numbers.users});
        session_send_reply(s, out);
        return;
    }
    buf_clear(&all->scratch);
    while (line_next(&rest, &line) == 0) {
        if (line.client.size > 0) {
            codec->member(&all->scratch, &(struct reply_member){line.client, line.user, line.info,
                                                                line.chan_info});
        }
    }
    if (!numbers.complete || all->scratch.size > (size_t)all->gateway->conf->out_queue / 2) {
        limit_met(&all->gateway->metrics.limits,
                  numbers.complete ? LIMIT_PRESENCE_BYTES : LIMIT_PRESENCE_MAX);
        session_send_error(s, q->command_id, REPLY_LIMIT_EXCEEDED);
        return;
    }
    codec->presence(out, q->command_id, buf_slice(&all->scratch));
    session_send_reply(s, out);
}

static void answer_history(struct questions *all, const struct open_question *q, struct session *s,
                           const struct line *top, struct slice rest)
{
    size_t size_max =
        (size_t)all->gateway->conf->out_queue / 2; /* a page may be shorter than asked */
    const struct codec *codec = session_codec(s);
    struct record r;
    int64_t count = 0;

    buf_clear(&all->scratch);
    if (top->limit == LINE_UNRECOVERABLE ||
        (q->epoch[0] != '\0' && !slice_equal(slice_of(q->epoch), top->epoch))) {
        session_send_error(s, q->command_id, REPLY_UNRECOVERABLE_POSITION);
        return;
    }
    while ((q->limit < 0 || count < q->limit) && record_next(&rest, true, &r) == 0) {
        if (all->scratch.size >= size_max) {
            limit_met(&all->gateway->metrics.limits, LIMIT_HISTORY_BYTES);
            break;
        }
        if (session_sees(s, &r)) {
            codec->publication(&all->scratch, &r);
            count++;
        }
    }
    struct buf *out = session_reply(s);
    codec->history(out, q->command_id,
                   &(struct reply_history){buf_slice(&all->scratch), top->epoch, top->offset});
    session_send_reply(s, out);
}

/* Nothing came, or nothing that can be understood. */
static void answer_nothing(struct questions *all, const struct open_question *q)
{
    struct session *s = sessions_find(all->gateway->sessions, q->session);
    struct room *room = rooms_get(all->gateway->rooms, (struct slice){q->room, q->room_size});

    if (q->call != 0) {
        api_answered(all->gateway->api, q->call, NULL);
    } else if (q->kind != QUESTION_RECOVER && s != NULL) {
        session_send_error(s, q->command_id, REPLY_INTERNAL);
    } else if (q->kind == QUESTION_RECOVER && room != NULL) {
        rooms_past_late(room, q->offset); /* the next who needs it asks again */
    }
}

static void answer_past(struct questions *all, const struct open_question *q,
                        const struct message *m)
{
    struct session *s = sessions_find(all->gateway->sessions, q->session);
    struct room *room = rooms_get(all->gateway->rooms, (struct slice){q->room, q->room_size});
    struct slice rest = m->body;
    struct line top;

    if (line_next(&rest, &top) != 0) {
        stat_add(&all->gateway->metrics.poisoned, 1);
        answer_nothing(all, q);
    } else if (q->kind == QUESTION_HISTORY && s != NULL) {
        answer_history(all, q, s, &top, rest);
    } else if (q->kind == QUESTION_RECOVER && room != NULL && room->state == ROOM_LIVE) {
        rooms_past(all->gateway->rooms, room, q->offset, top.epoch, top.offset, rest);
    }
}

void questions_on_answer(struct questions *all, const struct message *m)
{
    struct open_question *q;

    HASH_FIND(hh, all->open, &m->request, sizeof(m->request), q);
    if (q == NULL) {
        return; /* it came too late: the asker was told */
    }
    if (q->call != 0) {
        api_answered(all->gateway->api, q->call, m);
        question_end(all, q);
        return;
    }
    struct session *s = sessions_find(all->gateway->sessions, q->session);
    switch (q->kind) {
    case QUESTION_PRESENCE:
    case QUESTION_PRESENCE_STATS:
        if (s != NULL) {
            answer_presence(all, q, s, m->body);
        }
        break;
    case QUESTION_HISTORY:
    case QUESTION_RECOVER:
        answer_past(all, q, m);
        break;
    }
    question_end(all, q);
}

void questions_tick(struct questions *all)
{
    int64_t now = clock_mono_ms();
    struct open_question *q, *next;

    HASH_ITER (hh, all->open, q, next) {
        if (now - q->asked_ms < all->gateway->conf->subscribe_wait_ms) {
            return; /* they stand in the order in which they were asked */
        }
        limit_met(&all->gateway->metrics.limits, LIMIT_SUBSCRIBE_WAIT);
        answer_nothing(all, q);
        question_end(all, q);
    }
}
