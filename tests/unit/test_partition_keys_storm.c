/*
 * test_partition_keys_storm.c: owners come, are killed, cut off and released, appends are refused,
 * land late or never, batches come again: each key's record is in the log once, judged by the log
 * alone.
 */
#include "tests/unit/partition_kit.h"

#define STORMS 300
#define STORM_STEPS 500
#define STORM_LANES 3
#define STORM_KEYS 40

struct storm_lane {
    char boot[BOOT_SIZE + 1];
    uint64_t batch;
    struct letter *doubted;
};

/* True if an append names a batch that was not seen before: "0000000000000001:17 ...". */
static bool has_new_batch(const struct letter *l, uint64_t last[STORM_LANES])
{
    struct slice lanes = l->m.lanes;
    bool is_new = false;

    while (lanes.size > 0) {
        char name[BOOT_SIZE + 32];
        const char *space = memchr(lanes.at, ' ', lanes.size);
        size_t size = space != NULL ? (size_t)(space - lanes.at) : lanes.size;

        (void)snprintf(name, sizeof(name), "%.*s", (int)size, lanes.at);
        uint64_t batch = strtoull(name + BOOT_SIZE + 1, NULL, 10);
        uint64_t *seen = &last[name[BOOT_SIZE - 1] - '0'];
        is_new = is_new || batch > *seen;
        *seen = MAX(*seen, batch);
        lanes.at += size + (space != NULL);
        lanes.size -= size + (space != NULL);
    }
    return is_new;
}

/* How often each key is in the valid part of the log: as a stranger would read it. */
static void count_keys(struct kit *k, unsigned counts[STORM_KEYS])
{
    uint64_t highest = 0, last[STORM_LANES] = {0};

    for (size_t i = 0; i < k->log.count; i++) {
        const struct letter *l = k->log.at[i];
        struct record r;

        if (l == NULL || l->m.type == MESSAGE_CLAIM || l->m.term < highest) {
            continue;
        }
        highest = MAX(highest, l->m.term);
        if (l->m.type != MESSAGE_APPEND || !has_new_batch(l, last)) {
            continue;
        }
        struct slice rest = l->m.body;
        while (record_next(&rest, true, &r) == 0) {
            counts[2 * strtoul(r.key.at, NULL, 10) + (r.client.size > 0)]++;
        }
    }
}

/* Publishes some of the keys, or what is in doubt once more. */
static void storm_publish(struct kit *k, struct storm_lane *lane, bool sent[STORM_KEYS])
{
    struct record records[4];
    char keys[4][24];
    size_t count = 1 + kit_random(k, ARRAY_LEN(records));

    if (lane->doubted == NULL) {
        for (size_t i = 0; i < count; i++) {
            uint64_t key = kit_random(k, STORM_KEYS);
            sent[key] = true;
            /* Half of them are of programs, and the others are called the same. */
            (void)snprintf(keys[i], sizeof(keys[i]), "%" PRIu64, key / 2);
            records[i] =
                (struct record){.room = slice_of(kit_room((uint32_t)(key / 2 % KIT_ROOMS))),
                                .user = SLICE_LIT("ann"),
                                .client = key % 2 != 0 ? SLICE_LIT("c-1") : SLICE_NONE,
                                .key = slice_of(keys[i]),
                                .payload = SLICE_LIT("{}")};
        }
        lane->doubted = kit_batch_of(k, lane->boot, ++lane->batch, records, count);
    }
    kit_enqueue(k, &lane->doubted->m, lane->doubted->m.body);
    if (kit_random(k, 3) != 0) {
        lane->doubted = NULL; /* it was confirmed */
    }
}

static struct kit_owner *holder(struct kit *k)
{
    struct kit_owner *o = k->owners;

    while (o != NULL && !o->has_lock) {
        o = o->next;
    }
    return o;
}

