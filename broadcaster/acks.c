/* acks.c: which deliveries of one channel may be settled now. */
#include "broadcaster/acks.h"

/* Letters that are gone keep their place until all before them is settled; so that they are not
 * too many, those above this number wait, and with them the broker: it counts them as unsettled. */
#define GONE_MAX (ACKS_PREFETCH / 2)

static_assert(ACKS_OPEN_MAX + GONE_MAX < 2 * ACKS_PREFETCH, "all letters have a place");

static struct acks_letter *find(struct acks *a, uint64_t tag)
{
    for (size_t i = 0; i < a->count; i++) {
        if (a->letters[i].tag == tag) {
            return &a->letters[i];
        }
    }
    return NULL;
}

static void add(struct acks *a, uint64_t tag, enum acks_letter_state state)
{
    assert(tag > a->settled && (a->count == 0 || a->letters[a->count - 1].tag < tag));
    assert(a->count < ARRAY_LEN(a->letters));
    a->letters[a->count++] = (struct acks_letter){tag, state};
}

void acks_done(struct acks *a, uint64_t tag)
{
    a->done = MAX(a->done, tag);
}

void acks_dead(struct acks *a, uint64_t tag)
{
    add(a, tag, ACKS_COPYING);
}

void acks_copied(struct acks *a, uint64_t tag)
{
    struct acks_letter *l = find(a, tag);

    if (l != NULL && l->state == ACKS_COPYING) {
        l->state = ACKS_COPIED;
    }
}

void acks_refused(struct acks *a, uint64_t tag)
{
    struct acks_letter *l = find(a, tag);

    if (l == NULL) {
        add(a, tag, ACKS_REFUSED);
    } else if (l->state == ACKS_COPYING) {
        l->state = ACKS_REFUSED;
    }
}

/* The highest tag that an ack for many may reach: what is behind an unsafe letter must wait. */
static uint64_t reach(const struct acks *a)
{
    for (size_t i = 0; i < a->count && a->letters[i].tag <= a->done; i++) {
        if (a->letters[i].state == ACKS_COPYING || a->letters[i].state == ACKS_REFUSED) {
            return a->letters[i].tag - 1;
        }
    }
    return a->done;
}

/* Everything up to `limit` is settled, and the letters that follow at once and are gone. */
static void settle_up_to(struct acks *a, uint64_t limit)
{
    size_t n = 0;

    while (n < a->count && (a->letters[n].tag <= limit ||
                            (a->letters[n].tag == limit + 1 && a->letters[n].state == ACKS_GONE))) {
        limit = MAX(limit, a->letters[n].tag);
        n++;
    }
    a->count -= n;
    memmove(a->letters, a->letters + n, a->count * sizeof(a->letters[0]));
    a->settled = limit;
}

/* False: nothing to ack together. */
static bool next_many(struct acks *a, uint64_t *tag)
{
    uint64_t limit = reach(a), last = limit;

    if (limit <= a->settled) {
        return false;
    }
    /* The tag that is named must be one that the broker still waits for. */
    for (size_t i = a->count; i > 0; i--) {
        if (a->letters[i - 1].tag == last && a->letters[i - 1].state == ACKS_GONE) {
            last--;
        }
    }
    bool has_some = last > a->settled;
    settle_up_to(a, limit);
    *tag = last;
    return has_some;
}

enum acks_what acks_next(struct acks *a, uint64_t *tag)
{
    size_t gone = 0;

    if (next_many(a, tag)) {
        return ACKS_ALL_UP_TO;
    }
    for (size_t i = 0; i < a->count; i++) {
        gone += a->letters[i].state == ACKS_GONE;
    }
    for (size_t i = 0; i < a->count && (i == 0 || gone < GONE_MAX); i++) {
        enum acks_letter_state state = a->letters[i].state;
        if (state == ACKS_COPIED || state == ACKS_REFUSED) {
            a->letters[i].state = ACKS_GONE;
            *tag = a->letters[i].tag;
            settle_up_to(a, a->settled);
            return state == ACKS_COPIED ? ACKS_ONE : ACKS_REJECT;
        }
    }
    return ACKS_NOTHING;
}
