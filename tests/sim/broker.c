/*
 * broker.c: a broker that keeps RabbitMQ's promises and no more.
 *
 * Input that was not acked goes back to its place; a stream skips offsets; a
 * confirm may get lost, a refused message may be there all the same, and an
 * append that was on its way may land long after its owner is gone.
 */
#include <stdio.h>

#include "common/mem.h"
#include "tests/sim/sim.h"

#define MAIL_MAX 1000
#define CHUNK_MAX 4       /* "last" begins at most so many messages before the end */
#define LATE_US 4000000   /* of an append that lands late */
#define REQUEUE_US 400000 /* a dead owner's input consumer may live on for so long */
#define SKIPPED_OFFSETS 5 /* per cent of the stream's offsets */
#define NACKED_PERCENT 4
#define LATE_PERCENT 5

/* The input. */

static void push_input(struct sim *s, uint32_t partition)
{
    struct sim_part *part = &s->parts[partition];
    size_t held = 0;

    while (part->in_first < part->in_count && part->in[part->in_first].state == SIM_GONE) {
        part->in_first++;
    }
    for (size_t i = part->in_first; i < part->in_count; i++) {
        held += part->in[i].state == SIM_HELD;
    }
    for (size_t i = part->in_first;
         i < part->in_count && part->consumer != NULL && held < s->plan.prefetch; i++) {
        if (part->in[i].state != SIM_READY) {
            continue;
        }
        part->in[i].state = SIM_HELD;
        held++;
        part->tags =
            sim_grow(part->tags, part->tag_count, &part->tag_capacity, sizeof(part->tags[0]));
        part->tags[part->tag_count++] = i;
        sim_to_client(part->consumer, host_on_input,
                      (struct sim_event){.letter = part->in[i].letter,
                                         .partition = partition,
                                         .tag = part->tag_count,
                                         .serial = part->consumer_serial});
    }
}

static void enqueue(struct sim *s, struct sim_letter *l, uint32_t partition)
{
    struct sim_part *part = &s->parts[partition];

    part->in = sim_grow(part->in, part->in_count, &part->in_capacity, sizeof(part->in[0]));
    part->in[part->in_count++] = (struct sim_input){.letter = l};
    push_input(s, partition);
}

void broker_poison(struct sim *s, uint32_t partition)
{
    const struct message m = {
        .type = MESSAGE_PUBLISH,
        .has = HAS_PARTITION | HAS_GATEWAY | HAS_BOOT | HAS_BATCH | HAS_RECORDS,
        .partition = partition,
        .gateway = SLICE_LIT("g1"),
        .boot = SLICE_LIT("00000000deadbeef"),
        .batch = 1,
        .records = 1,
    };

    enqueue(s, sim_letter_new(s, &m, SLICE_LIT("{\"room\":\n")), partition);
}

static size_t ready_count(const struct sim_part *part)
{
    size_t ready = 0;

    for (size_t i = part->in_first; i < part->in_count; i++) {
        ready += part->in[i].state == SIM_READY;
    }
    return ready;
}

void broker_on_publish(struct sim *s, struct sim_event *e)
{
    const struct message *m = &e->letter->m;
    bool is_full = ready_count(&s->parts[m->partition]) >= s->plan.in_max;
    bool is_nacked = is_full || (s->plan.nacks && !s->is_calm && sim_chance(s, NACKED_PERCENT));

    sim_trace(s, "broker: batch %.*s:%" PRIu64 " for partition %u%s", SLICE_ARG(m->boot), m->batch,
              m->partition, is_nacked ? " is refused" : "");
    if (!is_nacked || (!is_full && sim_chance(s, 20))) {
        enqueue(s, e->letter, m->partition);
    }
    sim_to_client(e->conn, gateways_on_confirm,
                  (struct sim_event){.tag = e->tag, .number = !is_nacked});
}

static struct sim_input *input_of(struct sim *s, const struct sim_event *e, uint64_t tag)
{
    struct sim_part *part = &s->parts[e->partition];

    if (part->consumer != e->conn || part->consumer_serial != e->serial) {
        return NULL;
    }
    if (tag == 0 || tag > part->tag_count) {
        sim_fault(s, "tag %" PRIu64 " of partition %u was never given", tag, e->partition);
        return NULL;
    }
    return &part->in[part->tags[tag - 1]];
}

/* `number`: all up to the tag. */
void broker_on_ack(struct sim *s, struct sim_event *e)
{
    struct sim_input *in = input_of(s, e, e->tag);

    if (in == NULL) {
        return;
    }
    if (in->state != SIM_HELD) {
        sim_fault(s, "tag %" PRIu64 " of partition %u is settled twice", e->tag, e->partition);
    }
    for (uint64_t tag = e->number != 0 ? 1 : e->tag; tag <= e->tag; tag++) {
        input_of(s, e, tag)->state = SIM_GONE;
    }
    push_input(s, e->partition);
}

void broker_on_reject(struct sim *s, struct sim_event *e)
{
    e->number = 0;
    broker_on_ack(s, e);
}

