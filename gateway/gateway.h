/*
 * gateway.h: the root object: owns the parts, starts and ends them.
 *
 * One thread runs the loop and owns every session, room and frame. Two bus
 * threads speak AMQP (bus.h). At the end of each turn of the loop, in this
 * order: links speak, batches leave, sessions are flushed, dead ones are freed.
 */
#ifndef WARREN_GATEWAY_GATEWAY_H
#define WARREN_GATEWAY_GATEWAY_H

#include <ev.h>

#include "common/base.h"
#include "gateway/conf.h"
#include "gateway/edge/origin.h"
#include "gateway/metrics.h"
#include "gateway/ws/compress.h"
#include "proto/limits.h"

struct admin;
struct api;
struct bus;
struct conns;
struct control;
struct crowd;
struct lanes;
struct hooks;
struct links;
struct listener;
struct notices;
struct questions;
struct raws;
struct repeats;
struct revoked;
struct rooms;
struct sessions;
struct surveys;
struct tls;
struct tries;
struct trust;
struct users;
struct verifier;

struct gateway {
    const struct gateway_conf *conf; /* borrowed from main() */
    struct ev_loop *loop;            /* borrowed from main() */
    char boot[BOOT_SIZE + 1];        /* random: one life of this process */
    struct origins *origins;
    struct revoked *revoked;
    struct verifier *verifier;
    struct trust *trust; /* these five: see edge.h */
    struct crowd *crowd;
    struct tries *comers; /* connections that addresses have begun */
    struct tries *tries;
    struct tls *tls; /* NULL: plain */
    struct metrics metrics;
    struct compress compress;
    /* Parts, owned, in the order of their birth. */
    struct hooks *hooks;
    struct users *users;
    struct repeats *repeats;
    struct sessions *sessions;
    struct rooms *rooms;
    struct links *links;
    struct questions *questions;
    struct surveys *surveys;
    struct lanes *lanes;
    struct raws *raws;
    struct control *control;
    struct notices *notices;
    struct bus *bus;
    struct conns *conns;
    struct listener *listener;
    struct admin *admin;
    struct api *api; /* NULL: it is not on */
    ev_prepare turn_end;
    ev_timer tick; /* every GATEWAY_TICK_MS: retries, lanes' waits, the bus' watchdog */
    ev_timer drain;
    bool is_leaving;  /* SIGTERM came: not ready any more */
    bool is_draining; /* and nobody comes in any more */
    bool has_failed;
    int64_t drain_ms;      /* when draining begins, then when it ends */
    size_t drain_sessions; /* that were there when it began */
    int64_t started_ms;
    int64_t turned_ms; /* of the last tick: what /live looks at */
};

#define GATEWAY_TICK_MS 100

/* Builds everything and starts to listen. 0, or -1 after one error line; gateway_stop() is legal
 * then too. */
int gateway_start(struct gateway *g, const struct gateway_conf *conf,
                  struct ev_loop *loop) MUST_CHECK;

/* SIGTERM: not ready any more; after drain_accept_ms no new connections, sessions end spread over
 * drain_ms with 3001, each when its publishes are answered,
 * then the loop breaks. */
void gateway_drain(struct gateway *g);

/* Something that cannot be cured: the loop breaks and main() ends with an error. */
void gateway_fail(struct gateway *g);

/* Ends and frees all parts. */
void gateway_stop(struct gateway *g);

/* True while another connection or session may come in. */
bool gateway_has_room(const struct gateway *g);

#endif
