/*
 * claims.c: see claims.h.
 *
 * One walk over the payload: each member finds its row in a table, or is passed
 * over. Values that travel on as JSON are taken as they were written. What the
 * claims mean together is judged afterwards.
 */
#include "gateway/token/claims.h"

#include <stdlib.h>

#include "common/buf.h"
#include "gateway/token/base64.h"
#include "proto/json.h"
#include "proto/limits.h"
#include "proto/room.h"

#define TIME_MAX ((int64_t)1 << 53) /* seconds: above it a double is no whole number */
#define NUMBER_MAX 64               /* characters of a number that is a time */
#define MEMBERS_MAX 256             /* of a payload */

static_assert(JWT_DEPTH_MAX - 1 <= INFO_DEPTH_MAX, "a payload has no info that is too deep");
static_assert(JWT_TEXTS_MAX <= INFO_MAX, "nor one that is too long");
static_assert(JWT_TEXTS_MAX >= JWT_TOKEN_MAX / 4 * 3, "a payload's bytes are kept once at most");
static_assert(sizeof(((struct jwt_claims *)0)->user) == USER_MAX + 1, "a user fits");
static_assert(sizeof(((struct jwt_claims *)0)->name) == NAME_MAX_BYTES + 1, "and a name");

/* A payload while it is read. */
struct reading {
    struct jwt_claims *claims;
    const struct claims_rules *rules;
    struct buf scratch; /* owns: a text, decoded */
    int64_t expire_at_s;
    bool has_our_issuer, has_our_audience;
    uint32_t seen; /* bits: rows of `claims` that were there */
};

/* Decodes a string into the scratch buffer. False if it is none. */
static bool decode(struct reading *r, struct slice value)
{
    buf_clear(&r->scratch);
    if (!json_is_string(value)) {
        return false;
    }
    json_unescape(&r->scratch, json_inside(value));
    return true;
}

/* Decodes a legal user, name or role into `to`. */
static bool read_text(struct reading *r, struct slice value, char *to, size_t to_size)
{
    if (!decode(r, value) || r->scratch.size == 0 || r->scratch.size >= to_size ||
        !text_is_clean(buf_slice(&r->scratch))) {
        return false;
    }
    memcpy(to, r->scratch.at, r->scratch.size);
    to[r->scratch.size] = '\0';
    return true;
}

static struct jwt_text keep(struct jwt_claims *c, struct slice text)
{
    struct jwt_text kept = {(uint16_t)c->texts_size, (uint16_t)text.size};

    assert(text.size <= sizeof(c->texts) - c->texts_size);
    memcpy(c->texts + c->texts_size, text.at, text.size);
    c->texts_size += text.size;
    return kept;
}

/* Keeps a decoded text of 1 to `max` bytes. */
static bool keep_text(struct reading *r, struct slice value, size_t max, struct jwt_text *to)
{
    if (!decode(r, value) || r->scratch.size == 0 || r->scratch.size > max ||
        !text_is_clean(buf_slice(&r->scratch))) {
        return false;
    }
    *to = keep(r->claims, buf_slice(&r->scratch));
    return true;
}

/* A time in seconds; fractions are cut off. False if it is no usable number. */
static bool read_time(struct slice value, int64_t *out)
{
    char text[NUMBER_MAX + 1];
    char *end;

    if (value.at[0] != '-' && (value.at[0] < '0' || value.at[0] > '9')) {
        return false;
    }
    if (!json_i64(value, out)) {
        if (value.size > NUMBER_MAX) {
            return false;
        }
        memcpy(text, value.at, value.size);
        text[value.size] = '\0';
        double number = strtod(text, &end);
        if (*end != '\0' || !(number > (double)-TIME_MAX && number < (double)TIME_MAX)) {
            return false;
        }
        *out = (int64_t)number;
    }
    return *out > -TIME_MAX && *out < TIME_MAX;
}

static bool read_sub(struct reading *r, struct slice value)
{
    if (slice_equal(value, SLICE_LIT("\"\""))) {
        return true; /* judged later: it is somebody anonymous, or nobody */
    }
    return read_text(r, value, r->claims->user, sizeof(r->claims->user));
}

static bool read_name(struct reading *r, struct slice value)
{
    if (slice_equal(value, SLICE_LIT("\"\""))) {
        return true;
    }
    return read_text(r, value, r->claims->name, sizeof(r->claims->name));
}

/* Calls `take` for each element. False if the value is no array, or `take` says so. */
static bool read_array(struct reading *r, struct slice value,
                       bool (*take)(struct reading *r, struct slice element))
{
    struct json_array a;
    struct slice element;

    if (!json_array_open(&a, value)) {
        return false;
    }
    while (json_array_next(&a, &element)) {
        if (!take(r, element)) {
            return false;
        }
    }
    return true;
}

static bool take_role(struct reading *r, struct slice value)
{
    struct jwt_claims *c = r->claims;

    if (c->role_count == JWT_ROLES_MAX ||
        !read_text(r, value, c->roles[c->role_count], JWT_ROLE_SIZE)) {
        return false;
    }
    c->role_count++;
    return true;
}

