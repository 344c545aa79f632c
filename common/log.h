/*
 * log.h: one line per decision, on standard error.
 *
 * A line is "TIME LEVEL text key=value ...": a short fragment and pairs whose
 * keys have one spelling in the whole project (session user room gateway
 * partition term epoch offset reason error). Values that come from outside go
 * through log_quote(); should one not, it is made harmless all the same: a line
 * is printable ASCII. Never a token, never a payload. Lines are written whole
 * with one write(), so threads do not mix them.
 */
#ifndef WARREN_COMMON_LOG_H
#define WARREN_COMMON_LOG_H

#include "common/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below `level` are dropped. Default LOG_INFO. */
void log_set_level(enum log_level level);

/* error: somebody must act. warn: we coped. info: life of the process and the bus. debug: sessions.
 */
void log_error(const char *format, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *format, ...) PRINTF_LIKE(1, 2);
void log_info(const char *format, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *format, ...) PRINTF_LIKE(1, 2);

/* True when a debug line would be written: guards costly arguments. */
bool log_is_debug(void);

#define LOG_LINE_MAX 2048 /* bytes of a line, the newline included; the rest is cut */
#define LOG_QUOTE_MAX 80  /* bytes of foreign text in log_quote(); the rest is cut */

/* `size` bytes of foreign text in quotes, control characters and quotes escaped, cut after
 * LOG_QUOTE_MAX. Valid until the eighth next call in the same thread. */
const char *log_quote(const char *at, size_t size);

/* For lines that a peer can provoke: true at most `LOG_BURST` times a second per `state`; the
 * caller skips the line otherwise. `state` starts zeroed and belongs to one call site and one
 * thread. */
#define LOG_BURST 10
struct log_limit {
    int64_t second;
    uint32_t lines;
};
bool log_allowed(struct log_limit *state);

/* What was not written, of all threads and since the start. */
enum log_tally { LOG_TEXTS_CUT, LOG_LINES_CUT, LOG_LINES_LEFT_OUT, LOG_TALLIES };
uint64_t log_tally(enum log_tally what);

#endif
