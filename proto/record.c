/*
 * record.c: the two lines of a record, written and read in one pass each.
 *
 * Room, epoch and client are written without escapes, so that they can be
 * compared and sent on as they stand.
 */
#include "proto/record.h"

#include "proto/audience.h"
#include "proto/json.h"
#include "proto/put.h"
#include "proto/room.h"
#include "proto/scan.h"

/* Bytes of both lines beside the texts and the payload. */
#define FRAMING_MAX                                                                                \
    (sizeof("{'room':'','offset':,'epoch':'','user':'','client':'','info':,'chan_info':,'time':,'" \
            "key':'',"                                                                             \
            "'audience':,'roles':,'muted':true}\n\n") +                                            \
     2 * PUT_DIGITS_MAX)

enum member {
    MEMBER_ROOM = 1 << 0,
    MEMBER_OFFSET = 1 << 1,
    MEMBER_EPOCH = 1 << 2,
    MEMBER_USER = 1 << 3,
    MEMBER_CLIENT = 1 << 4,
    MEMBER_INFO = 1 << 5,
    MEMBER_TIME = 1 << 6,
    MEMBER_KEY = 1 << 7,
    MEMBER_AUDIENCE = 1 << 8,
    MEMBER_ROLES = 1 << 9,
    MEMBER_MUTED = 1 << 10,
    MEMBER_CHAN_INFO = 1 << 11,
    MEMBER_UNKNOWN = 0,
};

/* Printable ASCII that a JSON string holds as it is. */
static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.at[i];

        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

bool record_key_is_valid(struct slice key)
{
    return key.size > 0 && key.size <= KEY_MAX && is_plain(key);
}

bool record_epoch_is_possible(struct slice epoch)
{
    return epoch.size <= EPOCH_MAX && is_plain(epoch);
}

bool record_info_is_valid(struct slice info)
{
    return info.size <= INFO_MAX && json_is_object(info) && json_is_valid(info, INFO_DEPTH_MAX);
}

void record_encode(struct buf *out, const struct record *r)
{
    size_t size = FRAMING_MAX + r->room.size + r->epoch.size + r->user.size + r->client.size +
                  r->info.size + r->chan_info.size + r->key.size + r->audience.size +
                  r->roles.size + r->payload.size;
    char *start = buf_reserve(out, size), *to = start;

    assert(r->room.size > 0);
    assert((r->offset > 0) == (r->epoch.size > 0));
    assert(r->payload.size > 0 && memchr(r->payload.at, '\n', r->payload.size) == NULL);

    to = put_lit(to, "{\"room\":\"");
    to = put_slice(to, r->room);
    if (r->offset > 0) {
        to = put_lit(to, "\",\"offset\":");
        to = put_u64(to, r->offset);
        to = put_lit(to, ",\"epoch\":\"");
        to = put_slice(to, r->epoch);
    }
    if (r->user.size > 0) {
        to = put_lit(to, "\",\"user\":\"");
        to = put_slice(to, r->user);
    }
    if (r->client.size > 0) {
        to = put_lit(to, "\",\"client\":\"");
        to = put_slice(to, r->client);
    }
    *to++ = '"';
    if (r->info.size > 0) {
        to = put_lit(to, ",\"info\":");
        to = put_slice(to, r->info);
    }
    if (r->chan_info.size > 0) {
        to = put_lit(to, ",\"chan_info\":");
        to = put_slice(to, r->chan_info);
    }
    to = put_lit(to, ",\"time\":");
    to = put_i64(to, r->time);
    if (r->key.size > 0) {
        to = put_lit(to, ",\"key\":\"");
        to = put_slice(to, r->key);
        *to++ = '"';
    }
    if (r->audience.size > 0) {
        to = put_lit(to, ",\"audience\":");
        to = put_slice(to, r->audience);
    }
    if (r->roles.size > 0) {
        to = put_lit(to, ",\"roles\":");
        to = put_slice(to, r->roles);
    }
    if (r->is_muted) {
        to = put_lit(to, ",\"muted\":true");
    }
    to = put_lit(to, "}\n");
    to = put_slice(to, r->payload);
    *to++ = '\n';
    buf_grew(out, (size_t)(to - start));
}

static inline bool is(struct slice key, const char *name)
{
    return memcmp(key.at, name, key.size) == 0;
}

static enum member member_of(struct slice key)
{
    switch (key.size) {
    case 3:
        return is(key, "key") ? MEMBER_KEY : MEMBER_UNKNOWN;
    case 4:
        return is(key, "room")   ? MEMBER_ROOM
               : is(key, "user") ? MEMBER_USER
               : is(key, "info") ? MEMBER_INFO
               : is(key, "time") ? MEMBER_TIME
                                 : MEMBER_UNKNOWN;
    case 5:
        return is(key, "epoch")   ? MEMBER_EPOCH
               : is(key, "roles") ? MEMBER_ROLES
               : is(key, "muted") ? MEMBER_MUTED
                                  : MEMBER_UNKNOWN;
    case 6:
        return is(key, "offset")   ? MEMBER_OFFSET
               : is(key, "client") ? MEMBER_CLIENT
                                   : MEMBER_UNKNOWN;
    case 8:
        return is(key, "audience") ? MEMBER_AUDIENCE : MEMBER_UNKNOWN;
    case 9:
        return is(key, "chan_info") ? MEMBER_CHAN_INFO : MEMBER_UNKNOWN;
    default:
        return MEMBER_UNKNOWN;
    }
}

