/*
 * limits.h: the maxima of the wire, and how they hang together.
 */
#ifndef WARREN_PROTO_LIMITS_H
#define WARREN_PROTO_LIMITS_H

#include "common/base.h"

#define ROOM_NAME_MAX 128         /* bytes */
#define USER_MAX 128              /* bytes of a user id, decoded */
#define NAME_MAX_BYTES 128        /* bytes of a display name, decoded */
#define EPOCH_MAX 16              /* bytes */
#define OFFSET_MAX INT64_MAX      /* of a record: fits the numbers of every client and of AMQP */
#define CLIENT_ID_SIZE 36         /* bytes: 8-4-4-4-12 hexadecimal digits */
#define ID_MAX 64                 /* bytes of a service's id: [A-Za-z0-9._-] */
#define BOOT_SIZE 16              /* bytes of a boot id: hexadecimal digits */
#define PAYLOAD_MAX 65536         /* default of [gateway] max_payload, bytes */
#define PAYLOAD_CEILING (1 << 20) /* nobody can set it higher */
#define KEY_MAX 64                /* bytes of a publish's idempotency key */
#define INFO_MAX 4096             /* bytes of a record's `info`, and of its `chan_info` */
#define ROLE_MAX 128              /* bytes of a role, decoded */
#define AUDIENCE_NAMES_MAX 32     /* roles of a record's audience, and users */
#define AUDIENCE_MAX 4096         /* bytes of a record's `audience`, and of its `roles` */
#define JSON_DEPTH_MAX 16         /* levels of a command or an envelope */
#define INFO_DEPTH_MAX 15         /* levels of an `info`: it stands inside of an envelope */
#define PAYLOAD_DEPTH_MAX 64      /* levels of a payload */
#define PARTITIONS_MAX 256
#define BATCH_RECORDS_MAX 4096      /* records in one batch */
#define BATCH_BYTES_MAX (256 << 10) /* a batch takes no further record above this */
#define APPEND_BYTES_MAX (1 << 20)  /* an append takes no further batch above this */

/* A lane that is silent is known for so long; its batch is sent again for half of that. */
#define LANE_LIFE_MS ((int64_t)24 * 3600 * 1000)
#define LANE_DOUBT_MS (LANE_LIFE_MS / 2)

static_assert(PAYLOAD_MAX <= PAYLOAD_CEILING, "the default payload is legal");
static_assert(INFO_DEPTH_MAX < JSON_DEPTH_MAX, "an envelope with its info is not too deep");
static_assert(BATCH_BYTES_MAX + PAYLOAD_CEILING + 2 * INFO_MAX < (16 << 20),
              "a batch fits an AMQP body");

#endif
