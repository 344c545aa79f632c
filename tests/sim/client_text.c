/* client_text.c: what a gateway's documents mean to a client. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

#define DROPPED_OF 2000 /* records one is, when that bug is planted */
#define TEMPORARY 100   /* error code */
#define RESUBSCRIBE 2500
#define MISSED_MAX 250 /* so many can be recovered, if memory is large */

static struct sim_line *line_of(struct sim *s, struct sim_client *c, const char *room)
{
    for (size_t i = 0; i < SIM_ROOMS; i++) {
        if (strcmp(s->rooms[i], room) == 0) {
            return &c->lines[i];
        }
    }
    sim_fault(s, "%s hears of a room %s", c->proc.name, room);
    return NULL;
}

/* The text behind `name`, or NULL. */
static const char *after(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at != NULL ? at + strlen(name) : NULL;
}

static uint64_t number_after(const char *text, const char *name)
{
    const char *at = after(text, name);

    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

static struct sim_seen *see(struct sim *s, struct sim_line *line)
{
    line->seen = sim_grow(line->seen, line->count, &line->capacity, sizeof(line->seen[0]));
    line->seen[line->count] = (struct sim_seen){.at_us = s->now_us};
    return &line->seen[line->count++];
}

/* {"data":{"n":17},...,"offset":4,...}; returns what follows, or NULL. */
static const char *take_publication(struct sim *s, struct sim_line *line, const char *text)
{
    const char *at = after(text, "\"data\":{\"n\":");

    if (at == NULL) {
        return NULL;
    }
    if (s->plant == SIM_DROP && sim_random(s, DROPPED_OF) == 0) {
        sim_trace(s, "PLANTED a record is dropped");
        return at;
    }
    struct sim_seen *seen = see(s, line);
    seen->publish = strtoull(at, NULL, 10);
    seen->offset = number_after(at, "\"offset\":");
    line->offset = seen->offset;
    s->counts.seen++;
    return at;
}

static void on_push(struct sim *s, struct sim_client *c, const char *text)
{
    char room[SIM_NAME_SIZE], kind[SIM_NAME_SIZE];

    if (sscanf(text, "{\"push\":{\"channel\":\"%15[^\"]\",\"%15[a-z]\"", room, kind) != 2) {
        sim_fault(s, "%s does not understand %s", c->proc.name, text);
        return;
    }
    struct sim_line *line = line_of(s, c, room);
    if (line == NULL || !line->is_subscribed) {
        return; /* it has left, and the gateway did not know */
    }
    if (strcmp(kind, "pub") == 0) {
        (void)take_publication(s, line, text);
    } else if (strcmp(kind, "unsubscribe") == 0) {
        if (number_after(text, "\"code\":") != RESUBSCRIBE) {
            sim_fault(s, "%s has to leave %s: %s", c->proc.name, room, text);
        }
        line->is_subscribed = false;
    } else {
        sim_fault(s, "%s does not expect %s", c->proc.name, text);
    }
}

static void on_subscribed(struct sim *s, struct sim_client *c, struct sim_line *line, char *text)
{
    char *publications = strstr(text, ",\"publications\":[");
    char epoch[EPOCH_MAX + 1] = "";
    char asked[EPOCH_MAX + 1];
    bool recovered;

    if (publications != NULL) {
        *publications++ = '\0';
    }
    const char *at = after(text, "\"epoch\":\"");
    if (at != NULL) {
        snprintf(epoch, sizeof(epoch), "%.*s", (int)strcspn(at, "\""), at);
    }
    recovered = strstr(text, "\"recovered\":true") != NULL;
    line->command = 0;
    line->is_subscribed = true;
    if (recovered &&
        (!line->asked_recover || (line->epoch[0] != '\0' && strcmp(line->epoch, epoch) != 0))) {
        sim_fault(s, "%s recovers another epoch than it asked for: %s", c->proc.name, text);
    }
    memcpy(asked, line->epoch, sizeof(asked));
    memcpy(line->epoch, epoch, sizeof(epoch));
    if (recovered) {
        s->counts.recovered++;
        if (publications == NULL) { /* what it missed was not for it: it has moved on */
            line->offset = number_after(text, "\"offset\":");
        }
    } else {
        struct sim_seen *start = see(s, line);
        uint64_t missed = number_after(text, "\"offset\":") - line->offset;
        start->is_start = true;
        start->offset = line->offset = number_after(text, "\"offset\":");
        memcpy(start->epoch, epoch, sizeof(epoch));
        s->counts.resets += line->asked_recover;
        if (line->asked_recover && s->plan.is_roomy &&
            (missed < MISSED_MAX || (asked[0] != '\0' && strcmp(asked, epoch) != 0))) {
            sim_fault(s, "%s does not recover though memory is large", c->proc.name);
        }
    }
    line->has_position = true;
    while (publications != NULL) {
        publications = (char *)(uintptr_t)take_publication(s, line, publications);
    }
}

static void on_subscribe_answer(struct sim *s, struct sim_client *c, struct sim_line *line,
                                const char *method, char *text)
{
    if (strcmp(method, "subscribe") == 0) {
        on_subscribed(s, c, line, text);
        return;
    }
    line->command = 0;
    if (number_after(text, "\"code\":") != TEMPORARY) {
        sim_fault(s, "%s cannot subscribe: %s", c->proc.name, text);
    }
}

static void on_published(struct sim *s, struct sim_client *c, size_t which, const char *method,
                         const char *text)
{
    struct sim_publish *p = &s->publishes[c->pending[which].publish];

    memmove(&c->pending[which], &c->pending[which + 1],
            (--c->pending_count - which) * sizeof(c->pending[0]));
    p->told_us = s->now_us;
    if (strcmp(method, "publish") == 0) {
        p->fate = SIM_CONFIRMED;
        s->counts.confirmed++;
        return;
    }
    p->fate = SIM_REFUSED;
    s->counts.refused++;
    if (number_after(text, "\"code\":") != TEMPORARY) {
        sim_fault(s, "%s cannot publish: %s", c->proc.name, text);
    }
}

static void on_reply(struct sim *s, struct sim_client *c, char *text)
{
    char method[SIM_NAME_SIZE];
    unsigned id;

    if (sscanf(text, "{\"id\":%u,\"%15[a-z_]\"", &id, method) != 2) {
        sim_fault(s, "%s does not understand %s", c->proc.name, text);
        return;
    }
    if (id == 1) {
        c->is_connected = strcmp(method, "connect") == 0;
        return;
    }
    for (size_t i = 0; i < SIM_ROOMS; i++) {
        if (c->lines[i].command == id) {
            on_subscribe_answer(s, c, &c->lines[i], method, text);
            return;
        }
    }
    for (size_t i = 0; i < c->pending_count; i++) {
        if (c->pending[i].id == id) {
            on_published(s, c, i, method, text);
            return;
        }
    }
    if (strcmp(method, "unsubscribe") != 0) {
        sim_fault(s, "%s did not ask for %s", c->proc.name, text);
    }
}

void client_on_text(struct sim *s, struct sim_client *c, char *text)
{
    sim_trace(s, "%s: hears %s", c->proc.name, text);
    if (strcmp(text, "{}") == 0) {
        client_say(c, "{}"); /* a ping */
    } else if (strncmp(text, "{\"push\":", 8) == 0) {
        on_push(s, c, text);
    } else {
        on_reply(s, c, text);
    }
}
