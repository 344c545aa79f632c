/* partition_kit_gateways.c: gateways as the owner knows them, and what sabotage does. */
#include "tests/unit/partition_kit.h"

const char *kit_room(uint32_t room)
{
    static const char *const names[KIT_ROOMS] = {"r0", "r1", "r2", "r3", "r4", "r5"};

    return names[room];
}

static uint32_t room_index(struct slice name)
{
    assert_int_equal(name.size, 2);
    return (uint32_t)(name.at[1] - '0');
}

static void add_record(struct buf *body, const char *room, const char *boot, uint64_t batch,
                       unsigned i, unsigned count)
{
    char payload[64];

    (void)snprintf(payload, sizeof(payload), "\"%s:%" PRIu64 ":%u:%u\"", boot, batch, i, count);
    record_encode(body, &(struct record){.room = slice_of(room),
                                         .user = SLICE_LIT("ann"),
                                         .time = 1790000000123,
                                         .payload = slice_of(payload)});
}

static struct message publish_of(const char *boot, uint64_t batch)
{
    return (struct message){.type = MESSAGE_PUBLISH,
                            .partition = KIT_PARTITION,
                            .gateway = SLICE_LIT("g"),
                            .boot = slice_of(boot),
                            .batch = batch,
                            .time_ms = 1790000000123};
}

void kit_publish(struct kit *k, const char *boot, uint64_t batch, const char *room, unsigned count)
{
    struct message m = publish_of(boot, batch);
    struct buf body = BUF_EMPTY;

    for (unsigned i = 0; i < count; i++) {
        add_record(&body, room, boot, batch, i, count);
    }
    kit_enqueue(k, &m, buf_slice(&body));
    buf_deinit(&body);
}

struct letter *kit_batch(struct kit *k, const char *boot, uint64_t batch, unsigned count)
{
    struct message m = publish_of(boot, batch);
    struct buf body = BUF_EMPTY;

    for (unsigned i = 0; i < count; i++) {
        add_record(&body, kit_room((uint32_t)kit_random(k, KIT_ROOMS)), boot, batch, i, count);
    }
    struct letter *l = letter_new(k, &m, buf_slice(&body));
    buf_deinit(&body);
    return l;
}

struct letter *kit_batch_of(struct kit *k, const char *boot, uint64_t batch,
                            const struct record *records, size_t count)
{
    struct message m = publish_of(boot, batch);
    struct buf body = BUF_EMPTY;

    for (size_t i = 0; i < count; i++) {
        record_encode(&body, &records[i]);
    }
    struct letter *l = letter_new(k, &m, buf_slice(&body));
    buf_deinit(&body);
    return l;
}

void kit_write(struct kit *k, const struct message *m, struct slice body)
{
    for (struct kit_owner *o = k->owners; o != NULL; o = o->next) {
        if (o->has_lock) {
            letters_add(&o->mail, letter_new(k, m, body));
        }
    }
}

static void write_link(struct kit *k, struct kit_gateway *g, enum message_type type,
                       struct slice body)
{
    const struct message m = {.type = type,
                              .partition = KIT_PARTITION,
                              .gateway = slice_of(g->id),
                              .boot = slice_of(g->boot),
                              .link = g->link,
                              .number = ++g->number_out};
    kit_write(k, &m, body);
}

static void add_room(struct buf *body, const struct kit_gateway *g, uint32_t room)
{
    const struct kit_view *v = &g->views[room];

    line_encode(body, &(struct line){.room = slice_of(kit_room(room)),
                                     .epoch = slice_of(v->epoch),
                                     .has_offset = v->is_live,
                                     .offset = v->offset,
                                     .from = v->offset});
}

struct kit_gateway *kit_gateway_start(struct kit *k, unsigned which)
{
    struct kit_gateway *g = &k->gateways[which];

    assert_false(g->is_up);
    g->is_up = true;
    g->lives++;
    (void)snprintf(g->id, sizeof(g->id), "g%u", which % 8);
    (void)snprintf(g->boot, sizeof(g->boot), "%08x%08x", which, (unsigned)g->lives);
    g->batch = 0;
    g->doubted = NULL;
    g->inbox_at = g->inbox.count;
    g->term = g->link = 0;
    g->is_attached = false;
    g->wants_attach = true;
    return g;
}

void kit_gateway_stop(struct kit *k, struct kit_gateway *g)
{
    (void)k;
    g->is_up = false;
    memset(g->views, 0, sizeof(g->views));
}

