/*
 * report.c: what this gateway reports to a survey: itself, and its rooms if they are asked for.
 */
#include <fnmatch.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/mem.h"
#include "gateway/bus/surveys.h"
#include "gateway/gateway.h"
#include "gateway/order/control.h"
#include "gateway/room/rooms.h"
#include "gateway/session/sessions.h"
#include "proto/json.h"
#include "proto/line.h"

/* Users, told apart by their hash. */
struct crowd_count {
    uint64_t *seen; /* owns: an open table; 0: free */
    size_t mask;
    uint64_t users;
};

static void count_user(struct session *s, void *user)
{
    struct crowd_count *c = user;

    if (s->identity == NULL || !s->identity->is_known) {
        return;
    }
    uint64_t hash = hash_frozen(s->identity->user, strlen(s->identity->user)) | 1;
    size_t at = hash >> 1 & c->mask;
    while (c->seen[at] != 0 && c->seen[at] != hash) {
        at = (at + 1) & c->mask;
    }
    c->users += c->seen[at] == 0;
    c->seen[at] = hash;
}

static uint64_t users_here(struct gateway *g)
{
    struct crowd_count c = {.mask = 15};

    while (c.mask < 2 * sessions_count(g->sessions)) {
        c.mask = 2 * c.mask + 1;
    }
    c.seen = mem_zalloc(c.mask + 1, sizeof(c.seen[0]));
    sessions_each(g->sessions, count_user, &c);
    mem_free(c.seen);
    return c.users;
}

static void add_info(struct gateway *g, struct report *r)
{
    r->num_clients = sessions_count(g->sessions);
    r->num_users = users_here(g);
    r->num_subs = stat_get(&g->metrics.subscriptions);
    r->num_channels = rooms_count(g->rooms);
    r->uptime = (uint64_t)(clock_mono_ms() - g->started_ms) / 1000;
}

/* A line for each room whose name fits. False: there are more than may be told. */
static bool add_rooms(struct gateway *g, const char *pattern, struct buf *out)
{
    size_t count = 0;

    for (uint32_t p = 0; p < (uint32_t)g->conf->partitions; p++) {
        for (const struct room *r = rooms_of(g->rooms, p); r != NULL; r = r->next) {
            if (r->count == 0 || (pattern[0] != '\0' && fnmatch(pattern, r->name, 0) != 0)) {
                continue;
            }
            if (count++ == REPORT_ROOMS_MAX) {
                return false;
            }
            line_encode(out, &(struct line){.room = {r->name, r->name_size}, .clients = r->count});
        }
    }
    return true;
}

void report_write(struct gateway *g, const struct survey *s, struct buf *out)
{
    struct buf pattern = BUF_EMPTY, rooms = BUF_EMPTY;
    struct report r = {
        .uid = slice_of(g->boot),
        .name = slice_of(g->conf->id),
        .version = SLICE_LIT(WARREN_VERSION),
        .obeyed = control_obeyed(g->control),
    };

    if (s->kind == SURVEY_INFO) {
        add_info(g, &r);
    } else if (s->kind == SURVEY_CHANNELS) {
        json_unescape(&pattern, s->pattern);
        buf_add_char(&pattern, '\0');
        r.more = !add_rooms(g, pattern.at, &rooms);
    }
    report_encode(out, &r);
    buf_add_slice(out, buf_slice(&rooms));
    buf_deinit(&pattern);
    buf_deinit(&rooms);
}
