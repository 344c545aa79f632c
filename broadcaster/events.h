/*
 * events.h: what other programs are told of rooms whose rule says so: records, joins, leaves.
 *
 * One message each, a JSON object, to the exchange PREFIX.events with the key
 * "record.ROOM", "join.ROOM" or "leave.ROOM". Schema: proto/schema/event.json.
 *
 * Records are told once the log has them, in its order, at least once: the
 * log itself remembers which are not safe yet. Our messages to it carry the header
 * `told`, a stream offset: of whatever stands before it, the broker has
 * confirmed the events. A message without it: of whatever stands before itself.
 * So the next owner, which reads the log anyway, keeps the events of what it
 * reads until a later message says that they were told, and tells what is left
 * when the partition is its own. Neither acks nor deliveries wait for that.
 *
 * A nack counts as an answer: a listener's queue that is full and refuses must
 * not stop the others. And what the broker does not answer while the log goes on
 * and on is given up, so that what is kept in mind and read again stays bounded.
 *
 * Joins and leaves are hints, told at most once.
 */
#ifndef WARREN_BROADCASTER_EVENTS_H
#define WARREN_BROADCASTER_EVENTS_H

#include "broadcaster/appends.h"
#include "broadcaster/confirms.h"

struct line;
struct place;
struct told;

struct events {
    struct confirms confirms; /* of events, in the order of their actions */
    struct told *first;       /* owns: appends whose events are not all confirmed */
    struct told **last;
    uint64_t limit; /* appends before this stream offset are given up next time */
};

/* Nothing is open; frees all. */
void events_init(struct events *e);
void events_deinit(struct partition *p);

/* The log has it. */
void events_records(struct partition *p, const struct append *a);

/* Somebody has come, or left. */
void events_move(struct partition *p, const struct place *place, const struct line *move,
                 int64_t now_ms);

/* True if a message to the log has to say that events of `*told` and later are open. */
bool events_are_open(const struct partition *p, uint64_t *told);

/* The broker's answer to the event `number`, or to all up to it. */
void events_on_confirm(struct partition *p, uint64_t number, bool multiple, bool ok);

/* Taking over: a message that counts was read, which has this header or none; then each record that
 * counts. */
void events_read(struct partition *p, const struct message *m, uint64_t stream_offset);
void events_read_record(struct partition *p, const struct place *place, struct slice lines,
                        uint64_t stream_offset);

/* What was read did not count. */
void events_forget_read(struct partition *p);

/* The partition is ours: tells what is left. */
void events_taken_over(struct partition *p);

/* Readers of the log will begin at a later checkpoint; so far it was the one at `old`. */
void events_hint_moved(struct partition *p, uint64_t old);

#endif
