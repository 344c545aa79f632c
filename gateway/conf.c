/*
 * conf.c: the table of settings and what a single key cannot show.
 */
#include "gateway/conf.h"

#include <stdio.h>

#include "common/mem.h"
#include "common/service.h"
#include "gateway/api/api.h"
#include "gateway/edge/origin.h"
#include "gateway/session/notices.h"
#include "gateway/token/jwt.h"

#define AT(field) offsetof(struct gateway_conf, field)

static_assert(SERVICE_ID_MAX == ID_MAX, "an id that is good here is good on the wire");
static_assert(SERVICE_PARTITIONS_MAX == PARTITIONS_MAX, "and a number of partitions");

static const struct conf_key keys[] = {
    SERVICE_ROWS(struct gateway_conf),
    {"gateway", "id", CONF_TEXT, AT(id), "", 0, 0,
     "unique name [A-Za-z0-9._-]; default: host name and a random part"},
    {"gateway", "listen", CONF_TEXT, AT(listen), "127.0.0.1:8080", 0, 0, "address for WebSockets"},
    {"gateway", "tls_cert", CONF_TEXT, AT(tls_cert), "", 0, 0,
     "certificate chain (PEM): clients are served with TLS only; several, comma-separated, are "
     "chosen "
     "by the name asked for"},
    {"gateway", "tls_key", CONF_TEXT, AT(tls_key), "", 0, 0,
     "its key (PEM); as many as certificates"},
    {"gateway", "trusted", CONF_TEXT, AT(trusted), "", 0, 0,
     "balancers, as addresses and networks (10.0.0.0/8): they say whom they speak for, in "
     "X-Forwarded-For"},
    {"gateway", "proxy_protocol", CONF_BOOL, AT(proxy_protocol), "no", 0, 0,
     "trusted balancers begin each connection with a PROXY header, version 2"},
    {"gateway", "admin", CONF_TEXT, AT(admin), "127.0.0.1:9180", 0, 0,
     "address for /live, /ready and /metrics"},
    {"gateway", "demo", CONF_BOOL, AT(demo), "no", 0, 0,
     "serve the chat page at / and tokens for it: not for production"},
    {"gateway", "echo", CONF_BOOL, AT(echo), "no", 0, 0, "serve an echo service at /echo"},
    {"gateway", "connections", CONF_NUMBER, AT(connections_max), "15000", 1, 10000000,
     "sessions and handshakes at once; more are answered 503"},
    {"gateway", "per_address", CONF_NUMBER, AT(per_address), "1000", 0, 10000000,
     "of them from one address (IPv6: /64) that is not trusted; 429 above it; 0: any number"},
    {"gateway", "address_rate", CONF_NUMBER, AT(address_rate), "5000", 0, 10000000,
     "of them that one address may begin in 10 s; 429 for the rest of them; 0: any number"},
    {"gateway", "address_handshakes", CONF_NUMBER, AT(address_handshakes), "500", 0, 10000000,
     "of one address without a whole request, where per_address is counted; 429 above it; 0: any"},
    {"gateway", "bad_tokens", CONF_NUMBER, AT(bad_tokens), "100", 0, 1000000,
     "of one address (as above) in 10 s; 429 for the rest of them; 0: any number"},
    {"gateway", "handshakes", CONF_NUMBER, AT(handshakes_max), "4000", 1, 10000000,
     "connections without a whole request at once; more are answered 503"},
    {"gateway", "handshake", CONF_DURATION, AT(handshake_ms), "5s", 100, 600000,
     "time for TLS and a whole request head"},
    {"gateway", "defer_accept", CONF_DURATION, AT(defer_accept_ms), "0s", 0, 600000,
     "that the kernel keeps a connection to itself until something was said; 0s: not at all"},
    {"gateway", "tcp_timeout", CONF_DURATION, AT(tcp_timeout_ms), "30s", 1000, 3600000,
     "that a client's machine may leave what was sent without a sign of it"},
    {"gateway", "max_head", CONF_SIZE, AT(head_max), "8k", 1024, HTTP_HEAD_CEILING,
     "of a request head; 431 above it"},
    {"gateway", "max_line", CONF_SIZE, AT(line_max), "4k", 128, HTTP_HEAD_CEILING,
     "of a request's first line; 414 above it"},
    {"gateway", "max_fields", CONF_NUMBER, AT(fields_max), "64", 8, HTTP_FIELDS_CEILING,
     "header fields of a request; 431 above it"},
    {"gateway", "stale", CONF_DURATION, AT(stale_ms), "5s", 100, 600000,
     "time from the upgrade to the connect command"},
    {"gateway", "ping", CONF_DURATION, AT(ping_ms), "25s", 100, 3600000, "between two pings"},
    {"gateway", "pong", CONF_DURATION, AT(pong_ms), "8s", 50, 3600000,
     "time for the answer to a ping; less than ping"},
    {"gateway", "close_wait", CONF_DURATION, AT(close_wait_ms), "5s", 100, 600000,
     "time for the answer to a close frame; then TCP is reset"},
    {"gateway", "max_message", CONF_SIZE, AT(max_message), "64k", 128, 16 << 20,
     "of a client's WebSocket message; 1009 above it"},
    {"gateway", "max_payload", CONF_SIZE, AT(max_payload), "64k", 16, PAYLOAD_CEILING,
     "of what is published; error 106 above it"},
    {"gateway", "max_depth", CONF_NUMBER, AT(max_depth), "16", 1, PAYLOAD_DEPTH_MAX,
     "levels of objects and arrays in what is published; error 107 above it"},
    {"gateway", "max_fragments", CONF_NUMBER, AT(max_fragments), "1024", 1, 1000000,
     "frames of one message; 1008 above it"},
    {"gateway", "max_empty_fragments", CONF_NUMBER, AT(max_empty_fragments), "100", 0, 1000000,
     "of them without payload; 1008 above it"},
    {"gateway", "max_control_rate", CONF_NUMBER, AT(max_control_rate), "50", 1, 65535,
     "pings and pongs of a client in a second; 1008 above it"},
    {"gateway", "compression", CONF_BOOL, AT(compression), "yes", 0, 0,
     "speak permessage-deflate with those who offer it"},
    {"gateway", "compression_level", CONF_NUMBER, AT(compression_level), "1", 1, 9,
     "effort, as zlib has it: 1 is fast, 9 is thorough"},
    {"gateway", "compression_min", CONF_SIZE, AT(compression_min), "1k", 0, 16 << 20,
     "of a message; smaller ones are sent as they are"},
    {"gateway", "compression_memory", CONF_NUMBER, AT(compression_memory), "8", 1, 9,
     "of the compressor, as zlib has it: 8 is 256 KB for all sessions together"},
    {"gateway", "out_queue", CONF_SIZE, AT(out_queue), "1m", 1024, 1 << 30,
     "that a session may be behind; 3008 above it"},
    {"gateway", "out_queue_age", CONF_DURATION, AT(out_queue_age_ms), "30s", 100, 3600000,
     "that a session's socket may take for what is queued; then 3008"},
    {"gateway", "reads", CONF_NUMBER, AT(reads_max), "4", 1, 1000,
     "reads (of 16k) of a session before others have their turn"},
    {"gateway", "message_rate", CONF_NUMBER, AT(message_rate), "1000", 0, 1000000,
     "messages and commands of a session in a second, on average; above it it is read more slowly; "
     "0: any number"},
    {"gateway", "message_burst", CONF_NUMBER, AT(message_burst), "10000", 1, 100000000,
     "of them at once, before that"},
    {"gateway", "rooms", CONF_NUMBER, AT(rooms_max), "128", 1, 10000, "rooms of one session"},
    {"gateway", "history_limit", CONF_NUMBER, AT(history_limit), "300", 1, 1000,
     "records that one history command is given at most"},
    {"gateway", "user_sessions", CONF_NUMBER, AT(user_sessions), "0", 0, 1000000,
     "sessions of one user on this gateway; 3504 above it; 0: any number"},
    {"gateway", "publish_rate", CONF_NUMBER, AT(publish_rate), "0", 0, 1000000,
     "publishes of one session in a second; error 111 above it; 0: any number"},
    {"gateway", "publish_burst", CONF_NUMBER, AT(publish_burst), "20", 1, 1000000,
     "of them, at once"},
    {"gateway", "user_publish_rate", CONF_NUMBER, AT(user_publish_rate), "0", 0, 1000000,
     "publishes of all sessions of one user on this gateway in a second; likewise"},
    {"gateway", "user_publish_burst", CONF_NUMBER, AT(user_publish_burst), "50", 1, 1000000,
     "of them, at once"},
    {"gateway", "errors", CONF_NUMBER, AT(errors_max), "50", 1, 1000000,
     "error replies to one session in 10 s; 3509 above it, 3013 if it was for its rate"},
    {"gateway", "publish_wait", CONF_DURATION, AT(publish_wait_ms), "3s", 50, 60000,
     "behind a batch that the broker has not confirmed; then error 100"},
    {"gateway", "subscribe_wait", CONF_DURATION, AT(subscribe_wait_ms), "4s", 50, 60000,
     "for the owner's answer; then error 100"},
    {"gateway", "refresh_wait", CONF_DURATION, AT(refresh_wait_ms), "25s", 0, 3600000,
     "after a token's end for a client that can refresh it; then 3005, or 2501 for a subscription"},
    {"gateway", "recent", CONF_NUMBER, AT(recent_records), "100", 0, 100000,
     "records of each followed room kept here for sessions that come back"},
    {"gateway", "recent_bytes", CONF_SIZE, AT(recent_bytes), "256k", 0, 1 << 30,
     "of them, at most"},
    {"gateway", "drain_accept", CONF_DURATION, AT(drain_accept_ms), "2s", 0, 600000,
     "after SIGTERM, while /ready fails and balancers notice, that clients are still let in"},
    {"gateway", "drain", CONF_DURATION, AT(drain_ms), "10s", 0, 3600000,
     "over which sessions are ended then"},
    {"gateway", "events", CONF_TEXT, AT(events), "none", 0, 0,
     "what programs are told through the exchange PREFIX.events: none, or some of connect, "
     "disconnect"},
    {"auth", "hmac_key", CONF_SECRET, AT(hmac_key), "", 0, 0,
     "HS256 key of the tokens, at least 32 bytes"},
    {"auth", "public_key_file", CONF_TEXT, AT(public_key_file), "", 0, 0,
     "PEM file of the public key that tokens are checked with: RSA, EC or Ed25519"},
    {"auth", "public_key_algorithm", CONF_TEXT, AT(public_key_algorithm), "", 0, 0,
     "its one algorithm; default: RS256, ES256, ES384, ES512 or EdDSA, by the kind of key"},
    {"auth", "jwks_file", CONF_TEXT, AT(jwks_file), "", 0, 0, "JWK Set with such keys (RFC 7517)"},
    {"auth", "anonymous", CONF_BOOL, AT(anonymous), "no", 0, 0, "admit people without a token"},
    {"auth", "audience", CONF_TEXT, AT(audience), "", 0, 0, "that tokens must be made for"},
    {"auth", "subscription_audience", CONF_TEXT, AT(subscription_audience), "", 0, 0,
     "that tokens for a room must be made for; default: as audience"},
    {"auth", "issuer", CONF_TEXT, AT(issuer), "", 0, 0, "that tokens must be made by"},
    {"auth", "token_type", CONF_TEXT, AT(token_type), "", 0, 0,
     "that tokens must name in the typ of their header, such as JWT; default: any"},
    {"auth", "max_age", CONF_DURATION, AT(max_age_ms), "0s", 0, (int64_t)3650 * 24 * 3600 * 1000,
     "that a token may still live when it is shown; longer ones are refused; 0s: any time"},
    {"auth", "leeway", CONF_DURATION, AT(leeway_ms), "10s", 0, 60000,
     "by which the clock of whoever makes tokens may differ"},
    {"auth", "remember", CONF_NUMBER, AT(tokens_remember), "32768", 0, 1 << 20,
     "tokens whose signature (not HS*) is not checked again until they expire"},
    {"auth", "cookie", CONF_TEXT, AT(cookie), "warren_token", 0, 0,
     "name of the cookie that may hold a token"},
    {"origin", "allow", CONF_TEXT, AT(origins), "", 0, 0,
     "origins of web pages that may connect, besides the gateway's own; * for any"},
    RULES_ROWS(struct gateway_conf, rules),
    {"api", "listen", CONF_TEXT, AT(api_listen), "", 0, 0,
     "address of the HTTP API for backends; empty: none"},
    {"api", "key", CONF_SECRET, AT(api_key), "", 0, 0,
     "that may call every method, at least 16 bytes; others: [api \"NAME\"]"},
    {"api", "connections", CONF_NUMBER, AT(api_connections), "256", 1, 10000,
     "of backends at once, each with one call at a time; more wait"},
    {"api", "request", CONF_DURATION, AT(api_request_ms), "10s", 50, 600000,
     "for a call to come, 408 above it, and for its answer to be taken"},
    {"api", "body", CONF_SIZE, AT(api_body), "1m", 128, 16 << 20, "of a call; 413 above it"},
    {"api", "wait", CONF_DURATION, AT(api_wait_ms), "5s", 50, 60000,
     "for an answer of the broker or an owner; then error 100"},
    {"api", "gather", CONF_DURATION, AT(api_gather_ms), "1s", 10, 60000,
     "for the other gateways (at most a third of wait); then missing tells how many are"},
    {"hooks", "connect_url", CONF_TEXT, AT(hooks.connect_url), "", 0, 0,
     "of a backend (http or https) that is asked who somebody without a token is"},
    {"hooks", "subscribe_url", CONF_TEXT, AT(hooks.subscribe_url), "", 0, 0,
     "that is asked about subscribing to rooms with hook_subscribe"},
    {"hooks", "publish_url", CONF_TEXT, AT(hooks.publish_url), "", 0, 0,
     "that is asked about publishing to rooms with hook_publish"},
    {"hooks", "headers", CONF_TEXT, AT(hooks.headers), "Cookie, Origin, User-Agent", 0, 0,
     "of the client's request that the backend is given"},
    {"hooks", "secret", CONF_SECRET, AT(hooks.secret), "", 0, 0,
     "that the backend is given in X-Warren-Secret, at least 16 characters"},
    {"hooks", "ca_file", CONF_TEXT, AT(hooks.ca_file), "", 0, 0,
     "CA certificates (PEM) that https is checked with; default: the system's"},
    {"hooks", "timeout", CONF_DURATION, AT(hooks.timeout_ms), "1s", 10, 60000,
     "for an answer; then error 100"},
    {"hooks", "in_flight", CONF_NUMBER, AT(hooks.in_flight), "1024", 1, 100000,
     "questions at once; more are refused with error 100"},
    {"hooks", "connections", CONF_NUMBER, AT(hooks.connections), "32", 1, 1024,
     "to one backend at once; more questions wait for one"},
    {"hooks", "answer", CONF_SIZE, AT(hooks.answer_max), "64k", 64, 16 << 20,
     "of an answer; error 100 above it"},
    {"hooks", "breaker_failures", CONF_NUMBER, AT(hooks.breaker_failures), "10", 1, 1000000,
     "in a row, of one hook, after which nobody is asked for a while"},
    {"hooks", "breaker_wait", CONF_DURATION, AT(hooks.breaker_wait_ms), "5s", 10, 3600000,
     "that while; then one question finds out"},
    SERVICE_LOG_ROW(struct gateway_conf),
};

