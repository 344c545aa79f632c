/*
 * api_foreign.c: what backends that know Centrifugo send: values in base64, and what is not served.
 */
#include "gateway/api/api_internal.h"
#include "gateway/token/base64.h"
#include "gateway/token/granted.h"
#include "proto/json.h"

/* Members that would mean something there and nothing here: to leave them out would be a lie. */
static const struct {
    const char *method, *member;
} unserved[] = {
    {"publish", "skip_history"},    {"publish", "version"},
    {"publish", "version_epoch"},   {"publish", "tags"},
    {"broadcast", "tags"},          {"broadcast", "skip_history"},
    {"broadcast", "version"},       {"broadcast", "version_epoch"},
    {"subscribe", "recover_since"}, {"subscribe", "session"},
    {"unsubscribe", "session"},     {"disconnect", "session"},
    {"refresh", "session"},         {"refresh", "info"},
};

/* Says nothing. */
static bool is_empty(struct slice v)
{
    static const char *const empty[] = {"", "null", "false", "0", "\"\"", "{}", "[]"};

    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        if (slice_equal(v, slice_of(empty[i]))) {
            return true;
        }
    }
    return false;
}

/* Of `override` joins and leaves can be pushed; positions and recovery are always there. */
static bool override_is_served(struct slice override)
{
    static const char *const served[] = {"force_push_join_leave", "force_recovery",
                                         "force_positioning"};
    struct json_object o;
    struct json_member m;

    if (is_empty(override)) {
        return true;
    }
    if (!json_object_open(&o, override)) {
        return false;
    }
    while (json_object_next(&o, &m)) {
        bool is_served = is_empty(m.value);

        for (size_t i = 0; i < ARRAY_LEN(served); i++) {
            is_served = is_served || slice_equal(m.key, slice_of(served[i]));
        }
        if (!is_served) {
            return false;
        }
    }
    return true;
}

bool params_are_served(const char *method, struct slice params)
{
    for (size_t i = 0; i < ARRAY_LEN(unserved); i++) {
        if (strcmp(unserved[i].method, method) == 0 &&
            !is_empty(json_get(params, unserved[i].member))) {
            return false;
        }
    }
    return override_is_served(json_get(params, "override"));
}

bool param_value(struct slice params, const char *name, const char *b64_name, struct buf *scratch,
                 struct slice *value)
{
    struct slice raw = json_get(params, name), coded = json_get(params, b64_name);
    struct buf digits = BUF_EMPTY, decoded = BUF_EMPTY;
    size_t before = scratch->size;
    bool is_good = true;

    if (!is_empty(coded)) {
        if (json_is_string(coded)) {
            json_unescape(&digits, json_inside(coded)); /* "\/" is what PHP makes of a slash */
        }
        is_good = raw.size == 0 && json_is_string(coded) &&
                  base64_decode(&decoded, buf_slice(&digits)) == 0 &&
                  json_is_valid(buf_slice(&decoded), PAYLOAD_DEPTH_MAX);
        raw = buf_slice(&decoded);
    }
    if (is_good) {
        json_add_flat(scratch, raw);
    }
    *value = (struct slice){scratch->at + before, scratch->size - before};
    buf_deinit(&digits);
    buf_deinit(&decoded);
    return is_good;
}

bool param_clients(struct slice params, const char *name, struct buf *scratch, struct slice *list)
{
    struct slice raw = json_get(params, name), one;
    struct json_array a;
    size_t before = scratch->size;

    *list = SLICE_NONE;
    if (is_empty(raw)) {
        return true;
    }
    if (!json_array_open(&a, raw)) {
        return false;
    }
    while (json_array_next(&a, &one)) {
        struct slice text = json_is_string(one) ? json_inside(one) : SLICE_NONE;

        if (text.size == 0 || text.size > ID_MAX || memchr(text.at, '\\', text.size) != NULL) {
            return false;
        }
    }
    json_add_flat(scratch, raw);
    *list = (struct slice){scratch->at + before, scratch->size - before};
    return list->size <= ORDER_CLIENTS_MAX;
}
