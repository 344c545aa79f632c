/*
 * identity.h: who a session is.
 */
#ifndef WARREN_GATEWAY_TOKEN_IDENTITY_H
#define WARREN_GATEWAY_TOKEN_IDENTITY_H

#include "common/base.h"
#include "gateway/token/granted.h"
#include "gateway/token/jwt.h"

struct identity {
    bool is_known;           /* false: anonymous */
    char *user;              /* owns; inside of a JSON string (escaped); "" when anonymous */
    char *name;              /* owns; likewise */
    char **roles;            /* owns; likewise; NULL-terminated; NULL when there are none */
    char *token_id;          /* owns; decoded; NULL: the token has none */
    int64_t issued_s;        /* of the token; 0: it does not say */
    char *roles_list;        /* owns; them as a JSON array; "" when there are none */
    uint64_t mark;           /* of the user and all roles: identity_mark() */
    int64_t expires_s;       /* 0: never */
    char *info;              /* owns; conn_info: record_info_is_valid(); "": it has none */
    struct granted *granted; /* owns; rooms that the token puts the session into; NULL: none */
};

/* From good claims; anonymous when `claims` is NULL. Freed with identity_free(), which accepts NULL
 * and returns NULL. */
struct identity *identity_new(const struct jwt_claims *claims) MUST_CHECK;
struct identity *identity_free(struct identity *i);

/* Whether it is that user (decoded). */
bool identity_is_user(const struct identity *i, const char *user);

/* One bit for a name: whoever has none of the bits of a list has none of its names. */
uint64_t identity_mark(struct slice name);

/* `rule` is a text of settings that names people (proto/who.h). */
bool identity_may(const struct identity *i, const char *rule);

#endif
