/*
 * edge.c: see edge.h.
 */
#include "gateway/edge/edge.h"

#include <stdio.h>

#include "common/log.h"
#include "gateway/edge/crowd.h"
#include "gateway/edge/tls.h"
#include "gateway/edge/tries.h"
#include "gateway/edge/trust.h"

/* What the settings name; both may be NULL after a failure. */
static int load(const struct gateway_conf *conf, struct trust **trust, struct tls **tls,
                char error[TLS_ERROR_SIZE])
{
    *tls = NULL;
    *trust = trust_new(conf->trusted, error, TLS_ERROR_SIZE);
    if (*trust == NULL) {
        return -1;
    }
    if (conf->tls_cert[0] != '\0') {
        *tls = tls_new(conf->tls_cert, conf->tls_key, error, TLS_ERROR_SIZE);
        return *tls != NULL ? 0 : -1;
    }
    return 0;
}

int edge_start(struct gateway *g)
{
    char error[TLS_ERROR_SIZE];

    g->crowd = crowd_new(g->conf->per_address);
    g->tries = tries_new(g->conf->bad_tokens);
    g->comers = tries_new(g->conf->address_rate);
    if (load(g->conf, &g->trust, &g->tls, error) != 0) {
        log_error("%s", error);
        return -1;
    }
    if (g->tls != NULL) {
        stat_set(&g->metrics.tls_expires, (uint64_t)tls_expires_s(g->tls));
    }
    return 0;
}

void edge_stop(struct gateway *g)
{
    g->tls = tls_free(g->tls);
    g->tries = tries_free(g->tries);
    g->comers = tries_free(g->comers);
    g->crowd = crowd_free(g->crowd);
    g->trust = trust_free(g->trust);
}

int edge_reload(struct gateway *g)
{
    char error[TLS_ERROR_SIZE];

    if (g->tls == NULL) {
        return 0;
    }
    if (tls_reload(g->tls, error, sizeof(error)) != 0) {
        log_error("certificates stay as they were: %s", error);
        return -1;
    }
    stat_add(&g->metrics.tls_reloads, 1);
    stat_set(&g->metrics.tls_expires, (uint64_t)tls_expires_s(g->tls));
    log_info("certificates were read again");
    return 0;
}

int edge_check(const struct gateway_conf *conf)
{
    char error[TLS_ERROR_SIZE];
    struct trust *trust;
    struct tls *tls;
    int r = load(conf, &trust, &tls, error);

    if (r != 0) {
        fprintf(stderr, "warren-gateway: %s\n", error);
    }
    (void)trust_free(trust);
    (void)tls_free(tls);
    return r;
}
