/*
 * notify.h: what the service manager is told, when there is one (sd_notify(3), Type=notify).
 *
 * Datagrams to the Unix socket that NOTIFY_SOCKET names; without that variable, or with one that
 * cannot be used, nothing happens. One thread.
 */
#ifndef WARREN_COMMON_NOTIFY_H
#define WARREN_COMMON_NOTIFY_H

#include "common/base.h"

/* Says what is the case: "READY=1", "STOPPING=1". */
void notify_say(const char *state);

/* From the loop's tick, while all is well: feeds the manager's watchdog, twice in its time. */
void notify_alive(int64_t now_ms);

#endif
