/*
 * message.c: the headers of a message, told once; written and read by that table.
 */
#include "proto/message.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *name;
    uint32_t has; /* what must be there */
} types[] = {
#define MESSAGE(name, text, has) [MESSAGE_##name] = {text, has},
#include "proto/message.def"
};

#define CONTENT_TYPE "application/x-ndjson"

static_assert(ARRAY_LEN(types) == MESSAGE_TYPE_COUNT, "every type has a name");

enum kind {
    KIND_PARTITION, /* uint32_t below PARTITIONS_MAX */
    KIND_NUMBER,    /* uint64_t within int64_t */
    KIND_ID,        /* slice: the id of a service */
    KIND_BOOT,      /* slice: BOOT_SIZE hexadecimal digits */
    KIND_LANES,     /* slice: "<boot>:<batch>", one or more, with a space between */
};

static const struct header {
    const char *name;
    uint32_t bit;
    enum kind kind;
    size_t at;                /* in struct message */
    const char *absent, *bad; /* why a message cannot be understood */
} headers[] = {
#define HEADER(name, bit, kind)                                                                    \
    {#name, HAS_##bit, KIND_##kind, offsetof(struct message, name), "no " #name, "bad " #name},
    /* clang-format off */
    HEADER(partition, PARTITION, PARTITION)
    HEADER(term, TERM, NUMBER)
    HEADER(owner, OWNER, ID)
    HEADER(gateway, GATEWAY, ID)
    HEADER(boot, BOOT, BOOT)
    HEADER(link, LINK, NUMBER)
    HEADER(number, NUMBER, NUMBER)
    HEADER(batch, BATCH, NUMBER)
    HEADER(request, REQUEST, NUMBER)
    HEADER(lanes, LANES, LANES)
    HEADER(checkpoint, CHECKPOINT, NUMBER)
    HEADER(records, RECORDS, NUMBER)
    HEADER(told, TOLD, NUMBER)
#undef HEADER
    /* clang-format on */
};

const char *message_type_name(enum message_type type)
{
    assert(type < MESSAGE_TYPE_COUNT);
    return types[type].name;
}

/* Must a message of this type outlive the broker process? */
static bool is_kept(enum message_type type)
{
    return type == MESSAGE_PUBLISH || type == MESSAGE_APPEND || type == MESSAGE_CLAIM ||
           type == MESSAGE_TERM || type == MESSAGE_CHECKPOINT || type == MESSAGE_CONTROL;
}

/* The number that tells a message of one sender and partition from the others, as far as there is
 * one. */
static uint64_t number_of(const struct message *m, uint32_t has)
{
    return has & HAS_BATCH     ? m->batch
           : has & HAS_NUMBER  ? m->number
           : has & HAS_REQUEST ? m->request
                               : m->term;
}

static void header_to_props(struct mq_props *out, const struct message *m, const struct header *h)
{
    const void *field = (const char *)m + h->at;

    switch (h->kind) {
    case KIND_PARTITION:
        mq_props_number(out, h->name, *(const uint32_t *)field);
        break;
    case KIND_NUMBER:
        assert(*(const uint64_t *)field <= INT64_MAX);
        mq_props_number(out, h->name, (int64_t) * (const uint64_t *)field);
        break;
    case KIND_ID:
    case KIND_BOOT:
    case KIND_LANES:
        mq_props_text(out, h->name, *(const struct slice *)field);
        break;
    }
}

void message_to_props(const struct message *m, struct slice app_id, char scratch[ID_MAX * 2],
                      struct mq_props *out)
{
    uint32_t has = m->has | types[m->type].has;
    struct slice sender = has & HAS_BOOT ? m->boot : m->owner;

    assert(sender.size <= ID_MAX);
    int size = snprintf(scratch, ID_MAX * 2, "%.*s/%" PRIu32 "/%" PRIu64, SLICE_ARG(sender),
                        m->partition, number_of(m, has));
    *out = (struct mq_props){
        .content_type = SLICE_LIT(CONTENT_TYPE),
        .type = slice_of(types[m->type].name),
        .app_id = app_id,
        .message_id = {scratch, (size_t)size},
        .timestamp_s = m->time_ms / 1000,
        .persistent = is_kept(m->type),
    };
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        if ((has & headers[i].bit) != 0) {
            header_to_props(out, m, &headers[i]);
        }
    }
    if (m->time_ms != 0) {
        mq_props_number(out, "time", m->time_ms);
    }
}

