/*
 * hook.c: see hook.h.
 */
#include "gateway/hook/hook.h"

#include <inttypes.h>

#include "gateway/session/close.h"
#include "gateway/token/granted.h"
#include "proto/json.h"
#include "proto/limits.h"
#include "proto/record.h"
#include "proto/reply.h"

#define MEMBERS_MAX 64
#define ERROR_MIN 400
#define ERROR_MAX 1999
#define DISCONNECT_MIN 3000
#define DISCONNECT_MAX 4999
#define NO_END ((INT64_C(1) << 53) - 1) /* `exp` of what does not expire */

const char *hook_label(enum hook which)
{
    static const char *const labels[] = {
#define HOOK(name, label) label,
#include "gateway/hook/hook.def"
    };

    assert(which < HOOK_COUNT);
    return labels[which];
}

static const struct {
    const char *label;
    bool is_failure;
} ends[] = {
#define HOOK_END(name, label, is_failure) {label, is_failure},
#include "gateway/hook/hook.def"
};

const char *hook_end_label(enum hook_end end)
{
    assert(end < HOOK_ENDS);
    return ends[end].label;
}

bool hook_end_is_failure(enum hook_end end)
{
    assert(end < HOOK_ENDS);
    return ends[end].is_failure;
}

static bool is_null(struct slice value)
{
    return value.size == 0 || slice_equal(value, SLICE_LIT("null"));
}

/* Reads a text of at most HOOK_TEXT_MAX bytes; what is absent or empty becomes `fallback`. */
static bool read_text(struct slice value, const char *fallback, char out[HOOK_TEXT_MAX + 1])
{
    struct buf text = BUF_EMPTY;
    bool is_good = is_null(value) || json_is_string(value);

    if (is_good && !is_null(value)) {
        json_unescape(&text, json_inside(value));
    }
    if (text.size == 0) {
        buf_add_slice(&text, slice_of(fallback));
    }
    is_good = is_good && text.size <= HOOK_TEXT_MAX && text_is_clean(buf_slice(&text));
    if (is_good) {
        memcpy(out, text.at, text.size);
        out[text.size] = '\0';
    }
    buf_deinit(&text);
    return is_good;
}

static bool read_code(struct slice object, uint64_t min, uint64_t max, uint32_t *code)
{
    uint64_t value = 0;

    if (!json_u64(json_get(object, "code"), &value) || value < min || value > max) {
        return false;
    }
    *code = (uint32_t)value;
    return true;
}

static const char *read_error(struct hook_answer *a, struct slice error)
{
    struct slice temporary = json_get(error, "temporary");

    if (!json_is_object(error) || !read_code(error, 0, ERROR_MAX, &a->code) ||
        (a->code < ERROR_MIN && !reply_error_is_known(a->code))) {
        return "an error needs a code of 400 to 1999, or one of the protocol's";
    }
    if (!read_text(json_get(error, "message"), "refused", a->text)) {
        return "an error's message is a text of at most 123 bytes";
    }
    if (!is_null(temporary) && !json_bool(temporary, &a->is_temporary)) {
        return "temporary is true or false";
    }
    if (reply_error_is_known(a->code)) { /* it is told in the protocol's own words */
        a->is_temporary |= reply_error_text((enum reply_error)a->code).is_temporary;
    }
    a->end = HOOK_END_ERROR;
    return NULL;
}

/* SDKs take a reason that looks like JSON for something else. */
static const char *read_disconnect(struct hook_answer *a, struct slice disconnect)
{
    if (!json_is_object(disconnect) ||
        !read_code(disconnect, DISCONNECT_MIN, DISCONNECT_MAX, &a->code)) {
        return "a disconnect needs a code of 3000 to 4999";
    }
    const char *words = close_words((uint16_t)a->code);
    if (!read_text(json_get(disconnect, "reason"), words != NULL ? words : "disconnected",
                   a->text) ||
        json_is_valid(slice_of(a->text), PAYLOAD_DEPTH_MAX)) {
        return "a disconnect's reason is a text of at most 123 bytes, and no JSON";
    }
    a->end = HOOK_END_DISCONNECT;
    return NULL;
}

