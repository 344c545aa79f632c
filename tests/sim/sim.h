/*
 * sim.h: a whole warren in one process, decided by one number.
 *
 * Gateways and owners of partitions are the code that ships. Around them stand
 * a broker that keeps RabbitMQ's promises and no more, connections that can be
 * cut at any point, clients that come, go and come back, and one clock that
 * jumps from event to event. Everything that is random comes from the seed, so
 * that a seed fails the same way for ever.
 *
 *     client ── socket pair ── gateway ══ bus ══ broker ══ host ── partition's machine
 *
 * Whatever must not happen is noted in `fault`; the first one wins.
 */
#ifndef WARREN_TESTS_SIM_SIM_H
#define WARREN_TESTS_SIM_SIM_H

#include <inttypes.h>

#include "broadcaster/acks.h"
#include "broadcaster/partition.h"
#include "broadcaster/share.h"
#include "common/buf.h"
#include "gateway/bus/bus.h"
#include "gateway/conf.h"
#include "gateway/gateway.h"
#include "gateway/session/session.h"

#define SIM_PARTITIONS 2
#define SIM_GATEWAYS 2
#define SIM_HOSTS 3
#define SIM_ROOMS 5
#define SIM_CLIENTS 6
#define SIM_NAME_SIZE 16
#define SIM_NOWHERE UINT32_MAX

struct sim;
struct sim_event;
struct sim_host;
struct sim_gateway;
struct sim_client;

/* Bugs that a run is given on purpose, to show that they are found. */
enum sim_plant {
    SIM_HONEST,
    SIM_ACK_EARLY,     /* input is acked before the log has confirmed it */
    SIM_NO_DUPLICATES, /* a batch that comes twice counts as a new one */
    SIM_NO_TERM,       /* all owners write the same term */
    SIM_DROP,          /* now and then a record does not reach its client */
    SIM_SWAP,          /* now and then two records of the log change places */
    SIM_TELL,          /* now and then a record loses the word for whom it is */
    SIM_TELL_ONCE,     /* what was sent to other programs counts as confirmed */
    SIM_PLANTS
};

/* A message that somebody keeps; the run frees all at its end. */
struct sim_letter {
    struct sim_letter *next_made;
    struct message m;         /* slices point into `texts` */
    char gateway[ID_MAX + 1]; /* whom it is for; "": all */
    int64_t landed_us;        /* in the log */
    struct buf texts;
};

struct sim_letters {
    struct sim_letter **at; /* owns the array */
    size_t count, capacity;
};

/* A process: an event of a life that is over is dropped, one of a frozen process waits. */
struct sim_proc {
    char name[SIM_NAME_SIZE];
    bool is_up;
    uint64_t life;
    int64_t frozen_us; /* until then */
};

/* One AMQP connection. Both directions keep their order; each end learns of the end by itself. */
struct sim_conn {
    struct sim_conn *next_made;
    struct sim *sim;
    struct sim_proc *proc;
    uint64_t life; /* of the process */
    unsigned number;
    bool client_up, broker_up;
    bool is_cut;                            /* what is sent from now on is lost */
    int64_t to_broker_us, to_client_us;     /* the last arrival of each direction */
    int64_t broker_deaf_us, client_deaf_us; /* what arrives later is lost */
    struct sim_host *host;                  /* whose, or NULL */
    struct sim_gateway *gateway;            /* whose, or NULL */
    bool consumes;                          /* a gateway's connection that takes deliveries */
};

typedef void sim_fire(struct sim *s, struct sim_event *e);

struct sim_event {
    int64_t at_us;
    uint64_t order; /* of making: decides between equals */
    sim_fire *fire;
    struct sim_proc *proc; /* NULL: the broker's, or the world's */
    uint64_t life;
    struct sim_conn *conn; /* that it travels on, or NULL */
    bool to_broker, has_arrived;
    void *what;
    struct sim_letter *letter;
    uint32_t partition;
    uint64_t tag, number, serial;
};

enum sim_input_state { SIM_READY, SIM_HELD, SIM_GONE };

struct sim_input {
    struct sim_letter *letter;
    enum sim_input_state state;
    bool redelivered;
};

/* What the broker has of a partition. */
struct sim_part {
    struct sim_letters log; /* NULL: an offset that the broker took for itself */
    struct sim_input *in;   /* owns */
    size_t in_count, in_capacity, in_first;
    struct sim_conn *consumer; /* of the input */
    uint64_t consumer_serial;
    size_t *tags; /* owns: index in `in`, by tag - 1 */
    size_t tag_count, tag_capacity;
    struct sim_conn *lock;
    struct sim_letters mail;
    size_t mail_at;
    struct sim_conn *mail_to; /* who consumes the mailbox, with `mail_serial` */
    uint64_t mail_serial;
    struct sim_conn *reader; /* of the log */
    uint64_t reader_serial, reader_number;
    size_t read_at;
};

