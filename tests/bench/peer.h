/*
 * peer.h: the client's end of one benchmark connection.
 *
 * Knows as much of WebSocket as counting needs: where a frame ends, whether it
 * holds publications, how many, and the time stamps in them if asked to look.
 */
#ifndef WARREN_TESTS_BENCH_PEER_H
#define WARREN_TESTS_BENCH_PEER_H

#include "common/base.h"

struct peer {
    int fd;
    uint8_t head[16]; /* of the frame that is being read */
    uint8_t head_size;
    uint8_t begin[4]; /* first bytes of its payload: tell its kind */
    uint8_t begin_size;
    uint64_t left; /* bytes of its payload that have not come */
    bool in_payload;
    bool looks; /* read the time stamps, too */
    uint32_t room;
    uint32_t in_flight; /* publisher: publishes without a reply */
    uint32_t next_id;
    char tail[128]; /* looks: a record that is cut by the end of a read */
    size_t tail_size;
};

struct peer_counts {
    uint64_t publications, frames, bytes, replies, errors, pings;
    int64_t *latencies; /* borrowed; microseconds */
    size_t latency_count, latency_max;
};

/* Connects, upgrades to `path` and waits for the 101. Ends the program when that fails. */
void peer_open(struct peer *p, const char *host, int port, const char *path);

/* Sends one masked text frame, whole. */
void peer_send(struct peer *p, const char *text, size_t size);

/* Counts what has been received. Answers pings. */
void peer_take(struct peer *p, const char *at, size_t size, struct peer_counts *counts);

/* Ends the program with one line. */
void die(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((noreturn));

#endif
