/* conf.c: the broadcaster's settings. */
#include "broadcaster/conf.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/mem.h"
#include "common/service.h"
#include "common/topology.h"

#define AT(field) offsetof(struct broadcaster_conf, field)
#define KIB ((int64_t)1 << 10)
#define MIB ((int64_t)1 << 20)
#define GIB ((int64_t)1 << 30)

static_assert(SERVICE_ID_MAX == ID_MAX, "an id that is good here is good on the wire");
static_assert(SERVICE_PARTITIONS_MAX == PARTITIONS_MAX, "and a number of partitions");

static const struct conf_key keys[] = {
    SERVICE_ROWS(struct broadcaster_conf),
    {"broadcaster", "id", CONF_TEXT, AT(id), "", 0, 0,
     "unique name of this broadcaster; empty: the host's name and a random part"},
    {"broadcaster", "admin", CONF_TEXT, AT(admin), "127.0.0.1:9181", 0, 0,
     "address of /live, /ready and /metrics; empty: none"},
    {"broadcaster", "memory", CONF_SIZE, AT(memory), "64m", MIB, 64 * GIB,
     "bytes of recent records kept for each partition"},
    {"broadcaster", "keys", CONF_NUMBER, AT(keys), "100000", 1, 100000000,
     "idempotency keys known of each partition; above it the oldest are forgotten early"},
    {"broadcaster", "rooms_max", CONF_NUMBER, AT(rooms_max), "100000", 1000, 100000000,
     "rooms remembered for each partition (400 bytes each); the idlest that nobody is in go first"},
    {"broadcaster", "checkpoint_bytes", CONF_SIZE, AT(checkpoint_bytes), "8m", 64 * KIB, GIB,
     "bytes of log between two checkpoints"},
    RULES_ROWS(struct broadcaster_conf, rules),
    SERVICE_LOG_ROW(struct broadcaster_conf),
};

static const char *const foreign[] = {"api", "gateway", "auth", "hooks", "key", "origin", NULL};

static int set_named(void *settings, const char *section, const char *name, const char *key,
                     const char *value, char *error, size_t size)
{
    struct broadcaster_conf *c = settings;

    return rules_set(&c->rules, section, name, key, value, error, size);
}

static const struct conf_table table = {keys, ARRAY_LEN(keys), foreign, set_named};

/* What the log drops must not be the last checkpoint. One is written in time (see tenure.c), if
 * there is room for some of them and for the segments at both ends. */
static int check_log(const struct broadcaster_conf *c, char *error, size_t size)
{
    int64_t least = 4 * c->checkpoint_bytes + 2 * TOPOLOGY_SEGMENT_BYTES;

    if (c->log_max_bytes < least) {
        (void)snprintf(error, size,
                       "[topology] log_max_bytes: %" PRId64 " is too little for [broadcaster] "
                       "checkpoint_bytes: %" PRId64 " at least, or it drops the last checkpoint",
                       c->log_max_bytes, least);
        return -1;
    }
    return 0;
}

static int check(struct broadcaster_conf *c)
{
    const struct service_texts texts = {
        .amqp_url = c->amqp_url,
        .amqp_prefix = c->amqp_prefix,
        .amqp_ca_file = c->amqp_ca_file,
        .queue_type = c->queue_type,
        .log_max_age = c->log_max_age,
        .log_level = c->log_level,
        .id = c->id,
    };
    char error[MAX(RULES_ERROR_SIZE, SERVICE_ERROR_SIZE)];

    if (service_check(&texts, error, sizeof(error)) != 0 ||
        rules_settle(&c->rules, error, sizeof(error)) != 0 ||
        check_log(c, error, sizeof(error)) != 0) {
        fprintf(stderr, "warren-broadcaster: %s\n", error);
        return -1;
    }
    return 0;
}

int broadcaster_conf_load(struct broadcaster_conf *c, const char *path)
{
    *c = (struct broadcaster_conf){0};
    if (conf_load(&table, path, c) != 0) {
        return -1;
    }
    if (c->id[0] == '\0') {
        mem_free(c->id);
        c->id = service_make_id("broadcaster");
        c->id_is_made_up = true;
    }
    return check(c);
}

void broadcaster_conf_compare(const struct broadcaster_conf *running,
                              const struct broadcaster_conf *fresh, struct buf *others)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct conf_key *key = &keys[i];
        bool is_made_up = key->offset == AT(id) && running->id_is_made_up && fresh->id_is_made_up;

        if (strcmp(key->section, "room") != 0 && strcmp(key->section, "log") != 0 && !is_made_up &&
            conf_differs(key, running, fresh)) {
            buf_addf(others, "%s[%s] %s", others->size > 0 ? ", " : "", key->section, key->name);
        }
    }
}

void broadcaster_conf_free(struct broadcaster_conf *c)
{
    rules_deinit(&c->rules);
    conf_free(&table, c);
}

const char *broadcaster_conf_default(const char *section, const char *key)
{
    return conf_fallback(&table, section, key);
}

void broadcaster_conf_print(void)
{
    conf_print(&table);
}
