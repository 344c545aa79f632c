/*
 * acks.h: which deliveries of one channel may be settled now, without I/O.
 *
 * Most are done in order and acked together, up to a tag. A dead letter is done
 * when the broker has confirmed its copy; until then nothing at or behind it is
 * acked along, and it does not hold up what stands before it. One that could not
 * be copied is rejected. The broker closes the channel for a tag that is settled
 * twice, so each goes out once.
 */
#ifndef WARREN_BROADCASTER_ACKS_H
#define WARREN_BROADCASTER_ACKS_H

#include "common/base.h"

/* Deliveries that the broker may leave unsettled with us: of the input, of the spill, in all. */
#define ACKS_PREFETCH 256
#define ACKS_SPILL_PREFETCH 32
#define ACKS_OPEN_MAX (ACKS_PREFETCH + ACKS_SPILL_PREFETCH)

enum acks_letter_state {
    ACKS_COPYING, /* its copy is not confirmed */
    ACKS_COPIED,  /* to be acked */
    ACKS_REFUSED, /* to be rejected */
    ACKS_GONE,    /* was settled by itself */
};

struct acks_letter {
    uint64_t tag;
    enum acks_letter_state state;
};

struct acks {
    uint64_t done;    /* everything up to here is done, letters aside */
    uint64_t settled; /* everything up to here is settled */
    size_t count;
    struct acks_letter letters[2 * ACKS_PREFETCH]; /* above `settled`, ascending */
};

enum acks_what {
    ACKS_NOTHING,
    ACKS_ALL_UP_TO, /* ack, multiple */
    ACKS_ONE,       /* ack */
    ACKS_REJECT,    /* reject, without requeue */
};

/* Everything up to `tag` is done, but for letters. */
void acks_done(struct acks *a, uint64_t tag);

/* `tag`, above all letters so far, is dead and being copied. */
void acks_dead(struct acks *a, uint64_t tag);

/* The copy of `tag` is safe. */
void acks_copied(struct acks *a, uint64_t tag);

/* `tag` is dead and will not be copied. */
void acks_refused(struct acks *a, uint64_t tag);

/* What to send next; call until ACKS_NOTHING. */
enum acks_what acks_next(struct acks *a, uint64_t *tag) MUST_CHECK;

#endif
