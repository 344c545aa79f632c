/* conf.c: the broadcaster's settings. */
#include "broadcaster/conf.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/topology.h"

#define AT(field) offsetof(struct broadcaster_conf, field)
#define KIB ((int64_t)1 << 10)
#define MIB ((int64_t)1 << 20)
#define GIB ((int64_t)1 << 30)
#define TIB ((int64_t)1 << 40)
#define HOST_PART_MAX                                                                              \
    (ID_MAX - 9) /* bytes of the host's name in an id: "-" and 8 digits follow                     \
                  */

static const struct conf_key keys[] = {
    {"amqp", "url", CONF_SECRET, AT(amqp_url), "amqp://guest:guest@127.0.0.1:5672/", 0, 0,
     "the broker: amqp:// or amqps://, several nodes of a cluster comma-separated"},
    {"amqp", "prefix", CONF_TEXT, AT(amqp_prefix), "warren", 0, 0,
     "what the names of all exchanges and queues begin with"},
    {"amqp", "ca_file", CONF_TEXT, AT(amqp_ca_file), "", 0, 0,
     "certificates that vouch for an amqps:// broker; empty: those of the system"},
    {"topology", "partitions", CONF_NUMBER, AT(partitions), "16", 1, PARTITIONS_MAX,
     "slices of all rooms; fixed at the first start, the same for all services"},
    {"topology", "queue_type", CONF_TEXT, AT(queue_type), "classic", 0, 0,
     "classic (one node) or quorum (cluster) for the queues of new messages"},
    {"topology", "in_max_length", CONF_NUMBER, AT(in_max_length), "20000", 100, 10000000,
     "batches that may wait in one partition's queue"},
    {"topology", "log_max_bytes", CONF_SIZE, AT(log_max_bytes), "1000000000", 1000000, TIB,
     "bytes kept of one partition's log"},
    {"topology", "log_max_age", CONF_TEXT, AT(log_max_age), "7D", 0, 0,
     "age up to which the log is kept: a number and one of Y M D h m s"},
    {"broadcaster", "id", CONF_TEXT, AT(id), "", 0, 0,
     "unique name of this broadcaster; empty: the host's name and a random part"},
    {"broadcaster", "admin", CONF_TEXT, AT(admin), "127.0.0.1:9181", 0, 0,
     "address of /live, /ready and /metrics; empty: none"},
    {"broadcaster", "memory", CONF_SIZE, AT(memory), "64m", MIB, 64 * GIB,
     "bytes of recent records kept for each partition"},
    {"broadcaster", "checkpoint_bytes", CONF_SIZE, AT(checkpoint_bytes), "8m", 64 * KIB, GIB,
     "bytes of log between two checkpoints"},
    RULES_ROWS(struct broadcaster_conf, rules),
    {"log", "level", CONF_TEXT, AT(log_level), "info", 0, 0, "debug, info, warn or error"},
};

static const char *const foreign[] = {"gateway", "auth", "origin", NULL};

static int set_named(void *settings, const char *section, const char *name, const char *key,
                     const char *value, char *error, size_t size)
{
    struct broadcaster_conf *c = settings;

    return rules_set(&c->rules, section, name, key, value, error, size);
}

static const struct conf_table table = {keys, ARRAY_LEN(keys), foreign, set_named};

static bool is_name(const char *text, size_t max, const char *more)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t size = strlen(text);

    for (const char *c = text; *c != '\0'; c++) {
        if (strchr(plain, *c) == NULL && strchr(more, *c) == NULL) {
            return false;
        }
    }
    return size >= 1 && size <= max;
}

static bool is_age(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits >= 1 && digits <= 9 && text[digits] != '\0' &&
           strchr("YMDhms", text[digits]) != NULL && text[digits + 1] == '\0';
}

static int refuse(const char *key, const char *value, const char *want)
{
    log_error("bad setting key=%s value=%s: must be %s", key, log_quote(value, strlen(value)),
              want);
    return -1;
}

static int check_url(const struct broadcaster_conf *c)
{
    char error[TOPOLOGY_ERROR_SIZE];
    struct mq_target *target = mq_target_new(c->amqp_url, c->amqp_ca_file, error, sizeof(error));

    if (target == NULL) {
        log_error("bad setting key=amqp.url: %s", error);
        return -1;
    }
    (void)mq_target_free(target);
    return 0;
}

static int check(struct broadcaster_conf *c)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    char error[RULES_ERROR_SIZE];
    bool has_level = false;

    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        has_level = has_level || strcmp(c->log_level, levels[i]) == 0;
    }
    if (!has_level) {
        return refuse("log.level", c->log_level, "debug, info, warn or error");
    }
    if (!is_name(c->amqp_prefix, TOPOLOGY_PREFIX_MAX, "")) {
        return refuse("amqp.prefix", c->amqp_prefix, "1 to 64 of a-z A-Z 0-9 _ -");
    }
    if (!is_name(c->id, ID_MAX, ".")) {
        return refuse("broadcaster.id", c->id, "1 to 64 of a-z A-Z 0-9 . _ -");
    }
    if (strcmp(c->queue_type, "classic") != 0 && strcmp(c->queue_type, "quorum") != 0) {
        return refuse("topology.queue_type", c->queue_type, "classic or quorum");
    }
    if (!is_age(c->log_max_age)) {
        return refuse("topology.log_max_age", c->log_max_age, "a number and one of Y M D h m s");
    }
    if (rules_settle(&c->rules, error, sizeof(error)) != 0) {
        log_error("bad setting %s", error);
        return -1;
    }
    return check_url(c);
}

/* The host's name and a random part: unique, and a person can read it. */
static char *make_id(void)
{
    char host[HOST_PART_MAX + 1] = "", id[ID_MAX + 1];
    uint32_t number;

    (void)gethostname(host, sizeof(host) - 1);
    for (char *c = host; *c != '\0'; c++) {
        if (!is_name((char[]){*c, '\0'}, 1, ".")) {
            *c = '-';
        }
    }
    hash_random(&number, sizeof(number));
    int size =
        snprintf(id, sizeof(id), "%s-%08" PRIx32, host[0] != '\0' ? host : "broadcaster", number);
    assert(size > 0 && (size_t)size < sizeof(id));
    return mem_copy_text(id, (size_t)size);
}

int broadcaster_conf_load(struct broadcaster_conf *c, const char *path)
{
    *c = (struct broadcaster_conf){0};
    if (conf_load(&table, path, c) != 0) {
        return -1;
    }
    if (c->id[0] == '\0') {
        mem_free(c->id);
        c->id = make_id();
    }
    return check(c);
}

void broadcaster_conf_free(struct broadcaster_conf *c)
{
    rules_deinit(&c->rules);
    conf_free(&table, c);
}

void broadcaster_conf_print(void)
{
    conf_print(&table);
}
