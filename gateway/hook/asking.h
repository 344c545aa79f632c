/*
 * asking.h: the questions of one session to the backend (hooks.h), and what waits behind them.
 *
 * A question is about one command. While it is out, later commands of the session are kept, so that
 * nothing is overtaken: only pongs are served, and subscribe commands to other rooms, a few of
 * which may be asked about at the same time. What is kept is bounded: beyond that nothing is taken
 * from the session, so that it is 16k and one message more. When an answer is there the command is
 * served, or refused, and then what was kept, in order.
 */
#ifndef WARREN_GATEWAY_HOOK_ASKING_H
#define WARREN_GATEWAY_HOOK_ASKING_H

#include "gateway/dialect/dialect.h"
#include "gateway/hook/hook.h"

#define ASKING_KEPT_MAX 16384 /* bytes kept: above it nothing more is taken from the session */

struct blob;

/* Header lines of the upgrade (hooks_headers()) that go with every question; takes them over, NULL
 * too. */
void asking_pass_on(struct session *s, struct blob *headers);

/* Asks about a command, `raw` as it came (plain: the room, or the text). What is asked has the
 * client, its user and its address besides what `q` says. When nobody can be asked the command is
 * refused with a temporary error. The session may be closing when this returns. */
void asking_ask(struct session *s, enum hook which, struct slice raw, uint32_t command_id,
                struct hook_question *q);

/* Whether a command has to wait, or any message of a plain session (NULL). */
bool asking_holds(const struct session *s, const struct command *c);

/* It waits. */
void asking_keep(struct session *s, struct slice message);

/* True while the backend has not answered. */
bool asking_is_open(const struct session *s);

/* True while what was kept is served: it was counted when it came. */
bool asking_is_replaying(const struct session *s);

/* An answer that cannot be followed, with a few words for the log: the command is refused with a
 * temporary error. */
void asking_complain(struct session *s, enum hook which, uint32_t command_id, const char *why);

/* Gives the session the identity that the answer to connect tells. False: it was refused. */
bool asking_take_identity(struct session *s, uint32_t command_id, const struct hook_answer *a);

/* Questions are cancelled, what was kept is forgotten. */
void asking_end(struct session *s);
/* Frees the rest. */
void asking_free(struct session *s);

#endif
