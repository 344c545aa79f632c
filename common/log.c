/*
 * log.c: lines put together on the stack and written with one write().
 */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define LOG_QUOTES 8      /* texts of log_quote() that live at the same time in a thread */
#define LOG_ESCAPE_SIZE 4 /* \x1b */
#define LOG_CUT "..."

static _Atomic int lowest = LOG_INFO;
static _Atomic uint64_t tallies[LOG_TALLIES];

static void tally(enum log_tally what)
{
    atomic_fetch_add_explicit(&tallies[what], 1, memory_order_relaxed);
}

uint64_t log_tally(enum log_tally what)
{
    assert(what < LOG_TALLIES);
    return atomic_load_explicit(&tallies[what], memory_order_relaxed);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

static bool is_written(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&lowest, memory_order_relaxed);
}

/* "2026-01-31T12:00:00.123Z LEVEL " into `line`. Returns its size. */
static size_t put_head(char *line, size_t room, enum log_level level)
{
    static const char names[][6] = {
        [LOG_DEBUG] = "debug",
        [LOG_INFO] = "info",
        [LOG_WARN] = "warn",
        [LOG_ERROR] = "error",
    };
    int64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);

    size_t size = strftime(line, room, "%Y-%m-%dT%H:%M:%S", &utc);
    int more = snprintf(line + size, room - size, ".%03dZ %s ", (int)(now_ms % 1000), names[level]);
    assert(more > 0 && size + (size_t)more < room);
    return size + (size_t)more;
}

/* Keeps errno, so that a line can stand between a failure and its report. */
static void PRINTF_LIKE(2, 0) write_line(enum log_level level, const char *format, va_list args)
{
    if (!is_written(level)) {
        return;
    }
    int saved_errno = errno;
    char line[LOG_LINE_MAX];
    size_t size = put_head(line, sizeof(line), level);
    int more = vsnprintf(line + size, sizeof(line) - size, format, args);
    size_t wanted = more < 0 ? size : size + (size_t)more;
    if (wanted > sizeof(line) - 1) {
        tally(LOG_LINES_CUT);
    }
    size = MIN(wanted, sizeof(line) - 1);
    for (unsigned char *c = (unsigned char *)line; c < (unsigned char *)line + size; c++) {
        if (*c == '\n' || *c == '\r') {
            *c = ' '; /* texts of libraries and of the system may have them */
        } else if (*c < 0x20 || *c >= 0x7f) {
            *c = '?'; /* whatever forgot log_quote(): nobody writes to a terminal through a log */
        }
    }
    line[size++] = '\n';

    ssize_t written;
    do {
        written = write(STDERR_FILENO, line, size);
    } while (written < 0 && errno == EINTR);
    errno = saved_errno; /* a line that cannot be written is lost: there is nowhere to say so */
}

void log_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(LOG_ERROR, format, args);
    va_end(args);
}

void log_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(LOG_WARN, format, args);
    va_end(args);
}

void log_info(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(LOG_INFO, format, args);
    va_end(args);
}

void log_debug(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(LOG_DEBUG, format, args);
    va_end(args);
}

bool log_is_debug(void)
{
    return is_written(LOG_DEBUG);
}

/* Writes one byte of foreign text at `out` so that it can harm neither a terminal nor the line. */
static size_t put_quoted(char *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";

    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c < 0x20 || c >= 0x7f) {
        out[0] = '\\';
        out[1] = 'x';
        out[2] = digits[c >> 4];
        out[3] = digits[c & 15];
        return LOG_ESCAPE_SIZE;
    }
    out[0] = (char)c;
    return 1;
}

const char *log_quote(const char *at, size_t size)
{
    static _Thread_local char texts[LOG_QUOTES]
                                   [LOG_QUOTE_MAX * LOG_ESCAPE_SIZE + sizeof("\"\"" LOG_CUT)];
    static _Thread_local unsigned next;
    char *text = texts[next++ % LOG_QUOTES];
    size_t used = 0;

    text[used++] = '"';
    for (size_t i = 0; i < MIN(size, LOG_QUOTE_MAX); i++) {
        used += put_quoted(text + used, (unsigned char)at[i]);
    }
    if (size > LOG_QUOTE_MAX) {
        tally(LOG_TEXTS_CUT);
        memcpy(text + used, LOG_CUT, sizeof(LOG_CUT) - 1);
        used += sizeof(LOG_CUT) - 1;
    }
    text[used++] = '"';
    text[used] = '\0';
    return text;
}

bool log_allowed(struct log_limit *state)
{
    int64_t second = clock_mono_ms() / 1000;

    if (state->second != second) {
        state->second = second;
        state->lines = 0;
    }
    if (state->lines >= LOG_BURST) {
        tally(LOG_LINES_LEFT_OUT);
        return false;
    }
    state->lines++;
    return true;
}
