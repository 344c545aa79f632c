/*
 * message.h: what is true of a whole AMQP message: its type and headers.
 *
 * publish     gateway to warren.in: records; lane = (boot, partition), numbered by `batch` from 1
 * append      owner to the log: numbered records; `lanes` names the batches in it: "<boot>:<batch>
 * <boot>:<batch>" claim       owner to the log: "I want to read to here"; `boot` is a nonce of this
 * claim term        owner to the log: from here on `term` is in force; `boot` is the nonce of its
 * claim checkpoint  owner to the log: lines with every room's position and every lane's number
 * deliver     owner to a gateway: numbered records (or none: a sign of life)
 * moves       owner to a gateway: lines: who came into its rooms and who left; numbered likewise
 * positions   owner to a gateway: lines, the answer to attach and join
 * attach      gateway to the owner's mailbox: lines; starts link `link`, `number` 1
 * join, leave, alive  the same link, numbered on
 * presence, history   questions; present, past: the answers, matched by `request`
 * owner       owner to all gateways ("I serve this partition now") or to one ("attach anew")
 * released    broadcaster to all broadcasters: a partition is free
 * survey      gateway to an owner's mailbox, and as it is from there to all gateways: a question to
 *             each of them (survey.h). Gateways have no right to write to gateways; the owner
 *             passes on these two and nothing else
 * report      gateway to an owner's mailbox, and from there to `gateway`, which asked; `boot` and
 *             `request` are those of the survey
 * control     gateway to all gateways, those to come included: orders (order.h); `request` counts
 *             the sender's. With `checkpoint` it is a summary of what stood at that stream offset
 *
 * In deliver and positions, `boot` and `link` are the receiver's own: a gateway that was
 * started anew does not mistake an old link for its own. Of log messages `checkpoint` is a stream
 * offset at or before the last checkpoint, to read on from, and `told` is there while programs may
 * not have been told yet of records that stand at that stream offset or later.
 */
#ifndef WARREN_PROTO_MESSAGE_H
#define WARREN_PROTO_MESSAGE_H

#include "common/base.h"
#include "common/mq.h"
#include "proto/limits.h"

enum message_type {
#define MESSAGE(name, text, has) MESSAGE_##name,
#include "proto/message.def"
    MESSAGE_TYPE_COUNT
};

enum message_has {
    HAS_PARTITION = 1 << 0,
    HAS_TERM = 1 << 1,
    HAS_GATEWAY = 1 << 2,
    HAS_BOOT = 1 << 3,
    HAS_LINK = 1 << 4,
    HAS_NUMBER = 1 << 5,
    HAS_BATCH = 1 << 6,
    HAS_OWNER = 1 << 7,
    HAS_LANES = 1 << 8,
    HAS_REQUEST = 1 << 9,
    HAS_CHECKPOINT = 1 << 10,
    HAS_RECORDS = 1 << 11,
    HAS_TOLD = 1 << 12,
};

struct message {
    enum message_type type;
    uint32_t has; /* bits of what is set; message_to_props() writes these */
    uint32_t partition;
    uint64_t term, link, number, batch, request, checkpoint, records, told;
    struct slice gateway, boot, owner, lanes;
    int64_t time_ms;   /* the timestamp property and, to the millisecond, header "time" */
    struct slice body; /* lines */
};

/* Properties and headers for sending: content type application/x-ndjson, type, app_id, message_id
 * ("<boot or owner>/<partition>/<number>"), timestamp; persistent for what goes to `in` and to the
 * log. `app_id` is e.g. "warren-gateway/g1"; `scratch` holds the message id and must live as long
 * as `out`. */
void message_to_props(const struct message *m, struct slice app_id, char scratch[ID_MAX * 2],
                      struct mq_props *out);

/* Reads a received message; slices point into the event. NULL, or why it cannot be understood in a
 * few words with a stable wording (goes into a header of the dead message and a metric): "no type",
 * "unknown type", "no partition", ... */
const char *message_from_event(const struct mq_event *e, struct message *out) MUST_CHECK;

/* The name in the type property. */
const char *message_type_name(enum message_type type);

#endif
