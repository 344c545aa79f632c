/*
 * gateway_kit.h: a whole gateway without RabbitMQ, for tests of its core.
 *
 * The gateway is the real one; the bus is not: what it hands over is kept until
 * the test takes it, and the test says what the broker and the owners say.
 * Sessions are real too, over socket pairs. Everything runs in the test's
 * thread: whatever must happen is waited for by turning the loop, and what must
 * not happen is looked for after a few idle turns.
 */
#ifndef WARREN_TESTS_UNIT_GATEWAY_KIT_H
#define WARREN_TESTS_UNIT_GATEWAY_KIT_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/clock.h"
#include "gateway/bus/bus.h"
#include "gateway/bus/links.h"
#include "gateway/bus/raw.h"
#include "gateway/conf.h"
#include "gateway/gateway.h"
#include "gateway/room/rooms.h"
#include "gateway/session/sessions.h"

#define KIT_PARTITIONS 4
#define KIT_SENT_MAX 512
#define KIT_RAWS_MAX 512
#define KIT_WAIT_MS 5000 /* for what must happen */
#define KIT_TERM 3
#define KIT_ROOM_SIZE 16

/* What the gateway handed over and nobody has taken yet. */
struct bus {
    struct bus_out *sent[KIT_SENT_MAX];
    size_t count;
    bool is_full, is_up;
    uint64_t raw_tags[KIT_RAWS_MAX]; /* given back as safe */
    size_t raw_count;
    bool raw_has_ended;
    uint64_t counts; /* wanted so far */
};

/* The owner of one partition, as far as a link needs one. */
struct kit_owner {
    uint64_t link, number, term;
    char boot[BOOT_SIZE + 1];
};

struct kit {
    struct gateway_conf conf; /* may be changed between kit_init() and kit_start() */
    struct gateway gateway;
    struct ev_loop *loop;
    struct bus bus;
    struct kit_owner owners[KIT_PARTITIONS];
};

/* Settings that disturb no test. */
struct gateway_conf kit_conf(void);

/* With these; then the gateway, with a bus that is up. */
void kit_init(struct kit *k);
void kit_start(struct kit *k);
void kit_begin(struct kit *k);
/* The same, without presence: links carry rooms only. */
void kit_begin_without_presence(struct kit *k);
/* Ends everything; what nobody took is freed. */
void kit_end(struct kit *k);

/* One turn that does not wait; enough turns for everything that is due now. */
void kit_turn(struct kit *k);
void kit_settle(struct kit *k);

/* Turns until the condition holds; the test fails when it does not come true. */
#define KIT_UNTIL(k, condition)                                                                    \
    do {                                                                                           \
        int64_t kit_until = clock_mono_ms() + KIT_WAIT_MS;                                         \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms() > kit_until) {                                                     \
                fail_msg("%s:%d: never came true: %s", __FILE__, __LINE__, #condition);            \
            }                                                                                      \
            kit_turn_slowly(k);                                                                    \
        }                                                                                          \
    } while (false)
void kit_turn_slowly(struct kit *k);

/* Lets so much time pass; timers of the loop notice. */
static inline void kit_wait(struct kit *k, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;

    while (clock_mono_ms() < until) {
        kit_turn_slowly(k);
    }
}

/* Waits for the next tick of the gateway. */
void kit_tick(struct kit *k);

/* The gateway's clocks jump; timers of the loop do not notice, ticks do. */
void kit_skip(int64_t ms);

/* The gateway's clocks stand still, and only jump; the waits of this kit have no end meanwhile. */
void kit_stop_clocks(void);
void kit_start_clocks(void);

/* Both connections to the broker are up, or down. */
void kit_bus_up(struct kit *k);
void kit_bus_down(struct kit *k);

