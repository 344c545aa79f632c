/*
 * verifier.c: see verifier.h.
 */
#include "gateway/verifier.h"

#include "common/mem.h"

struct verifier {
    const struct gateway_conf *conf; /* borrowed */
};

struct verifier *verifier_new(const struct gateway_conf *conf)
{
    struct verifier *v = mem_new(struct verifier);

    v->conf = conf;
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

    return jwt_check_kind(&key, kind, token, now_s, claims, why);
}
