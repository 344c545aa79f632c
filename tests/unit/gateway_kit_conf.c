/*
 * gateway_kit_conf.c: the settings of the gateway under test.
 */
#include "tests/unit/gateway_kit.h"

static char *text(const char *at)
{
    return (char *)(uintptr_t)at; /* settings are only read */
}

/* Nobody is asked. */
static struct hooks_conf hooks(void)
{
    return (struct hooks_conf){
        .connect_url = text(""),
        .subscribe_url = text(""),
        .publish_url = text(""),
        .headers = text(""),
        .secret = text(""),
        .ca_file = text(""),
        .timeout_ms = 1000,
        .connections = 8,
        .in_flight = 8,
        .answer_max = 1024,
        .breaker_failures = 3,
        .breaker_wait_ms = 1000,
    };
}

static struct rule rule(void)
{
    return (struct rule){
        .subscribe = text("*"),
        .publish = text("*"),
        .presence_for = text("*"),
        .history_for = text("*"),
        .presence = true,
        .echo = true,
        .history_size = 1000,
        .history_ttl_ms = 3600000,
    };
}

struct gateway_conf kit_conf(void)
{
    return (struct gateway_conf){
        .partitions = KIT_PARTITIONS,
        .id = text("g1"),
        .listen = text("127.0.0.1:0"),
        .admin = text("127.0.0.1:0"),
        .connections_max = 1000,
        .tls_cert = text(""),
        .tls_key = text(""),
        .trusted = text(""),
        .handshakes_max = 1000,
        .handshake_ms = 60000,
        .head_max = 8192,
        .line_max = 4096,
        .fields_max = 64,
        .out_queue_age_ms = 60000,
        .reads_max = 4,
        .stale_ms = 60000,
        .ping_ms = 60000,
        .pong_ms = 30000,
        .close_wait_ms = 5000,
        .max_message = 65536,
        .max_payload = 65536,
        .max_depth = 16,
        .max_fragments = 100,
        .max_empty_fragments = 100,
        .max_control_rate = 50,
        .compression = true,
        .compression_level = 1,
        .compression_memory = 6,
        .compression_min = 1024,
        .out_queue = 1 << 20,
        .rooms_max = 8,
        .history_limit = 300,
        .errors_max = 50,
        .publish_burst = 1,
        .user_publish_burst = 1,
        .publish_wait_ms = 60000,
        .subscribe_wait_ms = 60000,
        .refresh_wait_ms = 25000,
        .recent_records = 100,
        .recent_bytes = 65536,
        .drain_ms = 50,
        .hmac_key = text("0123456789abcdef0123456789abcdef"),
        .audience = text(""),
        .issuer = text(""),
        .subscription_audience = text(""),
        .token_type = text(""),
        .leeway_ms = 10000,
        .tokens_remember = 64,
        .cookie = text(""),
        .origins = text(""),
        .api_listen = text(""),
        .api_wait_ms = 60000,
        .api_gather_ms = 30000,
        .hooks = hooks(),
        .rules.defaults = rule(),
    };
}
