/*
 * survey.h: a question to all gateways, and what each of them reports, as lines of JSON.
 *
 *     {"ask":"info"}   {"ask":"orders"}   {"ask":"channels","pattern":"news:*"}
 *     {"uid":"00c0ffee00c0ffee","name":"g1","version":"1.0","num_clients":17,"obeyed":42}
 *
 * A survey is one line. So is a report, and to `channels` a line (line.h) for each room follows:
 * {"room":"news:1","clients":3}. Schema: proto/schema/survey.json, report.json.
 */
#ifndef WARREN_PROTO_SURVEY_H
#define WARREN_PROTO_SURVEY_H

#include "common/base.h"
#include "common/buf.h"
#include "proto/limits.h"

#define VERSION_MAX 32 /* bytes of a program's version */

enum survey_kind {
    SURVEY_INFO,     /* how much of what there is */
    SURVEY_CHANNELS, /* the rooms that have sessions there */
    SURVEY_ORDERS,   /* how far the control stream was obeyed; every report tells that */
    SURVEY_KINDS
};

struct survey {
    enum survey_kind kind;
    struct slice pattern; /* channels: inside of a JSON string; empty: all rooms */
};

struct report {
    struct slice uid;  /* the boot id of the gateway that reports */
    struct slice name; /* its id */
    struct slice version;
    /* To `info`; uptime in seconds. */
    uint64_t num_clients, num_users, num_subs, num_channels, uptime;
    uint64_t obeyed; /* all of the control stream before this offset */
    bool more;       /* to `channels`: there are more rooms than were told */
};

enum survey_answer {
    SURVEY_BAD = 1, /* nothing of the kind; `rest` is left as it was */
};

/* Appends one line, LF included. */
void survey_encode(struct buf *out, const struct survey *s);
/* Takes the line off `rest`; slices point into it. Unknown members are passed over. 0 or
 * SURVEY_BAD. */
int survey_next(struct slice *rest, struct survey *out) MUST_CHECK;

/* The same of a report. */
void report_encode(struct buf *out, const struct report *r);
int report_next(struct slice *rest, struct report *out) MUST_CHECK;

#endif
