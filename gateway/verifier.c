/*
 * verifier.c: see verifier.h.
 */
#include "gateway/verifier.h"

#include "common/mem.h"

struct verifier {
    const struct gateway_conf *conf; /* borrowed */
    const struct revoked *revoked;   /* borrowed */
    struct metrics *metrics;         /* borrowed */
};

struct verifier *verifier_new(const struct gateway_conf *conf, const struct revoked *revoked,
                              struct metrics *m)
{
    struct verifier *v = mem_new(struct verifier);

    v->conf = conf;
    v->revoked = revoked;
    v->metrics = m;
    return v;
}

struct verifier *verifier_free(struct verifier *v)
{
    mem_free(v);
    return NULL;
}

enum jwt_verdict verifier_check(struct verifier *v, enum jwt_kind kind, struct slice token,
                                int64_t now_s, struct jwt_claims *claims, const char **why)
{
    const struct jwt_key key = {v->conf->hmac_key, v->conf->audience, v->conf->issuer};

    enum jwt_verdict verdict = jwt_check_kind(&key, kind, token, now_s, claims, why);
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
