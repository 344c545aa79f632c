/*
 * clock.c: the kernel's clocks as integers.
 */
#include "common/clock.h"

#include <time.h>

static struct timespec read_clock(clockid_t id)
{
    struct timespec now;
    int r = clock_gettime(id, &now);
    assert(r == 0);
    return now;
}

int64_t clock_mono_ms(void)
{
    struct timespec now = read_clock(CLOCK_MONOTONIC);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_mono_us(void)
{
    struct timespec now = read_clock(CLOCK_MONOTONIC);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    struct timespec now = read_clock(CLOCK_REALTIME);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
