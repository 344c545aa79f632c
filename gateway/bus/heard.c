/*
 * heard.c: see heard.h.
 */
#include "gateway/bus/heard.h"

#include "gateway/bus/link_lines.h"

void heard_init(struct heard *h)
{
    *h = (struct heard){.round = 1};
}

void heard_deinit(struct heard *h)
{
    buf_deinit(&h->gone);
    buf_deinit(&h->gone_asked);
}

void heard_begin(struct heard *h, struct buf *lines)
{
    h->asked = 0;
    buf_add_slice(lines, buf_slice(&h->gone_asked));
    buf_add_slice(lines, buf_slice(&h->gone));
}

void heard_ask(struct heard *h)
{
    if (h->asked == 0) {
        h->asked = h->round;
        buf_add_slice(&h->gone_asked, buf_slice(&h->gone));
        buf_clear(&h->gone);
    }
    h->round++;
}

void heard_answered(struct heard *h)
{
    if (h->asked != 0) {
        h->sure = h->asked;
        h->asked = 0;
        buf_deinit(&h->gone_asked);
    }
}

void heard_member(const struct heard *h, struct buf *lines, struct subscription *sub)
{
    bool is_known = sub->told_round != 0 && sub->told_round <= h->sure;

    link_line_member(lines, sub, is_known);
    if (!is_known) {
        sub->told_round = h->round;
    }
}

void heard_gone(struct heard *h, const struct subscription *sub)
{
    if (sub->told_round != 0 && h->gone.size + h->gone_asked.size < HEARD_GONE_MAX) {
        link_line_gone(&h->gone, sub);
    }
}

bool heard_has_gone(const struct heard *h)
{
    return h->gone.size + h->gone_asked.size > 0;
}