static const char *const foreign[] = {"broadcaster", NULL};

static int set_named(void *settings, const char *section, const char *name, const char *key,
                     const char *value, char *error, size_t size)
{
    struct gateway_conf *c = settings;

    if (strcmp(section, "key") == 0) {
        return key_sections_set(&c->key_sections, name, key, value, error, size);
    }
    if (strcmp(section, "api") == 0) {
        return api_keys_set(&c->api_keys, name, key, value, error, size);
    }
    return rules_set(&c->rules, section, name, key, value, error, size);
}

static const struct conf_table table = {
    .keys = keys,
    .count = ARRAY_LEN(keys),
    .foreign = foreign,
    .named = set_named,
};

static int complain(const char *text)
{
    fprintf(stderr, "warren-gateway: %s\n", text);
    return -1;
}

static int load_keys(struct gateway_conf *c)
{
    const struct keys_source from = {
        .hmac_key = c->hmac_key,
        .public_key_file = c->public_key_file,
        .public_key_algorithm = c->public_key_algorithm,
        .jwks_file = c->jwks_file,
        .sections = &c->key_sections,
    };
    char error[KEYS_ERROR_SIZE];

    c->keys = keys_load(&from, error, sizeof(error));
    if (c->keys == NULL) {
        return complain(error);
    }
    return 0;
}

