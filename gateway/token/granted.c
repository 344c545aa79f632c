/*
 * granted.c: see granted.h.
 */
#include "gateway/token/granted.h"

#include "common/buf.h"
#include "common/mem.h"
#include "gateway/token/base64.h"
#include "proto/json.h"
#include "proto/record.h"
#include "proto/room.h"

void claim_add_raw(struct buf *out, struct slice value)
{
    if (value.size > 0) {
        json_add_flat(out, value);
    }
}

void claim_add_info(struct buf *out, struct slice value)
{
    if (record_info_is_valid(value)) {
        json_add_flat(out, value);
    }
}

bool override_wants_moves(struct slice override)
{
    bool wants = false;

    if (override.size == 0) {
        return false;
    }
    struct slice forced = json_get(override, "force_push_join_leave");
    return json_is_object(forced) && json_bool(json_get(forced, "value"), &wants) && wants;
}

static char *take_text(struct buf *b)
{
    char *text = mem_copy_text(b->size > 0 ? b->at : "", b->size);

    buf_clear(b);
    return text;
}

/* The member `name` of an entry of `subs`, or what its base64 form stands for. */
static char *entry_value(struct slice entry, const char *name, const char *b64_name,
                         void (*add)(struct buf *out, struct slice value))
{
    struct buf value = BUF_EMPTY, decoded = BUF_EMPTY;
    struct slice raw = json_get(entry, name), coded = json_get(entry, b64_name);

    if (raw.size == 0 && json_is_string(coded) &&
        base64_decode(&decoded, json_inside(coded)) == 0 &&
        json_is_valid(buf_slice(&decoded), JWT_DEPTH_MAX)) {
        raw = buf_slice(&decoded);
    }
    add(&value, raw);
    char *text = take_text(&value);
    buf_deinit(&value);
    buf_deinit(&decoded);
    return text;
}

bool granted_has(const struct granted *g, struct slice room)
{
    for (size_t i = 0; g != NULL && i < g->count; i++) {
        if (slice_equal(slice_of(g->at[i].room), room)) {
            return true;
        }
    }
    return false;
}

static void add_room(struct granted *g, struct slice room, struct slice entry)
{
    if (!room_is_valid(room) || granted_has(g, room)) {
        return; /* claims_read() has refused what is no room */
    }
    struct granted_room *to = &g->at[g->count++];

    to->room = mem_copy_text(room.at, room.size);
    to->info = entry_value(entry, "info", "b64info", claim_add_info);
    to->data = entry_value(entry, "data", "b64data", claim_add_raw);
    to->wants_moves = override_wants_moves(json_get(entry, "override"));
}

struct granted *granted_new(const struct jwt_claims *claims)
{
    struct granted *g;
    struct json_object o;
    struct json_member m;
    struct buf name = BUF_EMPTY;

    if (claims->channel_count == 0 && claims->subs.size == 0) {
        return NULL;
    }
    g = mem_zalloc(1, sizeof(*g) + 2 * JWT_ROOMS_MAX * sizeof(g->at[0]));
    if (claims->subs.size > 0 && json_object_open(&o, jwt_text(claims, claims->subs))) {
        while (g->count < JWT_ROOMS_MAX && json_object_next(&o, &m)) {
            buf_clear(&name);
            json_unescape(&name, m.key);
            add_room(g, buf_slice(&name), m.value);
        }
    }
    for (size_t i = 0; i < claims->channel_count; i++) {
        add_room(g, jwt_text(claims, claims->channels[i]), SLICE_LIT("{}"));
    }
    buf_deinit(&name);
    return mem_realloc(g, sizeof(*g) + g->count * sizeof(g->at[0]));
}

struct granted *granted_free(struct granted *g)
{
    for (size_t i = 0; g != NULL && i < g->count; i++) {
        mem_free(g->at[i].room);
        mem_free(g->at[i].info);
        mem_free(g->at[i].data);
    }
    mem_free(g);
    return NULL;
}