void kit_gateway_attach(struct kit *k, struct kit_gateway *g)
{
    struct buf body = BUF_EMPTY;

    g->wants_attach = g->is_attached = false;
    g->link++;
    g->number_in = g->number_out = 0;
    for (uint32_t room = 0; room < KIT_ROOMS; room++) {
        g->views[room].asked = g->views[room].follows;
        if (g->views[room].follows) {
            add_room(&body, g, room);
        }
    }
    write_link(k, g, MESSAGE_ATTACH, buf_slice(&body));
    buf_deinit(&body);
}

void kit_gateway_alive(struct kit *k, struct kit_gateway *g)
{
    write_link(k, g, MESSAGE_ALIVE, SLICE_NONE);
}

void kit_gateway_follow(struct kit *k, struct kit_gateway *g, uint32_t room, bool follows)
{
    struct kit_view *v = &g->views[room];
    struct buf body = BUF_EMPTY;

    if (v->follows == follows) {
        return;
    }
    *v = (struct kit_view){.follows = follows, .asked = v->asked};
    if (g->is_up && !g->wants_attach && g->link > 0) {
        v->asked += follows;
        add_room(&body, g, room);
        write_link(k, g, follows ? MESSAGE_JOIN : MESSAGE_LEAVE, buf_slice(&body));
        buf_deinit(&body);
    }
}

void kit_gateways_get(struct kit *k, const struct letter *l, bool all)
{
    bool is_taken = all;

    for (size_t i = 0; i < KIT_GATEWAYS; i++) {
        struct kit_gateway *g = &k->gateways[i];

        if (g->is_up && (all || strcmp(g->id, l->gateway) == 0)) {
            letters_add(&g->inbox, (struct letter *)(uintptr_t)l);
            is_taken = true;
        }
    }
    for (struct kit_owner *o = k->owners; !is_taken && o != NULL; o = o->next) {
        if (o->has_lock) {
            partition_on_gateway_gone(o->machine, slice_of(l->gateway));
        }
    }
}

const struct letter *kit_last(const struct kit_gateway *g, enum message_type type)
{
    for (size_t i = g->inbox.count; i-- > 0;) {
        if (g->inbox.at[i]->m.type == type) {
            return g->inbox.at[i];
        }
    }
    return NULL;
}

static void take_record(struct kit *k, struct kit_gateway *g, const struct record *r,
                        const struct letter *l)
{
    struct kit_view *v = &g->views[room_index(r->room)];
    bool is_same = slice_equal(slice_of(v->epoch), r->epoch);
    struct kit_seen seen = {
        .room = room_index(r->room), .offset = r->offset, .log_size = l->log_size};

    if (!v->follows || !v->is_live || (is_same && r->offset <= v->offset)) {
        return;
    }
    if (r->offset != (is_same ? v->offset + 1 : 1)) {
        g->record_holes++;
        kit_fault(k, "hole: gateway %s room %.*s has %s:%" PRIu64 ", got %.*s:%" PRIu64, g->id,
                  SLICE_ARG(r->room), v->epoch, v->offset, SLICE_ARG(r->epoch), r->offset);
        return;
    }
    memset(v->epoch, 0, sizeof(v->epoch));
    memcpy(v->epoch, r->epoch.at, r->epoch.size);
    v->offset = r->offset;
    memcpy(seen.epoch, v->epoch, sizeof(seen.epoch));
    (void)snprintf(seen.payload, sizeof(seen.payload), "%.*s", SLICE_ARG(r->payload));
    if (g->seen_count == g->seen_capacity) {
        g->seen_capacity = MAX((size_t)64, g->seen_capacity * 2);
        g->seen = mem_realloc(g->seen, g->seen_capacity * sizeof(g->seen[0]));
    }
    g->seen[g->seen_count++] = seen;
}

static void take_position(struct kit_gateway *g, const struct line *line)
{
    struct kit_view *v = &g->views[room_index(line->room)];
    bool is_same = slice_equal(slice_of(v->epoch), line->epoch);
    bool is_unspoken = v->epoch[0] == '\0' && v->offset == 0;

    /* What answers an earlier life of the room is not for this one. */
    if (v->asked == 0 || --v->asked > 0 || !v->follows) {
        return;
    }
    g->positions_read++;
    if (v->is_live && (is_same || is_unspoken) && line->from == v->offset) {
        return;
    }
    g->positions_lost += v->is_live;
    memset(v->epoch, 0, sizeof(v->epoch));
    memcpy(v->epoch, line->epoch.at != NULL ? line->epoch.at : "", line->epoch.size);
    v->offset = line->from;
    v->is_live = true;
}