/* A partition in the hands of a host: what tenure.c is. */
struct sim_tenure {
    struct partition *machine; /* owns; NULL: not held */
    uint64_t serial;
    struct acks acks;
    bool wants_input, has_input, is_reading, in_flight;
    uint64_t published, reading, told;
    int64_t append_us;
};

/* A broadcaster. */
struct sim_host {
    struct sim_proc proc;
    struct sim_conn *conn;
    struct share share;
    struct sim_tenure tenures[SIM_PARTITIONS];
};

/* A batch with the publishing thread. */
struct sim_sent {
    struct bus_out *out; /* owns */
    uint64_t tag;
    bool is_decided;
};

/* The gateway's bus: what bus.c and its threads are. */
struct bus {
    struct sim_gateway *gateway;
    struct bus_out **waiting; /* own: not published yet */
    size_t waiting_count, waiting_capacity;
    struct sim_sent *sent; /* owns: batches that were not given back */
    size_t sent_count, sent_capacity;
    uint64_t last_tag;
    struct sim_conn *publish, *consume;
    bool publish_is_up, consume_is_up; /* as far as the loop knows */
    bool is_pumping;
    int64_t publish_news_us, consume_news_us; /* the last news to the loop */
};

struct sim_gateway {
    struct sim_proc proc;
    struct gateway gateway;
    struct gateway_conf conf;
    struct bus bus;
    struct sim *sim;
    bool turn_is_due;
    struct sim_conn *queue; /* the broker's: who consumes its queue; NULL: there is none */
};

/* What became of a publish. */
enum sim_fate { SIM_UNKNOWN, SIM_CONFIRMED, SIM_REFUSED };

struct sim_publish {
    uint32_t client, room;
    uint32_t to; /* the one client that may see it beside its own; SIM_NOWHERE: all may */
    uint64_t session;
    int64_t asked_us, told_us;
    enum sim_fate fate;
    /* By the log. */
    unsigned times;
    size_t at; /* in its room */
    uint64_t offset;
    char epoch[EPOCH_MAX + 1];
    bool is_told; /* to other programs */
};

/* What a client saw of a room. */
struct sim_seen {
    bool is_start;    /* a new line: (epoch, offset) is where it begins */
    uint64_t publish; /* whose record */
    uint64_t offset;
    int64_t at_us;
    char epoch[EPOCH_MAX + 1];
};

/* A client in a room. */
struct sim_line {
    bool wants, is_subscribed;
    bool has_position, asked_recover;
    uint32_t command; /* subscribe that is not answered; 0: none */
    char epoch[EPOCH_MAX + 1];
    uint64_t offset;
    struct sim_seen *seen; /* owns */
    size_t count, capacity;
};

struct sim_command {
    uint32_t id;
    uint64_t publish;
};

struct sim_client {
    struct sim_proc proc; /* its life: one connection */
    struct sim *sim;
    uint32_t number;
    int fd; /* -1: none */
    struct sim_gateway *gateway;
    uint64_t gateway_life;
    session_handle handle;
    bool is_connected, reads, is_due;
    uint64_t session; /* counts over all clients */
    uint32_t last_command;
    struct sim_command *pending; /* owns: publishes that are not answered */
    size_t pending_count, pending_capacity;
    struct buf bytes;
    struct sim_line lines[SIM_ROOMS];
};

/* Which faults a seed has, and how it is set up. */
struct sim_plan {
    unsigned gateways, hosts, clients;
    bool cuts, kills, freezes, restarts, nacks, stalls, overflows, late_appends, broker_falls,
        poisons, slow_clients, forgets;
    bool whispers; /* payloads may name whom they are for */
    bool listens;  /* other programs are told of records */
    size_t in_max, bus_max, prefetch;
    int64_t fault_us; /* mean time between two */
    int64_t calm_us;  /* when faults end */
    bool is_roomy;    /* memories are large: nobody may be told that something was lost */
};

struct sim_counts {
    uint64_t events, faults, publishes, confirmed, refused, seen, resets, recovered, takeovers,
        duplicates, voids, told, told_again;
};

