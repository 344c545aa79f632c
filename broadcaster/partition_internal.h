/*
 * partition_internal.h: what the files of a partition's machine share.
 *
 * partition.c   states, actions, entry points
 * takeover.c    from the claim to one's own marker: finds the end of the log and reads it
 * intake.c      input: judges batches, numbers their records
 * audiences.c   who may see a record
 * appends.c     the line of messages on their way into the log; one in flight
 * checkpoint.c  when and how all positions are written down
 * followers.c   gateways, what they follow, and what they are sent
 * era.c         epochs, before and after a room speaks
 * mail.c        what gateways ask: attach, join, leave, alive
 * moves.c       who comes and who goes, for those who want to know
 * events.c      what other programs are told
 * answers.c     presence and history
 * lookback.c    what memory does not hold is read back from the log
 * waiting.c     mail that waits for that
 */
#ifndef WARREN_BROADCASTER_PARTITION_INTERNAL_H
#define WARREN_BROADCASTER_PARTITION_INTERNAL_H

#include "broadcaster/appends.h"
#include "broadcaster/checkpoint.h"
#include "broadcaster/era.h"
#include "broadcaster/events.h"
#include "broadcaster/followers.h"
#include "broadcaster/keys.h"
#include "broadcaster/lane_marks.h"
#include "broadcaster/lookback.h"
#include "broadcaster/moves.h"
#include "broadcaster/partition.h"
#include "broadcaster/roster.h"
#include "broadcaster/shelf.h"
#include "broadcaster/takeover.h"
#include "broadcaster/waiting.h"

struct partition {
    struct partition_conf conf;
    struct partition_stats *stats; /* borrowed */
    enum partition_state state;
    bool has_taken_leave; /* leaving: its last checkpoint was written once */
    uint64_t term;        /* ours once the marker is on its way */
    char nonce[BOOT_SIZE + 1];
    uint64_t random;                  /* state of the generator */
    struct partition_action *actions; /* owns: oldest first */
    struct partition_action **actions_last;

    struct rules plain_rules; /* when conf has none */
    struct takeover takeover;
    struct roster roster;
    struct shelf shelf;
    struct lane_marks lanes;
    struct keys keys;
    struct appends appends;
    struct checkpoint checkpoint;
    struct era era;
    struct followers followers;
    struct moves_past moves_past;
    struct lookback lookback;
    struct waiting waiting;
    struct events events;
    struct buf audience; /* of the record that is being numbered */
    size_t backlog;      /* batches taken and not acked */
};

/* A new action, behind all others; the same in two steps. */
struct partition_action *partition_act(struct partition *p, enum partition_action_kind kind);
struct partition_action *partition_action_new(enum partition_action_kind kind);
void partition_act_put(struct partition *p, struct partition_action *a);

/* Gives the action its message; texts are copied, the body is what stands in a->body by now. */
void partition_action_fill(struct partition_action *a, const struct message *m);

/* So many characters of [a-z0-9] (at most 12 that differ), and a NUL. */
void partition_random_text(struct partition *p, char *text, size_t size);

/* The own marker was read: the partition is ours. */
void partition_taken_over(struct partition *p, int64_t now_ms);

/* Somebody else owns it, or it was given away. */
void partition_end(struct partition *p, enum partition_action_kind last);

/* Forgets all rooms, lanes and keys. No gateways, nothing in flight but control messages. */
void partition_forget_log(struct partition *p);

/* Where our message `number` stands in the log: there or somewhat later. The marker has number 1,
 * and every message since took at least one stream offset. */
static inline uint64_t partition_log_at(const struct partition *p, uint64_t number)
{
    return p->checkpoint.marker_offset + number - 1;
}

#endif
