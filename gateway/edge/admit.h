/*
 * admit.h: whether a request may become a session, and whose. Pure.
 *
 * In this order: the upgrade's own rules, the extension, the sub-protocol, the page's origin,
 * the token, the room. A token comes as "Authorization: Bearer" or in the cookie
 * [auth] cookie names. Browsers send cookies along with any page's requests: so a
 * cookie counts only when the Origin is there and is named in [origin] allow, or is this very host
 * ("*" does not do).
 *
 * An Origin that names the very host of the request is always allowed; requests
 * without one come from no browser and pass.
 */
#ifndef WARREN_GATEWAY_EDGE_ADMIT_H
#define WARREN_GATEWAY_EDGE_ADMIT_H

#include "common/base.h"
#include "common/buf.h"
#include "common/http.h"
#include "gateway/conf.h"
#include "gateway/edge/origin.h"
#include "gateway/session/session.h"
#include "gateway/token/identity.h"
#include "gateway/token/verifier.h"
#include "gateway/ws/extension.h"

#define ADMIT_ROOM_DEFAULT "lobby"

enum admit_token {
    ADMIT_TOKEN_NONE,
    ADMIT_TOKEN_GOOD,
    ADMIT_TOKEN_REFUSED,
};

struct admission {
    int status;              /* 101, or the refusal's */
    const char *why;         /* words for the refusal's body */
    const char *extra;       /* header lines of the refusal, may be "" */
    const char *subprotocol; /* the one to select, or "" */
    enum dialect dialect;    /* the one that was asked for, in the codec that was asked for */
    struct extension extension;
    struct buf room;           /* owns; plain dialect: a valid name */
    bool wants_events;         /* plain dialect: ?events=1 */
    bool native_pings;         /* ?cf_ws_frame_ping_pong=true: for command-line tools */
    struct identity *identity; /* owns; NULL: the connect command has to bring a token, or
                                  the backend is asked */
    enum admit_token token;    /* these for the metrics */
    bool has_more_offers;      /* extension.h */
    bool has_long_room;        /* ROOM_NAME_MAX */
};

#define ADMISSION_EMPTY ((struct admission){.why = "", .extra = "", .subprotocol = ""})

/* Judges a request for a WebSocket of that dialect. `a` is empty before; admission_deinit() after.
 */
void admit(struct admission *a, const struct gateway_conf *conf, struct verifier *verifier,
           const struct origins *origins, const struct http_head *h, enum dialect dialect,
           int64_t now_s);

/* Frees what the caller has not taken over, and makes the admission inert. */
void admission_deinit(struct admission *a);

#endif
