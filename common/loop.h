/*
 * loop.h: libev as warren needs it.
 *
 * What libev cannot go on without ends the process as common/mem.h does, with one line and exit
 * code 70, not with abort(); and a loop that would not hear signals and threads is no loop.
 *
 * A descriptor that the kernel has no memory to watch is another matter: libev stops its watcher
 * and calls it with EV_ERROR. Who owns it decides: close it, or try again later.
 */
#ifndef WARREN_COMMON_LOOP_H
#define WARREN_COMMON_LOOP_H

#include <ev.h>

#include "common/base.h"

/* The default loop, tried out for some milliseconds: it wakes up for a signal. To be called once,
 * while there is only one thread and no watcher. Never NULL; destroyed with ev_loop_destroy(). */
struct ev_loop *loop_new(void) __attribute__((returns_nonnull));

#endif
