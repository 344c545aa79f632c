/* world.c: chance, time, and the heap of what will happen. */
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/mem.h"
#include "tests/sim/sim.h"

#define WALL_MS INT64_C(1790000000000) /* the calendar when a run begins */

static int64_t now_us; /* of the run: the clocks have no other way to know */
static uint64_t ids;   /* state of __wrap_hash_random() */

int64_t clock_mono_ms(void)
{
    return now_us / 1000;
}

int64_t clock_mono_us(void)
{
    return now_us;
}

int64_t clock_wall_ms(void)
{
    return WALL_MS + now_us / 1000;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void __wrap_hash_random(void *at, size_t size)
{
    char *to = at;

    for (size_t i = 0; i < size; i++) {
        to[i] = (char)next_random(&ids);
    }
}

void sim_clock_set(struct sim *s, int64_t at_us)
{
    s->now_us = now_us = at_us;
    ids = s->seed;
}

uint64_t sim_random(struct sim *s, uint64_t below)
{
    return next_random(&s->random) % below;
}

bool sim_chance(struct sim *s, unsigned percent)
{
    return sim_random(s, 100) < percent;
}

static void print_time(const struct sim *s)
{
    fprintf(stderr, "%4" PRId64 ".%06" PRId64 " ", s->now_us / 1000000, s->now_us % 1000000);
}

void sim_trace(const struct sim *s, const char *format, ...)
{
    va_list args;

    if (s->traces) {
        print_time(s);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
    }
}

void sim_fault(struct sim *s, const char *format, ...)
{
    va_list args;

    if (s->fault[0] == '\0') {
        va_start(args, format);
        (void)vsnprintf(s->fault, sizeof(s->fault), format, args);
        va_end(args);
        sim_trace(s, "FAULT %s", s->fault);
    }
}

void *sim_grow(void *at, size_t count, size_t *capacity, size_t size)
{
    if (count == *capacity) {
        *capacity = MAX((size_t)16, *capacity * 2);
        at = mem_realloc(at, *capacity * size);
    }
    return at;
}

/* The heap. */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void heap_put(struct sim *s, const struct sim_event *e)
{
    size_t i = s->event_count;

    s->events = sim_grow(s->events, s->event_count, &s->event_capacity, sizeof(*e));
    s->event_count++;
    while (i > 0 && is_before(e, &s->events[(i - 1) / 2])) {
        s->events[i] = s->events[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->events[i] = *e;
}

static struct sim_event heap_take(struct sim *s)
{
    struct sim_event first = s->events[0], last = s->events[--s->event_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= s->event_count) {
            break;
        }
        if (child + 1 < s->event_count && is_before(&s->events[child + 1], &s->events[child])) {
            child++;
        }
        if (is_before(&last, &s->events[child])) {
            break;
        }
        s->events[i] = s->events[child];
        i = child;
    }
    s->events[i] = last;
    return first;
}

void sim_push(struct sim *s, const struct sim_event *e)
{
    struct sim_event copy = *e;

    assert(copy.at_us >= s->now_us);
    copy.order = ++s->orders;
    heap_put(s, &copy);
}

void sim_later(struct sim *s, struct sim_proc *proc, int64_t in_us, sim_fire *fire, void *what)
{
    sim_push(s, &(struct sim_event){
                    .at_us = s->now_us + in_us,
                    .fire = fire,
                    .proc = proc,
                    .life = proc != NULL ? proc->life : 0,
                    .what = what,
                });
}

/* What was on its way when its connection broke may get lost. */
static bool is_lost(const struct sim_event *e)
{
    if (e->conn == NULL) {
        return false;
    }
    if (e->to_broker) {
        return !e->conn->broker_up || e->at_us > e->conn->broker_deaf_us;
    }
    return !e->conn->client_up || (!e->has_arrived && e->at_us > e->conn->client_deaf_us);
}

bool sim_step(struct sim *s)
{
    if (s->event_count == 0) {
        return false;
    }
    struct sim_event e = heap_take(s);

    s->now_us = now_us = e.at_us;
    if (e.proc != NULL && (!e.proc->is_up || e.proc->life != e.life)) {
        return true;
    }
    if (is_lost(&e)) {
        return true;
    }
    if (e.proc != NULL && e.at_us < e.proc->frozen_us) {
        e.at_us = e.proc->frozen_us; /* in the order in which it came */
        e.has_arrived = true;
        heap_put(s, &e);
        return true;
    }
    s->counts.events++;
    e.fire(s, &e);
    return true;
}

/* Letters. */

struct sim_letter *sim_letter_new(struct sim *s, const struct message *m, struct slice body)
{
    struct sim_letter *l = mem_new(struct sim_letter);
    struct slice *texts[] = {&l->m.gateway, &l->m.boot, &l->m.owner, &l->m.lanes, &l->m.body};

    l->m = *m;
    l->m.body = body;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        buf_add_slice(&l->texts, *texts[i]);
    }
    const char *at = l->texts.at;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        texts[i]->at = at;
        at += texts[i]->size;
    }
    l->next_made = s->letters;
    s->letters = l;
    return l;
}

void sim_letters_add(struct sim_letters *all, struct sim_letter *l)
{
    all->at = sim_grow(all->at, all->count, &all->capacity, sizeof(all->at[0]));
    all->at[all->count++] = l;
}

struct mq_event sim_letter_event(const struct sim_letter *l, struct mq_props *props,
                                 char scratch[ID_MAX * 2])
{
    message_to_props(&l->m, SLICE_LIT("warren/sim"), scratch, props);
    return (struct mq_event){
        .kind = MQ_DELIVERY, .props = *props, .body = l->m.body, .stream_offset = -1};
}