/* Who is cut off does not know it yet: what it appends gets into the log, too. */
static void step_zombies(struct kit *k)
{
    struct kit_owner *z = k->owners;

    while (z != NULL && z->has_lock) {
        z = z->next;
    }
    if (z == NULL) {
        return;
    }
    switch (kit_random(k, 8)) {
    case 0:
        kit_kill(k, z);
        break;
    case 1:
        (void)kit_nack(k, z);
        break;
    case 2:
        kit_tick(k, z, 150);
        break;
    default:
        (void)kit_confirm(k, z);
        break;
    }
}

static void storm_step(struct kit *k, struct storm_lane *lanes, bool sent[STORM_KEYS])
{
    struct kit_owner *o = holder(k);

    if (kit_random(k, 5) == 0) {
        step_zombies(k);
    }
    if (k->pipe.count > 0 && kit_random(k, 10) == 0) {
        struct letter *l = k->pipe.at[--k->pipe.count];
        if (kit_random(k, 3) != 0) {
            kit_land_letter(k, l);
        }
    }
    if (o == NULL) {
        (void)kit_owner_new(k);
        return;
    }
    switch (kit_random(k, 16)) {
    case 0:
        if (kit_random(k, 8) == 0) {
            kit_kill(k, o);
        } else if (kit_random(k, 8) == 0) {
            kit_cut(k, o);
        } else if (kit_random(k, 8) == 0) {
            kit_leave(k, o);
        }
        break;
    case 1:
        (void)kit_nack(k, o);
        break;
    case 2:
        (void)kit_land(k, o);
        break;
    case 3:
        kit_tick(k, o, 60);
        break;
    case 4:
    case 5:
    case 6:
        (void)kit_confirm(k, o);
        break;
    case 7:
    case 8:
    case 9:
        (void)kit_take(k, o);
        break;
    case 10:
    case 11:
        storm_publish(k, &lanes[kit_random(k, STORM_LANES)], sent);
        break;
    default:
        for (uint64_t i = kit_random(k, 20); i > 0 && kit_read(k, o); i--) {
        }
        break;
    }
}

/* Nothing more goes wrong: what is in doubt is sent once more, and taken by one last owner. */
static void storm_settle(struct kit *k, struct storm_lane *lanes)
{
    while (k->owners != NULL) {
        kit_kill(k, k->owners);
    }
    k->pipe.count = 0;
    for (unsigned i = 0; i < STORM_LANES; i++) {
        if (lanes[i].doubted != NULL) {
            kit_enqueue(k, &lanes[i].doubted->m, lanes[i].doubted->m.body);
        }
    }
    kit_run(k, kit_owner_settled(k));
}

static void whatever_happens_each_key_is_in_the_log_once(void **state)
{
    uint64_t all_dropped = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= STORMS; seed++) {
        struct kit *k = mem_new(struct kit);
        struct storm_lane lanes[STORM_LANES] = {0};
        bool sent[STORM_KEYS] = {false};
        unsigned counts[STORM_KEYS] = {0};

        kit_init(k, seed);
        k->conf.key_window_ms = 86400000;
        k->conf.checkpoint_bytes = 300 << kit_random(k, 6);
        for (unsigned i = 0; i < STORM_LANES; i++) {
            (void)snprintf(lanes[i].boot, sizeof(lanes[i].boot), "%016u", i);
        }
        for (int step = 0; step < STORM_STEPS; step++) {
            storm_step(k, lanes, sent);
        }
        storm_settle(k, lanes);
        count_keys(k, counts);
        for (unsigned i = 0; i < STORM_KEYS; i++) {
            if (counts[i] != sent[i]) {
                fail_msg("seed %" PRIu64 ": key %u is there %u times", seed, i, counts[i]);
            }
        }
        assert_string_equal(k->fault, "");
        all_dropped += stat_get(&k->stats.keys_dropped);
        kit_deinit(k);
        mem_free(k);
    }
    assert_true(all_dropped > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_happens_each_key_is_in_the_log_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
