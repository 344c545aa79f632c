/*
 * raw.c: see raw.h: what makes a message a record, and those that wait for their lanes.
 */
#include "gateway/bus/raw.h"

#include "common/clock.h"
#include "common/mem.h"
#include "common/mq.h"
#include "gateway/bus/bus.h"
#include "gateway/bus/lanes.h"
#include "gateway/gateway.h"
#include "proto/json.h"
#include "proto/room.h"

struct raws {
    struct gateway *gateway; /* borrowed */
    struct raw *first;       /* owns: held, oldest first */
    struct raw **last;
    size_t held, in_lanes;
    bool is_ending, has_ended;
};

const char *raw_fault_label(enum raw_fault fault)
{
    static const char *const labels[] = {
        [RAW_GOOD] = "",
#define RAW_FAULT(name, text) [RAW_##name] = (text),
#include "gateway/bus/raw.def"
    };

    return labels[fault];
}

static enum raw_fault fault_of(const struct mq_event *e, size_t max_payload)
{
    const struct mq_props *p = &e->props;

    if (!room_is_valid(e->key)) {
        return RAW_BAD_ROOM;
    }
    if (p->message_id.size > 0 && !record_key_is_valid(p->message_id)) {
        return RAW_BAD_MESSAGE_ID;
    }
    if (p->user_id.size > USER_MAX || !text_is_clean(p->user_id)) {
        return RAW_BAD_USER;
    }
    if (e->too_large || e->body.size > max_payload) {
        return RAW_TOO_LARGE;
    }
    return json_is_valid(e->body, PAYLOAD_DEPTH_MAX) ? RAW_GOOD : RAW_NO_JSON;
}

static struct slice copy(char **at, struct slice s)
{
    struct slice copied = {*at, s.size};

    if (s.size > 0) {
        memcpy(*at, s.at, s.size);
        *at += s.size;
    }
    return copied;
}

enum raw_fault raw_read(const struct mq_event *e, size_t max_payload, struct raw **out)
{
    enum raw_fault fault = fault_of(e, max_payload);
    struct buf user = BUF_EMPTY, payload = BUF_EMPTY;

    if (fault != RAW_GOOD) {
        return fault;
    }
    json_escape(&user, e->props.user_id);
    json_add_flat(&payload, json_trim(e->body));
    size_t size =
        sizeof(struct raw) + e->key.size + e->props.message_id.size + user.size + payload.size;
    struct raw *raw = mem_zalloc(1, size);
    char *at = raw->bytes;
    raw->tag = e->tag;
    raw->node.cost = size;
    raw->room = copy(&at, e->key);
    raw->key = copy(&at, e->props.message_id);
    raw->user = copy(&at, buf_slice(&user));
    raw->payload = copy(&at, buf_slice(&payload));
    buf_deinit(&user);
    buf_deinit(&payload);
    *out = raw;
    return RAW_GOOD;
}

static struct raw *next_raw(struct raw *raw)
{
    return (struct raw *)(void *)raw->node.next;
}

static void note_held(struct raws *r)
{
    stat_set(&r->gateway->metrics.raws_held, r->held);
}

struct raws *raws_new(struct gateway *g)
{
    struct raws *r = mem_new(struct raws);

    r->gateway = g;
    r->last = &r->first;
    return r;
}

struct raws *raws_free(struct raws *r)
{
    if (r == NULL) {
        return NULL;
    }
    raws_down(r);
    mem_free(r);
    return NULL;
}

void raws_take(struct raws *r, struct raw *raw)
{
    if (r->is_ending) {
        mem_free(raw); /* unacked: it goes back */
        return;
    }
    raw->node.next = NULL;
    *r->last = raw;
    r->last = (struct raw **)(void *)&raw->node.next;
    r->held++;
    note_held(r);
}

/* False: its lane has no room. */
static bool give(struct raws *r, struct raw *raw)
{
    const struct record record = {
        .room = raw->room,
        .user = raw->user,
        .time = clock_wall_ms(),
        .key = raw->key,
        .payload = raw->payload,
    };

    int answer = lanes_publish(r->gateway->lanes, &record, &(struct publish_origin){.raw = raw});
    assert(answer != LANES_BAD); /* raw_read() has looked at all of it */
    if (answer != 0) {
        return false;
    }
    stat_add(&r->gateway->metrics.raws, 1);
    r->in_lanes++;
    return true;
}

/* What is behind a message that has to wait, and goes the same way, waits too. */
void raws_flush(struct raws *r)
{
    uint32_t partitions = (uint32_t)r->gateway->conf->partitions;
    bool is_full[PARTITIONS_MAX] = {false};
    struct raw **link = &r->first;

    if (r->is_ending && r->in_lanes == 0 && !r->has_ended) {
        r->has_ended = true;
        bus_raw_end(r->gateway->bus);
    }
    if (r->held == 0) {
        return;
    }
    while (*link != NULL) {
        struct raw *raw = *link, *next = next_raw(raw);
        uint32_t p = room_partition(raw->room, partitions);

        if (is_full[p] || !give(r, raw)) {
            is_full[p] = true;
            link = (struct raw **)(void *)&raw->node.next;
        } else {
            *link = next;
            r->held--;
        }
    }
    r->last = link;
    note_held(r);
}

void raws_published(struct raws *r, struct raw *raw)
{
    r->in_lanes--;
    bus_raw_done(r->gateway->bus, raw);
}

void raws_given_up(struct raws *r, struct raw *raw)
{
    r->in_lanes--;
    mem_free(raw);
}

void raws_down(struct raws *r)
{
    while (r->first != NULL) {
        struct raw *raw = r->first;

        r->first = next_raw(raw);
        mem_free(raw);
    }
    r->last = &r->first;
    r->held = 0;
    note_held(r);
}

void raws_end(struct raws *r)
{
    r->is_ending = true;
    raws_down(r);
}
