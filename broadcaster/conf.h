/*
 * conf.h: the broadcaster's settings, filled once before its threads start.
 */
#ifndef WARREN_BROADCASTER_CONF_H
#define WARREN_BROADCASTER_CONF_H

#include "common/base.h"
#include "common/buf.h"
#include "common/conf.h"
#include "proto/limits.h"
#include "proto/rules.h"

struct broadcaster_conf {
    char *amqp_url, *amqp_prefix, *amqp_ca_file;
    int64_t partitions;
    char *queue_type;
    int64_t in_max_length; /* batches that wait in one partition's queue */
    int64_t log_max_bytes; /* of one partition's log */
    char *log_max_age;     /* as RabbitMQ writes it: 7D */
    char *id, *admin;
    bool id_is_made_up;       /* none was given */
    int64_t memory;           /* bytes of records kept for one partition */
    int64_t keys;             /* idempotency keys known of one partition */
    int64_t rooms_max;        /* rooms remembered for one partition */
    int64_t checkpoint_bytes; /* of log between two checkpoints */
    struct rules rules;
    char *log_level;
};

/* Reads file (may be NULL) and environment, makes up an id when none is given, and checks what a
 * single key cannot show. 0, or -1 after one line on standard error. */
int broadcaster_conf_load(struct broadcaster_conf *c, const char *path) MUST_CHECK;

/* Names the settings that differ and that need a restart to change (all but [room]) in `others`. */
void broadcaster_conf_compare(const struct broadcaster_conf *running,
                              const struct broadcaster_conf *fresh, struct buf *others);

/* Accepts a zeroed struct. */
void broadcaster_conf_free(struct broadcaster_conf *c);

/* The default of a setting, in the notation of the file. */
const char *broadcaster_conf_default(const char *section, const char *key);

/* Prints all settings for --help. */
void broadcaster_conf_print(void);

#endif