void hook_answer_read(struct hook_answer *a, struct slice body, const char **why)
{
    *a = (struct hook_answer){.end = HOOK_END_BAD};
    body = json_trim(body);
    if (!json_is_valid(body, PAYLOAD_DEPTH_MAX) || !json_is_object(body) ||
        json_has_duplicates(body, MEMBERS_MAX)) {
        *why = "the answer is no JSON object";
        return;
    }
    struct slice disconnect = json_get(body, "disconnect"), error = json_get(body, "error");
    struct slice result = json_get(body, "result");

    *why = NULL;
    if (!is_null(disconnect)) {
        *why = read_disconnect(a, disconnect);
    } else if (!is_null(error)) {
        *why = read_error(a, error);
    } else if (json_is_object(result) && !json_has_duplicates(result, MEMBERS_MAX)) {
        a->end = HOOK_END_RESULT;
        a->result = result;
    } else {
        *why = "the answer has no result, error or disconnect";
    }
}

/* Adds a member of the result under the name that a token's claim has. */
static void add_claim(struct buf *out, const char *claim, struct slice value)
{
    if (!is_null(value)) {
        buf_addf(out, ",\"%s\":", claim);
        buf_add_slice(out, value);
    }
}

int hook_result_claims(struct slice result, int64_t now_s, struct jwt_claims *claims,
                       bool *is_known, const char **why)
{
    static const char *const same[] = {"name", "roles", "info", "b64info", "channels", "subs"};
    const struct claims_rules rules = {.audience = "", .issuer = ""};
    struct slice user = json_get(result, "user"), expires = json_get(result, "expire_at");
    struct buf payload = BUF_EMPTY;

    *is_known = !is_null(user) && !slice_equal(user, SLICE_LIT("\"\""));
    if (!*is_known && !is_null(expires)) {
        *why = "who has no user has no end";
        return HOOK_RESULT_BAD;
    }
    buf_addf(&payload, "{\"exp\":%" PRId64, NO_END);
    add_claim(&payload, "sub", *is_known ? user : SLICE_LIT("\"nobody\""));
    add_claim(&payload, "expire_at", is_null(expires) ? SLICE_LIT("0") : expires);
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        struct slice value = json_get(result, same[i]);

        if (!*is_known && !is_null(value)) {
            *why = "who has no user has nothing else";
            buf_deinit(&payload);
            return HOOK_RESULT_BAD;
        }
        add_claim(&payload, same[i], value);
    }
    buf_add_char(&payload, '}');
    *claims = (struct jwt_claims){0};
    int r = claims_read(claims, JWT_CONNECTION, buf_slice(&payload), &rules, now_s, why);
    buf_deinit(&payload);
    return r == 0 ? 0 : r == CLAIMS_EXPIRED ? HOOK_RESULT_EXPIRED : HOOK_RESULT_BAD;
}

int hook_result_subscribe(struct slice result, struct hook_subscribe *out)
{
    struct slice info = json_get(result, "info"), data = json_get(result, "data");
    struct slice expires = json_get(result, "expire_at"), override = json_get(result, "override");

    *out = (struct hook_subscribe){.info = is_null(info) ? SLICE_NONE : info,
                                   .data = is_null(data) ? SLICE_NONE : data};
    if ((out->info.size > 0 && !record_info_is_valid(info)) ||
        (!is_null(override) && !json_is_object(override)) ||
        (!is_null(expires) && (!json_i64(expires, &out->expires_s) || out->expires_s < 0))) {
        return HOOK_RESULT_BAD;
    }
    out->wants_moves = !is_null(override) && override_wants_moves(override);
    return 0;
}

/* {"name":"..." or ,"name":"..." */
static void add_text(struct buf *out, const char *name, struct slice text)
{
    buf_addf(out, "%s\"%s\":\"", out->size > 0 ? "," : "{", name);
    json_escape(out, text);
    buf_add_char(out, '"');
}

static void add_text_if(struct buf *out, const char *name, struct slice text)
{
    if (text.size > 0) {
        add_text(out, name, text);
    }
}

void hook_question_write(struct buf *out, const struct hook_question *q)
{
    assert(out->size == 0);
    add_text(out, "client", slice_of(q->client));
    add_text(out, "transport", SLICE_LIT("websocket"));
    add_text(out, "protocol", slice_of(q->protocol));
    add_text(out, "encoding", SLICE_LIT("json"));
    add_text(out, "address", slice_of(q->address));
    if (q->user != NULL) {
        buf_addf(out, ",\"user\":\"%s\"", q->user);
    }
    add_text_if(out, "channel", q->channel);
    add_text_if(out, "name", q->name);
    add_text_if(out, "version", q->version);
    if (q->data.size > 0) {
        buf_add_lit(out, ",\"data\":");
        buf_add_slice(out, q->data);
    }
    buf_add_char(out, '}');
}
