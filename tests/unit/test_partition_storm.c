/*
 * test_partition_storm.c: several owners in turn, killed, cut off and released at random moments,
 * with gateways that come, go, restart and lose messages; and proof that the kit would see faults.
 */
#include "tests/unit/partition_kit.h"

#define SEEDS 400
#define STEPS 600
#define ZOMBIE_STEPS_MAX 12

struct storm {
    struct kit kit;
    bool small_memory; /* followers may be told that they missed something */
    unsigned zombie_steps;
};

static struct kit_owner *holder(struct kit *k)
{
    for (struct kit_owner *o = k->owners; o != NULL; o = o->next) {
        if (o->has_lock) {
            return o;
        }
    }
    return NULL;
}

static struct kit_owner *zombie(struct kit *k)
{
    for (struct kit_owner *o = k->owners; o != NULL; o = o->next) {
        if (!o->has_lock) {
            return o;
        }
    }
    return NULL;
}

static void storm_publish(struct kit *k, struct kit_gateway *g)
{
    if (g->doubted == NULL) {
        g->doubted = kit_batch(k, g->boot, ++g->batch, 1 + (unsigned)kit_random(k, 5));
        g->is_enqueued = false;
    }
    /* Sent once or again; the broker takes it, or refuses it. */
    if (kit_random(k, 5) != 0) {
        kit_enqueue(k, &g->doubted->m, g->doubted->m.body);
        g->is_enqueued = true;
    }
    if (g->is_enqueued && kit_random(k, 3) != 0) {
        g->doubted = NULL; /* it was confirmed */
    }
}

static void step_gateway(struct kit *k)
{
    struct kit_gateway *g = &k->gateways[kit_random(k, KIT_GATEWAYS)];

    if (!g->is_up) {
        kit_gateway_start(k, (unsigned)(g - k->gateways));
        return;
    }
    switch (kit_random(k, 16)) {
    case 0:
        if (kit_random(k, 6) == 0) {
            kit_gateway_stop(k, g);
        }
        break;
    case 1:
        if (g->inbox_at < g->inbox.count && kit_random(k, 4) == 0) {
            g->inbox_at++; /* its queue overflowed */
        }
        break;
    case 2:
        if (g->link > 0) {
            kit_gateway_alive(k, g);
        }
        break;
    case 3:
    case 4:
        kit_gateway_follow(k, g, (uint32_t)kit_random(k, KIT_ROOMS), kit_random(k, 3) != 0);
        break;
    case 5:
    case 6:
        if (g->wants_attach) {
            kit_gateway_attach(k, g);
        }
        break;
    case 7:
    case 8:
    case 9:
        storm_publish(k, g);
        break;
    default:
        (void)kit_gateway_take(k, g);
        break;
    }
}

/* The connection of the owner dies. */
static void step_death(struct storm *s, struct kit_owner *o)
{
    struct kit *k = &s->kit;

    if (zombie(k) == NULL && kit_random(k, 2) == 0) {
        kit_cut(k, o);
        s->zombie_steps = (unsigned)kit_random(k, ZOMBIE_STEPS_MAX);
    } else {
        kit_kill(k, o);
    }
}

static void step_owner(struct storm *s, struct kit_owner *o)
{
    struct kit *k = &s->kit;

    switch (kit_random(k, 24)) {
    case 0:
        if (kit_random(k, 8) == 0) {
            step_death(s, o);
        }
        break;
    case 1:
        if (kit_random(k, 12) == 0) {
            kit_leave(k, o);
        }
        break;
    case 2:
        (void)kit_nack(k, o);
        break;
    case 3:
        (void)kit_land(k, o);
        break;
    case 4:
    case 5:
    case 6:
        kit_tick(k, o, 60);
        break;
    case 7:
    case 8:
    case 9:
    case 10:
        (void)kit_mail(k, o);
        break;
    case 11:
        if (o->mail_at < o->mail.count && kit_random(k, 10) == 0) {
            o->mail_at++; /* its mailbox overflowed */
        }
        break;
    case 12:
    case 13:
    case 14:
    case 15:
        (void)kit_take(k, o);
        break;
    case 16:
    case 17:
    case 18:
        (void)kit_confirm(k, o);
        break;
    default:
        for (uint64_t i = kit_random(k, 20); i > 0 && kit_read(k, o); i--) {
        }
        break;
    }
}

static void step_zombie(struct storm *s, struct kit_owner *o)
{
    struct kit *k = &s->kit;

    if (s->zombie_steps == 0) {
        kit_kill(k, o);
        return;
    }
    s->zombie_steps--;
    if (kit_random(k, 4) == 0) {
        (void)kit_nack(k, o);
    } else {
        (void)kit_confirm(k, o);
    }
    kit_tick(k, o, 1);
}

static void storm_step(struct storm *s)
{
    struct kit *k = &s->kit;
    struct kit_owner *o = holder(k), *z = zombie(k);

    if (k->pipe.count > 0 && kit_random(k, 10) == 0) {
        struct letter *l = k->pipe.at[--k->pipe.count];
        if (kit_random(k, 3) != 0) {
            kit_land_letter(k, l);
        }
    }
    if (z != NULL && kit_random(k, 8) == 0) {
        step_zombie(s, z);
    } else if (o == NULL) {
        if (kit_random(k, 10) == 0) {
            kit_owner_new(k);
        }
    } else if (kit_random(k, 5) < 3) {
        step_owner(s, o);
    } else {
        step_gateway(k);
    }
}

