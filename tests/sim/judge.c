/*
 * judge.c: what the logs say, read by their rules alone, against what clients were told and saw.
 *
 * An append counts if no higher term was in force before it and one of its
 * batches is new. The records of those that count are a room's truth.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "proto/record.h"
#include "tests/sim/sim.h"

struct fact {
    uint64_t publish, offset;
    char epoch[EPOCH_MAX + 1];
    int64_t landed_us;
};

struct truth {
    struct fact *at; /* owns */
    size_t count, capacity;
};

struct mark {
    char boot[BOOT_SIZE + 1];
    uint64_t batch;
};

struct court {
    struct sim *s;
    struct truth rooms[SIM_ROOMS];
    struct mark *marks; /* owns */
    size_t mark_count, mark_capacity;
};

static struct mark *mark_of(struct court *j, const char *boot)
{
    for (size_t i = 0; i < j->mark_count; i++) {
        if (strcmp(j->marks[i].boot, boot) == 0) {
            return &j->marks[i];
        }
    }
    j->marks = sim_grow(j->marks, j->mark_count, &j->mark_capacity, sizeof(j->marks[0]));
    struct mark *mark = &j->marks[j->mark_count++];
    *mark = (struct mark){.batch = 0};
    memcpy(mark->boot, boot, BOOT_SIZE);
    return mark;
}

/* True if a batch of it is new. */
static bool read_lanes(struct court *j, const struct sim_letter *l)
{
    char *lanes = mem_copy_text(l->m.lanes.at, l->m.lanes.size), *save = NULL;
    bool has_new = false;

    for (char *name = strtok_r(lanes, " ", &save); name != NULL;
         name = strtok_r(NULL, " ", &save)) {
        uint64_t batch = strtoull(name + BOOT_SIZE + 1, NULL, 10);
        name[BOOT_SIZE] = '\0';
        struct mark *mark = mark_of(j, name);

        if (batch > mark->batch) {
            mark->batch = batch;
            has_new = true;
        }
    }
    mem_free(lanes);
    return has_new;
}

static uint32_t room_number(const struct sim *s, struct slice name)
{
    uint32_t i = 0;

    while (i < SIM_ROOMS && !slice_equal(slice_of(s->rooms[i]), name)) {
        i++;
    }
    return i;
}

static bool is_old_epoch(const struct truth *t, struct slice epoch)
{
    for (size_t i = 0; i < t->count; i++) {
        if (slice_equal(slice_of(t->at[i].epoch), epoch)) {
            return true;
        }
    }
    return false;
}

static void read_record(struct court *j, const struct record *r, const struct sim_letter *l)
{
    struct sim *s = j->s;
    uint32_t room = room_number(s, r->room);
    unsigned long long n;
    char payload[64];

    snprintf(payload, sizeof(payload), "%.*s", SLICE_ARG(r->payload));
    if (room == SIM_ROOMS || sscanf(payload, "{\"n\":%llu}", &n) != 1 || n >= s->publish_count) {
        sim_fault(s, "nobody wrote %s to %.*s", payload, SLICE_ARG(r->room));
        return;
    }
    struct truth *t = &j->rooms[room];
    const struct fact *last = t->count > 0 ? &t->at[t->count - 1] : NULL;
    bool is_same = last != NULL && slice_equal(slice_of(last->epoch), r->epoch);

    if (r->offset != (is_same ? last->offset + 1 : 1) || (!is_same && is_old_epoch(t, r->epoch))) {
        sim_fault(s, "the log of %s goes from %s:%" PRIu64 " to %.*s:%" PRIu64, s->rooms[room],
                  last != NULL ? last->epoch : "", last != NULL ? last->offset : 0,
                  SLICE_ARG(r->epoch), r->offset);
    }
    struct sim_publish *p = &s->publishes[n];
    if (p->times++ == 0) {
        p->at = t->count;
        p->offset = r->offset;
        snprintf(p->epoch, sizeof(p->epoch), "%.*s", SLICE_ARG(r->epoch));
    }
    if (p->room != room) {
        sim_fault(s, "%llu is in the log of another room", n);
    }
    t->at = sim_grow(t->at, t->count, &t->capacity, sizeof(t->at[0]));
    struct fact *fact = &t->at[t->count++];
    *fact = (struct fact){.publish = n, .offset = r->offset, .landed_us = l->landed_us};
    memcpy(fact->epoch, r->epoch.at, r->epoch.size);
}

