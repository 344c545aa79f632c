/*
 * api_params.c: values out of a request's parameters, which are valid JSON.
 */
#include "gateway/api/api_internal.h"
#include "proto/json.h"
#include "proto/room.h"

#define TEXTS_MAX 8 /* texts of one request that are escaped anew */

static bool is_absent(struct slice value)
{
    return value.size == 0 || slice_equal(value, SLICE_LIT("null"));
}

void params_reserve(struct slice params, struct buf *scratch)
{
    (void)buf_reserve(scratch, 2 * params.size + TEXTS_MAX * USER_MAX * 6);
}

bool param_text(struct slice params, const char *name, size_t max, struct buf *scratch,
                struct slice *text)
{
    struct slice value = json_get(params, name);
    size_t before = scratch->size;

    *text = SLICE_NONE;
    if (is_absent(value)) {
        return true;
    }
    if (!json_is_string(value)) {
        return false;
    }
    json_unescape(scratch, json_inside(value));
    *text = (struct slice){scratch->at + before, scratch->size - before};
    return text->size <= max;
}

bool param_escaped(struct slice params, const char *name, size_t max, struct buf *scratch,
                   struct slice *text)
{
    struct buf plain = BUF_EMPTY;
    size_t before = scratch->size;
    bool is_good = param_text(params, name, max, &plain, text);

    if (is_good && text->size > 0) {
        json_escape(scratch, *text);
        *text = (struct slice){scratch->at + before, scratch->size - before};
    }
    buf_deinit(&plain);
    return is_good;
}

bool param_room(struct slice params, struct buf *scratch, struct slice *room)
{
    return param_text(params, "channel", ROOM_NAME_MAX, scratch, room) && room_is_valid(*room);
}

bool param_i64(struct slice params, const char *name, int64_t *value)
{
    struct slice v = json_get(params, name);

    return is_absent(v) || json_i64(v, value);
}

bool param_bool(struct slice params, const char *name, bool *value)
{
    struct slice v = json_get(params, name);

    return is_absent(v) || json_bool(v, value);
}
