/*
 * audience.h: who may see a record, when not everybody may.
 *
 *     {"by":"payload","users":["ann","bob"],"not":"6f1c.."}
 *
 * The owner of a room decides it from the rules of the room, what the gateway
 * says of the sender and, where the rules allow, the payload; it stands in the
 * record's first line, in the log too. Gateways obey it for every session: one
 * sees the record that has one of the roles, is one of the users or is the
 * client; with none of the three told, everybody does; the session `not` never
 * does. A member that we do not know narrows it in a way that we do not know:
 * then nobody sees the record.
 *
 * Names are compared as they stand, so there is one way to write them: what
 * json_escape() makes of the text. audience_add_name() sees to that.
 */
#ifndef WARREN_PROTO_AUDIENCE_H
#define WARREN_PROTO_AUDIENCE_H

#include "common/base.h"
#include "common/buf.h"
#include "proto/limits.h"

#define AUDIENCE_WISH_MAX 3000 /* bytes of what a payload or a setting may name */

enum audience_rule {
#define AUDIENCE(name, word, when) AUDIENCE_BY_##name,
#include "proto/audience.def"
    AUDIENCE_RULES
};

/* The word on the wire. */
const char *audience_word(enum audience_rule rule);

/* Insides of JSON strings; borrowed. */
struct audience_names {
    struct slice at[AUDIENCE_NAMES_MAX];
    size_t count;
};

struct audience {
    enum audience_rule rule; /* who decided it; AUDIENCE_RULES: one that we do not know */
    struct audience_names roles, users;
    struct slice client; /* who sees it too; may be empty */
    struct slice except; /* who does not; may be empty */
    bool is_opaque;      /* it says something that we do not understand */
};

/* Reads a raw JSON object of at most AUDIENCE_MAX bytes; slices point into it. False: it is none.
 */
bool audience_read(struct slice text, struct audience *out) MUST_CHECK;

/* Appends it. */
void audience_write(struct buf *out, const struct audience *a);

/* Reads a raw JSON array of strings, not empty and not longer than `max` bytes each. False: it is
 * none, or has too many. */
bool audience_read_names(struct slice text, size_t max, struct audience_names *out) MUST_CHECK;

/* True if nobody is named: all may see it but for `except`. */
static inline bool audience_is_open(const struct audience *a)
{
    return a->roles.count + a->users.count + a->client.size == 0 && !a->is_opaque;
}

/* True if the name is one of them. */
bool audience_has(const struct audience_names *names, struct slice name);

enum audience_wish {
    AUDIENCE_NO_WISH = 1, /* it names nobody */
    AUDIENCE_BAD_WISH = 2 /* not a name or a list of them, more than once, or too much */
};

/* Whom a payload (valid JSON) names: its members `to` (users) and `roles`, each a string or a list
 * of strings, in the one way of writing them. `texts` (empty before) holds some of them. 0 or an
 * answer; what is read leaves room for the sender in an audience. */
int audience_of_payload(struct slice payload, struct buf *texts, struct audience_names *users,
                        struct audience_names *roles) MUST_CHECK;

#endif
