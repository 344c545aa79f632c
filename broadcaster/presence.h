/*
 * presence.h: who is in which room: the soft state behind presence.
 *
 * A member is a session in a room, told by the gateway that has the session. It
 * is in the map of its room and in the list of its gateway, and dies with
 * either its leave or its gateway. Several may be of one user.
 */
#ifndef WARREN_BROADCASTER_PRESENCE_H
#define WARREN_BROADCASTER_PRESENCE_H

#include "broadcaster/roster.h"
#include "common/base.h"
#include "common/hash.h"
#include "proto/line.h"

/* A user with members in a room. */
struct person {
    UT_hash_handle hh; /* in place->persons */
    uint32_t members;  /* never 0 */
    uint16_t user_size;
    char user[];
};

struct member {
    UT_hash_handle hh;          /* in place->members, by client */
    struct member *prev, *next; /* links: the same gateway's */
    struct member **of_gateway; /* borrowed: the list that it is in */
    struct place *place;        /* borrowed: stays while it has members */
    struct person *person;      /* borrowed: stays while it has members */
    bool is_stale;              /* its gateway attaches anew and has not named it yet */
    uint16_t client_size, info_size, chan_info_size;
    char text[]; /* client, info, chan_info */
};

/* The session of `line` is in the room; one that is known already changes to what the line says.
 * True if it is new. */
bool presence_enter(struct member **of_gateway, struct place *place, const struct line *line);

/* The session of that client id, if it is this gateway's, or NULL. */
struct member *presence_find(struct member **of_gateway, const struct place *place,
                             struct slice client);

/* Takes one member off its room and its gateway and frees it. */
void member_free(struct member *m);

/* What a member is told as. */
void member_line(const struct member *m, struct line *out);

/* How many sessions and users are in the room. */
size_t presence_members(const struct place *place);
size_t presence_persons(const struct place *place);

#endif
