/*
 * gateway_wraps.h: functions of the gateway that are sabotaged.
 *
 * The linker's --wrap=f sends calls from other files to __wrap_f(); what is shipped is __real_f().
 */
#ifndef WARREN_TESTS_CAMPAIGN_SABOTAGE_GATEWAY_WRAPS_H
#define WARREN_TESTS_CAMPAIGN_SABOTAGE_GATEWAY_WRAPS_H

#include "gateway/bus/bus.h"
#include "gateway/bus/lanes.h"
#include "gateway/dialect/dialect.h"
#include "gateway/room/rooms_internal.h"

/* The shipped ones, and what is called in their place. */
bool __real_bus_send(struct bus *b, struct bus_out *out);
bool __wrap_bus_send(struct bus *b, struct bus_out *out);
void __real_bus_tick(struct bus *b);
void __wrap_bus_tick(struct bus *b);
void __real_lanes_on_result(struct lanes *l, struct bus_out *batch, enum bus_result result);
void __wrap_lanes_on_result(struct lanes *l, struct bus_out *batch, enum bus_result result);
struct blob *__real_dialect_frame(enum dialect dialect, const struct record *const *run,
                                  size_t count);
struct blob *__wrap_dialect_frame(enum dialect dialect, const struct record *const *run,
                                  size_t count);
void __real_session_send_frame(struct session *s, struct blob *frame);
void __wrap_session_send_frame(struct session *s, struct blob *frame);
bool __real_made_from_recent(struct rooms *all, const struct room *room, uint64_t since);
bool __wrap_made_from_recent(struct rooms *all, const struct room *room, uint64_t since);
void __real_dialect_published(struct session *s, uint32_t id, enum published how);
void __wrap_dialect_published(struct session *s, uint32_t id, enum published how);

#endif
