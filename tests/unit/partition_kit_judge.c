/* partition_kit_judge.c: reads the log as a stranger would, by its rules alone. */
#include "tests/unit/partition_kit.h"

#define LANES_MAX 64

/* A record that counts. */
struct truth {
    char epoch[EPOCH_MAX + 1];
    uint64_t offset;
    size_t log_index;
    char payload[64];
};

struct room_truth {
    struct truth *at; /* owns */
    size_t count, capacity;
};

struct lane_truth {
    char boot[BOOT_SIZE + 1];
    uint64_t batch; /* last */
};

struct judge {
    struct kit *k;
    bool one_epoch;
    uint64_t highest; /* term */
    struct room_truth rooms[KIT_ROOMS];
    struct lane_truth lanes[LANES_MAX];
    size_t lane_count;
};

static struct lane_truth *lane_of(struct judge *j, const char *boot)
{
    for (size_t i = 0; i < j->lane_count; i++) {
        if (strcmp(j->lanes[i].boot, boot) == 0) {
            return &j->lanes[i];
        }
    }
    assert_true(j->lane_count < LANES_MAX);
    struct lane_truth *lane = &j->lanes[j->lane_count++];
    memcpy(lane->boot, boot, BOOT_SIZE);
    return lane;
}

static void add_truth(struct room_truth *room, const struct record *r, size_t log_index)
{
    if (room->count == room->capacity) {
        room->capacity = MAX((size_t)64, room->capacity * 2);
        room->at = mem_realloc(room->at, room->capacity * sizeof(room->at[0]));
    }
    struct truth *t = &room->at[room->count++];
    *t = (struct truth){.offset = r->offset, .log_index = log_index};
    memcpy(t->epoch, r->epoch.at, r->epoch.size);
    (void)snprintf(t->payload, sizeof(t->payload), "%.*s", SLICE_ARG(r->payload));
}

static void judge_record(struct judge *j, const struct record *r, size_t index)
{
    struct room_truth *room = &j->rooms[r->room.at[1] - '0'];
    const struct truth *last = room->count > 0 ? &room->at[room->count - 1] : NULL;
    bool is_same = last != NULL && slice_equal(slice_of(last->epoch), r->epoch);

    if (r->offset != (is_same ? last->offset + 1 : 1)) {
        kit_fault(j->k, "log %zu: room %.*s goes from %s:%" PRIu64 " to %.*s:%" PRIu64, index,
                  SLICE_ARG(r->room), last != NULL ? last->epoch : "", is_same ? last->offset : 0,
                  SLICE_ARG(r->epoch), r->offset);
    }
    for (size_t i = 0; !is_same && i < room->count; i++) {
        if (j->one_epoch || slice_equal(slice_of(room->at[i].epoch), r->epoch)) {
            kit_fault(j->k, "log %zu: room %.*s changes its epoch", index, SLICE_ARG(r->room));
            break;
        }
    }
    add_truth(room, r, index);
}

/* "boot:batch:at:count": which record of a batch this is. */
static bool read_payload(struct slice payload, char *boot, unsigned long long *batch, unsigned *at,
                         unsigned *count)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%.*s", SLICE_ARG(payload));
    return sscanf(text, "\"%16[0-9a-f]:%llu:%u:%u\"", boot, batch, at, count) == 4;
}

/* The batches that an append names, one after the other, all of each. */
static void judge_batches(struct judge *j, const struct letter *l, size_t index)
{
    char lanes[4096], *name, *save = NULL;
    struct slice rest = l->m.body;
    struct record r;

    (void)snprintf(lanes, sizeof(lanes), "%.*s", SLICE_ARG(l->m.lanes));
    for (name = strtok_r(lanes, " ", &save); name != NULL; name = strtok_r(NULL, " ", &save)) {
        unsigned i = 0, count = 1;

        while (i < count) {
            char boot[BOOT_SIZE + 1] = "", expected[64];
            unsigned long long batch = 0;
            unsigned at = 0;

            if (record_next(&rest, true, &r) != 0 ||
                !read_payload(r.payload, boot, &batch, &at, &count)) {
                kit_fault(j->k, "log %zu: batch %s is not all there", index, name);
                return;
            }
            (void)snprintf(expected, sizeof(expected), "%s:%llu", boot, batch);
            if (strcmp(expected, name) != 0 || at != i) {
                kit_fault(j->k, "log %zu: %s:%u stands where %s:%u should", index, expected, at,
                          name, i);
            }
            judge_record(j, &r, index);
            i++;
        }
    }
    if (rest.size > 0) {
        kit_fault(j->k, "log %zu: records that belong to no batch", index);
    }
}

/* True if the append is valid: its batches are new. All are, or none. */
static bool judge_lanes(struct judge *j, const struct letter *l, size_t index)
{
    char lanes[4096], *name, *save = NULL;
    size_t fresh = 0, known = 0;

    (void)snprintf(lanes, sizeof(lanes), "%.*s", SLICE_ARG(l->m.lanes));
    for (name = strtok_r(lanes, " ", &save); name != NULL; name = strtok_r(NULL, " ", &save)) {
        uint64_t batch = strtoull(name + BOOT_SIZE + 1, NULL, 10);
        name[BOOT_SIZE] = '\0';
        struct lane_truth *lane = lane_of(j, name);

        if (batch > lane->batch) {
            fresh++;
            lane->batch = batch;
        } else {
            known++;
        }
    }
    if (fresh > 0 && known > 0) {
        kit_fault(j->k, "log %zu: an append of old and new batches", index);
    }
    return fresh > 0;
}