void broker_on_dead(struct sim *s, struct sim_event *e)
{
    (void)s;
    sim_to_client(
        e->conn, host_on_copied,
        (struct sim_event){.partition = e->partition, .tag = e->tag, .serial = e->serial});
}

static void requeue(struct sim *s, uint32_t partition)
{
    struct sim_part *part = &s->parts[partition];

    for (size_t i = 0; i < part->tag_count; i++) {
        struct sim_input *in = &part->in[part->tags[i]];

        if (in->state == SIM_HELD) {
            in->state = SIM_READY;
            in->redelivered = true;
            part->in_first = MIN(part->in_first, part->tags[i]);
        }
    }
    part->tag_count = 0;
    part->consumer = NULL;
}

void broker_on_consume(struct sim *s, struct sim_event *e)
{
    struct sim_part *part = &s->parts[e->partition];
    bool is_good = part->consumer == NULL;

    if (is_good) {
        part->consumer = e->conn;
        part->consumer_serial = e->serial;
    }
    sim_to_client(
        e->conn, host_on_consumed,
        (struct sim_event){.partition = e->partition, .number = is_good, .serial = e->serial});
    if (is_good) {
        push_input(s, e->partition);
    }
}

/* What is delivered stays with it until the channel is closed. */
void broker_on_cancel(struct sim *s, struct sim_event *e)
{
    (void)s;
    (void)e; /* further deliveries would be dropped by the host, and go back with the rest */
}

/* Mailboxes. */

static void push_mail(struct sim *s, uint32_t partition)
{
    struct sim_part *part = &s->parts[partition];

    while (part->mail_to != NULL && part->mail_at < part->mail.count) {
        sim_to_client(part->mail_to, host_on_mail,
                      (struct sim_event){.letter = part->mail.at[part->mail_at++],
                                         .partition = partition,
                                         .serial = part->mail_serial});
    }
}

void broker_on_mail(struct sim *s, struct sim_event *e)
{
    struct sim_part *part = &s->parts[e->letter->m.partition];

    if (part->lock == NULL) {
        return; /* nobody's: the exchange drops it */
    }
    if (s->now_us < s->overflow_us && sim_chance(s, 30)) {
        sim_trace(s, "broker: the mailbox of partition %u loses a message", e->letter->m.partition);
        return;
    }
    sim_letters_add(&part->mail, e->letter);
    if (part->mail.count - part->mail_at > MAIL_MAX) {
        part->mail_at++;
    }
    push_mail(s, e->letter->m.partition);
}

void broker_on_consume_mail(struct sim *s, struct sim_event *e)
{
    struct sim_part *part = &s->parts[e->partition];

    if (part->lock == e->conn) {
        part->mail_to = e->conn;
        part->mail_serial = e->serial;
        push_mail(s, e->partition);
    }
}

/* The log. */

static void push_log(struct sim *s, uint32_t partition)
{
    struct sim_part *part = &s->parts[partition];

    for (; part->reader != NULL && part->read_at < part->log.count; part->read_at++) {
        if (part->log.at[part->read_at] != NULL) {
            sim_to_client(part->reader, host_on_log,
                          (struct sim_event){.letter = part->log.at[part->read_at],
                                             .partition = partition,
                                             .tag = part->read_at,
                                             .number = part->reader_number,
                                             .serial = part->reader_serial});
        }
    }
}

void broker_on_read(struct sim *s, struct sim_event *e)
{
    struct sim_part *part = &s->parts[e->partition];

    part->reader = e->conn;
    part->reader_serial = e->serial;
    part->reader_number = e->tag;
    part->read_at = e->number;
    if (e->number == UINT64_MAX) {
        size_t chunk = 1 + sim_random(s, CHUNK_MAX);
        part->read_at = part->log.count - MIN(part->log.count, chunk);
        while (part->read_at > 0 &&
               (part->read_at == part->log.count || part->log.at[part->read_at] == NULL)) {
            part->read_at--; /* a chunk has a message */
        }
    }
    push_log(s, e->partition);
}

void broker_on_stop_reading(struct sim *s, struct sim_event *e)
{
    struct sim_part *part = &s->parts[e->partition];

    if (part->reader == e->conn && part->reader_serial == e->serial) {
        part->reader = NULL;
    }
}

static void land(struct sim *s, struct sim_letter *l, uint32_t partition)
{
    struct sim_part *part = &s->parts[partition];

    while (sim_chance(s, SKIPPED_OFFSETS)) {
        sim_letters_add(&part->log, NULL);
    }
    if (l->landed_us == 0) {
        l->landed_us = s->now_us;
    }
    sim_trace(s, "log %u: offset %zu is %s %" PRIu64 " of term %" PRIu64 " with %s%.*s", partition,
              part->log.count, message_type_name(l->m.type), l->m.number, l->m.term,
              l->m.lanes.size > 0 ? "" : "nothing", SLICE_ARG(l->m.lanes));
    sim_letters_add(&part->log, l);
    push_log(s, partition);
}