struct sim {
    uint64_t seed, random;
    enum sim_plant plant;
    bool traces;
    struct sim_plan plan;
    int64_t now_us;
    struct sim_event *events; /* owns: a heap */
    size_t event_count, event_capacity;
    uint64_t orders, serials, sessions;
    unsigned conn_numbers;
    struct sim_letter *letters;
    struct sim_conn *conns;
    struct ev_loop *loop;
    struct sim_part parts[SIM_PARTITIONS];
    struct sim_letters told; /* the listener's queue */
    int64_t told_us;         /* when its last message is safe */
    struct sim_host hosts[SIM_HOSTS];
    struct sim_gateway gateways[SIM_GATEWAYS];
    struct sim_client clients[SIM_CLIENTS];
    char rooms[SIM_ROOMS][SIM_NAME_SIZE];
    struct sim_publish *publishes; /* owns */
    size_t publish_count, publish_capacity;
    struct partition_conf partition;
    struct rules rules; /* of the owners, when there are whispers */
    struct partition_stats stats;
    int64_t broker_down_us; /* until then */
    int64_t overflow_us;    /* until then queues lose messages */
    uint64_t broker_life;
    bool is_calm;
    struct sim_counts counts;
    char fault[300]; /* "": none */
};

/* world.c: chance, time, letters. */

