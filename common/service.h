/*
 * service.h: the settings that both services have, and what a single key cannot show of them.
 *
 * A service's struct of settings has the fields that SERVICE_ROWS() names; the rows stand first in
 * its table, so that one file can serve both.
 */
#ifndef WARREN_COMMON_SERVICE_H
#define WARREN_COMMON_SERVICE_H

#include "common/base.h"
#include "common/conf.h"

#define SERVICE_ID_MAX 64 /* bytes */
#define SERVICE_PARTITIONS_MAX 256
#define SERVICE_ERROR_SIZE 512 /* bytes that hold any error of this file */

/* Rows of [amqp] and [topology]; [log] has its own, so that it can stand at the end. */
#define SERVICE_ROWS(type)                                                                         \
    {"amqp",                                                                                       \
     "url",                                                                                        \
     CONF_SECRET,                                                                                  \
     offsetof(type, amqp_url),                                                                     \
     "amqp://guest:guest@127.0.0.1:5672/",                                                         \
     0,                                                                                            \
     0,                                                                                            \
     "broker, amqp:// or amqps://; several, comma-separated, for a cluster"},                      \
        {"amqp",   "prefix", CONF_TEXT, offsetof(type, amqp_prefix),                               \
         "warren", 0,        0,         "first part of all names in the broker"},                  \
        {"amqp",                                                                                   \
         "ca_file",                                                                                \
         CONF_TEXT,                                                                                \
         offsetof(type, amqp_ca_file),                                                             \
         "",                                                                                       \
         0,                                                                                        \
         0,                                                                                        \
         "certificates that vouch for an amqps:// broker (PEM); empty: those of the system"},      \
        {"topology",                                                                               \
         "partitions",                                                                             \
         CONF_NUMBER,                                                                              \
         offsetof(type, partitions),                                                               \
         "16",                                                                                     \
         1,                                                                                        \
         SERVICE_PARTITIONS_MAX,                                                                   \
         "slices of all rooms; fixed at the first start, the same everywhere"},                    \
        {"topology", "queue_type",                                                                 \
         CONF_TEXT,  offsetof(type, queue_type),                                                   \
         "classic",  0,                                                                            \
         0,          "classic (one broker node) or quorum (a cluster)"},                           \
        {"topology",                                                                               \
         "in_max_length",                                                                          \
         CONF_NUMBER,                                                                              \
         offsetof(type, in_max_length),                                                            \
         "20000",                                                                                  \
         100,                                                                                      \
         10000000,                                                                                 \
         "batches that may wait in one partition's input; the same everywhere (broadcaster)"},     \
        {"topology",                                                                               \
         "log_max_bytes",                                                                          \
         CONF_SIZE,                                                                                \
         offsetof(type, log_max_bytes),                                                            \
         "1000000000",                                                                             \
         1000000,                                                                                  \
         INT64_C(1) << 40,                                                                         \
         "of one partition's log, at least 4 checkpoint_bytes and 100 MB; the same everywhere "    \
         "(broadcaster)"},                                                                         \
    {                                                                                              \
        "topology", "log_max_age", CONF_TEXT, offsetof(type, log_max_age), "7D", 0, 0,             \
            "of a partition's log: a number and one of Y M D h m s; the same everywhere "          \
            "(broadcaster)"                                                                        \
    }
#define SERVICE_LOG_ROW(type)                                                                      \
    {                                                                                              \
        "log", "level", CONF_TEXT, offsetof(type, log_level), "info", 0, 0,                        \
            "debug, info, warn or error"                                                           \
    }

/* What of these has to be judged together or by its form; borrowed. */
struct service_texts {
    const char *amqp_url, *amqp_prefix, *amqp_ca_file, *queue_type, *log_max_age, *log_level, *id;
};

/* 0, or -1 with one line in `error`. */
int service_check(const struct service_texts *t, char *error, size_t size) MUST_CHECK;

/* Of settings that are in force from now on; one that service_check() found good. */
void service_set_log_level(const char *name);

/* The host's name (or `fallback`) and a random part: unique, and a person can read it. Owned by the
 * caller. */
char *service_make_id(const char *fallback);

#endif