int gateway_conf_check_entry(const struct gateway_conf *c)
{
    if (keys_count(c->keys) == 0 && !c->anonymous && !hooks_has(c, HOOK_CONNECT)) {
        return complain("[auth] nobody could come in: set hmac_key (or hmac_key_file), "
                        "public_key_file or jwks_file, or anonymous = yes, or [hooks] connect_url");
    }
    return 0;
}

/* What a single key cannot show. */
static int conf_check(struct gateway_conf *c)
{
    char error[MAX(RULES_ERROR_SIZE, SERVICE_ERROR_SIZE)];

    if (c->id[0] == '\0') {
        mem_free(c->id);
        c->id = service_make_id("gateway");
        c->id_is_made_up = true;
    }
    if (service_check(
            &(struct service_texts){
                .amqp_url = c->amqp_url,
                .amqp_prefix = c->amqp_prefix,
                .amqp_ca_file = c->amqp_ca_file,
                .queue_type = c->queue_type,
                .log_max_age = c->log_max_age,
                .log_level = c->log_level,
                .id = c->id,
            },
            error, sizeof(error)) != 0) {
        return complain(error);
    }
    if (rules_settle(&c->rules, error, sizeof(error)) != 0) {
        return complain(error);
    }
    if ((c->tls_cert[0] == '\0') != (c->tls_key[0] == '\0')) {
        return complain("[gateway] tls_cert and tls_key: one needs the other");
    }
    if (c->proxy_protocol && c->trusted[0] == '\0') {
        return complain("[gateway] proxy_protocol: nobody is trusted to speak it");
    }
    if (notices_check(c->events) != NULL) {
        fprintf(stderr, "warren-gateway: [gateway] events: must be %s\n", notices_check(c->events));
        return -1;
    }
    if (api_keys_check(&c->api_keys, c->api_key, api_is_method, error, sizeof(error)) != 0) {
        return complain(error);
    }
    if (c->api_listen[0] != '\0' && c->api_key[0] == '\0' && c->api_keys.count == 0) {
        return complain("[api] listen: nobody could call it: set key (or key_file)");
    }
    if (hooks_check(&c->hooks, error, sizeof(error)) != 0) {
        return complain(error);
    }
    if (rules_any_asks(&c->rules, RULES_ASK_SUBSCRIBE) && !hooks_has(c, HOOK_SUBSCRIBE)) {
        return complain("[room] hook_subscribe: nobody could be asked: set [hooks] subscribe_url");
    }
    if (rules_any_asks(&c->rules, RULES_ASK_PUBLISH) && !hooks_has(c, HOOK_PUBLISH)) {
        return complain("[room] hook_publish: nobody could be asked: set [hooks] publish_url");
    }
    if (c->pong_ms >= c->ping_ms) {
        return complain("[gateway] pong: has to be shorter than ping");
    }
    struct origins *origins = origins_new(c->origins, error, sizeof(error));
    if (origins == NULL) {
        fprintf(stderr, "warren-gateway: [origin] allow: %s\n", error);
        return -1;
    }
    origins_free(origins);
    return load_keys(c);
}