/* How many messages of a kind wait to be taken. */
size_t kit_count(const struct kit *k, enum message_type type);
/* The oldest one of a kind, waited for. Freed with bus_out_free() or given to kit_result(). */
struct bus_out *kit_take(struct kit *k, enum message_type type);
/* The same of one partition. */
struct bus_out *kit_take_of(struct kit *k, enum message_type type, uint32_t partition);
/* Takes and frees one, after comparing its body. */
void kit_expect_body(struct kit *k, enum message_type type, const char *body);
/* Settles; the test fails if any of the kind was sent. */
void kit_expect_none(struct kit *k, enum message_type type);
/* Takes and frees all of a kind. */
void kit_drop(struct kit *k, enum message_type type);
void kit_result(struct kit *k, struct bus_out *batch, enum bus_result result);

/* The partition of a room; the room number `n` of a partition. */
uint32_t kit_partition(const char *room);
void kit_room(char room[KIT_ROOM_SIZE], uint32_t partition, unsigned n);

/* Takes an attach of the partition: from now on the owner speaks on that link. */
void kit_attach(struct kit *k, uint32_t partition);
/* The next message of the owner's link: MESSAGE_POSITIONS or MESSAGE_DELIVER. */
void kit_say(struct kit *k, uint32_t partition, enum message_type type, const char *body);
/* A message as it is. */
void kit_say_raw(struct kit *k, const struct message *m);
/* The owner announces itself. */
void kit_announce(struct kit *k, uint32_t partition, uint64_t term);
/* Takes the question of a kind and answers it. */
void kit_answer(struct kit *k, enum message_type question, enum message_type answer,
                const char *body);

/* Takes the attach of the room's partition and answers that the room stands at (epoch, offset); it
 * has not spoken yet when the epoch is "". */
void kit_position(struct kit *k, const char *room, const char *epoch, uint64_t offset);
/* Delivers records `first` to `last` of a room on its link; their payloads are {"n":OFFSET}. */
void kit_deliver(struct kit *k, const char *room, const char *epoch, uint64_t first, uint64_t last);
/* Appends such a record. */
void kit_add_record(struct buf *out, const char *room, const char *epoch, uint64_t offset,
                    const char *payload);

/* The other end of a session. */
struct peer {
    struct kit *kit;
    int fd;
    session_handle handle;
    struct buf bytes;   /* received and not looked at */
    struct buf message; /* the last frame, see peer_next() */
    bool is_ended;      /* the gateway has ended TCP */
    unsigned packed;    /* frames that came compressed; they are heard as any other */
};

/* Opens a session of user `user` ("": nobody yet). Plain ones enter `room`. */
void peer_open(struct peer *p, struct kit *k, enum dialect dialect, const char *user,
               const char *room);
/* A plain one with ?events=1. */
void peer_open_with_events(struct peer *p, struct kit *k, const char *user, const char *room);
/* The same, with permessage-deflate and a window of so many bits. */
void peer_open_packed(struct peer *p, struct kit *k, enum dialect dialect, const char *user,
                      const char *room, unsigned window);
/* Opens a Centrifuge session and connects it. */
void peer_connect(struct peer *p, struct kit *k, const char *user);
/* The same, and subscribes, which needs a room with a position. */
void peer_join(struct peer *p, struct kit *k, const char *user, const char *room);
void peer_end(struct peer *p);

/* The session, or NULL when it is gone. */
struct session *peer_session(const struct peer *p);

/* Subscribes under id 2; the answer is the caller's. */
void peer_subscribe(struct peer *p, const char *room);

/* A text message; any frame. */
void peer_send(struct peer *p, const char *text);
void peer_send_frame(struct peer *p, int opcode, const void *at, size_t size);

/* The next frame, waited for: the text, or "binary 00ff", "ping", "close 3008 slow", "end" for the
 * end of TCP.
 * Valid until the next call. */
const char *peer_next(struct peer *p);
void peer_expect(struct peer *p, const char *want);
/* The next frame must contain `part`. */
void peer_expect_part(struct peer *p, const char *part);
/* Settles; the test fails if anything came. */
void peer_expect_nothing(struct peer *p);
/* {"n":OFFSET} of a room arrives as a push, or bare in the plain dialect, for each of the offsets.
 */
void peer_expect_records(struct peer *p, const char *room, uint64_t first, uint64_t last);
void peer_expect_plain(struct peer *p, uint64_t first, uint64_t last);

#endif