static void take_link(struct kit *k, struct kit_gateway *g, const struct letter *l)
{
    struct slice rest = l->m.body;
    struct record r;
    struct line line;

    if (g->wants_attach || l->m.link != g->link || !slice_equal(l->m.boot, slice_of(g->boot)) ||
        l->m.term < g->term) {
        return;
    }
    if (l->m.number != g->number_in + 1) {
        g->link_holes++;
        g->wants_attach = true;
        return;
    }
    g->number_in++;
    g->term = l->m.term;
    g->is_attached = true;
    if (l->m.type == MESSAGE_DELIVER) {
        uint64_t count = 0;
        while (record_next(&rest, true, &r) == 0) {
            take_record(k, g, &r, l);
            count++;
        }
        if (count != l->m.records) {
            kit_fault(k, "a delivery that does not hold as many records as it says");
        }
    } else {
        while (line_next(&rest, &line) == 0) {
            if (l->m.type == MESSAGE_POSITIONS) {
                take_position(g, &line);
            }
        }
    }
    if (rest.size > 0) {
        kit_fault(k, "a message that cannot be read");
    }
}

bool kit_gateway_take(struct kit *k, struct kit_gateway *g)
{
    if (!g->is_up || g->inbox_at == g->inbox.count) {
        return false;
    }
    const struct letter *l = g->inbox.at[g->inbox_at++];
    if (l->m.type == MESSAGE_OWNER) {
        if (l->m.term >= g->term) {
            g->term = l->m.term;
            g->wants_attach = true;
        }
    } else if (l->m.type == MESSAGE_DELIVER || l->m.type == MESSAGE_MOVES ||
               l->m.type == MESSAGE_POSITIONS) {
        take_link(k, g, l);
    }
    return true;
}

/* Sabotage. */

/* The first record of a body. */
static struct slice first_record(struct slice body)
{
    struct slice rest = body;
    struct record r;

    if (record_next(&rest, true, &r) != 0) {
        return SLICE_NONE;
    }
    return (struct slice){body.at, body.size - rest.size};
}

static void replace_body(struct kit *k, struct letter *l, struct slice a, struct slice b,
                         struct slice c)
{
    struct buf body = BUF_EMPTY;

    buf_add_slice(&body, a);
    buf_add_slice(&body, b);
    buf_add_slice(&body, c);
    l->m = letter_new(k, &l->m, buf_slice(&body))->m;
    buf_deinit(&body);
}

static void swap_records(struct kit *k, struct letter *l)
{
    struct slice body = l->m.body;
    struct slice a = first_record(body);
    struct slice b = first_record((struct slice){body.at + a.size, body.size - a.size});

    if (b.size > 0) {
        size_t both = a.size + b.size;
        replace_body(k, l, b, a, (struct slice){body.at + both, body.size - both});
    }
}

static void append_again(struct kit *k, struct letter *l)
{
    struct letter *twin = letter_new(k, &l->m, l->m.body);
    char lanes[64];

    (void)snprintf(lanes, sizeof(lanes), "%.16s:999999", l->m.lanes.at);
    twin->m.lanes = slice_of(lanes);
    twin = letter_new(k, &twin->m, twin->m.body);
    kit_land_letter(k, twin);
}

void kit_spoil_append(struct kit *k, struct letter *l)
{
    if (k->sabotage == KIT_FORGET_TERM && l->m.type != MESSAGE_CLAIM && l->m.term > 1) {
        l->m.term = 1;
    }
    if (l->m.type != MESSAGE_APPEND || kit_random(k, 4) != 0) {
        return;
    }
    if (k->sabotage == KIT_SWAP_RECORDS) {
        swap_records(k, l);
    } else if (k->sabotage == KIT_APPEND_AGAIN) {
        append_again(k, l);
    } else if (k->sabotage == KIT_DELIVER_EARLY) {
        struct letter *early = letter_new(k, &l->m, l->m.body);
        struct kit_gateway *g = &k->gateways[0];
        struct slice rest = early->m.body;
        struct record r;
        while (record_next(&rest, true, &r) == 0) {
            take_record(k, g, &r, early);
        }
    }
}

void kit_spoil_send(struct kit *k, struct letter *l)
{
    if (k->sabotage == KIT_LOSE_RECORD && l->m.records > 1 && kit_random(k, 4) == 0) {
        struct slice first = first_record(l->m.body);

        l->m.body.at += first.size;
        l->m.body.size -= first.size;
        l->m.records--;
    }
}
