/*
 * sight.h: which sessions may see a record that has an audience.
 *
 * A sight is an audience made ready for a test that many sessions take: most of
 * those who are not meant fail on one AND of two words. Records without an
 * audience have no sight.
 */
#ifndef WARREN_GATEWAY_ROOM_SIGHT_H
#define WARREN_GATEWAY_ROOM_SIGHT_H

#include "common/base.h"
#include "gateway/session/session.h"
#include "proto/audience.h"
#include "proto/record.h"

struct sight {
    struct audience audience; /* borrows from the record */
    uint64_t mark;            /* of all roles and users: identity_mark() */
    bool is_open;             /* all but one */
};

/* `r` has an audience, and stays where it is. */
void sight_init(struct sight *sight, const struct record *r);

/* True if the session, which has an identity, may see the record. */
bool sight_admits(const struct sight *sight, const struct session *s);

/* The same for any record of the past, which may have been taken out of the history; one that is
 * kept back because of its audience is counted. */
bool session_sees(const struct session *s, const struct record *r);

/* The counters' label of a rule, AUDIENCE_RULES among them. */
const char *sight_label(enum audience_rule rule);

#endif