static void read_log(struct court *j, const struct sim_part *part)
{
    uint64_t highest = 0;

    j->mark_count = 0; /* a lane is a gateway's life and a partition */
    for (size_t i = 0; i < part->log.count; i++) {
        const struct sim_letter *l = part->log.at[i];
        struct slice rest;
        struct record r;

        if (l == NULL || l->m.type == MESSAGE_CLAIM || l->m.term < highest) {
            continue;
        }
        if (l->m.type == MESSAGE_TERM) {
            highest = l->m.term;
        } else if (l->m.term > highest) {
            sim_fault(j->s, "offset %zu has a term without a marker", i);
        } else if (l->m.type == MESSAGE_APPEND && read_lanes(j, l)) {
            rest = l->m.body;
            while (record_next(&rest, true, &r) == 0) {
                read_record(j, &r, l);
            }
            if (rest.size > 0) {
                sim_fault(j->s, "offset %zu cannot be read", i);
            }
        }
    }
}

/* What was told about publishes. */
static void judge_publishes(struct court *j)
{
    struct sim *s = j->s;

    for (size_t n = 0; n < s->publish_count; n++) {
        const struct sim_publish *p = &s->publishes[n];

        if (p->fate == SIM_CONFIRMED && p->times == 0) {
            sim_fault(s, "%zu was confirmed and is lost", n);
        }
        if (p->fate == SIM_REFUSED && p->times > 0) {
            sim_fault(s, "%zu was refused and is there", n);
        }
        if (p->times > 1) {
            sim_fault(s, "%zu is doubled", n);
        }
    }
}

/* What one session sent stands in that order; what was confirmed stands before what was sent
 * later. */
static void judge_order(struct court *j, uint32_t room)
{
    struct sim *s = j->s;
    const struct truth *t = &j->rooms[room];
    uint64_t *last = mem_zalloc(s->sessions + 1, sizeof(last[0]));
    int64_t asked_us = 0;

    for (size_t i = 0; i < t->count; i++) {
        const struct sim_publish *p = &s->publishes[t->at[i].publish];

        if (last[p->session] > t->at[i].publish + 1) {
            sim_fault(s, "%" PRIu64 " of session %" PRIu64 " comes after %" PRIu64,
                      t->at[i].publish, p->session, last[p->session] - 1);
        }
        last[p->session] = t->at[i].publish + 1;
        if (p->fate == SIM_CONFIRMED && p->told_us < asked_us) {
            sim_fault(s,
                      "%" PRIu64 " was confirmed before another one was sent, and comes after it",
                      t->at[i].publish);
        }
        asked_us = MAX(asked_us, p->asked_us);
    }
    mem_free(last);
}

/* It is for everybody, for this client, or from it. */
static bool may_see(const struct court *j, const struct sim_client *c, const struct fact *fact)
{
    const struct sim_publish *p = &j->s->publishes[fact->publish];

    return p->to == SIM_NOWHERE || p->to == c->number || p->client == c->number;
}

/* All facts from index `from` to before `to` are not for this client. */
static bool is_silence(const struct court *j, const struct sim_client *c, const struct truth *t,
                       size_t from, size_t to)
{
    bool is_silent = from <= to;

    for (size_t i = from; is_silent && i < to; i++) {
        is_silent = !may_see(j, c, &t->at[i]);
    }
    return is_silent;
}

/* The line begins at the beginning of a life, and this was said in one before. */
static bool begins_behind(const struct sim_seen *start, const struct fact *fact)
{
    return start->offset == 0 && fact->landed_us <= start->at_us;
}

/* The first record after a start continues it, or is the first of a life of which nothing before
 * was missed; but for what is not for this client. */