/* 0 to below - 1. */
uint64_t sim_random(struct sim *s, uint64_t below);
/* True `percent` times of 100. */
bool sim_chance(struct sim *s, unsigned percent);
/* Notes a fault, if it is the first one. */
void sim_fault(struct sim *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* A line of the trace, if there is one. */
void sim_trace(const struct sim *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* Enters an event: `e` is copied. */
void sim_push(struct sim *s, const struct sim_event *e);
/* An event of a process (NULL: of the world), `in_us` from now. */
void sim_later(struct sim *s, struct sim_proc *proc, int64_t in_us, sim_fire *fire, void *what);
/* Fires the next event; false: there is none. */
bool sim_step(struct sim *s);
/* The clocks begin anew. */
void sim_clock_set(struct sim *s, int64_t now_us);
/* Takes the place of hash_random(): ids come from the seed too. */
void __wrap_hash_random(void *at, size_t size);
/* Keeps a copy of a message. */
struct sim_letter *sim_letter_new(struct sim *s, const struct message *m, struct slice body);
/* Appends; NULL is legal. */
void sim_letters_add(struct sim_letters *all, struct sim_letter *l);
/* The letter as the broker hands it over; `props` and `scratch` must live as long. */
struct mq_event sim_letter_event(const struct sim_letter *l, struct mq_props *props,
                                 char scratch[ID_MAX * 2]);
/* Makes room for one more in an array that the caller owns. */
void *sim_grow(void *at, size_t count, size_t *capacity, size_t size);

/* conns.c: connections. */

/* Up at both ends. */
struct sim_conn *sim_conn_new(struct sim *s, struct sim_proc *proc);
/* Something travels; the caller fills in what it is. */
void sim_to_broker(struct sim_conn *c, sim_fire *fire, struct sim_event e);
void sim_to_client(struct sim_conn *c, sim_fire *fire, struct sim_event e);
/* The network fails: what is on its way may arrive or not, both ends will learn of it. */
void sim_conn_cut(struct sim_conn *c);
/* The client's end is closed; what was sent before may still arrive. */
void sim_conn_end(struct sim_conn *c);
/* Nothing moves for a while. */
void sim_conn_stall(struct sim_conn *c, int64_t for_us);
/* The broker has had enough of it (heartbeat), or is gone itself. */
void sim_conn_drop(struct sim_conn *c, int64_t in_us);
/* A request would be answered now. */
bool sim_conn_answers(const struct sim_conn *c);

/* broker.c: what arrives at the broker. */

/* A batch for the input; a message for a mailbox. */
void broker_on_publish(struct sim *s, struct sim_event *e);
void broker_on_mail(struct sim *s, struct sim_event *e);
/* From an owner: to the log, to a gateway, to all of them. */
void broker_on_append(struct sim *s, struct sim_event *e);
void broker_on_send(struct sim *s, struct sim_event *e);
void broker_on_announce(struct sim *s, struct sim_event *e);
/* Acks and rejects of input, copies of dead letters. */
void broker_on_ack(struct sim *s, struct sim_event *e);
void broker_on_reject(struct sim *s, struct sim_event *e);
void broker_on_dead(struct sim *s, struct sim_event *e);
/* Consumers: of the input, of the mailbox, of the log from `number` on (UINT64_MAX: the last). */
void broker_on_consume(struct sim *s, struct sim_event *e);
void broker_on_consume_mail(struct sim *s, struct sim_event *e);
void broker_on_read(struct sim *s, struct sim_event *e);
void broker_on_stop_reading(struct sim *s, struct sim_event *e);
/* The input's consumer is cancelled; all channels of a partition are closed, the lock is free. */
void broker_on_cancel(struct sim *s, struct sim_event *e);
void broker_on_release(struct sim *s, struct sim_event *e);
/* The broker's end of a connection is closed. */
void broker_forget(struct sim *s, struct sim_conn *c);
/* Takes the lock. False: somebody has it. */
bool broker_claim(struct sim *s, struct sim_conn *c, uint32_t partition);
/* Broadcasters that are connected. */
uint32_t broker_members(const struct sim *s);
/* Puts a message that nobody understands into an input. */
void broker_poison(struct sim *s, uint32_t partition);
/* Frees. */
void broker_deinit(struct sim *s);

/* listener.c: other programs. */

/* They are told something. */
void listener_on_event(struct sim *s, struct sim_event *e);
/* After judge(): compares what they were told with the logs. */
void listener_judge(struct sim *s);

/* host.c: broadcasters. */

/* Starts, or starts anew. */
void host_start(struct sim *s, struct sim_host *h);
/* kill -9. */
void host_kill(struct sim *s, struct sim_host *h);
/* Its connection is gone. */
void host_lost(struct sim *s, struct sim_host *h);
/* Begins to give everything away, then ends. */
void host_stop(struct sim *s, struct sim_host *h);
/* Answers of the broker. */
void host_on_input(struct sim *s, struct sim_event *e);
void host_on_log(struct sim *s, struct sim_event *e);
void host_on_mail(struct sim *s, struct sim_event *e);
void host_on_confirm(struct sim *s, struct sim_event *e);
void host_on_consumed(struct sim *s, struct sim_event *e);
void host_on_return(struct sim *s, struct sim_event *e);
void host_on_copied(struct sim *s, struct sim_event *e);
/* Frees. */
void host_deinit(struct sim_host *h);

/* gateways.c: gateways and their buses. */

/* Starts, or starts anew. */
void gateways_start(struct sim *s, struct sim_gateway *g);
/* kill -9. */
void gateways_kill(struct sim *s, struct sim_gateway *g);
/* One of its connections is gone. */
void gateways_lost(struct sim *s, struct sim_gateway *g, struct sim_conn *c);
/* Something has happened to it: a turn will end soon. */
void gateways_turn_soon(struct sim *s, struct sim_gateway *g);
/* Answers of the broker, and deliveries. */
void gateways_on_confirm(struct sim *s, struct sim_event *e);
void gateways_on_delivery(struct sim *s, struct sim_event *e);
/* A client has written. */
void gateways_on_bytes(struct sim *s, struct sim_event *e);
/* Frees. */
void gateways_deinit(struct sim_gateway *g);

/* clients.c */

/* Begins to live. */
void client_start(struct sim *s, struct sim_client *c);
/* Ends its connection without a word. */
void client_drop(struct sim *s, struct sim_client *c);
/* Its gateway has written, or is gone. */
void client_read_soon(struct sim *s, struct sim_client *c);
/* It is where it wants to be, and owes nothing. */
bool client_is_settled(const struct sim_client *c);
/* Frees. */
void client_deinit(struct sim_client *c);
/* client_text.c: a document came. */
void client_on_text(struct sim *s, struct sim_client *c, char *text);
/* Writes a text message. */
void client_say(struct sim_client *c, const char *format, ...) PRINTF_LIKE(2, 3);

/* faults.c: what goes wrong. */

/* Draws the plan of a seed. */
void faults_plan(struct sim *s);
/* One fault, and the next one later. */
void faults_strike(struct sim *s, struct sim_event *e);
/* Everything that is down comes back. */
void faults_heal(struct sim *s);

/* plant.c: bugs on purpose. */

/* What a bug makes of an append. */
void plant_append(struct sim *s, struct sim_letter *l);
/* What a bug makes of a delivery. */
void plant_delivery(struct sim *s, struct sim_letter *l);
/* The input as the machine is to see it. */
void plant_input(struct sim *s, struct message *m, char boot[BOOT_SIZE + 1]);

/* judge.c */

/* Reads the logs as a stranger would and compares them with what clients were told and saw.
 * `is_over`: everything must be there. True: everybody is at the end of all rooms. */
bool judge(struct sim *s, bool is_over);

/* run.c */

/* One seed; `s` is zeroed before. True: no fault. */
bool sim_run(struct sim *s, uint64_t seed, enum sim_plant plant, bool traces);

#endif
