/*
 * surveys.h: questions to all gateways, this one included, and what they report.
 *
 * How many gateways live is what RabbitMQ says (bus_count()); a survey ends when as
 * many have reported as there were when the last report had come, or after
 * [api] gather: then it is known how many are missing. Questions and reports go through the
 * owner of some partition (broadcaster/relay.h), repeats through the next one's.
 */
#ifndef WARREN_GATEWAY_BUS_SURVEYS_H
#define WARREN_GATEWAY_BUS_SURVEYS_H

#include "common/base.h"
#include "proto/message.h"
#include "proto/survey.h"

#define SURVEYS_MAX 256        /* open ones */
#define REPORT_ROOMS_MAX 10000 /* told in one report */

struct gateway;
struct surveys;

#define SURVEY_UNKNOWN (-1) /* gateways missing: nobody could count them */

struct survey_asker {
    /* One gateway's report, each once; this one's own before surveys_ask() returns. `lines` follow
     * it. Slices are valid during the call. NULL: they do not matter. */
    void (*report)(struct gateway *g, uint64_t call, const struct report *r, struct slice lines);
    /* It is over: all have reported but so many, or SURVEY_UNKNOWN. Never within surveys_ask(). */
    void (*end)(struct gateway *g, uint64_t call, int64_t missing);
};

/* Freed with surveys_free(), which accepts NULL and returns NULL; nobody is told any more. */
struct surveys *surveys_new(struct gateway *g) MUST_CHECK;
/* See above. */
struct surveys *surveys_free(struct surveys *all);

/* Asks. `upto`: a gateway has reported only when it has obeyed all of the control stream before
 * that offset; 0: always. `asker` is borrowed until the end, `call` comes with what it is told. 0,
 * or -1: too many are open. */
int surveys_ask(struct surveys *all, const struct survey *s, uint64_t upto,
                const struct survey_asker *asker, uint64_t call) MUST_CHECK;

/* A `survey` or `report` message. */
void surveys_on_message(struct surveys *all, const struct message *m);

/* The gateways were counted: see bus_count(). Below 0: they could not be. */
void surveys_on_count(struct surveys *all, uint64_t number, int64_t gateways);

/* Every GATEWAY_TICK_MS: asks again, ends what is late. */
void surveys_tick(struct surveys *all);

/* report.c: what this gateway reports to a survey. Appends lines. */
void report_write(struct gateway *g, const struct survey *s, struct buf *out);

#endif