static bool read_roles(struct reading *r, struct slice value)
{
    return read_array(r, value, take_role);
}

static bool read_exp(struct reading *r, struct slice value)
{
    return read_time(value, &r->claims->exp_s);
}

static bool read_nbf(struct reading *r, struct slice value)
{
    return read_time(value, &r->claims->not_before_s);
}

static bool read_iat(struct reading *r, struct slice value)
{
    return read_time(value, &r->claims->issued_s);
}

static bool read_expire_at(struct reading *r, struct slice value)
{
    return read_time(value, &r->expire_at_s) && r->expire_at_s >= 0;
}

static bool read_iss(struct reading *r, struct slice value)
{
    r->has_our_issuer =
        decode(r, value) && slice_equal(buf_slice(&r->scratch), slice_of(r->rules->issuer));
    return true;
}

static bool take_audience(struct reading *r, struct slice value)
{
    r->has_our_audience =
        r->has_our_audience ||
        (decode(r, value) && slice_equal(buf_slice(&r->scratch), slice_of(r->rules->audience)));
    return true;
}

static bool read_aud(struct reading *r, struct slice value)
{
    if (value.at[0] == '[') {
        return read_array(r, value, take_audience);
    }
    return take_audience(r, value);
}

static bool read_jti(struct reading *r, struct slice value)
{
    return keep_text(r, value, JWT_ID_MAX, &r->claims->id);
}

static bool read_channel(struct reading *r, struct slice value)
{
    return keep_text(r, value, ROOM_NAME_MAX, &r->claims->channel) &&
           room_is_valid(jwt_text(r->claims, r->claims->channel));
}

static bool read_client(struct reading *r, struct slice value)
{
    /* Empty is as good as absent. */
    return slice_equal(value, SLICE_LIT("\"\"")) ||
           keep_text(r, value, CLIENT_ID_SIZE, &r->claims->client);
}

static bool take_channel(struct reading *r, struct slice value)
{
    struct jwt_claims *c = r->claims;

    if (!decode(r, value) || !room_is_valid(buf_slice(&r->scratch))) {
        return false;
    }
    for (size_t i = 0; i < c->channel_count; i++) {
        if (slice_equal(jwt_text(c, c->channels[i]), buf_slice(&r->scratch))) {
            return true;
        }
    }
    if (c->channel_count == JWT_ROOMS_MAX) {
        return false;
    }
    c->channels[c->channel_count++] = keep(c, buf_slice(&r->scratch));
    return true;
}

static bool read_channels(struct reading *r, struct slice value)
{
    return read_array(r, value, take_channel);
}

/* Names are compared as they are written. */
static bool has_duplicates(struct slice object, size_t max)
{
    struct slice names[MEMBERS_MAX];
    struct json_object o;
    struct json_member m;
    size_t count = 0;

    assert(max <= MEMBERS_MAX);
    (void)json_object_open(&o, object);
    while (json_object_next(&o, &m)) {
        for (size_t i = 0; i < count; i++) {
            if (slice_equal(names[i], m.key)) {
                return true;
            }
        }
        if (count == max) {
            return true;
        }
        names[count++] = m.key;
    }
    return false;
}

/* Rooms are written without escapes: no two spellings of one. */
static bool read_subs(struct reading *r, struct slice value)
{
    struct json_object o;
    struct json_member m;

    if (!json_object_open(&o, value) || has_duplicates(value, JWT_ROOMS_MAX)) {
        return false;
    }
    while (json_object_next(&o, &m)) {
        if (!room_is_valid(m.key) || !json_is_object(m.value)) {
            return false;
        }
    }
    r->claims->subs = keep(r->claims, value);
    return true;
}

/* The form in base64 wins over the plain one. */
static bool keep_json(struct reading *r, struct slice value, struct jwt_text *to)
{
    if (to->size == 0) {
        *to = keep(r->claims, value);
    }
    return true;
}

static bool keep_base64(struct reading *r, struct slice value, int levels, struct jwt_text *to)
{
    struct buf bytes = BUF_EMPTY;
    bool is_good = decode(r, value) && base64_decode(&bytes, buf_slice(&r->scratch)) == 0 &&
                   json_is_valid(buf_slice(&bytes), levels);

    if (is_good) {
        *to = keep(r->claims, buf_slice(&bytes));
    }
    buf_deinit(&bytes);
    return is_good;
}

static bool read_info(struct reading *r, struct slice value)
{
    return keep_json(r, value, &r->claims->info);
}

static bool read_b64info(struct reading *r, struct slice value)
{
    return keep_base64(r, value, INFO_DEPTH_MAX, &r->claims->info);
}

static bool read_data(struct reading *r, struct slice value)
{
    return keep_json(r, value, &r->claims->data);
}

static bool read_b64data(struct reading *r, struct slice value)
{
    return keep_base64(r, value, JWT_DEPTH_MAX, &r->claims->data);
}

static bool read_override(struct reading *r, struct slice value)
{
    return json_is_object(value) && keep_json(r, value, &r->claims->override);
}