static bool read_audience(struct scan *s, struct slice *out)
{
    struct audience a;

    return scan_value(s, JSON_DEPTH_MAX - 1, out) && audience_read(*out, &a);
}

static bool read_roles(struct scan *s, struct slice *out)
{
    struct audience_names names;

    return scan_value(s, 1, out) && out->size <= AUDIENCE_MAX &&
           audience_read_names(*out, ROLE_MAX, &names);
}

static bool read_bool(struct scan *s, bool *out)
{
    struct slice value;

    return scan_value(s, 0, &value) && json_bool(value, out);
}

static bool read_info(struct scan *s, struct slice *out)
{
    return scan_value(s, INFO_DEPTH_MAX, out) && out->at[0] == '{' && out->size <= INFO_MAX;
}

static bool read_member(struct scan *s, enum member member, struct record *r)
{
    struct slice ignored;

    switch (member) {
    case MEMBER_ROOM:
        return scan_plain(s, ROOM_NAME_MAX, &r->room) && room_is_valid(r->room);
    case MEMBER_OFFSET:
        return scan_u64(s, &r->offset) && r->offset > 0 && r->offset <= OFFSET_MAX;
    case MEMBER_EPOCH:
        return scan_plain(s, EPOCH_MAX, &r->epoch);
    case MEMBER_USER:
        return scan_text(s, USER_MAX, &r->user);
    case MEMBER_CLIENT:
        return scan_plain(s, ID_MAX, &r->client);
    case MEMBER_INFO:
        return read_info(s, &r->info);
    case MEMBER_CHAN_INFO:
        return read_info(s, &r->chan_info);
    case MEMBER_TIME:
        return scan_i64(s, &r->time);
    case MEMBER_KEY:
        return scan_plain(s, KEY_MAX, &r->key) && record_key_is_valid(r->key);
    case MEMBER_AUDIENCE:
        return read_audience(s, &r->audience);
    case MEMBER_ROLES:
        return read_roles(s, &r->roles);
    case MEMBER_MUTED:
        return read_bool(s, &r->is_muted);
    case MEMBER_UNKNOWN:
        return scan_value(s, JSON_DEPTH_MAX - 1, &ignored);
    }
    return false;
}

/* The first line. */
static bool read_envelope(struct slice line, bool is_numbered, struct record *r)
{
    const unsigned position = MEMBER_OFFSET | MEMBER_EPOCH;
    const unsigned wrong = is_numbered ? MEMBER_ROLES | MEMBER_MUTED : MEMBER_AUDIENCE;
    struct scan s = scan_of(line);
    struct slice key;
    bool is_first = true;
    unsigned seen = 0;
    int answer;

    if (!scan_enter(&s)) {
        return false;
    }
    while ((answer = scan_key(&s, &is_first, &key)) == SCAN_MEMBER) {
        enum member member = member_of(key);

        if ((seen & member) != 0 || !read_member(&s, member, r)) {
            return false;
        }
        seen |= member;
    }
    return answer == SCAN_CLOSED && scan_is_done(&s) && (s.faults & SCAN_REFUSED) == 0 &&
           (seen & MEMBER_ROOM) != 0 && (seen & MEMBER_TIME) != 0 && (seen & wrong) == 0 &&
           (seen & position) == (is_numbered ? position : 0);
}

/* The second line. */
static bool read_payload(struct slice line, struct record *r)
{
    struct scan s = scan_of(line);

    return scan_value(&s, PAYLOAD_DEPTH_MAX, &r->payload) && scan_is_done(&s) &&
           (s.faults & SCAN_REFUSED) == 0 && r->payload.size <= PAYLOAD_CEILING;
}

int record_next(struct slice *rest, bool is_numbered, struct record *out)
{
    struct slice left = *rest, envelope, payload;

    if (left.size == 0) {
        return RECORD_END;
    }
    *out = (struct record){.offset = 0};
    if (!scan_line(&left, &envelope) || !scan_line(&left, &payload) ||
        !read_envelope(envelope, is_numbered, out) || !read_payload(payload, out)) {
        return RECORD_BAD;
    }
    *rest = left;
    return 0;
}

bool record_encode_checked(struct buf *out, const struct record *r)
{
    size_t before = out->size;
    struct record again;

    record_encode(out, r);
    struct slice rest = {out->at + before, out->size - before};
    if (record_next(&rest, false, &again) == 0 && rest.size == 0) {
        return true;
    }
    out->size = before;
    return false;
}