int gateway_conf_load(struct gateway_conf *c, const char *path)
{
    *c = (struct gateway_conf){0};
    if (conf_load(&table, path, c) != 0 || conf_check(c) != 0) {
        gateway_conf_free(c);
        return -1;
    }
    return 0;
}

static bool can_change(const struct conf_key *key)
{
    static const char *const sections[] = {"auth", "origin", "room", "hooks", "log"};
    static const size_t single[] = {AT(api_key),           AT(rooms_max),     AT(user_sessions),
                                    AT(publish_rate),      AT(publish_burst), AT(user_publish_rate),
                                    AT(user_publish_burst)};

    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (strcmp(key->section, sections[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(single); i++) {
        if (key->offset == single[i]) {
            return true;
        }
    }
    return false;
}

void gateway_conf_exchange(struct gateway_conf *c, struct gateway_conf *fresh, struct buf *others)
{
    struct rules rules = c->rules;
    struct key_sections sections = c->key_sections;
    struct keys *all_keys = c->keys;

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct conf_key *key = &keys[i];
        bool is_made_up = key->offset == AT(id) && c->id_is_made_up && fresh->id_is_made_up;

        if (strcmp(key->section, "room") == 0) {
            continue; /* all rules go together */
        }
        if (can_change(key)) {
            conf_exchange(key, c, fresh);
        } else if (!is_made_up && conf_differs(key, c, fresh)) {
            buf_addf(others, "%s[%s] %s", others->size > 0 ? ", " : "", key->section, key->name);
        }
    }
    struct api_keys api_keys = c->api_keys;

    c->api_keys = fresh->api_keys;
    fresh->api_keys = api_keys;
    c->rules = fresh->rules;
    fresh->rules = rules;
    c->key_sections = fresh->key_sections;
    fresh->key_sections = sections;
    c->keys = fresh->keys;
    fresh->keys = all_keys;
}

void gateway_conf_free(struct gateway_conf *c)
{
    rules_deinit(&c->rules);
    key_sections_deinit(&c->key_sections);
    c->keys = keys_free(c->keys);
    api_keys_deinit(&c->api_keys);
    conf_free(&table, c);
}

void gateway_conf_print(void)
{
    conf_print(&table);
}

const char *gateway_conf_default(const char *section, const char *key)
{
    return conf_fallback(&table, section, key);
}