/* `number`: the broker confirms it. `tag`: which append. */
static void land_later(struct sim *s, struct sim_event *e)
{
    struct sim_conn *c = e->what;

    if (e->serial >> 32 == s->broker_life) {
        land(s, e->letter, e->partition);
        if (e->number != 0) {
            sim_to_client(c, host_on_confirm,
                          (struct sim_event){.partition = e->partition,
                                             .tag = e->tag,
                                             .number = 1,
                                             .serial = e->serial & UINT32_MAX});
        }
    }
}

void broker_on_append(struct sim *s, struct sim_event *e)
{
    bool is_nacked = s->plan.nacks && !s->is_calm && sim_chance(s, NACKED_PERCENT);
    bool is_late = s->plan.late_appends && !s->is_calm && sim_chance(s, LATE_PERCENT);
    struct sim_event landing = *e;

    if (is_nacked) {
        sim_trace(s, "broker: an append to partition %u is refused", e->partition);
        sim_to_client(
            e->conn, host_on_confirm,
            (struct sim_event){.partition = e->partition, .tag = e->tag, .serial = e->serial});
    }
    if (is_nacked && sim_chance(s, 50)) {
        return;
    }
    landing.number = !is_nacked;
    landing.what = e->conn;
    landing.conn = NULL;
    landing.fire = land_later;
    landing.at_us += is_late ? (int64_t)sim_random(s, LATE_US) : 0;
    landing.serial |= s->broker_life << 32;
    sim_push(s, &landing);
}

/* Deliveries. */

static void deliver(struct sim *s, struct sim_gateway *g, struct sim_letter *l)
{
    if (s->now_us < s->overflow_us && sim_chance(s, 20)) {
        sim_trace(s, "broker: the queue of %s loses a message", g->proc.name);
        return;
    }
    sim_to_client(g->queue, gateways_on_delivery, (struct sim_event){.letter = l});
}

void broker_on_send(struct sim *s, struct sim_event *e)
{
    plant_delivery(s, e->letter);
    for (unsigned i = 0; i < s->plan.gateways; i++) {
        struct sim_gateway *g = &s->gateways[i];

        if (strcmp(g->proc.name, e->letter->gateway) == 0 && g->queue != NULL) {
            deliver(s, g, e->letter);
            return;
        }
    }
    sim_to_client(
        e->conn, host_on_return,
        (struct sim_event){.letter = e->letter, .partition = e->partition, .serial = e->serial});
}

void broker_on_announce(struct sim *s, struct sim_event *e)
{
    for (unsigned i = 0; i < s->plan.gateways; i++) {
        if (s->gateways[i].queue != NULL) {
            deliver(s, &s->gateways[i], e->letter);
        }
    }
}

/* Locks. */

bool broker_claim(struct sim *s, struct sim_conn *c, uint32_t partition)
{
    struct sim_part *part = &s->parts[partition];

    if (part->lock != NULL) {
        return false;
    }
    part->lock = c;
    part->mail.count = part->mail_at = 0;
    part->mail_to = NULL;
    return true;
}

static void unlock(struct sim_part *part)
{
    part->lock = NULL;
    part->mail_to = NULL;
    part->mail.count = part->mail_at = 0;
}

void broker_on_release(struct sim *s, struct sim_event *e)
{
    struct sim_part *part = &s->parts[e->partition];

    if (part->consumer == e->conn && part->consumer_serial == e->serial) {
        requeue(s, e->partition);
    }
    if (part->reader == e->conn && part->reader_serial == e->serial) {
        part->reader = NULL;
    }
    if (part->lock == e->conn) {
        unlock(part);
    }
}

static void requeue_later(struct sim *s, struct sim_event *e)
{
    struct sim_part *part = &s->parts[e->partition];

    if (part->consumer == e->what && part->consumer_serial == e->serial) {
        requeue(s, e->partition);
        push_input(s, e->partition);
    }
}

void broker_forget(struct sim *s, struct sim_conn *c)
{
    for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
        struct sim_part *part = &s->parts[p];

        if (part->reader == c) {
            part->reader = NULL;
        }
        if (part->lock == c) {
            unlock(part);
        }
        if (part->consumer == c) {
            struct sim_event later = {
                .at_us = s->now_us, .fire = requeue_later, .what = c, .partition = p};
            later.serial = part->consumer_serial;
            later.at_us += (int64_t)sim_random(s, sim_chance(s, 70) ? 1000 : REQUEUE_US);
            sim_push(s, &later);
        }
    }
    if (c->gateway != NULL && c->gateway->queue == c) {
        c->gateway->queue = NULL;
    }
}

uint32_t broker_members(const struct sim *s)
{
    uint32_t members = 0;

    for (const struct sim_conn *c = s->conns; c != NULL; c = c->next_made) {
        members += c->host != NULL && c->broker_up && !c->host->share.is_stopping;
    }
    return members;
}

void broker_deinit(struct sim *s)
{
    for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
        mem_free(s->parts[p].log.at);
        mem_free(s->parts[p].in);
        mem_free(s->parts[p].tags);
        mem_free(s->parts[p].mail.at);
    }
}