static bool is_id(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        char c = s.at[i], lower = (char)(c | 0x20);

        if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' &&
            c != '-') {
            return false;
        }
    }
    return s.size > 0 && s.size <= ID_MAX;
}

static bool is_boot(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        char c = s.at[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
            return false;
        }
    }
    return s.size == BOOT_SIZE;
}

/* Passes "<boot>:<batch>". False: something else stands there. */
static bool take_lane(struct slice *rest)
{
    size_t digits = BOOT_SIZE + 1;

    if (rest->size < digits || !is_boot((struct slice){rest->at, BOOT_SIZE}) ||
        rest->at[BOOT_SIZE] != ':') {
        return false;
    }
    while (digits < rest->size && rest->at[digits] >= '0' && rest->at[digits] <= '9') {
        digits++;
    }
    rest->at += digits;
    rest->size -= digits;
    return digits > BOOT_SIZE + 1;
}

static bool is_lanes(struct slice s)
{
    while (take_lane(&s)) {
        if (s.size == 0) {
            return true;
        }
        if (s.at[0] != ' ') {
            return false;
        }
        s.at++;
        s.size--;
    }
    return false;
}

/* NULL, or why not. */
static const char *header_from_props(const struct mq_props *props, const struct header *h,
                                     struct message *out)
{
    void *field = (char *)out + h->at;
    struct slice *text = field;
    bool is_good = false;
    int64_t number = 0;

    switch (h->kind) {
    case KIND_PARTITION:
        is_good =
            mq_props_get_number(props, h->name, &number) && number >= 0 && number < PARTITIONS_MAX;
        *(uint32_t *)field = is_good ? (uint32_t)number : 0;
        break;
    case KIND_NUMBER:
        is_good = mq_props_get_number(props, h->name, &number) && number >= 0;
        *(uint64_t *)field = is_good ? (uint64_t)number : 0;
        break;
    case KIND_ID:
        is_good = mq_props_get_text(props, h->name, text) && is_id(*text);
        break;
    case KIND_BOOT:
        is_good = mq_props_get_text(props, h->name, text) && is_boot(*text);
        break;
    case KIND_LANES:
        is_good = mq_props_get_text(props, h->name, text) && is_lanes(*text);
        break;
    }
    if (is_good) {
        out->has |= h->bit;
        return NULL;
    }
    /* Of the wrong kind or out of range, or not there at all? */
    struct slice ignored;
    bool is_there =
        mq_props_get_number(props, h->name, &number) || mq_props_get_text(props, h->name, &ignored);
    if (is_there) {
        return h->bad;
    }
    return (types[out->type].has & h->bit) != 0 ? h->absent : NULL;
}

static bool type_from_name(struct slice name, enum message_type *type)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (slice_equal(name, slice_of(types[i].name))) {
            *type = (enum message_type)i;
            return true;
        }
    }
    return false;
}

const char *message_from_event(const struct mq_event *e, struct message *out)
{
    *out = (struct message){.body = e->body};
    if (e->props.content_type.size > 0 &&
        !slice_equal(e->props.content_type, SLICE_LIT(CONTENT_TYPE))) {
        return "unknown content type";
    }
    if (e->props.type.size == 0) {
        return "no type";
    }
    if (!type_from_name(e->props.type, &out->type)) {
        return "unknown type";
    }
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        const char *why = header_from_props(&e->props, &headers[i], out);
        if (why != NULL) {
            return why;
        }
    }
    if (!mq_props_get_number(&e->props, "time", &out->time_ms) && e->props.timestamp_s >= 0 &&
        e->props.timestamp_s <= INT64_MAX / 1000) {
        out->time_ms = e->props.timestamp_s * 1000;
    }
    out->time_ms = MAX(out->time_ms, 0);
    return NULL;
}
