/*
 * clients.c: people with an SDK: they subscribe, publish, leave, get lost, and come back with the
 * position that they know.
 */
#include <errno.h>
#include <ev.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "gateway/session/sessions_internal.h"
#include "gateway/token/jwt.h"
#include "tests/sim/sim.h"

#define OPCODE_TEXT 0x1
#define OPCODE_CLOSE 0x8
#define LATENCY_US 2000
#define ACT_US 150000
#define SLOW_US 2000000
#define BURST_MAX 4
#define WHISPERS 40 /* of 100 publishes, where there are such */
#define SAY_MAX 512
#define SLOW_BUFFER 4608 /* bytes in the socket of one who may be slow */

static struct identity *identity_of(const struct sim_client *c)
{
    struct jwt_claims claims = {.role_count = 0};

    snprintf(claims.user, sizeof(claims.user), "u%u", c->number);
    snprintf(claims.name, sizeof(claims.name), "u%u", c->number);
    return identity_new(&claims);
}

void client_say(struct sim_client *c, const char *format, ...)
{
    static const char mask[4] = {0x12, 0x34, 0x56, 0x78};
    char text[SAY_MAX];
    struct buf frame = BUF_EMPTY;
    va_list args;

    va_start(args, format);
    size_t size = (size_t)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert(size < sizeof(text));
    buf_add_char(&frame, (char)(0x80 | OPCODE_TEXT));
    if (size < 126) {
        buf_add_char(&frame, (char)(0x80 | size));
    } else {
        buf_add_char(&frame, (char)(0x80 | 126));
        buf_add_char(&frame, (char)(size >> 8));
        buf_add_char(&frame, (char)(size & 0xff));
    }
    buf_add(&frame, mask, sizeof(mask));
    for (size_t i = 0; i < size; i++) {
        buf_add_char(&frame, (char)(text[i] ^ mask[i % 4]));
    }
    ssize_t sent = send(c->fd, frame.at, frame.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_deinit(&frame);
    if (sent < 0) {
        client_read_soon(c->sim, c); /* the gateway has ended it */
    }
    sim_trace(c->sim, "%s: says %s", c->proc.name, text);
}

/* The gateway's loop will see that something can be read or written. */
static void wake_gateway(struct sim *s, struct sim_client *c, int events)
{
    struct sim_event e = {
        .at_us = s->now_us + (int64_t)sim_random(s, LATENCY_US),
        .fire = gateways_on_bytes,
        .proc = &c->gateway->proc,
        .life = c->gateway_life,
        .what = c->gateway,
        .number = c->handle,
        .tag = (uint64_t)events,
    };

    sim_push(s, &e);
}

static void connect_to(struct sim *s, struct sim_client *c, struct sim_gateway *g)
{
    struct sessions *sessions = g->gateway.sessions;
    int fds[2], small = SLOW_BUFFER;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0) {
        sim_fault(s, "no socket pair");
        return;
    }
    if (s->plan.slow_clients) {
        (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    }
    sessions_open(sessions, &(struct session_opening){
                                .fd = fds[0],
                                .peer = c->proc.name,
                                .dialect = DIALECT_CENTRIFUGE,
                                .room = SLICE_NONE,
                                .identity = identity_of(c),
                                .answer = blob_new(0),
                            });
    c->fd = fds[1];
    c->handle = sessions->all->prev->handle; /* the newest one is the last one */
    c->gateway = g;
    c->gateway_life = g->proc.life;
    c->proc.is_up = true;
    c->proc.life++;
    c->is_connected = c->is_due = false;
    c->reads = true;
    c->session = ++s->sessions;
    c->last_command = 1;
    sim_trace(s, "%s: session %" PRIu64 " on %s", c->proc.name, c->session, g->proc.name);
    gateways_turn_soon(s, g);
    client_say(c, "{\"id\":1,\"connect\":{}}");
    wake_gateway(s, c, EV_READ);
}

/* What is not answered will not be. */
static void end(struct sim *s, struct sim_client *c)
{
    close(c->fd);
    c->fd = -1;
    c->proc.is_up = false;
    c->is_connected = false;
    c->pending_count = 0;
    buf_clear(&c->bytes);
    for (size_t i = 0; i < SIM_ROOMS; i++) {
        c->lines[i].is_subscribed = false;
        c->lines[i].command = 0;
    }
    sim_trace(s, "%s: session has ended", c->proc.name);
}

void client_drop(struct sim *s, struct sim_client *c)
{
    if (c->fd >= 0) {
        wake_gateway(s, c, EV_READ);
        end(s, c);
    }
}

/* Reading. */

static void on_close(struct sim *s, struct sim_client *c, struct slice payload)
{
    const unsigned char *at = (const unsigned char *)payload.at;
    int code = payload.size >= 2 ? at[0] << 8 | at[1] : 0;

    sim_trace(s, "%s: closed with %d", c->proc.name, code);
    if (code != 3001 && code != 3008 && code != 3010 && code != 3012 && code != 3502) {
        sim_fault(s, "%s is closed with %d", c->proc.name, code);
    }
}

/* The next frame, or false: there is no whole one. */
static bool take_frame(struct sim_client *c, int *opcode, struct slice *payload, size_t *taken)
{
    const unsigned char *at = (const unsigned char *)c->bytes.at;
    size_t head = 2, size, digits = 0;

    if (c->bytes.size < head) {
        return false;
    }
    size = at[1];
    if (size >= 126) {
        digits = size == 126 ? 2 : 8;
        size = 0;
    }
    if (c->bytes.size < head + digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        size = size << 8 | at[head + i];
    }
    head += digits;
    *opcode = at[0] & 0x0f;
    *payload = (struct slice){c->bytes.at + head, size};
    *taken = head + size;
    return c->bytes.size >= head + size;
}

static void take_texts(struct sim *s, struct sim_client *c, struct slice payload)
{
    while (payload.size > 0 && c->fd >= 0) {
        const char *stop = memchr(payload.at, '\n', payload.size);
        size_t size = stop != NULL ? (size_t)(stop - payload.at) : payload.size;
        char *text = mem_copy_text(payload.at, size);

        client_on_text(s, c, text);
        mem_free(text);
        size += stop != NULL;
        payload.at += size;
        payload.size -= size;
    }
}

static void on_readable(struct sim *s, struct sim_event *e)
{
    struct sim_client *c = e->what;
    struct slice payload;
    size_t taken;
    ssize_t size;
    int opcode;

    c->is_due = false;
    if (!c->reads) {
        return;
    }
    do {
        size = recv(c->fd, buf_reserve(&c->bytes, 16384), 16384, 0);
        buf_grew(&c->bytes, (size_t)MAX(size, 0));
    } while (size > 0);
    if (size < 0 && errno != EAGAIN) {
        size = 0; /* reset */
    }
    while (take_frame(c, &opcode, &payload, &taken)) {
        if (opcode == OPCODE_TEXT) {
            take_texts(s, c, payload);
        } else if (opcode == OPCODE_CLOSE) {
            on_close(s, c, payload);
            size = 0;
        }
        buf_consume(&c->bytes, taken);
    }
    if (size == 0) {
        wake_gateway(s, c, EV_READ);
        end(s, c);
    } else {
        wake_gateway(s, c, s->plan.slow_clients ? EV_READ | EV_WRITE : EV_READ);
    }
}

void client_read_soon(struct sim *s, struct sim_client *c)
{
    if (!c->is_due) {
        c->is_due = true;
        sim_later(s, &c->proc, 1 + (int64_t)sim_random(s, LATENCY_US), on_readable, c);
    }
}

/* Acting. */

static void subscribe(struct sim *s, struct sim_client *c, uint32_t room)
{
    struct sim_line *line = &c->lines[room];

    line->command = ++c->last_command;
    line->asked_recover = line->has_position;
    if (!line->has_position) {
        client_say(c, "{\"id\":%u,\"subscribe\":{\"channel\":\"%s\"}}", line->command,
                   s->rooms[room]);
    } else {
        client_say(c,
                   "{\"id\":%u,\"subscribe\":{\"channel\":\"%s\",\"recover\":true,\"epoch\":\"%s\","
                   "\"offset\":%" PRIu64 "}}",
                   line->command, s->rooms[room], line->epoch, line->offset);
    }
}

static void publish(struct sim *s, struct sim_client *c)
{
    uint32_t room = (uint32_t)sim_random(s, SIM_ROOMS);
    uint64_t n = s->publish_count;
    char whom[32] = "";

    s->publishes =
        sim_grow(s->publishes, s->publish_count, &s->publish_capacity, sizeof(s->publishes[0]));
    bool is_whisper = s->plan.whispers && sim_chance(s, WHISPERS);
    uint32_t to = is_whisper ? (uint32_t)sim_random(s, s->plan.clients) : SIM_NOWHERE;
    s->publishes[s->publish_count++] = (struct sim_publish){
        .client = c->number, .room = room, .to = to, .session = c->session, .asked_us = s->now_us};
    c->pending =
        sim_grow(c->pending, c->pending_count, &c->pending_capacity, sizeof(c->pending[0]));
    c->pending[c->pending_count++] = (struct sim_command){.id = ++c->last_command, .publish = n};
    s->counts.publishes++;
    if (is_whisper) {
        snprintf(whom, sizeof(whom), ",\"to\":\"u%u\"", to);
    }
    client_say(c, "{\"id\":%u,\"publish\":{\"channel\":\"%s\",\"data\":{\"n\":%" PRIu64 "%s}}}",
               c->last_command, s->rooms[room], n, whom);
}

static void leave(struct sim *s, struct sim_client *c, uint32_t room)
{
    struct sim_line *line = &c->lines[room];

    line->wants = line->is_subscribed = false;
    line->has_position = line->has_position && sim_chance(s, 70);
    client_say(c, "{\"id\":%u,\"unsubscribe\":{\"channel\":\"%s\"}}", ++c->last_command,
               s->rooms[room]);
}

static void read_again(struct sim *s, struct sim_event *e)
{
    struct sim_client *c = e->what;

    c->reads = true;
    client_read_soon(s, c);
}

static void whim(struct sim *s, struct sim_client *c)
{
    uint32_t room = (uint32_t)sim_random(s, SIM_ROOMS);
    uint64_t what = sim_random(s, 100);

    if (what < 60) {
        for (uint64_t i = sim_random(s, BURST_MAX); i < BURST_MAX; i++) {
            publish(s, c);
        }
    } else if (what < 70) {
        c->lines[room].wants = true;
    } else if (what < 74 && c->lines[room].is_subscribed) {
        leave(s, c, room);
    } else if (what < 76) {
        client_drop(s, c);
    } else if (what < 79 && s->plan.slow_clients && c->reads) {
        c->reads = false;
        sim_later(s, &c->proc, (int64_t)sim_random(s, SLOW_US), read_again, c);
    }
}

static void on_act(struct sim *s, struct sim_event *e)
{
    struct sim_client *c = e->what;
    struct sim_gateway *g = &s->gateways[sim_random(s, s->plan.gateways)];

    if (c->fd < 0 && g->proc.is_up && s->now_us >= g->proc.frozen_us) {
        connect_to(s, c, g);
    } else if (c->fd >= 0 && c->is_connected) {
        for (uint32_t i = 0; i < SIM_ROOMS; i++) {
            struct sim_line *line = &c->lines[i];
            if (line->wants && !line->is_subscribed && line->command == 0 && sim_chance(s, 50)) {
                subscribe(s, c, i);
            }
        }
        if (!s->is_calm) {
            whim(s, c);
        }
    }
    if (c->fd >= 0) {
        wake_gateway(s, c, EV_READ);
        client_read_soon(s, c); /* the gateway may have ended it without a word */
    }
    sim_later(s, NULL, 1 + (int64_t)sim_random(s, ACT_US), on_act, c);
}

void client_start(struct sim *s, struct sim_client *c)
{
    for (size_t i = 0; i < SIM_ROOMS; i++) {
        c->lines[i].wants = sim_chance(s, 60);
    }
    sim_later(s, NULL, (int64_t)sim_random(s, ACT_US), on_act, c);
}

bool client_is_settled(const struct sim_client *c)
{
    if (c->fd < 0 || !c->is_connected || c->pending_count > 0) {
        return false;
    }
    for (size_t i = 0; i < SIM_ROOMS; i++) {
        const struct sim_line *line = &c->lines[i];
        if (line->command != 0 || (line->wants && !line->is_subscribed)) {
            return false;
        }
    }
    return true;
}

void client_deinit(struct sim_client *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    mem_free(c->pending);
    buf_deinit(&c->bytes);
    for (size_t i = 0; i < SIM_ROOMS; i++) {
        mem_free(c->lines[i].seen);
    }
}