static bool follows_start(const struct court *j, const struct sim_client *c, const struct truth *t,
                          size_t at, const struct sim_seen *start)
{
    for (;; at--) {
        const struct fact *fact = &t->at[at];
        bool is_same = strcmp(start->epoch, fact->epoch) == 0;

        if (is_same && fact->offset <= start->offset + 1) {
            return fact->offset == start->offset + 1;
        }
        if (!is_same && fact->offset == 1 && (at == 0 || t->at[at - 1].landed_us <= start->at_us)) {
            return true;
        }
        if (at == 0 || may_see(j, c, &t->at[at - 1])) {
            return false;
        }
    }
}

/* A line goes on with what follows in the log. */
static void judge_line(struct court *j, const struct sim_client *c, uint32_t room)
{
    struct sim *s = j->s;
    const struct truth *t = &j->rooms[room];
    const struct sim_line *line = &c->lines[room];
    const struct sim_seen *start = NULL;
    size_t next = SIZE_MAX; /* in the truth; SIZE_MAX: not known */

    for (size_t i = 0; i < line->count; i++) {
        const struct sim_seen *seen = &line->seen[i];
        const struct sim_publish *p = &s->publishes[seen->publish];

        if (seen->is_start) {
            start = seen;
            next = SIZE_MAX;
            continue;
        }
        if (seen->publish >= s->publish_count || p->times == 0 || p->room != room) {
            sim_fault(s, "%s saw %" PRIu64 ", which is not in the log", c->proc.name,
                      seen->publish);
            return;
        }
        const struct fact *fact = &t->at[p->at];
        if (fact->offset != seen->offset) {
            sim_fault(s, "%s saw %" PRIu64 " under another offset", c->proc.name, seen->publish);
        }
        if (fact->landed_us > seen->at_us) {
            sim_fault(s, "%s saw %" PRIu64 " before the log had it", c->proc.name, seen->publish);
        }
        if (!may_see(j, c, fact)) {
            sim_fault(s, "%s saw %" PRIu64 ", which is not for it", c->proc.name, seen->publish);
        }
        bool follows = next != SIZE_MAX ? is_silence(j, c, t, next, p->at)
                                        : follows_start(j, c, t, p->at, start);
        if (!follows) {
            sim_fault(s, "%s in %s saw %" PRIu64 " (offset %" PRIu64 ") out of its place",
                      c->proc.name, s->rooms[room], seen->publish, seen->offset);
        }
        next = p->at + 1;
    }
}

/* Who is in a room stands at its end, but for what is not for him. */
static bool is_at_end(const struct court *j, const struct sim_client *c, uint32_t room)
{
    const struct truth *t = &j->rooms[room];
    const struct sim_line *line = &c->lines[room];
    const struct sim_seen *last = line->count > 0 ? &line->seen[line->count - 1] : NULL;

    if (!line->is_subscribed || t->count == 0) {
        return true;
    }
    if (last == NULL || !last->is_start) {
        return last != NULL && is_silence(j, c, t, j->s->publishes[last->publish].at + 1, t->count);
    }
    for (size_t i = t->count; i-- > 0;) {
        const struct fact *fact = &t->at[i];

        if ((last->offset == fact->offset && strcmp(last->epoch, fact->epoch) == 0) ||
            begins_behind(last, fact)) {
            return true;
        }
        if (may_see(j, c, fact)) {
            return false;
        }
    }
    return true;
}

bool judge(struct sim *s, bool is_over)
{
    struct court j = {.s = s};
    bool at_end = true;

    for (size_t n = 0; n < s->publish_count; n++) {
        s->publishes[n].times = 0;
    }
    for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
        read_log(&j, &s->parts[p]);
    }
    if (is_over) {
        judge_publishes(&j);
    }
    for (uint32_t room = 0; room < SIM_ROOMS; room++) {
        for (unsigned i = 0; i < s->plan.clients; i++) {
            at_end = at_end && is_at_end(&j, &s->clients[i], room);
            if (is_over) {
                judge_line(&j, &s->clients[i], room);
            }
        }
        if (is_over) {
            judge_order(&j, room);
        }
        mem_free(j.rooms[room].at);
    }
    mem_free(j.marks);
    return at_end;
}