/* What a gateway does when nobody disturbs it. True: it did something. */
static bool settle_gateway(struct kit *k, struct kit_gateway *g, bool shows_life)
{
    bool is_busy = false;

    while (kit_gateway_take(k, g)) {
        is_busy = true;
    }
    if (!g->is_up) {
        return is_busy;
    }
    if (g->doubted != NULL) {
        kit_enqueue(k, &g->doubted->m, g->doubted->m.body);
        g->doubted = NULL;
        is_busy = true;
    }
    if (g->wants_attach) {
        kit_gateway_attach(k, g);
        is_busy = true;
    } else if (shows_life) {
        kit_gateway_alive(k, g); /* shows what was lost */
        is_busy = true;
    }
    return is_busy;
}

/* No further faults: everything comes to an end. */
static void storm_settle(struct kit *k)
{
    bool is_busy = true;

    k->pipe.count = 0;
    for (int round = 0; is_busy && round < 1000; round++) {
        while (zombie(k) != NULL) {
            kit_kill(k, zombie(k));
        }
        struct kit_owner *o = holder(k);
        is_busy = o == NULL || partition_state(o->machine) != PARTITION_OWNED;
        if (o == NULL) {
            o = kit_owner_new(k);
        }
        kit_run(k, o);
        kit_tick(k, o, 200);
        kit_run(k, o);
        is_busy |= partition_backlog(o->machine) > 0;
        for (size_t i = 0; i < KIT_GATEWAYS; i++) {
            is_busy |= settle_gateway(k, &k->gateways[i], round == 0);
        }
    }
    if (is_busy) {
        kit_fault(k, "it does not come to rest");
    }
}

static void storm_run(struct storm *s, uint64_t seed, enum kit_sabotage sabotage)
{
    struct kit *k = &s->kit;

    kit_init(k, seed);
    k->sabotage = sabotage;
    s->small_memory = seed % 4 == 0;
    if (s->small_memory) {
        k->conf.history_size = 2;
        k->conf.memory_max = 4096;
    }
    if (seed % 3 == 0) {
        k->conf.checkpoint_bytes = 2000 + kit_random(k, 4000);
    }
    for (unsigned i = 0; i < KIT_GATEWAYS; i++) {
        struct kit_gateway *g = kit_gateway_start(k, i);
        for (unsigned n = 0; n < 4; n++) {
            kit_gateway_follow(k, g, (uint32_t)kit_random(k, KIT_ROOMS), true);
        }
    }
    for (int i = 0; i < STEPS && k->fault[0] == '\0'; i++) {
        storm_step(s);
    }
    storm_settle(k);
    kit_judge(k, true, true);
}

static void nothing_is_lost_doubled_or_reordered_whatever_dies(void **state)
{
    size_t records = 0, takeovers = 0, voids = 0, duplicates = 0, seen = 0, lost = 0;
    struct storm s;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        memset(&s, 0, sizeof(s));
        storm_run(&s, seed, KIT_HONEST);
        records += stat_get(&s.kit.stats.records_in);
        takeovers += stat_get(&s.kit.stats.takeovers);
        voids += stat_get(&s.kit.stats.void_records);
        duplicates += stat_get(&s.kit.stats.duplicates_dropped);
        for (size_t i = 0; i < KIT_GATEWAYS; i++) {
            const struct kit_gateway *g = &s.kit.gateways[i];
            seen += g->seen_count;
            lost += g->positions_lost;
            if (!s.small_memory && s.kit.conf.checkpoint_bytes == 1 << 20 &&
                g->positions_lost > 0) {
                kit_fault(&s.kit, "a position was lost though memory was large");
            }
        }
        kit_deinit(&s.kit);
        if (s.kit.fault[0] != '\0') {
            fail_msg("seed %" PRIu64 ": %s", seed, s.kit.fault);
        }
    }
    print_message("%zu records, %zu seen, %zu takeovers, %zu void records, %zu duplicates, %zu "
                  "positions lost\n",
                  records, seen, takeovers, voids, duplicates, lost);
    assert_true(records > SEEDS && takeovers > SEEDS && voids > SEEDS && duplicates > SEEDS);
}

static void a_planted_fault_is_seen(void **state)
{
    static const enum kit_sabotage all[] = {KIT_ACK_EARLY,    KIT_DELIVER_EARLY, KIT_LOSE_RECORD,
                                            KIT_SWAP_RECORDS, KIT_APPEND_AGAIN,  KIT_FORGET_TERM};
    struct storm s;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        bool is_seen = false;

        for (uint64_t seed = 1; seed <= 20 && !is_seen; seed++) {
            memset(&s, 0, sizeof(s));
            storm_run(&s, seed, all[i]);
            is_seen = s.kit.fault[0] != '\0';
            kit_deinit(&s.kit);
        }
        if (!is_seen) {
            fail_msg("sabotage %d goes unseen", (int)all[i]);
        }
        print_message("sabotage %d: %s\n", (int)all[i], s.kit.fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_doubled_or_reordered_whatever_dies),
        cmocka_unit_test(a_planted_fault_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
