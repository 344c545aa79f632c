/*
 * conf.h: the gateway's settings, filled once before the loop starts.
 */
#ifndef WARREN_GATEWAY_CONF_H
#define WARREN_GATEWAY_CONF_H

#include "common/base.h"
#include "common/buf.h"
#include "common/conf.h"
#include "common/http.h"
#include "gateway/api/api_keys.h"
#include "gateway/hook/hooks.h"
#include "gateway/token/keys.h"
#include "proto/limits.h"
#include "proto/rules.h"

struct gateway_conf {
    char *log_level;
    char *amqp_url, *amqp_prefix, *amqp_ca_file;
    int64_t partitions;
    char *queue_type;
    int64_t in_max_length, log_max_bytes; /* of the broadcaster: one file may serve both */
    char *log_max_age;                    /* likewise */
    char *id, *listen, *admin;
    bool id_is_made_up;       /* none was given */
    char *tls_cert, *tls_key; /* lists of files; both empty: plain */
    char *trusted;            /* balancers */
    bool proxy_protocol;
    bool demo, echo;
    int64_t connections_max; /* sessions and handshakes together */
    int64_t per_address;     /* of them; 0: any number */
    int64_t address_rate;    /* begun in TRIES_WINDOW_MS; 0: any number */
    int64_t address_handshakes;
    int64_t tcp_timeout_ms, defer_accept_ms;
    int64_t bad_tokens;     /* of one address in TRIES_WINDOW_MS; 0: any number */
    int64_t handshakes_max; /* of them, without a whole head yet */
    int64_t handshake_ms;   /* TLS and the whole HTTP head */
    int64_t head_max;       /* bytes */
    int64_t line_max;       /* of them, the first line */
    int64_t fields_max;     /* of it */
    int64_t stale_ms;       /* from the upgrade to the first good connect command */
    int64_t ping_ms, pong_ms;
    int64_t close_wait_ms; /* for the peer's close frame */
    int64_t max_message, max_payload, max_depth, max_control_rate;
    int64_t max_fragments, max_empty_fragments;
    bool compression;
    int64_t compression_level, compression_memory; /* zlib's, 1 to 9 */
    int64_t compression_min;                       /* bytes of a message: smaller ones stay */
    int64_t out_queue;                             /* bytes a session may be behind */
    int64_t rooms_max;                             /* per session */
    int64_t history_limit;                         /* records of one history command */
    int64_t user_sessions;                         /* of one user; 0: any number */
    int64_t publish_rate, publish_burst;           /* of one session; rate 0: any */
    int64_t user_publish_rate, user_publish_burst;
    int64_t errors_max;                  /* error replies in 10 s before 3509 */
    int64_t publish_wait_ms;             /* behind a batch in doubt */
    int64_t subscribe_wait_ms;           /* for the owner's answer */
    int64_t refresh_wait_ms;             /* after a token's end, for a client that can refresh it */
    int64_t out_queue_age_ms;            /* until all that is queued now has left */
    int64_t reads_max;                   /* of a session in a turn */
    int64_t message_rate, message_burst; /* in a second, 0: any number; at once */
    int64_t recent_records, recent_bytes; /* of each followed room, kept for those who come back */
    int64_t drain_accept_ms, drain_ms;
    char *events; /* none, or some of connect, disconnect */
    char *hmac_key, *public_key_file, *public_key_algorithm, *jwks_file;
    char *audience, *subscription_audience, *issuer, *token_type, *cookie;
    int64_t max_age_ms;      /* that a token may still live; 0: any time */
    int64_t leeway_ms;       /* by which the clocks of those who issue tokens may differ */
    int64_t tokens_remember; /* whose signatures are not checked again */
    bool anonymous;
    struct key_sections key_sections;
    struct keys *keys; /* owns: all of them, read from their files */
    char *origins;
    struct rules rules;
    struct hooks_conf hooks;
    char *api_listen, *api_key;
    int64_t api_request_ms; /* for a call to come, and for its answer to be taken */
    int64_t api_connections, api_body, api_wait_ms, api_gather_ms;
    struct api_keys api_keys;
};

/* Reads file and environment and checks what a single key cannot show. 0, or -1 after one line on
 * standard error. */
int gateway_conf_load(struct gateway_conf *c, const char *path) MUST_CHECK;

/* Whether anybody could come in by them, for who serves. 0, or -1 after a line on stderr. */
int gateway_conf_check_entry(const struct gateway_conf *c) MUST_CHECK;

/* A running gateway's settings `c` get from `fresh` what can change without a restart: [auth],
 * [origin], [room], [hooks], [log], the keys of [api], what a session and a user may do of
 * [gateway] (rooms, sessions, rates) and all sections with names; `fresh` has the old ones
 * afterwards, to be freed when nobody points there any more. Names the other settings that differ
 * in `others`, which is empty when there are none. */
void gateway_conf_exchange(struct gateway_conf *c, struct gateway_conf *fresh, struct buf *others);
void gateway_conf_free(struct gateway_conf *c);
void gateway_conf_print(void);

/* The default of a setting that exists, in the notation of the file. */
const char *gateway_conf_default(const char *section, const char *key);

#endif
