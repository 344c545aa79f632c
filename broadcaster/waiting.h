/*
 * waiting.h: mail that waits until the log was looked into (lookback.h).
 *
 * What a gateway wrote on its link waits together with what it wrote before:
 * the order of a link stays as it is.
 */
#ifndef WARREN_BROADCASTER_WAITING_H
#define WARREN_BROADCASTER_WAITING_H

#include "common/base.h"
#include "common/buf.h"
#include "proto/message.h"

#define WAITING_MAX 1024             /* messages; further ones are not kept */
#define WAITING_BYTES_MAX (16 << 20) /* of their bodies */
#define WAITING_QUESTION_MS 2000     /* then a question is answered from memory alone */
#define WAITING_ATTACH_MS 1500       /* and an attach: the gateway begins anew after 2 s */

struct waiting_mail {
    struct waiting_mail *next;
    struct message m; /* its slices point into `texts` */
    struct buf texts; /* owns */
    int64_t until_ms; /* 0: as long as what is before it on its link */
};

struct waiting {
    struct waiting_mail *first; /* owns; in the order of arrival */
    struct waiting_mail **last;
    size_t count, bytes;
};

/* Nobody waits. */
void waiting_init(struct waiting *w);
/* Frees the mail that waits. */
void waiting_deinit(struct waiting *w);

/* True if the message is of a link. */
bool message_is_of_link(const struct message *m);

/* True if something of the gateway's link waits. */
bool waiting_has_link(const struct waiting *w, struct slice gateway);

/* Keeps a copy; false: there is no room. */
bool waiting_add(struct waiting *w, const struct message *m, int64_t until_ms);

/* Takes all off: a list by ->next, to be freed one by one. */
struct waiting_mail *waiting_take(struct waiting *w);
void waiting_free(struct waiting_mail *mail);

/* True if it has waited long enough. */
bool waiting_is_late(const struct waiting_mail *mail, int64_t now_ms);

#endif
