/*
 * who.h: texts of settings that name people.
 *
 * "*" is everybody who is admitted, "none" is nobody; each stands alone. Else
 * there are words, separated by spaces or commas: roles, `known` (everybody with
 * a token) and `anonymous` (everybody without one). Roles are compared as the
 * insides of JSON strings, as identities and records have them.
 */
#ifndef WARREN_PROTO_WHO_H
#define WARREN_PROTO_WHO_H

#include "common/base.h"

/* Takes the next word off a text. False: there is none. */
bool who_next(const char **rest, struct slice *word) MUST_CHECK;

/* True if the text is one as above. */
bool who_is_valid(const char *text);

/* True if it is "none", or roles that fit a record's audience: none of the words that mean
 * something else in a setting. */
bool who_is_roles(const char *text);

/* True if that person is named. `has_role` is asked with `person` and one role. NULL is "none". */
bool who_admits(const char *text, bool is_known,
                bool (*has_role)(const void *person, struct slice role), const void *person);

/* The text with its roles as insides of JSON strings, to be freed with mem_free(); NULL: they are
 * already. */
char *who_rewrite(const char *text) MUST_CHECK;

#endif
