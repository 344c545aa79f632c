/*
 * service.c: see service.h.
 */
#include "common/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/topology.h"

#define ID_RANDOM_SIZE 9 /* bytes of an id behind the host's name: "-" and 8 digits */

/* 1 to `max` bytes of letters, digits and what `more` names. */
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

static int refuse(char *error, size_t size, const char *key, const char *value, const char *want)
{
    (void)snprintf(error, size, "%s = %s: must be %s", key, log_quote(value, strlen(value)), want);
    return -1;
}

static const char *const levels[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

/* ARRAY_LEN(levels) if it is none. */
static size_t find_level(const char *name)
{
    size_t i = 0;

    while (i < ARRAY_LEN(levels) && strcmp(name, levels[i]) != 0) {
        i++;
    }
    return i;
}

void service_set_log_level(const char *name)
{
    size_t level = find_level(name);

    assert(level < ARRAY_LEN(levels));
    log_set_level((enum log_level)level);
}

static int check_url(const struct service_texts *t, char *error, size_t size)
{
    char why[TOPOLOGY_ERROR_SIZE];
    struct mq_target *target = mq_target_new(t->amqp_url, t->amqp_ca_file, why, sizeof(why));

    if (target == NULL) {
        (void)snprintf(error, size, "[amqp] url: %.*s", (int)size - 16, why);
        return -1;
    }
    (void)mq_target_free(target);
    return 0;
}

int service_check(const struct service_texts *t, char *error, size_t size)
{
    if (find_level(t->log_level) == ARRAY_LEN(levels)) {
        return refuse(error, size, "[log] level", t->log_level, "debug, info, warn or error");
    }
    if (!is_name(t->amqp_prefix, TOPOLOGY_PREFIX_MAX, "")) {
        return refuse(error, size, "[amqp] prefix", t->amqp_prefix, "1 to 64 of a-z A-Z 0-9 _ -");
    }
    if (!is_name(t->id, SERVICE_ID_MAX, ".") || strcmp(t->id, "all") == 0) {
        return refuse(error, size, "id", t->id, "1 to 64 of a-z A-Z 0-9 . _ -, and not \"all\"");
    }
    if (strcmp(t->queue_type, "classic") != 0 && strcmp(t->queue_type, "quorum") != 0) {
        return refuse(error, size, "[topology] queue_type", t->queue_type, "classic or quorum");
    }
    if (!is_age(t->log_max_age)) {
        return refuse(error, size, "[topology] log_max_age", t->log_max_age,
                      "a number and one of Y M D h m s");
    }
    return check_url(t, error, size);
}

char *service_make_id(const char *fallback)
{
    char host[SERVICE_ID_MAX - ID_RANDOM_SIZE + 1] = "", id[SERVICE_ID_MAX + 1];
    uint32_t number;

    (void)gethostname(host, sizeof(host) - 1);
    for (char *c = host; *c != '\0'; c++) {
        if (!is_name((char[]){*c, '\0'}, 1, ".")) {
            *c = '-';
        }
    }
    hash_random(&number, sizeof(number));
    int size = snprintf(id, sizeof(id), "%s-%08" PRIx32, host[0] != '\0' ? host : fallback, number);
    assert(size > 0 && (size_t)size < sizeof(id));
    return mem_copy_text(id, (size_t)size);
}
