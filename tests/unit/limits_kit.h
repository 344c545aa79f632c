/*
 * limits_kit.h: a session that meets limits, and the counters of these.
 */
#ifndef WARREN_TESTS_UNIT_LIMITS_KIT_H
#define WARREN_TESTS_UNIT_LIMITS_KIT_H

#include "tests/unit/gateway_kit.h"

#define ROOM "lobby"

static inline uint64_t met(const struct kit *k, enum limit limit)
{
    return stat_get(&k->gateway.metrics.limits.met[limit]);
}

/* Exactly this limit was met, and so many times. */
static inline void expect_met(const struct kit *k, enum limit limit, uint64_t times)
{
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        uint64_t want = i == limit ? times : 0;

        if (met(k, (enum limit)i) != want) {
            fail_msg("%s: %" PRIu64 ", not %" PRIu64, gateway_limits.rows[i].label,
                     met(k, (enum limit)i), want);
        }
    }
}

/* The publish under an id, with raw data. */
static inline void publish(struct peer *p, unsigned id, const char *room, const char *data)
{
    struct buf command = BUF_EMPTY;

    buf_addf(&command, "{\"id\":%u,\"publish\":{\"channel\":\"%s\",\"data\":", id, room);
    buf_add_slice(&command, slice_of(data));
    buf_add_lit(&command, "}}");
    buf_add_char(&command, '\0');
    peer_send(p, command.at);
    kit_settle(p->kit);
    buf_deinit(&command);
}

static inline void expect_error(struct peer *p, unsigned id, const char *rest)
{
    char want[200];

    snprintf(want, sizeof(want), "{\"id\":%u,\"error\":{\"code\":%s}}", id, rest);
    peer_expect(p, want);
}

/* The confirm of the publish under an id. */
static inline void expect_published(struct peer *p, unsigned id)
{
    char want[60];

    kit_result(p->kit, kit_take(p->kit, MESSAGE_PUBLISH), BUS_CONFIRMED);
    snprintf(want, sizeof(want), "{\"id\":%u,\"publish\":{}}", id);
    peer_expect(p, want);
}

/* `count` times the character, in quotes. */
static inline const char *quoted(struct buf *b, size_t count)
{
    buf_clear(b);
    buf_add_char(b, '"');
    for (size_t i = 0; i < count; i++) {
        buf_add_char(b, 'x');
    }
    buf_add_lit(b, "\"");
    buf_add_char(b, '\0');
    return b->at;
}

static inline const char *nested(struct buf *b, size_t levels)
{
    buf_clear(b);
    for (size_t i = 0; i < levels; i++) {
        buf_add_char(b, '[');
    }
    for (size_t i = 0; i < levels; i++) {
        buf_add_char(b, ']');
    }
    buf_add_char(b, '\0');
    return b->at;
}

#define BEGIN(peers_user)                                                                          \
    struct kit k;                                                                                  \
    struct peer a;                                                                                 \
    (void)state;                                                                                   \
    kit_init(&k);                                                                                  \
    set_up(&k.conf);                                                                               \
    kit_start(&k);                                                                                 \
    peer_connect(&a, &k, peers_user)

static inline void set_up(struct gateway_conf *c)
{
    c->max_message = 20000;
    c->max_payload = 1000;
    c->max_depth = 8;
    c->max_fragments = 300;
    c->max_control_rate = 5;
    c->errors_max = 3;
    c->history_limit = 10;
    c->out_queue = 65536;
}

#endif
