/*
 * verifier.h: whether a token is good, here and now.
 *
 * The one place that admission, the connect command, refreshes and subscription
 * tokens ask.
 */
#ifndef WARREN_GATEWAY_TOKEN_VERIFIER_H
#define WARREN_GATEWAY_TOKEN_VERIFIER_H

#include "common/base.h"
#include "gateway/conf.h"
#include "gateway/metrics.h"
#include "gateway/token/jwt.h"
#include "gateway/token/revoked.h"

struct verifier;

/* From [auth]; all are borrowed. */
struct verifier *verifier_new(const struct gateway_conf *conf, const struct revoked *revoked,
                              struct metrics *m) MUST_CHECK;
/* Accepts NULL; returns NULL. */
struct verifier *verifier_free(struct verifier *v);

/* The verdict on a token of that kind; `claims` are zero unless it is good. `why` (may be NULL)
 * gets a few static words for the log. */
enum jwt_verdict verifier_check(struct verifier *v, enum jwt_kind kind, struct slice token,
                                int64_t now_s, struct jwt_claims *claims,
                                const char **why) MUST_CHECK;

/* The settings have changed: nothing that was remembered counts any more. */
void verifier_reloaded(struct verifier *v);

#endif