/* True if nothing was said in the room in that epoch. */
static bool is_unspoken(const struct room_truth *room, struct slice epoch)
{
    for (size_t i = 0; i < room->count; i++) {
        if (slice_equal(slice_of(room->at[i].epoch), epoch)) {
            return false;
        }
    }
    return true;
}

static void judge_checkpoint(struct judge *j, const struct letter *l, size_t index)
{
    struct slice rest = l->m.body;
    struct line line;

    while (line_next(&rest, &line) == 0) {
        if (line.lane.size > 0) {
            char boot[BOOT_SIZE + 1] = "";
            memcpy(boot, line.lane.at, BOOT_SIZE);
            if (lane_of(j, boot)->batch != line.batch) {
                kit_fault(j->k, "log %zu: a checkpoint that errs about lane %s", index, boot);
            }
            continue;
        }
        if (line.room.size == 0) {
            continue; /* the era */
        }
        const struct room_truth *room = &j->rooms[line.room.at[1] - '0'];
        const struct truth *last = room->count > 0 ? &room->at[room->count - 1] : NULL;
        if (line.offset == 0 && is_unspoken(room, line.epoch)) {
            continue; /* it is known before anybody speaks, and may be of an earlier era */
        }
        if (last == NULL || last->offset != line.offset ||
            !slice_equal(slice_of(last->epoch), line.epoch)) {
            kit_fault(j->k, "log %zu: a checkpoint that errs about room %.*s", index,
                      SLICE_ARG(line.room));
        }
    }
    if (rest.size > 0) {
        kit_fault(j->k, "log %zu: a checkpoint that cannot be read", index);
    }
}

static void read_log(struct judge *j)
{
    for (size_t i = 0; i < j->k->log.count; i++) {
        const struct letter *l = j->k->log.at[i];

        if (l == NULL || l->m.type == MESSAGE_CLAIM || l->m.term < j->highest) {
            continue;
        }
        if (l->m.type == MESSAGE_TERM) {
            j->highest = MAX(j->highest, l->m.term);
        } else if (l->m.term > j->highest) {
            kit_fault(j->k, "log %zu: a term without a marker", i);
        } else if (l->m.type == MESSAGE_CHECKPOINT) {
            judge_checkpoint(j, l, i);
        } else if (judge_lanes(j, l, i)) {
            judge_batches(j, l, i);
        }
    }
}

static const struct truth *find(const struct judge *j, const struct kit_seen *s)
{
    const struct room_truth *room = &j->rooms[s->room];

    for (size_t i = 0; i < room->count; i++) {
        if (room->at[i].offset == s->offset && strcmp(room->at[i].epoch, s->epoch) == 0) {
            return &room->at[i];
        }
    }
    return NULL;
}

static void judge_seen(struct judge *j, const struct kit_gateway *g)
{
    for (size_t i = 0; i < g->seen_count; i++) {
        const struct truth *t = find(j, &g->seen[i]);

        if (t == NULL) {
            kit_fault(j->k, "gateway %s saw what is not in the log: %s:%" PRIu64, g->id,
                      g->seen[i].epoch, g->seen[i].offset);
        } else if (strcmp(t->payload, g->seen[i].payload) != 0) {
            kit_fault(j->k, "gateway %s saw another record at %s:%" PRIu64, g->id, t->epoch,
                      t->offset);
        } else if (t->log_index >= g->seen[i].log_size) {
            kit_fault(j->k, "gateway %s saw %s:%" PRIu64 " before the log had it", g->id, t->epoch,
                      t->offset);
        }
    }
}

/* Everybody stands at the end of every room that it follows. */
static void judge_ends(struct judge *j, const struct kit_gateway *g)
{
    for (uint32_t i = 0; g->is_up && i < KIT_ROOMS; i++) {
        const struct room_truth *room = &j->rooms[i];
        const struct truth *last = room->count > 0 ? &room->at[room->count - 1] : NULL;
        const struct kit_view *v = &g->views[i];

        if (v->follows && (!v->is_live || v->offset != (last != NULL ? last->offset : 0) ||
                           strcmp(v->epoch, last != NULL ? last->epoch : "") != 0)) {
            kit_fault(j->k, "gateway %s misses the end of room r%u: %s:%" PRIu64, g->id, i,
                      v->epoch, v->offset);
        }
    }
}

static void judge_input(struct judge *j, bool is_settled)
{
    for (size_t i = 0; i < j->k->input_count; i++) {
        const struct input *in = &j->k->input[i];
        char boot[BOOT_SIZE + 1] = "";

        memcpy(boot, in->letter->m.boot.at, BOOT_SIZE);
        if (in->state == INPUT_ACKED && lane_of(j, boot)->batch < in->letter->m.batch) {
            kit_fault(j->k, "batch %s:%" PRIu64 " is acked and lost", boot, in->letter->m.batch);
        }
        if (is_settled && (in->state == INPUT_READY || in->state == INPUT_HELD)) {
            kit_fault(j->k, "batch %s:%" PRIu64 " is left over", boot, in->letter->m.batch);
        }
    }
}

void kit_judge(struct kit *k, bool is_settled, bool one_epoch)
{
    struct judge j = {.k = k, .one_epoch = one_epoch};

    read_log(&j);
    judge_input(&j, is_settled);
    for (size_t i = 0; i < KIT_GATEWAYS; i++) {
        judge_seen(&j, &k->gateways[i]);
        if (is_settled) {
            judge_ends(&j, &k->gateways[i]);
        }
    }
    for (size_t i = 0; i < KIT_ROOMS; i++) {
        mem_free(j.rooms[i].at);
    }
}
