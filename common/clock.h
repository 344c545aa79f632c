/*
 * clock.h: time as integers.
 */
#ifndef WARREN_COMMON_CLOCK_H
#define WARREN_COMMON_CLOCK_H

#include "common/base.h"

/* Milliseconds since an arbitrary start; never goes back. For timeouts. */
int64_t clock_mono_ms(void);

/* Microseconds since an arbitrary start; never goes back. For latencies. */
int64_t clock_mono_us(void);

/* Milliseconds since 1970 (UTC). For what people and peers read. */
int64_t clock_wall_ms(void);

#endif
