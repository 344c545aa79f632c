/*
 * metrics.h: everything the gateway counts; the loop's thread writes, but for bus_* (see bus.c).
 */
#ifndef WARREN_GATEWAY_METRICS_H
#define WARREN_GATEWAY_METRICS_H

#include "common/stats.h"
#include "gateway/bus/raw.h"
#include "gateway/hook/hook.h"
#include "gateway/limit.h"
#include "gateway/room/permits.h"
#include "gateway/session/close.h"
#include "proto/audience.h"
#include "proto/reply.h"

#define METRICS_ERROR_FIRST REPLY_INTERNAL
#define METRICS_ERRORS (REPLY_UNRECOVERABLE_POSITION - REPLY_INTERNAL + 1)

struct metrics {
#define METRIC(field, name, type, help) stat_value field;
#include "gateway/metrics.def"
    struct limits limits;
    stat_value kept_back[AUDIENCE_RULES + 1]; /* by who decided it, or "other" */
    stat_value denied[PERMIT_COUNT];
    stat_value raw_dead[RAW_FAULTS]; /* the consuming thread's, as raws_redelivered */
    stat_value closed[CLOSE_REASON_COUNT];
    stat_value errors[METRICS_ERRORS]; /* error replies by code, from METRICS_ERROR_FIRST on */
    stat_value refused[600];           /* HTTP refusals by status */
    stat_value hooks_asked[HOOK_COUNT];
    stat_value hook_ends[HOOK_COUNT][HOOK_ENDS];
    stat_value hook_open[HOOK_COUNT]; /* 1: left alone */
    struct histogram hook_us;         /* from asking to the answer */
    struct histogram publish_us;      /* from accepting a publish to its confirm */
    struct histogram delivery_us;     /* from the record's time to its fan-out here */
};

/* Appends all of it in Prometheus' text form. */
void metrics_print(const struct metrics *m, struct buf *out);

#endif
