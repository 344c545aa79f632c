/*
 * heard.h: which members an owner of a partition has surely heard of, and who left meanwhile.
 *
 * What is said on a link may be lost with its owner. What was said before a question
 * (an attach, a sign of life) that is answered was taken: a member of whom that is true
 * is told to the next owner as known, so that nobody hears of it twice. Any other one is
 * told as new, though it may not be: whoever is told twice notices (told.h). Leaves are
 * kept until they were taken, and said again to the next owner.
 */
#ifndef WARREN_GATEWAY_BUS_HEARD_H
#define WARREN_GATEWAY_BUS_HEARD_H

#include "common/buf.h"
#include "gateway/room/rooms.h"

#define HEARD_GONE_MAX (1 << 16) /* bytes of lines about who left; more are not kept */

struct heard {
    uint32_t round;              /* counts questions; what is said now belongs to this one */
    uint32_t asked, sure;        /* the oldest without an answer, 0: none; the last with one */
    struct buf gone, gone_asked; /* own; lines: who left since `asked`, and before */
};

/* Nobody has heard of anybody. */
void heard_init(struct heard *h);
/* Frees what is kept. */
void heard_deinit(struct heard *h);

/* A link begins; what was asked is not answered any more. Appends who left. */
void heard_begin(struct heard *h, struct buf *lines);

/* A question was sent, and its answer came. */
void heard_ask(struct heard *h);
void heard_answered(struct heard *h);

/* Appends the line of a member. */
void heard_member(const struct heard *h, struct buf *lines, struct subscription *sub);

/* Somebody left, and that may not have been heard. */
bool heard_has_gone(const struct heard *h);

/* A member leaves. */
void heard_gone(struct heard *h, const struct subscription *sub);

#endif
