/*
 * claims.h: what a token says (RFC 7519 4), as far as it means something here.
 *
 * A connection token tells who somebody is; a subscription token lets that
 * person into one room. The claim `channel` is what tells them apart: one kind
 * is never taken for the other.
 *
 * The texts are in the claims themselves, so that these can be copied and kept;
 * a token of JWT_TOKEN_MAX bytes cannot have more than JWT_TEXTS_MAX of them.
 */
#ifndef WARREN_GATEWAY_TOKEN_CLAIMS_H
#define WARREN_GATEWAY_TOKEN_CLAIMS_H

#include "common/base.h"

#define CLAIMS_TOO_LONG_LIVED "lives too long" /* the words for max_age_s */

#define JWT_TOKEN_MAX 4096 /* bytes */
#define JWT_ROLES_MAX 16
#define JWT_ROLE_SIZE 33   /* bytes with the NUL */
#define JWT_ID_MAX 128     /* bytes of a jti */
#define JWT_ROOMS_MAX 128  /* in `channels`, and in `subs` */
#define JWT_TEXTS_MAX 3072 /* bytes: of the payload, decoded */
#define JWT_DEPTH_MAX 16   /* levels of a raw JSON claim, the payload's own counted */

enum jwt_kind {
    JWT_CONNECTION,   /* `channel` makes it invalid */
    JWT_SUBSCRIPTION, /* `channel` is needed */
};

/* Where a text stands in jwt_claims.texts; size 0: the token does not have it. */
struct jwt_text {
    uint16_t at, size;
};

struct jwt_claims {
    char user[129]; /* sub, decoded; never empty in a connection token; "" in a subscription token:
                       of somebody anonymous */
    char name[129]; /* claim `name`, or the user */
    char roles[JWT_ROLES_MAX][JWT_ROLE_SIZE];
    size_t role_count;
    int64_t expires_s;    /* when the session or subscription ends: expire_at, else exp; 0: never */
    int64_t exp_s;        /* exp: until then the token is taken */
    int64_t issued_s;     /* iat; 0: it does not say */
    int64_t not_before_s; /* nbf; 0: it does not say */
    struct jwt_text id;   /* jti, decoded */
    struct jwt_text channel;                 /* subscription token: a valid room */
    struct jwt_text client;                  /* decoded: only this client may use it */
    struct jwt_text channels[JWT_ROOMS_MAX]; /* valid rooms, each once */
    size_t channel_count;
    /* JSON as it stands in the token (or in its base64 form: b64info, b64data). */
    struct jwt_text info, data; /* any value */
    struct jwt_text subs;       /* object: of valid rooms, at most JWT_ROOMS_MAX, to objects */
    struct jwt_text override;   /* object */
    struct jwt_text meta;       /* object */
    size_t texts_size;
    char texts[JWT_TEXTS_MAX];
};

/* A text of the claims, borrowed from them. */
static inline struct slice jwt_text(const struct jwt_claims *c, struct jwt_text t)
{
    return (struct slice){c->texts + t.at, t.size};
}

/* What tokens are measured by. All borrowed. */
struct claims_rules {
    const char *audience; /* "": any */
    const char *issuer;   /* "": any */
    int64_t leeway_s;     /* by which clocks may differ */
    int64_t max_age_s;    /* from now to exp; 0: any time */
};

enum claims_answer {
    CLAIMS_INVALID = 1, /* not what a token of that kind has to say */
    CLAIMS_EXPIRED = 2, /* exp or expire_at is past, or nbf is still ahead */
};

/* Reads a payload, decoded, of a token whose signature is good, into zeroed claims. 0 or an answer;
 * then `why` gets a few static words. */
int claims_read(struct jwt_claims *c, enum jwt_kind kind, struct slice payload,
                const struct claims_rules *rules, int64_t now_s, const char **why) MUST_CHECK;

/* Whether claims that were good once are good at `now_s`. 0 or CLAIMS_EXPIRED. */
int claims_judge_time(const struct jwt_claims *c, const struct claims_rules *rules, int64_t now_s,
                      const char **why) MUST_CHECK;

#endif