static bool read_meta(struct reading *r, struct slice value)
{
    return json_is_object(value) && keep_json(r, value, &r->claims->meta);
}

enum row { SUB, EXP, EXPIRE_AT, IAT, CHANNEL };

static const struct {
    const char *name;
    bool (*read)(struct reading *r, struct slice value);
    const char *why; /* when it cannot be read */
} claims[] = {
    [SUB] = {"sub", read_sub, "bad sub"},
    [EXP] = {"exp", read_exp, "bad time"},
    [EXPIRE_AT] = {"expire_at", read_expire_at, "bad time"},
    [IAT] = {"iat", read_iat, "bad time"},
    [CHANNEL] = {"channel", read_channel, "bad channel"},
    {"nbf", read_nbf, "bad time"},
    {"iss", read_iss, "wrong issuer"},
    {"aud", read_aud, "wrong audience"},
    {"jti", read_jti, "bad jti"},
    {"name", read_name, "bad name"},
    {"roles", read_roles, "bad roles"},
    {"client", read_client, "bad client"},
    {"channels", read_channels, "bad channels"},
    {"subs", read_subs, "bad subs"},
    {"info", read_info, "bad info"},
    {"b64info", read_b64info, "bad info"},
    {"data", read_data, "bad data"},
    {"b64data", read_b64data, "bad data"},
    {"override", read_override, "bad override"},
    {"meta", read_meta, "bad meta"},
};

static_assert(ARRAY_LEN(claims) <= 32, "a bit for each");

static bool has(const struct reading *r, enum row row)
{
    return (r->seen & 1u << row) != 0;
}

/* NULL, or what is wrong with a member. */
static const char *read_member(struct reading *r, const struct json_member *m)
{
    for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
        if (slice_equal(m->key, slice_of(claims[i].name))) {
            r->seen |= 1u << i;
            return claims[i].read(r, m->value) ? NULL : claims[i].why;
        }
    }
    return NULL;
}

/* Names are compared as written: one with an escape could be a second spelling, and nobody needs
 * one. */
static const char *read_members(struct reading *r, struct slice payload)
{
    struct json_object o;
    struct json_member m;
    const char *why = NULL;

    if (!json_is_valid(payload, JWT_DEPTH_MAX) || !json_object_open(&o, payload) ||
        has_duplicates(payload, MEMBERS_MAX)) {
        return "bad payload";
    }
    while (why == NULL && json_object_next(&o, &m)) {
        why = memchr(m.key.at, '\\', m.key.size) != NULL ? "bad payload" : read_member(r, &m);
    }
    return why;
}

/* Who the token is for and about. NULL, or what is wrong. */
static const char *judge(struct reading *r, enum jwt_kind kind)
{
    struct jwt_claims *c = r->claims;

    if (r->rules->issuer[0] != '\0' && !r->has_our_issuer) {
        return "wrong issuer";
    }
    if (r->rules->audience[0] != '\0' && !r->has_our_audience) {
        return "wrong audience";
    }
    if (has(r, CHANNEL) != (kind == JWT_SUBSCRIPTION)) {
        return kind == JWT_SUBSCRIPTION ? "no channel" : "subscription token";
    }
    if (c->user[0] == '\0' && kind == JWT_CONNECTION) {
        return "bad sub";
    }
    if (!has(r, EXP)) {
        return "bad time";
    }
    c->expires_s = has(r, EXPIRE_AT) ? r->expire_at_s : c->exp_s;
    if (c->name[0] == '\0') {
        memcpy(c->name, c->user, sizeof(c->name));
    }
    return NULL;
}

int claims_judge_time(const struct jwt_claims *c, const struct claims_rules *rules, int64_t now_s,
                      const char **why)
{
    if (c->exp_s <= now_s - rules->leeway_s ||
        (c->expires_s != 0 && c->expires_s <= now_s - rules->leeway_s)) {
        *why = "expired";
        return CLAIMS_EXPIRED;
    }
    if (c->not_before_s > now_s + rules->leeway_s) {
        *why = "not valid yet";
        return CLAIMS_EXPIRED;
    }
    return 0;
}

int claims_read(struct jwt_claims *c, enum jwt_kind kind, struct slice payload,
                const struct claims_rules *rules, int64_t now_s, const char **why)
{
    struct reading r = {.claims = c, .rules = rules, .scratch = BUF_EMPTY};

    *why = payload.size <= JWT_TEXTS_MAX ? read_members(&r, payload) : "bad payload";
    buf_deinit(&r.scratch);
    if (*why == NULL) {
        *why = judge(&r, kind);
    }
    if (*why == NULL && c->issued_s > now_s + rules->leeway_s) {
        *why = "issued in the future";
    }
    if (*why == NULL && rules->max_age_s != 0 &&
        c->exp_s > now_s + rules->max_age_s + rules->leeway_s) {
        *why = CLAIMS_TOO_LONG_LIVED;
    }
    return *why != NULL ? CLAIMS_INVALID : claims_judge_time(c, rules, now_s, why);
}
