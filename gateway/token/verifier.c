/*
 * verifier.c: see verifier.h.
 */
#include "gateway/token/verifier.h"

#include "common/mem.h"
#include "gateway/token/verdicts.h"

struct verifier {
    const struct gateway_conf *conf; /* borrowed */
    const struct revoked *revoked;   /* borrowed */
    struct metrics *metrics;         /* borrowed */
    struct verdicts *verdicts;       /* owns */
};

struct verifier *verifier_new(const struct gateway_conf *conf, const struct revoked *revoked,
                              struct metrics *m)
{
    struct verifier *v = mem_new(struct verifier);

    v->conf = conf;
    v->revoked = revoked;
    v->metrics = m;
    v->verdicts = verdicts_new((size_t)conf->tokens_remember, m);
    return v;
}

struct verifier *verifier_free(struct verifier *v)
{
    if (v != NULL) {
        verdicts_free(v->verdicts);
        mem_free(v);
    }
    return NULL;
}

enum jwt_verdict verifier_check(struct verifier *v, enum jwt_kind kind, struct slice token,
                                int64_t now_s, struct jwt_claims *claims, const char **why)
{
    const struct gateway_conf *conf = v->conf;
    const int64_t leeway_s = conf->leeway_ms / 1000, max_age_s = conf->max_age_ms / 1000;
    const char *audience = conf->subscription_audience;
    const struct jwt_terms terms = {
        .keys = conf->keys,
        .verdicts = v->verdicts,
        .type = conf->token_type,
        .connection = {conf->audience, conf->issuer, leeway_s, max_age_s},
        .subscription = {audience[0] != '\0' ? audience : conf->audience, conf->issuer, leeway_s,
                         max_age_s},
    };

    const char *reason = NULL;

    enum jwt_verdict verdict = jwt_check(&terms, kind, token, now_s, claims, &reason);
    if (token.size > JWT_TOKEN_MAX) {
        limit_met(&v->metrics->limits, LIMIT_TOKEN);
    } else if (strcmp(reason, CLAIMS_TOO_LONG_LIVED) == 0) {
        limit_met(&v->metrics->limits, LIMIT_MAX_AGE);
    }
    if (why != NULL) {
        *why = reason;
    }
    if (verdict == JWT_GOOD && revoked_is(v->revoked, claims)) {
        stat_add(&v->metrics->tokens_revoked, 1);
        memset(claims, 0, sizeof(*claims));
        if (why != NULL) {
            *why = "revoked";
        }
        return JWT_INVALID;
    }
    return verdict;
}

void verifier_reloaded(struct verifier *v)
{
    verdicts_free(v->verdicts);
    v->verdicts = verdicts_new((size_t)v->conf->tokens_remember, v->metrics);
}
